"""Ids of what results hang on: sources, media, contents, networks, labellings. All calls are idempotent."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, Connection, LargeBinary, Text, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from annotator.errors import ConfigError
from annotator.store import partitions
from annotator.store.bulk import array_literal
from annotator.store.columns import utc_now
from annotator.store.dialect import is_postgres
from annotator.store.tables import active, contents, labellings, media, networks, sources
from annotator.types import MediaRef

_T = TypeVar("_T")


def insert_missing(connection: Connection, table: Any) -> Any:  # noqa: ANN401 - the dialects' inserts share no base class
    """Return an INSERT … ON CONFLICT DO NOTHING of the connection's dialect."""
    return dialect_insert(connection, table).on_conflict_do_nothing()


def dialect_insert(connection: Connection, table: Any) -> Any:  # noqa: ANN401 - as above
    """Return the INSERT of the connection's dialect, which knows ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def canonical_json(value: object) -> str:
    """Return JSON that is equal for equal values: sorted keys, no spaces, ASCII.

    Raises:
        TypeError: a value is none of JSON's.
        ValueError: a number is not finite.

    >>> canonical_json({"b": (1, 2), "a": None})
    '{"a":null,"b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def register_network(connection: Connection, spec: Mapping[str, object]) -> int:
    """Return the id of a network: whatever can change tracks or embeddings is in its spec.

    Raises:
        TypeError: the spec holds something that JSON has no form for.

    """
    canonical = canonical_json(spec)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    known = connection.execute(select(networks.c.id).where(networks.c.digest == digest)).scalar_one_or_none()
    if known is None:
        connection.execute(
            insert_missing(connection, networks).values(digest=digest, spec=json.loads(canonical), created_at=utc_now())
        )
        known = connection.execute(select(networks.c.id).where(networks.c.digest == digest)).scalar_one()
    partitions.add_network(connection, known)
    return int(known)


def register_labelling(
    connection: Connection,
    network_id: int,
    *,
    model: str,
    digest: str,
    calibration: Mapping[str, object] | None = None,
) -> int:
    """Return the id of a labelling; the first one becomes the active one. One that was retired comes back.

    Args:
        connection: in a transaction that writes.
        network_id: the network whose tracks it labels.
        model: as users see it, e.g. ``"starter@1"``.
        digest: of all that can change a label: prototypes, thresholds, calibration, enrolled people.
        calibration: thresholds and confidence as JSON (``Calibration.to_json``), of a new labelling. Without it a track
            whose name a person takes away is unknown, whoever is next.

    """
    wanted = select(labellings.c.id).where(labellings.c.network_id == network_id, labellings.c.digest == digest)
    known = connection.execute(wanted).scalar_one_or_none()
    if known is None:
        connection.execute(
            insert_missing(connection, labellings).values(
                network_id=network_id,
                model=model,
                digest=digest,
                created_at=utc_now(),
                calibration=None if calibration is None else dict(calibration),
            )
        )
        known = connection.execute(wanted).scalar_one()
    partitions.use_labelling(connection, known)
    connection.execute(
        insert_missing(connection, active).values(
            only_row=1, labelling_id=known, network_id=network_id, switched_at=utc_now()
        )
    )
    return int(known)


def active_labelling(connection: Connection) -> int | None:
    """Return the labelling that the views show, None in an empty database."""
    found = connection.execute(select(active.c.labelling_id)).scalar_one_or_none()
    return None if found is None else int(found)


def active_network(connection: Connection) -> int | None:
    """Return the network of the labelling that the views show, None in an empty database."""
    found = connection.execute(select(active.c.network_id)).scalar_one_or_none()
    return None if found is None else int(found)


def embedders(connection: Connection) -> dict[int, str | None]:
    """Return what made the embeddings of each network, None where its spec does not say."""
    rows = connection.execute(select(networks.c.id, networks.c.spec).order_by(networks.c.id))
    return {network_id: spec.get("embedder") for network_id, spec in rows}


def embedder_of(connection: Connection, network_id: int) -> str | None:
    """Return what made the embeddings of a network, None where its spec does not say."""
    spec = connection.execute(select(networks.c.spec).where(networks.c.id == network_id)).scalar_one()
    found: str | None = spec.get("embedder")
    return found


