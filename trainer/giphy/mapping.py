"""Which tensor of the release's checkpoint is which variable of the network, and what the class head is made of.

The release wraps torchvision's ResNet-50: its children without the last, as a sequence (``model.stem``: 0 convolution,
1 batch normalisation, 4 to 7 the stages), then ``model.fc1``, which gives the embedding, ``model.fc2``, the classes,
and ``center_loss_criterion.centers``, one centre for each class.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from annotator.errors import ModelError
from annotator.types import F32
from trainer.giphy.checkpoint import Checkpoint
from trainer.giphy.network import CHANNELS, EMBEDDING_SIZE
from trainer.giphy.pickles import shown

CLASS_KERNEL: Final = "model.fc2.weight"
CLASS_BIAS: Final = "model.fc2.bias"
CENTRES: Final = "center_loss_criterion.centers"

_STEM_WIDTH: Final = 64
_STEM_KERNEL: Final = 7
_STAGES: Final = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Channels inside the blocks, and number of blocks, of the four stages."""

_EXPANSION: Final = 4
"""A block's output has so many times the channels of its inside."""

_FIRST_STAGE: Final = 4
"""Number of the first stage in ``model.stem``: before it stand convolution, normalisation, ReLU and pooling."""

_COUNTER: Final = "num_batches_tracked"
"""A counter of batch normalisations since PyTorch 0.4.1, of no use to a network that is done learning."""

_NORMALISATION: Final[Mapping[str, str]] = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


_TO_KERAS: Final = (2, 3, 1, 0)
"""From PyTorch's order of a kernel, out, in, height, width, to Keras's: height, width, in, out."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a variable comes from.

    Attributes:
        name: of the tensor.
        shape: of the tensor, in PyTorch's order.
        axes: that order turned into Keras's; axes beyond the tensor's own have the length 1.

    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    def turned(self, array: F32) -> F32:
        """Return the tensor in Keras's order, contiguous."""
        return np.ascontiguousarray(array.reshape(self._whole_shape).transpose(self.axes))

    @property
    def _whole_shape(self) -> tuple[int, ...]:
        return self.shape + (1,) * (len(self.axes) - len(self.shape))


@dataclass(frozen=True, slots=True, eq=False)
class ClassHead:
    """What turns embeddings into names.

    Attributes:
        kernel: f32 (256, P).
        bias: f32 (P,).
        centres: f32 (P, 256), what the embeddings of each class were drawn to.

    """

    kernel: F32
    bias: F32
    centres: F32


def variables() -> dict[str, Source]:
    """Return, for each variable of :data:`~trainer.giphy.network.SPEC`, where it comes from.

    >>> variables()["layer1_0_conv2/kernel"]
    Source(name='model.stem.4.0.conv2.weight', shape=(64, 64, 3, 3), axes=(2, 3, 1, 0))

    """
    found: dict[str, Source] = {}
    for layer, prefix, shape in _convolutions():
        found[f"{layer}/kernel"] = Source(f"{prefix}.weight", shape, _TO_KERAS)
    for layer, prefix, width in _normalisations():
        for variable, name in _NORMALISATION.items():
            found[f"{layer}/{variable}"] = Source(f"{prefix}.{name}", (width,), (0,))
    # The dense layer is a convolution over one pixel here.
    found["fc1/kernel"] = Source("model.fc1.weight", (EMBEDDING_SIZE, CHANNELS), _TO_KERAS)
    found["fc1/bias"] = Source("model.fc1.bias", (EMBEDDING_SIZE,), (0,))
    return found


def check_names(checkpoint: Checkpoint, classes: int) -> None:
    """Check that a checkpoint is the release's, and knows as many classes as there are labels.

    Raises:
        ModelError: it has other tensors, or another number of classes.

    """
    wanted = {source.name for source in variables().values()} | {CLASS_KERNEL, CLASS_BIAS, CENTRES}
    there = {name for name in checkpoint.names if name.rpartition(".")[2] != _COUNTER}
    if wanted != there:
        odd = sorted(wanted - there) or sorted(there - wanted)
        how = "lacks" if wanted - there else "has also"
        raise ModelError(f"the checkpoint {how} {shown(odd[0])}: it is not the ResNet-50 of GIPHY's release")
    found = checkpoint.shape(CLASS_BIAS)
    if found != (classes,):
        raise ModelError(
            f"the checkpoint knows {found[0] if found else 0} classes and labels.csv names {classes}: "
            "give the labels.csv of the same release by --labels"
        )


def read_network(checkpoint: Checkpoint) -> dict[str, F32]:
    """Read the weights of the network, as :func:`~annotator.runtime.network.build_model` wants them.

    Raises:
        ModelError: a tensor has the wrong shape or type, or is not there as a whole.

    """
    weights: dict[str, F32] = {}
    for name, source in variables().items():
        array = checkpoint.read(source.name, source.shape)
        if name.endswith("/moving_variance") and (array < 0).any():
            raise ModelError(f"{source.name} of the checkpoint holds a variance below zero: fetch the file again")
        weights[name] = source.turned(array)
    return weights


def read_head(checkpoint: Checkpoint, classes: int) -> ClassHead:
    """Read the class head and the centres.

    Raises:
        ModelError: as for :func:`read_network`.

    """
    return ClassHead(
        kernel=np.ascontiguousarray(checkpoint.read(CLASS_KERNEL, (classes, EMBEDDING_SIZE)).T),
        bias=checkpoint.read(CLASS_BIAS, (classes,)),
        centres=checkpoint.read(CENTRES, (classes, EMBEDDING_SIZE)),
    )


def _blocks() -> Iterator[tuple[str, str, int, int]]:
    """Yield for each block the name of its layers, of its tensors, and the channels that come in and within."""
    channels = _STEM_WIDTH
    for stage, (width, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            yield f"layer{stage + 1}_{block}", f"model.stem.{_FIRST_STAGE + stage}.{block}", channels, width
            channels = width * _EXPANSION


def _convolutions() -> Iterator[tuple[str, str, tuple[int, ...]]]:
    yield "conv1", "model.stem.0", (_STEM_WIDTH, 3, _STEM_KERNEL, _STEM_KERNEL)
    for layer, prefix, channels, width in _blocks():
        yield f"{layer}_conv1", f"{prefix}.conv1", (width, channels, 1, 1)
        yield f"{layer}_conv2", f"{prefix}.conv2", (width, width, 3, 3)
        yield f"{layer}_conv3", f"{prefix}.conv3", (width * _EXPANSION, width, 1, 1)
        if channels != width * _EXPANSION:
            yield f"{layer}_downsample_0", f"{prefix}.downsample.0", (width * _EXPANSION, channels, 1, 1)


def _normalisations() -> Iterator[tuple[str, str, int]]:
    yield "bn1", "model.stem.1", _STEM_WIDTH
    for layer, prefix, channels, width in _blocks():
        yield f"{layer}_bn1", f"{prefix}.bn1", width
        yield f"{layer}_bn2", f"{prefix}.bn2", width
        yield f"{layer}_bn3", f"{prefix}.bn3", width * _EXPANSION
        if channels != width * _EXPANSION:
            yield f"{layer}_downsample_1", f"{prefix}.downsample.1", width * _EXPANSION
