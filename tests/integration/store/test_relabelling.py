"""Labelling an archive from its stored embeddings: the rows of the online way, whoever dies in between."""

import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.exc import OperationalError

from annotator.errors import RelabellingTakenError, StoreUnavailableError
from annotator.recognition.decision import Identifier, NamedTracks
from annotator.recognition.evidence import EvidenceStack
from annotator.store import Store
from annotator.store.locks import only_one
from annotator.store.relabelling import running
from annotator.store.relabelling.batches import label_contents
from annotator.store.relabelling.running import relabel_archive
from annotator.store.relabelling.runs import Run, Sums, add_sums, begin
from annotator.store.writes import delete_contents
from tests.made_up_gallery import annotations, gallery
from tests.store_values import SPEC

CONTENTS = 60
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
ROWS = (
    "SELECT content_id FROM labelled_contents WHERE labelling_id = :l ORDER BY 1",
    (
        "SELECT content_id, track_no, identity_id, confidence, score, runner_up_id, runner_up_score,"
        " runner_up_confidence, CAST(candidates AS text) FROM track_labels WHERE labelling_id = :l ORDER BY 1, 2"
    ),
    (
        "SELECT content_id, identity_id, confidence, first_ms, last_ms, screen_ms FROM content_labels_by"
        " WHERE labelling_id = :l ORDER BY 1, 2"
    ),
)


@dataclass(frozen=True)
class Archive:
    """A database with annotations of one network, labelled by ``first``."""

    store: Store
    network_id: int
    first_id: int
    first: Identifier

    def register(self, identifier: Identifier, name: str) -> int:
        return self.store.register_labelling(
            self.network_id, model=f"small@{name}", digest=name, photographs=identifier.photographs
        )

    def rows(self, labelling_id: int) -> tuple[list[tuple[object, ...]], ...]:
        """Return all rows of a labelling, without its id and the time of writing."""
        with self.store.reading() as connection:
            return tuple([tuple(row) for row in connection.execute(text(query), {"l": labelling_id})] for query in ROWS)

    def runs(self) -> list[dict[str, object]]:
        with self.store.reading() as connection:
            rows = connection.execute(text("SELECT * FROM relabelling_runs ORDER BY run")).mappings()
            return [dict(row) for row in rows]


