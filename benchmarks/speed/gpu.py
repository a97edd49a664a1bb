"""Measure what a GPU does, and how many processors must decode for it, and write docs/performance-gpu.md.

    make bench-gpu                                          # on a machine with an NVIDIA GPU
    python -m benchmarks.speed.gpu --device cpu --quick     # a trial without one: TensorFlow on the processors

Only a whole run on a GPU is written, into benchmarks/results-gpu.json and the page. Keep the machine free.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.build import build_source
from annotator.decoding import PipelineParams
from annotator.detection import MtcnnDetector
from annotator.errors import ConfigError
from annotator.media import expand_sources
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import Engine
from annotator.settings import load_settings
from benchmarks.speed.gpu_busy import gpu_name, watched_gpu
from benchmarks.speed.gpu_page import load, page, tables
from benchmarks.speed.inputs import FACE_SIDE_PX, clips_in, frames_of, gif_frames
from benchmarks.speed.machine import OURS, commit, machine
from benchmarks.speed.our_side import Annotating
from benchmarks.speed.places import CLIPS, GPU_PAGE, GPU_RESULTS, ROOT
from benchmarks.speed.sides import Side, SideSpec, say, started

CORES: Final = len(os.sched_getaffinity(0))
UNCOUNTED: Final = 2
MIN_TURNS: Final = 3
TOGETHER: Final = "side_by_side"
ALONE: Final = "alone"
"""The parts: several processes, which want all of the GPU and go first, and the lines of one."""

REPEATED: Final = 10
"""How many times the same frames are searched in one turn: 200 are less than one batch for each of 16 processors."""


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured.

    Attributes:
        device: ``"gpu"``, or ``"cpu"`` as a trial.
        seconds: that each pace is measured for, at least; 0 in a trial, of which each line runs once.
        gifs: of which ten frames each are searched on their own.
        folder: of the clips.
        faces: that are embedded.
        clips: paths of those that are annotated.
        side_by_side: how many processes annotate at the same time, for each line of those.

    """

    device: str
    seconds: float
    gifs: int
    folder: Path
    faces: int
    clips: Sequence[str]
    side_by_side: Sequence[int]


def main() -> None:
    """Measure, show and keep it; each part as soon as it is measured."""
    chosen = options()
    # These go first: what is missing is told before minutes have passed. The engine takes no memory of the GPU yet.
    engine, where = engine_of(chosen.device), stamp(chosen.device)
    scope = scope_of(chosen)
    results = {} if chosen.quick else load(chosen.output or GPU_RESULTS) or {}
    for part in chosen.only:
        if part == TOGETHER:
            lines = [side_by_side(scope, processes) for processes in scope.side_by_side]
            results[TOGETHER] = {**where, "lines": lines}
        else:
            results |= {**where, "quick": chosen.quick, **measured(scope, engine)}
        keep(results, chosen)
    print(tables(results))


def scope_of(chosen: argparse.Namespace) -> Scope:
    """Return how much is measured, of what was asked for."""
    clips = [str(path) for path in clips_in(chosen.clips)]
    if chosen.quick:
        return Scope(chosen.device, 0.0, gifs=1, folder=chosen.clips, faces=16, clips=clips[:1], side_by_side=(1,))
    several = (1, 4)
    return Scope(chosen.device, chosen.seconds, 20, folder=chosen.clips, faces=4096, clips=clips, side_by_side=several)


