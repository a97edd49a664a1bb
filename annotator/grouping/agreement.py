"""How well groups agree with who is really shown: B-cubed precision and recall."""

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64


def b_cubed(people: NDArray[np.int64], groups: NDArray[np.int64]) -> tuple[F64, F64]:
    """Compare groups with people, track by track.

    Source: A. Bagga and B. Baldwin, «Entity-based cross-document coreferencing using the vector space model», 1998.

    Args:
        people: i64 (N,), whom each track shows.
        groups: i64 (N,), each track's group; a track without one needs a number of its own.

    Returns:
        f64 (N,), precision: the share of the track's group that shows the same person; and f64 (N,), recall: the share
        of the person's tracks that the group has. Their means over tracks are what is reported.

    >>> precision, recall = b_cubed(np.array([1, 1, 2, 2]), np.array([7, 7, 7, 8]))
    >>> precision.round(2).tolist(), recall.tolist()
    ([0.67, 0.67, 0.33, 1.0], [1.0, 1.0, 0.5, 0.5])
    """
    of_person, of_group, of_both = (
        np.unique(one, axis=0, return_inverse=True, return_counts=True)[1:]
        for one in (people, groups, np.stack([people, groups], axis=1))
    )
    same = of_both[1][of_both[0].ravel()].astype(np.float64)
    return same / of_group[1][of_group[0].ravel()], same / of_person[1][of_person[0].ravel()]


def harmonic(precision: float, recall: float) -> float:
    """Return F: the harmonic mean of precision and recall, 0 where both are.

    >>> round(harmonic(1.0, 0.5), 3), harmonic(0.0, 0.0)
    (0.667, 0.0)
    """
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
