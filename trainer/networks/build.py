"""Builds a network from its description."""

from dataclasses import dataclass
from typing import Any

import keras

from annotator.networks.embedders import trunk
from annotator.networks.sface import EMBEDDING_SIZE as SFACE_EMBEDDING_SIZE
from annotator.networks.sface import build_sface, read_sface_weights
from annotator.types import F32
from trainer.experiment import Network
from trainer.networks.heads import UnitLength, with_heads


@dataclass(frozen=True, slots=True, eq=False)
class BuiltNetwork:
    """A network, and the part of it that learns.

    Attributes:
        whole: from crops, f32 (N, side, side, 3), RGB in 0-255, to ``embedding``, f32 (N, D), and ``logits``, f32
            (N, classes).
        learning: the same, or the part of it behind a frozen front; shares its weights with the whole. It then takes
            the front's outputs, f32 (N, 1, 1, 128), of unit length.

    """

    whole: Any
    learning: Any

    @property
    def has_frozen_front(self) -> bool:
        """Whether only a part of the network learns."""
        return self.whole is not self.learning


def build_network(network: Network, classes: int) -> BuiltNetwork:
    """Build a network with new weights; nothing is downloaded.

    Raises:
        ConfigError: the SFace file, which ``"sface-head"`` needs, is not there.
        ModelError: the SFace file is not the known one.

    """
    if network.name == "sface-head":
        return _over_sface(network, classes)
    faces = keras.Input((network.input_side_px, network.input_side_px, 3), name="faces")
    outputs = with_heads(trunk(faces, network.name), network, classes)
    whole = keras.Model(faces, outputs, name="network")
    return BuiltNetwork(whole, whole)


def _over_sface(network: Network, classes: int) -> BuiltNetwork:
    embeddings = keras.Input((1, 1, SFACE_EMBEDDING_SIZE), name="embeddings")
    learning = keras.Model(embeddings, with_heads(embeddings, network, classes), name="head")
    sface = build_sface()
    _set_weights(sface, read_sface_weights())
    front = keras.Model(sface.inputs[0], sface.get_layer("fc1").output, name="sface")
    front.trainable = False
    faces = keras.Input((network.input_side_px, network.input_side_px, 3), name="faces")
    outputs = learning(UnitLength(name="unit_length", dtype="float32")(front(faces)))
    return BuiltNetwork(keras.Model(faces, outputs, name="network"), learning)


def _set_weights(model: Any, weights: dict[str, F32]) -> None:  # noqa: ANN401 - a Keras model
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}"])
