"""On what a line was measured: processor, versions, date, commit."""

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.speed.places import PEERS_PYTHON, ROOT

FLAGS: Final = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""Those that decide how fast a network can be."""

OURS: Final = ("celebrity-annotator", "openvino", "numpy", "opencv-python-headless", "sqlalchemy")
MEASURED: Final = ("annotator", "workers", "benchmarks/speed", "benchmarks/plain_loop.py", "benchmarks/peers")
"""What a commit must be the same of, for its lines to be measured again."""

PEERS: Final = (
    "facenet-pytorch",
    "mtcnn",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "scikit-learn",
    "tensorflow-cpu",
    "torch",
)


def machine() -> dict[str, Any]:
    """Return the processor's name, how many processors are used, its flags, memory, kernel and Python."""
    text = Path("/proc/cpuinfo").read_text()
    entries = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    entries = {name.strip(): value.strip() for name, value in entries.items()}
    flags = entries.get("flags", "").split()
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": entries.get("model name", platform.processor()),
        "model": f"family {entries.get('cpu family', '?')}, model {entries.get('model', '?')}",
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(memory_kb / 1e6, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(*, with_peers: bool) -> dict[str, dict[str, str]]:
    """Return the versions of our environment and of the peers', which are asked in a process of their own."""
    ours = {name: version(name) for name in OURS}
    if not with_peers:
        return {"ours": ours}
    code = "import sys; from importlib.metadata import version\nfor name in sys.argv[1:]: print(name, version(name))"
    command = [str(PEERS_PYTHON), "-c", code, *PEERS]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return {"ours": ours, "peers": dict(line.split() for line in told.splitlines())}


def commit() -> str:
    """Return the git commit, marked where what is measured differs from it; "unknown" outside a checkout."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", *MEASURED)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("-changed" if changed else "")


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def stamp(*, with_peers: bool) -> dict[str, Any]:
    """Return what every line keeps of its own; of the peers where it is measured beside them."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(with_peers=with_peers),
    }
