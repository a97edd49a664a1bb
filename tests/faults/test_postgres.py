"""A database that goes away in the middle of things."""

import signal

import pytest

from tests.faults.rows import Rows
from tests.faults.system import System
from tests.faults.tcp_proxy import Deed

pytestmark = [pytest.mark.servers, pytest.mark.faults]


def test_the_database_is_restarted_while_media_are_in_hand(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    worker = system.worker()
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    system.servers.stop_postgres(signal.SIGQUIT)
    worker.go_on("network")
    worker.wait_for_log("results wait")
    system.servers.start_postgres()
    system.assert_ends_as(undisturbed)


@pytest.mark.parametrize("deed", ["cut_before", "cut_after"])
def test_the_connection_breaks_at_the_commit_of_results(system: System, undisturbed: Rows, deed: Deed) -> None:
    system.start_beat()
    worker = system.worker(worker__write_media=1)  # a batch would be written one by one, and hide what becomes of it
    commit = worker.postgres.trap(b"COMMIT", after=b"INSERT INTO annotations", deed=deed)
    worker.start()
    commit.wait()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}
