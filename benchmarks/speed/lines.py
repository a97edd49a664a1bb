"""The lines that can be measured: what is run on both sides, and the rows that come of it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.speed import bound, curves, precision_effect, time_effect, whole
from benchmarks.speed.inputs import (
    CROWD,
    FILM_SHOTS,
    FRAMES_OF_GIF,
    GIFS,
    clips_in,
    film,
    film_frames,
    folded_sface,
    gif_frames,
    named_clips,
)
from benchmarks.speed.rows import Reach, Value, row
from benchmarks.speed.sides import FACENET, GIPHY, GIPHY_OPTIONS, LOOP, MTCNN, OURS, SideSpec, in_turn, ratio

RUNS: Final = 5
FEWER_RUNS: Final = {
    "time-effect": 2,
    "precision-effect": 2,
    "bound": 2,
    "busy": 2,
    "memory": 2,
    "curves": 3,
}
"""Of lines that take minutes a run, and hardly vary, or have nothing beside them; the page tells how many."""

QUICK_CLIPS: Final = 6
QUICK_GIFS: Final = 3
EVERY_MS: Final = 2000
FILM_MINUTES: Final = 20
SHORTER: Final = 4
"""A film of so many times fewer minutes takes as much memory, where that does not grow on the way."""
MAX_GROWTH_PERCENT: Final = 5
"""Of the largest memory, which varies: decoders come and go, and frames wait in batches of 8 MB."""
FILM_OPTIONS: Final = {"sampling": {"every_ms": EVERY_MS}}
MEMORY_SHARE: Final = 0.1
MORE_LANES: Final = (8, 16)
"""Batches side by side, as on machines with so many processors."""

IDENTIFY_TRACKS: Final = 100_000
OUR_TRACKS: Final = 2_000
"""So many of the tracks are named on our side, and the time is multiplied."""
PRODUCT_TRACKS: Final = 20_000
"""So many rows has the plain product: all of them would take 40 GB."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured.

    Attributes:
        runs: of each side.
        is_quick: smaller inputs, for a trial.
        folder: of the clips.

    """

    runs: int
    is_quick: bool
    folder: Path

    def clips(self) -> list[str]:
        """Return the clips, by name."""
        found = [str(path) for path in clips_in(self.folder)]
        return found[:QUICK_CLIPS] if self.is_quick else found

    def gif_frames(self) -> str:
        """Return the file of the GIFs' frames."""
        return str(gif_frames(self.folder, QUICK_GIFS if self.is_quick else GIFS))


Measure = Callable[[Scope], dict[str, Any]]
"""Measures a line and returns its rows, with all that they were made from."""


def _time(sides: dict[str, Any], name: str, scale: float = 1.0) -> Value:
    return Value(round(scale * statistics.median(sides[name]["seconds"]), 3), "s")


def _median(sides: dict[str, Any], name: str, what: str) -> float:
    return float(statistics.median(sides[name]["series"][what]))


def _beside(work: str, sides: dict[str, Any], peer: str, at_least: float | None) -> dict[str, Any]:
    reach = None if at_least is None else Reach("ratio", "at least", at_least)
    beside = (sides[peer]["label"], _time(sides, peer))
    return row(work, _time(sides, OURS), beside=beside, ratio=ratio(sides, peer), reach=reach)


def detect(scope: Scope, *, min_face_px: int, at_least: float, with_mtcnn: bool = False) -> dict[str, Any]:
    """Find faces in frames of GIFs."""
    given = {"frames": scope.gif_frames(), "min_face_px": min_face_px}
    specs = {
        OURS: SideSpec("this detector", "our_side", "detect", given),
        FACENET: SideSpec("facenet-pytorch 2.6.0", "peer_side", "facenet", given),
    }
    if with_mtcnn:
        specs[MTCNN] = SideSpec("mtcnn 1.0.0 on TensorFlow", "peer_side", "mtcnn", given)
    sides = in_turn(specs, scope.runs)
    work = f"faces from {min_face_px} px in {sides[OURS]['found']['frames']} frames of GIFs, 480 px, each on its own"
    rows = [_beside(work, sides, FACENET, at_least)]
    rows += [_beside(work, sides, MTCNN, None)] if with_mtcnn else []
    return {"rows": rows, "sides": sides}


def detect_20px(scope: Scope) -> dict[str, Any]:
    """Find the smallest faces."""
    return detect(scope, min_face_px=20, at_least=5, with_mtcnn=True)


def detect_48px(scope: Scope) -> dict[str, Any]:
    """Find larger faces. Without ``mtcnn``: told of another smallest face than its own, 1.0.0 finds none."""
    return detect(scope, min_face_px=48, at_least=6)


