"""How much the networks compute, and how much the machine can."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

MATRIX: Final = 2048
"""Side of the matrices whose product is the machine's peak."""

_SFACE: Final = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Width and stride of SFace's thirteen pairs of a depthwise and a pointwise convolution."""


def convolution(side_hw: tuple[int, int], kernel: int, given: int, width: int) -> float:
    """Return the operations of a convolution: a product and a sum for each weight and place of its output."""
    return 2.0 * side_hw[0] * side_hw[1] * kernel * kernel * given * width


def pnet(height: int, width: int) -> float:
    """Return the operations of P-Net for one picture."""
    h, w = height - 2, width - 2
    total = convolution((h, w), 3, 3, 10)
    h, w = -(-h // 2) - 2, -(-w // 2) - 2
    total += convolution((h, w), 3, 10, 16)
    h, w = h - 2, w - 2
    return total + convolution((h, w), 3, 16, 32) + convolution((h, w), 1, 32, 5)


def rnet(*_: int) -> float:
    """Return the operations of R-Net for one candidate."""
    layers = ((22, 3, 3, 28), (9, 3, 28, 48), (3, 2, 48, 64), (1, 3, 64, 128), (1, 1, 128, 6))
    return sum(convolution((side, side), kernel, given, width) for side, kernel, given, width in layers)


def onet(*_: int) -> float:
    """Return the operations of O-Net for one candidate."""
    layers = ((46, 3, 3, 32), (21, 3, 32, 64), (8, 3, 64, 64), (3, 2, 64, 128), (1, 3, 128, 256), (1, 1, 256, 16))
    return sum(convolution((side, side), kernel, given, width) for side, kernel, given, width in layers)


def sface(*_: int) -> float:
    """Return the operations of SFace for one face."""
    side, given = 112, 32
    total = convolution((side, side), 3, 3, given)
    for width, stride in _SFACE:
        side //= stride
        total += convolution((side, side), 3, 1, given) + convolution((side, side), 1, given, width)
        given = width
    return total + convolution((1, 1), side, given, 128)


OPERATIONS: Final = {"pnet": pnet, "rnet": rnet, "onet": onet, "sface": sface}
"""Of one input, by its height and width."""


class CountingEngine:
    """An engine whose networks count what they are given; the network itself is another engine's."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401 - any engine
        """Take the engine that does the work."""
        self._engine = engine
        self._inputs: dict[tuple[str, str, int, int], int] = defaultdict(int)
        self.precisions: set[str] = set()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else the engine has
        return getattr(self._engine, name)

    def load(self, network: Any, *, precision: Any = "f32") -> Any:  # noqa: ANN401 - as the engine's
        """Load a network; see the engine's."""
        return self.load_all([network], precision=precision)[0]

    def load_all(self, networks: Sequence[Any], *, precision: Any = "f32") -> list[Any]:  # noqa: ANN401 - as the engine's
        """Load networks; see the engine's."""
        runners = self._engine.load_all(networks, precision=precision)
        self.precisions |= {runner.precision for runner in runners}
        return [_CountingRunner(self, network.name, runner) for network, runner in zip(networks, runners, strict=True)]

    def count(self, name: str, precision: str, shape: tuple[int, ...]) -> None:
        """Note a batch."""
        with self._lock:
            self._inputs[name, precision, shape[1], shape[2]] += shape[0]

    def forget(self) -> None:
        """Begin anew."""
        self._inputs.clear()

    def gflop(self) -> dict[str, dict[str, float]]:
        """Return what each network has computed since then, in 10^9 operations by precision; padding counts, too."""
        return work_gflop(self._inputs)


class _CountingRunner:
    """A network that counts what it is given."""

    def __init__(self, engine: CountingEngine, name: str, runner: Any) -> None:  # noqa: ANN401 - as above
        self._engine, self._name, self._runner = engine, name, runner

    def __call__(self, batch: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - as the runner's
        self._engine.count(self._name, self._runner.precision, batch.shape)
        return self._runner(batch, *rest, **named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else the runner has
        return getattr(self._runner, name)


def work_gflop(inputs: Mapping[tuple[str, str, int, int], int]) -> dict[str, dict[str, float]]:
    """Return 10^9 operations by network and precision, for so many inputs of (network, precision, height, width)."""
    total: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (name, precision, height, width), count in inputs.items():
        if name not in OPERATIONS:
            raise SystemExit(f"benchmarks/speed/work.py does not know how much the network {name} computes")
        total[name][precision] += count * OPERATIONS[name](height, width) / 1e9
    return {name: dict(found) for name, found in total.items()}


def peak_gflop_per_s(precision: str, threads: int, *, turns: int = 7) -> float:
    """Measure the machine's peak: a large matrix product through OpenVINO, the best of a few turns."""
    import openvino  # noqa: PLC0415 - heavy, and not for every work
    from openvino import opset13  # noqa: PLC0415 - as above

    left = opset13.parameter([MATRIX, MATRIX], np.float32)
    right = opset13.constant(np.random.default_rng(0).standard_normal((MATRIX, MATRIX), np.float32))
    model = openvino.Model([opset13.matmul(left, right, False, False)], [left])
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    given = np.random.default_rng(1).standard_normal((MATRIX, MATRIX), np.float32)
    seconds = []
    for _ in range(turns):
        began_s = time.perf_counter()
        request.infer({0: given}, share_inputs=True, share_outputs=True)
        seconds.append(time.perf_counter() - began_s)
    return float(2 * MATRIX**3 / min(seconds) / 1e9)
