"""What is promised to be quick reads no big table from end to end, on both databases, at a million media.

Times depend on the machine: benchmarks/queries.py measures them. What is asserted here is how a query is answered.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from annotator.store import upgrade
from annotator.store.connection import open_engine
from tests.fixtures_database import BOTH, PostgresForTests
from tests.million import PROMISED, fill

pytestmark = pytest.mark.slow
# They grow with the archive, and stand for their partitions, too; below, how the views call them.
BIG = (
    *("media", "contents", "annotations", "tracks", "track_embeddings"),
    *("labelled_contents", "track_labels", "content_labels_by", "work"),
)
BIG_ALIASES = {"l", "m", "t", "k", "w"}
# Conditions that all rows which are looked at fulfil.
NO_CHOICE = {"labelling_id", "network_id"}
# By these indexes in order, until there are enough: that reads few rows.
IN_ORDER = ("ix_content_labels_by_time", "_labelled_at_idx")


@pytest.fixture(scope="module", params=BOTH)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("million") / "million.db"
        yield from _filled(f"sqlite:///{path}")
        path.unlink()
        return
    server: PostgresForTests = request.getfixturevalue("postgres_server")
    yield from _filled(server.create("million"))
    server.drop("million")


def _filled(url: str) -> Iterator[Engine]:
    upgrade(url)
    engine = open_engine(url)
    fill(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_query_reads_no_big_table_from_end_to_end(archive: Engine, name: str) -> None:
    query, values = PROMISED[name]
    assert [read_whole(archive, query, values(k)) for k in (0, 3, 11)] == [set()] * 3


@pytest.mark.parametrize("name", [name for name in PROMISED if name != "failures by reason"])
def test_a_promised_query_finds_something(archive: Engine, name: str) -> None:
    query, values = PROMISED[name]
    with archive.connect() as connection:
        assert any(connection.execute(text(query), values(k)).first() is not None for k in range(50))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT identity FROM content_labels WHERE media_uri = 's3://gifs/g/00000010.gif'",
        "SELECT * FROM unknown_tracks ORDER BY face_px DESC LIMIT 10",
        "SELECT reason, count(*) FROM failures GROUP BY reason",
    ],
)
def test_what_is_not_promised_is_seen_to_read_a_big_table(archive: Engine, query: str) -> None:
    """The check above can fail."""
    assert read_whole(archive, query, {}) != set()


def read_whole(engine: Engine, query: str, values: dict[str, object]) -> set[str]:
    """Return the big tables (or their aliases) of which a query reads all rows, in a table or in an index."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            steps = connection.execute(text(f"EXPLAIN QUERY PLAN {query}"), values).scalars("detail")
            is_limited = "ORDER BY annotated_at" in query
            read = (_read_whole_by_sqlite(step, is_limited=is_limited) for step in steps)
            return {alias for alias in read if alias in BIG_ALIASES}
        filled = set(connection.execute(text("SELECT relname FROM pg_class WHERE reltuples > 1000")).scalars())
        plan = connection.execute(text(f"EXPLAIN (FORMAT JSON) {query}"), values).scalar_one()
        return {one for one in _read_whole_by_postgres(plan) if one in filled and one.partition("__")[0] in BIG}


def _read_whole_by_sqlite(step: str, *, is_limited: bool) -> str | None:
    found = re.match(r"(SCAN|SEARCH) (\w+)(?: USING .*?(\w+) \((.*)\))?", step)
    if found is None:
        return None
    how, alias, index, conditions = found.groups()
    chosen = set(re.findall(r"(\w+)[=<>]", conditions or "")) - NO_CHOICE
    return alias if how == "SCAN" or not (chosen or (is_limited and index.endswith(IN_ORDER))) else None


def _read_whole_by_postgres(plan: object) -> Iterator[str]:
    if isinstance(plan, list):
        for one in plan:
            yield from _read_whole_by_postgres(one)
    elif isinstance(plan, dict):
        if "Relation Name" in plan and not _chooses(plan):
            yield plan["Relation Name"]
        for one in plan.values():
            yield from _read_whole_by_postgres(one)


def _chooses(node: dict[str, Any]) -> bool:
    if node["Node Type"] == "Bitmap Heap Scan":
        return True  # the index scan below it says
    columns = set(re.findall(r"(?:\w+\.)?(\w+) [=<>]", node.get("Index Cond", "")))
    return bool(columns - NO_CHOICE) or node.get("Index Name", "").endswith(IN_ORDER)
