"""What becomes of a worker process: signals, hangs, deaths, messages that are none of ours. With real servers."""

import base64
import http.server
import json
import os
import pickle
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from sqlalchemy import select, update

from annotator.liveness import SignOfLife, read_sign, why_not_alive
from annotator.stack.local import LocalStack
from annotator.store.tables import WorkState, work, worker_sessions
from tests.fixtures_database import PostgresForTests
from tests.integration.workers.system import TIMEOUT_S, System, broker_beside

MEDIA = 40
pytestmark = [pytest.mark.servers, pytest.mark.slow]
Program = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresForTests, postgres_template: str
) -> Iterator[LocalStack]:
    """A broker for this module. Its database is nobody's: each test has one."""
    name = f"stack_{uuid4().hex}"
    url = postgres_server.create(name, template=postgres_template)
    with broker_beside(url, tmp_path_factory.mktemp("stack")) as started:
        yield started
    postgres_server.drop(name)


@pytest.fixture
def system(stack: LocalStack, tmp_path: Path, make_database: Callable[..., str]) -> Iterator[System]:
    """A fresh database, and the broker of this module, emptied."""
    made = System(stack, tmp_path, media_count=MEDIA, database_url=make_database("postgres"))
    yield made
    made.end()


def wait_until(holds: Callable[[], bool], say: Callable[[], str] = str) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not holds():
        if time.monotonic() > until_s:
            pytest.fail(f"it never came: {say()}")
        time.sleep(0.05)


def all_done(states: dict[int, int]) -> bool:
    return states == {WorkState.DONE: MEDIA}


def living(system: System) -> SignOfLife | None:
    """Return the sign of life by which ``annotator worker`` judges, None where it says that nobody lives.

    Whoever waits looks here first: the command is a process for each look.
    """
    sign = read_sign(Path(system.environment["ANNOTATOR_WORKER__ALIVE_FILE"]))
    timeout_s = float(system.environment["ANNOTATOR_WORKER__SESSION_TIMEOUT_S"])
    return sign if why_not_alive(sign, timeout_s=timeout_s) is None else None


def is_ready(system: System) -> bool:
    sign = living(system)
    return sign is not None and sign.state == "ready"


def wait_until_ready(system: System) -> None:
    wait_until(lambda: is_ready(system) and system.ask("ready")[0] == 0, lambda: system.log("worker"))


def sessions(system: System) -> list[Any]:
    with system.store.reading() as connection:
        return list(connection.execute(select(worker_sessions).order_by(worker_sessions.c.id)).all())


# ------------------------------------------------------------------------------------------------- signals and notices


def test_ready_and_alive_follow_the_life_of_a_worker(system: System) -> None:
    assert system.ask("ready")[0] == system.ask("alive")[0] == 1
    worker = system.start("worker", "-Q", "gpu,cpu")
    wait_until_ready(system)
    assert system.ask("alive") == (0, f"alive: process {worker.pid}\n")
    (session,) = sessions(system)
    assert (sorted(session.queues), session.device) == (["cpu", "gpu"], "cpu")
    wait_until(lambda: sessions(system)[0].busy is not None)
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: living(system) is None)
    code, said = system.ask("alive")
    assert code == 1
    assert "has been silent" in said
    worker.send_signal(signal.SIGCONT)
    wait_until(lambda: living(system) is not None and system.ask("alive")[0] == 0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert system.ask("alive")[0] == system.ask("ready")[0] == 1


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, None])
def test_whoever_asks_it_to_stop_gets_everything_back_in_time(system: System, second: signal.Signals | None) -> None:
    system.start("beat")
    worker = system.start("worker", "-Q", "gpu", media_s=1.0)
    system.wait_until(lambda states: states.get(WorkState.DONE, 0) >= 1, worker)
    first = signal.SIGINT if second == signal.SIGINT else signal.SIGTERM
    began_s = time.monotonic()
    worker.send_signal(first)
    if second is not None:
        time.sleep(1.0)
        worker.send_signal(second)
    code = worker.wait(20)
    took_s = time.monotonic() - began_s
    assert WorkState.CLAIMED not in system.states()
    assert all(one.ended_at is not None for one in sessions(system))
    with system.store.reading() as connection:
        assert connection.execute(select(work.c.suspect).where(work.c.suspect)).first() is None
    if second == signal.SIGINT:
        assert took_s < 6.0, "a second Ctrl-C finishes nothing more"
    else:
        assert code == 0
        assert took_s < 13.0
    assert "Traceback" not in system.log("worker")


