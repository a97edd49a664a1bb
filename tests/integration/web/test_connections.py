"""Clients that say nothing, say it slowly or come in crowds: they hold nothing up, and are cut off."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import anyio
import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from annotator.store import Store
from annotator.web import answering
from annotator.web.connections import CONNECTIONS_OF_ONE, Patience, PatientConnection
from annotator.web.serving import listen
from tests.web_client import WebForTests
from tests.web_process import copy_database, running

SOON_S = 0.3
LONG_S = 20
ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer whatever comes, without reading it."""
    await PlainTextResponse("hello")(scope, receive, send)


@contextlib.contextmanager
def served(patience: Patience) -> Iterator[tuple[str, int]]:
    """Run a server with so much patience; give its address."""
    listening = listen("127.0.0.1", 0)
    http = partial(PatientConnection, patience=patience)
    config = uvicorn.Config(hello, http=http, log_config=None, lifespan="off")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Callable[[], socket.socket]]:
    """What connects to a server that waits a moment for headers."""
    with served(Patience(head_within_s=SOON_S)) as address:
        yield lambda: socket.create_connection(address, timeout=LONG_S)


def is_cut(connection: socket.socket) -> bool:
    """Wait until the server has closed a connection; say whether it has."""
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def answer_of(connection: socket.socket) -> bytes:
    """Return an answer as it came, up to its last word; less where the server has closed the connection."""
    came = b""
    while not came.endswith((b"hello", b"}")) and (data := connection.recv(4096)):
        came += data
    return came


def trickle(connection: socket.socket, data: bytes) -> None:
    """Send one byte after the other, quicker than the patience for any of them, until the server has had enough."""
    with contextlib.suppress(OSError):
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(SOON_S / 10)


def test_who_says_nothing_is_cut_off(impatient: Callable[[], socket.socket]) -> None:
    with impatient() as connection:
        assert is_cut(connection)


@pytest.mark.parametrize("before", [b"", ASK + b"\r\n"])
def test_who_never_ends_its_headers_is_cut_off(impatient: Callable[[], socket.socket], before: bytes) -> None:
    with impatient() as connection:
        connection.sendall(before)
        began_s = time.monotonic()
        trickle(connection, ASK + b"A: " + b"a" * 1000)
        assert is_cut(connection)
        assert time.monotonic() - began_s < LONG_S


def test_who_never_ends_a_body_that_nobody_waits_for_is_cut_off(impatient: Callable[[], socket.socket]) -> None:
    with impatient() as connection:
        connection.sendall(POST)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
        trickle(connection, b"a" * 99)
        assert is_cut(connection)


def test_a_connection_that_asks_again_and_again_stays() -> None:
    with served(Patience(head_within_s=1)) as address, socket.create_connection(address, timeout=LONG_S) as connection:
        for _ in range(3):
            connection.sendall(ASK)
            time.sleep(0.4)
            connection.sendall(b"\r\n")
            assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_one_too_many_of_one_address_is_closed_and_the_next_one_taken_when_there_is_room() -> None:
    with served(Patience(most_of_one=3)) as address, contextlib.ExitStack() as stack:
        connect = partial(socket.create_connection, address, timeout=LONG_S)
        of_one = [stack.enter_context(connect()) for _ in range(3)]
        for connection in of_one:
            connection.sendall(ASK + b"\r\n")
            assert answer_of(connection).startswith(b"HTTP/1.1 200")
        with connect() as one_more:
            assert is_cut(one_more)
        of_one[0].close()
        deadline_s = time.monotonic() + LONG_S
        while True:  # the server learns a moment later that it is closed
            with connect() as next_one:
                next_one.sendall(ASK + b"\r\n")
                with contextlib.suppress(ConnectionError):
                    if answer_of(next_one):
                        break
            assert time.monotonic() < deadline_s


def test_connections_of_a_proxy_are_not_counted() -> None:
    of_proxy = Patience(most_of_one=1, uncounted=(ip_network("127.0.0.0/8"),))
    with served(of_proxy) as address, contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection(address, timeout=LONG_S))
            connection.sendall(ASK + b"\r\n")
            assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_the_program_takes_no_crowd_from_one_address(tmp_path: Path, sqlite_template: Path) -> None:
    copy_database(sqlite_template, tmp_path)
    with running(tmp_path) as (_, address), contextlib.ExitStack() as stack:
        host, port = address.split("/")[2].split(":")
        crowd = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=LONG_S))
            for _ in range(CONNECTIONS_OF_ONE + 1)
        ]
        assert is_cut(crowd[-1])
        crowd[0].sendall(ASK + b"\r\n")
        assert answer_of(crowd[0]).startswith(b"HTTP/1.1 200")


FORM = [(b"host", b"127.0.0.1"), (b"content-length", b"9"), (b"content-type", b"application/x-www-form-urlencoded")]
BEGUN: Message = {"type": "http.request", "body": b"name=", "more_body": True}


@pytest.mark.parametrize(
    ("then", "status"), [(None, 408), ({"type": "http.disconnect"}, 400)], ids=["stops coming", "breaks off"]
)
def test_a_form_that_does_not_come_is_told_and_not_waited_for(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, then: Message | None, status: int
) -> None:
    monkeypatch.setattr(answering, "_FORM_WITHIN_S", 0.1)
    coming, sent = [BEGUN, then], []
    scope = {"type": "http", "method": "POST", "path": "/login", "query_string": b"", "headers": FORM, "client": None}

    async def receive() -> Message:
        following = coming.pop(0)
        if following is None:
            await anyio.sleep_forever()
        assert following is not None
        return following

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        with anyio.fail_after(LONG_S):
            await WebForTests(sqlite_store).application(scope, receive, send)

    anyio.run(ask)  # an error would go on from here into the log of uvicorn
    assert sent[0]["status"] == status
