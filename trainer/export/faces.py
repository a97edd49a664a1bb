"""The faces that a bundle is made and calibrated with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from annotator.errors import ConfigError
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.crops import ALIGNED, FaceCrop, resized
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import FaceFinder, find_faces, picture_files, read_picture
from annotator.types import F32, I64, U8
from trainer.augmentation import Augmentation
from trainer.dataset.cutting import read_crop_params
from trainer.fitting.input import Crops, list_crops
from trainer.fitting.places import fitted_crop
from trainer.workdir import Experiment

MAX_FACES: Final = 2000
"""Photographs, and strangers, that a bundle is calibrated with at most: they are in memory at once, 0.3 GB of 224
pixels, and are embedded ten times."""

_CHUNK: Final = 64
"""Crops in memory at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Faces of people who are nobody of the labels.

    Attributes:
        faces: u8 (S, side, side, 3), RGB, cut for the embedder.
        paths: their pictures.

    """

    faces: U8
    paths: tuple[Path, ...]


def crop_of(places: Experiment, *, is_head: bool) -> FaceCrop:
    """Return how faces must be cut for a fitted network.

    Args:
        places: the experiment.
        is_head: whether the network is a head over SFace.

    Raises:
        ConfigError: it is not known, no crop that a head over SFace can have been fitted to, or not how the crops are
            cut by now.

    """
    fitted = fitted_crop(places)
    now = read_crop_params(places.crop_file) if places.crop_file.is_file() else None
    if fitted is not None and now is not None and fitted != now:
        raise ConfigError(
            f"crops are cut as «{now.kind}» of {now.side_px} pixels with a margin of {now.margin:g} by now, and the "
            f"network was fitted to «{fitted.kind}» of {fitted.side_px} with {fitted.margin:g}: fit it again, or "
            "prepare as before"
        )
    crop = fitted or now or (ALIGNED if is_head else None)  # a head can have been fitted to no others
    if crop is None:
        raise ConfigError(
            "nothing says how the crops were cut that the network was fitted to: run "
            f"`trainer fit {places.name} --fresh`, which notes it"
        )
    if not is_head:
        return crop
    if not crop.is_as_clips_give:
        raise ConfigError(
            "a head over SFace needs aligned crops without a margin, as clips give them: run "
            f"`trainer prepare {places.name} --crop aligned`, and fit it again"
        )
    return ALIGNED


def crops_of(folder: Path, people: Sequence[str], crop: FaceCrop) -> Crops:
    """List the crops of one side of an experiment, of the side that they are cut to."""
    return list_crops(folder, people, side_px=crop.side_px, augmentation=Augmentation())


def read_faces(crops: Crops, indices: Sequence[int]) -> U8:
    """Read crops, u8 (n, side, side, 3), RGB."""
    empty = np.zeros((0, crops.side_px, crops.side_px, 3), np.uint8)
    return np.stack([crops.read_u8(index, None) for index in indices]) if len(indices) else empty


def spread(count: int) -> list[int]:
    """Return the indices of so many faces, or of ``MAX_FACES`` of them, evenly spread.

    >>> spread(3)
    [0, 1, 2]
    >>> len(spread(10_000)), spread(4000)[:3]
    (2000, [0, 2, 4])

    """
    step = max(count / MAX_FACES, 1.0)
    return [int(place * step) for place in range(min(count, MAX_FACES))]


def embed_all(crops: Crops, embedder: FaceEmbedder) -> F32:
    """Embed crops, f32 (N, D), unit norm."""
    chunks = [range(start, min(start + _CHUNK, len(crops))) for start in range(0, len(crops), _CHUNK)]
    parts = [embedder.embed(read_faces(crops, chunk)) for chunk in chunks]
    return np.concatenate([np.zeros((0, embedder.embedding_size), np.float32), *parts])


def read_strangers(folder: Path | None, crop: FaceCrop, *, detector: Callable[[], FaceFinder]) -> Strangers:
    """Read pictures of strangers, each of another person.

    Pictures of 112 x 112 pixels count as aligned already where the network takes aligned faces. Of others the largest
    clear face is cut out; those without one are left out.

    Args:
        folder: of the pictures; None for none.
        crop: how faces are cut.
        detector: makes what finds faces, if it is needed.

    Raises:
        ConfigError: there is no such folder, or no face in it.
        UndecodableMediaError: a file is no picture.

    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}: --strangers names one with a picture for each stranger")
    finder: FaceFinder | None = None
    faces: list[U8] = []
    paths: list[Path] = []
    pictures = picture_files(folder) if folder is not None else []
    for path in (pictures[index] for index in spread(len(pictures))):
        picture = read_picture(path)
        if picture.shape[:2] == (FACE_SIDE_PX, FACE_SIDE_PX) and crop.is_as_clips_give:
            faces.append(resized(picture, crop.side_px))
            paths.append(path)
            continue
        finder = finder or detector()
        found = find_faces(picture, detector=finder, crop=crop)
        if found:
            faces.append(found[0].crop)
            paths.append(path)
    if folder is not None and not faces:
        raise ConfigError(f"no picture in {folder} shows a clear face: give others, or leave --strangers out")
    empty = np.zeros((0, crop.side_px, crop.side_px, 3), np.uint8)
    return Strangers(np.stack(faces) if faces else empty, tuple(paths))


def mean_of(embeddings: F32, person: I64, people: int) -> F32:
    """Return everybody's mean embedding, f32 (P, E), unit norm.

    Raises:
        ConfigError: somebody has no embedding.

    """
    totals = np.zeros((people, embeddings.shape[1]))
    np.add.at(totals, person, embeddings.astype(np.float64))
    norms = np.linalg.norm(totals, axis=1, keepdims=True)
    if not (norms > 0).all():
        raise ConfigError("somebody who was fitted has no crops to train on any more: fit the network again")
    return np.asarray(totals / norms, np.float32)
