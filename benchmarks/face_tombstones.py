"""Measure what a tombstone of a face could do, and what it would give away: why takedown keeps names only.

    python benchmarks/face_tombstones.py                       # ../shared/data/people, a minute
    python benchmarks/face_tombstones.py PEOPLE --people 400

A tombstone of a face would be the signs of some random projections of its embedding (a sketch), by a salt that lies
beside it. Of PEOPLE/gallery, some people have two photographs sketched and two others shown later:

- refused: share of people who are recognised when others of their photographs are enrolled,
- wrongly refused: share of other people who are refused, against one sketch; the limit is set to one in a thousand on
  one half of the people, and both shares are measured on the other half,
- given away: whoever has sketch and salt makes an embedding of them (the sum of the projections with their signs) and
  compares it with everybody's other photographs: how often the nearest one is the person's own.
"""

import argparse
from pathlib import Path

import numpy as np

from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.runtime import create_engine
from annotator.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = 4  # of each person: two are sketched, two are shown later
BITS = (16, 32, 64, 128, 256)
WRONG = 0.001
SALTS = 5


def embed_people(folder: Path, people: int) -> np.ndarray:
    """Return the means of two photographs, twice for each person, f64 (P, 2, D), unit norm."""
    engine = create_engine("cpu", threads=None, cache_dir=load_settings().cache_dir / "networks")
    embedder = FaceEmbedder(engine, precision="f32")
    chosen = [files for one in people_folders(folder) if len(files := picture_files(one)) >= PHOTOGRAPHS][:people]
    faces = np.stack([embedder.embed(read_aligned(files[:PHOTOGRAPHS])) for files in chosen]).astype(np.float64)
    means = faces.reshape(len(chosen), 2, 2, -1).mean(axis=2)
    return means / np.linalg.norm(means, axis=2, keepdims=True)


def measure(faces: np.ndarray, bits: int, *, salt: int) -> tuple[float, float, float]:
    """Return the shares refused, wrongly refused and given away, for one salt."""
    projections = np.random.default_rng(salt).normal(size=(faces.shape[2], bits))
    sketches = faces @ projections > 0
    half = len(faces) // 2
    apart = (sketches[:, None, 0] != sketches[None, :, 1]).sum(axis=2)
    own = np.eye(len(faces), dtype=bool)
    fitted, tested = apart[:half, :half], apart[half:, half:]
    limit = int(np.quantile(fitted[~own[:half, :half]], WRONG, method="lower"))
    while (fitted[~own[:half, :half]] <= limit).mean() > WRONG:
        limit -= 1
    refused = float((np.diag(tested) <= limit).mean())
    wrongly = float((tested[~own[half:, half:]] <= limit).mean())
    made_again = (2.0 * sketches[:, 0] - 1.0) @ projections.T
    given_away = float(((made_again @ faces[:, 1].T).argmax(axis=1) == np.arange(len(faces))).mean())
    return refused, wrongly, given_away


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people_folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "people")
    parser.add_argument("--people", type=int, default=400)
    arguments = parser.parse_args()
    faces = embed_people(arguments.people_folder / "gallery", arguments.people)
    nearest = (faces[:, 0] @ faces[:, 1].T).argmax(axis=1) == np.arange(len(faces))
    print(f"{len(faces)} people; of whole embeddings the nearest one is the person's own in {nearest.mean():.1%}")
    print("bits  refused  wrongly refused  given away")
    for bits in BITS:
        shares = np.mean([measure(faces, bits, salt=salt) for salt in range(SALTS)], axis=0)
        print(f"{bits:4}  {shares[0]:7.1%}  {shares[1]:15.2%}  {shares[2]:10.1%}")


if __name__ == "__main__":
    main()
