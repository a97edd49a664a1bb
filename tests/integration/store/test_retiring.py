"""Labellings that nobody uses any more: which go, which stay, and that nobody is held up or loses anything by it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, delete, text, update

from annotator.errors import ConfigError, StoreUnavailableError
from annotator.store import Store, partitions, retiring
from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, writing
from annotator.store.promotions import former_labelling
from annotator.store.queue.sessions import close_session, open_session
from annotator.store.relabelling.runs import begin
from annotator.store.retiring import retire_unused
from annotator.store.roles import set_up_roles
from annotator.store.rollups import roll_up
from annotator.store.tables import (
    labelled_contents,
    labellings,
    promotions,
    stranger_counts_by,
    stranger_roll_ups,
    worker_sessions,
)
from tests.store_values import ADA, BEN, SPEC, annotation, known, ref, track

PEOPLE = {ADA: 3, BEN: 3}
MONTH_S = 30 * 86_400.0
TABLES = ("labelled_contents", "track_labels", "content_labels_by")
ROLLED_UP = ("identity_counts_by", "co_appearances_by", "roll_ups", "stranger_counts_by", "stranger_roll_ups")


@dataclass
class Archive:
    """Two media with two people each, and labellings that were enrolled one after the other, long ago."""

    store: Store
    network_id: int
    labellings: list[int]

    def enroll(self) -> int:
        """Make the next labelling, label everything by it, and show it."""
        number = len(self.labellings) + 1
        labelling_id = self.store.register_labelling(
            self.network_id, model=f"mine@1+{number:08x}", digest=str(number), photographs=PEOPLE
        )
        self.store.save_labels(labelling_id, {content: [known(ADA), known(BEN)] for content in (1, 2)})
        self.store.activate(labelling_id)
        self.labellings.append(labelling_id)
        return labelling_id

    def long_ago(self) -> None:
        """Let all that has happened be a year ago."""
        for table, columns in (
            ("labellings", ("used_at", "created_at")),
            ("promotions", ("happened_at",)),
            ("relabellings", ("started_at", "finished_at")),
        ):
            for column in columns:
                self.run(f"UPDATE {table} SET {column} = '2025-01-01 00:00:00.000000' WHERE {column} IS NOT NULL")

    def run(self, statement: str) -> None:
        with self.store.writing() as connection:
            connection.execute(text(statement))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.store.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def labelled_by(self, labelling_id: int) -> dict[str, int]:
        """How many rows each table has of a labelling."""
        counts = {
            table: f"SELECT count(*) FROM {table} WHERE labelling_id = {labelling_id}"
            for table in (*TABLES, *ROLLED_UP)
        }
        return {table: int(str(self.rows(query)[0][0])) for table, query in counts.items()}

    def partitions(self, labelling_id: int) -> list[str]:
        """Names of tables of a labelling, attached or not."""
        wanted = f"SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE '%\\_\\_l{labelling_id}%'"
        return [str(name) for (name,) in self.rows(wanted)]

    def retired(self) -> list[int]:
        found = self.rows("SELECT id FROM labellings WHERE retired_at IS NOT NULL ORDER BY id")
        return [int(str(labelling_id)) for (labelling_id,) in found]


def begun(store: Store) -> Archive:
    """An archive with its first labelling, which is shown."""
    network_id = store.register_network(SPEC)
    first = store.register_labelling(network_id, model="mine@1", digest="0", photographs=PEOPLE)
    outcomes = [
        annotation(ref(f"{number}.gif"), content=number, tracks=[track(0), track(1)], labels=[known(ADA), known(BEN)])
        for number in (1, 2)
    ]
    store.save(outcomes, network_id=network_id, labelling_id=first)
    roll_up(store.engine)
    _count_one_stranger(store, first)
    return Archive(store, network_id, [first])


def _count_one_stranger(store: Store, labelling_id: int) -> None:
    number = {column.name: 1 for column in stranger_counts_by.columns}
    times = dict.fromkeys(("first_annotated_at", "last_annotated_at"), datetime(2026, 1, 1, tzinfo=UTC))
    of_labelling = {"labelling_id": labelling_id}
    with store.writing() as connection:
        connection.execute(stranger_counts_by.insert().values(number | times | of_labelling))
        as_of = {"as_of": times["last_annotated_at"], "took_ms": 1}
        connection.execute(stranger_roll_ups.insert().values(as_of | of_labelling))


def grown_old(store: Store) -> Archive:
    """Three labellings, of which the first one may go."""
    made = begun(store)
    made.enroll()
    made.enroll()
    made.long_ago()
    return made


@pytest.fixture
def archive(store: Store) -> Archive:
    return begun(store)


def retire(archive: Archive) -> list[int]:
    return retire_unused(archive.store.engine, after_s=MONTH_S)


def test_what_the_model_says_of_corrected_tracks_goes_with_its_labels(store: Store) -> None:
    archive = grown_old(store)
    for labelling_id in archive.labellings:
        archive.run(f"INSERT INTO overruled_labels VALUES ({labelling_id}, 1, 0, '[]')")
    first, *others = archive.labellings
    assert retire(archive) == [first]
    assert [row[0] for row in archive.rows("SELECT labelling_id FROM overruled_labels ORDER BY 1")] == others


def test_what_is_neither_shown_nor_a_rollback_away_goes_with_all_its_rows_and_the_history_stays(
    archive: Archive, dialect: str
) -> None:
    first, *_ = archive.labellings
    second, third = archive.enroll(), archive.enroll()
    shown = archive.rows("SELECT media_uri, identity, confidence, model FROM content_labels ORDER BY 1, 2")
    kept = archive.labelled_by(second)
    assert retire(archive) == [], "all of them were used a moment ago"
    archive.long_ago()
    assert retire(archive) == [first]
    assert archive.retired() == [first]
    assert set(archive.labelled_by(first).values()) == {0}
    if dialect == "postgres":
        assert archive.partitions(first) == []
    assert archive.labelled_by(second) == kept
    assert archive.rows("SELECT media_uri, identity, confidence, model FROM content_labels ORDER BY 1, 2") == shown
    with archive.store.reading() as connection:
        assert former_labelling(connection).labelling_id == second
    history = archive.rows("SELECT kind, model, former_model FROM model_history ORDER BY step")
    assert [row[1:] for row in history] == [("mine@1+00000002", "mine@1"), ("mine@1+00000003", "mine@1+00000002")]
    assert archive.store.active_labelling() == third
    assert retire(archive) == []


@pytest.mark.parametrize("use", ["shown lately", "begun lately", "a relabelling", "a worker", "a worker of old"])
def test_what_somebody_uses_stays(archive: Archive, use: str) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    with archive.store.writing() as connection:
        if use == "a relabelling":  # which was interrupted, or goes on
            connection.execute(delete(labelled_contents).where(labelled_contents.c.labelling_id == first))
            assert begin(connection, first) is not None
        elif use == "a worker":
            open_session(connection, worker="a:1", queues=["gpu"], network_id=archive.network_id, labelling_id=first)
        elif use == "a worker of old":  # whose program does not say what it labels by
            open_session(connection, worker="a:1", queues=["gpu"], network_id=archive.network_id)
    archive.long_ago()
    with archive.store.writing() as connection:
        if use == "shown lately":
            of_first = update(promotions).where(promotions.c.from_labelling_id == first)
            connection.execute(of_first.values(happened_at=utc_now()))
        elif use == "begun lately":
            connection.execute(update(labellings).where(labellings.c.id == first).values(used_at=utc_now()))
    assert retire(archive) == []
    assert archive.retired() == []


def test_a_worker_that_has_worked_for_long_keeps_its_labels_when_it_is_started_anew(archive: Archive) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    with archive.store.writing() as connection:
        session_id = open_session(connection, worker="a:1", queues=["gpu"], labelling_id=first)
    archive.long_ago()
    assert retire(archive) == []
    with archive.store.writing() as connection:
        close_session(connection, session_id)
    assert retire(archive) == []
    archive.long_ago()
    assert retire(archive) == [first]


def test_sessions_that_have_ended_or_only_keep_house_hold_nothing(archive: Archive) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    with archive.store.writing() as connection:
        open_session(connection, worker="a:1", queues=["default"])
        ended = open_session(connection, worker="a:2", queues=["gpu"], labelling_id=first)
        close_session(connection, ended)
    archive.long_ago()
    assert retire(archive) == [first]


def test_who_works_with_a_retired_labelling_again_has_it_back_and_makes_its_labels_anew(
    archive: Archive, dialect: str
) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    archive.long_ago()
    before = archive.labelled_by(archive.labellings[1])
    with archive.store.writing() as connection:  # this connection has seen the partitions
        open_session(connection, worker="a:2", queues=["gpu"], labelling_id=first)
        connection.execute(update(worker_sessions).values(ended_at=utc_now()))
    archive.long_ago()
    assert retire(archive) == [first]
    with pytest.raises(ConfigError, match="labels of mine@1 were removed"):
        archive.store.activate(first)
    with archive.store.writing() as connection:
        open_session(connection, worker="a:3", queues=["gpu"], labelling_id=first)
    assert archive.retired() == []
    changed = archive.store.save_labels(first, {content: [known(ADA), known(BEN)] for content in (1, 2)})
    assert changed == {1, 2}
    archive.store.activate(first)
    assert archive.labelled_by(first) == before
    if dialect == "postgres":
        assert len(archive.partitions(first)) == 9


@pytest.mark.parametrize("killed_at", ["_remove_counts", "_remove_labels"])
def test_what_a_process_that_was_killed_has_left_is_removed_by_the_next(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, dialect: str, killed_at: str
) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    archive.long_ago()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(retiring, killed_at, killed)
        with pytest.raises(KeyboardInterrupt):
            retire(archive)
    assert archive.retired() == [first]
    assert retire(archive) == []
    assert set(archive.labelled_by(first).values()) == {0}
    if dialect == "postgres":
        assert archive.partitions(first) == []


def test_what_is_half_removed_is_dropped_before_somebody_gets_it_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = archive.labellings
    archive.enroll()
    archive.enroll()
    archive.long_ago()
    with monkeypatch.context() as patched:
        patched.setattr(retiring, "_remove_labels", lambda *_: None)
        assert retire(archive) == [first]
    again = archive.store.register_labelling(archive.network_id, model="mine@1", digest="0", photographs=PEOPLE)
    assert again == first
    archive.store.save_labels(first, {content: [known(ADA), known(BEN)] for content in (1, 2)})
    counts = archive.labelled_by(first)
    assert [counts[table] for table in TABLES] == [2, 4, 4]
    assert retire(archive) == []
    assert archive.labelled_by(first) == counts


def test_labels_are_deleted_a_few_contents_at_a_time_where_there_are_no_partitions(
    make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retiring, "_CONTENTS_AT_ONCE", 1)
    with Store.open(make_database("sqlite")) as store:
        network_id = store.register_network(SPEC)
        first = store.register_labelling(network_id, model="mine@1", digest="0", photographs=PEOPLE)
        outcomes = [
            annotation(ref(f"{number}.gif"), content=number, tracks=[track(0)], labels=[known(ADA)])
            for number in range(1, 6)
        ]
        store.save(outcomes, network_id=network_id, labelling_id=first)
        archive = Archive(store, network_id, [first])
        archive.run("UPDATE labellings SET retired_at = created_at")
        retiring._remove_labels(store.engine, first)
        assert set(archive.labelled_by(first).values()) == {0}


@pytest.mark.servers
def test_a_reader_who_has_the_tables_for_long_is_not_disturbed_and_is_given_way_to_at_once(
    make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retiring, "_STATEMENT_TIMEOUT_MS", 0)  # it gives way long before
    with Store.open(make_database("postgres")) as store:
        archive = grown_old(store)
        first, *_ = archive.labellings
        analyst = store.engine.connect()
        try:
            labels = text("SELECT count(*) FROM content_labels")
            assert analyst.execute(labels).scalar_one() == 4  # holds the tables until its transaction ends
            found: list[list[int]] = []
            thread = threading.Thread(target=lambda: found.append(retire(archive)), daemon=True)
            thread.start()
            thread.join(60)
            assert found == [[]]
            assert archive.retired() == []
            assert analyst.execute(labels).scalar_one() == 4
            assert archive.labelled_by(first)["track_labels"] == 4
        finally:
            analyst.close()
        assert retire(archive) == [first]


@pytest.mark.servers
def test_what_is_left_of_a_labelling_waits_for_whoever_still_reads_it_and_nobody_waits_behind_for_ever(
    make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of the whole database reads partitions, too, for hours."""
    monkeypatch.setattr(partitions, "_USE_TIMEOUT_MS", 100)
    with Store.open(make_database("postgres")) as store:
        archive = grown_old(store)
        first, *_ = archive.labellings
        backup = store.engine.connect()
        try:
            with monkeypatch.context() as patched:
                patched.setattr(retiring, "_remove_labels", lambda *_: None)
                assert retire(archive) == [first]
            backup.execute(text(f"LOCK TABLE track_labels__l{first} IN ACCESS SHARE MODE"))
            thread = threading.Thread(target=retire, args=(archive,), daemon=True)
            thread.start()
            thread.join(30)
            assert not thread.is_alive(), "it waits with the labelling's row in its hands"
            with pytest.raises(StoreUnavailableError, match=f"labelling {first} is not free"):
                store.register_labelling(archive.network_id, model="mine@1", digest="0", photographs=PEOPLE)
            assert archive.retired() == [first]
        finally:
            backup.close()
        assert retire(archive) == []
        assert archive.partitions(first) == []


