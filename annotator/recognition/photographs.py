"""Read photographs of people: aligned crops, and whole photographs in which the right face must be found."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from annotator.errors import ConfigError, SourceNotFoundError, UndecodableMediaError
from annotator.recognition.alignment import FACE_SIDE_PX, alignment_matrices, face_sizes_px
from annotator.recognition.crops import ALIGNED, FaceCrop, cut_faces
from annotator.types import F32, U8, FaceDetections

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
PICTURE_FORMATS: Final = ("JPEG", "PNG", "WEBP")
"""What a photograph may be, as Pillow calls it. Of any other format Pillow would read much that strangers wrote, and of
EPS not even itself: it starts Ghostscript."""

MAX_PIXELS: Final = 50_000_000
"""Of one photograph; more is refused before it is decoded."""

MIN_FACE_SCORE: Final = 0.9
"""Detector score from which a face of a photograph counts. Photographs are clear: what scores less is rarely a face."""


class FaceFinder(Protocol):
    """Finds faces on pictures."""

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        """Return the faces of each RGB picture, same order and length out."""
        ...


class FaceEmbedding(Protocol):
    """Turns aligned faces into embeddings."""

    @property
    def network_id(self) -> str:
        """Names the embedding space."""
        ...

    @property
    def precision(self) -> str:
        """``"f32"`` or ``"bf16"``."""
        ...

    @property
    def crop(self) -> FaceCrop:
        """How faces are cut for it."""
        ...

    def embed(self, faces: U8) -> F32:
        """Return f32 (N, D), unit norm, for u8 (N, S, S, 3) RGB crops of its kind."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PhotographedFace:
    """A face cut out of a photograph.

    Attributes:
        crop: u8 (S, S, 3), RGB, as it was asked for.
        face_px: side in pixels of the photograph of the square that is aligned.
        score: the detector's.
        box_xyxy: where it is in the photograph.

    """

    crop: U8
    face_px: float
    score: float
    box_xyxy: tuple[float, float, float, float]


@contextmanager
def open_picture(source: Path | BytesIO) -> Iterator[Image.Image]:
    """Open a picture that may come from anywhere, undecoded: the one way in which photographs are opened.

    Raises:
        UnidentifiedImageError: it is none of :data:`PICTURE_FORMATS` by its content, whatever it is called.
        OSError: it cannot be read.

    """
    with Image.open(source, formats=PICTURE_FORMATS) as image:  # noqa: TID251
        yield image


def read_picture(path: Path) -> U8:
    """Read a picture upright, as u8 (H, W, 3) RGB.

    Raises:
        SourceNotFoundError: it is not there.
        UndecodableMediaError: it is no picture, is broken or too large.

    """
    return _read(path, name=str(path))


def decode_picture(content: bytes, *, name: str) -> U8:
    """Read a picture from its bytes, upright, as u8 (H, W, 3) RGB; errors call it by a name.

    Raises:
        UndecodableMediaError: it is no picture, is broken or too large.

    """
    return _read(BytesIO(content), name=name)


def _read(source: Path | BytesIO, *, name: str) -> U8:
    try:
        with open_picture(source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UndecodableMediaError(f"{name} has more than {MAX_PIXELS} pixels: make it smaller")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"There is no photograph {name}; check the path.") from error
    except UnidentifiedImageError as error:
        raise UndecodableMediaError(f"{name} is no JPEG, PNG or WebP by its content: save it as one") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UndecodableMediaError(f"{name} cannot be read as a photograph: {error}") from error


def find_faces(picture: U8, *, detector: FaceFinder, crop: FaceCrop = ALIGNED) -> list[PhotographedFace]:
    """Return the clear faces of a photograph, largest first, cut out as ``crop`` says."""
    (found,) = detector.detect([picture])
    crops = cut_faces(picture, found.boxes_xyxy, found.landmarks_xy, crop)
    sizes_px = face_sizes_px(alignment_matrices(found.landmarks_xy))
    faces = [
        PhotographedFace(cut, float(size), float(score), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        for cut, size, score, box in zip(crops, sizes_px, found.scores, found.boxes_xyxy, strict=True)
        if score >= MIN_FACE_SCORE
    ]
    return sorted(faces, key=lambda face: -face.face_px)


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)


def people_folders(folder: Path) -> list[Path]:
    """Return the folders of a folder of people, sorted by name.

    Raises:
        ConfigError: there is no such folder.

    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}: it must hold one folder for each person")
    return sorted(path for path in folder.iterdir() if path.is_dir())


def read_aligned(paths: Sequence[Path]) -> U8:
    """Read aligned crops, u8 (N, 112, 112, 3) RGB.

    Raises:
        ConfigError: a picture is not 112 x 112.
        UndecodableMediaError: a file is no picture.

    """
    crops = np.zeros((len(paths), FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)
    for index, path in enumerate(paths):
        picture = read_picture(path)
        if picture.shape != crops.shape[1:]:
            raise ConfigError(f"{path} is no aligned crop of 112 x 112 pixels: give its folder as whole photographs")
        crops[index] = picture
    return crops


def choose_faces(photographs: Sequence[Sequence[PhotographedFace]], *, like: U8, embedder: FaceEmbedding) -> list[int]:
    """Choose the person's face on each photograph of one person.

    Where a photograph has one face, it is that one. Where it has several, it is the one nearest to the person's known
    crops and single faces; where there are none of these either, the largest.

    Args:
        photographs: the faces of each photograph, largest first; none may be empty.
        like: u8 (N, 112, 112, 3), other crops of the person; N may be 0.
        embedder: tells which faces are alike.

    Returns:
        The index of the face on each photograph.

    """
    known = [*like, *(faces[0].crop for faces in photographs if len(faces) == 1)]
    if not known:
        return [0] * len(photographs)
    reference = embedder.embed(np.stack(known)).mean(axis=0)
    return [
        int(np.argmax(embedder.embed(np.stack([face.crop for face in faces])) @ reference)) if len(faces) > 1 else 0
        for faces in photographs
    ]


def read_people_table(path: Path | None) -> Mapping[str, Mapping[str, str]]:
    """Read a table of people with the columns ``folder``, ``name`` and ``sources``, by folder."""
    if path is None:
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["folder"]: row for row in csv.DictReader(file)}


def data_digest(paths: Sequence[Path]) -> str:
    """Return a sha256 over pictures: their folders', their own names and their bytes."""
    digest = sha256()
    for path in paths:
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()
