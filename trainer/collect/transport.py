"""One GET to a host of the list, by the guarded client of ``annotator.media.http``.

Here the whole answer is wanted, whatever its status, with its ``Retry-After``; it may come packed.
"""

import email.utils
import http.client
import time
import zlib
from dataclasses import dataclass, replace
from typing import Final

from annotator.errors import MediaTooLargeError, SourceNotFoundError, SourceUnavailableError
from annotator.media.http import CHUNK_BYTES, check_whole, open_answer
from annotator.media.limits import MIB, FetchLimits
from trainer.collect.services import Services

LIMITS: Final = FetchLimits(max_bytes=32 * MIB, timeout_s=120.0, max_redirects=3)
"""An answer about ten well-known people has some megabytes; a picture 960 pixels wide has a few hundred kilobytes."""

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
    headers = {"Accept-Encoding": "gzip", "User-Agent": agent}
    limits = replace(limits, allow_private=services.allow_private)
    try:
        asked = open_answer(url, headers=headers, limits=limits, deadline=deadline, check=services.check)
        with asked as (last, received):
            body = _body(last, received, limits, deadline)
    except SourceNotFoundError as error:  # redirects that lead nowhere: the service is not itself
        raise SourceUnavailableError(str(error)) from error
    content_type = received.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Answer(last, received.status, content_type, _seconds(received.headers.get("Retry-After")), body)


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
    check_whole(url, received, deadline)
    if unpack is not None and not unpack.eof and came:
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
