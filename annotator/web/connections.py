"""Connections of browsers: whoever is slow to say what is wanted, or opens very many, is cut off."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from annotator.store.web.attempts import place_of

HEAD_WITHIN_S: Final = 10.0
CONNECTIONS_OF_ONE: Final = 100


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection is waited for, and how many there are of one place.

    Attributes:
        head_within_s: in which all headers of a request must have come, and what is left of one that is answered.
        most_of_one: connections from one address, of IPv6 from one network; others are closed at once.
        uncounted: networks of proxies, through which many come.

    """

    head_within_s: float = HEAD_WITHIN_S
    most_of_one: int = CONNECTIONS_OF_ONE
    uncounted: Sequence[IPv4Network | IPv6Network] = ()


class PatientConnection(H11Protocol):
    """A connection as uvicorn has it, with bounds: it waits for a client by itself without end."""

    def __init__(self, *, patience: Patience, **of_uvicorn: Any) -> None:  # noqa: ANN401 - handed on
        """Wait for nothing yet."""
        super().__init__(**of_uvicorn)
        self._patience = patience
        self._deadline: asyncio.TimerHandle | None = None
        self.place: str | None = None  # where it comes from; None is not counted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request; of one too many, hear nothing."""
        super().connection_made(transport)
        self.place = self._counted_place()
        if self._is_one_too_many():
            transport.abort()
        else:
            self._bound_wait()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is missing."""
        super().data_received(data)
        self._bound_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _counted_place(self) -> str | None:
        if self.client is None:
            return None
        address = ip_address(self.client[0].partition("%")[0])
        is_proxy = any(address in network for network in self._patience.uncounted)
        return None if is_proxy else place_of(self.client[0])

    def _is_one_too_many(self) -> bool:
        if self.place is None:
            return False
        of_one = [one for one in self.connections if isinstance(one, PatientConnection) and one.place == self.place]
        return len(of_one) > self._patience.most_of_one

    def _bound_wait(self) -> None:
        """Let the time run as long as the client owes something that nothing else waits for with a time of its own."""
        is_answered = self.cycle is None or self.cycle.response_complete
        owed = self.conn.their_state
        if owed is not h11.IDLE and not (owed is h11.SEND_BODY and is_answered):
            self._wait_no_more()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._patience.head_within_s, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
