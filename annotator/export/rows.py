"""Rows of a table: a person in a media each, or a track each; and CSV of them."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from annotator.export.records import ExportedMedia
from annotator.results import CONFIDENCE_DIGITS

RowKind = Literal["people", "tracks"]
Cell = str | int | float | bool | None
# A spreadsheet takes what begins so for a formula, and would run it. An apostrophe says «text»; it is given to what
# begins with one, too, so that taking away the first apostrophe always gives the text.
_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")  # noqa: RUF001 - of full width

_OF_MEDIA: Final = {"media_id": int, "media_uri": str, "sha256": str, "duration_ms": int, "model": str}
_OF_PERSON: Final = {"identity": str, "kg_mid": str, "identity_id": int, "confidence": float}
_OF_TIME: Final = {"start_ms": int, "end_ms": int, "screen_time_ms": int}
_LAST: Final = {"annotated_at": str, "is_picture": bool}


@dataclass(frozen=True, slots=True)
class Rows:
    """A kind of rows.

    Attributes:
        columns: types by name, in order.
        of: the rows of a media, in a fixed order.

    """

    columns: dict[str, type[str] | type[int] | type[float] | type[bool]]
    of: Callable[[ExportedMedia], Iterator[tuple[Cell, ...]]]


def _rows_of_people(media: ExportedMedia) -> Iterator[tuple[Cell, ...]]:
    for one in media.people():
        who = (one.identity.name, one.identity.kg_mid, one.identity_id, round(one.confidence, CONFIDENCE_DIGITS))
        yield (
            *_of_media(media),
            *who,
            one.start_ms,
            one.end_ms,
            one.screen_time_ms,
            len(one.spans),
            _time(media),
            one.is_picture,
        )


def _rows_of_tracks(media: ExportedMedia) -> Iterator[tuple[Cell, ...]]:
    for track in media.tracks:
        who: tuple[Cell, ...] = (None, None, None, None)
        if (name := track.name) is not None:
            confidence = round(name.confidence, CONFIDENCE_DIGITS)
            who = (name.identity.name, name.identity.kg_mid, name.identity_id, confidence)
        when = (track.start_ms, track.end_ms, track.screen_time_ms)
        faces = len(track.boxes.pts_ms)
        seen = (track.track_no, track.shot_no, faces)
        yield *_of_media(media), *who, *when, *seen, _time(media), track.is_picture


def _of_media(media: ExportedMedia) -> tuple[Cell, ...]:
    return media.media_id, media.uri, media.sha256, media.duration_ms, media.model


def _time(media: ExportedMedia) -> str | None:
    return None if media.annotated_at is None else media.annotated_at.isoformat()


ROWS: Final[dict[RowKind, Rows]] = {
    "people": Rows(_OF_MEDIA | _OF_PERSON | _OF_TIME | {"spans": int} | _LAST, _rows_of_people),
    "tracks": Rows(
        _OF_MEDIA | _OF_PERSON | _OF_TIME | {"track": int, "shot": int, "faces": int} | _LAST,
        _rows_of_tracks,
    ),
}


def csv_lines(media: Iterable[ExportedMedia], kind: RowKind) -> Iterator[str]:
    """Yield CSV, in pieces of whole lines: a header, then the rows of each media.

    Texts that a spreadsheet would take for formulas get an apostrophe before them.
    """
    rows = ROWS[kind]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.columns)
    for one in media:
        writer.writerows(map(safe_cells, rows.of(one)))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def safe_cells(row: Iterable[Cell]) -> list[Cell]:
    """Return cells as a spreadsheet may see them.

    >>> safe_cells(["=HYPERLINK(0)", "Cher", "'tis", -1, None, True])
    ["'=HYPERLINK(0)", 'Cher', "''tis", -1, '', 'true']
    >>> safe_cells([chr(0xFF20) + "SUM(1)"])[0][0]  # of full width
    "'"
    """
    return ["" if cell is None else _as_text(cell) for cell in row]


def _as_text(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_BEGINS_FORMULA) else cell
