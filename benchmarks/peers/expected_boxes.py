"""Write the faces that facenet-pytorch 2.6.0 finds, for the detector to be compared with.

    benchmarks/peers/setup.sh
    benchmarks/peers/.venv/bin/python benchmarks/peers/expected_boxes.py ../shared/data tests/data/expected_boxes.json

No picture is written: names of files, checksums of pixels, boxes (as facenet-pytorch gives them), scores, landmarks.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
from frames import all_frames

SETTINGS = {"keep_all": True, "min_face_size": 20, "thresholds": [0.6, 0.7, 0.7], "factor": 0.709}


def main() -> None:
    """Detect and write."""
    data, output = Path(sys.argv[1]), Path(sys.argv[2])
    warnings.simplefilter("ignore")  # of facenet-pytorch about torch.load
    from facenet_pytorch import MTCNN  # noqa: PLC0415 - it warns on import

    torch.set_num_threads(2)
    detector = MTCNN(**SETTINGS)
    lines = []
    for frame in all_frames(data):
        boxes, scores, landmarks = detector.detect(frame.pixels, landmarks=True)
        faces = [] if boxes is None else zip(boxes, scores, landmarks, strict=True)
        entry = {
            "file": frame.name,
            "frame": frame.index,
            "pixels": frame.checksum,
            "faces": [
                [[round(float(v), 2) for v in box], round(float(score), 4), [round(float(v), 2) for v in marks.ravel()]]
                for box, score, marks in faces
            ],
        }
        lines.append(json.dumps(entry))
    text = '{"detector": "facenet-pytorch 2.6.0", "settings": ' + json.dumps(SETTINGS) + ',\n"frames": [\n'
    output.write_text(text + ",\n".join(lines) + "\n]}\n")
    print(f"{len(lines)} frames")


if __name__ == "__main__":
    main()
