"""In which threads media are brought to be sent: a slow host holds some of them, a visitor too, and others come on."""

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter, create_task_group
from anyio.to_thread import run_sync

# What no visitor can name hosts of: files of this machine, and buckets.
_OURS: Final = frozenset({"file:", "s3:"})
_A = TypeVar("_A")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many media are brought at once.

    Attributes:
        of_all: of all hosts of the web together.
        of_one_host: of one of them; of this machine, and of all buckets, beside those.
        of_visitor: for one visitor, of ``of_all``.
        of_visitor_and_host: for one visitor, of ``of_one_host``.

    """

    of_all: int = 12
    of_one_host: int = 6
    of_visitor: int = 6
    of_visitor_and_host: int = 3


class VisitorGoneError(Exception):
    """Whoever asked waits for the answer no more."""


@dataclass(slots=True)
class _Turns:
    """Of something that gives turns: who has one, and how many have one or wait."""

    limiter: CapacityLimiter
    requests: int = 0


class HostThreads:
    """Runs what brings media in threads: so many at once, fewer of one host, and fewer for one visitor.

    Who waits for a turn holds no thread, and whoever goes away meanwhile waits no more. Files of this machine and those
    of buckets have threads of their own, which no host of somebody else can hold. It belongs to the event loop.
    """

    def __init__(self, at_once: AtOnce = AtOnce()) -> None:
        """Nothing is brought yet."""
        self._at_once = at_once
        self._turns: dict[Hashable, _Turns] = {}  # of whatever gives some just now
        self._threads = CapacityLimiter(math.inf)  # who has all turns has a thread

    @property
    def is_idle(self) -> bool:
        """Nothing is brought, and nobody waits for anything."""
        return not self._turns

    async def run(self, uri: str, act: Callable[[], _A], *, who: str, is_gone: Callable[[], Awaitable[object]]) -> _A:
        """Call a function in a thread, as soon as there is one for the host and for the visitor.

        Args:
            uri: of the media.
            act: brings it; raises whatever it likes. What has begun is done to its end.
            who: the visitor, by whom turns are counted.
            is_gone: returns when the visitor has gone; it is cancelled when it is the function's turn.

        Raises:
            VisitorGoneError: the visitor has gone before that.

        """
        async with contextlib.AsyncExitStack() as stack:
            if not await self._wait(stack, uri, who, is_gone):
                raise VisitorGoneError
            return await run_sync(act, limiter=self._threads)

    async def _wait(
        self, stack: contextlib.AsyncExitStack, uri: str, who: str, is_gone: Callable[[], Awaitable[object]]
    ) -> bool:
        """Wait for all turns; say whether the visitor has waited, too."""
        has_all = False
        async with create_task_group() as group:

            async def give_up() -> None:
                await is_gone()
                group.cancel_scope.cancel()

            group.start_soon(give_up)
            for turn, most in self._needed(uri, who):
                await stack.enter_async_context(self._turn(turn, most))
            has_all = True
            group.cancel_scope.cancel()
        return has_all

    def _needed(self, uri: str, who: str) -> list[tuple[Hashable, int]]:
        """Return which turns are needed, in that order, and how many there are of each.

        Those of the visitor come first: who waits for one of these holds none that others wait for.
        """
        at_once, host = self._at_once, host_of(uri)
        of_visitor_and_host = (("visitor and host", who, host), at_once.of_visitor_and_host)
        of_host = (("host", host), at_once.of_one_host)
        if host in _OURS:
            return [of_visitor_and_host, of_host]
        return [of_visitor_and_host, (("visitor", who), at_once.of_visitor), of_host, (("all",), at_once.of_all)]

    @contextlib.asynccontextmanager
    async def _turn(self, turn: Hashable, most: int) -> AsyncIterator[None]:
        turns = self._turns.setdefault(turn, _Turns(CapacityLimiter(most)))
        turns.requests += 1
        try:
            async with turns.limiter:
                yield
        finally:
            turns.requests -= 1
            if not turns.requests:
                del self._turns[turn]


def host_of(uri: str) -> str:
    """Return what may be slow about a media: the host that has it; all buckets are at one, and all files.

    >>> host_of("https://Media.example.org/a.gif"), host_of("s3://gifs/a.gif"), host_of("file:///tmp/a.gif")
    ('media.example.org', 's3:', 'file:')
    """
    parts = urlsplit(uri)
    is_web = parts.scheme in {"http", "https"}
    return parts.hostname if is_web and parts.hostname else f"{parts.scheme}:"
