"""The process that explains one media for the web application; ``annotator.web.errands`` starts it.

It reads a line of JSON, what it works with, and writes one: the page and the explanation, or why there is none.
"""

import json
import os
import sys
from typing import Any, Final

from annotator.build import build_annotator
from annotator.cli.database import open_store
from annotator.cli.entry import one_line
from annotator.cli.explaining import made_with, words_said
from annotator.decoding import PipelineParams
from annotator.errors import AnnotatorError, InputError, TransientError
from annotator.explaining.explanation import masked
from annotator.explaining.page import explanation_html
from annotator.explaining.reasoning import explain
from annotator.explaining.watching import SeenFaces
from annotator.settings import load_settings
from annotator.types import MediaAnnotation, MediaFailure, MediaRef

_NICER: Final = 5
_THE_DATABASE: Final = "this database"  # its address is not for whoever may look


def explained(given: dict[str, Any]) -> dict[str, Any]:
    """Return the page and the explanation of a media, or why there is none.

    Args:
        given: ``settings`` for ``load_settings``, and ``media``, an address.

    Raises:
        AnnotatorError: the settings or the model cannot work, or the database does not answer.

    """
    settings = load_settings(**given["settings"]).for_visitors()
    media = MediaRef(given["media"], given["media"])
    with open_store(settings, must_exist=True) as store:
        seen = SeenFaces()
        params = PipelineParams(decoders=1, keep_faces=True)
        annotator = build_annotator(settings, store=store, params=params, watch=seen)
        (outcome,) = annotator.annotate([media])
        if not isinstance(outcome, MediaAnnotation):
            why = outcome.message if isinstance(outcome, MediaFailure) else "it was not looked at"
            return {"failure": f"It cannot be looked at again: {masked(why)}"}
        said = words_said(store, outcome, annotator)
    explanation = explain(outcome, seen, annotator.identifier, made_with=made_with(annotator, _THE_DATABASE), said=said)
    return {"page": explanation_html(explanation), "explanation": explanation.to_json()}


def main() -> None:
    """Read, look, tell."""
    os.nice(_NICER)
    try:
        told = explained(json.loads(sys.stdin.readline()))
    except (InputError, TransientError) as error:
        told = {"failure": f"It cannot be looked at again: {one_line(error)}"}
    except AnnotatorError as error:
        sys.exit(one_line(error))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
