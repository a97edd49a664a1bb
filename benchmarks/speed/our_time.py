"""Our works of which the names are told: with use of time, where one frame in so many is searched, and by precision."""

import os
from typing import Any

import numpy as np

from benchmarks.speed.serving import Work, serve
from benchmarks.speed.time_effect import MIN_IOU, SURE_SCORE


def _settings(**options: Any) -> Any:  # noqa: ANN401 - handed on
    from annotator.settings import load_settings  # noqa: PLC0415 - heavy

    return load_settings(env_file=None, device="cpu", threads=len(os.sched_getaffinity(0)), **options)


def names(clips: list[str], options: dict[str, Any]) -> Work:
    """Annotate clips with some settings, and tell who is named in which."""
    from annotator.build import build_annotator  # noqa: PLC0415 - heavy
    from annotator.media import expand_sources  # noqa: PLC0415 - heavy
    from annotator.types import MediaAnnotation  # noqa: PLC0415 - heavy

    annotator = build_annotator(_settings(**options))
    refs = expand_sources(clips)

    def run() -> dict[str, Any]:
        found = [one for one in annotator.annotate(refs) if isinstance(one, MediaAnnotation)]
        named = {
            f"{one.media.media_id.rpartition('/')[2]}: {label.identity.name}"
            for one in found
            for label in one.labels
            if label.identity is not None
        }
        return {"clips": len(found), "tracks": sum(len(one.tracks) for one in found), "names": sorted(named)}

    return run


def faces(clips: list[str], search_every: list[int]) -> Work:
    """Find the faces of all sampled frames, and compare them with those that a search of every frame finds."""
    from annotator.build import build_engine  # noqa: PLC0415 - heavy
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - heavy

    engine, runs = build_engine(_settings()), _runs(clips)
    found_by = {n: MtcnnDetector(engine, params=DetectionParams(search_every=n)) for n in {1, *search_every}}

    def run() -> dict[str, Any]:
        told = {}
        alone = found_by[1].detect_clips(runs)
        for every in search_every:
            detector = found_by[every]
            told[str(every)] = {"searched": _searched(runs, detector), **shares(alone, detector.detect_clips(runs))}
        return {"frames": sum(map(len, runs)), "every": told}

    return run


def _runs(clips: list[str]) -> list[Any]:
    """Return the sampled frames of clips, cut as a run of the pipeline cuts them."""
    from annotator.build import build_source  # noqa: PLC0415 - heavy
    from annotator.detecting import neighbouring_frames  # noqa: PLC0415 - heavy
    from annotator.media import expand_sources  # noqa: PLC0415 - heavy

    source, runs = build_source(_settings()), []
    for ref in expand_sources(clips):
        with source.open(ref) as frames:
            runs += [run for batch in frames for run in neighbouring_frames(batch)]
    return runs


def _searched(runs: list[Any], detector: Any) -> float:  # noqa: ANN401 - a class of a heavy module
    """Return which share of the frames is searched in full."""
    from annotator.detection.following import searched_frames  # noqa: PLC0415 - heavy

    every, max_change = detector.params.search_every, detector.params.max_change
    searched = sum(len(searched_frames(run, every=every, max_change=max_change)) for run in runs)
    return searched / sum(map(len, runs))


def shares(expected: list[Any], found: list[Any]) -> dict[str, float]:
    """Return which share of the expected faces is found, of the sure ones, and which share of those found is new."""
    from annotator.tracking import pairwise_iou  # noqa: PLC0415 - heavy

    recalled, sure, new = [], [], []
    for theirs, mine in (
        (a, b) for run, other in zip(expected, found, strict=True) for a, b in zip(run, other, strict=True)
    ):
        overlap = pairwise_iou(theirs.boxes_xyxy, mine.boxes_xyxy)
        recalled += (overlap.max(axis=1, initial=0) >= MIN_IOU).tolist()
        sure += (theirs.scores >= SURE_SCORE).tolist()
        new += (overlap.max(axis=0, initial=0) < MIN_IOU).tolist()
    is_sure = np.array(sure, bool)
    return {
        "faces": len(recalled),
        "sure_faces": int(is_sure.sum()),
        "found": float(np.mean(recalled)),
        "sure_found": float(np.array(recalled)[is_sure].mean()),
        "new": float(np.mean(new)),
    }


if __name__ == "__main__":
    serve({"names": names, "faces": faces})
