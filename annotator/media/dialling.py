"""Connections to hosts that strangers may have named: which addresses may be reached, and for how long.

A name is resolved once, every address that it has is checked, and the connection goes to exactly an address that was
checked: a name that resolves differently a moment later gains nothing. A timer cuts a connection at the end of its
time, wherever it stands then, however slowly the other side talks.
"""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from annotator.errors import SourceUnavailableError
from annotator.media.machine import at_its_limits

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# All of the open internet's IPv6 addresses are in it (https://www.iana.org/assignments/ipv6-address-space): others are
# site-local, of a network's own NAT64 (64:ff9b:1::/48), for machines, or nobody's.
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
# The last four bytes are an IPv4 address, which is reached through it. Of other such prefixes nobody knows.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Connected(Protocol):
    """A socket, or what reads from one."""

    def fileno(self) -> int:
        """Return its descriptor."""


def is_public(address: IpAddress) -> bool:
    """Return whether an address is one of the open internet: not private, loopback, link-local, shared or reserved.

    An IPv6 address that wraps an IPv4 address (mapped, 6to4, Teredo, NAT64) is as public as that one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            wrapped.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inner = [one for one in wrapped if one is not None]
        if inner:
            return all(is_public(one) for one in inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def parts_of_whole_address(url: str) -> SplitResult | None:
    """Return the parts of an http(s) address with a host, and with a port that can be if it has one; None of others.

    It may have a user name: whoever asks decides.
    """
    try:
        parts = urlsplit(url)
        url.encode()  # a lone surrogate cannot be sent
        is_whole = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if is_whole else None


def resolved(host: str, port: int, *, check: Callable[[IpAddress], None]) -> list[str]:
    """Resolve a host.

    Args:
        host: a name or an address.
        port: of it.
        check: called with each of its addresses; it refuses by raising.

    Returns:
        Its addresses, in the resolver's order; for :func:`dial`.

    Raises:
        SourceUnavailableError: the name cannot be resolved.

    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as exc:  # ValueError: it is no name that can be asked for
        raise SourceUnavailableError(f"The host {host} cannot be resolved; check the address or try again.") from exc
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in addresses:
        check(ipaddress.ip_address(address.partition("%")[0]))
    return addresses


def dial(addresses: Sequence[str], port: int, *, deadline: float, timeout_s: float | None = None) -> socket.socket:
    """Connect to the first of the addresses that answers.

    Args:
        addresses: that were checked.
        port: of all of them.
        deadline: of ``time.monotonic()``, for all of them.
        timeout_s: longest wait for one; None for what is left until the deadline.

    Raises:
        OSError: of the last one, where none answers.

    """
    failure: OSError | None = None
    for address in addresses:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        try:
            sock = socket.create_connection((address, port), timeout=min(left_s, timeout_s or left_s))
        except OSError as exc:
            failure = exc
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes
            return sock
    raise failure or TimeoutError


@contextlib.contextmanager
def cut_at(deadline: float, connection: Connected) -> Iterator[None]:
    """Shut a connection at a deadline of ``time.monotonic()``: whoever reads or writes then, meets its end.

    TLS may take its socket over meanwhile.

    Raises:
        MachineLimitError: this machine lets no thread be started.

    """
    with socket.socket(fileno=socket.dup(connection.fileno())) as held:
        timer = threading.Timer(max(deadline - time.monotonic(), 0), _shut, [held])
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as exc:
            raise at_its_limits(str(exc)) from exc
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # it must not shut what has the same number by then


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
