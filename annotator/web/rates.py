"""How often somebody may ask the API: a bucket that fills evenly, for each who asks."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from annotator.web.errors import WebError

PER_MINUTE: Final = 600
AT_ONCE: Final = 100
_MOST_ASKING: Final = 10_000


class Rates:
    """Counts requests by who asks; of this process, in little memory."""

    def __init__(
        self, *, per_minute: float = PER_MINUTE, at_once: int = AT_ONCE, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the limits: so many in the long run, and so many more at once."""
        self._per_s = per_minute / 60
        self._at_once = at_once
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, who: str) -> None:
        """Count a request.

        Raises:
            WebError: it is one too many; the answer says when to come again.

        """
        now_s = self._clock_s()
        with self._lock:
            left, since_s = self._buckets.pop(who, (float(self._at_once), now_s))
            left = min(self._at_once, left + (now_s - since_s) * self._per_s)
            self._buckets[who] = (max(left - 1, 0.0) if left >= 1 else left, now_s)
            if len(self._buckets) > _MOST_ASKING:
                self._buckets.popitem(last=False)
        if left < 1:
            wait_s = math.ceil((1 - left) / self._per_s)
            raise WebError(
                429,
                f"More than {self._per_s * 60:.0f} requests a minute: wait, and ask for more items in each.",
                headers={"Retry-After": str(wait_s)},
            )
