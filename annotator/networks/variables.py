"""Names and shapes of the variables of every embedder, written down so that a process without Keras can check weights.

A file of weights may come from anywhere: what it holds is compared with these shapes before memory is taken for it. A
test holds them to the definitions.
"""

from collections.abc import Iterator
from typing import Final

from annotator.networks.embedders import EmbedderSpec

Shape = tuple[int, ...]

_RESNET_STAGES: Final = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Channels inside the blocks, and number of blocks."""

_EXPANSION: Final = 4
"""A block's output has so many times the channels of its inside."""

_DENSE_BLOCKS: Final = (6, 12, 24, 16)
"""Layers of DenseNet-121's four blocks."""

_GROWTH: Final = 32
"""Channels that each of them adds."""

_XCEPTION_ENTRY: Final = ((2, 64, 128), (3, 128, 256), (4, 256, 728))
"""Number, incoming and outgoing channels of Xception's first blocks that halve the map."""

_XCEPTION_MIDDLE: Final = range(5, 13)
"""Numbers of its blocks that change no channels."""


def variable_shapes(spec: EmbedderSpec) -> dict[str, Shape]:
    """Return the shapes of a network's variables by ``layer/variable``, all float32.

    >>> variable_shapes(EmbedderSpec("resnet50", 224, 256))["fc1/kernel"]
    (1, 1, 2048, 256)

    """
    if spec.name.startswith("resnet50"):
        found, channels = dict(_resnet50(kernel=3 if spec.name.endswith("half") else 7)), 2048
    elif spec.name == "densenet121":
        found, channels = dict(_densenet121()), 1024
    else:
        found, channels = dict(_xception()), 2048
    size = spec.embedding_size
    return found | {"fc1/kernel": (1, 1, channels, size), "fc1/bias": (size,)}


def _normalisation(layer: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        yield f"{layer}/{name}", (channels,)


def _convolution(layer: str, norm: str, kernel: int, *, channels: int, width: int) -> Iterator[tuple[str, Shape]]:
    """Yield a convolution without bias and the normalisation behind it."""
    yield f"{layer}/kernel", (kernel, kernel, channels, width)
    yield from _normalisation(norm, width)


def _resnet50(*, kernel: int) -> Iterator[tuple[str, Shape]]:
    yield from _convolution("conv1", "bn1", kernel, channels=3, width=64)
    channels = 64
    for stage, (width, blocks) in enumerate(_RESNET_STAGES, start=1):
        for block in range(blocks):
            layer, wide = f"layer{stage}_{block}", width * _EXPANSION
            yield from _convolution(f"{layer}_conv1", f"{layer}_bn1", 1, channels=channels, width=width)
            yield from _convolution(f"{layer}_conv2", f"{layer}_bn2", 3, channels=width, width=width)
            yield from _convolution(f"{layer}_conv3", f"{layer}_bn3", 1, channels=width, width=wide)
            if channels != wide:
                yield from _convolution(
                    f"{layer}_downsample_0", f"{layer}_downsample_1", 1, channels=channels, width=wide
                )
            channels = wide


def _densenet121() -> Iterator[tuple[str, Shape]]:
    yield from _convolution("conv1_conv", "conv1_bn", 7, channels=3, width=64)
    channels = 64
    for stage, layers in enumerate(_DENSE_BLOCKS, start=2):
        for number in range(1, layers + 1):
            layer = f"conv{stage}_block{number}"
            yield from _normalisation(f"{layer}_0_bn", channels)
            yield from _convolution(f"{layer}_1_conv", f"{layer}_1_bn", 1, channels=channels, width=4 * _GROWTH)
            yield f"{layer}_2_conv/kernel", (3, 3, 4 * _GROWTH, _GROWTH)
            channels += _GROWTH
        if stage < len(_DENSE_BLOCKS) + 1:
            yield from _normalisation(f"pool{stage}_bn", channels)
            yield f"pool{stage}_conv/kernel", (1, 1, channels, channels // 2)
            channels //= 2
    yield from _normalisation("bn", channels)


def _separable(layer: str, channels: int, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{layer}/depthwise_kernel", (3, 3, channels, 1)
    yield f"{layer}/pointwise_kernel", (1, 1, channels, width)
    yield from _normalisation(f"{layer}_bn", width)


def _xception() -> Iterator[tuple[str, Shape]]:
    yield from _convolution("block1_conv1", "block1_conv1_bn", 3, channels=3, width=32)
    yield from _convolution("block1_conv2", "block1_conv2_bn", 3, channels=32, width=64)
    for number, channels, width in _XCEPTION_ENTRY:
        yield from _convolution(
            f"block{number}_shortcut_conv", f"block{number}_shortcut_bn", 1, channels=channels, width=width
        )
        yield from _separable(f"block{number}_sepconv1", channels, width)
        yield from _separable(f"block{number}_sepconv2", width, width)
    for number in _XCEPTION_MIDDLE:
        for part in (1, 2, 3):
            yield from _separable(f"block{number}_sepconv{part}", 728, 728)
    yield from _convolution("block13_shortcut_conv", "block13_shortcut_bn", 1, channels=728, width=1024)
    yield from _separable("block13_sepconv1", 728, 728)
    yield from _separable("block13_sepconv2", 728, 1024)
    yield from _separable("block14_sepconv1", 1024, 1536)
    yield from _separable("block14_sepconv2", 1536, 2048)
