"""Labels as pages and the API ask for them and tell them: whose, and of how many people at once."""

from collections.abc import Sequence
from typing import Final

from annotator.types import TrackLabel
from annotator.web.errors import WebError

MOST_PEOPLE: Final = 4
"""So many may be looked for in one media."""


def name_of(label: TrackLabel) -> str | None:
    """Return who a track is; None where it is nobody known."""
    return None if label.identity is None else label.identity.name


def labelling_of_model(labellings: Sequence[tuple[int, str]], model: str) -> int:
    """Return the newest labelling of a model.

    Raises:
        WebError: there is none.

    """
    for labelling_id, name in labellings:
        if name == model:
            return labelling_id
    raise WebError(400, f"model: nothing is labelled by {model[:80]}.")
