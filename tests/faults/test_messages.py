"""Messages that come twice, or thousands of times, or are none."""

import base64
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.faults.rows import Rows
from tests.faults.servers import TIMEOUT_S
from tests.faults.system import MakeSystem, System

pytestmark = [pytest.mark.servers, pytest.mark.faults]

DUPLICATES: Final = 2_000
TEN_MB: Final = 10_000_000
NOBODY: Final = 10**12


def queued_messages(system: System) -> list[bytes]:
    """Let beat publish everything, and return the messages, the first to be delivered first."""
    system.start_beat()
    waiting = "chunks WHERE state = 0"
    system.wait_until(lambda: not system.query(f"SELECT id FROM {waiting}"), what="all chunks are published")
    system.wait_until(lambda: system.messages() == system.count("chunks"), what="all messages are there")
    return list(reversed(system.broker.lrange("gpu", 0, -1)))


def test_two_workers_given_the_same_message(system: System, undisturbed: Rows) -> None:
    message, *others = queued_messages(system)
    (beat,) = system.programs
    beat.freeze()  # it would see that the messages of the others are gone
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
    beat.wake()
    system.assert_ends_as(undisturbed)
    assert set(system.s3.reads.values()) == {1}


def test_thousands_of_copies_of_a_message(system: System, undisturbed: Rows) -> None:
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


# -------------------------------------------------------------------------------------------------------- none of ours


class Evil:
    """What a pickle can do to who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


def given_of(message: bytes) -> dict[str, Any]:
    """Return what a message says: version, chunk and media."""
    _, given, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    return dict(given)


def spoiled(message: bytes, body: object, **envelope: object) -> bytes:
    """Put another body (bytes, or something for JSON) into a message, and change its envelope."""
    parsed = json.loads(message)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    parsed |= {"body": base64.b64encode(raw).decode(), **envelope}
    parsed["properties"]["delivery_tag"] = uuid4().hex
    return json.dumps(parsed).encode()


def none_of_ours(message: bytes, evil: Evil, *, size_bytes: int = 10_000) -> list[bytes]:
    """Return what is thrown away, each about the chunk and the media of a good message; two are of about a size."""
    good = given_of(message)
    ids = good["media_ids"]
    changed: list[dict[str, Any]] = [
        {"media_ids": [str(one) for one in ids]},
        {"media_ids": [-one for one in ids]},
        {"media_ids": [True]},
        {"media_ids": list(range(1, size_bytes // 6))},
        {"media_ids": {"1": ids}},
        {"media_ids": []},
        {"media_ids": "x" * size_bytes},
        {"chunk_id": "1 OR true"},
        {"chunk_id": 1 << 70},
        {"v": 0},
        {"v": 2},
        {"v": "1"},
        {"queue": "gpu"},
    ]
    bodies: list[object] = [[[], good | change, {}] for change in changed]
    bodies += [[[], {"v": 1, "chunk_id": good["chunk_id"]}, {}], [list(good.values()), {}, {}]]
    bodies += [good, ids, "text", 7, None, b"[[", b"\xff\xfe"]
    pickled = pickle.dumps([[], good | {"media_ids": evil}, {}])
    as_pickle = {"content-type": "application/x-python-serialize", "content-encoding": "binary"}
    return [
        *(spoiled(message, body) for body in bodies),
        spoiled(message, pickled),
        spoiled(message, pickled, **as_pickle),
        *(spoiled(message, [[], good, {}], headers=headers) for headers in ({}, {"task": "os.system", "id": "1"})),
        *(b"garbage", b"\x80\x05", b"7", b"[]", b"{}", b'{"body": "e30=", "properties": {}}', pickled),
    ]


def test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done(
    make_system: MakeSystem, undisturbed: Rows, tmp_path: Path
) -> None:
    system = make_system(worker__unclaimed_after_s=5)
    evil = Evil(tmp_path / "unpickled")
    messages = queued_messages(system)
    system.broker.delete("gpu")  # each chunk's own message is spoiled: it has to be published again
    thrown_away = none_of_ours(messages[0], evil, size_bytes=TEN_MB)
    thrown_away += [one for message in messages[1:] for one in none_of_ours(message, evil)]
    own = given_of(messages[0])
    strange = [
        spoiled(messages[0], [[], own | {"media_ids": [NOBODY]}, {}]),  # says nothing of what is in the chunk
        spoiled(messages[0], [[], {"v": 1, "chunk_id": NOBODY, "media_ids": [NOBODY, NOBODY + 1]}, {}]),
    ]
    for one in [*strange, *thrown_away]:
        system.broker.lpush("gpu", one)
    worker = system.start_worker()
    worker.wait_until(lambda: worker.log().count("was thrown away") == len(thrown_away), what="all are thrown away")
    system.assert_ends_as(undisturbed)
    system.wait_until(lambda: system.messages() + system.unacknowledged() == 0, what="nothing is left in the broker")
    assert not evil.path.exists()
    assert "Traceback" not in worker.log()
    assert set(system.s3.reads.values()) == {1}
