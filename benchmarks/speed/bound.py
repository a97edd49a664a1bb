"""What bounds a line: how long the networks' arithmetic would take at the machine's peak, were there nothing else."""

import statistics
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.speed.inputs import FRAMES_OF_GIF, film_frames, gif_frames
from benchmarks.speed.rows import Value, row
from benchmarks.speed.sides import FACENET, GIPHY, GIPHY_OPTIONS, LOOP, SideSpec, in_turn

PEERS: Final = {
    "detect-20px": FACENET,
    "detect-time": FACENET,
    "detect-48px": FACENET,
    "detect-1080p": FACENET,
    "clips": LOOP,
    "giphy": GIPHY,
}
"""The lines that are bounded, and beside whom each of them is measured."""


def measure(clips: list[str], *, gifs: int, large: int, runs: int) -> dict[str, Any]:
    """Do the works of some lines once more, and count what their networks compute.

    Args:
        clips: to be annotated.
        gifs: how many GIFs the frames are of.
        large: how many frames of 1920 x 1080.
        runs: of each work.

    """
    frames = {"frames": str(gif_frames(gifs)), "min_face_px": 20}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "detect-20px": ("detect", frames),
        "detect-time": ("detect", {**frames, "clip_frames": FRAMES_OF_GIF}),
        "detect-48px": ("detect", {**frames, "min_face_px": 48}),
        "detect-1080p": ("detect", {"frames": str(film_frames(large)), "min_face_px": 20}),
        "clips": ("annotate", {"clips": clips}),
        "giphy": ("annotate", {"clips": clips, "options": GIPHY_OPTIONS}),
    }
    sides = {}
    for name, (work, arguments) in given.items():  # one process at a time
        sides |= in_turn({name: SideSpec(f"the work of {name}", "our_arithmetic", work, arguments)}, runs)
    rows = [
        row(
            f"`{name}`: all but the arithmetic of the networks{' and decoding' if _decoding_s(side) else ''} takes",
            Value(round(100 * (1 - _least_s(side) / statistics.median(side["seconds"])), 1), "%"),
        )
        for name, side in sides.items()
    ]
    return {"rows": rows, "sides": sides}


def _median(side: Mapping[str, Any], what: str) -> float:
    return float(statistics.median(side["series"][what]))


def _decoding_s(side: Mapping[str, Any]) -> float:
    return _median(side, "decoding_s")


def _least_s(side: Mapping[str, Any]) -> float:
    return _median(side, "arithmetic_s") + _decoding_s(side)


def table(lines: Mapping[str, Any]) -> str:
    """Return, for each bounded line, what its arithmetic takes at the peak, and which ratio that allows at most."""
    rows = []
    for name, side in lines["bound"]["sides"].items():
        least_s, taken_s = _least_s(side), statistics.median(side["seconds"])
        decoding = f"{_decoding_s(side):.2f} s" if _decoding_s(side) else ""
        most = ""
        if name in lines:
            theirs_s = statistics.median(lines[name]["sides"][PEERS[name]]["seconds"])
            most = f"{theirs_s / least_s:.1f}\N{MULTIPLICATION SIGN}"
        rows.append(
            f"| `{name}` | {taken_s:.2f} s | {_median(side, 'arithmetic_s'):.2f} s | {decoding} | "
            f"{least_s / taken_s:.0%} | {most} |"
        )
    head = "| line | all of it | arithmetic at the peak | decoding | share of both | ratio if there were nothing else |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])
