"""How many arenas the C library's allocator may have."""

import ctypes
from typing import Final

_M_ARENA_MAX: Final = -8
"""The name of the limit for ``mallopt``, of glibc's ``malloc.h``."""


def limit_arenas(count: int) -> None:
    """Let the threads of this process that are started from now on share some arenas.

    Left to itself, glibc gives each thread an arena of its own, up to eight for each processor, and each keeps tens of
    megabytes of what its thread has freed: frames, canvases and crops, which are on the way through several threads.
    Thirty GIFs, annotated eight times in one process on two processors, took at most 558 MB the first time and up to
    709 later so, and 427 to 452 with two arenas, in the same time (2026-11-26, with and without this limit in turn).
    Other C libraries have no such limit, and need none.

    Args:
        count: how many, the main thread's included.

    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(ctypes.c_int(_M_ARENA_MAX), ctypes.c_int(count))