def detect_time(scope: Scope) -> dict[str, Any]:
    """Find the smallest faces with use of time; recall is of the faces that each frame on its own shows."""
    given = {"frames": scope.gif_frames(), "min_face_px": 20}
    specs = {
        OURS: SideSpec("this detector", "our_side", "detect_clips", {**given, "clip_frames": FRAMES_OF_GIF}),
        FACENET: SideSpec("facenet-pytorch 2.6.0", "peer_side", "facenet", given),
    }
    sides = in_turn(specs, scope.runs)
    found = sides[OURS]["found"]
    work = f"faces from 20 px in {found['frames']} frames of GIFs, 480 px, with use of time"
    recall = row(
        "of the faces that each frame on its own shows, found with use of time",
        Value(round(100 * found["recall"], 1), "%"),
        reach=Reach("ours", "at least", 99),
    )
    return {"rows": [_beside(work, sides, FACENET, 12), recall], "sides": sides}


def detect_1080p(scope: Scope) -> dict[str, Any]:
    """Find faces in large frames of a film."""
    given = {"frames": str(film_frames(scope.folder, 4 if scope.is_quick else 12)), "min_face_px": 20}
    specs = {
        OURS: SideSpec("this detector", "our_side", "detect", given),
        FACENET: SideSpec("facenet-pytorch 2.6.0", "peer_side", "facenet", given),
    }
    sides = in_turn(specs, scope.runs)
    work = f"faces from 20 px in {sides[OURS]['found']['frames']} frames of a film, 1920 x 1080"
    return {"rows": [_beside(work, sides, FACENET, 6)], "sides": sides}


def clips(scope: Scope) -> dict[str, Any]:
    """Annotate the folder of clips, in a warm process and as a whole one."""
    paths = scope.clips()
    specs = {
        OURS: SideSpec("annotator", "our_side", "annotate", {"clips": paths}),
        LOOP: SideSpec(
            "a plain loop of facenet-pytorch and SFace in ONNX Runtime",
            "peer_side",
            "plain_loop",
            {"clips": paths, "sface": str(folded_sface())},
        ),
    }
    sides = in_turn(specs, scope.runs)
    work = f"{len(paths)} clips, 20 frames each: decode, find, embed, name, write rows"
    process = whole.annotate_seconds(paths, scope.runs)
    seconds = Value(round(statistics.median(process), 3), "s")
    rows = [_beside(work, sides, LOOP, 10), row("the same as a whole process, start included", seconds)]
    return {"rows": rows, "sides": sides, "whole_process_seconds": process}


def giphy(scope: Scope) -> dict[str, Any]:
    """Annotate the clips beside the way that GIPHY's release documents."""
    paths = scope.clips()
    specs = {
        OURS: SideSpec("annotator", "our_side", "annotate", {"clips": paths, "options": GIPHY_OPTIONS}),
        GIPHY: SideSpec("the way of GIPHY's release, rebuilt", "peer_side", "giphy", {"clips": paths}),
    }
    sides = in_turn(specs, scope.runs)
    work = f"{len(paths)} clips, 20 frames each, faces from a fifth of the frame's shorter side"
    return {"rows": [_beside(work, sides, GIPHY, 20)], "sides": sides}


def _minutes(scope: Scope) -> int:
    return 1 if scope.is_quick else FILM_MINUTES


def film_line(scope: Scope) -> dict[str, Any]:
    """Annotate a film, and watch the memory."""
    minutes = _minutes(scope)
    path = str(film(scope.folder, minutes))
    loop = {"clips": [path], "sface": str(folded_sface()), "every_ms": EVERY_MS}
    specs = {
        OURS: SideSpec("annotator", "our_side", "annotate_watched", _watched(scope, minutes)),
        "shorter": SideSpec("annotator", "our_side", "annotate_watched", _watched(scope, minutes / SHORTER)),
        LOOP: SideSpec("the plain loop", "peer_side", "plain_loop", loop),
    }
    sides = in_turn(specs, scope.runs)  # all processes are there all the time: they share pages alike
    peak_mb, shorter_mb = (_median(sides, side, "peak_mb") for side in (OURS, "shorter"))
    growth = Value(round(100 * (peak_mb / shorter_mb - 1), 1), "%", f"{peak_mb:.0f} MB beside {shorter_mb:.0f} MB")
    rows = [
        _beside(f"a film of {minutes} min, 1280 x 720, a frame every {EVERY_MS // 1000} s", sides, LOOP, 8),
        row(
            f"largest memory on the way: growth over a film of {minutes / SHORTER:g} min",
            growth,
            # A film of seconds does not fill what is filled of any film of minutes.
            reach=None if scope.is_quick else Reach("ours", "at most", MAX_GROWTH_PERCENT),
        ),
    ]
    return {"rows": rows, "sides": sides}


