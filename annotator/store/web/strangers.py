"""Groups of strangers as pages show them: the most seen with a face of each, and the tracks of one, sharpest first."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from annotator.store.strangers.counting import CountedStranger, counted_strangers
from annotator.store.strangers.listing import list_strangers

MOST_LOOKED_AT: Final = 2_000
"""Tracks of a group among which the sharpest are looked for: those of the clips that came first."""

# By number of the group as it is now; each track in the first of the media that hold its clip.
_MEMBERS: Final = """
SELECT b.content_id, b.track_no FROM grouped_tracks b
WHERE b.network_id = (SELECT network_id FROM active) AND b.group_no IN (
  SELECT g.group_no FROM track_groups g
  WHERE g.network_id = (SELECT network_id FROM active) AND g.survivor_no = :number)
AND EXISTS (SELECT 1 FROM media m WHERE m.content_id = b.content_id AND m.deleted_at IS NULL)
"""
_FACES: Final = f"""
SELECT o.content_id, o.track_no,
       (SELECT min(m.id) FROM media m WHERE m.content_id = o.content_id AND m.deleted_at IS NULL) AS media_id,
       (SELECT i.name FROM track_labels k JOIN identities a ON a.id = k.identity_id
        JOIN identities i ON i.id = a.survivor_id
        WHERE k.labelling_id = (SELECT labelling_id FROM active)
          AND k.content_id = o.content_id AND k.track_no = o.track_no) AS identity,
       o.first_ms, o.last_ms, o.face_px
FROM (SELECT t.content_id, t.track_no, t.first_ms, t.last_ms, t.face_px FROM ({_MEMBERS} LIMIT :looked_at) p
      JOIN tracks t ON t.network_id = (SELECT network_id FROM active)
                   AND t.content_id = p.content_id AND t.track_no = p.track_no
      ORDER BY coalesce(t.quality, 0) DESC, t.content_id, t.track_no LIMIT :most) o
"""  # noqa: S608 - made of constants
_COUNT: Final = f"SELECT count(*) FROM ({_MEMBERS}) t"  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class StrangerFace:
    """A track of a group, in the first of the media that hold its clip.

    Attributes:
        content_id: the clip's bytes.
        track_no: which of its tracks.
        media_id: the media.
        identity: the name that the track has; None for a stranger's.
        first_ms: when it is seen first.
        last_ms: when its last appearance ends.
        face_px: size of its best face.

    """

    content_id: int
    track_no: int
    media_id: int
    identity: str | None
    first_ms: int
    last_ms: int
    face_px: float | None


def most_seen_strangers(connection: Connection, *, limit: int) -> list[CountedStranger]:
    """Return groups without a name that are seen in most media, with a face of each, as they were counted last.

    Where they never were, all of them are counted now, which takes seconds in a large archive.
    """
    found = counted_strangers(connection, limit=limit)
    if found is None:
        found = [CountedStranger(one, None) for one in list_strangers(connection, limit=limit)]
    return [one if one.face else CountedStranger(one.stranger, _face(connection, one)) for one in found]


def _face(connection: Connection, one: CountedStranger) -> tuple[int, int] | None:
    faces = faces_of_stranger(connection, one.stranger.number, most=1)
    return (faces[0].media_id, faces[0].track_no) if faces else None


def faces_of_stranger(connection: Connection, number: int, *, most: int) -> list[StrangerFace]:
    """Return the sharpest tracks of a group, sharpest first; of a large one, the sharpest of 2,000 of its tracks.

    Args:
        connection: any.
        number: of the group, as of now.
        most: so many at most.

    """
    rows = connection.execute(text(_FACES), {"number": number, "most": most, "looked_at": MOST_LOOKED_AT})
    return [StrangerFace(*row) for row in rows]


def count_tracks(connection: Connection, number: int) -> int:
    """Return how many tracks of a group there are in media that are there."""
    return int(connection.execute(text(_COUNT), {"number": number}).scalar_one())