def keep(results: Mapping[str, Any], chosen: argparse.Namespace) -> None:
    """Write results, and the page where they are those of a GPU."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    if chosen.output is not None:
        chosen.output.write_text(text, encoding="utf-8")
    elif chosen.device == "gpu" and not chosen.quick:
        GPU_RESULTS.write_text(text, encoding="utf-8")
        GPU_PAGE.write_text(page(results), encoding="utf-8")


def stamp(device: str) -> dict[str, Any]:
    """Return when and where it is measured."""
    told = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "device": device, "machine": machine()}
    return {**told, "gpu": gpu_name() if device == "gpu" else None, "versions": versions()}


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: a trial without a GPU")
    parser.add_argument("--quick", action="store_true", help="a few frames, faces and clips, as a trial")
    both = (TOGETHER, ALONE)
    parser.add_argument(
        "--only", choices=both, action="append", help="one part anew, the other stays as it was kept (default: both)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="that each pace is measured for, at least")
    parser.add_argument("--clips", type=Path, default=CLIPS, metavar="FOLDER", help="of GIFs and films")
    parser.add_argument("--output", type=Path, help=f"default: {GPU_RESULTS.relative_to(ROOT)} and the page")
    chosen = parser.parse_args()
    chosen.only = [part for part in both if part in (chosen.only or both)]
    return chosen


def measured(scope: Scope, engine: Engine) -> dict[str, Any]:
    """Measure all lines on one engine, one after another."""
    began_s = time.perf_counter()
    detector, embedder, lower = MtcnnDetector(engine), FaceEmbedder(engine), FaceEmbedder(engine, precision="bf16")
    frames = frames_of(gif_frames(scope.folder, scope.gifs)) * (REPEATED if scope.seconds else 1)
    faces = np.random.default_rng(0).integers(0, 256, (scope.faces, FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)
    lines = {"detect": paced(scope, "detect", lambda: detector.detect(frames), len(frames))}
    lines["embed"] = paced(scope, "embed", lambda: lower.embed(faces), len(faces))
    lines["embed_f32"] = paced(scope, "embed_f32", lambda: embedder.embed(faces), len(faces))
    ready_s = round(time.perf_counter() - began_s - sum(line["seconds"] for line in lines.values()), 1)
    decoded, lines["decode"] = decoding(scope)
    many = decoded * (REPEATED // 2 if scope.seconds else 1)
    lines["detect_clips"] = paced(scope, "detect_clips", lambda: detector.detect_clips(many), sum(map(len, many)))
    annotating = Annotating(engine=engine, params=PipelineParams(decoders=CORES))
    lines["clips"] = paced(scope, "clips", lambda: all_read(annotating.run(list(scope.clips))), len(scope.clips))
    needed = round(lines["detect_clips"]["per_s"] / lines["decode"]["per_s"], 1)
    return {"ready_s": ready_s, "lines": lines, "decode_cores": needed}


def engine_of(device: Any) -> Engine:  # noqa: ANN401 - "gpu" or "cpu"
    """Make the engine.

    Raises:
        SystemExit: there is no GPU, or no TensorFlow that sees it.

    """
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - it takes seconds

    try:
        return TensorflowEngine(device=device)
    except ConfigError as error:
        trial = "" if device == "cpu" else "; `--device cpu --quick` tries the benchmark without a GPU"
        raise SystemExit(f"{error}{trial}.") from error


def paced(
    scope: Scope,
    name: str,
    work: Callable[[], object],
    count: int,
    *,
    used_s: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Do something twice, so that all is compiled, then until so many seconds have passed; a trial once only.

    Batches of whole clips come out differently each time, so not all sizes are met, and compiled, in one turn.

    Args:
        scope: how long.
        name: of the line.
        work: what is done.
        count: how much that is.
        used_s: tells the processor time up to now; by default that of this process.

    Returns:
        ``per_s``, the median; ``cores``, processors that were busy, and what the GPU says of itself.

    """
    for _ in range(UNCOUNTED if scope.seconds else 0):
        work()
    used_s = used_s or _processor_s
    turns: list[float] = []
    before_s = used_s()
    with watched_gpu(scope.device) as busy:
        while not turns or sum(turns) < scope.seconds or (scope.seconds and len(turns) < MIN_TURNS):
            began_s = time.perf_counter()
            work()
            turns.append(time.perf_counter() - began_s)
        cores = (used_s() - before_s) / sum(turns)
    spent = {"count": count, "turns": len(turns), "seconds": round(sum(turns), 2), "cores": round(cores, 2)}
    per_s = round(count / statistics.median(turns), 3)
    say(f"{name}: {per_s} a second")
    return {"per_s": per_s, **spent, **busy}


def side_by_side(scope: Scope, processes: int) -> dict[str, Any]:
    """Let several processes annotate all clips at the same time, each with its part of the processors' decoders.

    Returns:
        As ``paced``, of all together (``cores`` without what opens their databases), and ``processes``.

    """
    decoders = max(1, CORES // processes)
    given = {"clips": list(scope.clips), "options": {"device": scope.device}, "decoders": decoders}
    spec = SideSpec("annotator", "our_side", "annotate", given)
    with ExitStack() as stack, ThreadPoolExecutor(processes) as threads:
        # All are begun before the first is waited for: each loads TensorFlow for some seconds.
        begun = [threads.submit(stack.enter_context, started(spec)) for _ in range(processes)]
        sides = [one.result() for one in begun]

        used_s: list[float] = []

        def turn() -> None:
            for answer in threads.map(Side.run, sides):
                all_read(answer["found"])
                used_s.append(answer["processor_seconds"])

        name, count = f"clips, {processes} processes at the same time", processes * len(scope.clips)
        told = paced(scope, name, turn, count, used_s=lambda: sum(used_s))
    return {"processes": processes, "decoders": decoders, **told}


def all_read(found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found where no clip failed: one that does is quick, and no clip.

    Raises:
        SystemExit: some failed.

    """
    if found["failed"]:
        raise SystemExit(f"{found['failed']} of {found['clips']} clips failed: is there enough memory on the GPU?")
    return found


def decoding(scope: Scope) -> tuple[list[list[Any]], dict[str, Any]]:
    """Decode the clips, one after another.

    Returns:
        The sampled frames of each, and ``per_s``: how many a processor decodes in a second, in its own time, so that
        children that decode on several processors count as such.

    """
    source = build_source(load_settings(env_file=None))
    decoded, used_s, began_s = [], _processor_s(), time.perf_counter()
    for media in expand_sources(list(scope.clips)):
        with source.open(media) as sampled:
            decoded.append([image for batch in sampled for image in batch.images])
    used_s, seconds = _processor_s() - used_s, time.perf_counter() - began_s
    count = sum(map(len, decoded))
    spent = {"count": count, "turns": 1, "seconds": round(seconds, 2), "cores": round(used_s / seconds, 2)}
    per_s = round(count / used_s, 3)
    say(f"decode: {per_s} a second")
    return decoded, {"per_s": per_s, **spent}


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    return {**{name: version(name) for name in OURS if name != "openvino"}, "tensorflow": tf.__version__}


def _processor_s() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
