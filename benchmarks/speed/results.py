"""The file of results: what was measured, line by line, each with its own date, machine and commit."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FIELDS: Final = ("date", "commit", "machine", "versions", "runs", "quick", "rows")
"""What every line has."""

ROW_FIELDS: Final = ("work", "ours", "beside", "ratio", "reach", "reached")


def load(path: Path) -> dict[str, Any]:
    """Read the lines of a file; none where it is not there."""
    return dict(json.loads(path.read_text(encoding="utf-8"))["lines"]) if path.exists() else {}


def merge(path: Path, lines: Mapping[str, Any], order: list[str]) -> dict[str, Any]:
    """Replace lines of a file by those measured anew; the others stay.

    Args:
        path: of the file; made if missing.
        lines: by name.
        order: of all names; lines that are none any more go.

    """
    known = {**load(path), **lines}
    kept = {name: known[name] for name in order if name in known}
    path.write_text(json.dumps({"lines": kept}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return kept