def test_networks_that_never_return_do_not_keep_a_worker_that_is_asked_twice(system: System) -> None:
    system.start("beat")
    worker = system.start("worker", "-Q", "gpu", FAKE_HANGS="7.gif", ANNOTATOR_WORKER__DRAIN_S="300")
    wait_until(lambda: "at 7.gif for ever" in system.log("worker"), lambda: system.log("worker"))
    worker.send_signal(signal.SIGINT)
    wait_until(lambda: not is_ready(system) and system.ask("ready")[0] == 1)
    worker.send_signal(signal.SIGINT)
    worker.wait(TIMEOUT_S)
    assert WorkState.CLAIMED not in system.states()


class SpotHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"TRUE")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_spot_notice_is_as_good_as_sigterm(system: System) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SpotHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        worker = system.start(
            "worker", "-Q", "gpu", ANNOTATOR_WORKER__SPOT_NOTICE="gcp", ANNOTATOR_WORKER__SPOT_URL=url
        )
        assert worker.wait(TIMEOUT_S) == 0
        server.shutdown()
    assert "about to be taken away (preempted)" in system.log("worker")
    assert [one.ended_at is not None for one in sessions(system)] == [True]


# --------------------------------------------------------------------------------------------------- deaths and hangs


def supervise(system: System, until: Callable[[dict[int, int]], bool], **environment: str) -> list[int]:
    """Start a worker again and again, as a supervisor does, until the rows say so; return the exit codes."""
    codes: list[int] = []
    until_s = time.monotonic() + 5 * TIMEOUT_S
    while not until(system.states()):
        worker = system.start("worker", "-Q", "gpu", media_s=0.01, **environment)
        while worker.poll() is None and not until(system.states()):
            assert time.monotonic() < until_s, f"{codes} {system.states()} {system.log('worker')[-3000:]}"
            time.sleep(0.05)
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
        codes.append(worker.wait(20))
    return codes


def test_a_media_that_kills_the_process_is_named_and_its_innocent_mates_finish(system: System) -> None:
    system.start("beat")
    settled = {WorkState.DONE: MEDIA - 1, WorkState.QUARANTINED: 1}
    codes = supervise(system, lambda states: states == settled, FAKE_KILLERS="7.gif")
    assert codes[:4] == [-signal.SIGKILL] * 4, "together with others, then three times alone"
    row = system.row(7)
    assert (row.state, row.reason, row.deaths) == (WorkState.QUARANTINED, "worker_died", 3)
    with system.store.reading() as connection:
        innocent = connection.execute(select(work.c.deaths).where(work.c.state == WorkState.DONE)).scalars().all()
    assert set(innocent) == {0}


def test_a_media_from_which_the_networks_never_return_costs_processes_and_is_named(system: System) -> None:
    system.start("beat")
    settled = {WorkState.DONE: MEDIA - 1, WorkState.QUARANTINED: 1}
    codes = supervise(
        system,
        lambda states: states == settled,
        FAKE_HANGS="7.gif",
        ANNOTATOR_WORKER__GIF_DEADLINE_S="3",
        ANNOTATOR_WORKER__HEARTBEAT_S="0.2",
    )
    assert codes[:4] == [1, 1, 1, 1], "together with others, then three times alone"
    assert system.row(7).reason == "worker_died"
    assert "something in it never returns" in system.log("worker")


