"""Fetching over http(s) from addresses that strangers may have written: all that is fetched by GET goes this way.

Every address that a name has must be public, and is reached as ``annotator.media.dialling`` does. Redirects are
followed by hand and checked the same way. Neither the declared length nor the pace of the other side is trusted: the
body is counted, and the connection is cut at the end of the time. Proxies of the environment are not used, since they
would do the resolving.
"""

import contextlib
import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import SplitResult, quote, urljoin

from annotator.errors import (
    ForbiddenSourceError,
    InputError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    TransientError,
)
from annotator.media.dialling import (
    DEFAULT_PORTS,
    IpAddress,
    cut_at,
    dial,
    is_public,
    parts_of_whole_address,
    resolved,
)
from annotator.media.limits import FetchLimits

CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FORBIDDEN = frozenset({401, 403, 407, 451})
_TRY_AGAIN = frozenset({408, 425, 429})
# Characters of a URL that are sent as they are; whatever else is there is percent-encoded.
_URL_SAFE = "/%:=&?~#+!$,;'@()*[]|"
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "celebrity-annotator"}
# No length that somebody declares has more digits; Python reads no whole number of thousands of them.
_MOST_DIGITS = 20


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


def checked_addresses(host: str, port: int, *, limits: FetchLimits) -> list[str]:
    """Resolve a host that media may come from.

    Returns:
        Its addresses, in the resolver's order.

    Raises:
        ForbiddenSourceError: one of them is not public, and that is not allowed.
        SourceUnavailableError: the name cannot be resolved.

    """

    def check(address: IpAddress) -> None:
        if not limits.allow_private and not is_public(address):
            raise ForbiddenSourceError(
                # Which address is not told: visitors of `annotator web` may not learn what names mean in its network.
                f"The host {host} is at an address that is not public; check the name, or, if media are to come from "
                "there, set ANNOTATOR_FETCH__ALLOW_PRIVATE_ADDRESSES=true, for `annotator web` "
                "ANNOTATOR_WEB__ALLOW_PRIVATE_ADDRESSES=true."
            )

    return resolved(host, port, check=check)


def fetch_http(url: str, *, etag: str | None, sink: _Sink, limits: FetchLimits) -> None:
    """Fetch a body.

    Args:
        url: http or https.
        etag: the version wanted, None for any. Compared where the answer has one.
        sink: where the bytes go; it may refuse.
        limits: time, redirects, private addresses; ``max_bytes`` is the sink's to keep.

    Raises:
        ForbiddenSourceError: a private address, a redirect to another protocol, or the server refuses.
        SourceNotFoundError: the server has no such page.
        SourceChangedError: the answer is another version.
        SourceUnavailableError: a time-out, a server error or a broken transfer.
        MediaTooLargeError: the declared or the real length is over the limit.

    """
    deadline = time.monotonic() + limits.timeout_s
    with open_answer(url, headers=_HEADERS, limits=limits, deadline=deadline) as (last, answer):
        _check_answer(last, answer, etag, limits)
        while data := answer.read1(CHUNK_BYTES):
            sink.write(data)
        check_whole(last, answer, deadline)


@contextlib.contextmanager
def open_answer(
    url: str,
    *,
    headers: Mapping[str, str],
    limits: FetchLimits,
    deadline: float,
    check: Callable[[str], None] = lambda _url: None,
    body: bytes | None = None,
) -> Iterator[tuple[str, http.client.HTTPResponse]]:
    """Send a GET, follow redirects, and yield the address that answers and its answer, whatever its status.

    The body is unread: whoever reads it counts its bytes, and ends with :func:`check_whole`.

    Args:
        url: http or https.
        headers: that are sent, to each address.
        limits: redirects, waits, private addresses; bytes are the reader's to count.
        deadline: of ``time.monotonic()``; the connection is cut then, wherever it stands.
        check: called with each address before it is asked, redirects included; it may refuse by raising.
        body: sends a POST with it instead of a GET; ``limits`` should allow no redirects then.

    Raises:
        ForbiddenSourceError: no plain http(s) address, or one that is not public.
        SourceNotFoundError: redirects to nowhere, or without end.
        SourceUnavailableError: a time-out or a broken transfer, while the body is read, too.

    """
    for _ in range(limits.max_redirects + 1):
        check(url)
        with _answer(url, headers, limits, deadline, body=body) as answer:
            if answer.status not in _REDIRECTS:
                yield url, answer
                return
            location = answer.headers.get("Location")
            if not location:
                raise SourceNotFoundError(f"{url} redirects to nowhere; check the address.")
            url = _target(url, location)
    raise SourceNotFoundError(f"{url} is reached by more than {limits.max_redirects} redirects; give the last address.")


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as exc:
        raise SourceNotFoundError(f"{url} redirects to what is no address; check it.") from exc


