"""ResNet-50 (He, Zhang, Ren, Sun, 2015), with the stride on the 3 x 3 convolutions as most releases have it.

Layers are named as in torchvision (BSD-3-Clause), with underscores for dots, and padded as there: weights of that form
fit without a change but the order of axes.
"""

from typing import Any, Final

_STAGES: Final = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Channels and number of blocks of the four stages."""

_EXPANSION: Final = 4
"""A block's output has so many times the channels of its inside."""

_EPSILON: Final = 1e-5
_MOMENTUM: Final = 0.9
"""Of the batch normalisations, as in torchvision (0.1 of the new there)."""


def resnet50_features(faces: Any, *, is_half: bool = False) -> Any:  # noqa: ANN401 - Keras's symbolic tensors
    """Return the last map of ResNet-50.

    Args:
        faces: symbolic f32 (N, side, side, 3), RGB in 0-255.
        is_half: for crops of half the side, 112 pixels: the first convolution is 3 x 3 without a stride, so that all
            maps are as large as those of 224 pixels.

    Returns:
        Symbolic (N, side / 32, side / 32, 2048), or twice the side where it is half.

    """
    import keras  # noqa: PLC0415 - a process that only runs the network never imports Keras

    layers = keras.layers
    x = layers.Rescaling(1 / 255, name="rescale")(faces)
    x = _convolution(x, 64, "conv1", kernel=3 if is_half else 7, stride=1 if is_half else 2)
    x = _normalised(x, "bn1", is_active=True)
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, (width, blocks) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            x = _block(x, width, f"layer{stage}_{block}", stride=2 if stage > 1 and block == 0 else 1)
    return x


def _block(x: Any, width: int, name: str, *, stride: int) -> Any:  # noqa: ANN401 - as above
    import keras  # noqa: PLC0415 - as above

    shortcut = x
    if stride > 1 or x.shape[-1] != width * _EXPANSION:
        shortcut = _convolution(x, width * _EXPANSION, f"{name}_downsample_0", kernel=1, stride=stride)
        shortcut = _normalised(shortcut, f"{name}_downsample_1", is_active=False)
    x = _normalised(_convolution(x, width, f"{name}_conv1", kernel=1), f"{name}_bn1", is_active=True)
    x = _normalised(_convolution(x, width, f"{name}_conv2", kernel=3, stride=stride), f"{name}_bn2", is_active=True)
    x = _convolution(x, width * _EXPANSION, f"{name}_conv3", kernel=1)
    x = _normalised(x, f"{name}_bn3", is_active=False, is_silent=True)
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _convolution(x: Any, width: int, name: str, *, kernel: int, stride: int = 1) -> Any:  # noqa: ANN401 - as above
    import keras  # noqa: PLC0415 - as above

    if kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    convolution = keras.layers.Conv2D(
        width, kernel, strides=stride, use_bias=False, kernel_initializer="he_normal", name=name
    )
    return convolution(x)


def _normalised(x: Any, name: str, *, is_active: bool, is_silent: bool = False) -> Any:  # noqa: ANN401 - as above
    import keras  # noqa: PLC0415 - as above

    # A branch that begins silent makes each block begin as its shortcut (Goyal and others, 2017): steps stay small.
    gamma = "zeros" if is_silent else "ones"
    x = keras.layers.BatchNormalization(epsilon=_EPSILON, momentum=_MOMENTUM, gamma_initializer=gamma, name=name)(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if is_active else x
