"""Which face of a photograph is the person of its folder: the one that agrees with the person's other photographs.

Not simply the largest: on a photograph of a match, of a couple or of a crowd somebody else may stand nearer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.prototypes import MIN_AGREEMENT
from annotator.types import F32
from trainer.dataset.findings import FoundFace

ROUNDS: Final = 5
"""The mean and the choice settle after two or three."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choice:
    """The face of a person on one photograph.

    Attributes:
        face: number of the face on its photograph; None where it shows no clear face.
        agreement: cosine to the mean of the faces on the person's other photographs; None where there are no others.
        is_sure: False where the photograph shows several faces and none agrees with the others.

    """

    face: int | None
    agreement: float | None
    is_sure: bool


def choose_person(photographs: Sequence[Sequence[FoundFace]]) -> list[Choice]:
    """Choose the person's face on each photograph of one person.

    Each face is supported by the most similar face of every other photograph: who is on most photographs has most
    support. The first choice is the face with most support; it is then made anew by the similarity to the mean of the
    others' chosen faces, until it stays.

    Args:
        photographs: the faces of each, which may be none.

    Returns:
        One for each photograph, in order.

    """
    shown = [number for number, faces in enumerate(photographs) if faces]
    if not shown:
        return [Choice(None, None, is_sure=False) for _ in photographs]
    embeddings = np.stack([face.embedding for number in shown for face in photographs[number]])
    owner = np.repeat(np.arange(len(shown)), [len(photographs[number]) for number in shown])
    sizes_px = np.array([face.face_px for number in shown for face in photographs[number]])
    chosen = _best(_support(embeddings, owner), owner, sizes_px)
    for _ in range(ROUNDS):
        agreement = _agreement(embeddings, owner, chosen)
        better = _best(agreement, owner, sizes_px)
        if (better == chosen).all():
            break
        chosen = better
    choices = [Choice(None, None, is_sure=False)] * len(photographs)
    for place, number in enumerate(shown):
        faces, first = photographs[number], int(np.searchsorted(owner, place))
        likeness = float(agreement[chosen[place]]) if len(shown) > 1 else None
        is_sure = len(faces) == 1 or (likeness is not None and likeness >= MIN_AGREEMENT)
        choices[number] = Choice(int(chosen[place]) - first, likeness, is_sure)
    return choices


def _support(embeddings: F32, owner: NDArray[np.int64]) -> F64:
    """Return f64 (F,): how like each face the most similar faces of the other photographs are, on the mean."""
    alike = (embeddings @ embeddings.T).astype(np.float64)
    starts = np.searchsorted(owner, np.arange(owner[-1] + 1))
    best = np.maximum.reduceat(alike, starts, axis=1)
    best[np.arange(len(owner)), owner] = 0.0
    return np.asarray(best.sum(axis=1), np.float64)


def _agreement(embeddings: F32, owner: NDArray[np.int64], chosen: NDArray[np.int64]) -> F64:
    """Return f64 (F,): each face's cosine to the mean of the faces chosen on the other photographs."""
    exact = embeddings.astype(np.float64)
    others = exact[chosen].sum(axis=0) - exact[chosen[owner]]
    norms = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    return np.asarray((exact * others).sum(axis=1) / norms, np.float64)


def _best(score: F64, owner: NDArray[np.int64], sizes_px: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return i64 (P,): of each photograph, the face with the highest score; the larger one where they are equal."""
    order = np.lexsort((-sizes_px, -score, owner))
    return np.asarray(order[np.searchsorted(owner[order], np.arange(owner[-1] + 1))], np.int64)
