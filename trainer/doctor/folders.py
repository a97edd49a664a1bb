"""The people of an experiment as their photographs show them: a folder each, with or without a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.recognition.prototypes import choose_pictures
from annotator.types import F32, Identity
from trainer.dataset.findings import Content, FoundFace
from trainer.dataset.planning import Portrait, portraits
from trainer.labels import Label, LabelTable, person_key

MIN_MEDIAN_COSINE: Final = 0.12
"""Median cosine of a face to the person's others under which it is somebody else's. It finds strangers that come in
numbers and so agree with the mean; faces in profile and under caps of the right person have 0.2 and more."""

REPEATED: Final = "repeated"


@dataclass(frozen=True, slots=True, eq=False)
class PersonFolder:
    """One folder of the raw dataset.

    Attributes:
        name: of the folder.
        label: that ``labels.csv`` has for it, or None.
        portraits: its photographs that can be read, by path.
        shown: of them, those with a face.
        embeddings: f32 (N, D), of the chosen face of each of ``shown``.
        is_right: of each of ``shown``, whether its face agrees with the others.
        mean: f32 (D,), of the right ones, unit norm; zeros where there are none.

    """

    name: str
    label: Label | None
    portraits: tuple[Portrait, ...]
    shown: tuple[Portrait, ...]
    embeddings: F32
    is_right: tuple[bool, ...]
    mean: F32

    def agreement(self) -> float | None:
        """Return the mean cosine of the right faces to their mean; None for fewer than two."""
        right = self.embeddings[np.array(self.is_right, np.bool_)]
        return float((right @ self.mean).mean()) if len(right) > 1 else None


def chosen_face(portrait: Portrait) -> FoundFace:
    """Return the face of a photograph that is taken for the person.

    Raises:
        ValueError: it shows none.

    """
    if portrait.choice.face is None:
        raise ValueError(f"{portrait.path} shows no face")
    return portrait.content.faces[portrait.choice.face]


def person_folders(names: Sequence[str], contents: Mapping[str, Content], labels: LabelTable) -> list[PersonFolder]:
    """Return all people, sorted by folder.

    Args:
        names: of all folders.
        contents: what was found, by path.
        labels: of the experiment.

    """
    stand_ins = {name: Label(name, Identity(person_key(name)), number, 0) for number, name in enumerate(names)}
    by_folder: dict[str, list[Portrait]] = {name: [] for name in names}
    for portrait in portraits(tuple(contents), contents=contents, labels=stand_ins):
        by_folder[portrait.label.text].append(portrait)
    return [_person(name, labels.of_folder(name), mine) for name, mine in by_folder.items()]


def _person(name: str, label: Label | None, mine: Sequence[Portrait]) -> PersonFolder:
    shown = tuple(portrait for portrait in mine if portrait.choice.face is not None)
    size = len(chosen_face(shown[0]).embedding) if shown else 0
    embeddings = np.stack([chosen_face(one).embedding for one in shown]) if shown else np.zeros((0, size), np.float32)
    is_right = _right(embeddings, shown)
    total = embeddings[np.array(is_right, np.bool_)].astype(np.float64).sum(axis=0)
    mean = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
    return PersonFolder(name, label, tuple(mine), shown, embeddings, is_right, mean)


def _right(embeddings: F32, shown: Sequence[Portrait]) -> tuple[bool, ...]:
    """Say of each face whether it agrees with the others."""
    _, dropped = choose_pictures(embeddings, np.zeros(len(embeddings), np.int64))
    wrong = {one.picture for one in dropped if one.why != REPEATED}
    kept = [number for number in range(len(embeddings)) if number not in wrong]
    if len(kept) > 2:
        alike = embeddings[kept] @ embeddings[kept].T
        np.fill_diagonal(alike, np.nan)
        medians = np.nanmedian(alike, axis=1)
        wrong |= {number for number, median in zip(kept, medians, strict=True) if median < MIN_MEDIAN_COSINE}
    return tuple(number not in wrong and one.choice.is_sure for number, one in enumerate(shown))
