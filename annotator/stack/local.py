"""The local stack: every server that the distributed way needs, on one machine, each replaceable by a URL.

Started in the order PostgreSQL, broker, S3 endpoint, tables, web application, worker, beat; stopped in the opposite
order. Everything lives below one folder and is there again after the next start::

    lock            held by the owner; says that a stack runs here
    ports.json      the ports of the last start, taken again when they are free
    postgres/       data, password, log
    broker/         append-only file, log
    s3/BUCKET/KEY   the objects (see annotator.stack.s3_server)
    web.address     where the web application is, with the key that opens it once; while it runs
    worker.log  beat.log  s3.log  web.log   (and NAME.log.1, what was moved aside when a log had grown large)
"""

import contextlib
import fcntl
import http.client
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from annotator.errors import AnnotatorError, ConfigError
from annotator.stack.broker import BrokerChild
from annotator.stack.child import ChildProcess, free_port
from annotator.stack.postgres import PostgresChild, missing_extra
from annotator.stack.stopping import StopSignals
from annotator.stack.web import WebChild, is_web_installed

if TYPE_CHECKING:
    from annotator.settings import Settings

_LOGGER: Final = logging.getLogger(__name__)
_S3_START_TIMEOUT_S: Final = 60.0
_WORKER_START_TIMEOUT_S: Final = 180.0  # the first start converts the networks
_SERVER_STOP_TIMEOUT_S: Final = 15.0
_WORKER_STOP_MARGIN_S: Final = 6.0
_WATCH_EVERY_S: Final = 0.2
_MAX_RESTARTS: Final = 10  # one after the other; a process that lived longer than this begins a new count
_LONG_LIFE_S: Final = 60.0
# The S3 endpoint takes any key pair; clients insist on having one.
_LOCAL_S3: Final = {
    "ANNOTATOR_S3_REGION": "us-east-1",
    "ANNOTATOR_S3_ACCESS_KEY_ID": "local",
    "ANNOTATOR_S3_SECRET_ACCESS_KEY": "local",
}
FIRST_BUCKET: Final = "clips"  # made where the stack has an S3 endpoint of its own
QUEUES: Final = "gpu,cpu,default"


class StackError(AnnotatorError):
    """A server or the worker of the local stack ended while it was needed."""

    reason = "stack"


@dataclass(frozen=True, slots=True)
class StackUrls:
    """Where the servers of a stack are.

    Attributes:
        database_url: for SQLAlchemy and for ``psql``, password included.
        broker_url: Redis protocol.
        s3_endpoint_url: of the bucket's server.
        psql: path of a ``psql`` that fits the database.
        data_dir: where the stack keeps everything.
        environment: the variables with which another process uses the stack, credentials included.
        web_address_file: holds the address of the web application, which changes when it was used; not there while it
            does not answer. None where it is not installed, or not wanted.

    """

    database_url: str
    broker_url: str
    s3_endpoint_url: str
    psql: str
    data_dir: Path
    environment: Mapping[str, str]
    web_address_file: Path | None = None


@dataclass(slots=True)
class _Service:
    """A process of the stack, and how it is started again if it may be."""

    child: ChildProcess
    stop_timeout_s: float
    restart: Callable[[], ChildProcess] | None = None
    restarts: int = 0
    born_s: float = field(default_factory=time.monotonic)

    def is_hopeless(self) -> bool:
        """Say whether it dies again and again; a process killed now and then in a long night is another matter."""
        if time.monotonic() - self.born_s > _LONG_LIFE_S:
            self.restarts = 0
        return self.restarts >= _MAX_RESTARTS


