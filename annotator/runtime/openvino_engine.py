"""The engine of the CPU: OpenVINO, without Keras or TensorFlow in the process."""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from mmap import ACCESS_COPY, MADV_DONTNEED, mmap
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, Final

import numpy as np

from annotator.errors import ModelError
from annotator.native import FirstLayer
from annotator.runtime.arenas import limit_arenas
from annotator.runtime.batches import SMALL, Batches
from annotator.runtime.blas import keep_blas_to_one_thread
from annotator.runtime.conversion import DIRECT_FILE, converted, weights_of
from annotator.runtime.first_layer import has_slow_first_layers, take_first_layer
from annotator.runtime.halving import HalvingRunner
from annotator.runtime.kernels import has_quick_direct
from annotator.runtime.network import NetworkDefinition, Pixels, Precision, Take
from annotator.runtime.quiet import forbid_telemetry
from annotator.types import F32

forbid_telemetry()
import openvino  # noqa: E402 - only now

MAX_SHAPES: Final = 8
"""Batches of so many shapes are kept compiled for each network; the one unused for longest goes first."""

MAX_SMALL_BYTES: Final = 4 << 20
"""Weights of a network that each thread has a compiled model of for itself: the largest of the cascade has 1.6 MB.
Those of SFace, 37 MB, are shared; to wake a thread is nothing beside one of its batches."""

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


def start_openvino() -> openvino.Core:
    """Start OpenVINO, so that several threads may have their first inference at once."""
    core = openvino.Core()
    with _FILLING:
        _fill_tables_of_the_binding()
    return core


