"""Measure what turned faces are worth: how often they get their person's name, and how often strangers get one.

    python benchmarks/turned_faces.py            # ../shared/data

CFP has frontal and profile photographs of each person. Those of development people (no figure of docs/accuracy.md is
told of them) are looked at as frames are: the face is found and aligned by the project's detector, and says how far it
is turned. Each photograph is named by galleries whose prototype of the person does without it, and by galleries without
the person, to which it is a stranger's.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from annotator.accuracy.judging import FOLDS, fold_of
from annotator.accuracy.subjects import part_of
from annotator.build import build_detector, build_engine
from annotator.quality import face_quality, frontality
from annotator.recognition.alignment import FACE_SIDE_PX, align_faces
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.gallery import Gallery
from annotator.recognition.photographs import FaceFinder, picture_files, read_aligned
from annotator.recognition.prototypes import mean_prototypes
from annotator.settings import load_settings
from annotator.starter import load_starter
from annotator.types import F32, U8, TrackEvidence

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
LEAST_PHOTOGRAPHS: Final = 8
"""Of a person: fewer are not CFP's, which are ten."""

FRONTALITIES: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bounds of the rows; 1 is a frontal face, 0 a profile."""

SURE: Final = 0.9
LEAST_CONFIDENCES: Final = (0.0, SURE)
_MARGIN_PX: Final = 56  # around a crop, so that a detector sees more than a mask
_NEAR_PX: Final = 40.0  # by which the face that is found may lie beside the crop's middle
_CENTRE_PX: Final = (_MARGIN_PX + 56.0, _MARGIN_PX + 64.0)


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """Photographs of people.

    Attributes:
        people: the name of each.
        crops: u8 (N, 112, 112, 3), RGB, as they are in the gallery.
        found: u8 (N, 112, 112, 3), faces as the project's detector finds and aligns them; black where it finds none.
        frontality: f32 (N,); NaN where none is found.
        quality: f32 (N,), likewise.

    """

    people: Sequence[str]
    crops: U8
    found: U8
    frontality: F32
    quality: F32


@dataclass(frozen=True, slots=True)
class Answer:
    """Who a photograph shows, as a gallery says.

    Attributes:
        photograph: its number.
        is_known: whether the gallery knows the person.
        name: that is given; None for «unknown».
        confidence: in it.

    """

    photograph: int
    is_known: bool
    name: str | None
    confidence: float


def read(root: Path, bundle: ModelBundle, detector: FaceFinder) -> Photographs:
    """Read the photographs of development people who have enough, and find their faces."""
    people, crops = [], []
    for identity, count in zip(bundle.identities, bundle.photo_counts.tolist(), strict=True):
        folder = root / identity.name.replace(" ", "_").replace(".", "")
        if count < LEAST_PHOTOGRAPHS or part_of(identity.name) != "development" or not folder.is_dir():
            continue
        mine = read_aligned(picture_files(folder))
        people += [identity.name] * len(mine)
        crops.append(mine)
    stacked = np.concatenate(crops)
    faces = [_found(crop, detector) for crop in stacked]
    return Photographs(
        people,
        stacked,
        np.stack([face for face, _, _ in faces]),
        np.array([turned for _, turned, _ in faces], np.float32),
        np.array([quality for _, _, quality in faces], np.float32),
    )


def _found(crop: U8, detector: FaceFinder) -> tuple[U8, float, float]:
    """Return the face in a crop's middle, aligned anew, with its frontality and quality."""
    side_px = _MARGIN_PX
    around = cv2.copyMakeBorder(crop, side_px, side_px, side_px, side_px, cv2.BORDER_REPLICATE)
    picture = np.asarray(around, np.uint8)
    (faces,) = detector.detect([picture])
    middles = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
    distances = np.linalg.norm(middles - np.array(_CENTRE_PX), axis=1)
    if not len(distances) or distances.min() > _NEAR_PX:
        return np.zeros((FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8), np.nan, np.nan
    nearest = int(distances.argmin())
    landmarks_xy = faces.landmarks_xy[nearest : nearest + 1]
    aligned, face_px = align_faces(picture, landmarks_xy)
    quality = face_quality(
        aligned, face_px=face_px, landmarks_xy=landmarks_xy, scores=faces.scores[nearest : nearest + 1]
    )
    return aligned[0], float(frontality(landmarks_xy)[0]), float(quality[0])


def answers(bundle: ModelBundle, photographs: Photographs, embedder: FaceEmbedder) -> Iterator[Answer]:
    """Name each photograph with a face that is found: once as a known person's, and once as a stranger's."""
    kept, seen = embedder.embed(photographs.crops), embedder.embed(photographs.found)
    tracks = [_track(embedding, quality) for embedding, quality in zip(seen, photographs.quality, strict=True)]
    people = np.array(photographs.people)
    is_found = ~np.isnan(photographs.frontality)
    place = {identity.name: number for number, identity in enumerate(bundle.identities)}
    for fold in range(FOLDS):
        prototypes, is_asked = bundle.prototypes.copy(), np.zeros(len(people), np.bool_)
        for name in dict.fromkeys(photographs.people):
            mine = np.flatnonzero(people == name)
            is_asked[mine[fold::FOLDS]] = True
            rest = kept[mine[~is_asked[mine]]]
            prototypes[place[name]] = mean_prototypes(rest, np.zeros(len(rest), np.int64), 1)[0][0]
        without = replace(bundle, prototypes=prototypes)
        yield from _named(without, tracks, np.flatnonzero(is_asked & is_found).tolist(), is_known=True)
        stay = np.flatnonzero([fold_of(one.name) != fold for one in bundle.identities])
        is_out = np.array([fold_of(name) == fold for name in photographs.people])
        yield from _named(bundle.as_if_only(stay), tracks, np.flatnonzero(is_out & is_found).tolist(), is_known=False)


def _track(embedding: F32, quality: np.float32) -> TrackEvidence:
    one = (np.full(1, number, np.float16) for number in (FACE_SIDE_PX, quality))
    return TrackEvidence(embedding[None].astype(np.float16), *one)


def _named(
    bundle: ModelBundle, tracks: Sequence[TrackEvidence], numbers: Sequence[int], *, is_known: bool
) -> Iterator[Answer]:
    labels = Identifier(Gallery.from_bundle(bundle)).identify([tracks[number] for number in numbers])
    for number, label in zip(numbers, labels, strict=True):
        yield Answer(number, is_known, label.identity.name if label.identity else None, label.confidence or 0.0)


def row(photographs: Photographs, told: Sequence[Answer], bounds: tuple[float, float]) -> str:
    """Return what is told of the photographs whose frontality is between two bounds."""
    low, high = bounds
    is_last = high == FRONTALITIES[-1]
    inside = (photographs.frontality >= low) & ((photographs.frontality < high) | is_last)
    mine = [one for one in told if inside[one.photograph]]
    known, strangers = [one for one in mine if one.is_known], [one for one in mine if not one.is_known]
    cells = []
    for least in LEAST_CONFIDENCES:
        named = [one for one in known if one.name is not None and one.confidence >= least]
        right = sum(one.name == photographs.people[one.photograph] for one in named)
        wrong = sum(one.name is not None and one.confidence >= least for one in strangers)
        cells += [(right, len(known)), (len(named) - right, len(known)), (wrong, len(strangers))]
    shares = " | ".join(f"{100 * hits / of:.1f}" if of else "" for hits, of in cells)
    return f"| {low:g} to {high:g} | {len(known):,} | {shares} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="photographs (default: %(default)s)")
    root = parser.parse_args().data / "people" / "gallery"
    settings = load_settings(env_file=None, device="cpu")
    engine, bundle = build_engine(settings), load_starter()
    photographs = read(root, bundle, build_detector(settings, engine))
    told = list(answers(bundle, photographs, FaceEmbedder(engine, precision="f32")))
    print(f"{bundle.model}: {len(photographs.people):,} photographs of {len(set(photographs.people))} people;", end=" ")
    print(f"on {int(np.isnan(photographs.frontality).sum()):,} no face is found. Per cent:\n")
    heads = ["right", "another's name", "strangers named"]
    sure = [f"{head}, {SURE:.0%} sure" for head in heads]
    print("| " + " | ".join(["frontality", "faces", *heads, *sure]) + " |")
    print("|---" * (2 + len(heads) + len(sure)) + "|")
    for bounds in pairwise(FRONTALITIES):
        print(row(photographs, told, bounds))


if __name__ == "__main__":
    main()
