"""Measure what a face that `annotator annotate --redact` has hidden still gives away.

    python benchmarks/redaction.py                       # ../shared/data/people, two minutes
    python benchmarks/redaction.py PEOPLE --people 400

Two photographs of each of some people, aligned, are hidden as on a clip, and whoever wants to know who it is has a
photograph of everybody and hides that in the same way: the best that can be done without learning from hidden faces.
How often is the person's own the nearest one, by the colours of the cells and by the annotator's own network?
"""

import argparse
from pathlib import Path

import numpy as np

from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.render.redaction import ENLARGED, FaceHider
from annotator.runtime import create_engine
from annotator.settings import load_settings
from annotator.types import U8, FaceTrack, TrackEvidence

ROOT = Path(__file__).resolve().parents[1]


def hidden(crop: U8) -> U8:
    """Return an aligned crop as it is hidden: the box is as large as lets the enlarged one fill the crop."""
    side = crop.shape[0]
    beside = side * (1 - 1 / ENLARGED) / 2
    one, nothing = np.zeros(1, np.int64), np.zeros((0, 1), np.float16)
    track = FaceTrack(
        track_no=0,
        shot_no=0,
        frame_index=one,
        pts_ms=one,
        from_ms=one,
        shown_ms=one + 1,
        boxes_xyxy=np.array([[beside, beside, side - beside, side - beside]], np.float32),
        scores=np.ones(1, np.float32),
        quality=np.ones(1, np.float32),
        evidence=TrackEvidence(nothing, np.zeros(0, np.float16), np.zeros(0, np.float16)),
        best_faces=np.zeros((0, 112, 112, 3), np.uint8),
    )
    return FaceHider([track], ()).hide(crop, 0)


def found(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of rows of the first whose nearest row of the second, by cosine, is of the same place."""
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (first, second)]
    return float(((unit[0] @ unit[1].T).argmax(axis=1) == np.arange(len(first))).mean())


def cells_of(pictures: np.ndarray) -> np.ndarray:
    """Return pictures as rows of small pictures, of which brightness and contrast are taken away."""
    rows = pictures[:, 4::8, 4::8].reshape(len(pictures), -1).astype(np.float64)
    return rows - rows.mean(axis=1, keepdims=True)


def main() -> None:
    """Print how often people are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people_folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "people")
    parser.add_argument("--people", type=int, default=400)
    arguments = parser.parse_args()
    folders = people_folders(arguments.people_folder / "gallery")
    chosen = [files[:2] for one in folders if len(files := picture_files(one)) > 1][: arguments.people]
    pictures = [read_aligned([files[side] for files in chosen]) for side in range(2)]
    covered = [np.stack([hidden(crop) for crop in one]) for one in pictures]
    engine = create_engine("cpu", threads=None, cache_dir=load_settings().cache_dir / "networks")
    embedder = FaceEmbedder(engine, precision="f32")
    print(f"{len(chosen)} people; by chance {1 / len(chosen):.2%} are found")
    print(f"not hidden, by the network: {found(*(embedder.embed(one) for one in pictures)):.1%}")
    print(f"hidden, by the network:     {found(*(embedder.embed(one) for one in covered)):.1%}")
    print(f"hidden, by the cells:       {found(*(cells_of(one) for one in covered)):.1%}")


if __name__ == "__main__":
    main()
