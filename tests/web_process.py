"""`annotator web` as a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANNOTATOR = Path(sys.executable).with_name("annotator")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a program that keeps its data in a folder."""
    return {"PATH": os.environ["PATH"], "ANNOTATOR_DATA_DIR": str(folder)}


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the application at a free port; give the process and the address that it prints."""
    process = subprocess.Popen(
        [ANNOTATOR, "web", "--port", "0"], stderr=subprocess.PIPE, text=True, env=environment(folder), cwd=folder
    )
    try:
        assert process.stderr is not None
        found = next(found for line in process.stderr if (found := re.search(r"http://\S+", line)))
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()
