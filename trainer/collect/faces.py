"""Which face of a picture is the person: those that agree with each other, strictly.

Pictures that show one face are the witnesses: two that agree, or the one that Wikidata shows. What disagrees with the
others is none. Then the face of each picture with several that is nearest to them is taken, if it is near enough and
clearly nearer than the next.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from annotator.errors import UndecodableMediaError
from annotator.recognition.collection import MIN_PHOTOGRAPHED_FACE_PX
from annotator.recognition.enrollment import MIN_SHARE_OF_LARGEST
from annotator.recognition.photographs import (
    FaceEmbedding,
    FaceFinder,
    PhotographedFace,
    find_faces,
    open_picture,
    read_picture,
)
from annotator.recognition.prototypes import choose_pictures
from annotator.types import F32

MIN_LIKENESS: Final = 0.363
"""Cosine to the mean of the witnesses from which a face of several is the person's: SFace's own threshold for «the same
person» (OpenCV Zoo, face_recognition_sface)."""

MIN_LEAD: Final = 0.10
"""By which it must be nearer than the next face of the same picture."""

MAX_FACES: Final = 12
"""A picture with more is one of a crowd."""

MAX_PICTURE_PIXELS: Final = 20_000_000
"""960 pixels wide and twenty times as high would be no photograph; more is a bomb."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face of a picture.

    Attributes:
        box_xyxy: pixels of the picture, whole numbers.
        face_px: side of its aligned square in pixels of the picture.
        embedding: f32 (D,), unit norm.

    """

    box_xyxy: tuple[int, int, int, int]
    face_px: float
    embedding: F32


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What became of one picture.

    Attributes:
        face: the person's; None where the picture is refused.
        agreement: its cosine to the mean of the person's other faces; None where there is no other.
        why: it is refused; None where it is not.

    """

    face: FoundFace | None
    agreement: float | None
    why: str | None


def look_at(path: Path, *, detector: FaceFinder, embedder: FaceEmbedding) -> list[FoundFace]:
    """Return the clear faces of a picture, largest first; people in the background are left out.

    Raises:
        UndecodableMediaError: it is no JPEG, PNG or WebP, is broken, or has too many pixels.

    """
    check_picture(path)
    faces = [face for face in find_faces(read_picture(path), detector=detector) if face.face_px > 0]
    near = [face for face in faces if face.face_px >= MIN_SHARE_OF_LARGEST * faces[0].face_px]
    return _embedded([face for face in near if face.face_px >= MIN_PHOTOGRAPHED_FACE_PX][: MAX_FACES + 1], embedder)


def check_picture(path: Path) -> str:
    """Return a picture's format, from its head and without decoding it.

    Raises:
        UndecodableMediaError: it is no JPEG, PNG or WebP, or has too many pixels.

    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # counted below, by a lower limit
            with open_picture(path) as image:
                width_px, height_px, name = image.width, image.height, image.format or ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UndecodableMediaError("it is no JPEG, PNG or WebP, or is broken") from error
    if width_px * height_px > MAX_PICTURE_PIXELS:
        raise UndecodableMediaError(f"it has {width_px} x {height_px} pixels, more than a photograph of this width")
    return name


def choose(pictures: Mapping[str, Sequence[FoundFace]], *, first: str | None = None) -> Mapping[str, Choice]:
    """Choose the person's face on each picture.

    Args:
        pictures: the faces of each picture.
        first: the picture that Wikidata shows of the person, if it is among them. Where it is a witness, what agrees
            with it counts, even if more pictures agree with each other on somebody else.

    Returns:
        What became of each.

    """
    choices: dict[str, Choice] = {}
    for name, faces in pictures.items():
        if not faces:
            choices[name] = _refused("no clear face")
        elif len(faces) > MAX_FACES:
            choices[name] = _refused(f"more than {MAX_FACES} faces: a crowd")
    open_names = [name for name in pictures if name not in choices]
    single = [name for name in open_names if len(pictures[name]) == 1]
    if not single:
        return choices | {name: _refused("several faces, and no picture of the person alone") for name in open_names}
    witnesses = _witnesses({name: pictures[name][0].embedding for name in single}, first)
    if not witnesses or (len(witnesses) == 1 and first not in witnesses):
        why = "too few pictures agree on who it is"
        return choices | {name: _refused(why) for name in open_names}
    reference = np.mean([pictures[name][0].embedding for name in witnesses], axis=0)
    taken: dict[str, FoundFace] = {}
    for name in open_names:
        face, reason = _nearest(pictures[name], reference)
        if face is None:
            choices[name] = _refused(reason or "")
        else:
            taken[name] = face
    return choices | _agreeing(taken)


def _embedded(faces: Sequence[PhotographedFace], embedder: FaceEmbedding) -> list[FoundFace]:
    if not faces:
        return []
    embeddings = embedder.embed(np.stack([face.crop for face in faces]))
    return [
        FoundFace((_whole(face.box_xyxy)), face.face_px, embedding)
        for face, embedding in zip(faces, embeddings, strict=True)
    ]


def _whole(box_xyxy: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(value) for value in box_xyxy)
    return left, top, right, bottom


def _witnesses(single: Mapping[str, F32], first: str | None) -> set[str]:
    """Return the pictures of one face that agree with each other."""
    names = list(single)
    embeddings = np.stack([single[name] for name in names])
    if first is not None and first in single:
        names = [name for name in names if float(np.dot(single[name], single[first])) >= MIN_LIKENESS]
        embeddings = np.stack([single[name] for name in names])
    kept, dropped = choose_pictures(embeddings, np.zeros(len(names), np.int64))
    repeated = {names[one.picture] for one in dropped if one.why == "repeated"}
    return {names[index] for index in kept} | repeated


def _nearest(faces: Sequence[FoundFace], reference: F32) -> tuple[FoundFace | None, str | None]:
    """Return the face that is the person's, or why none is."""
    unit = reference / max(float(np.linalg.norm(reference)), 1e-12)
    cosines = np.array([float(face.embedding @ unit) for face in faces])
    order = np.argsort(-cosines)
    if cosines[order[0]] < MIN_LIKENESS:
        return None, "unlike the person's other pictures"
    if len(order) > 1 and cosines[order[0]] - cosines[order[1]] < MIN_LEAD:
        return None, "two faces are alike the person's other pictures"
    return faces[order[0]], None


def _agreeing(taken: Mapping[str, FoundFace]) -> dict[str, Choice]:
    """Drop what is repeated or disagrees among the faces taken."""
    names = list(taken)
    if not names:
        return {}
    embeddings = np.stack([taken[name].embedding for name in names])
    kept, dropped = choose_pictures(embeddings, np.zeros(len(names), np.int64))
    words = {"repeated": "the same picture again", "unlike the others": "unlike the person's other pictures"}
    choices = {names[one.picture]: _refused(words.get(one.why, one.why)) for one in dropped}
    for index in kept:
        others = np.delete(embeddings[kept], list(kept).index(index), axis=0)
        agreement = float(embeddings[index] @ _unit_mean(others)) if len(others) else None
        choices[names[index]] = Choice(taken[names[index]], agreement, None)
    return choices


def _unit_mean(embeddings: F32) -> F32:
    mean = embeddings.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _refused(why: str) -> Choice:
    return Choice(None, None, why)
