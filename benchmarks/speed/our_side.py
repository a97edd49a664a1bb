"""Our works, each in a process that is made ready once."""

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

import numpy as np

from benchmarks.speed.inputs import faces, frames_of
from benchmarks.speed.memory import memory_mb, resident_mb, watched
from benchmarks.speed.serving import Work, serve
from benchmarks.speed.work import CountingEngine, peak_gflop_per_s

THREADS: Final = len(os.sched_getaffinity(0))
FACES_OF_TRACK: Final = 5
MIN_IOU: Final = 0.5


def _settings(**options: Any) -> Any:  # noqa: ANN401 - handed on
    from annotator.settings import load_settings  # noqa: PLC0415 - heavy, and not for every work

    return load_settings(env_file=None, **{"device": "cpu", "threads": THREADS, **options})


def our_engine() -> Any:  # noqa: ANN401 - a protocol of heavy modules
    """Return the engine of the processors."""
    from annotator.build import build_engine  # noqa: PLC0415 - as above

    return build_engine(_settings())


def detect(frames: str, min_face_px: int) -> Work:
    """Find the faces of all frames, each frame on its own."""
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - as above

    detector = MtcnnDetector(our_engine(), params=DetectionParams(min_face_px=min_face_px))
    images = frames_of(frames)
    return lambda: {"frames": len(images), "faces": sum(len(one) for one in detector.detect(images))}


def detect_clips(frames: str, min_face_px: int, clip_frames: int) -> Work:
    """Find the faces of clips with use of time; tell which of those are found that each frame on its own shows."""
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - as above

    detector = MtcnnDetector(our_engine(), params=DetectionParams(min_face_px=min_face_px))
    images = frames_of(frames)
    clips = [images[start : start + clip_frames] for start in range(0, len(images), clip_frames)]
    alone = detector.detect(images)

    def work() -> dict[str, Any]:
        found = [faces for clip in detector.detect_clips(clips) for faces in clip]
        return {"frames": len(images), "faces": sum(map(len, found)), "recall": _recall(alone, found)}

    return work


def _recall(expected: list[Any], found: list[Any]) -> float:
    """Return which share of the faces of some frames is found, in boxes that overlap by half."""
    from annotator.tracking import pairwise_iou  # noqa: PLC0415 - as above

    overlaps = [
        pairwise_iou(theirs.boxes_xyxy, mine.boxes_xyxy).max(axis=1, initial=0)
        for theirs, mine in zip(expected, found, strict=True)
    ]
    return float((np.concatenate(overlaps) >= MIN_IOU).mean())


def embed(frames: str, count: int, precision: str) -> Work:
    """Embed faces."""
    from annotator.recognition.embedding import FaceEmbedder  # noqa: PLC0415 - as above

    embedder = FaceEmbedder(our_engine(), precision=precision)  # type: ignore[arg-type]
    crops = faces(frames, count)
    used = embedder._runner.precision  # noqa: SLF001 - what the processor has in the end
    return lambda: {"faces": len(embedder.embed(crops)), "precision": used}


class Annotating:
    """An annotator with its networks loaded, and a new database for each run.

    Args:
        engine: runs the networks; by default that of the processors.
        params: how much is in hand at once.
        options: settings.

    """

    def __init__(self, *, engine: Any = None, params: Any = None, **options: Any) -> None:  # noqa: ANN401 - as above
        """Load the networks."""
        from annotator.build import build_annotator  # noqa: PLC0415 - as above

        self._annotator = build_annotator(_settings(**options), engine=engine, params=params)

    def run(self, clips: list[str], *, times: int = 1) -> dict[str, Any]:
        """Annotate clips with names and rows; opening the database does not count."""
        from annotator.build import register_model  # noqa: PLC0415 - as above
        from annotator.cli.session import Saving, annotate_media  # noqa: PLC0415 - as above
        from annotator.media import expand_sources  # noqa: PLC0415 - as above
        from annotator.store import Store  # noqa: PLC0415 - as above

        refs = expand_sources(clips) * times
        with tempfile.TemporaryDirectory() as folder, Store.open(f"sqlite:///{folder}/rows.db") as store:
            model = register_model(store, self._annotator)
            saving = Saving(store, model.network_id, model.labelling_id)
            processor_s, began_s = sum(os.times()[:4]), time.perf_counter()
            told = [one.result for one in annotate_media(self._annotator, refs, saving=saving, is_refreshed=True)]
            seconds = time.perf_counter() - began_s
            spent = {"seconds": seconds, "processor_seconds": sum(os.times()[:4]) - processor_s}
        failed = sum(one.status == "failed" for one in told)
        names = sum(len(one.labels) for one in told)
        frames = sum(one.frames_sampled or 0 for one in told)
        found = sum(one.faces or 0 for one in told)
        return {**spent, "clips": len(told), "failed": failed, "frames": frames, "faces": found, "names": names}


