"""The three directions along which people differ most: principal components, the same whenever they are computed."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.recognition.calibration import F64
from annotator.types import frozen_array

AXES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalAxes:
    """A map from embeddings to points.

    Attributes:
        centre: f64 (E,), the mean of what they were found in; it becomes the origin.
        directions: f64 (3, E), orthonormal, the one of most variance first. The sign of each is the one that makes its
            largest number positive.
        explained: f64 (3,), the share of all variance that each has.

    """

    centre: F64
    directions: F64
    explained: F64

    def __post_init__(self) -> None:
        """Check and freeze."""
        size = len(self.centre)
        for name, shape in (("centre", (size,)), ("directions", (AXES, size)), ("explained", (AXES,))):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float64, shape))

    def __call__(self, embeddings: F64) -> F64:
        """Return f64 (N, 3), the points of f64 (N, E)."""
        return np.asarray((embeddings - self.centre) @ self.directions.T, np.float64)


def principal_axes(embeddings: F64) -> PrincipalAxes:
    """Find the directions of most variance, exactly.

    Args:
        embeddings: f64 (N, E), N > 0, E >= 3.

    Raises:
        ValueError: there is no embedding, or they have fewer than three numbers.

    """
    if embeddings.ndim != 2 or not len(embeddings) or embeddings.shape[1] < AXES:
        raise ValueError(f"principal axes need (N, E) embeddings, N > 0 and E >= {AXES}, got {embeddings.shape}")
    centre = embeddings.mean(axis=0)
    centred = embeddings - centre
    # Of E x E rather than N x E: a hundred thousand people take no more memory than a hundred.
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(embeddings))
    directions = vectors[:, ::-1][:, :AXES].T
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(AXES), largest])[:, None]
    variances = np.maximum(variances[::-1], 0.0)
    total = variances.sum()
    explained = variances[:AXES] / total if total > 0 else np.zeros(AXES)
    return PrincipalAxes(centre, np.ascontiguousarray(directions), np.ascontiguousarray(explained))
