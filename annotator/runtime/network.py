"""What a network is, and what runs one: the protocol that both engines keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from annotator.errors import ModelError
from annotator.runtime.batches import Batches
from annotator.types import F32, U8

if TYPE_CHECKING:
    import keras

Precision = Literal["f32", "bf16", "f16"]
"""Precision of the arithmetic inside a network; its outputs are float32 always."""

Pixels = F32 | U8
"""What a network gets. Whole numbers may be given as u8: the engine takes them for the same numbers in float32, and a
quarter of the bytes goes to the device."""

Take = Callable[[tuple[F32, ...]], tuple[Any, ...]]
"""What takes of a network's outputs what is wanted."""

Weights = Mapping[str, F32]
"""Arrays by ``layer/variable``, e.g. ``"conv1/kernel"``, in Keras's axis order."""


@dataclass(frozen=True)
class NetworkDefinition:
    """A network: a Keras definition, and where its weights come from.

    Attributes:
        name: short, used in file names: ``"pnet"``.
        build: ``"module:function"`` of the function that returns the ``keras.Model``, its weights not set. It is named
            and not given, so that a process that only runs the network never imports Keras.
        load_weights: reads and checks the weights; called only when the network is converted or built.
        weights_digest: sha256 that identifies the weights.
        input_shape_hwc: shape of one input; None for a free height and width. The batch is always free.
        arguments: of the function.
        parts: modules of the project that the definition takes layers from: their source counts, too.
        direct_on_amd: whether AMD's processors with AVX-512 run it with direct convolutions; see
            ``annotator.runtime.kernels``.

    """

    name: str
    build: str
    load_weights: Callable[[], Weights]
    weights_digest: str
    input_shape_hwc: tuple[int | None, int | None, int]
    arguments: tuple[str | int, ...] = ()
    parts: tuple[str, ...] = ()
    direct_on_amd: bool = False

    @cached_property
    def digest(self) -> str:
        """Return a sha256 over the definition's source, its name and its weights.

        The module that holds the function counts as source, and those of ``parts``.
        """
        parts = [self._source(self.build.partition(":")[0]), self.build.encode(), repr(self.input_shape_hwc).encode()]
        parts += [self.weights_digest.encode(), *(self._source(module) for module in self.parts)]
        parts += [repr(self.arguments).encode()] if self.arguments else []
        return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()

    def _source(self, module: str) -> bytes:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ModelError(f"{module}, of the network {self.name}, is not there: reinstall annotator")
        return Path(spec.origin).read_bytes()


class Runner(Protocol):
    """A network ready to run. Safe to call from several threads."""

    @property
    def precision(self) -> Precision:
        """The precision that is really used, which may be more than was asked for."""
        ...

    def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
        """Run the network.

        The first batch of each shape and dtype costs a compilation, so keep to few shapes and pad.

        Args:
            batch: f32 or u8 (N, H, W, C); it may not change until the outputs are there.
            take: is given the outputs, for reading, and takes of them what is wanted: their memory is used again when
                it has returned.

        Returns:
            What ``take`` returned; without one the network's outputs in the order of its definition, each f32 (N, …),
            which the caller owns.

        """
        ...


class Engine(Protocol):
    """Runs networks: OpenVINO on a CPU, TensorFlow under XLA on a GPU; same outputs."""

    @property
    def name(self) -> str:
        """``"openvino"`` or ``"tensorflow"``."""
        ...

    @property
    def lanes(self) -> int:
        """How many threads should bring batches for it to be busy: on a CPU a batch runs on one processor."""
        ...

    @property
    def batches(self) -> Batches:
        """How much it should get at once."""
        ...

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> Runner:
        """Make a network ready to run.

        Args:
            network: which one.
            precision: ``"bf16"`` is honoured where the processor has it, and by float16 on a GPU, which is as fast
                there and eight times as exact; the runner says what is really used.

        Raises:
            ModelError: the weights fail their checks, or the network cannot be converted.

        """
        ...

    def load_all(self, networks: Sequence[NetworkDefinition], *, precision: Precision = "f32") -> Sequence[Runner]:
        """Make several networks ready to run, in the order given; faster than one by one. See :meth:`load`."""
        ...


def build_model(build: str, weights: Weights, arguments: Sequence[str | int] = ()) -> "keras.Model":
    """Import a definition, build it with the Keras of this process and set its weights.

    Args:
        build: ``"module:function"``.
        weights: one array for each variable of the model, no more and no fewer.
        arguments: of the function.

    Raises:
        ModelError: names or shapes do not match.

    """
    module, _, function = build.partition(":")
    model: Any = getattr(import_module(module), function)(*arguments)
    variables = {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
    if variables.keys() != weights.keys():
        odd = sorted(variables.keys() ^ weights.keys())
        raise ModelError(f"the weights do not belong to {build}: {', '.join(odd[:4])} stand on one side only")
    for name, variable in variables.items():
        array = np.asarray(weights[name], np.float32)
        if tuple(variable.shape) != array.shape:
            raise ModelError(f"{name} of {build} must have the shape {tuple(variable.shape)}, got {array.shape}")
        variable.assign(array)
    return model
