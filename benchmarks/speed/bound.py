"""What bounds a line: how long the networks' arithmetic would take at the machine's peak, were there nothing else."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.speed.inputs import FRAMES_OF_GIF
from benchmarks.speed.rows import TIMES, Value, row
from benchmarks.speed.sides import GIPHY_OPTIONS, SideSpec, in_turn
from benchmarks.speed.work import sface

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

EMBEDDING_SIDES: Final = {"embed, f32": "ours", "embed, by default": "default"}
"""Which side of the line ``embed`` is ours in these rows. A face takes the same arithmetic whatever it shows, so
where it was not counted it is reckoned from the peak that the line ``peak`` measured."""

SINCE: Final = {
    ("detect-1080p", "da7f22ec06"): "measured before commit `e04b719`, which made such frames quicker",
}
"""What has changed since a line was measured, by its name and commit: a line measured anew has nothing of it."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is done.

    Attributes:
        clips: to be annotated.
        film: to be annotated.
        film_options: settings for it.
        frames: file of the GIFs' frames.
        large_frames: file of frames of 1920 x 1080.
        faces: to be embedded.
        tracks: to be named.
        people: to name them by.

    """

    clips: list[str]
    film: str
    film_options: Mapping[str, Any]
    frames: str
    large_frames: str
    faces: int
    tracks: int
    people: int


def measure(amounts: Amounts, *, runs: int) -> dict[str, Any]:
    """Do the works of some lines once more, and count what their networks compute.

    Args:
        amounts: how much of each.
        runs: of each work.

    """
    clips, frames = amounts.clips, {"frames": amounts.frames, "min_face_px": 20}
    faces = {"frames": amounts.frames, "count": amounts.faces}
    given: dict[str, tuple[str, dict[str, Any]]] = {
        "detect-20px": ("detect", frames),
        "detect-time": ("detect", {**frames, "clip_frames": FRAMES_OF_GIF}),
        "detect-48px": ("detect", {**frames, "min_face_px": 48}),
        "detect-1080p": ("detect", {"frames": amounts.large_frames, "min_face_px": 20}),
        "clips": ("annotate", {"clips": clips}),
        "giphy": ("annotate", {"clips": clips, "options": GIPHY_OPTIONS}),
        "film": ("annotate", {"clips": [amounts.film], "options": dict(amounts.film_options)}),
        "embed, f32": ("embed", {**faces, "precision": "f32"}),
        "embed, by default": ("embed", {**faces, "precision": "bf16"}),
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


@dataclass(frozen=True, slots=True)
class Bound:
    """What bounds a row.

    Attributes:
        taken_s: all of it, in seconds.
        arithmetic_s: of its networks, at the machine's peak.
        decoding_s: of its clips; 0 where nothing is decoded.
        beside_s: what the other side takes; None where that was not measured on this machine.
        allowed_s: what all of it may take for the reach; None as above.

    """

    taken_s: float
    arithmetic_s: float
    decoding_s: float
    beside_s: float | None
    allowed_s: float | None

    @property
    def least_s(self) -> float:
        """What arithmetic and decoding take, were there nothing else."""
        return self.arithmetic_s + self.decoding_s

    @property
    def rest_s(self) -> float:
        """What all else takes."""
        return self.taken_s - self.least_s

    @property
    def rest_allowed_s(self) -> float | None:
        """What all else may take for the reach, below 0 beyond the peak; None where the other side was not measured."""
        return None if self.allowed_s is None else self.allowed_s - self.least_s


def bound_of(lines: Mapping[str, Any], name: str) -> Bound | None:
    """Return what bounds a row; None where neither its arithmetic was counted nor the peak is known.

    What the other side takes counts only where it was measured on the same machine.

    Args:
        lines: of the results.
        name: in ``ROWS``.

    """
    line, number = ROWS[name]
    if (side := lines.get("bound", {}).get("sides", {}).get(name)) is not None:
        machine, taken_s = lines["bound"]["machine"], statistics.median(side["seconds"])
        arithmetic_s, decoding_s = _median(side, "arithmetic_s"), _decoding_s(side)
    elif name in EMBEDDING_SIDES and {"embed", "peak"} <= lines.keys():
        side, found = lines["embed"]["sides"][EMBEDDING_SIDES[name]], lines["peak"]["sides"]["ours"]["found"]
        peak = found["peak_gflop_per_s"].get(side["found"]["precision"])
        machine, taken_s, decoding_s = lines["peak"]["machine"], statistics.median(side["seconds"]), 0.0
        if peak is None or lines["embed"]["machine"] != machine:
            return None
        arithmetic_s = side["found"]["faces"] * sface() / 1e9 / peak
    else:
        return None
    beside_s = allowed_s = None
    if line in lines and lines[line]["machine"] == machine:
        found = lines[line]["rows"][number]
        beside_s = found["beside"]["value"]
        allowed_s = beside_s / found["reach"]["limit"]
    return Bound(taken_s, arithmetic_s, decoding_s, beside_s, allowed_s)


def why_not(lines: Mapping[str, Any], line: str, number: int) -> str:
    """Return why a row is not where it should be, as far as the results show it.

    Args:
        lines: of the results.
        line: that the row is of.
        number: of the row in it.

    """
    name = next((name for name, place in ROWS.items() if place == (line, number)), None)
    bound = None if name is None else bound_of(lines, name)
    if bound is None or bound.rest_allowed_s is None:
        told = ["these results show no reason"]
        if name is not None and _is_within_spread(lines[line]["rows"][number]):
            told.append("the reach lies between the least and the greatest ratio")
    elif bound.rest_allowed_s <= 0:
        told = ["beyond the peak"]
    else:
        what = "arithmetic and decoding" if bound.decoding_s else "the arithmetic"
        may, takes = _seconds(bound.rest_allowed_s), _seconds(bound.rest_s)
        told = [f"the peak would allow it, if all but {what} took {may}, and it takes {takes}"]
    since = SINCE.get((line, lines[line]["commit"]))
    return "; ".join([*told, *([since] if since else [])])


def _is_within_spread(row: Mapping[str, Any]) -> bool:
    return bool(row["ratio"]["min"] < row["reach"]["limit"] <= row["ratio"]["max"])


def table(lines: Mapping[str, Any]) -> str:
    """Return, for each bounded row, what its arithmetic takes at the peak, and what that leaves for all else."""
    rows = []
    for name in ROWS:
        bound = bound_of(lines, name)
        if bound is None:
            continue
        most = allowed = ""
        if bound.beside_s is not None and bound.rest_allowed_s is not None:
            most = f"{bound.beside_s / bound.least_s:.1f}{TIMES}"
            allowed = _seconds(bound.rest_allowed_s) if bound.rest_allowed_s > 0 else "beyond the peak"
        decoding = _seconds(bound.decoding_s) if bound.decoding_s else ""
        cells = (
            *(f"`{name}`", _seconds(bound.taken_s), _seconds(bound.arithmetic_s), decoding),
            *(f"{bound.least_s / bound.taken_s:.0%}", most, _seconds(bound.rest_s), allowed),
        )
        rows.append(f"| {' | '.join(cells)} |")
    if not rows:
        return "Not measured yet."
    head = (
        "| line | all of it | arithmetic at the peak | decoding | share of both | ratio if there were nothing else | "
        "all else takes | may take, for the reach |"
    )
    return "\n".join([head, "|" + "---|" * 8, *rows])


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"