def check_whole(url: str, answer: http.client.HTTPResponse, deadline: float) -> None:
    """Check that a body was read to its end: one that was cut looks like one that has ended.

    Raises:
        SourceUnavailableError: it was not.

    """
    if time.monotonic() >= deadline:
        raise SourceUnavailableError(f"{url} takes too long to answer; try again.")
    if answer.length:  # http.client counts down what was declared.
        raise SourceUnavailableError(f"{url} breaks off, {answer.length} bytes before its end; try again.")


def _parts_of(url: str) -> SplitResult:
    parts = parts_of_whole_address(url)
    if parts is None:
        raise ForbiddenSourceError(f"{url} is no whole http or https address; only these are fetched.")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenSourceError("An address with a user name or password is not fetched; take them out.")
    return parts


@contextlib.contextmanager
def _answer(
    url: str, headers: Mapping[str, str], limits: FetchLimits, deadline: float, *, body: bytes | None
) -> Iterator[http.client.HTTPResponse]:
    """Send a GET or POST to an address that was checked and yield the answer, body unread."""
    parts = _parts_of(url)
    host, port = str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
    addresses = checked_addresses(host, port, limits=limits)
    with contextlib.ExitStack() as cleanup, _translated(url, deadline):
        plain = dial(addresses, port, deadline=deadline, timeout_s=limits.connect_timeout_s)
        cleanup.callback(plain.close)
        cleanup.enter_context(cut_at(deadline, plain))
        plain.settimeout(limits.read_timeout_s)
        sock = plain
        if parts.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            cleanup.callback(sock.close)
        connection = http.client.HTTPConnection(host, port)
        connection.default_port = DEFAULT_PORTS[parts.scheme]  # it goes without saying in the header Host
        connection.sock = sock
        cleanup.callback(connection.close)
        target = quote(parts.path or "/", safe=_URL_SAFE) + (
            f"?{quote(parts.query, safe=_URL_SAFE)}" if parts.query else ""
        )
        connection.request("GET" if body is None else "POST", target, body=body, headers=dict(headers))
        yield cleanup.enter_context(contextlib.closing(connection.getresponse()))


@contextlib.contextmanager
def _translated(url: str, deadline: float) -> Iterator[None]:
    """Make errors of the network ours."""
    try:
        yield
    except (InputError, TransientError):
        raise
    except (OSError, http.client.HTTPException) as exc:
        is_late = isinstance(exc, TimeoutError) or time.monotonic() >= deadline
        what = "takes too long to answer" if is_late else f"cannot be fetched ({type(exc).__name__})"
        raise SourceUnavailableError(f"{url} {what}; try again.") from exc


def _check_answer(url: str, answer: http.client.HTTPResponse, etag: str | None, limits: FetchLimits) -> None:
    status = answer.status
    if status >= 500 or status in _TRY_AGAIN:
        raise SourceUnavailableError(f"{url} answers {status}; try again.")
    if status in _FORBIDDEN:
        raise ForbiddenSourceError(f"{url} answers {status}; it may not be read without permission.")
    if status != 200:
        raise SourceNotFoundError(f"{url} answers {status}; check the address.")
    found = answer.headers.get("ETag")
    if etag is not None and found is not None and found != etag:
        raise SourceChangedError(f"{url} has changed since it was registered; register it anew.")
    declared = answer.headers.get("Content-Length", "")
    # A length that is over the limit saves the transfer. One that is under it proves nothing: the sink counts.
    if declared.isdecimal() and (len(declared) > _MOST_DIGITS or int(declared) > limits.max_bytes):
        raise MediaTooLargeError(
            f"{url} has {declared[:_MOST_DIGITS]} bytes, the limit is {limits.max_bytes}; give a smaller one or raise "
            "the limit."
        )
