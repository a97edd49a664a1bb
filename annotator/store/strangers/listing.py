"""Who the strangers are: groups in order of how often they are seen, and the tracks of one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Integer, String, column, select, table, text

from annotator.store.columns import UtcTime
from annotator.store.dialect import given_ids, ids_param

_READ_AT_ONCE: Final = 10_000
_GROUPS: Final = table(
    "stranger_groups",
    column("stranger", Integer),
    column("identity", String),
    *(column(name, BigInteger) for name in ("contents", "media", "tracks", "named_tracks", "screen_time_ms")),
    column("face_px"),
    column("first_annotated_at", UtcTime),
    column("last_annotated_at", UtcTime),
)
_VIEWED: Final = text("SELECT DISTINCT stranger, media_uri, media_key FROM stranger_tracks WHERE identity IS NULL")
_TRACKS: Final = """
SELECT t.stranger, t.media_uri, m.etag, t.content_id, t.track, t.identity, t.first_seen_ms, t.last_seen_ms,
       t.screen_time_ms, t.face_px, t.quality
FROM stranger_tracks t JOIN media m ON m.id = t.media_id
WHERE t.stranger = :stranger ORDER BY t.content_id, t.track, t.media_uri
"""
# Of which people the tracks of groups have names, most tracks first.
_NAMES: Final = """
SELECT g.survivor_no, i.name, count(*) AS tracks
FROM track_groups g
JOIN grouped_tracks b ON b.network_id = g.network_id AND b.group_no = g.group_no
JOIN track_labels k ON k.labelling_id = (SELECT labelling_id FROM active)
                   AND k.content_id = b.content_id AND k.track_no = b.track_no
JOIN identities a ON a.id = k.identity_id
JOIN identities i ON i.id = a.survivor_id
WHERE g.network_id = (SELECT network_id FROM active) AND g.survivor_no {given}
GROUP BY g.survivor_no, i.name ORDER BY tracks DESC, i.name
"""


@dataclass(frozen=True, slots=True)
class Stranger:
    """A group of tracks that show one person; counts are of those tracks that have no name.

    Attributes:
        number: what it is called.
        identity: who a person has named it as; None for nobody.
        contents: different clips.
        media: files and objects that hold them.
        tracks: how many.
        named_tracks: tracks of the group that have a name, which are not counted otherwise.
        screen_time_ms: over all media.
        face_px: size of the largest best face.
        first_annotated_at: when the first of its clips was annotated.
        last_annotated_at: when the last was.
        resembles: whose name most of the named tracks have; None where there are none.
        views: of its media, all together; None where nobody has told.

    """

    number: int
    identity: str | None
    contents: int
    media: int
    tracks: int
    named_tracks: int
    screen_time_ms: int
    face_px: float
    first_annotated_at: datetime
    last_annotated_at: datetime
    resembles: str | None = None
    views: float | None = None


@dataclass(frozen=True, slots=True)
class StrangerTrack:
    """A track of a group, in one of the media that hold its clip.

    Attributes:
        media_uri: the media.
        etag: under which it was read.
        content_id: its bytes.
        track_no: which of its tracks.
        identity: the name that the track has; None for a stranger's.
        first_seen_ms: when it begins.
        last_seen_ms: when it ends.
        screen_time_ms: how long it is seen.
        face_px: size of its best face.
        quality: of its best face, in [0, 1].

    """

    media_uri: str
    etag: str | None
    content_id: int
    track_no: int
    identity: str | None
    first_seen_ms: int
    last_seen_ms: int
    screen_time_ms: int
    face_px: float
    quality: float


def list_strangers(
    connection: Connection,
    *,
    limit: int,
    min_media: int = 1,
    has_known: bool = False,
    views: Iterable[tuple[str, float]] | None = None,
) -> list[Stranger]:
    """Return groups that are seen most: in the order of views where these are given, else of media.

    Args:
        connection: any.
        limit: how many.
        min_media: in how many media a group is seen at least.
        has_known: those, too, that were named, and those of whose tracks half or more have a name.
        views: URIs of media, or their keys, with how often each is viewed.

    """
    wanted = select(_GROUPS).where(_GROUPS.c.media >= min_media)
    if not has_known:
        wanted = wanted.where(_GROUPS.c.identity.is_(None), _GROUPS.c.named_tracks < _GROUPS.c.tracks)
    most_seen = wanted.order_by(_GROUPS.c.media.desc(), _GROUPS.c.screen_time_ms.desc(), _GROUPS.c.stranger)
    if views is None:
        found = [Stranger(*row) for row in connection.execute(most_seen.limit(limit))]
    else:
        viewed = _views_of_groups(connection, dict(views))
        all_of_them = [Stranger(*row) for row in connection.execute(most_seen)]
        ordered = sorted(all_of_them, key=lambda one: -viewed[one.number])  # those of as many views stay in order
        found = [replace(one, views=viewed[one.number]) for one in ordered[:limit]]
    names = _names(connection, [one.number for one in found])
    return [replace(one, resembles=names.get(one.number)) for one in found]


def tracks_of_stranger(connection: Connection, number: int) -> list[StrangerTrack]:
    """Return the tracks of a group, in every media that holds their clips; in order."""
    rows = connection.execute(text(_TRACKS), {"stranger": number})
    return [StrangerTrack(*row[1:]) for row in rows]


def _views_of_groups(connection: Connection, views: Mapping[str, float]) -> Mapping[int, float]:
    viewed: dict[int, float] = defaultdict(float)
    rows = connection.execute(_VIEWED.execution_options(stream_results=True))
    for some in rows.partitions(_READ_AT_ONCE):
        for number, media_uri, media_key in some:
            viewed[number] += views.get(media_uri, views.get(media_key, 0.0))
    return viewed


def _names(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """Return the name that most of each group's named tracks have."""
    statement = text(_NAMES.format(given=given_ids(connection)))
    rows: Any = connection.execute(statement, {"ids": ids_param(connection, numbers)})
    names: dict[int, str] = {}
    for number, name, _ in rows:
        names.setdefault(number, name)
    return names
