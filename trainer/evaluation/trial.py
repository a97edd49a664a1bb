"""Shows probes to a recogniser and keeps what it says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

import numpy as np

from annotator.cli.output import progress
from annotator.quality import face_quality
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.recognition.degradation import Degradation, degrade_faces
from annotator.types import F32, U8
from trainer.evaluation.probes import Probe, known_to
from trainer.evaluation.recognisers import Answer, Faces, Recogniser
from trainer.fitting.input import read_crop

FOLDS: Final = 5
"""Parts of the people; each part is left out once, and its faces are then strangers'."""

MIN_PEOPLE_LEFT: Final = 2
"""A gallery that people are left out of must keep so many."""

_BATCH: Final = 128
"""Crops in memory at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said of one face.

    Attributes:
        key: of the probe, as the next three.
        person: whom it shows; None where that is nobody whom the recogniser knows.
        family: see :class:`~trainer.evaluation.probes.Probe`.
        face_px: side of the face on the photograph.
        answer: by everybody whom the recogniser knows.
        as_known: the same after the people of another fold were left out; None where nobody was.
        as_stranger: the same after the face's person was left out.

    """

    key: str
    person: str | None
    family: str
    face_px: float
    answer: Answer
    as_known: Answer | None = None
    as_stranger: Answer | None = None

    @property
    def is_right(self) -> bool:
        """Whether the first name is the right one, given or not."""
        return self.person is not None and self.answer.names[:1] == (self.person,)


@dataclass(frozen=True, slots=True)
class Trial:
    """What was said of all faces.

    Attributes:
        name: of the recogniser, as the next two.
        kind: see :class:`~trainer.evaluation.recognisers.Recogniser`.
        people: how many it knows.
        outcomes: of the photographs: people whom it knows and others, in the order of the probes.
        strangers: of the strangers of a folder of their own.
        by_size: what was said of the same faces, known people's and strangers', made as small as this, by side in
            pixels; strangers' last.

    """

    name: str
    kind: str
    people: int
    outcomes: tuple[Outcome, ...]
    strangers: tuple[Outcome, ...] = ()
    by_size: Mapping[int, tuple[Outcome, ...]] = field(default_factory=dict)

    @property
    def known(self) -> tuple[Outcome, ...]:
        """Outcomes of people whom the recogniser knows."""
        return tuple(one for one in self.outcomes if one.person is not None)

    @property
    def unknown(self) -> tuple[Outcome, ...]:
        """Outcomes of people whom it does not know: those of the strangers' folder, and of photographs of others."""
        return (*(one for one in self.outcomes if one.person is None), *self.strangers)


def run_trial(
    recogniser: Recogniser, probes: Sequence[Probe], strangers: Sequence[Probe] = (), *, sizes_px: Sequence[int] = ()
) -> Trial:
    """Show all probes.

    Args:
        recogniser: is asked.
        probes: of people, whom it may know or not.
        strangers: of nobody whom it knows.
        sizes_px: faces are also made as small as each of these, as clips show them; only crops of 112 pixels can be.

    Raises:
        InputError: a crop cannot be read.

    """
    known, others = known_to(probes, recogniser.people)
    shown = [*known, *others, *strangers]
    faces = look_at(recogniser, shown)
    answers = recogniser.recognise(faces)
    # A stranger's name that happens to be somebody's of the gallery would otherwise count as known.
    people: list[str | None] = [probe.person for probe in known] + [None] * (len(shown) - len(known))
    outcomes = [
        Outcome(probe.key, person, probe.family, probe.face_px, answer)
        for probe, person, answer in zip(shown, people, answers, strict=True)
    ]
    outcomes[: len(known)] = leave_people_out(recogniser, outcomes[: len(known)], faces)
    small = {}
    for size_px in sizes_px if recogniser.crop == ALIGNED else ():
        said = recogniser.recognise(look_at(recogniser, shown, made_px=size_px))
        small[size_px] = tuple(
            replace(one, face_px=float(size_px), answer=answer, as_known=None, as_stranger=None)
            for one, answer in zip(outcomes, said, strict=True)
        )
    count = len(known) + len(others)
    in_order = {probe.key: place for place, probe in enumerate(probes)}
    photographs = sorted(outcomes[:count], key=lambda one: in_order[one.key])
    return Trial(
        recogniser.name,
        recogniser.kind,
        len(recogniser.people),
        tuple(photographs),
        tuple(outcomes[count:]),
        small,
    )


