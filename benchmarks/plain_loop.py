"""What a user would write without this project: facenet-pytorch and SFace on every face, in a plain loop.

Runs in the environment that ``benchmarks/peers/setup.sh`` makes; ``benchmarks/speed`` measures beside it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from facenet_pytorch import MTCNN
from PIL import Image, ImageSequence

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)


def decoded(path: Path) -> list[Any]:
    """Return all frames as RGB arrays."""
    if path.suffix == ".gif":
        with Image.open(path) as clip:
            return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)]
    return list(film_frames(path, every_ms=0))


def film_frames(path: Path, *, every_ms: int) -> Iterator[Any]:
    """Yield a film's frames as RGB arrays, one every so many milliseconds; the others are not converted."""
    film = cv2.VideoCapture(str(path))
    step = max(1, round(every_ms * film.get(cv2.CAP_PROP_FPS) / 1000))
    number = 0
    while film.grab():
        if number % step == 0:
            yield cv2.cvtColor(film.retrieve()[1], cv2.COLOR_BGR2RGB)
        number += 1
    film.release()


class Loop:
    """The networks, and the loop over the frames of a clip.

    Args:
        sface: an ONNX file of SFace.
        min_face_px: side of the smallest face.
        threads: of each library.

    """

    def __init__(self, sface: Path, *, min_face_px: int, threads: int) -> None:
        """Load the networks."""
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._mtcnn = MTCNN(keep_all=True, min_face_size=min_face_px, device="cpu")
        self._sface = onnxruntime.InferenceSession(str(sface), options, providers=["CPUExecutionProvider"])
        self._input = self._sface.get_inputs()[0].name

    def annotate(self, path: Path, *, frames: int = 20, every_ms: int | None = None) -> tuple[int, int]:
        """Annotate a clip.

        Args:
            path: of the clip.
            frames: evenly spaced, that are looked at.
            every_ms: instead: one frame every so many milliseconds of a film.

        Returns:
            How many frames and faces there were.

        """
        if every_ms is not None:
            faces = [self._faces(image) for image in film_frames(path, every_ms=every_ms)]
            return len(faces), sum(faces)
        images = decoded(path)
        picked = np.unique(np.linspace(0, len(images) - 1, frames).round().astype(int))
        return len(picked), sum(self._faces(images[index]) for index in picked)

    def _faces(self, image: Any) -> int:  # noqa: ANN401 - an array
        boxes, _, landmarks = self._mtcnn.detect(image, landmarks=True)
        faces = 0
        for points in () if boxes is None else landmarks:
            matrix, _ = cv2.estimateAffinePartial2D(points.astype(np.float32), TEMPLATE, method=cv2.LMEDS)
            if matrix is None:
                continue
            crop = cv2.warpAffine(image, matrix, (112, 112))
            self._sface.run(None, {self._input: crop.transpose(2, 0, 1)[None].astype(np.float32)})
            faces += 1
        return faces
