"""The process that takes a person down, or says what would go, for the web application.

It reads a line of JSON, what is asked, and writes lines: what it does (``doing``), the number of the takedown as soon
as it has begun (``takedown``), at last the report (``report``; with a picture, ``seen``, who is on it), or why there is
none (``failure``; ``is_transient`` where it may be otherwise later). The name comes by its standard input, so no list
of processes shows it. When that is closed, who has started it is gone, and it ends: whatever it was at goes on when it
is asked again.
"""

import base64
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection

from annotator.cli.database import open_store
from annotator.cli.entry import one_line
from annotator.cli.web_asked import end_with_whoever_asks, tell
from annotator.errors import AnnotatorError, LocalDiskError, TransientError
from annotator.recognition.photographs import decode_picture
from annotator.settings import Settings, load_settings
from annotator.store.store import Store
from annotator.store.takedowns.running import NO_FACES, KnownFaces
from annotator.store.web.audit import record_deed
from annotator.takedown.looking import look_at_face
from annotator.takedown.running import Wanted, take_down

_NICER: Final = 5
BEGUN: Final = "began a takedown"
WENT_ON: Final = "went on with a takedown"


def main() -> None:
    """Read, do it, and tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; who has started it ends it
    os.nice(_NICER)
    asked = json.loads(sys.stdin.readline())
    end_with_whoever_asks()
    try:
        settings = load_settings(**asked["settings"]).for_visitors()
        with open_store(settings, must_exist=True) as store:
            tell(act(asked, settings, store))
    except AnnotatorError as error:
        is_transient = isinstance(error, TransientError) and not isinstance(error, LocalDiskError)  # rights do not pass
        tell({"failure": one_line(error), "reason": error.reason, "is_transient": is_transient})
    except Exception as error:  # noqa: BLE001 - the boundary: the words of an error may be the name, which no log has
        sys.stderr.write(f"takedown: {type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}")
        sys.exit(1)


def act(asked: Mapping[str, Any], settings: Settings, store: Store) -> dict[str, Any]:
    """Do what is asked, and return what is told at the end.

    Args:
        asked: ``name`` and ``identity_ids``, or ``face``, or ``picture`` (base64) with ``which`` and ``model``;
            ``is_dry``; ``actor`` and ``address``, for the record; ``resumes``, the number of one that is gone on with.
        settings: where models are.
        store: the database.

    Raises:
        AnnotatorError: as of ``take_down`` and ``look_at_face``.

    """
    name, face, seen = asked.get("name"), _face_of(asked.get("face")), {}
    if "picture" in asked:
        tell({"doing": "looking at the picture"})
        picture = decode_picture(base64.b64decode(asked["picture"]), name="The picture")
        with_model = settings.model_copy(update={"model": asked["model"]})
        found = look_at_face(picture, name="The picture", which=asked.get("which"), store=store, settings=with_model)
        name, face = found.name, found.known
        seen = {"seen": {"name": name, "face": {"embedder": face.embedder, "faces": face.faces.tolist()}}}

    def note(connection: Connection, takedown_id: int) -> None:
        record_deed(
            connection,
            asked["actor"],
            WENT_ON if asked.get("resumes") else BEGUN,
            address=asked["address"],
            now=datetime.now(UTC),
            subject=f"takedown {takedown_id}",
        )
        begun.append(takedown_id)

    def say(doing: str) -> None:
        tell({"doing": doing} | ({"takedown": begun[-1]} if begun else {}))

    begun: list[int] = []
    wanted = Wanted(
        name,
        face=face,
        is_dry=asked["is_dry"],
        identity_ids=asked.get("identity_ids"),
        done_by=asked["actor"],
        note=note,
    )
    report = take_down(store, settings, wanted, say=say)
    return seen | {"report": report.to_json()}


def _face_of(given: Mapping[str, Any] | None) -> KnownFaces:
    """Return a face as it was told, f32 (n, D)."""
    if given is None:
        return NO_FACES
    return KnownFaces(given["embedder"], np.array(given["faces"], np.float32))


if __name__ == "__main__":
    main()
