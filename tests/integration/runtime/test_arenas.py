"""The threads of a process that runs networks share the allocator's arenas. In a process of its own."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

COUNT_ARENAS = """
import ctypes, sys
from pathlib import Path
from threading import Barrier, Thread
from annotator.runtime.openvino_engine import OpenvinoEngine

OpenvinoEngine(threads=3, cache_dir=Path(sys.argv[1]))
everybody = Barrier(20)

def allocate():
    kept = bytearray(100_000)
    everybody.wait()
    assert kept

threads = [Thread(target=allocate) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
output = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, output)
libc.fflush(output)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_twenty_threads_share_as_many_arenas_as_batches_run_side_by_side(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", COUNT_ARENAS, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert 1 <= told.count("<heap nr=") <= 3
