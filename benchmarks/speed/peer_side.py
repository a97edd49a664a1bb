"""What a user would pick instead; runs in the environment that ``benchmarks/peers/setup.sh`` makes."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks.speed.inputs import batches_of, by_size, faces, frames_of
from benchmarks.speed.memory import resident_mb, watched
from benchmarks.speed.serving import Work, serve

BATCHES: Final = (1, 4, 10)
"""Frames in a batch; the quickest is taken, found out while it warms up."""

FACE_BATCHES: Final = (1, 8, 32)
DEFAULT_MIN_FACE_PX: Final = 20
THREADS: Final = len(os.sched_getaffinity(0))


def quickest(work: Callable[[int], dict[str, Any]], sizes: tuple[int, ...]) -> Work:
    """Return a work with the batch that is quickest for it; of each the second run counts."""
    seconds = {}
    for size in sizes:
        for _ in range(2):
            began_s = time.perf_counter()
            work(size)
            seconds[size] = time.perf_counter() - began_s
    best = min(seconds, key=lambda size: seconds[size])
    return lambda: {**work(best), "batch": best}


def facenet(frames: str, min_face_px: int, batches: tuple[int, ...] = BATCHES) -> Work:
    """facenet-pytorch, in batches of frames of one size."""
    mtcnn = _facenet(min_face_px)
    groups = by_size(frames_of(frames))

    def detect(size: int) -> dict[str, Any]:
        found = 0
        for group in groups:
            for batch in batches_of(group, size):
                boxes, _ = mtcnn.detect(np.stack(batch))
                found += sum(len(one) for one in boxes if one is not None)
        return {"frames": sum(map(len, groups)), "faces": found}

    return quickest(detect, tuple(batches))


def _facenet(min_face_px: int) -> Any:  # noqa: ANN401 - no types
    import torch  # noqa: PLC0415 - heavy, and not for every work
    from facenet_pytorch import MTCNN  # noqa: PLC0415 - as above

    torch.set_num_threads(THREADS)
    return MTCNN(keep_all=True, min_face_size=min_face_px, device="cpu")


def mtcnn_package(frames: str, min_face_px: int, batches: tuple[int, ...] = BATCHES) -> Work:
    """The package ``mtcnn`` on TensorFlow, with the same thresholds, in batches of frames of one size.

    The smallest face is its default, 20 px: told of another one, 1.0.0 finds no face at all.
    """
    if min_face_px != DEFAULT_MIN_FACE_PX:
        raise SystemExit(f"mtcnn is measured with faces from {DEFAULT_MIN_FACE_PX} px on only")
    import tensorflow as tf  # noqa: PLC0415 - heavy, and not for every work
    from mtcnn import MTCNN  # noqa: PLC0415 - as above

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    mtcnn = MTCNN(device="CPU:0")
    groups = by_size(frames_of(frames))

    def detect(size: int) -> dict[str, Any]:
        found = 0
        for group in groups:
            for batch in batches_of(group, size):
                boxes = mtcnn.detect_faces(list(batch), threshold_onet=0.7)
                found += sum(len(one or ()) for one in boxes)
        return {"frames": sum(map(len, groups)), "faces": found}

    return quickest(detect, tuple(batches))


def plain_loop(clips: list[str], sface: str, every_ms: int | None = None) -> Work:
    """The loop of ``benchmarks/plain_loop.py``."""
    from benchmarks.plain_loop import Loop  # noqa: PLC0415 - heavy, and not for every work

    loop = Loop(Path(sface), min_face_px=20, threads=THREADS)

    def run() -> dict[str, Any]:
        found = [loop.annotate(Path(clip), every_ms=every_ms) for clip in clips]
        return {"clips": len(clips), "frames": sum(one[0] for one in found), "faces": sum(one[1] for one in found)}

    return run


def giphy(clips: list[str]) -> Work:
    """The documented way of GIPHY's release, rebuilt; see ``giphy.py``."""
    from benchmarks.speed.giphy import GiphyWay  # noqa: PLC0415 - heavy, and not for every work

    way = GiphyWay(THREADS)

    def run() -> dict[str, Any]:
        found = [way.annotate(Path(clip)) for clip in clips]
        return {"clips": len(clips), "frames": sum(one[0] for one in found), "faces": sum(one[1] for one in found)}

    return run


def sface_onnxruntime(sface: str, frames: str, count: int) -> Work:
    """SFace in ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415 - not for every work

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(sface, options, providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    return _embedding(lambda batch: session.run(None, {name: batch})[0], frames, count)


def sface_opencv(sface: str, frames: str, count: int) -> Work:
    """SFace in OpenCV's module for networks."""
    cv2.setNumThreads(THREADS)
    network = cv2.dnn.readNetFromONNX(sface)

    def forward(batch: Any) -> Any:  # noqa: ANN401 - arrays
        network.setInput(batch)
        return network.forward()

    return _embedding(forward, frames, count)


def _embedding(forward: Callable[[Any], Any], frames: str, count: int) -> Work:
    crops = faces(frames, count)

    def embed(size: int) -> dict[str, Any]:
        for start in range(0, count, size):
            batch = crops[start : start + size].transpose(0, 3, 1, 2)
            forward(np.ascontiguousarray(batch, np.float32))
        return {"faces": count}

    return quickest(embed, FACE_BATCHES)


def product(tracks: int, prototypes: int, size: int = 128) -> Work:
    """All similarities in one piece, then the greatest of each row."""
    random = np.random.default_rng(0)
    probes = random.standard_normal((tracks, size), np.float32)
    gallery = random.standard_normal((prototypes, size), np.float32)

    def run() -> dict[str, Any]:
        before_mb = resident_mb(os.getpid())
        with watched(os.getpid(), resident_mb, every_s=0.02) as seen:
            best = (probes @ gallery.T).argmax(axis=1)
        return {"tracks": len(best), "peak_mb": seen.peak_mb - before_mb}

    return run


WORKS: Final = {
    "facenet": facenet,
    "mtcnn": mtcnn_package,
    "plain_loop": plain_loop,
    "giphy": giphy,
    "sface_onnxruntime": sface_onnxruntime,
    "sface_opencv": sface_opencv,
    "product": product,
}

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(WORKS)
