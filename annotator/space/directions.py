"""Where people and faces lie for the decision: centred embeddings of unit length, whose product is what is compared."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64
from annotator.recognition.evidence import EvidenceStack, pool_stack, unit
from annotator.recognition.gallery import Gallery
from annotator.types import F32

_ROWS: Final = 1_000
"""People whose similarities to all others are in memory at once."""


def people_directions(gallery: Gallery) -> F64:
    """Return f64 (P, E), the gallery's prototypes less its centre, of unit length."""
    return unit(gallery.prototypes.astype(np.float64) - gallery.bundle.mean.astype(np.float64))


def track_directions(gallery: Gallery, stack: EvidenceStack) -> F64:
    """Return f64 (N, E), the mean of each track's faces less the centre of faces in clips, of unit length.

    Args:
        gallery: gives projection and centre.
        stack: the tracks; all of their faces count, by their quality.

    """
    bundle = gallery.bundle
    pooled, _ = pool_stack(stack, np.ones(stack.quality.shape, np.bool_))
    clip_centre = bundle.calibration.clip_centre
    centre = np.array(clip_centre, np.float64) if len(clip_centre) else bundle.mean.astype(np.float64)
    return unit(bundle.comparable(unit(pooled)) - centre)


def most_alike(directions: F64, count: int) -> tuple[NDArray[np.int32], F32]:
    """Find whom each person resembles most, in all dimensions.

    Args:
        directions: f64 (P, E), of unit length.
        count: how many; no more than P - 1 are found.

    Returns:
        i32 (P, A), places of the most alike, best first, and f32 (P, A), their cosines.

    """
    people = len(directions)
    count = max(0, min(count, people - 1))
    places = np.zeros((people, count), np.int32)
    cosines = np.zeros((people, count), np.float32)
    for start in range(0, people if count else 0, _ROWS):
        rows = np.arange(start, min(start + _ROWS, people))
        similar = directions[rows] @ directions.T
        similar[np.arange(len(rows)), rows] = -np.inf
        best = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(similar, best, axis=1)
        order = np.lexsort((best, -found), axis=1)
        places[rows] = np.take_along_axis(best, order, axis=1)
        cosines[rows] = np.take_along_axis(found, order, axis=1)
    return places, cosines
