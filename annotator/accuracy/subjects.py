"""Whom clips are drawn of: people on photographs that the gallery does without, and strangers.

People and strangers are parted by their names, once and for all: thresholds and confidences may be fitted to those of
one part and are reported on the other, and nobody of one is ever drawn beside somebody of the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from annotator.errors import ConfigError, LocalDiskError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.collection import Collection
from annotator.recognition.labels import parse_label
from annotator.recognition.photographs import FaceEmbedding, people_folders, picture_files, read_aligned
from annotator.recognition.prototypes import MAX_SAMENESS, choose_pictures, mean_prototypes
from annotator.types import F32, I64, U8, Identity

Part = Literal["development", "test"]
PARTS: Final[tuple[Part, ...]] = ("development", "test")

STRANGERS: Final = "strangers"
"""What the source of photographs of strangers is called."""

_PHOTOGRAPHS_OF_MORE: Final = ((12, 3), (6, 2), (2, 1))
"""From so many photographs on, so many are held out."""

_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is on a photograph.

    Attributes:
        key: names the subject; strangers have one, too.
        person: the name in the gallery; None for a stranger.
        photographs: of the person in the gallery, without those that are drawn; 0 for a stranger.
        source: where the photograph comes from.
        part: of the people.

    """

    key: str
    person: str | None
    photographs: int = 0
    source: str = ""
    part: Part = "test"


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A gallery, and photographs that it has not seen.

    Attributes:
        bundle: whose prototypes are made without the photographs.
        photographs: aligned crops by their numbers.
        subjects: who is on each.

    """

    bundle: ModelBundle
    photographs: Mapping[int, Path]
    subjects: Mapping[int, Subject]

    def numbers(self, part: Part, *, sources: Sequence[str] | None = None) -> list[int]:
        """Return the photographs of the people of one part, ascending; of some sources or all."""
        return [
            number
            for number, subject in self.subjects.items()
            if subject.part == part and (sources is None or subject.source in sources)
        ]


def part_of(key: str) -> Part:
    """Return the part that somebody is of: half of all people each, by the name's digest, so that it never changes."""
    return PARTS[int(sha256(f"part of {key}".encode()).hexdigest()[:_DIGITS], 16) % 2]


def hold_out(
    pictures: Collection,
    strangers_dir: Path,
    *,
    others: Sequence[str],
    bundle: ModelBundle,
    embedder: FaceEmbedding,
    folder: Path,
) -> HeldOut:
    """Take some photographs out of a gallery.

    Of each person with two photographs or more one is held out, of more up to three. Photographs that repeat others or
    do not agree with the person's others are neither in the gallery nor drawn, as when a bundle is built. Photographs
    of other sources are all drawn, but for those that the gallery has, too: so many are wrong there as are. Their
    people are test people.

    Args:
        pictures: of all people, by name.
        strangers_dir: aligned crops, each of another person who is none of them.
        others: names of folders, each with a folder for each person, whose photographs are not of the gallery.
        bundle: whose calibration is taken over, and what else is no prototype.
        embedder: makes the prototypes; the bundle's.
        folder: where aligned crops are written to.

    Raises:
        ConfigError: an embedder of another network, or nobody who has two photographs.
        LocalDiskError: a crop cannot be written.

    """
    if bundle.embedder != embedder.network_id:
        raise ConfigError(
            f"{bundle.model} has embeddings of {bundle.embedder}, and photographs would be embedded by "
            f"{embedder.network_id}: use that network"
        )
    crops = np.stack(pictures.crops)
    embeddings = embedder.embed(crops)
    names, person = (np.asarray(found) for found in np.unique(pictures.people, return_inverse=True))
    source = np.array([path.parent.parent.name for path in pictures.paths])
    is_other = np.isin(source, list(others))
    mine = np.flatnonzero(~is_other)
    chosen, _ = choose_pictures(embeddings[mine], person[mine].astype(np.int64))
    kept = mine[chosen]
    drawn = _held_out(person[kept])
    if not drawn.any():
        raise ConfigError("nobody has two photographs that agree: nothing can be held out")
    rest = kept[~drawn]
    # Somebody whose photographs were all dropped is nobody's prototype.
    stay, place = np.unique(person[rest], return_inverse=True)
    prototypes, counts = mean_prototypes(embeddings[rest], place.astype(np.int64), len(stay))
    gallery = replace(
        bundle,
        identities=tuple(Identity(str(names[number])) for number in stay),
        prototypes=prototypes,
        photo_counts=counts.astype(np.int32),
        mean=prototypes.astype(np.float64).mean(axis=0).astype(np.float32),
    )
    photographs_of = dict(zip((str(names[number]) for number in stay), counts.tolist(), strict=True))
    numbers = [*kept[drawn].tolist(), *_unseen(embeddings, person, mine, np.flatnonzero(is_other))]
    of_others = {str(names[number]) for number in person[is_other]}
    subjects = {}
    for number in numbers:
        name = str(names[person[number]])
        count = photographs_of.get(name, 0)
        part = "test" if name in of_others else part_of(name)
        subjects[number] = Subject(name, name if count else None, count, str(source[number]), part)
    photographs = {number: _written(crops[number], folder / f"{number}.png") for number in numbers}
    for number, path in enumerate(picture_files(strangers_dir), start=len(crops)):
        key = f"stranger {path.name}"
        subjects[number] = Subject(key, None, 0, STRANGERS, part_of(key))
        photographs[number] = path
    read_aligned([photographs[number] for number in numbers[:1]])  # what was written can be read
    return HeldOut(gallery, photographs, subjects)


