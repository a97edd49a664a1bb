"""Where a run stands: everything that a step changes, in one NumPy archive that is replaced as a whole.

The archive is read without pickles. After a kill the run goes on from the last one, and gives the same numbers as if it
had never stopped: order and changes of the samples follow from seed, epoch and step.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.appearing import appearing_path
from annotator.errors import ConfigError, ModelError

MAX_STATE_BYTES: Final = 16 * 1024**3
"""Weights and two moments of each, of the largest network, are a tenth of it."""

_UNREADABLE: Final = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What an archive that is damaged, or made by somebody else, fails with."""

_FORMAT: Final = 1
_PROGRESS: Final = "progress"
_CROP: Final = "crop"


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What an epoch has brought.

    Attributes:
        epoch: counted from 1, as it is shown.
        rate: the learning rate.
        loss: mean loss of its steps, while learning.
        top1: share of training photographs whose person came first, while learning.
        val_loss: mean loss of the validation photographs; None without any.
        val_top1: share of them whose person comes first.
        val_top5: share of them whose person is among the first five.

    """

    epoch: int
    rate: float
    loss: float
    top1: float
    val_loss: float | None
    val_top1: float | None
    val_top5: float | None


@dataclass(slots=True)
class Progress:
    """How far a run has come; the only value here that changes.

    Attributes:
        decisive: settings that must not change while a run goes on.
        threads: that an operation may use; other numbers would be added in another order.
        epoch: whole epochs done.
        step: steps done of the epoch after them.
        loss_sum: sum of their losses.
        hits: training photographs in them whose person came first.
        window: steps since the last point of the curves, sum of their losses, and photographs whose person came first.
        best: number of the best epoch, from 1; 0 before there is one.
        results: of the whole epochs.

    """

    decisive: dict[str, Any]
    threads: int
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: float = 0.0
    window: tuple[int, float, float] = (0, 0.0, 0.0)
    best: int = 0
    results: list[EpochResult] = field(default_factory=list)

    def count(self, loss: float, hits: float) -> None:
        """Add a step."""
        self.loss_sum += loss
        self.hits += hits
        steps, loss_sum, hits_sum = self.window
        self.window = (steps + 1, loss_sum + loss, hits_sum + hits)

    def end_epoch(self, result: EpochResult) -> bool:
        """Add an epoch, and say whether it is the best so far."""
        is_better = self.is_better(result)
        self.results.append(result)
        self.epoch, self.step, self.loss_sum, self.hits = self.epoch + 1, 0, 0.0, 0.0
        if is_better:
            self.best = self.epoch
        return is_better

    def is_better(self, result: EpochResult) -> bool:
        """Whether an epoch is better than the best so far: by top-1, then by loss; without validation by loss alone."""
        return self.best == 0 or _rank(result) > _rank(self.results[self.best - 1])


def _rank(result: EpochResult) -> tuple[float, float]:
    if result.val_top1 is None or result.val_loss is None:
        return (0.0, -result.loss)
    return (result.val_top1, -result.val_loss)


def read_progress(path: Path) -> Progress | None:
    """Return how far a run has come; None where there is no checkpoint.

    Raises:
        ModelError: the file is no checkpoint.

    """
    if not path.exists():
        return None
    arrays = read_arrays(path, only=_PROGRESS)
    try:
        told = json.loads(bytes(arrays[_PROGRESS]))
        if told.pop("format") != _FORMAT:
            raise ModelError(f"{path} was written by another version: begin anew with --fresh")
        results = [EpochResult(**result) for result in told.pop("results")]
        return Progress(**(told | {"window": tuple(told["window"])}), results=results)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is no checkpoint: remove it, or begin anew with --fresh") from error


def check_goes_on(progress: Progress, decisive: Mapping[str, Any], *, path: Path) -> None:
    """Refuse to go on with other settings than a run was begun with.

    A run that was begun before crops were noted goes on with any: how its own were cut cannot be told.

    Raises:
        ConfigError: some differ; the message names them.

    """
    wanted, begun = json.loads(json.dumps(decisive)), progress.decisive
    if _CROP not in begun:
        wanted.pop(_CROP, None)
    differing = sorted(name for name in wanted | begun if wanted.get(name) != begun.get(name))
    if differing:
        raise ConfigError(
            f"{path} was begun with another {', '.join(differing)}: put it back, or begin anew with --fresh"
        )


def save_state(path: Path, progress: Progress, variables: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before stays until this one is whole.

    Raises:
        LocalDiskError: there is no room.

    """
    told = json.dumps({"format": _FORMAT, **asdict(progress)}).encode()
    arrays = {name: np.asarray(variable) for name, variable in variables.items()}
    with replacing(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{_PROGRESS: np.frombuffer(told, np.uint8)}, **arrays)
        stream.flush()
        os.fsync(stream.fileno())


def load_state(path: Path, variables: Mapping[str, Any]) -> None:
    """Set variables to those of a checkpoint.

    Raises:
        ModelError: it does not belong to them, or is no checkpoint.

    """
    arrays = read_arrays(path)
    arrays.pop(_PROGRESS, None)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise ModelError(f"{path} belongs to another network: put the experiment back, or begin anew with --fresh")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def replacing(path: Path) -> AbstractContextManager[Path]:
    """Give a path beside a file of a run, and put it in the file's place when all has gone well.

    Raises:
        LocalDiskError: the disk is full, or refuses.

    """
    return appearing_path(path, remedy="make room; the one before stays")


def read_arrays(path: Path, *, only: str | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """Read an archive of arrays, without pickles.

    Args:
        path: a file of ``numpy.savez``.
        only: the one array that is wanted; all by default.

    Raises:
        ModelError: there is none, or it is not whole, or too large.

    """
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(member.file_size for member in archive.infolist())
        if size_bytes > MAX_STATE_BYTES:
            raise ModelError(f"{path} is larger than any checkpoint: remove it, or begin anew with --fresh")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if only in {None, name}}
    except _UNREADABLE as error:
        what = type(error).__name__
        raise ModelError(f"{path} is no checkpoint ({what}): remove it, or begin anew with --fresh") from error
