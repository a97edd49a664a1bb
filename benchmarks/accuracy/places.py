"""Where things are."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DATA: Final = ROOT.parent / "shared" / "data"
RESULTS: Final = ROOT / "benchmarks" / "accuracy.json"
PAGE: Final = ROOT / "docs" / "accuracy.md"
PICTURES: Final = ROOT / "docs" / "images" / "accuracy"
TEMPLATE: Final = Path(__file__).with_name("accuracy.md.in")
