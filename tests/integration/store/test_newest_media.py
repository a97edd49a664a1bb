"""What was looked at last, for the first page."""

import json
from typing import Any

from sqlalchemy import Text, cast, event, insert, literal, select, text, update

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.registry import find_media
from annotator.store.tables import media
from annotator.store.web.overview import newest_media
from tests.store_values import ADA, BEN, PEOPLE, SPEC, annotation, known, ref, track


def test_the_newest_come_first_with_who_is_in_them_once_each_and_without_those_that_are_gone(store: Store) -> None:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    with store.reading() as connection:
        assert newest_media(connection, limit=4) == []
    labels = [known(BEN, confidence=0.7), known(ADA, confidence=0.9)]
    for number, (key, tracks) in enumerate(
        [("old.gif", [track(0), track(1)]), ("gone.gif", [track(0), track(1)]), ("nobody.gif", []), ("new.gif", [])]
    ):
        one = annotation(ref(key), content=number + 1, tracks=tracks, labels=labels[: len(tracks)])
        store.save([one], network_id=network_id, labelling_id=labelling_id)
    store.save(
        [annotation(ref("new, again.gif"), content=4, tracks=[], labels=[])],
        network_id=network_id,
        labelling_id=labelling_id,
    )
    with store.writing() as connection:
        connection.execute(update(media).where(media.c.key.like("%gone.gif")).values(deleted_at=utc_now()))
    with store.reading() as connection:
        new, nobody, old = newest_media(connection, limit=4)
        assert len(newest_media(connection, limit=1)) == 1
    assert new.uri in {ref("new.gif").uri, ref("new, again.gif").uri}
    assert [one.uri for one in (nobody, old)] == [ref(key).uri for key in ("nobody.gif", "old.gif")]
    assert (nobody.people, nobody.longest_track) == ((), None)
    assert [confidence for _, confidence in old.people] == [0.9, 0.7]
    assert old.longest_track == 0


def test_where_the_newest_are_all_gone_older_ones_are_shown(store: Store) -> None:
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
    kept = ["oldest.gif", "old.gif", *(f"gone{number}.gif" for number in range(8)), "new.gif", "newest.gif"]
    for number, key in enumerate(kept):
        one = annotation(ref(key), content=number + 1, tracks=[], labels=[])
        store.save([one], network_id=network_id, labelling_id=labelling_id)
    with store.writing() as connection:
        connection.execute(update(media).where(media.c.key.like("%gone%")).values(deleted_at=utc_now()))
    with store.reading() as connection:
        shown = {limit: [one.uri for one in newest_media(connection, limit=limit)] for limit in (1, 3, 9)}
    uris = [ref(key).uri for key in ("newest.gif", "new.gif", "old.gif", "oldest.gif")]
    assert shown == {1: uris[:1], 3: uris[:3], 9: uris}


def test_of_media_with_the_same_bytes_one_is_read_however_many_there_are(store: Store) -> None:
    copies = 20_000
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
    for number in (1, 2, 3):
        one = annotation(ref(f"{number}.gif"), content=number, tracks=[], labels=[])
        store.save([one], network_id=network_id, labelling_id=labelling_id)
    with store.writing() as connection:
        (row,) = find_media(connection, [ref("2.gif")]).values()
        source_id = connection.execute(text("SELECT id FROM sources")).scalar_one()
        numbers = select(literal(0).label("n")).cte("numbers", recursive=True)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < copies - 1))
        key = cast(100_000 + numbers.c.n, Text).concat(".gif")
        same = select(literal(source_id), key, literal(row.content_id))
        connection.execute(insert(media).from_select(["source_id", "key", "content_id"], same))
        connection.execute(text("ANALYZE"))
    if store.engine.dialect.name == "sqlite":
        assert steps_of_sqlite(store) < copies
    else:
        assert 3 <= media_read_by_postgres(store) < 100


def steps_of_sqlite(store: Store) -> int:
    """Return how many steps of SQLite's machine it takes to find the newest media, to a hundred."""
    hundreds = []
    with store.reading() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: hundreds.append(1), 100)
        assert len(newest_media(connection, limit=4)) == 3
        driver.set_progress_handler(None, 0)
    return 100 * len(hundreds)


def media_read_by_postgres(store: Store) -> float:
    """Return how many rows of media are read to find the newest ones."""
    asked: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    event.listen(store.engine, "before_cursor_execute", keep)
    with store.reading() as connection:
        assert len(newest_media(connection, limit=4)) == 3
    event.remove(store.engine, "before_cursor_execute", keep)
    of_media = [one for one in asked if "media" in one[0]]
    assert of_media
    with store.reading() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
            for statement, values in of_media
        ]
    return sum(_rows_of_media(json.loads(plan) if isinstance(plan, str) else plan) for plan in plans)


def _rows_of_media(plan: object) -> float:
    """Return the rows of media that were read in a plan and below it, also those that were left away."""
    if isinstance(plan, list):
        return sum(_rows_of_media(one) for one in plan)
    if not isinstance(plan, dict):
        return 0
    read = 0
    if plan.get("Relation Name") == "media":
        read = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return read + sum(_rows_of_media(one) for one in plan.values() if isinstance(one, (list, dict)))
