"""What bounds a line: how long the networks' arithmetic would take at the machine's peak, were there nothing else."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.speed.inputs import FRAMES_OF_GIF, film_frames, gif_frames
from benchmarks.speed.rows import TIMES, Value, row
from benchmarks.speed.sides import GIPHY_OPTIONS, SideSpec, in_turn

ROWS: Final = {
    "detect-20px": ("detect-20px", 0),
    "detect-time": ("detect-time", 0),
    "detect-48px": ("detect-48px", 0),
    "detect-1080p": ("detect-1080p", 0),
    "clips": ("clips", 0),
    "giphy": ("giphy", 0),
    "film": ("film", 0),
    "embed, f32": ("embed", 0),
    "embed, by default": ("embed", 1),
    "identify": ("identify", 0),
}
"""What is bounded: the line, and which of its rows has the other side and the reach."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is done.

    Attributes:
        clips: to be annotated.
        film: to be annotated.
        film_options: settings for it.
        gifs: how many GIFs the frames are of.
        large: how many frames of 1920 x 1080.
        faces: to be embedded.
        tracks: to be named.
        people: to name them by.

    """

    clips: list[str]
    film: str
    film_options: Mapping[str, Any]
    gifs: int
    large: int
    faces: int
    tracks: int
    people: int


def measure(amounts: Amounts, *, runs: int) -> dict[str, Any]:
    """Do the works of some lines once more, and count what their networks compute.

    Args:
        amounts: how much of each.
        runs: of each work.

    """
    gifs, large, clips = amounts.gifs, amounts.large, amounts.clips
    frames = {"frames": str(gif_frames(gifs)), "min_face_px": 20}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "detect-20px": ("detect", frames),
        "detect-time": ("detect", {**frames, "clip_frames": FRAMES_OF_GIF}),
        "detect-48px": ("detect", {**frames, "min_face_px": 48}),
        "detect-1080p": ("detect", {"frames": str(film_frames(large)), "min_face_px": 20}),
        "clips": ("annotate", {"clips": clips}),
        "giphy": ("annotate", {"clips": clips, "options": GIPHY_OPTIONS}),
        "film": ("annotate", {"clips": [amounts.film], "options": dict(amounts.film_options)}),
        "embed, f32": ("embed", {"count": amounts.faces, "precision": "f32"}),
        "embed, by default": ("embed", {"count": amounts.faces, "precision": "bf16"}),
        "identify": ("identify", {"tracks": amounts.tracks, "prototypes": amounts.people}),
    }
    if given.keys() != ROWS.keys():
        raise KeyError(f"what is bounded and what is told differ: {sorted(given.keys() ^ ROWS.keys())}")
    sides = {}
    for name, (work, arguments) in given.items():  # one process at a time
        sides |= in_turn({name: SideSpec(f"the work of {name}", "our_arithmetic", work, arguments)}, runs)
    rows = [
        row(
            f"`{name}`: all but the arithmetic{' and decoding' if _decoding_s(side) else ''} takes",
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
    """Return, for each bounded row, what its arithmetic takes at the peak, and what that leaves for all else.

    What the other side takes counts only where it was measured on the same machine.
    """
    rows = []
    for name, side in lines["bound"]["sides"].items():  # of an older program there may be others
        if name not in ROWS:
            continue
        least_s, taken_s = _least_s(side), statistics.median(side["seconds"])
        decoding = _seconds(_decoding_s(side)) if _decoding_s(side) else ""
        most = allowed = ""
        line, number = ROWS[name]
        if line in lines and lines[line]["machine"] == lines["bound"]["machine"]:
            found = lines[line]["rows"][number]
            most = f"{found['beside']['value'] / least_s:.1f}{TIMES}"
            rest_s = found["beside"]["value"] / found["reach"]["limit"] - least_s
            allowed = _seconds(rest_s) if rest_s > 0 else "beyond the peak"
        cells = (
            *(f"`{name}`", _seconds(taken_s), _seconds(_median(side, "arithmetic_s")), decoding),
            *(f"{least_s / taken_s:.0%}", most, _seconds(taken_s - least_s), allowed),
        )
        rows.append(f"| {' | '.join(cells)} |")
    head = (
        "| line | all of it | arithmetic at the peak | decoding | share of both | ratio if there were nothing else | "
        "all else takes | may take, for the reach |"
    )
    return "\n".join([head, "|" + "---|" * 8, *rows])


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"
