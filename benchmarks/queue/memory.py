"""Does a worker grow? Annotate many media in one process and watch its memory.

    python benchmarks/queue/memory.py ../shared/data/clips --media 10000

The clips are made small (160 pixels wide, 8 frames), so that decoding, networks and rows are all at work and 10,000
of them take minutes. Servers, producer, beat and the worker are the programs that users run. Reported is the highest
resident memory of the worker in the stretch after the first 1,000 media and in the last stretch of the same length.
Linux only.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import imageio_ffmpeg
from real_backlog import Backlog, Servers

FIRST = 1000


def make_small(clips: Path, folder: Path) -> None:
    """Write a small GIF of each clip that has pictures."""
    for path in sorted(clips.iterdir()):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-vf", "fps=5,scale=160:-2"]
        command += ["-frames:v", "8", folder / f"{path.stem}.gif"]
        subprocess.run(command, check=False)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB; nothing of its decoder children."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * 4096 / 2**20
    return 0.0


class Watch(threading.Thread):
    """Notes done media and resident memory, once a second."""

    def __init__(self, backlog: Backlog) -> None:
        """Watch the worker of a backlog."""
        super().__init__(daemon=True)
        self._backlog = backlog
        self._ended = threading.Event()
        self.samples: list[tuple[int, float]] = []

    def run(self) -> None:
        """Sample until it is told to end."""
        while not self._ended.wait(1.0):
            if self._backlog.workers:
                done = self._backlog.count("SELECT count(*) FROM work WHERE state >= 2")
                self.samples.append((done, resident_mib(self._backlog.workers[0].pid)))
                if len(self.samples) % 60 == 0:
                    print(f"{done} done, {self.samples[-1][1]:.0f} MiB", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Stop sampling."""
        self._ended.set()
        self.join()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--media", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "small").mkdir()
        make_small(options.clips, folder / "small")
        servers = Servers(folder)
        try:
            servers.fill(folder / "small", options.media)
            backlog = Backlog(servers, "undisturbed", folder, workers=1)
            backlog.produce()
            watch = Watch(backlog)
            watch.start()
            seconds, _ = backlog.run(kill_every_s=None, seed=0)
            watch.end()
        finally:
            servers.stop()
    early = max(mib for done, mib in watch.samples if FIRST <= done < 2 * FIRST)
    late = max(mib for done, mib in watch.samples if done >= options.media - FIRST)
    print(f"{options.media} media in {seconds:.0f} s; resident at most {early:.0f} MiB in the second thousand,")
    print(f"{late:.0f} MiB in the last: {100 * (late / early - 1):+.1f} %")


if __name__ == "__main__":
    main()
