"""Decode the same media over and over, many at once: does each decoding give what it gives alone?

    python benchmarks/decoding_stress.py                              # a minute, six at once, two threads that spin
    python benchmarks/decoding_stress.py --seconds 600 --threads 12 --busy 0

The media are drawn: a film, the same film cut short, a long film of which only stretches are decoded, and a GIF.
Threads that spin keep Python from coming back to a decoder in time, as in a process that has much else to do: mistakes
in the order in which pipes are read show then. Each decoding is compared with a first one, made alone: all pixels,
times and the report. Printed is, for each media, how many were made, how many differed and why; the exit status is 1
if any did. Linux only.
"""

import argparse
import collections
import contextlib
import hashlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the media are those of the tests

from annotator.errors import AnnotatorError
from annotator.media import Sampling
from tests.media_factory import BLUE, RED, GifPart, flat, gif_bytes, noise, read_media, write_video

SAME = "as alone"


@dataclass(frozen=True, slots=True)
class Work:
    """One way to decode one media.

    Attributes:
        name: what is printed.
        path: the media.
        sampling: which frames.
        alone: what comes of it, in short, when nothing else runs.

    """

    name: str
    path: Path
    sampling: Sampling
    alone: str


def main() -> int:
    """Decode, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=6, help="how many decode at once")
    parser.add_argument("--busy", type=int, default=2, help="threads that spin beside them")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        works = draw(Path(folder))
        with spinning(chosen.busy):
            counts = decode_over_and_over(works, seconds=chosen.seconds, threads=chosen.threads)
    for work in works:
        outcomes = counts[work.name]
        print(f"{work.name:24} {outcomes.total():7} decoded, {outcomes.total() - outcomes[SAME]:5} not as alone")
        for outcome, times in outcomes.most_common():
            if outcome != SAME:
                print(f"{'':24} {times:7} x {outcome}")
    return int(any(outcomes.total() > outcomes[SAME] for outcomes in counts.values()))


def draw(folder: Path) -> list[Work]:
    """Draw the media and decode each of them alone."""
    film = write_video(folder / "film.mkv", noise(12, size_wh=(160, 112)))
    cut = folder / "cut.mkv"
    cut.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    long = write_video(folder / "long.mp4", noise(30, size_wh=(160, 112)).repeat(20, axis=0))
    gif = folder / "clip.gif"
    gif.write_bytes(gif_bytes([GifPart(flat(colour), disposal=2) for colour in (RED, BLUE) * 6]))
    kinds = [
        ("film, evenly", film, Sampling.even(20)),
        ("film, all", film, Sampling.all()),
        ("cut film, evenly", cut, Sampling.even(20)),
        ("long film, two times", long, Sampling.at((2000, 20_000))),
        ("GIF, evenly", gif, Sampling.even(20)),
    ]
    return [Work(name, path, sampling, outcome_of(path, sampling)) for name, path, sampling in kinds]


def outcome_of(path: Path, sampling: Sampling) -> str:
    """Return all that a decoding gives, in short, or its error."""
    try:
        batch, report = read_media(path, sampling)
    except AnnotatorError as exc:
        return f"{type(exc).__name__}: {exc}"
    told = hashlib.sha256(batch.images.tobytes())
    for times in (batch.frame_index, batch.pts_ms, batch.from_ms, batch.shown_ms):
        told.update(times.tobytes())
    return f"{len(batch)} frames {told.hexdigest()[:8]}, {report}"


def decode_over_and_over(works: list[Work], *, seconds: float, threads: int) -> dict[str, "collections.Counter[str]"]:
    """Decode for a while; return how often which outcome came, for each way to decode.

    Each way is gone at least once, however short the time.
    """
    counts: dict[str, collections.Counter[str]] = {work.name: collections.Counter() for work in works}
    guard = threading.Lock()
    end = time.monotonic() + seconds

    def decode(first: int) -> None:
        turn = first
        while time.monotonic() < end or turn < first + len(works):
            work = works[turn % len(works)]
            outcome = outcome_of(work.path, work.sampling)
            with guard:
                counts[work.name][SAME if outcome == work.alone else outcome] += 1
            turn += 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(decode, range(threads)))
    return counts


@contextlib.contextmanager
def spinning(threads: int) -> Iterator[None]:
    """Keep Python busy while the block runs."""
    is_over = threading.Event()

    def spin() -> None:
        while not is_over.is_set():
            pass

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for _ in range(threads):
            pool.submit(spin)
        try:
            yield
        finally:
            is_over.set()


if __name__ == "__main__":
    sys.exit(main())