def _watched(scope: Scope, minutes: float) -> dict[str, Any]:
    """Return what to annotate; its memory is asked for equally often, however long it is, for the largest counts."""
    return {
        "clips": [str(film(scope.folder, minutes))],
        "options": FILM_OPTIONS,
        "every_s": minutes / FILM_MINUTES,
    }


def embed(scope: Scope) -> dict[str, Any]:
    """Embed faces in both precisions, beside the quicker one of two other readers of the same file."""
    count = 64 if scope.is_quick else 256
    given = {"frames": scope.gif_frames(), "count": count}
    theirs = {**given, "sface": str(folded_sface())}
    specs = {
        OURS: SideSpec("SFace, f32", "our_side", "embed", {**given, "precision": "f32"}),
        "default": SideSpec("SFace, as by default", "our_side", "embed", {**given, "precision": "bf16"}),
        "onnxruntime": SideSpec("SFace in ONNX Runtime", "peer_side", "sface_onnxruntime", theirs),
        "opencv": SideSpec("SFace in OpenCV", "peer_side", "sface_opencv", theirs),
    }
    sides = in_turn(specs, scope.runs)
    best = min(("onnxruntime", "opencv"), key=lambda name: statistics.median(sides[name]["seconds"]))
    default = {**sides, OURS: sides["default"]}
    rows = [
        _beside(f"{count} faces embedded, f32", sides, best, 2.5),
        _beside(f"{count} faces embedded, {sides['default']['found']['precision']}, as by default", default, best, 9),
    ]
    return {"rows": rows, "sides": sides}


def identify(scope: Scope) -> dict[str, Any]:
    """Name tracks against a large gallery, beside one product of all similarities."""
    people = 10_000 if scope.is_quick else IDENTIFY_TRACKS
    our_tracks, their_tracks = (500, 2_000) if scope.is_quick else (OUR_TRACKS, PRODUCT_TRACKS)
    specs = {
        OURS: SideSpec(
            "annotator", "our_side", "identify", {"tracks": our_tracks, "prototypes": people, "held": people}
        ),
        "product": SideSpec(
            "all similarities in one NumPy product and argmax",
            "peer_side",
            "product",
            {"tracks": their_tracks, "prototypes": people},
        ),
    }
    sides = in_turn(specs, scope.runs)
    our_scale, scale = people / our_tracks, people / their_tracks
    times = ratio(sides, "product", scale=scale / our_scale)
    peak_mb = max(sides[OURS]["series"]["peak_mb"]), scale * _median(sides, "product", "peak_mb")
    work = f"{people:,} tracks against {people:,} prototypes"
    beside = (sides["product"]["label"], _time(sides, "product", scale))
    share = round(peak_mb[0] / peak_mb[1], 4)
    rows = [
        row(
            f"{work} ({our_tracks:,} and {their_tracks:,} of them, multiplied)",
            _time(sides, OURS, our_scale),
            beside=beside,
            ratio=times,
            reach=Reach("ratio", "at least", 1),
        ),
        row(
            "memory of the whole process for it, share of that of the product alone",
            Value(share, "", f"{peak_mb[0]:,.0f} MB"),
            beside=(sides["product"]["label"], Value(round(peak_mb[1] / 1000, 1), "GB")),
            reach=Reach("ours", "at most", MEMORY_SHARE),
        ),
    ]
    return {"rows": rows, "sides": sides}


def peak(scope: Scope) -> dict[str, Any]:
    """Say how near to the machine's peak detection and embedding come."""
    given = {"frames": scope.gif_frames(), "min_face_px": 20}
    sides = in_turn({OURS: SideSpec("annotator", "our_side", "peak", given)}, scope.runs)
    names = {"share": "detection and embedding", "detect_share": "detection alone", "embed_share": "embedding alone"}
    return {
        "rows": [
            row(
                f"share of the machine's peak that {text} reaches" if name != "share" else f"share of peak, {text}",
                Value(round(100 * _median(sides, OURS, name), 1), "%"),
                reach=Reach("ours", "at least", 55) if name == "share" else None,
            )
            for name, text in names.items()
        ],
        "sides": sides,
    }


def bound_line(scope: Scope) -> dict[str, Any]:
    """Say how long the arithmetic alone would take, line by line, and so which ratio could be reached at most."""
    large = str(film_frames(scope.folder, 4 if scope.is_quick else 12))
    films = {"film": str(film(scope.folder, _minutes(scope))), "film_options": FILM_OPTIONS}
    given = {"clips": scope.clips(), "frames": scope.gif_frames(), "large_frames": large, **films}
    quick = {"faces": 64, "tracks": 500, "people": 10_000}
    all_of_it = {"faces": 256, "tracks": OUR_TRACKS, "people": IDENTIFY_TRACKS}
    return bound.measure(bound.Amounts(**given, **(quick if scope.is_quick else all_of_it)), runs=scope.runs)