# ------------------------------------------------------------------------------------------------------------ messages


def envelope(body: bytes, *, content_type: str = "application/json", **headers: Any) -> bytes:
    """Return a message as Celery puts it into the broker."""
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "binary" if "pickle" in content_type else "utf-8",
        "content-type": content_type,
        "headers": {"lang": "py", "task": "workers.annotate_chunk", "id": "5c1d", "argsrepr": "hunter2"} | headers,
        "properties": {
            "correlation_id": "5c1d",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "gpu"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": os.urandom(8).hex(),
        },
    }
    return json.dumps(message).encode()


def task(**given: Any) -> bytes:
    return json.dumps([[], given, {}]).encode()


class Evil:
    """What a pickle can do to who reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_messages_that_are_none_of_ours_are_thrown_away_and_harm_nothing(system: System, tmp_path: Path) -> None:
    broker = Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"])
    evil = pickle.dumps([[], {"v": 1, "chunk_id": 1, "media_ids": Evil(tmp_path / "unpickled")}, {}])
    bad = [
        envelope(evil, content_type="application/x-python-serialize"),
        envelope(evil),
        envelope(task(v=1, chunk_id=1, media_ids=["hunter2"])),
        envelope(task(v=2, chunk_id=1, media_ids=[1])),
        envelope(task(v=1, chunk_id=1, media_ids=list(range(10**6, 25 * 10**5)))),
        envelope(b"hunter2 [["),
        envelope(json.dumps("hunter2").encode()),
        envelope(task(v=1, chunk_id=1, media_ids=[1]), task="hunter2.run"),
        envelope(task(v=1, chunk_id=1, media_ids=[1]), eta="hunter2"),
        envelope(task(v=1, chunk_id=77777, media_ids=[10**12])),
    ]
    assert len(bad[4]) > 10_000_000
    broker.lpush("gpu", *bad)
    worker = system.start("worker", "-Q", "gpu")
    wait_until(lambda: broker.llen("gpu") == 0 and broker.hlen("unacked") == 0, lambda: system.log("worker")[-3000:])
    system.start("beat")
    system.wait_until(all_done, worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert not (tmp_path / "unpickled").exists()
    log = system.log("worker")
    assert "hunter2" not in log
    assert log.count("was thrown away") == len(bad) - 1, "ids that are nobody's are no fault of form"
    assert "Traceback" not in log
    broker.close()


def test_what_is_no_message_at_all_stops_no_worker(system: System) -> None:
    """Each is taken out by itself, before the messages of media; a line for each says that none took another along."""
    garbage = [b"hunter2", b"\xff\xfe\x00", b"[1, 2]", b"7", b'"text"', b"{}", b'{"body": "aGk=", "properties": {}}']
    broker = Redis.from_url(system.environment["ANNOTATOR_BROKER_URL"])
    broker.lpush("gpu", *garbage)
    system.start("beat")
    worker = system.start("worker", "-Q", "gpu")
    system.wait_until(all_done, worker)
    log = system.log("worker")
    assert log.count("was thrown away") == len(garbage)
    assert "hunter2" not in log
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    broker.close()


# -------------------------------------------------------------------------------------------------------------- queues


def test_a_worker_of_the_default_queue_alone_loads_no_networks(system: System) -> None:
    worker = system.start("worker", "-Q", "default", app="workers")
    wait_until_ready(system)
    (session,) = sessions(system)
    assert (list(session.queues), session.device) == (["default"], None)
    loaded = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "sqlalchemy" in loaded
    assert not any(name in loaded for name in ("openvino", "tensorflow", "cv2"))
    with system.store.writing() as connection:
        connection.execute(update(worker_sessions).values(ended_at=worker_sessions.c.seen_at))
    wait_until(lambda: len(sessions(system)) == 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert sessions(system)[1].ended_at is not None
