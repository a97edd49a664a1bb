"""Producers that are killed, and several at once: the rows of one undisturbed run."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, select, update

from annotator.errors import BacklogTakenError
from annotator.store.queue.counts import recount
from annotator.store.tables import WorkState, chunks, media, work
from tests.integration.backlog.conftest import Producer

if TYPE_CHECKING:
    from annotator.store.backlog.registration import ListingCount

pytestmark = pytest.mark.servers
APP = Path(__file__).parent / "producer_app.py"
KEYS = sorted(f"{folder}/{number:03}.gif" for folder in "abcd" for number in range(45))
TIMEOUT_S = 60.0


def started(producer: Producer, *arguments: str) -> "subprocess.Popen[str]":
    access = producer.server._access
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "ANNOTATOR_DATABASE_URL": producer.settings.database_url.get_secret_value(),
        "ANNOTATOR_S3_ENDPOINT_URL": str(access.endpoint_url),
        "ANNOTATOR_S3_REGION": str(access.region),
        "ANNOTATOR_S3_ACCESS_KEY_ID": str(access.access_key_id),
        "ANNOTATOR_S3_SECRET_ACCESS_KEY": str(access.secret_access_key),
    }
    command = [sys.executable, str(APP), str(producer.network_id), f"s3://{producer.bucket}/", "--json", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def registered(producer: Producer) -> int:
    return int(producer.rows(select(func.count()).select_from(media))[0][0])


def wait_until_more_than(producer: Producer, count: int, process: "subprocess.Popen[str]") -> None:
    for _ in range(int(TIMEOUT_S / 0.02)):
        if registered(producer) > count:
            return
        try:
            out, err = process.communicate(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the producer has ended: {out}{err}")
    pytest.fail("nothing was registered")


@pytest.mark.slow
def test_a_producer_that_is_killed_again_and_again_ends_like_an_undisturbed_one(producer: Producer) -> None:
    producer.put(*KEYS)
    for _ in range(3):
        process = started(producer, "--listers", "2")
        wait_until_more_than(producer, registered(producer), process)
        process.kill()
        process.communicate()
        assert registered(producer) < len(KEYS)
    process = started(producer)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert "goes on with backlog" in err
    said = json.loads(out)
    assert said["listed"] == said["new"] < len(KEYS)
    assert producer.known() == KEYS
    assert sorted(key for chunk in producer.queued() for key in chunk) == KEYS
    assert sum(shard.listed for shard in producer.shards()) == len(KEYS)
    producer.check()


def test_producers_that_start_at_the_same_time_share_the_work_or_say_so(producer: Producer) -> None:
    producer.put(*KEYS)
    producer.server.page_keys = 5
    together = threading.Barrier(3)
    totals = []
    refused = []

    def run() -> None:
        together.wait(TIMEOUT_S)
        try:
            totals.append(producer.run(listers=2))
        except BacklogTakenError as error:
            refused.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    if producer.store.engine.dialect.name == "postgresql":
        assert refused == []
        assert sum(total.new for total in totals) == len(KEYS)
        assert len({backlog.run.id for backlog in producer.backlogs}) == 1
    else:  # there, who comes second leaves it to the first
        assert len(totals) >= 1
        assert len(totals) + len(refused) == 3
        assert all("another annotate-backlog" in str(error) for error in refused)
    assert producer.known() == KEYS
    assert sorted(key for chunk in producer.queued() for key in chunk) == KEYS
    producer.check()


def test_a_part_that_another_producer_has_just_listed_to_its_end_is_left_alone(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended, and let go of its locks, after we had read what is open and before we took the lock."""
    producer.put("a/1.gif", "a/2.gif")
    takes = []

    @contextlib.contextmanager
    def holding(_engine: object) -> Iterator[Callable[[str], bool]]:
        def take(name: str) -> bool:
            if not takes:
                takes.append(name)
                monkeypatch.undo()
                assert producer.run(listers=1).new == 2
            return True

        yield take

    with producer.open(listers=1) as backlog:
        monkeypatch.setattr("workers.backlog.lister.holding", holding)
        assert list(backlog.listing.counts()) == []
    assert takes
    assert producer.known() == ["a/1.gif", "a/2.gif"]
    producer.check()


def test_the_summary_is_json_on_stdout_and_words_go_to_stderr(producer: Producer, tmp_path: Any) -> None:
    producer.put("a/1.gif", "a/2.gif")
    listed = tmp_path / "ids.txt"
    listed.write_text("a/1.gif\nnot/there.gif\n")
    process = started(producer, "--ids", str(listed))
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    said = json.loads(out)
    assert {name: said[name] for name in ("listed", "new", "queued", "chunks", "unknown")} == {
        "listed": 1,
        "new": 1,
        "queued": 1,
        "chunks": 1,
        "unknown": 1,
    }
    assert "not there, or may not be read: not/there.gif" in err


def run_together(*producers: Producer) -> "list[ListingCount]":
    together = threading.Barrier(len(producers))
    totals = []

    def run(one: Producer) -> None:
        together.wait(TIMEOUT_S)
        totals.append(one.run(listers=2))

    threads = [threading.Thread(target=run, args=[one]) for one in producers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    return totals


def test_two_networks_may_list_the_same_bucket_at_the_same_time(producer: Producer) -> None:
    producer.put(*KEYS)
    producer.server.page_keys = 5
    other = replace(producer, network_id=producer.store.register_network({"name": "other"}), backlogs=[])
    totals = run_together(producer, other)
    assert [total.queued for total in totals] == [len(KEYS)] * 2
    assert sum(total.new for total in totals) == len(KEYS)
    assert producer.known() == KEYS
    producer.check()


def test_objects_that_have_changed_are_queued_by_both_of_two_networks(producer: Producer) -> None:
    keys = KEYS[::3]
    producer.put(*keys)
    producer.server.page_keys = 5
    other = replace(producer, network_id=producer.store.register_network({"name": "other"}), backlogs=[])
    producer.run()
    other.run()
    with producer.store.writing() as connection:
        connection.execute(update(work).values(state=int(WorkState.DONE)))
        connection.execute(delete(chunks))
        recount(connection)
    producer.put(*keys, body=b"other bytes")
    run_together(producer, other)
    states = producer.rows(
        select(work.c.network_id, work.c.state, func.count()).group_by(*work.c["network_id", "state"])
    )
    assert sorted(tuple(row) for row in states) == [
        (producer.network_id, WorkState.PENDING, len(keys)),
        (other.network_id, WorkState.PENDING, len(keys)),
    ]
    producer.check()
