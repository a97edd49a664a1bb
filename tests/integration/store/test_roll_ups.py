"""Counts and co-appearances are rolled up, and say as of when."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, text, update

from annotator.errors import StoreUnavailableError
from annotator.store import Store, rollups
from annotator.store.connection import writing
from annotator.store.rollups import RollUpInTurn, roll_up, roll_up_if_due
from annotator.store.tables import roll_ups
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, known, ref, track, unknown


class Gallery:
    """A store in which people are seen."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.network_id = store.register_network(SPEC)
        self.labelling_id = self.labelling("1")

    def labelling(self, digest: str) -> int:
        people = dict.fromkeys(PEOPLE, 3)
        return self.store.register_labelling(self.network_id, model=f"test@{digest}", digest=digest, photographs=people)

    def show(self, name: str, content: int, *people: Any) -> None:
        tracks = [track(number) for number in range(max(1, len(people)))]
        labels = [known(one) for one in people] or [unknown(ADA)]
        outcome = annotation(ref(name), content=content, tracks=tracks, labels=labels)
        self.store.save([outcome], network_id=self.network_id, labelling_id=self.labelling_id)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def counts(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT identity, kg_mid, media, contents, screen_time_ms, best_confidence FROM identity_counts"
            " ORDER BY identity"
        )

    def pairs(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT identity, other_identity, media, contents FROM co_appearances ORDER BY 1, 2")


@pytest.fixture
def gallery(store: Store) -> Gallery:
    return Gallery(store)


def test_counts_are_of_media_and_of_contents(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA, BEN)
    gallery.show("copy of a.gif", 1, ADA, BEN)
    gallery.show("b.gif", 2, ADA)
    gallery.show("nobody.gif", 3)
    roll_up(gallery.store.engine)
    assert gallery.counts() == [
        ("Ada Lovelace", "/m/0ada", 3, 2, 900, 0.97),
        ("Bén Brown", None, 2, 1, 600, 0.97),
    ]
    assert gallery.pairs() == [("Ada Lovelace", "Bén Brown", 2, 1), ("Bén Brown", "Ada Lovelace", 2, 1)]


def test_a_roll_up_shows_its_time_and_not_what_came_after(gallery: Gallery) -> None:
    assert gallery.rows("SELECT * FROM identity_counts") == []
    before = datetime.now(UTC)
    gallery.show("a.gif", 1, ADA)
    done = roll_up(gallery.store.engine)
    gallery.show("b.gif", 2, ADA)
    assert done is not None
    assert before - timedelta(seconds=1) < done.as_of < datetime.now(UTC) + timedelta(seconds=1)
    assert [row[2] for row in gallery.counts()] == [1]
    ((as_of, from_table),) = gallery.rows("SELECT c.as_of, r.as_of FROM identity_counts c, roll_ups r")
    assert as_of == from_table
    roll_up(gallery.store.engine)
    assert [row[2] for row in gallery.counts()] == [2]


def test_media_that_are_deleted_count_no_more(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA)
    gallery.show("b.gif", 2, BEN)
    with writing(gallery.store.engine) as connection:
        connection.execute(text("UPDATE media SET deleted_at = '2026-01-01 00:00:00' WHERE key = 'a.gif'"))
    roll_up(gallery.store.engine)
    assert [row[0] for row in gallery.counts()] == ["Bén Brown"]


def test_who_was_merged_is_counted_with_who_took_over_at_once(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA, CAT)
    gallery.show("b.gif", 2, BEN, CAT)
    roll_up(gallery.store.engine)
    gallery.store.merge(BEN.name, ADA.name)
    shown = (gallery.counts(), gallery.pairs())
    assert [row[:4] for row in shown[0]] == [("Ada Lovelace", "/m/0ada", 2, 2), ("Catherine Clark", "/m/0cat", 2, 2)]
    assert shown[1] == [("Ada Lovelace", "Catherine Clark", 2, 2), ("Catherine Clark", "Ada Lovelace", 2, 2)]
    roll_up(gallery.store.engine)
    assert (gallery.counts(), gallery.pairs()) == shown


def test_two_who_were_in_one_media_and_are_merged_are_no_pair(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA, BEN)
    roll_up(gallery.store.engine)
    gallery.store.merge(BEN.name, ADA.name)
    assert gallery.pairs() == []


def test_switching_to_another_labelling_shows_its_counts_at_once(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA)
    roll_up(gallery.store.engine)
    other = gallery.labelling("2")
    assert gallery.store.label_contents(lambda tracks: [known(BEN) for _ in tracks], other, [1]) == {1}
    gallery.store.activate(other)
    assert [row[0] for row in gallery.counts()] == ["Bén Brown"]


def test_an_empty_database_has_nothing_to_roll_up(store: Store) -> None:
    assert roll_up(store.engine) is None


def test_a_store_that_has_saved_rolls_up_when_it_is_closed(database_url: str) -> None:
    with Store.open(database_url) as store:
        Gallery(store).show("a.gif", 1, ADA)
    with Store.open(database_url) as store:
        gallery = Gallery(store)
        assert [row[0] for row in gallery.counts()] == ["Ada Lovelace"]
        assert gallery.rows("SELECT count(*) FROM work_deltas") == [(0,)]
        assert gallery.rows("SELECT status, media FROM media_states") == [("done", 1)]


@pytest.mark.parametrize(("passed_s", "is_due"), [(1, False), (190, False), (210, True), (-3600, True)])
def test_a_process_that_ends_rolls_up_again_after_twenty_times_what_the_last_took(
    gallery: Gallery, passed_s: int, *, is_due: bool
) -> None:
    gallery.show("a.gif", 1, ADA)
    roll_up(gallery.store.engine)
    with writing(gallery.store.engine) as connection:
        as_of = datetime.now(UTC) - timedelta(seconds=passed_s)
        connection.execute(update(roll_ups).values(as_of=as_of, took_ms=10_000))
    assert (roll_up_if_due(gallery.store.engine) is not None) == is_due


def test_the_older_of_two_roll_ups_at_once_gives_way(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.show("a.gif", 1, ADA)
    engine = gallery.store.engine

    several = rollups.several

    @contextlib.contextmanager
    def overtaken(opened: Engine) -> Iterator[Any]:
        """Let another one begin and end between reading and writing."""
        with several(opened) as transaction:

            def opening(**how: Any) -> Any:
                if not how:
                    monkeypatch.undo()
                    gallery.show("b.gif", 2, BEN)
                    roll_up(engine)
                return transaction(**how)

            yield opening

    monkeypatch.setattr(rollups, "several", overtaken)
    assert roll_up(engine) is None
    assert [row[0] for row in gallery.counts()] == ["Ada Lovelace", "Bén Brown"]


def test_however_many_pairs_there_are_none_passes_through_the_program(gallery: Gallery) -> None:
    gallery.show("a.gif", 1, ADA, BEN, CAT)
    engine = gallery.store.engine
    asked: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    for _ in range(2):
        assert roll_up(engine) is not None
    event.remove(engine, "before_cursor_execute", _keep)
    of_labels = [statement for statement in asked if "content_labels_by" in statement]
    assert len(of_labels) == 4
    assert all(statement.startswith("CREATE TEMP TABLE") for statement in of_labels)
    of_rows = [statement for statement in asked if "co_appearances_by" in statement and statement not in of_labels]
    assert {statement.split()[0] for statement in of_rows} == {"DELETE", "INSERT", "DROP"}
    assert len(gallery.pairs()) == 6


def test_trouble_with_a_roll_up_at_the_end_is_none_of_the_callers(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.show("a.gif", 1, ADA)

    def fails(_: Engine) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(rollups, "reading", fails)
    assert roll_up_if_due(gallery.store.engine) is None


def test_a_roll_up_that_fails_rests_too(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have filled the disk, which holds everybody up until it has given the place back."""
    now_s = [0.0]
    in_turn = RollUpInTurn(gallery.store.engine, clock=lambda: now_s[0])
    tries = []

    def fail(*_: object) -> None:
        tries.append(now_s[0])
        now_s[0] += 10.0
        raise StoreUnavailableError("the disk is full")

    gallery.show("a.gif", 1, ADA)
    monkeypatch.setattr(rollups, "_roll_up", fail)
    for _ in range(100):
        with contextlib.suppress(StoreUnavailableError):
            in_turn.run()
        now_s[0] += 30.0
    assert len(tries) < 20
    monkeypatch.undo()
    now_s[0] += 1000.0
    assert in_turn.run() is not None


def test_a_roll_up_that_rests_from_a_failure_does_not_pass_for_one_that_went_well(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it notes what went well: nobody would ever hear of one that always fails."""
    now_s = [0.0]
    in_turn = RollUpInTurn(gallery.store.engine, clock=lambda: now_s[0])

    def fail(*_: object) -> None:
        raise StoreUnavailableError("the disk is full")

    gallery.show("a.gif", 1, ADA)
    monkeypatch.setattr(rollups, "_roll_up", fail)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            in_turn.run()
        now_s[0] += 15.0
    monkeypatch.undo()
    roll_up(gallery.store.engine)  # another process has done it
    took_long = update(roll_ups).values(took_ms=60_000)
    with writing(gallery.store.engine) as connection:
        connection.execute(took_long)
    assert in_turn.run() is None
    with writing(gallery.store.engine) as connection:
        connection.execute(delete(roll_ups))
    now_s[0] += 1000.0
    assert in_turn.run() is not None
    with writing(gallery.store.engine) as connection:
        connection.execute(took_long)
    assert in_turn.run() is None
