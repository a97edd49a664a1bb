"""The engine of the CPU: OpenVINO, without Keras or TensorFlow in the process."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from mmap import ACCESS_COPY, MADV_DONTNEED, mmap
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from annotator.errors import ModelError
from annotator.runtime.arenas import limit_arenas
from annotator.runtime.batches import SMALL, Batches
from annotator.runtime.conversion import DIRECT_FILE, converted, weights_of
from annotator.runtime.halving import HalvingRunner
from annotator.runtime.kernels import has_quick_direct
from annotator.runtime.network import NetworkDefinition, Precision
from annotator.runtime.quiet import forbid_telemetry
from annotator.types import F32

forbid_telemetry()
import openvino  # noqa: E402 - only now

MAX_SHAPES: Final = 8
"""Batches of so many shapes are kept compiled for each network; the one unused for longest goes first."""


_MIN_ARENAS: Final = 2
"""Of the allocator: with one for each lane, threads do not wait for each other."""


def _fill_tables_of_the_binding() -> None:
    """Let one thread fill OpenVINO's tables of types before several threads need them.

    The binding (2026.4) fills them on first use, under a lock that it takes while it holds the interpreter's, and lets
    go of the latter meanwhile: two threads whose first inference comes at the same moment wait for each other for ever.
    """
    for element_type in (openvino.Type.f32, openvino.Type.bf16, openvino.Type.u8):
        openvino.Tensor(element_type, [1]).get_element_type().to_dtype()
    openvino.Tensor(np.zeros(1, np.float32), shared_memory=True)


_FILLING: Final = Lock()
"""Held while the tables are filled, as engines may be made in several threads."""


class OpenvinoEngine:
    """Runs networks on a CPU.

    A batch runs on one thread: the networks are small, and two batches side by side keep two processors busier than
    one batch on both.

    Args:
        threads: how many batches may run side by side; by default as many as processors this process may use.
        cache_dir: folder for converted networks; made if missing.

    Attributes:
        lanes: how many batches run side by side.
        batches: how much it should get at once.

    """

    name: Final = "openvino"

    def __init__(self, *, threads: int | None, cache_dir: Path) -> None:
        """Start OpenVINO; nothing is loaded yet."""
        self.lanes = threads or len(os.sched_getaffinity(0))
        self.batches: Batches = SMALL
        self._cache_dir = cache_dir
        limit_arenas(max(_MIN_ARENAS, self.lanes))
        self._core = openvino.Core()
        with _FILLING:
            _fill_tables_of_the_binding()

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> HalvingRunner:
        """Make a network ready to run; see ``Engine``."""
        return self.load_all([network], precision=precision)[0]

    def load_all(self, networks: Sequence[NetworkDefinition], *, precision: Precision = "f32") -> list[HalvingRunner]:
        """Make several networks ready to run; those that the cache has not are converted by one child process."""
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        used: Precision = "bf16" if precision == "bf16" and has_bf16 else "f32"
        settings: dict[str, Any] = {
            # Left to itself, OpenVINO computes in bf16 where the processor has it.
            "INFERENCE_PRECISION_HINT": used,
            "NUM_STREAMS": self.lanes,
            "INFERENCE_NUM_THREADS": self.lanes,
            "ENABLE_CPU_PINNING": False,
            # No CACHE_DIR: what OpenVINO keeps there saves nothing measurable here, and is not checked when read.
        }
        paths = converted(networks, self._cache_dir)
        read = [self._read(network, path) for network, path in zip(networks, paths, strict=True)]
        runners = [OpenvinoRunner(self._core, one, settings, precision=used) for one in read]
        return [HalvingRunner(runner, name=network.name) for network, runner in zip(networks, runners, strict=True)]

    def _read(self, network: NetworkDefinition, path: Path) -> "_ReadNetwork":
        is_direct = network.direct_on_amd and has_quick_direct(
            self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        )
        try:
            return _ReadNetwork(self._core, path.with_name(DIRECT_FILE) if is_direct else path, weights_of(path))
        except (RuntimeError, OSError, ValueError) as error:
            raise ModelError(
                f"the converted network {network.name} cannot be read: {error}; remove {path.parent} and try again"
            ) from error


class _ReadNetwork:
    """A network as read, whose weights are pages of their file."""

    def __init__(self, core: openvino.Core, graph: Path, weights: Path) -> None:
        with weights.open("rb") as file:
            # OpenVINO takes no memory that is for reading only, though it writes nothing.
            self._weights = mmap(file.fileno(), 0, access=ACCESS_COPY)
        tensor = openvino.Tensor(np.frombuffer(self._weights, np.uint8), shared_memory=True)
        self._model = core.read_model(graph.read_bytes(), tensor)

    def of_shape(self, shape: Sequence[int]) -> openvino.Model:
        """Return the network for one shape of batch."""
        model = self._model.clone()
        model.reshape(list(shape))
        return model

    def let_go(self) -> None:
        """Give the memory of the weights back: what is compiled has them once more, in the order of its kernels.

        Where one is needed after all, the system brings its page again, from the file as it was opened: a file of the
        cache is never changed in place, a new one is renamed into its place.
        """
        with suppress(OSError):  # pages that somebody has locked stay
            self._weights.madvise(MADV_DONTNEED)


class OpenvinoRunner:
    """One network, compiled for each shape of batch; a fixed shape runs about twice as fast as a free one.

    Attributes:
        precision: what is really used.

    """

    def __init__(
        self, core: openvino.Core, network: _ReadNetwork, settings: dict[str, Any], *, precision: Precision
    ) -> None:
        """Take a network as read; nothing is compiled yet."""
        self.precision: Precision = precision
        self._core = core
        self._network = network
        self._settings = settings
        self._lock = Lock()
        self._compiled: OrderedDict[tuple[int, ...], _Compiled] = OrderedDict()

    def __call__(self, batch: F32) -> tuple[F32, ...]:
        """Run the network; see ``Runner``."""
        with self._for_shape(batch.shape).request() as request:
            np.copyto(request.input_tensors[0].data, batch)
            request.infer(share_outputs=True)
            return tuple(np.array(tensor.data) for tensor in request.output_tensors)

    def _for_shape(self, shape: tuple[int, ...]) -> "_Compiled":
        with self._lock:
            if shape not in self._compiled:
                model = self._core.compile_model(self._network.of_shape(shape), "CPU", self._settings)
                self._network.let_go()
                self._compiled[shape] = _Compiled(model)
            self._compiled.move_to_end(shape)
            while len(self._compiled) > MAX_SHAPES:
                self._compiled.popitem(last=False)
            return self._compiled[shape]


class _Compiled:
    """A compiled network and its free infer requests: one for each thread that runs it at the same time."""

    def __init__(self, model: openvino.CompiledModel) -> None:
        self._model = model
        self._free: list[Any] = []  # append and pop are atomic

    @contextmanager
    def request(self) -> Iterator[Any]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self._model.create_infer_request()
        try:
            yield request
        finally:
            self._free.append(request)
