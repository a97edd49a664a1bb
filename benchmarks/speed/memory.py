"""Memory and processor time of a process and its children. Linux only."""

import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EVERY_S: Final = 0.1


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process; quicker to ask for than PSS."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def memory_mb(pid: int) -> float:
    """Return the proportional memory (PSS) of a process and its descendants."""
    total_kb = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb * 1.024 / 1000


@dataclass(slots=True)
class Parts:
    """Where the memory of a process and its descendants is, in MB.

    Attributes:
        files: of its own, in pages of files: programs, libraries, weights.
        other: the rest of its own: objects, arrays, what libraries have made, what the allocator keeps.
        children: in its descendants.

    """

    files: float = 0.0
    other: float = 0.0
    children: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.files + self.other + self.children


def parts_mb(pid: int) -> Parts:
    """Return where the proportional memory (PSS) of a process and its descendants is."""
    parts, is_file = Parts(children=memory_mb(pid)), False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):  # the first line of a mapping
            is_file = words[-1].startswith("/")
        elif words[0] == "Pss:":
            part_mb = int(words[1]) * 1.024 / 1000
            parts.files += part_mb if is_file else 0.0
            parts.other += 0.0 if is_file else part_mb
    parts.children = max(0.0, parts.children - parts.files - parts.other)
    return parts


@dataclass(slots=True)
class Watched:
    """Memory over time.

    Attributes:
        seconds: since the start.
        memory_mb: at that time.

    """

    seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        """The largest."""
        return max(self.memory_mb, default=0.0)

    def thinned(self, count: int = 120) -> list[tuple[float, float]]:
        """Return some evenly spaced points, for a picture."""
        step = max(1, len(self.seconds) // count)
        pairs = list(zip(self.seconds, self.memory_mb, strict=True))[::step]
        return [(round(at, 2), round(mb, 1)) for at, mb in pairs]


@contextmanager
def watched(pid: int, measure: Callable[[int], float] = memory_mb, *, every_s: float = EVERY_S) -> Iterator[Watched]:
    """Watch the memory of a process and its descendants; asking for PSS takes some milliseconds each time."""
    seen, is_over = Watched(), threading.Event()
    began_s = time.monotonic()

    def look() -> None:
        seen.memory_mb.append(measure(pid))
        seen.seconds.append(time.monotonic() - began_s)

    def watch() -> None:
        while not is_over.wait(every_s):
            look()

    look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()
        look()
