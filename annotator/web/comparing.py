"""What a labelling changes against the one that is shown: counted once, and kept for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from annotator.store.diff import LabellingDiff, compare_labellings
from annotator.store.labellings import Labelling
from annotator.store.store import Store
from annotator.store.takedowns.tombstones import takedowns_so_far
from annotator.web.errors import WebError

KEPT_S: Final = 300.0
MOST_FLIPS: Final = 24
MOST_EXAMPLES: Final = 12
_MOST_KEPT: Final = 8
_PATIENCE_S: Final = 30.0


class Comparisons:
    """Compares one at a time: it takes seconds for a million media, and several who look get what the first one got."""

    def __init__(self, *, clock_s: Callable[[], float] = time.monotonic, patience_s: float = _PATIENCE_S) -> None:
        """Take a clock, and how long somebody waits for another comparison."""
        self._clock_s = clock_s
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], tuple[float, LabellingDiff]] = OrderedDict()
        self._takedowns = (0, 0)

    def compare(self, store: Store, before: Labelling, after: Labelling) -> LabellingDiff:
        """Return what a labelling changes against another of the same network; at most five minutes old.

        Where somebody was taken down meanwhile, nothing that was kept is told.

        Raises:
            ConfigError: they are of different networks.
            WebError: another comparison takes too long.

        """
        if not self._lock.acquire(timeout=self._patience_s):
            raise WebError(
                503, "Other models are being compared just now: try again soon.", headers={"Retry-After": "10"}
            )
        try:
            with store.reading() as connection:
                so_far = takedowns_so_far(connection)
            if so_far != self._takedowns:
                self._kept.clear()
                self._takedowns = so_far
            key = (before.labelling_id, after.labelling_id)
            made_s, diff = self._kept.get(key, (0.0, None))
            if diff is None or self._clock_s() - made_s > KEPT_S:
                diff = compare_labellings(
                    store.engine, before, after, most_flips=MOST_FLIPS, most_examples=MOST_EXAMPLES
                )
                self._kept[key] = (self._clock_s(), diff)
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return diff
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Forget all: what is shown has changed, or names have."""
        with self._lock:
            self._kept.clear()
