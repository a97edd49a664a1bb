"""How a command shares the processor with itself."""

import os
from typing import Final

_THREADS: Final = "OPENBLAS_NUM_THREADS"


def multiply_in_one_thread() -> None:
    """Let NumPy multiply in the caller's thread alone, unless the user has said otherwise.

    For commands that name many tracks: their own threads multiply, each on its own, and those of OpenBLAS would wait
    for one another at full load. To be called before NumPy is imported, since OpenBLAS reads this once.
    """
    os.environ.setdefault(_THREADS, "1")
