"""An HTTP proxy in front of the S3 endpoint that answers for chosen objects as a test's script says."""

import contextlib
import http.client
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Protocol
from urllib.parse import quote, unquote, urlsplit

import pytest

from tests.faults.servers import TIMEOUT_S

# The endpoint checks no signature, but refuses to change an object for somebody without any.
_SIGNED: Final = {"Authorization": "AWS faults:faults"}
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fault(Protocol):
    """What happens to one read of one object, in place of the plain answer."""

    def answer(self, exchange: "Exchange") -> None:
        """Answer the client, or do not."""


class Exchange:
    """One read of an object: what a fault has in its hands."""

    def __init__(self, proxy: "FaultyS3", handler: "_Handler", bucket: str, key: str) -> None:
        self.proxy = proxy
        self.bucket = bucket
        self.key = key
        self._handler = handler

    def fetch(self) -> Reply:
        """Ask the endpoint."""
        return self.proxy.ask(self._handler.command, self._handler.path, dict(self._handler.headers.items()))

    def send(self, reply: Reply, *, cut_at: int | None = None) -> None:
        """Answer; with ``cut_at``, break off after so many bytes of the body."""
        self._handler.answer(reply, cut_at=cut_at)

    def end(self) -> None:
        """Break the connection."""
        self._handler.close_connection = True


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of S3: ``Refused(503, "SlowDown")``, ``Refused(403, "AccessDenied")``, ``Refused(404, "NoSuchKey")``."""

    status: int
    code: str

    def answer(self, exchange: Exchange) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>as the test wants it</Message></Error>".encode()
        exchange.send(Reply(self.status, {"Content-Type": "application/xml"}, body))


@dataclass(frozen=True, slots=True)
class Truncated:
    """The body breaks off after so many bytes, though a longer one was announced."""

    size_bytes: int

    def answer(self, exchange: Exchange) -> None:
        exchange.send(exchange.fetch(), cut_at=self.size_bytes)


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer for so long; then the connection breaks."""

    silence_s: float

    def answer(self, exchange: Exchange) -> None:
        exchange.proxy.closing.wait(self.silence_s)
        exchange.end()


@dataclass(frozen=True, slots=True)
class ChangedBefore:
    """Somebody puts other bytes under the key just before the read: a conditional read fails."""

    body: bytes

    def answer(self, exchange: Exchange) -> None:
        exchange.proxy.put(exchange.bucket, exchange.key, self.body)
        exchange.send(exchange.fetch())


@dataclass(frozen=True, slots=True)
class ChangedDuring:
    """Somebody puts other bytes under the key while the old ones are on their way; then the transfer breaks."""

    body: bytes
    after_bytes: int

    def answer(self, exchange: Exchange) -> None:
        old = exchange.fetch()
        exchange.proxy.put(exchange.bucket, exchange.key, self.body)
        exchange.send(old, cut_at=self.after_bytes)


@dataclass(slots=True)
class Held:
    """The read waits until the test lets it go on, with the plain answer or a fault."""

    reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _then: Fault | None = None

    def answer(self, exchange: Exchange) -> None:
        self.reached.set()
        while not self._released.wait(0.05) and not exchange.proxy.closing.is_set():
            pass
        if self._then is not None:
            self._then.answer(exchange)
        else:
            exchange.send(exchange.fetch())

    def wait(self, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until somebody reads."""
        if not self.reached.wait(timeout_s):
            pytest.fail(f"nobody has read the object in {timeout_s:g} s")

    def release(self, then: Fault | None = None) -> None:
        """Let it go on."""
        self._then = then
        self._released.set()


class FaultyS3:
    """The endpoint as the programs of one test see it.

    Attributes:
        reads: by key, how often the object was asked for.

    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._scripts: dict[str, deque[Fault]] = {}
        self.reads: Counter[str] = Counter()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=[0.1], name="s3-proxy", daemon=True).start()

    def script(self, key: str, *faults: Fault) -> None:
        """Let the next reads of an object go as said, one fault each; later ones are plain."""
        with self._lock:
            self._scripts.setdefault(key, deque()).extend(faults)

    def hold(self, key: str) -> Held:
        """Let the next read of an object wait."""
        held = Held()
        self.script(key, held)
        return held

    def next_fault(self, key: str) -> Fault | None:
        with self._lock:
            self.reads[key] += 1
            script = self._scripts.get(key)
            return script.popleft() if script else None

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Put an object past the programs."""
        put_object(self._target_port, bucket, key, body)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object past the programs."""
        reply = _request(self._target_port, "DELETE", f"/{bucket}/{quote(key)}", headers=_SIGNED)
        assert reply.status == http.HTTPStatus.NO_CONTENT, reply

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Ask the endpoint behind."""
        return _request(self._target_port, method, path, headers=headers, body=body)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyS3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        bucket, _, key = unquote(urlsplit(self.path).path).removeprefix("/").partition("/")
        fault = self.proxy.next_fault(key) if key else None
        exchange = Exchange(self.proxy, self, bucket, key)
        if fault is None:
            exchange.send(exchange.fetch())
        else:
            fault.answer(exchange)

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.proxy.ask(self.command, self.path, dict(self.headers.items()), body))

    do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815  (the base class calls them)

    def answer(self, reply: Reply, *, cut_at: int | None = None) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", reply.headers.get("Content-Length", str(len(reply.body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if cut_at is None else reply.body[:cut_at])
        if cut_at is not None:
            self.wfile.flush()
            self.close_connection = True


def put_object(port: int, bucket: str, key: str, body: bytes) -> None:
    """Put an object; the bucket is made if it is missing."""
    reply = _request(port, "PUT", f"/{bucket}/{quote(key)}", headers=_SIGNED, body=body)
    if reply.status == http.HTTPStatus.NOT_FOUND:
        _request(port, "PUT", f"/{bucket}", headers=_SIGNED)
        reply = _request(port, "PUT", f"/{bucket}/{quote(key)}", headers=_SIGNED, body=body)
    assert reply.status == http.HTTPStatus.OK, reply


def _request(
    port: int, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Reply:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() not in _HOP_BY_HOP}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body=body or None, headers=kept)
        answer = connection.getresponse()
        content = answer.read()
        return Reply(answer.status, dict(answer.getheaders()), content)
