"""Groups of strangers as pages show them: a face of each, and the tracks of one, sharpest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from annotator.store.dialect import given_ids, ids_param

_ONCE: Final = """
SELECT s.stranger, s.content_id, s.track, min(s.media_id) AS media_id, max(s.identity) AS identity,
       min(s.first_seen_ms) AS first_ms, max(s.last_seen_ms) AS last_ms, max(s.face_px) AS face_px,
       max(s.quality) AS quality
FROM stranger_tracks s WHERE s.stranger {which} GROUP BY s.stranger, s.content_id, s.track
"""
_FACES: Final = f"""
SELECT o.stranger, o.content_id, o.track, o.media_id, o.identity, o.first_ms, o.last_ms, o.face_px FROM (
  SELECT o.*, row_number() OVER (PARTITION BY o.stranger ORDER BY o.quality DESC, o.content_id, o.track) AS place
  FROM ({_ONCE}) o
) o WHERE o.place <= :most ORDER BY o.stranger, o.place
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class StrangerFace:
    """A track of a group, in the first of the media that hold its clip.

    Attributes:
        number: of the group.
        content_id: the clip's bytes.
        track_no: which of its tracks.
        media_id: the media.
        identity: the name that the track has; None for a stranger's.
        first_ms: when it is seen first.
        last_ms: when its last appearance ends.
        face_px: size of its best face.

    """

    number: int
    content_id: int
    track_no: int
    media_id: int
    identity: str | None
    first_ms: int
    last_ms: int
    face_px: float | None


def faces_of_strangers(connection: Connection, numbers: Sequence[int], *, most: int) -> dict[int, list[StrangerFace]]:
    """Return the sharpest tracks of groups, by number of the group, sharpest first.

    Args:
        connection: any.
        numbers: of the groups, as of now.
        most: so many of each at most.

    """
    found: dict[int, list[StrangerFace]] = {number: [] for number in numbers}
    if numbers:
        statement = text(_FACES.format(which=given_ids(connection)))
        rows = connection.execute(statement, {"ids": ids_param(connection, list(numbers)), "most": most})
        for row in rows:
            found[row.stranger].append(StrangerFace(*row))
    return found


def count_tracks(connection: Connection, number: int) -> int:
    """Return how many tracks of a group there are in media that are there."""
    count = text(
        "SELECT count(*) FROM (SELECT DISTINCT content_id, track FROM stranger_tracks WHERE stranger = :number) t"
    )
    return int(connection.execute(count, {"number": number}).scalar_one())
