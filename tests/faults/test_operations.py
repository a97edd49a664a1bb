"""What operators do, and what clocks do, while everything is at work."""

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

import annotator.store
from annotator.build import register_model
from annotator.settings import Settings
from annotator.store.relabelling.running import relabel_archive
from annotator.store.schema import HEAD
from annotator.store.store import Store
from tests.faults.clips import DOUBLES, draw_clips
from tests.faults.doubles import build_annotator
from tests.faults.programs import ROOT, Program
from tests.faults.rows import Rows, Table, assert_same_rows, find_leftovers, read_rows
from tests.faults.system import MakeBacklog, MakeSystem, System

pytestmark = [pytest.mark.servers, pytest.mark.faults]

NEXT_LABELLING, NEXT_NETWORK = "doubles@2", "doubles@3"
HELD = "state = 1"
# What came after 0003 is there already, and is not made twice.
ONLY_0003 = (
    "from alembic import command; upgrade = command.upgrade;"
    " command.upgrade = lambda config, _: (upgrade(config, '0003'), command.stamp(config, 'head')); "
)
SWEEPS = b"w.deadline_at <"  # those of a beat that has just begun look at no deadline


# -------------------------------------------------------------------------------------------------------------- clocks


def test_wall_clocks_that_step_back_an_hour(system: System, undisturbed: Rows) -> None:
    beat = system.start_beat(worker__concurrency=1, worker__max_queued_chunks=1)  # most is published after the step
    first = system.worker(worker__concurrency=1)
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    second = system.worker()
    for program in (beat, first, second):
        program.step_clock_back()
    first.go_on("network")
    system.wait_for_rows("work", "state >= 2")
    first.kill()
    second.start()
    system.assert_ends_as(undisturbed)
    assert system.count("work", "finished_at < now() - interval '30 minutes'") == 0


def test_the_clock_of_the_database_steps_back_an_hour(system: System, undisturbed: Rows) -> None:
    step_back = shifted_database_clock(system)
    system.start_beat()
    first = system.worker()
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    first.kill()
    step_back()
    system.start_worker()
    system.assert_ends_as(undisturbed)


def shifted_database_clock(system: System) -> Callable[[], None]:
    """Put a function in place of «now()»; what is returned lets it step back."""
    for statement in (
        "CREATE SCHEMA clock",
        "CREATE TABLE clock.back AS SELECT interval '0' AS back",
        (
            "CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE"
            " AS 'SELECT pg_catalog.now() - (SELECT back FROM clock.back)'"
        ),
        f"ALTER DATABASE {system.database} SET search_path = clock, pg_catalog, public",
    ):
        system.execute(statement)
    return lambda: system.execute("UPDATE clock.back SET back = interval '1 hour'")


# -------------------------------------------------------------------------------------------------------------- models


def of_model(rows: Rows, model: str, *, network: str) -> Rows:
    """Return the rows of one labelling and its network."""

    def having(table: Table, first: str) -> Table:
        return {key: values for key, values in table.items() if key[0] == first}

    by_network = {
        name: having(getattr(rows, name), network) for name in ("work", "annotations", "tracks", "embeddings")
    }
    by_model = {name: having(getattr(rows, name), model) for name in ("labelled", "track_labels", "content_labels")}
    return dataclasses.replace(rows, **by_network, **by_model)


def digest_of_network(system: System, model: str) -> str:
    found = system.query(
        "SELECT n.digest FROM labellings l JOIN networks n ON n.id = l.network_id WHERE l.model = :m", m=model
    )
    return str(found[0][0])


def test_another_labelling_in_the_middle_of_a_backlog(make_system: MakeSystem) -> None:
    plain = make_system(model=NEXT_LABELLING)
    plain.start_beat()
    plain.start_worker()
    plain.wait_for_end()
    network = digest_of_network(plain, NEXT_LABELLING)
    expected = of_model(read_rows(plain.engine), NEXT_LABELLING, network=network)
    system = make_system()
    system.start_beat(worker__concurrency=1, worker__max_queued_chunks=1)
    first = system.worker(worker__concurrency=1)
    third_clip = system.s3.hold("gifs/edith.gif")
    first.start()
    third_clip.wait()
    first.terminate()  # the old version drains
    third_clip.release()
    assert first.wait_for_end() == 0
    assert system.count("labelled_contents") > 0
    system.start_worker(model=NEXT_LABELLING)
    system.wait_for_end()
    relabel(system)
    found = read_rows(system.engine)
    assert {model for model, *_ in found.labelled} == {"doubles@1", NEXT_LABELLING}
    assert_same_rows(of_model(found, NEXT_LABELLING, network=network), expected)
    assert find_leftovers(system.engine) == {}
    assert system.query("SELECT model FROM labellings JOIN active ON id = labelling_id") == [(NEXT_LABELLING,)]
    assert set(system.s3.reads.values()) <= {1, 2}


