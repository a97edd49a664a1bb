"""Where things lie, for both environments."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
BENCHMARKS: Final = ROOT / "benchmarks"
CACHE: Final = BENCHMARKS / ".cache"
"""What can be made again: frames, folded networks, the film. Not committed."""

CLIPS: Final = ROOT.parent / "shared" / "data" / "clips"
RESULTS: Final = BENCHMARKS / "results.json"
OTHER_RESULTS: Final = BENCHMARKS / "results-other.json"
"""Results of a machine of another kind, for the page: a copy of ``RESULTS``, kept when those are measured anew."""

PAGE: Final = ROOT / "docs" / "performance.md"
GPU_RESULTS: Final = BENCHMARKS / "results-gpu.json"
GPU_PAGE: Final = ROOT / "docs" / "performance-gpu.md"
PICTURES: Final = ROOT / "docs" / "images" / "performance"
OUR_PYTHON: Final = Path(sys.executable)
"""What runs the benchmark: that of ``.venv``, and beside a GPU that of ``.venv-gpu``."""

PEERS_PYTHON: Final = BENCHMARKS / "peers" / ".venv" / "bin" / "python"
PEERS_SETUP: Final = BENCHMARKS / "peers" / "setup.sh"
