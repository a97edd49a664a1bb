"""NumPy's products on one thread each, beside other work that has the processors already."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import threadpoolctl  # type: ignore[import-untyped] # it has no types

Given = TypeVar("Given")
Made = TypeVar("Made")


def keep_blas_to_one_thread() -> None:
    """Let OpenBLAS compute each product in the thread that asks, in the whole process, from now on.

    Its threads wait for the next product by spinning, each on a processor that others could have; and a product that
    was shared out waits for whoever got no processor. The products here are small: a few tracks against a gallery.
    """
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")


def side_by_side(work: Callable[[Given], Made], parts: Iterable[Given], *, limit: int) -> Iterator[Made]:
    """Do a work for all parts, several at a time, and keep their order.

    NumPy lets the interpreter go while it computes. What it does on one thread alone, sorting and picking, then hides
    behind the products of other parts, which are kept to one thread each.

    Args:
        work: may be called from several threads.
        parts: read one at a time, as many ahead as are done at once.
        limit: most that are done at once; no more than there are processors.

    """
    lanes = min(limit, len(os.sched_getaffinity(0)))
    rest = iter(parts)
    first = list(islice(rest, 2))
    if lanes < 2 or len(first) < 2:
        yield from map(work, first)
        yield from map(work, rest)
        return
    keep_blas_to_one_thread()
    with ThreadPoolExecutor(lanes, "part") as pool:
        under_way: deque[Future[Made]] = deque(pool.submit(work, part) for part in first)
        for part in rest:
            if len(under_way) >= lanes:
                yield under_way.popleft().result()
            under_way.append(pool.submit(work, part))
        while under_way:
            yield under_way.popleft().result()