class OpenvinoEngine:
    """Runs networks on a CPU.

    A batch runs on one thread: the networks are small, and two batches side by side keep two processors busier than
    one batch on both. It is the caller's own thread where a network is small, so that nobody is woken for two
    milliseconds, and what was drawn for it is in that processor's caches; more threads than lanes take turns.

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
        keep_blas_to_one_thread()
        self._core = start_openvino()
        self._turns = BoundedSemaphore(self.lanes)

    def load(self, network: NetworkDefinition, *, precision: Precision = "f32") -> HalvingRunner:
        """Make a network ready to run; see ``Engine``."""
        return self.load_all([network], precision=precision)[0]

    def load_all(self, networks: Sequence[NetworkDefinition], *, precision: Precision = "f32") -> list[HalvingRunner]:
        """Make several networks ready to run; those that the cache has not are converted by one child process."""
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        used: Precision = "bf16" if precision == "bf16" and has_bf16 else "f32"
        paths = converted(networks, self._cache_dir)
        read = [self._read(network, path, used) for network, path in zip(networks, paths, strict=True)]
        runners = [OpenvinoRunner(self._core, one, self._turns, lanes=self.lanes, precision=used) for one in read]
        return [HalvingRunner(runner, name=network.name) for network, runner in zip(networks, runners, strict=True)]

    def _read(self, network: NetworkDefinition, path: Path, precision: Precision) -> "_ReadNetwork":
        name, capabilities = (
            self._core.get_property("CPU", what) for what in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
        )
        is_direct = network.direct_on_amd and has_quick_direct(name, capabilities)
        graph = path.with_name(DIRECT_FILE) if is_direct else path
        try:
            is_split = has_slow_first_layers(name, precision)
            return _ReadNetwork(self._core, graph, weights_of(path), is_split=is_split)
        except (RuntimeError, OSError, ValueError) as error:
            raise ModelError(
                f"the converted network {network.name} cannot be read: {error}; remove {path.parent} and try again"
            ) from error


class _ReadNetwork:
    """A network as read, whose weights are pages of their file, so many ``bytes``.

    Its ``first_layer`` may stand beside the graph, which then begins behind it.
    """

    def __init__(self, core: openvino.Core, graph: Path, weights: Path, *, is_split: bool) -> None:
        with weights.open("rb") as file:
            # OpenVINO takes no memory that is for reading only, though it writes nothing.
            self._weights = mmap(file.fileno(), 0, access=ACCESS_COPY)
        self.bytes = len(self._weights)
        tensor = openvino.Tensor(np.frombuffer(self._weights, np.uint8), shared_memory=True)
        self._model = core.read_model(graph.read_bytes(), tensor)
        self.first_layer = take_first_layer(self._model) if is_split else None

    def of_shape(self, shape: tuple[int, ...]) -> openvino.Model:
        """Return the graph for one shape of batch."""
        model = self._model.clone()
        model.reshape(list(self.first_layer.shape_of(shape) if self.first_layer else shape))
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
        self,
        core: openvino.Core,
        network: _ReadNetwork,
        turns: BoundedSemaphore,
        *,
        lanes: int,
        precision: Precision,
    ) -> None:
        """Take a network as read; nothing is compiled yet."""
        self.precision: Precision = precision
        self._core = core
        self._network = network
        self._is_small = network.bytes <= MAX_SMALL_BYTES
        # Streams bound what runs side by side, too.
        self._turns: AbstractContextManager[object] = turns if self._is_small else nullcontext()
        self._settings: dict[str, Any] = {
            # Left to itself, OpenVINO computes in bf16 where the processor has it.
            "INFERENCE_PRECISION_HINT": precision,
            # Without streams a model computes in the thread that asks; they have threads, and share the weights.
            "NUM_STREAMS": 0 if self._is_small else lanes,
            "INFERENCE_NUM_THREADS": 1 if self._is_small else lanes,
            "ENABLE_CPU_PINNING": False,
            # No CACHE_DIR: what OpenVINO keeps there saves nothing measurable here, and is not checked when read.
        }
        self._lock = Lock()
        self._requests: OrderedDict[tuple[int, ...], _Requests] = OrderedDict()

    def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
        """Run the network; see ``Runner``."""
        with self._turns, self._for_shape(batch.shape).one() as request:
            return request.run(batch, take or _copies)

    def _for_shape(self, shape: tuple[int, ...]) -> "_Requests":
        with self._lock:
            if shape not in self._requests:
                self._requests[shape] = _Requests(self._maker(shape))
            self._requests.move_to_end(shape)
            while len(self._requests) > MAX_SHAPES:
                self._requests.popitem(last=False)
            return self._requests[shape]

    def _maker(self, shape: tuple[int, ...]) -> Callable[[], "_Request"]:
        """Return what makes a request: of a model of its own, or of the one that all share."""
        if not self._is_small:
            shared = self._compile(shape)
            return lambda: _Request(shared, self._network.first_layer)

        def make() -> _Request:
            with self._lock:
                return _Request(self._compile(shape), self._network.first_layer)

        return make

    def _compile(self, shape: tuple[int, ...]) -> openvino.CompiledModel:
        model = self._core.compile_model(self._network.of_shape(shape), "CPU", self._settings)
        self._network.let_go()
        return model


class _Request:
    """An infer request, which reads its batch where it lies if it can."""

    def __init__(self, model: openvino.CompiledModel, first_layer: FirstLayer | None) -> None:
        self._request = model.create_infer_request()
        self._own = self._request.input_tensors[0]
        self._first_layer = first_layer

    def run(self, batch: Pixels, take: Take) -> tuple[Any, ...]:
        if self._first_layer is not None:
            self._first_layer.into(self._own.data, np.require(batch, np.float32, ["C", "A"]))
        elif batch.dtype == np.float32 and batch.flags.c_contiguous and batch.flags.writeable:
            self._request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
        else:
            np.copyto(self._own.data, batch)
            self._request.set_input_tensor(self._own)
        self._request.infer(share_outputs=True)
        outputs = tuple(tensor.data for tensor in self._request.output_tensors)
        for output in outputs:
            output.flags.writeable = False
        return take(outputs)


def _copies(outputs: tuple[F32, ...]) -> tuple[F32, ...]:
    return tuple(np.array(output) for output in outputs)


class _Requests:
    """The free requests for one shape: one for each thread that runs the network at the same time."""

    def __init__(self, make: Callable[[], _Request]) -> None:
        self._make = make
        self._free: list[_Request] = []  # append and pop are atomic

    @contextmanager
    def one(self) -> Iterator[_Request]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self._make()
        try:
            yield request
        finally:
            self._free.append(request)
