"""What stands on every network: the bottleneck, whose output is the embedding, and the class head."""

from typing import Any, Final

import keras

from annotator.networks.embedders import bottleneck, flat
from trainer.experiment import Network

_MIN_NORM: Final = 1e-6
"""Against division by zero."""

_PACKAGE: Final = "trainer"


def with_heads(features: Any, network: Network, classes: int) -> dict[str, Any]:  # noqa: ANN401 - Keras has no types
    """Put bottleneck and class head on a map of features.

    Args:
        features: symbolic f32 (N, H, W, C).
        network: says how large the bottleneck and of which kind the head.
        classes: how many people.

    Returns:
        ``embedding``, symbolic f32 (N, D), and ``logits``, symbolic f32 (N, classes); float32 in every precision.

    """
    x = bottleneck(features, network.embedding_size)
    head = (
        CosineHead(classes, scale=network.scale, name="fc2", dtype="float32")
        if network.head == "cosine"
        else keras.layers.Conv2D(classes, 1, name="fc2", dtype="float32")
    )
    return {"embedding": flat(x, "embedding"), "logits": flat(head(x), "logits")}


@keras.saving.register_keras_serializable(_PACKAGE)
class CosineHead(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
    """The cosine between a pixel and a direction for each class, times a scale."""

    def __init__(self, classes: int, *, scale: float, **kwargs: Any) -> None:  # noqa: ANN401 - Keras's own arguments
        """Take the number of classes and the scale."""
        super().__init__(**kwargs)
        self.classes = classes
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the directions, f32 (1, 1, D, classes); their length does not count."""
        self.kernel = self.add_weight(
            shape=(1, 1, input_shape[-1], self.classes), initializer="glorot_uniform", name="kernel"
        )

    def call(self, inputs: Any) -> Any:  # noqa: ANN401 - tensors have no types
        """Return f32 (N, H, W, classes) in [-scale, scale]."""
        return self.scale * keras.ops.conv(_unit(inputs, axis=-1), _unit(self.kernel, axis=2))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return (*input_shape[:-1], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal layer."""
        return {**super().get_config(), "classes": self.classes, "scale": self.scale}


@keras.saving.register_keras_serializable(_PACKAGE)
class UnitLength(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
    """Brings each pixel's channels to unit length."""

    def call(self, inputs: Any) -> Any:  # noqa: ANN401 - tensors have no types
        """Return the same shape."""
        return _unit(inputs, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return input_shape


def _unit(x: Any, *, axis: int) -> Any:  # noqa: ANN401 - tensors have no types
    square = keras.ops.sum(keras.ops.square(x), axis=axis, keepdims=True)
    return x / keras.ops.sqrt(keras.ops.maximum(square, _MIN_NORM**2))
