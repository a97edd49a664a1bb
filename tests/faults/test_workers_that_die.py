"""Workers that are killed, stopped or frozen at every point of the way of a media."""

import pytest

from annotator.store.tables import WorkState
from tests.faults.programs import Program
from tests.faults.rows import Rows
from tests.faults.s3_proxy import Refused
from tests.faults.system import System

pytestmark = [pytest.mark.servers, pytest.mark.faults]

WRITES_DOWN = b"HSET\r\n$7\r\nunacked"
ACKNOWLEDGES = b"HDEL\r\n$7\r\nunacked"
HELD = "state = 1"


@pytest.fixture(autouse=True)
def beat(system: System) -> Program:
    return system.start_beat()


def test_a_worker_killed_with_a_message_that_the_broker_no_longer_knows(
    system: System, undisturbed: Rows, beat: Program
) -> None:
    first = system.worker()
    taken = first.broker.trap(WRITES_DOWN)
    system.wait_until(lambda: 0 < system.count("chunks", "state = 1") == system.messages(), what="messages are there")
    beat.kill()  # else it may have sent the message again before anybody has looked
    first.start()
    taken.wait()
    first.kill()
    taken.cut()
    assert system.messages() + system.broker.hlen("unacked") < system.count("chunks", "state = 1")
    system.start_beat()
    system.start_worker()
    system.assert_ends_as(undisturbed)


def test_a_worker_killed_while_decoding(system: System, undisturbed: Rows) -> None:
    first = system.worker()
    first.halt_at("decoder")
    first.start()
    first.wait_for_halt("decoder")
    first.kill()
    system.start_worker()
    system.assert_ends_as(undisturbed)
    assert system.count("work", "losses > 0") > 0
    assert system.count("work", "deaths > 0") == 0


def test_a_worker_killed_while_its_networks_run(system: System, undisturbed: Rows) -> None:
    first = system.worker(worker__concurrency=8)
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    system.wait_until(lambda: system.count("work", "state = 0") == 0, what="it has everything in hand")
    first.kill()
    second = system.worker()
    second.halt_at("network")
    second.start()
    system.wait_until(lambda: system.count("work", f"{HELD} AND suspect") == 1, what="a suspect runs")
    assert system.count("work", HELD) == 1  # alone
    second.go_on("network")
    system.assert_ends_as(undisturbed)


def test_a_worker_killed_in_the_transaction_that_writes_results(system: System, undisturbed: Rows) -> None:
    first = system.worker()
    commit = first.postgres.trap(b"COMMIT", after=b"INSERT INTO annotations")
    first.start()
    commit.wait()
    first.kill()
    commit.cut()
    assert system.count("annotations") == 0
    assert system.count("work", f"state = {WorkState.DONE}") == 0
    system.start_worker()
    system.assert_ends_as(undisturbed)


def test_a_worker_killed_after_the_commit_and_before_it_acknowledges(system: System, undisturbed: Rows) -> None:
    first = system.worker(worker__concurrency=1)
    acknowledgement = first.broker.trap(ACKNOWLEDGES)
    first.start()
    acknowledgement.wait()
    first.kill()
    acknowledgement.cut()
    done = {key for (key,) in system.query("SELECT key FROM media JOIN work ON media_id = id WHERE state >= 2")}
    assert done
    assert system.unacknowledged() == 1
    system.let_visibility_timeout_pass()
    system.start_worker()
    system.assert_ends_as(undisturbed)
    system.wait_until(lambda: system.unacknowledged() + system.messages() == 0, what="the message came again")
    assert {system.s3.reads[key] for key in done} == {1}


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_in_hand(
    system: System, beat: Program, undisturbed: Rows
) -> None:
    first = system.worker()
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    beat.freeze()  # nobody else takes anything back
    held = system.count("work", HELD)
    first.terminate()
    assert first.wait_for_end() == 0
    assert held > 0
    assert system.count("work", HELD) == 0
    assert system.count("work", "suspect") == 0
    assert system.count("worker_sessions", "ended_at IS NULL") == 0
    beat.wake()
    system.start_worker()
    system.assert_ends_as(undisturbed)


def test_a_worker_frozen_past_its_heartbeat_and_woken_changes_nothing(system: System, undisturbed: Rows) -> None:
    first = system.worker()
    read = system.s3.hold("gifs/ben.gif")
    first.start()
    read.wait()
    first.freeze()
    system.start_worker()
    system.assert_ends_as(undisturbed)
    # It wakes with a verdict that would be wrong now, and reports it before it learns that it was taken for dead.
    sign_of_life = first.postgres.trap(b"UPDATE worker_sessions")
    read.release(Refused(403, "AccessDenied"))
    first.wake()
    first.wait_for_log("The fence refused")
    sign_of_life.release()
    first.wait_for_log("was taken for dead")
    system.assert_ends_as(undisturbed)
    system.wait_for_ready(first)


def test_a_worker_that_vanishes_in_the_transaction_holds_no_locks(system: System, undisturbed: Rows) -> None:
    first = system.worker()
    commit = first.postgres.trap(b"COMMIT", after=b"INSERT INTO annotations")
    first.start()
    commit.wait()
    first.freeze()  # the server hears nothing any more, not even that the connection has ended
    system.start_worker()
    system.assert_ends_as(undisturbed)
    first.wake()
    commit.release()
    first.wait_for_log("was taken for dead")
    system.assert_ends_as(undisturbed)
