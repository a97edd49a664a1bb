"""Messages that come twice, or ten thousand times."""

import pytest

from tests.faults.rows import Rows
from tests.faults.servers import TIMEOUT_S
from tests.faults.system import System

pytestmark = [pytest.mark.servers, pytest.mark.faults]

DUPLICATES = 10_000


def queued_messages(system: System) -> list[bytes]:
    """Let beat publish everything, and return the messages, the first to be delivered first."""
    system.start_beat()
    waiting = "chunks WHERE state = 0"
    system.wait_until(lambda: not system.query(f"SELECT id FROM {waiting}"), what="all chunks are published")
    system.wait_until(lambda: system.messages() == system.count("chunks"), what="all messages are there")
    return list(reversed(system.broker.lrange("gpu", 0, -1)))


def test_two_workers_given_the_same_message(system: System, undisturbed: Rows) -> None:
    message, *others = queued_messages(system)
    system.broker.delete("gpu")
    system.broker.rpush("gpu", message)
    first = system.worker(worker__concurrency=1)
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    held = system.count("work", "state = 1")
    system.copy_message(message, times=1)
    second = system.start_worker()
    second.wait_for_log("succeeded")
    assert system.count("work", "state = 1") == held  # the second has won nothing and has returned at once
    first.go_on("network")
    for other in others:
        system.copy_message(other, times=1)
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_ten_thousand_copies_of_a_message(system: System, undisturbed: Rows) -> None:
    message, *_ = queued_messages(system)
    system.copy_message(message, times=DUPLICATES)
    system.start_worker(worker__concurrency=4)
    system.assert_ends_as(undisturbed)
    # A copy costs the worker about three milliseconds of processor time, which it may have to share.
    system.wait_until(
        lambda: system.messages() + system.unacknowledged() == 0,
        what="all copies are worked through",
        timeout_s=5 * TIMEOUT_S,
    )
    assert set(system.s3.reads.values()) == {1}
