"""What a user would write without this project: facenet-pytorch and SFace on every face, in a plain loop.

Runs in the environment that ``benchmarks/peers/setup.sh`` makes. Prints one JSON line: clips, frames, faces, seconds;
the seconds count decoding, detection, alignment and embedding, not the imports and not the loading of the networks.
"""

import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from facenet_pytorch import MTCNN
from PIL import Image, ImageSequence

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)


def decoded(path: Path) -> list[np.ndarray]:
    """Return all frames as RGB arrays."""
    if path.suffix == ".gif":
        with Image.open(path) as clip:
            return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(clip)]
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        got, frame = capture.read()
        if not got:
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def main() -> None:
    """Annotate every clip of a folder and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--min-face-px", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sface", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    mtcnn = MTCNN(keep_all=True, min_face_size=options.min_face_px, device="cpu")
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    sface = onnxruntime.InferenceSession(str(options.sface), session_options, providers=["CPUExecutionProvider"])
    name = sface.get_inputs()[0].name
    clips = frames = faces = 0
    start = time.perf_counter()
    for path in sorted(options.clips.iterdir()):
        images = decoded(path)
        picked = np.unique(np.linspace(0, len(images) - 1, options.frames).round().astype(int))
        clips += 1
        for index in picked:
            frames += 1
            boxes, _, landmarks = mtcnn.detect(images[index], landmarks=True)
            if boxes is None:
                continue
            for points in landmarks:
                matrix, _ = cv2.estimateAffinePartial2D(points.astype(np.float32), TEMPLATE, method=cv2.LMEDS)
                if matrix is None:
                    continue
                crop = cv2.warpAffine(images[index], matrix, (112, 112))
                sface.run(None, {name: crop.transpose(2, 0, 1)[None].astype(np.float32)})
                faces += 1
    seconds = time.perf_counter() - start
    print(json.dumps({"clips": clips, "frames": frames, "faces": faces, "seconds": seconds}))


if __name__ == "__main__":
    main()