class LocalStack:
    """A context manager: inside it all servers answer; after it no process is left."""

    def __init__(
        self,
        settings: "Settings",
        *,
        data_dir: Path | None = None,
        with_worker: bool = True,
        with_web: bool = False,
    ) -> None:
        """Describe the stack; nothing is started yet.

        Args:
            settings: a ``database_url`` of PostgreSQL, a ``broker_url`` and an ``s3_endpoint_url`` given there are
                used instead of own servers.
            data_dir: the folder of the stack; ``settings.data_dir / "stack"`` if None.
            with_worker: whether a worker and its beat run, too.
            with_web: whether the web application runs, too, where its extra is installed.

        """
        self._settings = settings
        self._folder = (data_dir or settings.data_dir / "stack").absolute()
        self._with_worker = with_worker
        self._with_web = with_web
        self._children: list[_Service | WebChild] = []
        self._closing = contextlib.ExitStack()
        self._urls: StackUrls | None = None
        self._ports = _Ports(self._folder / "ports.json")
        # A shell that has read the environment of an earlier run names our own servers: these are started, too.
        given = settings.database_url.get_secret_value()
        is_postgres = given.startswith("postgresql")
        self._database_url = given if is_postgres and not self._ports.has("postgres", given) else None
        given = settings.broker_url.get_secret_value() if settings.broker_url else ""
        self._broker_url = given if given and not self._ports.has("broker", given) else None
        given = settings.s3_endpoint_url or ""
        self._s3_url = given if given and not self._ports.has("s3", given) else None

    @property
    def urls(self) -> StackUrls:
        """Return where the servers are.

        Raises:
            RuntimeError: outside of the context.

        """
        if self._urls is None:
            msg = "the local stack is not started"
            raise RuntimeError(msg)
        return self._urls

    def __enter__(self) -> Self:
        """Start everything and wait until it answers.

        Raises:
            ConfigError: another stack runs on the folder, a wheel is missing, or a server does not start.

        """
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, the last started first."""
        self._stop()

    def watch(self) -> None:
        """Look after the processes: a worker that has died is started again, as a supervisor would do; logs stay small.

        So is the web application, after a pause; without it everything else goes on.

        Raises:
            StackError: a server has ended, or the worker dies again and again; the message has the end of its log.

        """
        for service in self._children:
            if isinstance(service, WebChild):
                service.look_after()
                continue
            if service.child.returncode() is None:
                with contextlib.suppress(OSError):  # a full disk is no reason to stop what runs
                    service.child.rotate_log()
                continue
            told = f"The {service.child.name} has ended (exit {service.child.returncode()})"
            if service.restart is None or service.is_hopeless():
                raise StackError(f"{told}: {service.child.log_tail()}")
            _LOGGER.warning("%s and is started again.", told)
            self._take_back_work(f"{socket.gethostname()}:{service.child.pid}")
            service.child, service.born_s = service.restart(), time.monotonic()
            service.restarts += 1

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._closing.enter_context(_only_owner(self._folder))
        database_url, psql = self._start_database()
        broker_url = self._broker_url or self._start_broker()
        s3_url = self._s3_url or self._start_s3()
        variables = {"ANNOTATOR_DATABASE_URL": database_url, "ANNOTATOR_BROKER_URL": broker_url}
        variables["ANNOTATOR_S3_ENDPOINT_URL"] = s3_url
        variables["ANNOTATOR_WORKER__ALIVE_FILE"] = str(self._folder / "worker.alive")
        if self._s3_url is None:
            variables |= _LOCAL_S3
        self._urls = StackUrls(database_url, broker_url, s3_url, psql, self._folder, variables)
        from annotator.store.schema import upgrade  # noqa: PLC0415  (SQLAlchemy and Alembic, needed here only)

        upgrade(database_url)
        if self._database_url is None:
            self._take_back_work(None)
        if self._with_web and is_web_installed():
            self._start_web()
        if self._with_worker:
            self._start_worker()

    def _start_database(self) -> tuple[str, str]:
        if self._database_url is not None:
            return self._database_url, "psql"
        server = PostgresChild(self._folder / "postgres", self._ports.take("postgres"))
        self._children.append(_Service(server.process, _SERVER_STOP_TIMEOUT_S))
        return server.url, server.psql

    def _start_broker(self) -> str:
        server = BrokerChild(self._folder / "broker", self._ports.take("broker"))
        self._children.append(_Service(server.process, _SERVER_STOP_TIMEOUT_S))
        return server.url

    def _start_s3(self) -> str:
        if find_spec("moto") is None or find_spec("werkzeug") is None:
            raise missing_extra("moto[server]")
        folder = self._folder / "s3"
        (folder / FIRST_BUCKET).mkdir(parents=True, exist_ok=True)
        port = self._ports.take("s3")
        command = [sys.executable, "-m", "annotator.stack.s3_server", str(folder), str(port)]
        server = ChildProcess("S3 endpoint", command, log_path=self._folder / "s3.log")
        self._children.append(_Service(server, _SERVER_STOP_TIMEOUT_S))
        server.wait_until(lambda: _is_http(port), timeout_s=_S3_START_TIMEOUT_S)
        return f"http://127.0.0.1:{port}"

    def _take_back_work(self, worker: str | None) -> None:
        """Take back at once what a process had in hand that is known to be gone: one, or all when the stack starts."""
        from annotator.store.connection import open_engine, writing  # noqa: PLC0415  (SQLAlchemy, needed here only)
        from annotator.store.queue.sessions import end_sessions_of  # noqa: PLC0415
        from annotator.store.queue.sweeping import sweep  # noqa: PLC0415

        chosen = self._settings.worker
        engine = open_engine(self.urls.database_url)
        try:
            timeout_s = chosen.session_timeout_s if worker is not None else 0.0
            is_all = False
            while not is_all:
                with writing(engine) as connection:
                    if worker is not None:
                        end_sessions_of(connection, worker)
                    is_all = sweep(connection, session_timeout_s=timeout_s, max_tries=chosen.max_attempts).is_all
        finally:
            engine.dispose()

    def _start_web(self) -> None:
        chosen = self._settings.web
        is_explicit = "port" in chosen.model_fields_set
        port = self._ports.take("web", preferred=chosen.port or None, is_explicit=is_explicit)
        web = WebChild(self._folder, port, self.urls.environment)
        self._children.append(web)
        web.wait_until_bound()
        self._urls = replace(self.urls, web_address_file=web.address_file)

    def _start_worker(self) -> None:
        from annotator.store.queue.sessions import is_worker_ready  # noqa: PLC0415  (SQLAlchemy, needed here only)

        database_url = self.urls.database_url
        worker = self._start_celery("worker", "worker", "-Q", QUEUES, "--loglevel", "INFO")
        worker.wait_until(lambda: is_worker_ready(database_url, worker.pid), timeout_s=_WORKER_START_TIMEOUT_S)
        self._start_celery("beat", "beat", "--loglevel", "INFO", "--pidfile=")

    def _start_celery(self, name: str, *arguments: str) -> ChildProcess:
        def start() -> ChildProcess:
            return ChildProcess(
                name,
                [sys.executable, "-m", "celery", "-A", "workers", *arguments],
                log_path=self._folder / f"{name}.log",
                environment=self.urls.environment,
            )

        service = _Service(start(), self._settings.worker.drain_s + _WORKER_STOP_MARGIN_S, start)
        self._children.append(service)
        return service.child

    def _stop(self) -> None:
        for service in reversed(self._children):
            if not service.child.stop(timeout_s=service.stop_timeout_s):
                _LOGGER.warning(
                    "The %s did not stop within %.0f s and was killed.", service.child.name, service.stop_timeout_s
                )
        self._children.clear()
        self._urls = None
        self._closing.close()


def run_local_stack(
    settings: "Settings",
    *,
    on_ready: Callable[[StackUrls], None],
    data_dir: Path | None = None,
    with_worker: bool = True,
    with_web: bool = False,
) -> None:
    """Run the local stack until SIGINT or SIGTERM; to be called on the main thread.

    Args:
        settings: see :class:`LocalStack`.
        on_ready: called once, when everything answers.
        data_dir: the folder of the stack; ``settings.data_dir / "stack"`` if None.
        with_worker: whether a worker and its beat run, too.
        with_web: whether the web application runs, too, where its extra is installed.

    Raises:
        ConfigError: the stack cannot start.
        StackError: a server or the worker ended before it was told to.

    """
    signals = StopSignals()
    stack = LocalStack(settings, data_dir=data_dir, with_worker=with_worker, with_web=with_web)
    with signals, stack:
        on_ready(stack.urls)
        signals.interrupts = False
        while not signals.arrived:
            time.sleep(_WATCH_EVERY_S)
            stack.watch()


@contextlib.contextmanager
def _only_owner(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when the process ends, however it ends."""
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConfigError(
                f"A local stack runs on {folder} already (process {lock.read().strip() or 'unknown'}); "
                "stop it, or give another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class _Ports:
    """Ports that stay the same from start to start while they are free."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ports: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):  # half of it, from a full disk: other ports
            self._ports = dict(json.loads(path.read_text()))

    def has(self, name: str, url: str) -> bool:
        parts = urlsplit(url)
        return parts.hostname == "127.0.0.1" and parts.port is not None and parts.port == self._ports.get(name)

    def take(self, name: str, *, preferred: int | None = None, is_explicit: bool = False) -> int:
        """Take a port: the last one, or the preferred one where there is none, or where somebody has asked for it."""
        remembered = self._ports.get(name, preferred)
        self._ports[name] = free_port(preferred if is_explicit and preferred else remembered)
        self._path.write_text(json.dumps(self._ports))
        return self._ports[name]


def _is_http(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