def busy(scope: Scope) -> dict[str, Any]:
    """Say how busy the processors are kept over a backlog."""
    paths = scope.clips()
    sides = in_turn({OURS: SideSpec("annotator", "our_side", "annotate", {"clips": paths, "times": 3})}, scope.runs)
    ours = Value(round(100 * _median(sides, OURS, "busy"), 1), "%")
    return {
        "rows": [row(f"processors busy over {3 * len(paths)} clips", ours, reach=Reach("ours", "at least", 92))],
        "sides": sides,
    }


def memory(scope: Scope) -> dict[str, Any]:
    """Say how much memory a process like a worker's takes for clips of at most 480 px."""
    paths = [path for path in scope.clips() if Path(path).suffix == ".gif" and whole.long_side_px(path) <= 480]
    sides = in_turn({OURS: SideSpec("annotator", "our_memory", "worker_memory", {"clips": paths})}, scope.runs)
    series = sides[OURS]["series"]
    work = f"largest memory of a worker's process and its children, {len(paths)} GIFs of at most 480 px"
    steps = {
        "imported_mb": "a worker's memory when all is imported",
        "read_mb": "when people and networks are read",
        "ready_mb": "when one clip is through: the networks are compiled",
        "largest_files_mb": "of the largest, pages of files: programs, libraries, weights",
        "largest_other_mb": "of the largest, the process's own",
        "largest_children_mb": "of the largest, the children that decode",
    }
    rows = [row(work, Value(max(series["peak_mb"]), "MB"), reach=Reach("ours", "at most", 700))]
    rows += [row(text, Value(series[name][-1], "MB")) for name, text in steps.items()]
    for lanes in MORE_LANES:  # one process at a time: two would share pages
        name, given = f"{lanes} lanes", {"clips": paths, "threads": lanes}
        sides |= in_turn({name: SideSpec("annotator", "our_memory", "worker_memory", given)}, scope.runs)
        rows.append(row(f"the largest with {name}", Value(max(sides[name]["series"]["peak_mb"]), "MB")))
    return {"rows": rows, "sides": sides}


def start(scope: Scope) -> dict[str, Any]:
    """Measure from the command to the first name."""
    sides = whole.start_seconds(scope.folder / whole.FIRST, scope.runs)
    rows = [
        row(
            "`annotator annotate one.gif --no-save` until the first name",
            _time(sides, OURS),
            beside=(sides["import"]["label"], _time(sides, "import")),
            ratio=ratio(sides, "import"),
            reach=Reach("ours", "less than", _time(sides, "import").value),
        )
    ]
    return {"rows": rows, "sides": sides}


def time_effect_line(scope: Scope) -> dict[str, Any]:
    """Say what use of time changes: time, names, faces, for each choice of how many frames are searched."""
    return time_effect.measure(scope.clips(), scope.runs)


def precision_effect_line(scope: Scope) -> dict[str, Any]:
    """Say what it changes that SFace takes 16 bits for clips: names, time; needs a processor with bfloat16."""
    return precision_effect.measure(scope.clips(), scope.runs)


def curve_line(scope: Scope) -> dict[str, Any]:
    """Measure how time and memory grow."""
    measured = curves.measure(scope.folder, scope.runs, is_quick=scope.is_quick)
    return {"rows": curves.rows(measured), "curves": measured}


LINES: Final[dict[str, Measure]] = {
    "detect-20px": detect_20px,
    "detect-time": detect_time,
    "time-effect": time_effect_line,
    "precision-effect": precision_effect_line,
    "detect-48px": detect_48px,
    "detect-1080p": detect_1080p,
    "clips": clips,
    "giphy": giphy,
    "film": film_line,
    "embed": embed,
    "identify": identify,
    "peak": peak,
    "bound": bound_line,
    "busy": busy,
    "start": start,
    "memory": memory,
    "curves": curve_line,
}

NAMED: Final = {
    "detect-1080p": (CROWD,),
    "film": FILM_SHOTS,
    "bound": FILM_SHOTS,
    "start": (whole.FIRST,),
    "curves": (CROWD, curves.FILM),
}
"""Clips that a line needs by their names."""

FRAMED: Final = ("detect-20px", "detect-time", "detect-48px", "embed", "peak", "bound")
"""Lines that need the frames of GIFs."""


def check_clips(names: list[str], scope: Scope) -> None:
    """See that the clips of some lines are there, before anything is measured.

    Raises:
        SystemExit: one is not there, or there are too few.

    """
    clips_in(scope.folder)
    named_clips(scope.folder, sorted({clip for name in names for clip in NAMED.get(name, ())}))
    if not set(FRAMED).isdisjoint(names):
        scope.gif_frames()
