"""An archive of a million media, made by the database itself in some seconds: for plans and times of queries.

Half of the media show nobody; labels fall on 1,200 people as unevenly as fame does (the first one is in every
fiftieth media). A second labelling holds the first tenth, so that indexes have rows of another one, too.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, text

from annotator.store import Store
from annotator.store.connection import refresh_statistics, writing
from annotator.store.partitions import ensure_partitions
from annotator.store.rollups import roll_up
from annotator.types import Identity

MEDIA = 1_000_000
PEOPLE = 1_200
# `n` is the number of a media and of its content.
_STATEMENTS = {
    "contents": "INSERT INTO contents (id, sha256) SELECT n, {sha256} FROM {numbers}",
    "media": "INSERT INTO media (id, source_id, key, etag, size_bytes, content_id)"
    " SELECT n, 1, {key}, 'e', 200000, n FROM {numbers}",
    "annotations": "INSERT INTO annotations (network_id, content_id, width_px, height_px, duration_ms, frames_decoded,"
    " frames_distinct, frames_sampled, faces, annotated_at)"
    " SELECT 1, n, 480, 270, 3000, 45, 45, 20, n % 3, {time} FROM {numbers}",
    "tracks": "INSERT INTO tracks (network_id, content_id, track_no, shot_no, first_ms, last_ms, screen_ms, faces,"
    " face_px, quality, boxes) SELECT 1, n, 0, 0, 0, 1000, 1000, 5, 30 + n * 7919 % 100, (n * 31 % 100) / 100.0, {blob}"
    " FROM {numbers} WHERE n % 2 = 0",
    "labelled_contents": "INSERT INTO labelled_contents (labelling_id, content_id, labelled_at)"
    " SELECT {labelling}, n, {time} FROM {numbers}",
    "track_labels": "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
    " SELECT {labelling}, n, 0, {person}, {confidence}, 0.6 FROM {numbers} WHERE n % 4 = 0",
    "content_labels_by": "INSERT INTO content_labels_by (labelling_id, content_id, identity_id, confidence, first_ms,"
    " last_ms, screen_ms, labelled_at)"
    " SELECT {labelling}, n, {person}, {confidence}, 0, 1000, 1000, {time} FROM {numbers} WHERE n % 4 = 0",
    "second people": "INSERT INTO content_labels_by (labelling_id, content_id, identity_id, confidence, first_ms,"
    " last_ms, screen_ms, labelled_at)"
    " SELECT {labelling}, n, {other}, {confidence}, 0, 1000, 1000, {time} FROM {numbers}"
    " WHERE n % 16 = 0 AND {other} <> {person}",
    "work": "INSERT INTO work (network_id, media_id, state, attempts, reason, finished_at) SELECT 1, n,"
    " CASE WHEN n % 50 = 0 THEN 3 ELSE 2 END, 1,"
    " CASE WHEN n % 50 = 0 THEN CASE WHEN n % 500 = 0 THEN 'too_large' ELSE 'undecodable' END END, {time}"
    " FROM {numbers}",
}
_BY_LABELLING = ("labelled_contents", "track_labels", "content_labels_by", "second people")


def fill(engine: Engine, *, media: int = MEDIA) -> None:
    """Fill an empty database of the newest schema."""
    store = Store(engine)
    network_id = store.register_network({"name": "million"})
    people = {Identity(f"Person {number}", f"/m/{number}"): 3 for number in range(1, PEOPLE + 1)}
    for name in ("1", "2"):
        store.register_labelling(network_id, model=f"million@{name}", digest=name, photographs=people)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO sources (id, uri) VALUES (1, 's3://gifs/')"))
        _fill_tables(connection, media)
    if engine.dialect.name == "sqlite":
        refresh_statistics(engine)
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM (ANALYZE)"))
    roll_up(engine)


def _fill_tables(connection: Connection, media: int) -> None:
    is_postgres = connection.dialect.name == "postgresql"
    words = _POSTGRES if is_postgres else _SQLITE
    for table, statement in _STATEMENTS.items():
        for labelling in (1, 2) if table in _BY_LABELLING else (1,):
            size = media if labelling == 1 else media // 10
            filled = {name: word.format(media=size) for name, word in words.items()}
            sql = statement.format(**filled, labelling=labelling)
            connection.exec_driver_sql(sql.replace("%", "%%") if is_postgres else sql)
    if is_postgres:
        connection.execute(text("SELECT setval('contents_id_seq', :n), setval('media_id_seq', :n)"), {"n": media})
        ensure_partitions(connection, network_ids=[1], labelling_ids=[1, 2])


# Fame: the share of person k falls as 1 / k does. `u` is spread evenly over (0, 1); 1200 ^ u is spread as fame is.
_PERSON = "CAST(pow({people}, CAST((n * 48271 % 1000003) + 0.5 AS double precision) / 1000003) AS integer)"
_OTHER = "CAST(pow({people}, CAST((n * 69621 % 999983) + 0.5 AS double precision) / 999983) AS integer)"
_COMMON = {
    "person": _PERSON.format(people=PEOPLE),
    "other": _OTHER.format(people=PEOPLE),
    "confidence": "0.5 + (n * 7919 % 5000) / 10000.0",
}
_POSTGRES = _COMMON | {
    "numbers": "generate_series(1, CAST({media} AS bigint)) n",
    "key": "'g/' || lpad(to_hex(n), 8, '0') || '.gif'",
    "sha256": "sha256(int8send(n))",
    "time": "timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'",
    "blob": r"'\x01'::bytea",
}
_SQLITE = _COMMON | {
    "numbers": "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {media}) SELECT n FROM c)",
    "key": "printf('g/%08x.gif', n)",
    "sha256": "CAST(printf('%032d', n * 2654435761 % 4294967296) AS blob)",
    "time": "strftime('%Y-%m-%d %H:%M:%f', 1767225600 + n, 'unixepoch') || '000'",
    "blob": "x'01'",
}

# What is promised to be quick, by name: the query, and the values of its k-th run.
PROMISED: Final[dict[str, tuple[str, Callable[[int], dict[str, object]]]]] = {
    "a person, surest first": (
        (
            "SELECT media_uri, confidence FROM content_labels WHERE identity = :name AND confidence >= 0.9"
            " ORDER BY confidence DESC LIMIT 20"
        ),
        lambda k: {"name": f"Person {_spread(k, 40, PEOPLE)}"},
    ),
    "a famous person by id, surest first": (
        (
            "SELECT media_uri, confidence FROM content_labels"
            " WHERE identity_id = (SELECT id FROM identities WHERE name = :name) ORDER BY confidence DESC LIMIT 20"
        ),
        lambda k: {"name": f"Person {_spread(k, 1, 40)}"},
    ),
    "a person by Knowledge Graph id": (
        "SELECT media_uri, identity FROM content_labels WHERE kg_mid = :mid",
        lambda k: {"mid": f"/m/{_spread(k, 200, PEOPLE)}"},
    ),
    "two people at once": (
        (
            "SELECT a.media_uri FROM content_labels a JOIN content_labels b"
            " ON b.content_id = a.content_id AND b.media_id = a.media_id"
            " WHERE a.identity = :one AND b.identity = :other LIMIT 100"
        ),
        lambda k: {"one": f"Person {_spread(k, 10, 100)}", "other": f"Person {_spread(k + 7, 10, 100)}"},
    ),
    "a media": (
        (
            "SELECT identity, confidence FROM content_labels WHERE source_uri = 's3://gifs/' AND media_key = :key"
            " ORDER BY confidence DESC"
        ),
        lambda k: {"key": key_of(16 * _spread(k, 1, MEDIA // 16))},
    ),
    "the strangers of a media": (
        "SELECT track, face_px FROM unknown_tracks WHERE source_uri = 's3://gifs/' AND media_key = :key",
        lambda k: {"key": key_of(2 * _spread(k, 1, MEDIA // 2))},
    ),
    "labelled since": (
        (
            "SELECT annotated_at, identity, media_uri FROM content_labels WHERE annotated_at >= :since"
            " ORDER BY annotated_at LIMIT 100"
        ),
        lambda k: {"since": f"2026-01-{_spread(k, 1, 12):02} 00:00:00"},
    ),
    "labelled last": (
        "SELECT annotated_at, identity, media_uri FROM content_labels ORDER BY annotated_at DESC LIMIT 100",
        lambda _: {},
    ),
    "the failure of a media": (
        "SELECT reason, message FROM failures WHERE source_uri = 's3://gifs/' AND media_key = :key",
        lambda k: {"key": key_of(50 * _spread(k, 1, MEDIA // 50))},
    ),
    "failures of a reason": (
        "SELECT media_uri, message, failed_at FROM failures WHERE reason = :reason LIMIT 100",
        lambda k: {"reason": ("too_large", "undecodable")[k % 2]},
    ),
    "failures by reason": (
        (
            "SELECT reason, sum(media) AS media FROM media_states WHERE status IN ('failed', 'quarantined')"
            " GROUP BY reason ORDER BY media DESC"
        ),
        lambda _: {},
    ),
    "who is seen most": (
        "SELECT identity, media, as_of FROM identity_counts ORDER BY media DESC, identity LIMIT 10",
        lambda _: {},
    ),
    "how often a person is seen": (
        "SELECT media, as_of FROM identity_counts WHERE identity = :name",
        lambda k: {"name": f"Person {_spread(k, 1, PEOPLE)}"},
    ),
    "with whom a person is seen": (
        "SELECT other_identity, media, as_of FROM co_appearances WHERE identity = :name ORDER BY media DESC",
        lambda k: {"name": f"Person {_spread(k, 1, PEOPLE)}"},
    ),
}


def key_of(number: int) -> str:
    """Return the key of a media."""
    return f"g/{number:08x}.gif"


def _spread(k: int, low: int, high: int) -> int:
    """Return numbers that are spread over a range, the same in each run."""
    return low + k * 7919 % (high - low)
