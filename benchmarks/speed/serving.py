"""The inner end of a side: a process that makes itself ready once and then runs its work as often as it is told.

It answers with a line of JSON to each line that it reads; what its libraries print goes to stderr.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Work = Callable[[], dict[str, Any]]
"""Does the work once and returns what was found; ``seconds`` in it goes before the time that it took."""

Maker = Callable[..., Work]
"""Makes a work ready, from keyword arguments."""


def serve(makers: Mapping[str, Maker]) -> None:
    """Make the work named by the first argument, with the second one as its arguments, and answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    work = makers[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(_measured(work)), file=answers, flush=True)


def _measured(work: Work) -> dict[str, Any]:
    processor_s, began_s = _processor_s(), time.perf_counter()
    found = work()
    seconds = time.perf_counter() - began_s
    spent = {"seconds": seconds, "processor_seconds": _processor_s() - processor_s}
    return {**spent, **{name: found.pop(name) for name in tuple(spent) if name in found}, "found": found}


def _processor_s() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])
