"""Our works once more, with all that their networks compute, set against the machine's measured peak."""

import os
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.speed.galleries import SIZE
from benchmarks.speed.inputs import faces, frames_of
from benchmarks.speed.our_side import THREADS, Annotating, our_engine
from benchmarks.speed.our_side import identify as naming
from benchmarks.speed.serving import Work, serve
from benchmarks.speed.work import CountingEngine, peak_gflop_per_s


def detect(frames: str, min_face_px: int, clip_frames: int | None = None) -> Work:
    """Find the faces of all frames, each on its own, or of clips of so many frames with use of time."""
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - heavy, and not for every work

    engine = CountingEngine(our_engine())
    detector = MtcnnDetector(engine, params=DetectionParams(min_face_px=min_face_px))
    images = frames_of(frames)
    if clip_frames is None:
        return _counted(engine, lambda: detector.detect(images))
    clips = [images[start : start + clip_frames] for start in range(0, len(images), clip_frames)]
    return _counted(engine, lambda: detector.detect_clips(clips))


def annotate(clips: list[str], options: dict[str, Any] | None = None) -> Work:
    """Annotate clips: decode, detect, track, embed, name, write rows."""
    engine = CountingEngine(our_engine())
    annotating = Annotating(engine=engine, **(options or {}))
    return _counted(engine, lambda: annotating.run(clips))


def embed(frames: str, count: int, precision: str) -> Work:
    """Embed faces."""
    from annotator.recognition.embedding import FaceEmbedder  # noqa: PLC0415 - as above

    engine = CountingEngine(our_engine())
    embedder = FaceEmbedder(engine, precision=precision)  # type: ignore[arg-type]
    crops = faces(frames, count)
    return _counted(engine, lambda: embedder.embed(crops))


def identify(tracks: int, prototypes: int) -> Work:
    """Name some tracks, and multiply for as many as there are prototypes; of each pair one similarity is needed."""
    from annotator.native import GreatestProducts  # noqa: PLC0415 - as above
    from annotator.runtime.maxima import has_quick_bfloat16  # noqa: PLC0415 - as above

    work = naming(tracks, prototypes)
    measured = "bf16" if has_quick_bfloat16() else "f32"
    # Of whole numbers of 16 bits, twice as many are multiplied at once as of float32, and added beside.
    is_whole = measured == "f32" and GreatestProducts.is_quick()
    precision, times = ("i16", 2.0) if is_whole else (measured, 1.0)
    operations = 2.0 * SIZE * prototypes**2

    def run() -> dict[str, Any]:
        peak = times * peak_gflop_per_s(measured, THREADS)
        began_s = time.perf_counter()
        work()
        seconds = (time.perf_counter() - began_s) * prototypes / tracks
        return {"seconds": seconds, "arithmetic_s": operations / 1e9 / peak, "decoding_s": 0.0, "precision": precision}

    return run


def _counted(engine: CountingEngine, work: Callable[[], object]) -> Work:
    """Return a work that tells how long its arithmetic and its decoding would take, were there nothing else."""

    def run() -> dict[str, Any]:
        peaks = {precision: peak_gflop_per_s(precision, THREADS) for precision in sorted(engine.precisions)}
        engine.forget()
        children_s, began_s = _children_s(), time.perf_counter()
        work()
        seconds = time.perf_counter() - began_s
        gflop = engine.gflop()
        return {
            "seconds": seconds,
            "arithmetic_s": sum(done / peaks[precision] for by in gflop.values() for precision, done in by.items()),
            "decoding_s": (_children_s() - children_s) / THREADS,
            "peak_gflop_per_s": peaks,
            "gflop": gflop,
        }

    return run


def _children_s() -> float:
    """Return the processor seconds of children that have ended: of the decoder."""
    times = os.times()
    return times.children_user + times.children_system


WORKS: Final = {"detect": detect, "annotate": annotate, "embed": embed, "identify": identify}

if __name__ == "__main__":
    serve(WORKS)
