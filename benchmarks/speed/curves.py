"""How time and memory grow with what there is to do."""

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.speed.inputs import clips_in, grown_frames
from benchmarks.speed.rows import Reach, Value, row
from benchmarks.speed.sides import SideSpec, say, started

FILM: Final = "short_hamilton_clip.mp4"
"""Of which more and more frames are sampled."""

MAX_SLOPE: Final = 1.1
"""Of a straight line through the logarithms: 1 is linear, the rest is what measuring varies by."""


def measure(folder: Path, runs: int, *, is_quick: bool) -> dict[str, Any]:
    """Measure all curves.

    Args:
        folder: of the clips.
        runs: of each point, of which the median counts.
        is_quick: the first three points of each only.

    Returns:
        By name: what grows, in words; its points and the slopes of their logarithms.

    """
    last = 3 if is_quick else None
    found = {}
    for name, (axis, points) in _curves(folder).items():
        measured = []
        for x, spec in points[:last]:
            seconds, memory_mb = _seconds_and_memory(spec, runs)
            measured.append({"x": x, "seconds": round(seconds, 4), "memory_mb": round(memory_mb, 1)})
            say(f"    {name} {x:g}: {seconds:.3f} s, {memory_mb:.0f} MB")
        found[name] = {
            "axis": axis,
            "points": measured,
            "slope": slope([(one["x"], one["seconds"]) for one in measured]),
            "memory_slope": slope([(one["x"], one["memory_mb"]) for one in measured]),
        }
    return found


def rows(curves: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each curve: whether neither time nor memory grows faster than what there is to do.

    Args:
        curves: what ``measure`` returned.

    """
    made = []
    for curve in curves.values():
        xs = [one["x"] for one in curve["points"]]
        slopes = {what: slope([(one["x"], one[what]) for one in curve["points"]]) for what in ("seconds", "memory_mb")}
        told = f"of the time {slopes['seconds']:.2f}, of the memory {slopes['memory_mb']:.2f}"
        made.append(
            row(
                f"the greater slope against {curve['axis']}, {min(xs):g} to {max(xs):g}",
                Value(max(slopes.values()), "", told),
                reach=Reach("ours", "at most", MAX_SLOPE),
            )
        )
    return made


def _seconds_and_memory(spec: SideSpec, runs: int) -> tuple[float, float]:
    from benchmarks.speed.memory import memory_mb, watched  # noqa: PLC0415 - Linux only

    with started(spec) as side:
        side.run()
        with watched(side.pid) as seen:
            seconds = statistics.median(side.run()["seconds"] for _ in range(runs))
        return seconds, max(seen.peak_mb, memory_mb(side.pid))


def _curves(folder: Path) -> dict[str, tuple[str, list[tuple[float, SideSpec]]]]:
    film, gifs = str(folder / FILM), [str(path) for path in clips_in(folder) if path.suffix == ".gif"]
    frames = [(n, _annotate([film], {"sampling": {"frames": n}})) for n in (5, 10, 20, 40, 80)]
    clips = [(n, _annotate(gifs[:n], {})) for n in (8, 16, 32, 64)]
    faces = [(n, _detect(str(grown_frames(folder, "faces", n)))) for n in (1, 2, 4, 8, 16)]
    pixels = [(n, _detect(str(grown_frames(folder, "megapixels", n)))) for n in (0.25, 0.5, 1, 2, 4)]
    people = [(n, _side("identify", {"tracks": 500, "prototypes": n})) for n in (2000, 5000, 10_000, 20_000)]
    processes = [(n, _side("annotate_in_processes", {"clips": gifs[:32], "processes": n})) for n in (1, 2)]
    return {
        "frames": ("frames per clip", frames),
        "faces": ("faces per frame", faces),
        "megapixels": ("megapixels per frame", pixels),
        "clips": ("clips", clips),
        "workers": ("processes that share the clips and the processors", processes),
        "gallery": ("people in the gallery", people),
    }


def _annotate(clips: list[str], options: dict[str, Any]) -> SideSpec:
    return _side("annotate", {"clips": clips, "options": options})


def _detect(frames: str) -> SideSpec:
    return _side("detect", {"frames": frames, "min_face_px": 20})


def _side(work: str, arguments: dict[str, Any]) -> SideSpec:
    return SideSpec("annotator", "our_side", work, arguments)


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the straight line through the logarithms of some points, by least squares."""
    logs = [(math.log(x), math.log(max(y, 1e-9))) for x, y in points]
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    above = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    below = sum((x - mean_x) ** 2 for x, _ in logs)
    return round(above / below, 2) if below else 0.0