def photographed(people_dir: Path, strangers_dir: Path, *, bundle: ModelBundle) -> HeldOut:
    """Return photographs that a gallery has not seen, because somebody says so.

    Args:
        people_dir: a folder for each person, of aligned crops; whom the bundle does not know is a stranger.
        strangers_dir: aligned crops, each of another person whom it does not know.
        bundle: names them.

    Raises:
        ConfigError: a folder is missing or has no photographs, or one is no aligned crop.

    """
    if not people_folders(people_dir):
        raise ConfigError(f"{people_dir} must hold a folder of photographs for each person, and holds no folder")
    if not strangers_dir.is_dir() or not picture_files(strangers_dir):
        raise ConfigError(
            f"{strangers_dir} must be a folder of photographs, each of another person, without folders in it"
        )
    counts = dict(zip((one.name for one in bundle.identities), bundle.photo_counts.tolist(), strict=True))
    subjects, photographs = {}, {}
    shown = [
        (parse_label(folder.name).name, path) for folder in people_folders(people_dir) for path in picture_files(folder)
    ]
    for number, (name, path) in enumerate(shown):
        person = name if name in counts else None
        subjects[number] = Subject(name, person, counts.get(name, 0), people_dir.name, part_of(name))
        photographs[number] = path
    for number, path in enumerate(picture_files(strangers_dir), start=len(shown)):
        key = f"stranger {path.name}"
        subjects[number] = Subject(key, None, 0, STRANGERS, part_of(key))
        photographs[number] = path
    try:
        for path in photographs.values():
            read_aligned([path])
    except ConfigError as error:
        raise ConfigError(f"{error}; `trainer prepare` cuts aligned faces out of whole photographs") from error
    return HeldOut(bundle, photographs, subjects)


def _held_out(person: I64) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return bool (n,), which pictures are held out: of each person some, evenly spread."""
    is_out = np.zeros(len(person), np.bool_)
    for number in np.unique(person):
        its = np.flatnonzero(person == number)
        count = next((out for least, out in _PHOTOGRAPHS_OF_MORE if len(its) >= least), 0)
        is_out[its[[(2 * place + 1) * len(its) // (2 * count) for place in range(count)]]] = True
    return is_out


def _unseen(embeddings: F32, person: I64, mine: I64, others: I64) -> list[int]:
    """Return those of other sources that the gallery has not, too."""
    unseen = []
    for index in others.tolist():
        its = mine[person[mine] == person[index]]
        if not len(its) or float((embeddings[its] @ embeddings[index]).max()) < MAX_SAMENESS:
            unseen.append(index)
    return unseen


def _written(crop: U8, path: Path) -> Path:
    if not cv2.imwrite(str(path), np.ascontiguousarray(crop[:, :, ::-1])):
        raise LocalDiskError(f"{path} cannot be written: is the disk full?")
    return path
