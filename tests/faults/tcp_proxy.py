"""A TCP proxy that stands in front of Postgres or the broker and breaks what passes."""

import contextlib
import socket
import struct
import threading
from typing import Final, Literal, Self

import pytest

from tests.faults.servers import TIMEOUT_S

_READ_BYTES: Final = 1 << 16
_TAIL_BYTES: Final = 256  # longer than any pattern
_RESET: Final = struct.pack("ii", 1, 0)

Deed = Literal["hold", "cut_before", "cut_after"]


class Trap:
    """Catches bytes on their way to the server, once.

    It is set by ``FaultyProxy.trap``. What was caught is ``hold``: kept back until ``release`` or ``cut``;
    ``cut_before``: the connection breaks and the server never sees it; ``cut_after``: the server has answered, and the
    connection breaks before the client knows.
    """

    def __init__(self, pattern: bytes, *, after: bytes | None, deed: Deed) -> None:
        self.pattern = pattern
        self.after = after
        self.deed = deed
        self._caught = threading.Event()
        self._decided = threading.Event()
        self._cuts = False

    def catch(self) -> bool:
        """Take what has come; False if something was caught before."""
        if self._caught.is_set():
            return False
        self._caught.set()
        return True

    def wait(self, timeout_s: float = TIMEOUT_S) -> Self:
        """Wait until something is caught."""
        if not self._caught.wait(timeout_s):
            pytest.fail(f"nothing was caught: {self.pattern!r} (after {self.after!r}) did not come in {timeout_s:g} s")
        return self

    def release(self) -> None:
        """Let it pass."""
        self._decided.set()

    def cut(self) -> None:
        """Break the connection; what was caught never arrives."""
        self._cuts = True
        self._decided.set()

    def lets_pass(self) -> bool:
        """Wait for the decision."""
        self._decided.wait()
        return not self._cuts


class FaultyProxy:
    """Passes everything on, until it is told otherwise. Safe to be told from the test's thread at any time."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._lock = threading.Lock()
        self._traps: list[Trap] = []
        self._pairs: set[_Pair] = set()
        self._is_closed = False
        self._listener = _bound(0)
        self.port = int(self._listener.getsockname()[1])
        self._listen()

    # ------------------------------------------------------------------------------------------------- what is broken

    def refuse(self) -> None:
        """Refuse new connections, as a server that is down, and drop those that stand."""
        self._close_listener()
        self._listener = _bound(self.port)  # bound, so that nobody else takes the port, but not listening
        self.drop()

    def drop(self) -> None:
        """Break all connections that stand; new ones pass."""
        for pair in self.pairs():
            pair.cut()

    def lose(self) -> None:
        """Swallow from now on what comes on the connections that stand, and close none; new ones pass."""
        for pair in self.pairs():
            pair.is_lost = True

    def heal(self) -> None:
        """Take new connections again; traps stay."""
        with contextlib.suppress(OSError):
            if self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return
        self._listen()

    def trap(self, pattern: bytes, *, after: bytes | None = None, deed: Deed = "hold") -> Trap:
        """Catch the next bytes to the server that contain a pattern.

        Args:
            pattern: e.g. ``b"COMMIT"``.
            after: only on a connection on which this has passed since its last COMMIT or ROLLBACK.
            deed: see ``Trap``.

        """
        trap = Trap(pattern, after=after, deed=deed)
        with self._lock:
            self._traps.append(trap)
        return trap

    # ------------------------------------------------------------------------------------------------------- how it is

    def pairs(self) -> "list[_Pair]":
        with self._lock:
            return list(self._pairs)

    def close(self) -> None:
        self._is_closed = True
        for trap in self._traps:
            trap.cut()
        self._close_listener()
        self.drop()

    def _close_listener(self) -> None:
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=[self._listener], name="proxy", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5.0)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            pair = _Pair(self, client, server)
            with self._lock:
                self._pairs.add(pair)
            pair.start()
            if self._is_closed:
                pair.cut()

    def forget(self, pair: "_Pair") -> None:
        with self._lock:
            self._pairs.discard(pair)

    def caught_by(self, pair: "_Pair", tail: bytes, sent: bytes) -> Trap | None:
        """Return the trap that these bytes have fallen into; a pattern may have begun in those before."""
        with self._lock:
            for trap in self._traps:
                if trap.after is not None and trap.after in _window(tail, sent, trap.after):
                    pair.seen.add(trap.after)
                is_armed = trap.after is None or trap.after in pair.seen
                if is_armed and trap.pattern in _window(tail, sent, trap.pattern) and trap.catch():
                    return trap
        return None


class _Pair:
    """A connection of a client and the proxy's own to the server."""

    def __init__(self, proxy: FaultyProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.seen: set[bytes] = set()
        self._swallows = False
        self.is_lost = False
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        for target in (self._pump_up, self._pump_down):
            threading.Thread(target=target, name="proxy-pump", daemon=True).start()

    def cut(self) -> None:
        for one in (self._client, self._server):
            _reset(one)
        self._proxy.forget(self)

    def _pump_up(self) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while sent := self._client.recv(_READ_BYTES):
                if self.is_lost:
                    continue
                trap = self._proxy.caught_by(self, tail, sent)
                tail = (tail + sent)[-_TAIL_BYTES:]
                if trap is not None and not self._spring(trap):
                    break
                self._server.sendall(sent)
                if b"COMMIT" in sent or b"ROLLBACK" in sent:
                    self.seen.clear()
        self.cut()

    def _spring(self, trap: Trap) -> bool:
        """Do what the trap says; whether the bytes go on."""
        if trap.deed == "cut_before":
            return False
        if trap.deed == "cut_after":
            self._swallows = True
            return True
        return trap.lets_pass()

    def _pump_down(self) -> None:
        with contextlib.suppress(OSError):
            while answer := self._server.recv(_READ_BYTES):
                if self.is_lost:
                    continue
                if self._swallows:
                    break
                self._client.sendall(answer)
        self.cut()


def _window(tail: bytes, sent: bytes, pattern: bytes) -> bytes:
    """Return what is new, and so much of what was before that a pattern can end in it."""
    return tail[len(tail) - min(len(pattern) - 1, len(tail)) :] + sent


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with contextlib.suppress(OSError):  # wakes the thread that reads
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
