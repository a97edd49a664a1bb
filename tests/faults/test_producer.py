"""A producer, or a beat, that is killed at any point of the way of a media into the queue."""

from dataclasses import replace
from uuid import uuid4

import pytest

from annotator.store import upgrade
from tests.faults.rows import Rows
from tests.faults.servers import Servers
from tests.faults.system import Backlog, MakeSystem, System
from tests.faults.tcp_proxy import Deed

pytestmark = [pytest.mark.servers, pytest.mark.faults]

REGISTERS = b"COPY pg_temp.listed"
WITHOUT_MESSAGE_S = 2.0


@pytest.fixture(scope="module")
def unlisted(servers: Servers, backlog: Backlog) -> Backlog:
    """The same bucket and an empty database."""
    name = f"unlisted_{uuid4().hex}"
    upgrade(servers.create_database(name))
    return replace(backlog, template=name)


@pytest.fixture
def system(make_system: MakeSystem, unlisted: Backlog) -> System:
    return make_system(unlisted, backlog__listers=1)


def annotate(system: System) -> None:
    system.start_beat()
    system.start_worker()


def assert_went_on(system: System, undisturbed: Rows) -> None:
    """The producer is run again and goes on with the same backlog."""
    annotate(system)
    system.produce()
    assert system.count("runs") == 1
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_a_producer_killed_between_two_transactions_of_its_listing(system: System, undisturbed: Rows) -> None:
    producer = system.producer()
    first = producer.postgres.trap(b"COMMIT", after=REGISTERS)
    producer.start()
    first.wait()
    second = producer.postgres.trap(REGISTERS)
    first.release()
    second.wait()
    producer.kill()
    second.cut()
    assert 0 < system.count("media") < len(undisturbed.media)
    assert system.count("listing_shards", "NOT done") > 0
    assert_went_on(system, undisturbed)


def test_a_producer_killed_in_the_transaction_that_registers_and_queues(system: System, undisturbed: Rows) -> None:
    producer = system.producer()
    commit = producer.postgres.trap(b"COMMIT", after=REGISTERS)
    producer.start()
    commit.wait()
    producer.kill()
    commit.cut()
    assert [system.count(table) for table in ("media", "work", "chunks", "work_deltas")] == [0] * 4
    assert_went_on(system, undisturbed)


@pytest.mark.parametrize("deed", ["cut_before", "cut_after"])
def test_the_connection_of_a_producer_breaks_at_the_commit(system: System, undisturbed: Rows, deed: Deed) -> None:
    producer = system.producer()
    commit = producer.postgres.trap(b"COMMIT", after=REGISTERS, deed=deed)
    producer.start()
    commit.wait()
    assert producer.wait_for_end() in {0, 1}
    assert_went_on(system, undisturbed)


def test_two_producers_at_once(system: System, undisturbed: Rows) -> None:
    annotate(system)
    first = system.producer()
    commit = first.postgres.trap(b"COMMIT", after=REGISTERS)
    first.start()
    commit.wait()
    second = system.producer()
    second.start()
    second.wait_for_log("goes on with backlog")
    commit.release()
    assert first.wait_for_end() == 0, first.log_tail()
    assert second.wait_for_end() == 0, second.log_tail()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_a_beat_killed_after_it_has_marked_chunks_as_published_and_before_it_publishes_them(
    make_system: MakeSystem, undisturbed: Rows
) -> None:
    system = make_system(worker__unclaimed_after_s=WITHOUT_MESSAGE_S)  # else a quarter of an hour
    first = system.beat(worker__sweep_every_s=60)  # else it may have taken them back before anybody has looked
    publication = first.broker.trap(b"LPUSH")
    first.start()
    publication.wait()
    assert system.count("chunks", "state = 1") > 0
    assert system.messages() == 0
    first.kill()
    publication.cut()
    annotate(system)
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}
