"""Batches that do not fit into memory run in parts.

How much memory a device has left is known by nobody: other programs use it too. So a batch that does not fit is halved
until its parts do, and from then on batches of that shape run in such parts at once.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, Final

import numpy as np

from annotator.errors import AnnotatorError, DeviceMemoryError
from annotator.runtime.network import Pixels, Precision, Runner, Take
from annotator.types import F32

_log = logging.getLogger(__name__)

_SIGNS: Final = (
    "out of memory",
    "out_of_memory",
    "oom when allocating",
    "alloc_failed",
    "resource_exhausted",
    "resource exhausted",
    "failed to allocate",
    "dst tensor is not initialized",  # TensorFlow, of a batch that it had no room on a GPU to copy to
    "bad_alloc",
    "bad allocation",
    "cannot allocate memory",
    "could not allocate",
    "could not create a memory object",  # oneDNN, which OpenVINO uses on processors
    "cl_mem_object_allocation_failure",
    "cl_out_of_resources",
    "cl_out_of_host_memory",
    "exceeded max size of memory",
)
"""What the libraries below an engine say when memory runs out; in small letters."""


def tells_of_memory(error: BaseException) -> bool:
    """Say whether an error is one of memory, by its class or by what it says.

    >>> tells_of_memory(MemoryError()), tells_of_memory(RuntimeError("[GPU] CL_OUT_OF_RESOURCES"))
    (True, True)
    >>> tells_of_memory(RuntimeError("the shapes do not match"))
    False
    """
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    return any(sign in said for sign in _SIGNS)


@contextmanager
def memory_errors_told(
    message: str, *, is_memory_error: Callable[[BaseException], bool] = tells_of_memory
) -> Iterator[None]:
    """Turn whatever a library raises where memory runs out into the package's own error; others pass.

    Args:
        message: what does not fit, and what to do.
        is_memory_error: whether an error says that memory has run out.

    Raises:
        DeviceMemoryError: it has.

    """
    try:
        yield
    except AnnotatorError:
        raise
    except Exception as error:
        if not is_memory_error(error):
            raise
        raise DeviceMemoryError(message) from error


class HalvingRunner:
    """A runner that runs in parts what does not fit at once. Safe to call from several threads.

    Attributes:
        precision: that of the runner inside.

    """

    def __init__(
        self, runner: Runner, *, name: str, is_memory_error: Callable[[BaseException], bool] = tells_of_memory
    ) -> None:
        """Take a runner.

        Args:
            runner: runs one batch.
            name: of the network, for messages.
            is_memory_error: whether an error of the runner says that memory has run out.

        """
        self.precision: Precision = runner.precision
        self._runner = runner
        self._name = name
        self._is_memory_error = is_memory_error
        self._lock = Lock()
        self._largest: dict[tuple[int, ...], int] = {}

    def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
        """Run the network; see ``Runner``.

        Raises:
            DeviceMemoryError: not even one input fits.

        """
        largest = self._largest.get(batch.shape[1:])
        if largest is None or len(batch) <= largest:
            outputs = self._try(batch, take)
            if outputs is not None:
                return outputs
            largest = self._halve(batch.shape)
        outputs = self._in_parts(batch, largest)
        return outputs if take is None else take(outputs)

    def _try(self, batch: Pixels, take: Take | None) -> tuple[Any, ...] | None:
        """Run a batch; None if it does not fit. What the error holds on to is let go of before the next try."""
        try:
            return self._runner(batch, take and partial(_taken, take))
        except _TakingError as error:
            raise error.reason from None
        except Exception as error:
            if not self._is_memory_error(error):
                raise
            if len(batch) <= 1:
                raise DeviceMemoryError(
                    f"the device has no memory for a single input of the network {self._name}, "
                    f"{' x '.join(str(side) for side in batch.shape[1:])}: give it more, or let fewer programs use it"
                ) from error
        return None

    def _halve(self, shape: Sequence[int]) -> int:
        """Remember that a batch was too large; return how large its parts may be."""
        half = (shape[0] + 1) // 2
        with self._lock:
            known = self._largest.get(tuple(shape[1:]))
            self._largest[tuple(shape[1:])] = largest = half if known is None else min(half, known)
        if known is None:  # said once for each shape
            _log.warning(
                "A batch of %d does not fit into the memory of the device; the network %s runs in smaller ones.",
                shape[0],
                self._name,
            )
        return largest

    def _in_parts(self, batch: Pixels, largest: int) -> tuple[F32, ...]:
        """Run a batch in parts of one size, the last one padded: each size costs a compilation."""
        parts = []
        for start in range(0, len(batch), largest):
            part = batch[start : start + largest]
            padding = np.zeros((largest - len(part), *batch.shape[1:]), batch.dtype)
            outputs = self(np.concatenate([part, padding]) if len(padding) else part)
            parts.append([output[: len(part)] for output in outputs])
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))


class _TakingError(Exception):
    """What ``take`` raised, which says nothing of the device."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


def _taken(take: Take, outputs: tuple[F32, ...]) -> tuple[Any, ...]:
    try:
        return take(outputs)
    except Exception as error:
        raise _TakingError(error) from error
