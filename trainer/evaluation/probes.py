"""What is shown to a recogniser: faces whose person is known, and faces of strangers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from annotator.errors import ConfigError
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.photographs import people_folders, picture_files
from trainer.dataset.listing import read_samples
from trainer.labels import person_key
from trainer.workdir import Experiment


@dataclass(frozen=True, slots=True)
class Probe:
    """One face.

    Attributes:
        key: names it; the same in every evaluation of the same photograph.
        person: whom it shows; None for a stranger, who is nobody of the labels.
        family: photographs that look the same have one; of a stranger, the person.
        face_px: side in pixels of the photograph of the square that the face was cut from.
        path: of the crop.

    """

    key: str
    person: str | None
    family: str
    face_px: float
    path: Path


def experiment_probes(experiment: Experiment) -> list[Probe]:
    """Return the crops of the validation side, which nothing was fitted to and nothing is changed on.

    Raises:
        ConfigError: `trainer prepare` has not run, or the side is empty.

    """
    samples = read_samples(experiment, side="val")
    if not samples:
        raise ConfigError(
            f"{experiment.name} has no photographs to evaluate on: collect more of each person, or run `trainer "
            "prepare` with a larger --val-share"
        )
    return [
        Probe(sample.crop, person_key(sample.label), sample.family, sample.face_px, experiment.folder / sample.crop)
        for sample in samples
    ]


def folder_probes(folder: Path) -> list[Probe]:
    """Return aligned crops of 112 pixels from a folder with one folder for each person.

    Raises:
        ConfigError: there is no such folder, or it holds no picture.

    """
    probes = [
        Probe(f"{person.name}/{path.name}", person_key(person.name), _content(path), float(FACE_SIDE_PX), path)
        for person in people_folders(folder)
        for path in picture_files(person)
    ]
    if not probes:
        raise ConfigError(f"{folder} holds no photographs: it must hold a folder of aligned crops for each person")
    return probes


def stranger_probes(folder: Path) -> list[Probe]:
    """Return aligned crops of people who are nobody of the labels.

    Pictures that lie in the folder itself show a different person each; those in a folder within it one person.

    Raises:
        ConfigError: there is no such folder, or it holds no picture.

    """
    people = people_folders(folder)
    found = [(path.name, path.name, path) for path in picture_files(folder)]
    found += [(f"{person.name}/{path.name}", person.name, path) for person in people for path in picture_files(person)]
    if not found:
        raise ConfigError(f"{folder} holds no strangers: it must hold aligned crops, each of another person")
    return [Probe(f"stranger:{key}", None, f"stranger:{who}", float(FACE_SIDE_PX), path) for key, who, path in found]


def known_to(probes: Iterable[Probe], people: Sequence[str]) -> tuple[list[Probe], list[Probe]]:
    """Part probes into those of people whom a recogniser knows, and the others, who are strangers to it."""
    names = frozenset(people)
    parts: tuple[list[Probe], list[Probe]] = ([], [])
    for probe in probes:
        parts[probe.person not in names].append(probe)
    return parts


def _content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]