@pytest.mark.servers
def test_who_begins_to_use_it_just_then_keeps_it(make_database: Callable[..., str]) -> None:
    with Store.open(make_database("postgres")) as store:
        archive = grown_old(store)
        first, *_ = archive.labellings
        with store.writing() as connection:
            found = retiring._unused(connection, MONTH_S)
        assert first in found
        store.register_labelling(archive.network_id, model="mine@1", digest="0", photographs=PEOPLE)
        assert not retiring._retire(store.engine, first, MONTH_S)
        assert archive.labelled_by(first)["track_labels"] == 4


@pytest.mark.servers
def test_what_is_about_to_be_shown_is_not_retired(
    make_database: Callable[..., str],
) -> None:
    url = make_database("postgres")
    with Store.open(url) as store:
        archive = grown_old(store)
        first, *_ = archive.labellings
        other = open_engine(url)
        switching, retired = store.engine.connect(), threading.Event()
        transaction = switching.begin()
        switching.execute(text("SELECT id FROM labellings WHERE id = :id FOR KEY SHARE"), {"id": first})

        def retire_it() -> None:
            assert not retiring._retire(other, first, MONTH_S)  # gives way
            retired.set()

        thread = threading.Thread(target=retire_it)
        thread.start()
        thread.join(60)
        assert retired.is_set()
        transaction.rollback()
        switching.close()
        assert retire(archive) == [first]
        other.dispose()


@pytest.mark.servers
def test_a_worker_has_the_right_to_retire_what_nobody_uses_and_nothing_that_is_shown(
    make_database: Callable[..., str],
) -> None:
    url = make_database("postgres")
    with Store.open(url) as store:
        archive = grown_old(store)
        first, *_, shown = archive.labellings
        set_up_roles(store.engine)
        worker = _as_role(url, "annotator_worker")
        assert retire_unused(worker, after_s=MONTH_S) == [first]
        assert archive.partitions(first) == []
        with pytest.raises(Exception, match="is shown"), writing(worker) as connection:
            connection.execute(text("SELECT retire_labelling(:id)"), {"id": shown})
        worker.dispose()


def _as_role(url: str, role: str) -> Engine:
    """Return an engine whose every connection acts as a role."""
    return open_engine(f"{url}{'&' if '?' in url else '?'}options=-crole%3D{role}")
