"""A broker that goes away, comes back, or comes back empty."""

import signal

import pytest

from tests.faults.rows import Rows
from tests.faults.system import System

pytestmark = [pytest.mark.servers, pytest.mark.faults]


def test_the_broker_is_killed_and_comes_back(system: System, undisturbed: Rows) -> None:
    # Not all fits into the broker at once: some is published when it is back.
    system.start_beat(worker__concurrency=1, worker__max_queued_chunks=1)
    worker = system.worker(worker__concurrency=1)
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    assert system.count("chunks", "state = 0") > 0
    system.servers.stop_broker(signal.SIGKILL)
    worker.go_on("network")
    # What is in hand is finished without a broker.
    system.wait_for_rows("work", "state >= 2")
    worker.wait_for_log("Connection to broker lost")
    system.servers.start_broker()
    system.assert_ends_as(undisturbed)


def test_the_broker_loses_everything(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    system.wait_until(lambda: system.messages() > 0, what="messages are there")
    system.broker.flushall()
    system.start_worker()
    system.assert_ends_as(undisturbed)


def test_the_connection_breaks_as_a_message_is_published(system: System, undisturbed: Rows) -> None:
    beat = system.beat()
    publication = beat.broker.trap(b"LPUSH", deed="cut_before")
    beat.start()
    publication.wait()
    system.start_worker()
    system.assert_ends_as(undisturbed)
