"""In which threads media are brought to be sent: a slow host holds some of them, and media of others come on."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

_OF_ONE_HOST: Final = 6
_OF_ALL: Final = 9
_A = TypeVar("_A")


@dataclass(slots=True)
class _Turns:
    """Of one host: who has a turn, and how many have one or wait."""

    limiter: CapacityLimiter
    requests: int = 0


class HostThreads:
    """Runs what brings media in threads, so many at once, and fewer of one host. It belongs to the event loop.

    Who waits for a turn of a host holds no thread. Bringing one media may take minutes.
    """

    def __init__(self, *, of_one_host: int = _OF_ONE_HOST, of_all: int = _OF_ALL) -> None:
        """Nothing is brought yet."""
        self._of_one_host = of_one_host
        self._threads = CapacityLimiter(of_all)
        self._hosts: dict[str, _Turns] = {}

    @property
    def hosts(self) -> int:
        """How many hosts are asked."""
        return len(self._hosts)

    async def run(self, uri: str, act: Callable[[], _A]) -> _A:
        """Call a function in a thread, as soon as there is one for the host.

        Args:
            uri: of the media.
            act: brings it; raises whatever it likes.

        """
        async with self._turn(host_of(uri)):
            return await run_sync(act, limiter=self._threads)

    @contextlib.asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        turns = self._hosts.setdefault(host, _Turns(CapacityLimiter(self._of_one_host)))
        turns.requests += 1
        try:
            async with turns.limiter:
                yield
        finally:
            turns.requests -= 1
            if not turns.requests:
                del self._hosts[host]


def host_of(uri: str) -> str:
    """Return what may be slow about a media: the host that has it; all buckets are at one, and all files.

    >>> host_of("https://Media.example.org/a.gif"), host_of("s3://gifs/a.gif"), host_of("file:///tmp/a.gif")
    ('media.example.org', 's3:', 'file:')
    """
    parts = urlsplit(uri)
    is_web = parts.scheme in {"http", "https"}
    return parts.hostname if is_web and parts.hostname else f"{parts.scheme}:"
