"""How many connections each program has open at most: docs/operations.md, «Connections», has what this measures.

``pytest -s`` prints it.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from annotator.settings import WorkerSettings
from annotator.stack.local import LocalStack
from annotator.store.connection import open_engine
from tests.integration.workers.system import MEDIA, System, broker_beside
from tests.integration.workers.test_beat import Receiver, add_backlog, wait_until
from workers.beat.schedule import _POOL_SIZE
from workers.boot import _SPARE_CONNECTIONS

pytestmark = [pytest.mark.servers, pytest.mark.slow]
DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.fixture
def stack(tmp_path: Path, make_database: Callable[..., str]) -> Iterator[LocalStack]:
    """A fresh database, and a broker of its own, which a test may change."""
    with broker_beside(make_database("postgres"), tmp_path / "stack") as started:
        yield started


@pytest.fixture
def system(stack: LocalStack, tmp_path: Path) -> Iterator[System]:
    made = System(stack, tmp_path)
    yield made
    made.end()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    thread.join()
    made.server_close()


class Census:
    """Looks again and again who has how many connections, and remembers the most."""

    def __init__(self, system: System) -> None:
        self.most: Counter[str] = Counter()
        self._programs: dict[str, int] = {}
        self._broker_port = make_url(system.environment["ANNOTATOR_BROKER_URL"]).port
        self._engine = open_engine(system.environment["ANNOTATOR_DATABASE_URL"])
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def add(self, name: str, pid: int) -> None:
        self._programs = {**self._programs, name: pid}

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        counted = text(
            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " GROUP BY application_name"
        )
        while not self._is_over.wait(0.1):
            with self._engine.connect() as connection:
                found = {f"{name} database": count for name, count in connection.execute(counted).all()}
            found |= {f"{name} broker": self._broker_connections(pid) for name, pid in self._programs.items()}
            for name, count in found.items():
                self.most[name] = max(self.most[name], count)

    def _broker_connections(self, pid: int) -> int:
        port = f":{self._broker_port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(port)}
        return sum(1 for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink() and _target(one) in sockets)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


def has_session(system: System, queue: str) -> bool:
    with system.store.reading() as connection:
        opened = text("SELECT count(*) FROM worker_sessions WHERE ended_at IS NULL AND queues::text LIKE :queue")
        return bool(connection.execute(opened, {"queue": f"%{queue}%"}).scalar_one())


def test_no_program_opens_more_connections_than_the_handbook_says(system: System, receiver: Receiver) -> None:
    receiver.released.set()
    add_backlog(system, receiver)
    url = make_url(system.environment["ANNOTATOR_DATABASE_URL"])

    def named(name: str) -> dict[str, str]:
        of_program = url.update_query_dict({"application_name": name}).render_as_string(hide_password=False)
        folder = {"ANNOTATOR_WORKER__ALIVE_FILE": str(system.folder / f"{name}.alive")}
        return {"ANNOTATOR_DATABASE_URL": of_program, **folder}

    census = Census(system)
    census.start()
    try:
        programs = {"housekeeper": ("worker", "-Q", "default"), "worker": ("worker", "-Q", "gpu"), "beat": ("beat",)}
        for name, arguments in programs.items():
            process = system.start(*arguments, **named(name))
            census.add(name, process.pid)
            if name != "beat":  # what is slow goes to the housekeeper, from the beginning
                wait_until(partial(has_session, system, arguments[-1]), system)
        system.wait_until(lambda states: states == {2: MEDIA}, process)
        wait_until(lambda: len(receiver.keys) > MEDIA, system)
    finally:
        census.end()
    print({name: count for name, count in sorted(census.most.items()) if name.split()[0] in census._programs})  # noqa: T201
    chosen = WorkerSettings()
    bounds = {
        "worker database": chosen.concurrency + chosen.decoders + _SPARE_CONNECTIONS,
        "housekeeper database": chosen.concurrency + chosen.decoders + _SPARE_CONNECTIONS + _POOL_SIZE,
        "beat database": _POOL_SIZE,
    }
    rows = dict(
        re.findall(r"^\| ([a-z]+)\b[^|]*\| [^|]*\| (\d+) \|", DOCUMENT.split("## Connections")[1], re.MULTILINE)
    )
    bounds |= {f"{name} broker": int(rows[name]) for name in ("worker", "housekeeper", "beat")}
    for name, most in bounds.items():
        assert 0 < census.most[name] <= most, (name, census.most)
