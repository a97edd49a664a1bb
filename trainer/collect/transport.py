"""One GET to a host of the list: address checked, time and size bounded, redirects followed by hand.

The checks of addresses are those of ``annotator.media.http``; here the whole answer is wanted, with its status and
``Retry-After``, and with the caller's User-Agent, which a fetch of media has no use for.
"""

import contextlib
import email.utils
import http.client
import socket
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from annotator.errors import ForbiddenSourceError, MediaTooLargeError, SourceUnavailableError
from annotator.media.http import CHUNK_BYTES, checked_addresses
from annotator.media.limits import MIB, FetchLimits
from trainer.collect.services import Services

LIMITS: Final = FetchLimits(max_bytes=32 * MIB, timeout_s=120.0, max_redirects=3)
"""An answer about ten well-known people has some megabytes; a picture 960 pixels wide has a few hundred kilobytes."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_URL_SAFE: Final = "/%:=&?~#+!$,;'@()*[]|"
_GZIP: Final = zlib.MAX_WBITS | 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has answered.

    Attributes:
        url: where the answer comes from, after redirects.
        status: HTTP status.
        content_type: in lower case, without parameters; empty where there is none.
        retry_after_s: seconds that the server asks to wait, None where it does not say.
        body: decompressed.

    """

    url: str
    status: int
    content_type: str
    retry_after_s: float | None
    body: bytes


def get(url: str, *, agent: str, services: Services, limits: FetchLimits = LIMITS) -> Answer:
    """Fetch an address; any status is an answer.

    Args:
        url: of a host of ``services``.
        agent: the User-Agent.
        services: hosts that may be asked.
        limits: time, bytes and redirects.

    Raises:
        ForbiddenSourceError: another host, a private address, or a redirect to one.
        SourceUnavailableError: a time-out, a broken transfer, or redirects without end.
        MediaTooLargeError: the body is over the limit, compressed or not.

    """
    deadline = time.monotonic() + limits.timeout_s
    for _ in range(limits.max_redirects + 1):
        services.check(url)
        answer, location = _get_once(url, agent, services, limits=limits, deadline=deadline)
        if answer.status not in _REDIRECTS:
            return answer
        if not location:
            raise SourceUnavailableError(f"{url} redirects to nowhere; try again later.")
        url = urljoin(url, location)
    raise SourceUnavailableError(f"{url} is reached by more than {limits.max_redirects} redirects; try again later.")


def _get_once(
    url: str, agent: str, services: Services, *, limits: FetchLimits, deadline: float
) -> tuple[Answer, str | None]:
    """Return the answer of one address, and where it redirects to."""
    try:
        with contextlib.ExitStack() as cleanup:
            connection = _connection(url, services, limits=limits, deadline=deadline, cleanup=cleanup)
            parts = urlsplit(url)
            target = quote(parts.path or "/", safe=_URL_SAFE)
            target += f"?{quote(parts.query, safe=_URL_SAFE)}" if parts.query else ""
            connection.request("GET", target, headers={"Accept-Encoding": "gzip", "User-Agent": agent})
            received = cleanup.enter_context(contextlib.closing(connection.getresponse()))
            body = _body(url, received, limits, deadline)
    except (OSError, http.client.HTTPException) as error:
        late = isinstance(error, TimeoutError) or time.monotonic() >= deadline
        what = "takes too long to answer" if late else f"cannot be fetched ({type(error).__name__})"
        raise SourceUnavailableError(f"{url} {what}; try again.") from error
    headers = received.headers
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    answer = Answer(url, received.status, content_type, _seconds(headers.get("Retry-After")), body)
    return answer, headers.get("Location")


def _connection(
    url: str, services: Services, *, limits: FetchLimits, deadline: float, cleanup: contextlib.ExitStack
) -> http.client.HTTPConnection:
    """Connect to an address of the host that was checked, and to no other that its name may have a moment later."""
    parts = urlsplit(url)
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = checked_addresses(host, port, limits=FetchLimits(allow_private=services.allow_private))
    except ForbiddenSourceError as error:
        raise ForbiddenSourceError(f"{host} has an address that is not public; check the name server.") from error
    sock = _connect(addresses, port, limits, deadline)
    _cut_at(deadline, sock, cleanup)
    sock.settimeout(limits.read_timeout_s)
    if parts.scheme == "https":
        sock = cleanup.enter_context(ssl.create_default_context().wrap_socket(sock, server_hostname=host))
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    cleanup.callback(connection.close)
    return connection


def _connect(addresses: list[str], port: int, limits: FetchLimits, deadline: float) -> socket.socket:
    failure: OSError | None = None
    for address in addresses:
        left_s = min(limits.connect_timeout_s, deadline - time.monotonic())
        if left_s <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left_s)
        except OSError as error:
            failure = error
    raise failure or TimeoutError


def _cut_at(deadline: float, sock: socket.socket, cleanup: contextlib.ExitStack) -> None:
    """Cut a connection at the deadline, wherever it stands then: one byte a second is no sign of life."""
    cleanup.callback(sock.close)
    cut = socket.socket(fileno=socket.dup(sock.fileno()))  # of its own: TLS takes the other one over
    cleanup.callback(cut.close)
    timer = threading.Timer(max(deadline - time.monotonic(), 0), _shut, [cut])
    timer.daemon = True
    timer.start()
    cleanup.callback(timer.join)
    cleanup.callback(timer.cancel)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _body(url: str, received: http.client.HTTPResponse, limits: FetchLimits, deadline: float) -> bytes:
    """Read a body, counting what comes and what it unpacks to."""
    packed = received.headers.get("Content-Encoding", "identity").strip().lower()
    if packed not in {"identity", "gzip", "x-gzip"}:
        raise SourceUnavailableError(f"{url} is packed as {packed[:20]!r}, which was not asked for; try again later.")
    unpack = None if packed == "identity" else zlib.decompressobj(_GZIP)
    body = bytearray()
    came = 0
    while data := received.read1(CHUNK_BYTES):
        came += len(data)
        try:
            body += data if unpack is None else unpack.decompress(data, limits.max_bytes + 1 - len(body))
        except zlib.error as error:
            raise SourceUnavailableError(f"{url} is packed wrongly; try again later.") from error
        if len(body) > limits.max_bytes or came > limits.max_bytes:
            raise MediaTooLargeError(f"{url} has more than {limits.max_bytes} bytes; it is left aside.")
    if time.monotonic() >= deadline:
        raise SourceUnavailableError(f"{url} takes too long to answer; try again.")
    if received.length or (unpack is not None and not unpack.eof and came):  # http.client counts down what was declared
        raise SourceUnavailableError(f"{url} breaks off before its end; try again.")
    return bytes(body)


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a ``Retry-After``, which is a number or a date (RFC 9110, 10.2.3).

    >>> _seconds("120"), _seconds("soon"), _seconds(None), _seconds("Wed, 21 Oct 2015 07:28:00 GMT")
    (120.0, None, None, 0.0)
    """
    if retry_after is None:
        return None
    given = retry_after.strip()
    if given.isascii() and given.isdecimal() and len(given) < 12:
        return float(given)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
