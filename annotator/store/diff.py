"""What one labelling changes against another, over the whole archive.

Both label the same tracks, so the difference is counted track by track: a name is added, dropped, or flipped to
another one. The database does the counting: what differs goes into a temporary table, and only sums leave it. Whoever
was merged counts as the person who took over. Contents that only one of the two has labelled are left out, and told.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from annotator.errors import ConfigError
from annotator.store.backlog.ordering import load_views
from annotator.store.connection import several
from annotator.store.dialect import is_postgres
from annotator.store.identities import load_identities
from annotator.store.labellings import Labelling
from annotator.types import Identity

MOST_PAIRS: Final = 100
"""Pairs of names that are told, those with the most flips."""

_SURVIVORS: Final = "JOIN identities i{0} ON i{0}.id = {0}.identity_id"
_HAS_LABELLED: Final = (
    "EXISTS (SELECT 1 FROM labelled_contents o WHERE o.labelling_id = :{other} AND o.content_id = {mine}.content_id)"
)
_CHANGED: Final = f"""
SELECT a.content_id, a.track_no, ia.survivor_id AS before_id, ib.survivor_id AS after_id
FROM track_labels a {_SURVIVORS.format("a")}
LEFT JOIN track_labels b ON b.labelling_id = :after AND b.content_id = a.content_id AND b.track_no = a.track_no
LEFT JOIN identities ib ON ib.id = b.identity_id
WHERE a.labelling_id = :before AND (ib.survivor_id IS NULL OR ib.survivor_id <> ia.survivor_id)
  AND {_HAS_LABELLED.format(other="after", mine="a")}
UNION ALL
SELECT b.content_id, b.track_no, NULL, ib.survivor_id
FROM track_labels b {_SURVIVORS.format("b")}
WHERE b.labelling_id = :after
  AND NOT EXISTS (SELECT 1 FROM track_labels a
                  WHERE a.labelling_id = :before AND a.content_id = b.content_id AND a.track_no = b.track_no)
  AND {_HAS_LABELLED.format(other="before", mine="b")}
