"""What a fit has left behind, as a bundle needs it: arrays, without Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from annotator.errors import ModelError
from annotator.networks.embedders import EmbedderSpec, TrunkName
from annotator.recognition.projection import Projection
from annotator.types import F32
from trainer.experiment import Network
from trainer.fitting.device import import_tensorflow

_MIN_NORM: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted network.

    Attributes:
        network: its description.
        people: folders of the people, by class.
        weights: arrays of the part that has learnt, by ``layer/variable``, in Keras's axis order.

    """

    network: Network
    people: tuple[str, ...]
    weights: Mapping[str, F32]

    @property
    def is_head(self) -> bool:
        """Whether it is a head over SFace, and no network of its own."""
        return self.network.name == "sface-head"

    @property
    def spec(self) -> EmbedderSpec:
        """The network that embeds faces, where it is no head."""
        size = self.weights["fc1/bias"].shape[0]
        return EmbedderSpec(cast("TrunkName", self.network.name), self.network.input_side_px, size)

    @property
    def projection(self) -> Projection | None:
        """The bottleneck of a head; None where there is none, or where it is a part of the network."""
        if not self.is_head or self.network.embedding_size is None:
            return None
        return Projection(self.weights["fc1/kernel"][0, 0], self.weights["fc1/bias"])

    @property
    def directions(self) -> F32 | None:
        """The directions of people whom a cosine head has learnt over SFace itself, f32 (P, 128), of unit length.

        None where the head is linear, and where there is a bottleneck: that one has learnt as well, and carries faces
        to where their classes are told apart best, which is not where their directions point.
        """
        if self.network.head != "cosine" or not self.is_head or self.network.embedding_size is not None:
            return None
        kernel = self.weights["fc2/kernel"][0, 0].T.astype(np.float64)
        norms = np.maximum(np.linalg.norm(kernel, axis=1, keepdims=True), _MIN_NORM)
        return np.ascontiguousarray(kernel / norms, np.float32)


def read_fitted(folder: Path) -> Fitted:
    """Read the best network of a fit.

    Args:
        folder: ``model`` in the folder of the experiment.

    Raises:
        ConfigError: there is none, or TensorFlow is not installed.
        ModelError: a file is not what it must be.

    """
    import_tensorflow()  # nothing is computed: after a fit in this process its threads and devices stay
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras, whose back end is settled now

    built, network, people = load_fitted(folder)
    weights = {
        f"{layer.name}/{variable.name}": np.asarray(variable, np.float32)
        for layer in built.learning.layers
        for variable in layer.weights
    }
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise ModelError(f"the network in {folder} holds numbers that are none: fit it again, with a lower rate")
    return Fitted(network, people, weights)
