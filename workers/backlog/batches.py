"""What is registered together: some pages of a listing, some thousand lines of a list."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from annotator.media.s3 import ListedObject
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import Shard

PAGES_PER_BATCH: Final = 10
LINES_PER_BATCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Some objects, and where the shard stands behind them.

    Attributes:
        objects: those that are wanted, in the order of their keys.
        cursor: the last key or line that these are.
        pages: how many pages of a listing.
        is_end: whether nothing follows in this shard.
        told: of which keys these are all; None where nothing can be said to be gone.
        left_out: objects that a filter refuses, or that cannot be registered.

    """

    objects: Sequence[ListedObject]
    cursor: str
    pages: int
    is_end: bool
    told: KeyRange | None = None
    left_out: int = 0

    def cut(self, until: str) -> tuple["Batch", "Batch"]:
        """Return what lies up to a key, and the rest; of a batch that says what its keys are all of."""
        if self.told is None:
            raise ValueError("a choice of keys is not cut")
        first = [one for one in self.objects if one.key <= until]
        told = replace(self.told, until=until), replace(self.told, after=until)
        before = Batch(first, until, 0, is_end=False, told=told[0])
        return before, replace(self, objects=self.objects[len(first) :], told=told[1])


class KeySource(Protocol):
    """Where keys come from. Used by several threads, each with a shard of its own."""

    def plan(self, shard: Shard, *, shards: int) -> Sequence[str]:
        """Return the keys at which a whole listing is cut into about so many shards; none where it is not."""

    def batches(self, shard: Shard, *, most: int | None) -> Iterator[Batch]:
        """Yield what lies behind the cursor of a shard, at most so many objects."""

    def split(self, shard: Shard) -> str | None:
        """Return a key in the middle of what is left of a shard, None where it cannot be cut."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which keys are wanted.

    Attributes:
        prefix: what all keys begin with; patterns are matched with the path below its last folder.
        include: patterns of which one must match; none means all.
        exclude: patterns of which none may match.

    >>> choice = Choice("gifs/20", include=("2024/*",), exclude=("*.txt",))
    >>> choice("gifs/2024/a/b.gif"), choice("gifs/2024/a.txt"), choice("gifs/2023/a.gif")
    (True, False, False)
    """

    prefix: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def takes_all(self) -> bool:
        """Whether there are no patterns."""
        return not self.include and not self.exclude

    def __call__(self, key: str) -> bool:
        """Say whether a key is wanted."""
        below = key[self.prefix.rfind("/") + 1 :]
        if self.include and not _matches(self.include, below):
            return False
        return not (self.exclude and _matches(self.exclude, below))


def is_media_key(key: str) -> bool:
    """Say whether an object can be a media: no «folder», and no NUL, which databases cannot store."""
    return not key.endswith("/") and "\x00" not in key


_COMPILED: Final[dict[tuple[str, ...], re.Pattern[str]]] = {}


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    if patterns not in _COMPILED:
        _COMPILED[patterns] = re.compile("|".join(f"(?:{fnmatch.translate(one)})" for one in patterns))
    return _COMPILED[patterns].match(path) is not None