def shown_network(connection: Connection, *, embedder: str) -> int:
    """Return the network of the labelling that the views show, whose embeddings a model can compare with its own.

    Args:
        connection: any.
        embedder: what made the model's embeddings.

    Raises:
        ConfigError: nothing is annotated, or what is shown was embedded by another one.

    """
    network_id = active_network(connection)
    if network_id is None:
        raise ConfigError("nothing is annotated yet: begin with `annotator annotate`")
    if (shown := embedder_of(connection, network_id)) != embedder:
        raise ConfigError(
            f"what is shown was embedded by {shown}, and the model needs {embedder}: give --model the one that is shown"
        )
    return network_id


def split_uri(uri: str) -> tuple[str, str]:
    """Split a media's URI into its source and its key; together they are the URI again.

    The key of an S3 object is the object's key. A source is a bucket, a host, or this machine's files.

    >>> split_uri("s3://gifs/2024/a b.gif"), split_uri("file:///srv/x.gif"), split_uri("https://example.org/x.gif?y=1")
    (('s3://gifs/', '2024/a b.gif'), ('file:///', 'srv/x.gif'), ('https://example.org/', 'x.gif?y=1'))

    Raises:
        ValueError: it is no URI with a scheme.

    """
    parts = urlsplit(uri)
    if not parts.scheme or not uri.startswith(f"{parts.scheme}://"):
        raise ValueError(f"a media needs a URI such as file:///…, https://… or s3://…, got {uri!r}")
    source = f"{parts.scheme}://{parts.netloc}/"
    # A host without a path ("https://example.org") is the host's root.
    return source, uri[len(source) :]


def register_sources(connection: Connection, uris: Collection[str]) -> dict[str, int]:
    """Return the ids of sources (``"file:///"``, ``"s3://bucket/"``, ``"https://host/"``), by URI."""
    wanted = select(sources.c.uri, sources.c.id).where(sources.c.uri.in_(sorted(set(uris))))
    found = dict(connection.execute(wanted).all())
    missing = sorted(set(uris) - found.keys())
    if missing:
        connection.execute(insert_missing(connection, sources), [{"uri": uri} for uri in missing])
        found = dict(connection.execute(wanted).all())
    return found


def register_contents(connection: Connection, digests: Collection[str], *, new: Collection[str] = ()) -> dict[str, int]:
    """Return the ids of contents, by the sha256 of their bytes (hexadecimal).

    Args:
        connection: in a transaction that writes.
        digests: of which contents.
        new: those of them that are hardly there already: on Postgres they are not looked for first, which takes half of
            the time. Of one that is there, a number of the sequence is wasted, and partitions are made for it: where
            another network annotates an archive anew, a few of them tell that it is one.

    """
    found: dict[str, int] = {}
    if new and is_postgres(connection) and not find_contents(connection, list(new)[:_LOOKED_AT]):
        given = array_literal(sorted(bytes.fromhex(digest) for digest in set(new)), LargeBinary())
        found = _digests_to_ids(connection.exec_driver_sql(_ADD_NEW_CONTENTS, (given,)).all())
    missing = set(digests) - found.keys()
    if not missing:
        return found
    found |= find_contents(connection, missing)
    missing -= found.keys()
    if missing:
        rows = [{"sha256": bytes.fromhex(digest)} for digest in sorted(missing)]
        connection.execute(insert_missing(connection, contents), rows)
        found |= find_contents(connection, missing)
    return found


_LOOKED_AT: Final = 4

_ADD_NEW_CONTENTS: Final = """
INSERT INTO contents (sha256) SELECT unnest(%s::bytea[]) ON CONFLICT DO NOTHING RETURNING sha256, id
"""


def _digests_to_ids(rows: Iterable[Any]) -> dict[str, int]:
    return {bytes(digest).hex(): content_id for digest, content_id in rows}


def find_contents(connection: Connection, digests: Iterable[str]) -> dict[str, int]:
    """Return the ids of those contents that the store has, by the sha256 of their bytes (hexadecimal)."""
    raw = [bytes.fromhex(digest) for digest in digests]
    rows = connection.execute(select(contents.c.sha256, contents.c.id).where(contents.c.sha256.in_(raw)))
    return _digests_to_ids(rows.all())


