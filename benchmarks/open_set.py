"""Measure how well the starter model names people whose pictures it was not built from.

    python benchmarks/open_set.py                # ../shared/data/people
    python benchmarks/open_set.py PEOPLE --model FOLDER

- glint24: aligned pictures of 24 celebrities from another source, made as small and as damaged as faces in clips are;
- strangers: the share of people outside the gallery who get a name (they also served to set the thresholds);
- sports5: whole press photographs of five athletes, faces found by the project's detector; the others on them count as
  strangers only if they get a name of the five, since they are not known.

Figures of left-out people of the gallery's own sources, by face size, stand in the bundle's manifest and card.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from annotator.detection import MtcnnDetector
from annotator.quality import face_quality
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY, align_faces
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.degradation import Degradation, degrade_faces
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.gallery import Gallery
from annotator.recognition.photographs import people_folders, picture_files, read_aligned, read_picture
from annotator.runtime import create_engine
from annotator.starter import STARTER_BUNDLE
from annotator.types import U8, TrackEvidence, TrackLabel

SIZES_PX = (112, 64, 48, 32, 24)
VARIANTS = 2
ROOT = Path(__file__).resolve().parents[1]


def tracks_of(faces: U8, face_px: int, embedder: FaceEmbedder) -> list[TrackEvidence]:
    """Return a made-up track of each face."""
    ones = np.ones(len(faces), np.float32)
    landmarks_xy = np.repeat(ARCFACE_TEMPLATE_XY[None], len(faces), axis=0)
    embeddings, qualities = [], []
    for seed in range(100, 100 + VARIANTS):
        degraded = degrade_faces(faces, degradation=Degradation(face_px), seed=seed)
        embeddings.append(embedder.embed(degraded).astype(np.float16))
        qualities.append(face_quality(degraded, face_px=ones * face_px, landmarks_xy=landmarks_xy, scores=ones))
    size = np.full(VARIANTS, face_px, np.float16)
    return [
        TrackEvidence(np.stack(vectors), size, np.array(quality, np.float16))
        for vectors, quality in zip(zip(*embeddings, strict=True), zip(*qualities, strict=True), strict=True)
    ]


def identifiers(bundle: ModelBundle) -> dict[float, Identifier]:
    """Return one identifier for each of the bundle's rates, without the gate for poor faces, which would hide some."""
    open_gate = replace(bundle.calibration, min_face_px=0.0, sharp_below_px=0.0)
    gallery = Gallery.from_bundle(bundle)
    return {rate: Identifier(gallery, calibration=open_gate.at_rate(rate)) for rate in open_gate.rates}


def shares(labels: Sequence[TrackLabel], names: Sequence[str | None]) -> tuple[float, float]:
    """Return the shares of tracks with the right name and with a wrong one, in per cent."""
    given = [label.identity.name if label.identity else None for label in labels]
    right = sum(one is not None and one == name for one, name in zip(given, names, strict=True))
    wrong = sum(one is not None and one != name for one, name in zip(given, names, strict=True))
    return 100 * right / len(names), 100 * wrong / len(names)


def by_size(bundle: ModelBundle, faces: U8, names: Sequence[str | None], embedder: FaceEmbedder) -> None:
    """Print right and wrong names by face size and rate."""
    trials = identifiers(bundle)
    print("face      " + "  ".join(f"FPIR {rate:.1%}: right  wrong" for rate in trials))
    for face_px in SIZES_PX:
        tracks = tracks_of(faces, face_px, embedder)
        cells = [shares(identifier.identify(tracks), names) for identifier in trials.values()]
        print(f"{face_px:3d} px    " + "  ".join(f"          {right:6.1f} {wrong:6.1f}" for right, wrong in cells))


def name_of(folder: Path, bundle: ModelBundle) -> str:
    """Return the gallery's name of a folder's person."""
    name = folder.name.replace("_", " ")
    known = {person.name.replace(".", ""): person.name for person in bundle.identities}
    return known.get(name, name)


def photographs(bundle: ModelBundle, root: Path, embedder: FaceEmbedder, detector: MtcnnDetector) -> None:
    """Print how many whole photographs get their person's name, and how many another of the folders' names."""
    trials = identifiers(bundle)
    folders = people_folders(root)
    everybody = {name_of(folder, bundle) for folder in folders}
    right, other, count = dict.fromkeys(trials, 0), dict.fromkeys(trials, 0), 0
    for folder in folders:
        for path in picture_files(folder):
            count += 1
            picture = read_picture(path)
            (found,) = detector.detect([picture])
            crops, face_px = align_faces(picture, found.landmarks_xy)
            quality = face_quality(crops, face_px=face_px, landmarks_xy=found.landmarks_xy, scores=found.scores)
            vectors = embedder.embed(crops).astype(np.float16)
            tracks = [
                TrackEvidence(
                    vectors[index : index + 1],
                    face_px[index : index + 1].astype(np.float16),
                    quality[index : index + 1].astype(np.float16),
                )
                for index in range(len(crops))
            ]
            for rate, identifier in trials.items():
                given = {label.identity.name for label in identifier.identify(tracks) if label.identity}
                right[rate] += name_of(folder, bundle) in given
                other[rate] += bool(given & everybody - {name_of(folder, bundle)})
    for rate in trials:
        print(f"FPIR {rate:.1%}: named {right[rate]} of {count} photographs, {other[rate]} with another of the five")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", nargs="?", type=Path, default=ROOT / ".." / "shared" / "data" / "people")
    parser.add_argument("--model", type=Path, default=STARTER_BUNDLE)
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "annotator-open-set")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.model)
    engine = create_engine("cpu", threads=None, cache_dir=arguments.cache)
    embedder = FaceEmbedder(engine)
    rate = bundle.calibration.max_false_positive_rate
    print(f"{bundle.model}: {len(bundle.identities)} people, used at FPIR {rate:.1%}")

    folders = people_folders(arguments.people / "glint24")
    files = [(path, name_of(folder, bundle)) for folder in folders for path in picture_files(folder)]
    print(f"\nglint24: {len(files)} pictures of {len(folders)} people, per cent")
    by_size(bundle, read_aligned([path for path, _ in files]), [name for _, name in files], embedder)

    strangers = picture_files(arguments.people / "strangers")
    print(f"\nstrangers: {len(strangers)} people, per cent")
    by_size(bundle, read_aligned(strangers), [None] * len(strangers), embedder)

    print("\nsports5: whole photographs")
    photographs(bundle, arguments.people / "sports5", embedder, MtcnnDetector(engine))


if __name__ == "__main__":
    main()