def leave_people_out(recogniser: Recogniser, outcomes: Sequence[Outcome], faces: Faces) -> list[Outcome]:
    """Ask again with people left out of gallery, cohort and mean.

    In each of the rounds the people of one fold are strangers, and those of the next one are known: every face is a
    stranger's once and a known person's once, each time before a gallery of the same size.

    Args:
        recogniser: is asked.
        outcomes: of people whom it knows.
        faces: of the outcomes, in the same order; more may follow.

    Returns:
        The outcomes with both answers; without where too few people are known.

    """
    fold_of = folds_of([one.person or "" for one in outcomes])
    folds = sorted(set(fold_of.values()))
    known = set(recogniser.people)
    largest = max((sum(fold == one for fold in fold_of.values()) for one in folds), default=0)
    if len(folds) < 2 or len(known) - largest < MIN_PEOPLE_LEFT:
        return list(outcomes)
    asked = list(outcomes)
    for fold in folds:
        following = folds[(folds.index(fold) + 1) % len(folds)]
        reduced = recogniser.without({name for name, its in fold_of.items() if its == fold})
        for its, name in ((fold, "as_stranger"), (following, "as_known")):
            rows = np.array([row for row, one in enumerate(outcomes) if fold_of[one.person or ""] == its], np.int64)
            for row, answer in zip(rows, reduced.recognise(faces.taken(rows)), strict=True):
                asked[row] = replace(asked[row], **{name: answer})
    return asked


def folds_of(people: Sequence[str]) -> dict[str, int]:
    """Return the fold of each person: by the hash of the name, so that it is the same in every evaluation."""
    names = sorted(set(people), key=lambda name: sha256(name.encode()).digest())
    return {name: place % FOLDS for place, name in enumerate(names)}


def look_at(recogniser: Recogniser, probes: Sequence[Probe], *, made_px: int | None = None) -> Faces:
    """Read the crops of probes and make features of them.

    Args:
        recogniser: makes the features.
        probes: at least one.
        made_px: make the faces as small as this first, as a clip would show them; None leaves them as they are.

    Raises:
        InputError: a crop cannot be read.

    """
    parts: list[tuple[F32, F32]] = []
    with progress("looking at faces", total=len(probes)) as advance:
        for start in range(0, len(probes), _BATCH):
            batch = probes[start : start + _BATCH]
            crops = np.stack([read_crop(probe.path, recogniser.crop.side_px) for probe in batch])
            sizes = np.array([made_px or probe.face_px for probe in batch], np.float32)
            if made_px is not None:
                crops = degrade_faces(crops, degradation=Degradation(made_px), seed=start)
            parts.append((recogniser.features(crops), _quality(crops, sizes, recogniser.crop)))
            for _ in batch:
                advance()
    features, quality = (np.concatenate(column) for column in zip(*parts, strict=True))
    sizes = np.array([made_px or probe.face_px for probe in probes], np.float32)
    return Faces(features, sizes, quality)


def _quality(crops: U8, face_px: F32, crop: FaceCrop) -> F32:
    """Return the quality of crops as that of frontal, wholly visible faces: where their landmarks were is not known."""
    ones = np.ones(len(crops), np.float32)
    if crop != ALIGNED:
        return ones
    landmarks_xy = np.repeat(ARCFACE_TEMPLATE_XY[None], len(crops), axis=0)
    return face_quality(crops, face_px=face_px, landmarks_xy=landmarks_xy, scores=ones)