def relabel(system: System) -> None:
    """What is stored gets labels of the next model from its embeddings; then searches show these."""
    next_one = build_annotator(Settings(model=NEXT_LABELLING))
    with Store.open(system.servers.database_url(system.database)) as store:
        registered = register_model(store, next_one)
        assert relabel_archive(store.engine, next_one.identifier, registered.labelling_id)
        store.activate(registered.labelling_id)


def test_a_backlog_of_a_network_that_nobody_runs_waits_and_holds_nobody_up(
    make_system: MakeSystem, undisturbed: Rows
) -> None:
    system = make_system()
    waiting = "chunks", "state = 0 AND not_before IS NULL"
    old_chunks = system.count(*waiting)
    new = system.start_worker(model=NEXT_NETWORK)
    system.wait_for_ready(new)
    system.produce(model=NEXT_NETWORK)
    system.start_beat(worker__concurrency=1, worker__max_queued_chunks=1)
    system.wait_for_rows("work", "state >= 2", at_least=len(undisturbed.media))
    system.wait_until(lambda: system.count("chunks") == old_chunks, what="the other network's chunks are left")
    assert system.count(*waiting) == old_chunks
    new.terminate()
    system.start_worker()
    system.wait_for_end()
    old_network = digest_of_network(system, "doubles@1")
    assert_same_rows(of_model(read_rows(system.engine), "doubles@1", network=old_network), undisturbed)
    assert find_leftovers(system.engine) == {}


def test_workers_of_two_networks_at_one_queue(make_system: MakeSystem, undisturbed: Rows) -> None:
    system = make_system()
    system.start_beat()
    old, new = system.worker(), system.worker(model=NEXT_NETWORK)
    for worker in (old, new):
        worker.start()
        system.wait_for_ready(worker)
    system.produce(model=NEXT_NETWORK)
    everything = 2 * len(undisturbed.media)

    def has_ended() -> bool:
        system.let_waits_pass()
        return system.count("work", "state >= 2") == everything and system.count("chunks") == 0

    system.wait_until(has_ended, what="both networks have seen everything")
    found = read_rows(system.engine)
    old_network, new_network = (digest_of_network(system, model) for model in ("doubles@1", NEXT_NETWORK))
    assert_same_rows(of_model(found, "doubles@1", network=old_network), undisturbed)
    assert {key for _, key in of_model(found, NEXT_NETWORK, network=new_network).work} == {
        key for _, key in undisturbed.work
    }
    leftovers = find_leftovers(system.engine)
    assert leftovers == {}
    assert set(system.s3.reads.values()) == {2}


# ---------------------------------------------------------------------------------------------------------- migrations


def test_the_database_is_upgraded_while_workers_annotate(
    make_system: MakeSystem, make_backlog: MakeBacklog, tmp_path: Path
) -> None:
    # No doubles: whoever has the double of a clip waits for its rows, which are held below.
    backlog = make_backlog({key: clip for key, clip in draw_clips(tmp_path).items() if key not in DOUBLES})
    system = make_system(backlog, worker__session_timeout_s=120)  # else Postgres ends the held transaction
    system.execute("DROP INDEX ix_content_labels_by_time")
    system.start_beat(worker__concurrency=1)
    first, second = (system.worker(worker__write_media=1, worker__concurrency=1) for _ in range(2))
    commit = first.postgres.trap(b"COMMIT", after=b"INSERT INTO content_labels_by")
    second.halt_at("network")
    for worker in (first, second):
        worker.start()
    commit.wait()
    second.wait_for_halt("network")
    system.execute("UPDATE alembic_version SET version_num = '0002'")  # workers look at it at their start only
    upgrading = upgrade(system, before=ONLY_0003)
    system.wait_for_rows("pg_locks", "NOT granted AND relation = to_regclass('content_labels_by')")
    labelled = system.count("content_labels_by")
    second.go_on("network")
    system.wait_for_rows("content_labels_by", "true", at_least=labelled + 1)  # others write on meanwhile
    commit.release()
    change_schema(system, "CREATE INDEX CONCURRENTLY IF NOT EXISTS faults_index ON chunks (cost_ms)")
    assert upgrading.wait(60) == 0
    change_schema(system, "ALTER TABLE work ADD COLUMN faults_note text")
    system.assert_ends_as(backlog.rows)
    assert upgrade(system).wait(60) == 0  # nothing more to do
    assert annotator.store.check(system.servers.database_url(system.database)) == HEAD
    assert system.count("pg_index", "NOT indisvalid") == 0
    assert set(system.s3.reads.values()) == {1}


