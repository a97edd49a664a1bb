"""Several threads may run their first inference at the same moment."""

import subprocess
import sys
from pathlib import Path

# Threads change places as often as they can, so that the trap, where it is open, closes in most runs.
PROGRAM = """
import sys, threading
from pathlib import Path
import openvino
from annotator.runtime.openvino_engine import OpenvinoEngine

sys.setswitchinterval(1e-6)
OpenvinoEngine(threads=1, cache_dir=Path(sys.argv[1]))
together = threading.Barrier(8)

def first_use():
    together.wait()
    openvino.Type.f32.to_dtype()

threads = [threading.Thread(target=first_use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    runs = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)]) for _ in range(4)]
    try:
        assert [run.wait(timeout=60) for run in runs] == [0] * 4
    finally:
        for run in runs:
            run.kill()
            run.wait()
