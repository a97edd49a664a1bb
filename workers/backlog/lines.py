"""Keys that stand in lines, one after the other: what a list of the user's and an inventory share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from annotator.media.s3 import ListedObject
from annotator.store.backlog.listing import Shard
from workers.backlog.batches import Batch

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True, eq=False)
class ReadLines(Generic[Line]):
    """The lines of a shard while it is read.

    Attributes:
        lines: all of them, from the first one on.
        objects_of: returns the wanted objects that some lines name, in the order of keys.
        counts_left_out: whether every line that names no wanted object is one that was left out.

    """

    lines: Iterator[Line]
    objects_of: Callable[[Sequence[Line]], Sequence[ListedObject]]
    counts_left_out: bool


class LinesSource(ABC, Generic[Line]):
    """A source of keys whose shards are never cut. Their cursor is the number of the last line that was handed out."""

    def __init__(self, *, lines_per_batch: int) -> None:
        """Say how many lines make a batch."""
        self._lines_per_batch = lines_per_batch

    @abstractmethod
    def reading(self, shard: Shard) -> AbstractContextManager[ReadLines[Line]]:
        """Open the lines of a shard."""

    def plan(self, shard: Shard, *, shards: int) -> Sequence[str]:
        """Cut nothing: shards are what they are."""
        del shard, shards
        return ()

    def split(self, shard: Shard) -> str | None:
        """Cut nothing."""
        del shard
        return None

    def batches(self, shard: Shard, *, most: int | None) -> Iterator[Batch]:
        """Yield what stands behind the line of the cursor, at most so many objects; raises what reading lines does."""
        done = int(shard.cursor or 0)
        with self.reading(shard) as read:
            for _ in islice(read.lines, done):
                pass
            while True:
                room = self._lines_per_batch if most is None else min(self._lines_per_batch, most)
                some = list(islice(read.lines, room))
                done += len(some)
                objects = read.objects_of(some)
                most = None if most is None else most - len(objects)
                is_end = len(some) < room
                left_out = len(some) - len(objects) if read.counts_left_out else 0
                yield Batch(objects, str(done), 1, is_end=is_end, left_out=left_out)
                if is_end or (most is not None and most <= 0):
                    return