"""  # noqa: S608  (only constants are joined)
_NAMED_BEFORE: Final = f"""
SELECT ia.survivor_id, count(*) FROM track_labels a {_SURVIVORS.format("a")}
WHERE a.labelling_id = :before AND {_HAS_LABELLED.format(other="after", mine="a")}
GROUP BY ia.survivor_id
"""  # noqa: S608  (only constants are joined)
_LOST: Final = """
SELECT before_id, sum(CASE WHEN after_id IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN after_id IS NULL THEN 0 ELSE 1 END)
FROM changed_labels WHERE before_id IS NOT NULL GROUP BY before_id
"""
_WON: Final = """
SELECT after_id, sum(CASE WHEN before_id IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN before_id IS NULL THEN 0 ELSE 1 END)
FROM changed_labels WHERE after_id IS NOT NULL GROUP BY after_id
"""
_PAIRS: Final = """
SELECT before_id, after_id, count(*) AS tracks FROM changed_labels
WHERE before_id IS NOT NULL AND after_id IS NOT NULL
GROUP BY before_id, after_id ORDER BY tracks DESC, before_id, after_id LIMIT :limit
"""
_CONTENTS: Final = f"""
SELECT count(*) AS labelled, sum(CASE WHEN {_HAS_LABELLED.format(other="after", mine="a")} THEN 1 ELSE 0 END) AS both
FROM labelled_contents a WHERE a.labelling_id = :before
"""  # noqa: S608  (only constants are joined)
# Views are told by key, or by the whole address; those of all media that hold a content add up.
_VIEWS_OF: Final = "(SELECT max(k.views) FROM viewed_keys k WHERE k.key = {key})"
_VIEWED: Final = f"""
SELECT m.content_id, sum(coalesce({_VIEWS_OF.format(key="m.key")}, {_VIEWS_OF.format(key="{address}")}, 0)) AS views
FROM (SELECT DISTINCT content_id FROM changed_labels WHERE before_id IS NOT NULL AND after_id IS NOT NULL) f
JOIN media m ON m.content_id = f.content_id AND m.deleted_at IS NULL
JOIN sources s ON s.id = m.source_id
GROUP BY m.content_id
"""  # noqa: S608  (only constants are joined)
_ADDRESS: Final = "(s.uri || m.key)"
_FLIPS: Final = """
SELECT c.content_id, c.track_no, c.before_id, c.after_id, t.first_ms, t.screen_ms, v.views, {media} AS media_id
FROM changed_labels c
JOIN tracks t ON t.network_id = :network AND t.content_id = c.content_id AND t.track_no = c.track_no
LEFT JOIN {viewed} v ON v.content_id = c.content_id
WHERE c.before_id IS NOT NULL AND c.after_id IS NOT NULL
ORDER BY coalesce(v.views, 0) DESC, t.screen_ms DESC, c.content_id, c.track_no LIMIT :limit
"""
_MEDIA_OF: Final = "(SELECT min(m.id) FROM media m WHERE m.content_id = c.content_id AND m.deleted_at IS NULL)"
# The newest contents: which of very many are told matters little, and these cost no sorting by another table.
_EXAMPLES: Final = f"""
SELECT c.content_id, c.track_no, coalesce(c.before_id, c.after_id) AS person_id, {_MEDIA_OF} AS media_id
FROM changed_labels c WHERE {{which}} ORDER BY c.content_id DESC, c.track_no LIMIT :limit
"""  # noqa: S608  (only constants are joined)
_GAINED: Final = "c.before_id IS NULL"
_LOST_ALONE: Final = "c.after_id IS NULL"
_NO_VIEWS: Final = "(SELECT 0 AS content_id, CAST(NULL AS double precision) AS views)"
_WHERE: Final = "SELECT s.uri || m.key, m.etag FROM media m JOIN sources s ON s.id = m.source_id WHERE m.id = :media"

_Transactions = Callable[..., AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what one labelling has labelled another has, too.

    Attributes:
        labelled: contents that the first has labelled.
        both: of these, contents that the second has labelled.

    """

    labelled: int
    both: int


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What becomes of one person's tracks.

    Attributes:
        identity: who.
        before: tracks that had the name.
        dropped: of these, tracks without a name now.
        flipped_away: of these, tracks that have another name now.
        added: tracks that had no name and have this one now.
        flipped_to: tracks that had another name and have this one now.

    """

    identity: Identity
    before: int
    dropped: int
    flipped_away: int
    added: int
    flipped_to: int

    @property
    def lost(self) -> int:
        """Tracks that had the name and do not have it now."""
        return self.dropped + self.flipped_away

    @property
    def after(self) -> int:
        """Tracks that have the name now."""
        return self.before - self.lost + self.added + self.flipped_to


@dataclass(frozen=True, slots=True)
class Flip:
    """A track that gets another name.

    Attributes:
        media_uri: a media that shows it; None where all of them were deleted.
        etag: of that media, as it was read.
        content_id: its bytes.
        track_no: which track.
        before: the name it had.
        after: the name it has now.
        first_ms: when the track begins.
        screen_ms: how long it is displayed.
        views: of the media that hold the content; None where no views were given.
        media_id: of that media; None where all of them were deleted.

    """

    media_uri: str | None
    etag: str | None
    content_id: int
    track_no: int
    before: Identity
    after: Identity
    first_ms: int
    screen_ms: int
    views: float | None
    media_id: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A track that gets a name, or loses it.

    Attributes:
        media_id: of a media that shows it; None where all of them were deleted.
        media_uri: of the same.
        track_no: which track.
        identity: whose name.

    """

    media_id: int | None
    media_uri: str | None
    track_no: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class LabellingDiff:
    """What one labelling changes against another.

    Attributes:
        before: the labelling that is compared with.
        after: the other one.
        contents: contents that both have labelled.
        unlabelled: contents that only ``before`` has labelled: not compared.
        named: tracks that ``before`` names.
        added: tracks that get a name.
        dropped: tracks that lose theirs.
        flipped: tracks that get another one.
        people: everybody for whom something changes, most lost first.
        pairs: names and how many tracks flip from the first to the second, most first; at most ``MOST_PAIRS``.
        flips: the flips that matter most: by views where they are known, else by time on screen.
        gained: some of the tracks that get a name, of the newest contents.
        lost: some of those that lose theirs.

    """

    before: Labelling
    after: Labelling
    contents: int
    unlabelled: int
    named: int
    added: int
    dropped: int
    flipped: int
    people: tuple[PersonChange, ...]
    pairs: tuple[tuple[Identity, Identity, int], ...]
    flips: tuple[Flip, ...]
    gained: tuple[Example, ...] = ()
    lost: tuple[Example, ...] = ()


def read_coverage(connection: Connection, before: Labelling, after: Labelling) -> Coverage:
    """Count contents that the first labelling has labelled, and those of them that the second has, too."""
    bound = {"before": before.labelling_id, "after": after.labelling_id}
    row = connection.execute(text(_CONTENTS), bound).one()
    return Coverage(int(row.labelled), int(row.both or 0))


