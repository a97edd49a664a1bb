"""A broker that goes away, comes back, or comes back empty."""

import signal

import pytest

from annotator.settings import Settings
from tests.faults.rows import Rows
from tests.faults.system import System
from workers.app import create_app

pytestmark = [pytest.mark.servers, pytest.mark.faults]

FULL = "command not allowed when used memory > 'maxmemory'"


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


def test_a_broker_that_is_full_gets_everything_when_there_is_room_again(system: System, undisturbed: Rows) -> None:
    system.broker.config_set("maxmemory", 1)
    beat = system.start_beat()
    beat.wait_for_log(FULL)
    worker = system.start_worker()
    system.wait_for_ready(worker)
    system.wait_until(lambda: system.count("chunks", "state = 1") == 0, what="what was not taken waits again")
    system.broker.config_set("maxmemory", 0)
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_workers_that_take_messages_from_a_broker_that_is_full(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    system.wait_until(lambda: system.messages() == system.count("chunks") > 0, what="all messages are there")
    first = system.worker(worker__concurrency=1)
    first.halt_at("network")
    first.start()
    first.wait_for_halt("network")
    system.broker.config_set("maxmemory", 1)
    first.go_on("network")
    system.wait_for_rows("work", "state >= 2")
    first.wait_for_log("The broker is full")
    system.broker.config_set("maxmemory", 0)
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_a_broker_that_is_reached_only_later(system: System, undisturbed: Rows) -> None:
    worker, beat, producer = system.worker(), system.beat(), system.producer()
    for program in (worker, beat, producer):
        program.broker.refuse()
        program.start()
    assert producer.wait_for_end() == 0, producer.log_tail()  # it needs none
    beat.wait_for_log("The jobs wait for the broker")
    system.wait_until(lambda: worker.log().count("Cannot connect to") >= 3, what="the worker has tried three times")
    system.wait_for_ready(worker)
    for program in (worker, beat):
        program.broker.heal()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}
    # However long it takes: there is no number of tries after which a worker leaves.
    app = create_app(Settings(broker_url="redis://127.0.0.1:1/0"))
    assert app.conf.broker_connection_max_retries is None


def test_connections_to_the_broker_that_are_lost_without_a_word_are_made_anew(
    system: System, undisturbed: Rows
) -> None:
    worker = system.start_worker()
    worker.wait_for_log(" ready.")  # Celery's own word: it is connected
    worker.broker.lose()
    system.start_beat()
    system.assert_ends_as(undisturbed)


def test_the_broker_is_restarted_while_media_are_in_hand(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    worker = system.worker(worker__concurrency=1)
    worker.halt_at("network")
    worker.start()
    worker.wait_for_halt("network")
    system.servers.stop_broker(signal.SIGTERM)
    system.servers.start_broker()
    worker.wait_for_log("Connection to broker lost")
    held = {key for (key,) in system.query("SELECT key FROM media JOIN work ON media_id = id WHERE state = 1")}
    system.let_visibility_timeout_pass()  # and the message comes a second time while its media are in hand
    worker.go_on("network")
    system.assert_ends_as(undisturbed)
    assert held
    assert {system.s3.reads[key] for key in held} == {1}
