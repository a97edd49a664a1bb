"""`annotator web` as a process of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

ANNOTATOR = Path(sys.executable).with_name("annotator")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a program that keeps its data in a folder, and its cache in ``cache`` there."""
    return {
        "PATH": os.environ["PATH"],
        "ANNOTATOR_DATA_DIR": str(folder),
        "ANNOTATOR_CACHE_DIR": str(folder / "cache"),
    }


def copy_database(template: Path, folder: Path) -> None:
    """Give a program that keeps its data in a folder a database with the newest schema: it need not make one then."""
    shutil.copy(template, folder / "annotations.db")


@contextmanager
def running(
    folder: Path, *, port: int = 0, more: Mapping[str, str] = MappingProxyType({}), **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the application at a port, by default a free one; give the process and the address that it prints.

    Args:
        folder: keeps its data.
        port: where it listens.
        more: variables of its environment.
        settings: of the group ``web``.

    """
    chosen = {f"ANNOTATOR_WEB__{name.upper()}": value for name, value in settings.items()} | more
    process = subprocess.Popen(
        [ANNOTATOR, "web", "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder) | chosen,
        cwd=folder,
    )
    try:
        assert process.stderr is not None
        found = next(found for line in process.stderr if (found := re.search(r"https?://\S+", line)))
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()