def compare_labellings(
    engine: Engine,
    before: Labelling,
    after: Labelling,
    *,
    most_flips: int = 50,
    most_examples: int = 0,
    views: Iterable[tuple[str, float]] | None = None,
) -> LabellingDiff:
    """Say what a labelling changes against another one of the same network.

    Args:
        engine: of the database; its user may make temporary tables.
        before: what is compared with.
        after: what may take its place.
        most_flips: how many flips are told one by one.
        most_examples: how many tracks that get a name, and how many that lose theirs, are told one by one.
        views: keys or addresses of media with their views.

    Raises:
        ConfigError: they are of different networks, whose tracks are not the same.
        StoreUnavailableError: the database does not answer.

    """
    if before.network_id != after.network_id:
        raise ConfigError(
            f"{before.model} and {after.model} label the tracks of different networks, which cannot be compared one by"
            " one: compare their accuracy on golden clips instead"
        )
    with several(engine) as transaction:
        if views is not None:
            load_views(transaction, views)
        try:
            most = (most_flips, most_examples)
            return _compare(transaction, before, after, most, has_views=views is not None)
        finally:
            with transaction() as connection:
                for table in ("changed_labels", "viewed_contents", "viewed_keys"):
                    connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def _compare(
    transaction: _Transactions, before: Labelling, after: Labelling, most: tuple[int, int], *, has_views: bool
) -> LabellingDiff:
    most_flips, most_examples = most
    bound = {"before": before.labelling_id, "after": after.labelling_id, "network": before.network_id}
    with transaction(writes=False) as connection:
        if is_postgres(connection):  # all of one snapshot
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        connection.execute(text(f"CREATE TEMP TABLE changed_labels AS {_CHANGED}"), bound)
        connection.execute(text("ANALYZE changed_labels"))
        if has_views:
            _sum_up_views(connection)
        names = load_identities(connection)
        people = _people(connection, bound, names)
        pairs = connection.execute(text(_PAIRS), {"limit": MOST_PAIRS}).all()
        flips = _FLIPS.format(media=_MEDIA_OF, viewed="viewed_contents" if has_views else _NO_VIEWS)
        rows = connection.execute(text(flips), bound | {"limit": most_flips}).all()
        contents = read_coverage(connection, before, after)
        return LabellingDiff(
            before=before,
            after=after,
            contents=contents.both,
            unlabelled=contents.labelled - contents.both,
            named=sum(one.before for one in people),
            added=sum(one.added for one in people),
            dropped=sum(one.dropped for one in people),
            flipped=sum(one.flipped_to for one in people),
            people=tuple(one for one in people if one.lost or one.added or one.flipped_to),
            pairs=tuple((names[first], names[second], count) for first, second, count in pairs),
            flips=tuple(_flip(connection, row, names) for row in rows),
            gained=_examples(connection, _GAINED, names, limit=most_examples),
            lost=_examples(connection, _LOST_ALONE, names, limit=most_examples),
        )


def _sum_up_views(connection: Connection) -> None:
    """Make a temporary table of the views of those contents that show a flip."""
    postgres = is_postgres(connection)
    connection.execute(text(f"CREATE INDEX {'' if postgres else 'temp.'}viewed_by_key ON viewed_keys (key)"))
    address = f'{_ADDRESS} COLLATE "C"' if postgres else _ADDRESS  # as keys are: without it no index is used
    connection.execute(text(f"CREATE TEMP TABLE viewed_contents AS {_VIEWED.format(address=address)}"))


def _people(connection: Connection, bound: dict[str, int], names: dict[int, Identity]) -> list[PersonChange]:
    named = {one: int(count) for one, count in connection.execute(text(_NAMED_BEFORE), bound)}
    lost = {one: (int(dropped), int(flipped)) for one, dropped, flipped in connection.execute(text(_LOST))}
    won = {one: (int(added), int(flipped)) for one, added, flipped in connection.execute(text(_WON))}
    people = []
    for one in named.keys() | won.keys():
        (dropped, flipped_away), (added, flipped_to) = lost.get(one, (0, 0)), won.get(one, (0, 0))
        people.append(PersonChange(names[one], named.get(one, 0), dropped, flipped_away, added, flipped_to))
    return sorted(people, key=lambda person: (-person.lost, -person.added, person.identity.name))


def _flip(connection: Connection, row: Any, names: dict[int, Identity]) -> Flip:  # noqa: ANN401  (SQLAlchemy's row)
    found = connection.execute(text(_WHERE), {"media": row.media_id}).one_or_none()
    uri, etag = (None, None) if found is None else found
    return Flip(
        media_uri=uri,
        etag=etag,
        content_id=row.content_id,
        track_no=row.track_no,
        before=names[row.before_id],
        after=names[row.after_id],
        first_ms=row.first_ms,
        screen_ms=row.screen_ms,
        views=row.views,
        media_id=row.media_id,
    )


def _examples(connection: Connection, which: str, names: dict[int, Identity], *, limit: int) -> tuple[Example, ...]:
    rows = connection.execute(text(_EXAMPLES.format(which=which)), {"limit": limit}).all() if limit else []
    found = []
    for row in rows:
        where = connection.execute(text(_WHERE), {"media": row.media_id}).one_or_none()
        uri = None if where is None else where[0]
        found.append(Example(row.media_id, uri, row.track_no, names[row.person_id]))
    return tuple(found)
