"""Xception (Chollet, 2017), as in Keras's applications, but every layer has a name of its own.

There the layers on the shortcuts are numbered by what else the process has built, so that weights could not be told by
their names.
"""

from typing import Any, Final

_ENTRY: Final = ((2, 128), (3, 256), (4, 728))
"""Number and outgoing channels of the first blocks that halve the map."""

_MIDDLE: Final = range(5, 13)
"""Numbers of the blocks that leave the map as it is."""


def xception_features(faces: Any) -> Any:  # noqa: ANN401 - Keras's symbolic tensors have no type
    """Return the last map of Xception.

    Args:
        faces: symbolic f32 (N, side, side, 3), RGB in 0-255, side at least 71.

    Returns:
        Symbolic (N, side / 32, side / 32, 2048).

    """
    import keras  # noqa: PLC0415 - a process that only runs the network never imports Keras

    layers = keras.layers
    x = layers.Rescaling(1 / 255, name="rescale")(faces)
    for number, (width, stride) in enumerate(((32, 2), (64, 1)), start=1):
        x = layers.Conv2D(width, 3, strides=stride, use_bias=False, name=f"block1_conv{number}")(x)
        x = layers.BatchNormalization(name=f"block1_conv{number}_bn")(x)
        x = layers.ReLU(name=f"block1_conv{number}_relu")(x)
    for number, width in _ENTRY:
        x = _halving(x, (width, width), number, begins_active=number > _ENTRY[0][0])
    for number in _MIDDLE:
        shortcut = x
        for part in (1, 2, 3):
            x = _separable(layers.ReLU(name=f"block{number}_relu{part}")(x), 728, f"block{number}_sepconv{part}")
        x = layers.Add(name=f"block{number}_add")([x, shortcut])
    x = _halving(x, (728, 1024), 13, begins_active=True)
    for part, width in ((1, 1536), (2, 2048)):
        x = layers.ReLU(name=f"block14_relu{part}")(_separable(x, width, f"block14_sepconv{part}"))
    return x


def _halving(x: Any, widths: tuple[int, int], number: int, *, begins_active: bool) -> Any:  # noqa: ANN401 - as above
    """Return a block of two separable convolutions that halves the map, its shortcut added."""
    import keras  # noqa: PLC0415 - as above

    layers, block = keras.layers, f"block{number}"
    shortcut = layers.Conv2D(widths[1], 1, strides=2, padding="same", use_bias=False, name=f"{block}_shortcut_conv")(x)
    shortcut = layers.BatchNormalization(name=f"{block}_shortcut_bn")(shortcut)
    if begins_active:
        x = layers.ReLU(name=f"{block}_relu1")(x)
    x = layers.ReLU(name=f"{block}_relu2")(_separable(x, widths[0], f"{block}_sepconv1"))
    x = _separable(x, widths[1], f"{block}_sepconv2")
    x = layers.MaxPooling2D(3, 2, padding="same", name=f"{block}_pool")(x)
    return layers.Add(name=f"{block}_add")([x, shortcut])


def _separable(x: Any, width: int, name: str) -> Any:  # noqa: ANN401 - as above
    import keras  # noqa: PLC0415 - as above

    x = keras.layers.SeparableConv2D(width, 3, padding="same", use_bias=False, name=name)(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn")(x)
