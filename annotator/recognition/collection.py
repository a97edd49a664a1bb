"""Collect the pictures of people that a bundle is built from."""

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from annotator.errors import ConfigError
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.labels import parse_label
from annotator.recognition.photographs import (
    FaceEmbedding,
    FaceFinder,
    PhotographedFace,
    choose_faces,
    find_faces,
    people_folders,
    picture_files,
    read_aligned,
    read_people_table,
    read_picture,
)
from annotator.types import U8, Identity

MIN_PHOTOGRAPHED_FACE_PX: Final = 40.0
"""Smaller faces of whole photographs are left aside: they are people in the background."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuildSources:
    """Where the pictures are.

    Attributes:
        gallery_dirs: folders with one folder of aligned 112 x 112 crops for each person.
        strangers_dir: aligned crops, each of another person who is in none of the other folders.
        known_dirs: folders with one folder of whole photographs for each person; faces are found by the detector.
        people_tables: CSV files with ``folder,name,sources``; a folder that none has is named after itself.
        known_sources: where the whole photographs came from.
        labels: a ``labels.csv`` whose Knowledge Graph ids are taken over where the name is the same (case aside), or
            None. Namesakes get the id too.
        excluded: a CSV file with ``picture,why`` of pictures found wrong by eye, or None.
        left_out: a CSV file with ``name,why`` of people whom the bundle must not know, or None.

    """

    gallery_dirs: tuple[Path, ...]
    strangers_dir: Path
    known_dirs: tuple[Path, ...] = ()
    people_tables: tuple[Path, ...] = ()
    known_sources: str = ""
    labels: Path | None = None
    excluded: Path | None = None
    left_out: Path | None = None


@dataclass(slots=True)
class Collection:
    """Everybody's pictures; people by name, each person's in the order of the sources.

    Attributes:
        crops: u8 (N, 112, 112, 3), aligned, RGB.
        paths: where each came from.
        people: the name of each.
        sources: where a person's pictures came from, by name.
        skipped: ``(folder/picture, why)`` of whole photographs without a clear face, and of excluded pictures.
        left_out: why people are left out who have pictures, by name.

    """

    crops: list[U8] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, crops: U8, paths: Sequence[Path], sources: str) -> None:
        """Add pictures of one person."""
        self.crops += list(crops)
        self.paths += paths
        self.people += [name] * len(paths)
        parts = [*self.sources.get(name, "").split(";"), *sources.split(";")]
        self.sources[name] = ";".join(dict.fromkeys(filter(None, parts)))

    def of(self, name: str) -> U8:
        """Return u8 (n, 112, 112, 3), the crops of one person so far."""
        mine = [crop for crop, person in zip(self.crops, self.people, strict=True) if person == name]
        return np.stack(mine) if mine else np.zeros((0, FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)

    def in_order(self) -> "Collection":
        """Return the same pictures, people sorted by name."""
        order = sorted(range(len(self.people)), key=lambda index: self.people[index])
        return Collection(
            crops=[self.crops[index] for index in order],
            paths=[self.paths[index] for index in order],
            people=[self.people[index] for index in order],
            sources=self.sources,
            skipped=self.skipped,
            left_out=self.left_out,
        )


def picture_name(path: Path) -> str:
    """Return a picture's folder and name."""
    return f"{path.parent.name}/{path.name}"


def collect_pictures(sources: BuildSources, *, embedder: FaceEmbedding, detector: FaceFinder) -> Collection:
    """Read all pictures of people.

    Raises:
        ConfigError: a folder or a list is missing, or a crop has another size.
        UndecodableMediaError: a file is no picture.

    """
    table = {folder: row for path in sources.people_tables for folder, row in read_people_table(path).items()}
    excluded = _read_reasons(sources.excluded, of="picture")
    unwanted = _read_reasons(sources.left_out, of="name")
    collection = Collection(skipped=sorted(excluded.items()))
    for folder in [folder for root in sources.gallery_dirs for folder in people_folders(root)]:
        row = table.get(folder.name, {})
        if _is_left_out(_name(folder, row), unwanted, collection):
            continue
        paths = [path for path in picture_files(folder) if picture_name(path) not in excluded]
        collection.add(_name(folder, row), read_aligned(paths), paths, row.get("sources", ""))
    for folder in [folder for root in sources.known_dirs for folder in people_folders(root)]:
        name = _name(folder, table.get(folder.name, {}))
        if _is_left_out(name, unwanted, collection):
            continue
        paths = [path for path in picture_files(folder) if picture_name(path) not in excluded]
        found, kept = _photographed(paths, detector=detector, collection=collection)
        choice = choose_faces(found, like=collection.of(name), embedder=embedder)
        crops = [faces[index].crop for faces, index in zip(found, choice, strict=True)]
        if crops:
            collection.add(name, np.stack(crops), kept, sources.known_sources)
    for name in sorted(unwanted.keys() - collection.left_out.keys()):
        _log.warning("nobody here is called %s, whom %s leaves out: is the name spelled so?", name, sources.left_out)
    _log.info("read %d pictures of %d people", len(collection.crops), len(collection.sources))
    return collection.in_order()


def identities_of(names: Sequence[str], labels: Path | None) -> tuple[Identity, ...]:
    """Return the people, with the Knowledge Graph ids of a ``labels.csv`` where it has their names."""
    ids: dict[str, str | None] = {}
    if labels is not None:
        with labels.open(encoding="utf-8", newline="") as file:
            listed = [parse_label(row[0]) for row in list(csv.reader(file))[1:]]
        ids = {person.name.casefold(): person.kg_mid for person in listed}
    return tuple(Identity(name, ids.get(name.casefold())) for name in names)


def _name(folder: Path, row: object) -> str:
    name = row.get("name") if isinstance(row, dict) else None
    return parse_label(str(name or folder.name)).name


def _is_left_out(name: str, unwanted: Mapping[str, str], collection: Collection) -> bool:
    """Say whether the bundle must not know somebody; note it, and log it once."""
    if name in unwanted and name not in collection.left_out:
        collection.left_out[name] = unwanted[name]
        _log.info("left out %s: %s", name, unwanted[name])
    return name in unwanted


def _read_reasons(path: Path | None, *, of: str) -> dict[str, str]:
    """Return the column ``why`` of a CSV file by another column."""
    if path is None:
        return {}
    if not path.is_file():
        raise ConfigError(f"there is no list of what is left out at {path}")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {of, "why"} <= set(rows.fieldnames or ()):
            raise ConfigError(f"{path} must have the columns {of} and why")
        return {row[of]: row["why"] for row in rows}


def _photographed(
    paths: Sequence[Path], *, detector: FaceFinder, collection: Collection
) -> tuple[list[list[PhotographedFace]], list[Path]]:
    """Find the faces of one person's whole photographs; those without a clear face are skipped."""
    found, kept = [], []
    for path in paths:
        faces = [
            face
            for face in find_faces(read_picture(path), detector=detector)
            if face.face_px >= MIN_PHOTOGRAPHED_FACE_PX
        ]
        if faces:
            found.append(faces)
            kept.append(path)
        else:
            collection.skipped.append((picture_name(path), "no clear face"))
    return found, kept