def annotate(
    clips: list[str], times: int = 1, options: dict[str, Any] | None = None, decoders: int | None = None
) -> Work:
    """Annotate clips: decode, detect, track, embed, name, write rows."""
    from annotator.decoding import PipelineParams  # noqa: PLC0415 - as above

    params = None if decoders is None else PipelineParams(decoders=decoders)
    annotating = Annotating(params=params, **(options or {}))

    def run() -> dict[str, Any]:
        found = annotating.run(clips, times=times)
        cores = len(os.sched_getaffinity(0))
        return {**found, "busy": found["processor_seconds"] / found["seconds"] / cores}

    return run


def annotate_watched(clips: list[str], options: dict[str, Any] | None = None, *, every_s: float = 0.1) -> Work:
    """Annotate clips and watch the memory of the processes."""
    annotating = Annotating(**(options or {}))

    def run() -> dict[str, Any]:
        with watched(os.getpid(), every_s=every_s) as seen:
            found = annotating.run(clips)
        return {
            **found,
            "peak_mb": seen.peak_mb,
            "memory": seen.thinned(),
        }

    return run


def annotate_in_processes(clips: list[str], processes: int) -> Work:
    """Share the clips among processes, each with its part of the threads; starting them does not count."""
    threads = max(1, THREADS // processes)
    parts = [clips[number::processes] for number in range(processes)]
    words = [sys.executable, "-m", "benchmarks.speed.our_side", "annotate"]
    children = [
        subprocess.Popen(
            [*words, json.dumps({"clips": part, "options": {"threads": threads}})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    for child in children:
        child.stdout.readline()  # type: ignore[union-attr]

    def run() -> dict[str, Any]:
        with watched(os.getpid(), lambda _: sum(memory_mb(child.pid) for child in children)) as seen:
            began_s = time.perf_counter()
            for child in children:
                child.stdin.write("run\n")  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
            answers = [json.loads(child.stdout.readline()) for child in children]  # type: ignore[union-attr]
            seconds = time.perf_counter() - began_s
        spent = sum(answer["processor_seconds"] for answer in answers)
        return {"seconds": seconds, "processor_seconds": spent, "clips": len(clips), "peak_mb": seen.peak_mb}

    return run


def identify(tracks: int, prototypes: int, held: int | None = None) -> Work:
    """Name tracks of five faces against a gallery of made-up people, a third of them being shown.

    Memory is that of the whole process, gallery and all ``held`` tracks included, of which ``tracks`` are named.
    """
    from benchmarks.speed.galleries import evidence, identifier  # noqa: PLC0415 - as above

    named_by = identifier(prototypes)
    stack = evidence(named_by, held or tracks, faces=FACES_OF_TRACK)
    part = next(stack.parts(tracks))

    def run() -> dict[str, Any]:
        with watched(os.getpid(), resident_mb, every_s=0.02) as seen:
            named = named_by.named([part])
        return {"tracks": tracks, "held": len(stack), "named": len(named), "peak_mb": seen.peak_mb}

    return run


def peak(frames: str, min_face_px: int) -> Work:
    """Detect and embed, count what the networks compute, and set it against the machine's measured peak."""
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - as above
    from annotator.recognition.alignment import align_faces  # noqa: PLC0415 - as above
    from annotator.recognition.embedding import FaceEmbedder  # noqa: PLC0415 - as above

    engine = CountingEngine(our_engine())
    detector = MtcnnDetector(engine, params=DetectionParams(min_face_px=min_face_px))
    embedder = FaceEmbedder(engine, precision="bf16")
    images = frames_of(frames)

    def run() -> dict[str, Any]:
        peaks = {precision: peak_gflop_per_s(precision, THREADS) for precision in sorted(engine.precisions)}
        engine.forget()
        began_s = time.perf_counter()
        found = detector.detect(images)
        detect_s = time.perf_counter() - began_s
        crops = np.concatenate([align_faces(i, f.landmarks_xy)[0] for i, f in zip(images, found, strict=True)])
        began_s = time.perf_counter()
        embedder.embed(crops)
        embed_s = time.perf_counter() - began_s
        gflop = engine.gflop()
        ideal_s = {name: sum(work / peaks[precision] for precision, work in by.items()) for name, by in gflop.items()}
        detect_ideal_s = sum(seconds for name, seconds in ideal_s.items() if name != "sface")
        return {
            "seconds": detect_s + embed_s,
            "share": sum(ideal_s.values()) / (detect_s + embed_s),
            "detect_share": detect_ideal_s / detect_s,
            "embed_share": ideal_s.get("sface", 0.0) / embed_s,
            "peak_gflop_per_s": peaks,
            "gflop": gflop,
        }

    return run


WORKS: Final = {
    "detect": detect,
    "detect_clips": detect_clips,
    "embed": embed,
    "annotate": annotate,
    "annotate_watched": annotate_watched,
    "annotate_in_processes": annotate_in_processes,
    "identify": identify,
    "peak": peak,
}

if __name__ == "__main__":
    serve(WORKS)
