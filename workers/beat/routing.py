"""Which queue takes how many chunks of which lane."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from annotator.store.queue.lanes import FILM, Lane

# Which queues may have a lane, the better one first. Small media fill the batches of an accelerator; a film is mostly
# decoding, and would keep the accelerator's machine from what only that can do fast.
QUEUES_OF: Final[Mapping[Lane, tuple[str, ...]]] = MappingProxyType({"gif": ("gpu", "cpu"), "film": ("cpu", "gpu")})
# Small media: what a worker has in hand, and twice that waiting, so that none runs dry between two looks.
_CHUNKS_PER_THREAD: Final = 3
_FILM_SHARE: Final = 16


@dataclass(frozen=True, slots=True)
class Caps:
    """How many chunks of a lane may be in a queue or in the hands of those who consume it.

    Attributes:
        chunks: for small media; more where there are so many workers that they would run dry.
        concurrency: chunks that a worker has in hand at once.

    """

    chunks: int
    concurrency: int

    def of(self, lane: Lane, *, consumers: int) -> int:
        """Return the cap of a lane in a queue.

        Films get half of each worker's threads and none in advance, so that no small media waits behind a film.

        >>> caps = Caps(chunks=64, concurrency=4)
        >>> [caps.of("gif", consumers=workers) for workers in (0, 1, 100)]
        [64, 64, 1200]
        >>> [caps.of("film", consumers=workers) for workers in (0, 1, 100)]
        [4, 2, 200]
        """
        if lane != FILM:
            return max(self.chunks, _CHUNKS_PER_THREAD * self.concurrency * consumers)
        return consumers * max(1, self.concurrency // 2) if consumers else max(1, self.chunks // _FILM_SHARE)


@dataclass(frozen=True, slots=True)
class Room:
    """So many chunks of a lane a queue has room for."""

    lane: Lane
    queue: str
    chunks: int


def rooms(
    lane: Lane, *, consumed: Sequence[frozenset[str]], published: Mapping[tuple[str, str], int], caps: Caps
) -> Iterator[Room]:
    """Yield the queues that may have a lane, the better one first; go on to the next only when one is full.

    Args:
        lane: which.
        consumed: what each living worker consumes.
        published: how many chunks are there already, by lane and queue.
        caps: how many may be.

    >>> workers = [frozenset({"gpu"}), frozenset({"cpu"})]
    >>> [(room.queue, room.chunks) for room in rooms("gif", consumed=workers, published={}, caps=Caps(8, 2))]
    [('gpu', 8), ('cpu', 8)]
    >>> [(room.queue, room.chunks) for room in rooms("film", consumed=[], published={}, caps=Caps(32, 2))]
    [('cpu', 2)]
    """
    consumers = _consumers(QUEUES_OF[lane], consumed)
    for queue in consumers or QUEUES_OF[lane][:1]:
        cap = caps.of(lane, consumers=consumers.get(queue, 0))
        yield Room(lane, queue, max(0, cap - published.get((lane, queue), 0)))


def _consumers(queues: Iterable[str], consumed: Sequence[frozenset[str]]) -> dict[str, int]:
    """Count the workers of each queue; one that consumes two counts for the better one, or it would get double work."""
    left = list(consumed)
    counted: dict[str, int] = {}
    for queue in queues:
        workers = sum(queue in one for one in left)
        left = [one for one in left if queue not in one]
        if workers:
            counted[queue] = workers
    return counted
