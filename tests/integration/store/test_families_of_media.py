"""Which media show the same clip as another one, as pages and the API tell it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.registry import active_labelling
from annotator.store.tables import content_families, content_labels_by, media
from annotator.store.web.families import FoundElsewhere, MediaFamily, OtherMedia, family_of_media, found_elsewhere
from annotator.store.web.media import find_media_row
from tests import web_archive
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, known, ref, track


@pytest.fixture
def ids(store: Store) -> dict[str, int]:
    """Return media by name: ``again.gif`` has the bytes of ``both.gif``; these two and ``ada.mp4`` are a family."""
    ids = web_archive.fill(store)
    save(store, "again.gif", content=1)
    with store.reading() as connection:
        ids["again"] = connection.execute(text("SELECT max(id) FROM media")).scalar_one()
    web_archive.make_family(store, ids["both"], ids["ada"])
    return ids


def save(store: Store, name: str, *, content: int, confidence: float = 0.9) -> None:
    """Save one more media, in which Catherine Clark is named."""
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(
        network_id, model="test@1", digest="d", photographs=dict.fromkeys(PEOPLE, 3)
    )
    one = annotation(ref(name), content=content, tracks=[track(0)], labels=[known(CAT, confidence=confidence)])
    store.save([one], network_id=network_id, labelling_id=labelling_id)


def family(store: Store, media_id: int, *, limit: int = 12, before_id: int | None = None) -> MediaFamily | None:
    with store.reading() as connection:
        row = find_media_row(connection, media_id)
        assert row is not None
        return family_of_media(connection, media_id, row.content_id, limit=limit, before_id=before_id)


def elsewhere(store: Store, media_id: int) -> list[FoundElsewhere]:
    with store.reading() as connection:
        row = find_media_row(connection, media_id)
        assert row is not None
        assert row.content_id is not None
        return found_elsewhere(connection, row.content_id, limit=5)


def test_the_others_of_a_family_come_newest_first_those_of_the_same_bytes_among_them(
    store: Store, ids: dict[str, int]
) -> None:
    found = family(store, ids["both"])
    others = (OtherMedia(ids["again"], ref("again.gif").uri, 1), OtherMedia(ids["ada"], ref("ada.mp4").uri, 3))
    assert found == MediaFamily(1, 3, min(ids["both"], ids["ada"]), others)
    found = family(store, ids["ada"])
    assert found is not None
    assert [one.media_id for one in found.others] == [ids["again"], ids["both"]]
    assert family(store, ids["apart"]) is None


def test_media_of_the_same_bytes_are_a_family_before_anybody_looked_for_families(
    store: Store, ids: dict[str, int]
) -> None:
    save(store, "apart, again.gif", content=2)
    found = family(store, ids["apart"])
    assert found is not None
    assert (found.number, found.size, found.representative) == (2, 2, ids["apart"])
    assert [one.uri for one in found.others] == [ref("apart, again.gif").uri]
    assert elsewhere(store, ids["apart"]) == []


def test_a_family_is_read_page_by_page_and_counted_whole(store: Store, ids: dict[str, int]) -> None:
    first = family(store, ids["both"], limit=1)
    assert first is not None
    rest = family(store, ids["both"], limit=1, before_id=first.others[-1].media_id)
    assert rest is not None
    assert [first.others[0].media_id, rest.others[0].media_id] == [ids["again"], ids["ada"]]
    assert (first.size, rest.size) == (3, 3)
    assert family(store, ids["both"], limit=1, before_id=rest.others[-1].media_id) is None


def test_media_that_are_gone_are_left_out_and_so_is_who_was_in_them_alone(store: Store, ids: dict[str, int]) -> None:
    assert [one.name for one in elsewhere(store, ids["ada"])] == [BEN.name]
    with store.writing() as connection:
        gone = media.c.id.in_([ids["both"], ids["again"]])
        connection.execute(update(media).where(gone).values(deleted_at=utc_now()))
    assert family(store, ids["ada"]) is None
    assert elsewhere(store, ids["ada"]) == []


def test_who_is_named_in_others_alone_is_told_by_the_surest_of_them(store: Store, ids: dict[str, int]) -> None:
    save(store, "sure.gif", content=4, confidence=0.99)
    save(store, "less.gif", content=5, confidence=0.8)
    with store.writing() as connection:
        rows = [{"content_id": one, "family_id": 1, "changes": ""} for one in (4, 5)]
        connection.execute(insert(content_families), rows)
    told = [(one.name, round(one.confidence, 2), one.uri) for one in elsewhere(store, ids["ada"])]
    assert told == [(CAT.name, 0.99, ref("sure.gif").uri), (BEN.name, 0.9, ref("again.gif").uri)]


def test_who_was_merged_is_named_here_under_either_name(store: Store, ids: dict[str, int]) -> None:
    store.merge(BEN.name, ADA.name)
    assert elsewhere(store, ids["ada"]) == []


def test_the_family_of_a_media_is_found_by_indexes_alone(store: Store, ids: dict[str, int]) -> None:
    fill_with_others(store)
    asked: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    event.listen(store.engine, "before_cursor_execute", keep)
    assert family(store, ids["ada"]) is not None
    assert elsewhere(store, ids["ada"]) != []
    event.remove(store.engine, "before_cursor_execute", keep)
    asked = [one for one in asked if "content_families" in one[0]]
    assert len(asked) == 4
    is_sqlite = store.engine.dialect.name == "sqlite"
    with store.reading() as connection:
        how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plans = [connection.exec_driver_sql(f"{how} {statement}", values).all() for statement, values in asked]
    steps = [str(row[-1]) for plan in plans for row in plan]
    # The partition of labels that is made ahead is empty: Postgres reads it in any way.
    whole = r"SCAN (media|content_)" if is_sqlite else r"Seq Scan on (media|content_families|content_labels_by__l1__0)"
    assert [step for step in steps if re.search(whole, step)] == []


def fill_with_others(store: Store, *, size: int = 6_000) -> None:
    """Add media in families of four, which have nothing to do with what is looked for."""
    with store.writing() as connection:
        source_id = connection.execute(text("SELECT id FROM sources")).scalar_one()
        numbers = range(1_000, 1_000 + size)
        others = [{"source_id": source_id, "key": f"{one:06}.gif", "content_id": one} for one in numbers]
        connection.execute(insert(media), others)
        families = [{"content_id": one, "family_id": one - one % 4, "changes": ""} for one in numbers]
        connection.execute(insert(content_families), families)
        label = {"labelling_id": active_labelling(connection), "identity_id": 1, "confidence": 0.9, "screen_ms": 100}
        times = {"first_ms": 0, "last_ms": 100, "labelled_at": datetime.now(UTC)}
        connection.execute(insert(content_labels_by), [label | times | {"content_id": one} for one in numbers])
        connection.execute(text("ANALYZE"))
