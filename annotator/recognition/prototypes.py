"""From photographs to prototypes: which pictures to drop, and the mean of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.recognition.calibration import F64
from annotator.recognition.trial import LeftOut
from annotator.types import F32, I64

MIN_AGREEMENT: Final = 0.30
"""Cosine to the mean of the person's other pictures under which a picture is dropped: another person, or a profile or
blur that says nothing. Pictures of two different people agree like this once in a hundred."""

MAX_SAMENESS: Final = 0.98
"""Cosine from which two pictures of a person count as one and the same."""

_ALONE: Final = 2
"""Of so few pictures that disagree, none can be called the wrong one."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A picture, or all pictures of a person, that the prototypes do without.

    Attributes:
        picture: the index of the picture.
        why: ``"repeated"``, ``"unlike the others"`` or ``"two that disagree"``.

    """

    picture: int
    why: str


def choose_pictures(embeddings: F32, person: I64) -> tuple[I64, list[Dropped]]:
    """Drop repeated and wrong pictures.

    The picture that agrees least with the mean of its person's others goes first, then all are compared again. Where
    the last two disagree, both go: a mean of two people would be taken for either.

    Args:
        embeddings: f32 (N, D), unit norm.
        person: i64 (N,), whom each picture is said to show.

    Returns:
        i64 (n,), the pictures that stay, ascending; and those that do not.

    """
    kept: list[int] = []
    dropped: list[Dropped] = []
    for number in np.unique(person):
        mine = [int(index) for index in np.flatnonzero(person == number)]
        repeated = _repeated(embeddings, mine)
        dropped += [Dropped(int(index), "repeated") for index in repeated]
        mine = [index for index in mine if index not in repeated]
        while len(mine) > 1:
            agreement = _agreement(embeddings[mine].astype(np.float64))
            worst = int(agreement.argmin())
            if agreement[worst] >= MIN_AGREEMENT:
                break
            if len(mine) == _ALONE:
                dropped += [Dropped(int(index), "two that disagree") for index in mine]
                mine = []
            else:
                dropped.append(Dropped(int(mine.pop(worst)), "unlike the others"))
        kept += mine
    return np.array(sorted(kept), np.int64), dropped


def mean_prototypes(embeddings: F32, person: I64, people: int) -> tuple[F32, I64]:
    """Return f32 (P, D), everybody's mean embedding at unit length, and i64 (P,), the numbers of pictures."""
    totals = _totals(embeddings, person, people)
    return _unit(totals).astype(np.float32), np.bincount(person, minlength=people).astype(np.int64)


def leave_one_out(embeddings: F32, person: I64, people: int) -> tuple[I64, LeftOut]:
    """Leave one picture of everybody with two or more out of the prototypes.

    Returns:
        i64 (G,), the pictures left out, the middle one of each person; and the people without them.

    """
    totals = _totals(embeddings, person, people)
    counts = np.bincount(person, minlength=people)
    several = np.flatnonzero(counts > 1)
    pictures = np.array([np.flatnonzero(person == number)[counts[number] // 2] for number in several], np.int64)
    rest = totals[several] - embeddings[pictures].astype(np.float64) if len(several) else totals[:0]
    left_out = LeftOut(several.astype(np.int64), _unit(rest).astype(np.float32), (counts[several] - 1).astype(np.int64))
    return pictures, left_out


def _totals(embeddings: F32, person: I64, people: int) -> F64:
    totals = np.zeros((people, embeddings.shape[1]))
    np.add.at(totals, person, embeddings.astype(np.float64))
    return totals


def _agreement(embeddings: F64) -> F64:
    """Return (n,), each picture's cosine to the mean of the others."""
    others = _unit(embeddings.sum(axis=0) - embeddings)
    return np.asarray((embeddings * others).sum(axis=1), np.float64)


def _repeated(embeddings: F32, pictures: Sequence[int]) -> set[int]:
    """Return the pictures that repeat an earlier one of the same person."""
    alike = embeddings[list(pictures)] @ embeddings[list(pictures)].T >= MAX_SAMENESS
    return {pictures[later] for later in range(len(pictures)) if alike[later, :later].any()}


def _unit(vectors: F64) -> F64:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float64)