def upgrade(system: System, *, before: str = "") -> subprocess.Popen[bytes]:
    url = system.servers.database_url(system.database)
    program = f"{before}from annotator.cli import main; main()"
    command = [sys.executable, "-c", program, "db", "upgrade", "--database", url]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})


def change_schema(system: System, statement: str) -> None:
    """Change it as migrations do: give way soon, and try again."""
    unpooled = create_engine(system.engine.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def is_changed() -> bool:
        with contextlib.suppress(OperationalError), unpooled.connect() as connection:
            connection.execute(text("SET lock_timeout = '2s'"))
            connection.execute(text(statement))
            return True
        return False

    system.wait_until(is_changed, what=statement)


# -------------------------------------------------------------------------------------------------------- beat's races


def test_two_beats_at_once(system: System, undisturbed: Rows) -> None:
    first = system.beat()
    marks = first.postgres.trap(b"COMMIT", after=b"UPDATE chunks SET state")
    first.start()
    marks.wait()
    wait_for_feeder(system.start_beat())
    marks.release()
    system.wait_until(lambda: system.messages() > 0, what="messages are there")
    system.wait_until(lambda: system.count("chunks", "state = 0") == 0, what="all chunks are published")
    assert system.messages() == system.count("chunks")
    system.start_worker()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def wait_for_feeder(beat: Program) -> None:
    """Wait until a beat has asked for its turn, several times for several jobs."""
    for _ in range(10):
        asked = beat.postgres.trap(b"pg_try_advisory")
        asked.wait()
        asked.release()


@pytest.mark.parametrize("first", ["the sweep", "the result"])
def test_a_deadline_that_passes_as_the_result_is_written(
    make_system: MakeSystem, undisturbed: Rows, first: str
) -> None:
    system = make_system(worker__session_timeout_s=30)
    beat = system.start_beat(worker__session_timeout_s=10)  # for so long after its start it looks at no deadline
    worker = system.worker(worker__write_media=1, worker__concurrency=1)
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    if first == "the sweep":
        swept = beat.postgres.trap(b"COMMIT", after=b"INSERT INTO chunks")  # the first sweeps find nothing
        system.execute(f"UPDATE work SET deadline_at = now() WHERE {HELD}")
        swept.wait()
        worker.go_on("network")
        waiting = "wait_event_type = 'Lock' AND query LIKE 'UPDATE work SET state = u.state%'"
        system.wait_for_rows("pg_stat_activity", waiting)
        swept.release()
        worker.wait_for_log("The fence refused")
    else:
        beat.freeze()
        written = worker.postgres.trap(b"COMMIT", after=b"INSERT INTO annotations")
        system.execute(f"UPDATE work SET deadline_at = now() WHERE {HELD}")
        worker.go_on("network")
        written.wait()
        (key,) = being_written(system)
        sweep = beat.postgres.trap(SWEEPS)
        beat.wake()
        sweep.wait()
        next_one = beat.postgres.trap(SWEEPS)
        sweep.release()
        next_one.wait()  # a sweep has passed, and has left the one that is being written alone
        assert system.count("annotations") == 0
        next_one.release()
        written.release()
        system.assert_ends_as(undisturbed)
        assert system.s3.reads[key] == 1
    system.assert_ends_as(undisturbed)


def being_written(system: System) -> set[str]:
    """Return the keys of those media in hand whose rows somebody has locked."""
    held = f"SELECT key FROM media JOIN work ON media_id = id WHERE {HELD}"
    free = system.query(f"{held} FOR UPDATE OF work SKIP LOCKED")
    return {key for (key,) in set(system.query(held)) - set(free)}
