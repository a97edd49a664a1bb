"""The fitted bottleneck of a head over an embedder: what turns its embeddings into those that the head compares.

It belongs to the labelling, not to the network: what is stored are the embedder's own embeddings, and another head
labels them anew without decoding anything.
"""

from dataclasses import dataclass

import numpy as np

from annotator.errors import ModelError
from annotator.recognition.calibration import F64
from annotator.recognition.evidence import unit
from annotator.types import F32, frozen_array


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """An affine map between unit vectors.

    Attributes:
        weights: f32 (D, E).
        bias: f32 (E,).

    """

    weights: F32
    bias: F32

    def __post_init__(self) -> None:
        """Check and freeze.

        Raises:
            ModelError: shapes, types or values cannot be.

        """
        try:
            weights = frozen_array("weights", self.weights, np.float32, ("D", "E"))
            bias = frozen_array("bias", self.bias, np.float32, (weights.shape[1],))
        except TypeError as error:
            raise ModelError(f"the projection of the model bundle is inconsistent: {error}") from error
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ModelError("the projection of the model bundle holds numbers that are none: build the bundle again")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "bias", bias)

    def __call__(self, embeddings: F64) -> F64:
        """Return f64 (N, E), of unit length, for f64 (N, D) of any length; computed in float64."""
        projected = unit(embeddings) @ self.weights.astype(np.float64) + self.bias.astype(np.float64)
        return unit(projected)