@pytest.fixture
def archive(store: Store, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Sixty contents, of which windows hold 16 and batches 5."""
    monkeypatch.setattr(running, "WINDOW", 16)
    monkeypatch.setattr(running, "BATCH", 5)
    first = Identifier(gallery())
    network_id = store.register_network(SPEC)
    made = Archive(store, network_id, 0, first)
    labelling_id = made.register(first, "first")
    store.save(annotations(CONTENTS, first), network_id=network_id, labelling_id=labelling_id)
    return Archive(store, network_id, labelling_id, first)


class DyingNames:
    """Dies when it is asked for the n-th time."""

    def __init__(self, identifier: Identifier, lives: int) -> None:
        self._identifier = identifier
        self._left = lives
        self._lock = threading.Lock()
        self.identities = identifier.identities

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        with self._lock:
            self._left -= 1
        if self._left < 0:
            raise InterruptedError
        return self._identifier.named(stacks)


def test_the_rows_are_those_of_the_online_way(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    run = relabel_archive(archive.store.engine, archive.first, again, workers=3)
    online = archive.rows(archive.first_id)
    assert archive.rows(again) == online
    assert len(online[1]) > 20
    assert any(row[-1] is not None for row in online[1])
    assert run is not None
    assert run.finished_at is not None
    assert run.sums.contents == CONTENTS
    assert run.sums.labels == len(online[1])
    assert (run.sums.tracks_added, run.sums.tracks_dropped, run.sums.tracks_flipped) == (0, 0, 0)


@pytest.mark.parametrize("lives", [0, 1, 3, 6])
def test_a_run_that_is_broken_off_goes_on_and_leaves_the_rows_and_sums_of_one_that_was_not(
    archive: Archive, lives: int
) -> None:
    other = Identifier(gallery(range(3, 12), min_score=0.2))
    undisturbed, disturbed = archive.register(other, "undisturbed"), archive.register(other, "disturbed")
    engine = archive.store.engine
    wanted = relabel_archive(engine, other, undisturbed, workers=2)
    for _ in range(2):
        with pytest.raises(InterruptedError):
            relabel_archive(engine, DyingNames(other, lives), disturbed, workers=2)
        assert archive.runs()[-1]["finished_at"] is None
    run = relabel_archive(engine, other, disturbed, workers=2)
    assert wanted is not None
    assert run is not None
    assert archive.rows(disturbed) == archive.rows(undisturbed)
    assert run.sums == wanted.sums
    assert [one["model"] for one in archive.runs()] == ["small@undisturbed", "small@disturbed"]


def test_a_run_says_what_it_changes_and_readers_see_the_old_labels_until_the_switch(archive: Archive) -> None:
    other = Identifier(gallery(range(4, 12), min_score=0.75))
    new = archive.register(other, "new")
    shown = "SELECT media_uri, identity, confidence FROM content_labels ORDER BY 1, 2"
    with archive.store.reading() as connection:
        before = connection.execute(text(shown)).all()
    run = relabel_archive(archive.store.engine, other, new)
    with archive.store.reading() as connection:
        assert connection.execute(text(shown)).all() == before
    archive.store.activate(new)
    with archive.store.reading() as connection:
        assert connection.execute(text(shown)).all() != before
    old_rows, new_rows = ({row[:2]: row[2] for row in archive.rows(one)[1]} for one in (archive.first_id, new))
    assert run is not None
    assert run.sums.tracks_added == len(new_rows.keys() - old_rows.keys())
    assert run.sums.tracks_dropped == len(old_rows.keys() - new_rows.keys()) > 0
    assert run.sums.tracks_flipped == sum(old_rows[key] != new_rows[key] for key in old_rows.keys() & new_rows.keys())
    (row,) = archive.runs()
    assert (row["model"], row["from_model"], row["share_done"]) == ("small@new", "small@first", 1)
    assert row["tracks_dropped"] == run.sums.tracks_dropped


def test_flips_are_counted(archive: Archive) -> None:
    other = Identifier(gallery([0, 2, 4, 6, 8], min_score=-1.0))
    run = relabel_archive(archive.store.engine, other, archive.register(other, "few"))
    assert run is not None
    assert run.sums.tracks_flipped > 0
    assert run.sums.tracks_added > 0


def test_nothing_is_done_twice_and_no_run_is_made_for_nothing(archive: Archive) -> None:
    assert relabel_archive(archive.store.engine, archive.first, archive.first_id) is None
    again = archive.register(archive.first, "again")
    told = []
    relabel_archive(archive.store.engine, archive.first, again, on_batch=lambda last, sums: told.append((last, sums)))
    assert sum(sums.contents for _, sums in told) == CONTENTS
    assert [last for last, _ in told] == sorted(last for last, _ in told)
    assert relabel_archive(archive.store.engine, archive.first, again) is None
    assert len(archive.runs()) == 1


def test_contents_that_came_late_before_the_place_that_was_reached_get_their_labels(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    with archive.store.writing() as connection:
        run = begin(connection, again)
        assert run is not None
        connection.execute(text("UPDATE relabellings SET after_content_id = 40"))
    relabel_archive(archive.store.engine, archive.first, again)
    assert archive.rows(again) == archive.rows(archive.first_id)


def test_what_somebody_else_has_labelled_stays_and_is_not_counted(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    archive.store.save_labels(again, {4: []})  # it has no tracks
    before = archive.rows(again)
    run = relabel_archive(archive.store.engine, archive.first, again)
    assert run is not None
    assert run.sums.contents == CONTENTS - 1
    assert set(archive.rows(again)[0]) > set(before[0])


def test_two_at_once_leave_the_same_rows_and_count_each_content_once(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    with archive.store.writing() as connection:
        run = begin(connection, again)
    assert run is not None
    done: list[Sums] = []

    def label(run: Run) -> None:
        for content_id in range(1, CONTENTS + 1):
            with archive.store.writing() as connection:
                sums = label_contents(
                    connection, archive.first, [content_id], network_id=run.network_id, labelling_id=run.labelling_id
                )
                add_sums(connection, run.run_id, sums)
                done.append(sums)

    threads = [threading.Thread(target=label, args=(run,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert archive.rows(again) == archive.rows(archive.first_id)
    assert sum(one.contents for one in done) == CONTENTS
    assert archive.runs()[0]["contents"] == CONTENTS


def test_evidence_that_does_not_fit_together_is_named(archive: Archive) -> None:
    with archive.store.writing() as connection:
        connection.execute(text("UPDATE track_embeddings SET quality = face_px || face_px WHERE content_id = 7"))
    with pytest.raises(ValueError, match="of content 7 does not fit together"):
        relabel_archive(archive.store.engine, archive.first, archive.register(archive.first, "again"))


def test_a_name_that_was_never_registered_is_an_error_and_writes_nothing(archive: Archive) -> None:
    stranger = Identifier(gallery(range(12), min_score=-1.0))
    again = archive.store.register_labelling(archive.network_id, model="small@2", digest="2", photographs={})
    with archive.store.writing() as connection:
        connection.execute(text("UPDATE identities SET name = 'Somebody else' WHERE name = 'Person 4'"))
    with pytest.raises(LookupError, match="'Person 4' is not registered"):
        relabel_archive(archive.store.engine, stranger, again)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(archive: Archive) -> None:
    engine = archive.store.engine
    again = archive.register(archive.first, "again")

    def fill_up(connection: sqlite3.Connection, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine.dispose()
    event.listen(engine, "connect", fill_up)
    with pytest.raises(StoreUnavailableError, match="full"):
        relabel_archive(engine, archive.first, again)
    event.remove(engine, "connect", fill_up)
    engine.dispose()
    run = relabel_archive(engine, archive.first, again)
    assert run is not None
    assert run.sums.contents == CONTENTS
    assert archive.rows(again) == archive.rows(archive.first_id)


class CuttingNames(DyingNames):
    """Cuts all connections to the database when it is asked for the n-th time."""

    def __init__(self, identifier: Identifier, lives: int, url: URL) -> None:
        super().__init__(identifier, lives)
        self._url = url

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        try:
            return super().named(stacks)
        except InterruptedError:
            other = create_engine(self._url)
            with other.connect() as connection:
                connection.execute(text(CUT))
            other.dispose()
            return self._identifier.named(stacks)


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_database_that_goes_away_is_told_and_the_run_goes_on_once_it_is_back(archive: Archive) -> None:
    engine = archive.store.engine
    again = archive.register(archive.first, "again")
    with pytest.raises(StoreUnavailableError):
        relabel_archive(engine, CuttingNames(archive.first, 5, engine.url), again, workers=2)
    run = relabel_archive(engine, archive.first, again, workers=2)
    assert run is not None
    assert run.sums.contents == CONTENTS
    assert archive.rows(again) == archive.rows(archive.first_id)


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_second_run_of_the_same_labelling_says_that_it_is_taken(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    with only_one(archive.store.engine, f"relabel {again}") as is_ours:
        assert is_ours
        with pytest.raises(RelabellingTakenError, match="relabelling_runs"):
            relabel_archive(archive.store.engine, archive.first, again)
    assert relabel_archive(archive.store.engine, archive.first, again) is not None


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])
def test_tracks_are_not_replaced_while_somebody_names_them(archive: Archive) -> None:
    again = archive.register(archive.first, "again")
    with archive.store.writing() as naming, archive.store.writing() as replacing:
        label_contents(naming, archive.first, [1], network_id=archive.network_id, labelling_id=again)
        replacing.execute(text("SET LOCAL lock_timeout = 50"))
        with pytest.raises(OperationalError, match="lock timeout"):
            delete_contents(replacing, archive.network_id, [1])
        replacing.rollback()