def link_media(
    connection: Connection, refs: Sequence[MediaRef], *, media_ids: Mapping[str, int], content_ids: Mapping[str, int]
) -> None:
    """Note what media hold that are registered; rows are written only where something changed.

    What was deleted while a worker had it in hand stays deleted: whether an object is there, listings and notifications
    say.

    Args:
        connection: in a transaction that writes.
        refs: media as they were read, with the etag that they were read under.
        media_ids: their ids, by URI.
        content_ids: what they hold, by URI; those that were not read are left out.

    """
    etags = {media_ids[ref.uri]: ref.etag for ref in refs if ref.uri in content_ids}
    contents_of = {media_ids[uri]: content_id for uri, content_id in content_ids.items()}
    ids = sorted(etags)
    if is_postgres(connection):
        columns = (array_literal(ids, BigInteger()), array_literal([etags[one] for one in ids], Text()))
        held = array_literal([contents_of[one] for one in ids], BigInteger())
        connection.exec_driver_sql(_LINK_MEDIA, (*columns, held))
    elif ids:
        rows = [(etags[one], contents_of[one]) for one in ids]
        connection.exec_driver_sql(
            "UPDATE media SET etag = ?1, content_id = ?2 WHERE id = ?3 AND (etag IS NOT ?1 OR content_id IS NOT ?2)",
            [(*row, one) for row, one in zip(rows, ids, strict=True)],
        )


_LINK_MEDIA: Final = """
UPDATE media m SET etag = u.etag, content_id = u.content_id
FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) u(id, etag, content_id)
WHERE m.id = u.id AND (m.etag IS DISTINCT FROM u.etag OR m.content_id IS DISTINCT FROM u.content_id)
"""


def register_media(
    connection: Connection, refs: Sequence[MediaRef], *, content_ids: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the ids of media, by URI; rows are written only where something changed.

    Args:
        connection: in a transaction that writes.
        refs: media as their source names them now. A new etag means new bytes: the content is unknown until read.
        content_ids: for media that have been read, what they hold, by URI.

    """
    wanted = {ref.uri: ref for ref in refs}
    read = content_ids or {}
    split = {uri: split_uri(uri) for uri in wanted}
    source_ids = register_sources(connection, {source for source, _ in split.values()})
    places = {uri: (source_ids[source], key) for uri, (source, key) in split.items()}
    found = _find_places(connection, places.values())
    missing = sorted({place: uri for uri, place in places.items() if place not in found}.items())
    if missing:
        connection.execute(
            insert_missing(connection, media),
            [
                {"source_id": source_id, "key": key, "etag": wanted[uri].etag, "content_id": read.get(uri)}
                for (source_id, key), uri in missing
            ],
        )
        found |= _find_places(connection, [place for place, _ in missing])
    ids = {}
    changes = []
    for uri, place in places.items():
        row = found[place]
        ids[uri] = row.id
        etag = row.etag if wanted[uri].etag is None and uri not in read else wanted[uri].etag
        content_id = read.get(uri, row.content_id if etag == row.etag else None)
        if (etag, content_id, None) != (row.etag, row.content_id, row.deleted_at):
            changes.append({"media_id": row.id, "new_etag": etag, "new_content_id": content_id})
    if changes:
        connection.execute(
            update(media)
            .where(media.c.id == bindparam("media_id"))
            .values(etag=bindparam("new_etag"), content_id=bindparam("new_content_id"), deleted_at=None),
            sorted(changes, key=lambda change: change["media_id"]),
        )
    return ids


def find_media(connection: Connection, refs: Sequence[MediaRef]) -> dict[str, Any]:
    """Return the rows (id, etag, content_id) of those media that the store has, by URI."""
    places: dict[tuple[int, str], str] = {}
    split = {ref.uri: split_uri(ref.uri) for ref in refs}
    uris = sorted({source for source, _ in split.values()})
    rows = connection.execute(select(sources.c.uri, sources.c.id).where(sources.c.uri.in_(uris)))
    source_ids = dict(rows.all())
    for uri, (source, key) in split.items():
        if source in source_ids:
            places[source_ids[source], key] = uri
    return {places[place]: row for place, row in _find_places(connection, places).items()}


def _find_places(connection: Connection, places: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Any]:
    keys_by_source: dict[int, list[str]] = defaultdict(list)
    for source_id, key in places:
        keys_by_source[source_id].append(key)
    found: dict[tuple[int, str], Any] = {}
    for source_id, keys in keys_by_source.items():
        rows = connection.execute(
            select(
                media.c.id, media.c.source_id, media.c.key, media.c.etag, media.c.content_id, media.c.deleted_at
            ).where(media.c.source_id == source_id, media.c.key.in_(keys))
        )
        found |= {(row.source_id, row.key): row for row in rows}
    return found


def batched(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Cut a sequence into pieces of a size; the last one may be shorter.

    >>> list(batched("abcde", 2))
    ['ab', 'cd', 'e']
    """
    for start in range(0, len(values), size):
        yield values[start : start + size]
