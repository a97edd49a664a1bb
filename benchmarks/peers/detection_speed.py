"""Measure how many frames a second the detector takes, beside facenet-pytorch on the same frames, turn by turn.

    benchmarks/peers/setup.sh
    .venv/bin/python benchmarks/peers/detection_speed.py ../shared/data/clips/short_hamilton_clip.mp4

Both get batches of 32 frames of 480 x 270 and two threads; of several turns the fastest counts. Processor seconds are
printed too: they tell more than the clock where the machine has other things to do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FRAMES = 64
BATCH = 32
SIZE_WH = (480, 270)
TURNS = 3
MIN_FACES_PX = (20, 48)


def main() -> None:
    """Measure both, or only one side where asked by the other process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", choices=["ours", "theirs"])
    parser.add_argument("--min-face-px", type=int)
    arguments = parser.parse_args()
    if arguments.side:
        make = our_detector if arguments.side == "ours" else their_detector
        print(json.dumps(measured(make(arguments.min_face_px, arguments.threads), read_frames(arguments.clip))))
        return
    for min_face_px in MIN_FACES_PX:
        turns: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
        for _ in range(TURNS):
            for side, results in turns.items():
                results.append(in_a_process(side, min_face_px, arguments))
        for side, results in turns.items():
            best = max(results, key=lambda result: result["frames_per_s"])
            least = min(result["cpu_ms_per_frame"] for result in results)
            print(
                f"min face {min_face_px} px, {side}: {best['frames_per_s']:.1f} frames/s, "
                f"{least:.1f} processor ms/frame, {best['faces']} faces"
            )


def in_a_process(side: str, min_face_px: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one side in a process of its own environment."""
    python = sys.executable if side == "ours" else str(Path(__file__).with_name(".venv") / "bin" / "python")
    command = [python, "-W", "ignore", __file__, str(arguments.clip), "--side", side]
    command += ["--min-face-px", str(min_face_px), "--threads", str(arguments.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return result


def our_detector(min_face_px: int, threads: int) -> Callable[[list[Any]], int]:
    """Return a function from frames to the number of faces found."""
    from annotator.detection import DetectionParams, MtcnnDetector  # noqa: PLC0415 - one environment has it
    from annotator.runtime import create_engine  # noqa: PLC0415 - as above

    cache = Path(tempfile.gettempdir()) / "annotator-benchmark-networks"
    engine = create_engine("cpu", threads=threads, cache_dir=cache)
    detector = MtcnnDetector(engine, params=DetectionParams(min_face_px=min_face_px))
    return lambda frames: sum(len(faces) for faces in detector.detect(frames))


def their_detector(min_face_px: int, threads: int) -> Callable[[list[Any]], int]:
    """Return a function from frames to the number of faces found."""
    import torch  # noqa: PLC0415 - one environment has it
    from facenet_pytorch import MTCNN  # noqa: PLC0415 - as above

    torch.set_num_threads(threads)
    detector = MTCNN(keep_all=True, min_face_size=min_face_px)

    def detect(frames: list[Any]) -> int:
        boxes, _ = detector.detect(np.stack(frames))
        return sum(0 if found is None else len(found) for found in boxes)

    return detect


def read_frames(clip: Path) -> list[Any]:
    """Return frames spread over the clip, u8 RGB."""
    film = cv2.VideoCapture(str(clip))
    count = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, count - 1, FRAMES).astype(int).tolist())
    frames = []
    for number in range(count):
        found, pixels = film.read()
        if found and number in wanted:
            small = cv2.resize(pixels, SIZE_WH, interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(small[..., ::-1]))
    film.release()
    return frames


def measured(detect: Callable[[list[Any]], int], frames: list[Any]) -> dict[str, float]:
    """Run once to warm up and once by the clock."""
    batches = [frames[start : start + BATCH] for start in range(0, len(frames), BATCH)]
    detect(batches[0])
    clock, processor = time.perf_counter(), time.process_time()
    faces = sum(detect(batch) for batch in batches)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return {"frames_per_s": len(frames) / clock, "cpu_ms_per_frame": 1000 * processor / len(frames), "faces": faces}


if __name__ == "__main__":
    main()
