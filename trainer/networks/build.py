"""Builds a network from its description."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import keras
import tensorflow as tf

from annotator.networks.embedders import trunk
from annotator.networks.sface import EMBEDDING_SIZE as SFACE_EMBEDDING_SIZE
from annotator.networks.sface import build_sface, checked_file, read_sface_weights
from annotator.types import F32
from trainer.experiment import Network
from trainer.networks.heads import UnitLength, with_heads


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A network, and the part of it that learns.

    Attributes:
        learning: the network, or the part of it behind a frozen front. It then takes the front's outputs, f32
            (N, 1, 1, 128), of unit length.
        build_whole: puts a frozen front before it; None where the whole network learns.

    """

    learning: Any
    build_whole: Callable[[], Any] | None = None

    @property
    def has_frozen_front(self) -> bool:
        """Whether only a part of the network learns."""
        return self.build_whole is not None

    @cached_property
    def whole(self) -> Any:  # noqa: ANN401 - a Keras model
        """The whole network, which shares the weights of what learns; a front is built when it is first asked for.

        From crops, f32 (N, side, side, 3), RGB in 0-255, to ``embedding``, f32 (N, D), and ``logits``, f32
        (N, classes).
        """
        return self.learning if self.build_whole is None else self.build_whole()


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
    return BuiltNetwork(keras.Model(faces, outputs, name="network"))


def _over_sface(network: Network, classes: int) -> BuiltNetwork:
    checked_file()  # that it is not there, or another one, is told when a fit begins, not when it ends
    embeddings = keras.Input((1, 1, SFACE_EMBEDDING_SIZE), name="embeddings")
    learning = keras.Model(embeddings, with_heads(embeddings, network, classes), name="head")
    return BuiltNetwork(learning, _as_if_now(partial(_behind_sface, learning, network.input_side_px)))


def _as_if_now(build: Callable[[], Any]) -> Callable[[], Any]:
    """Return what builds later as it would now: in the same precision, and on the same devices."""
    policy = keras.mixed_precision.dtype_policy()
    scope = tf.distribute.get_strategy().scope if tf.distribute.has_strategy() else nullcontext

    def build_later() -> Any:  # noqa: ANN401 - a Keras model
        before = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy(policy)
        try:
            with scope():
                return build()
        finally:
            keras.mixed_precision.set_dtype_policy(before)

    return build_later


def _behind_sface(learning: Any, side_px: int) -> Any:  # noqa: ANN401 - Keras models
    sface = build_sface()
    _set_weights(sface, read_sface_weights())
    front = keras.Model(sface.inputs[0], sface.get_layer("fc1").output, name="sface")
    front.trainable = False
    faces = keras.Input((side_px, side_px, 3), name="faces")
    outputs = learning(UnitLength(name="unit_length", dtype="float32")(front(faces)))
    return keras.Model(faces, outputs, name="network")


def _set_weights(model: Any, weights: dict[str, F32]) -> None:  # noqa: ANN401 - a Keras model
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}"])
