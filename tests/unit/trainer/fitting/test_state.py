"""Checkpoints: whole or not there, and never trusted."""

import errno
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.errors import ConfigError, LocalDiskError, ModelError
from trainer.fitting.state import EpochResult, Progress, check_goes_on, load_state, read_progress, replacing, save_state


class _Variable:
    """What a Keras variable is to a checkpoint."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)
        self.shape = self.value.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value

    def assign(self, value: Any) -> None:
        self.value = value


def _result(epoch: int, top1: float | None, loss: float = 1.0) -> EpochResult:
    return EpochResult(epoch, 0.001, loss, 0.5, None if top1 is None else loss, top1, top1)


def _saved(path: Path) -> dict[str, _Variable]:
    variables = {"network/0000": _Variable(np.arange(6, dtype=np.float32).reshape(2, 3)), "loss/0000": _Variable(3)}
    progress = Progress({"seed": 1, "parts": (4, 7)}, threads=2, epoch=1, step=3, loss_sum=1 / 3, hits=7.0)
    progress.results.append(_result(1, 0.25))
    save_state(path, progress, variables)
    return variables


def test_a_checkpoint_gives_back_every_number_that_it_was_given(tmp_path: Path) -> None:
    saved = _saved(tmp_path / "last.npz")
    empty = {name: _Variable(np.zeros_like(variable.value)) for name, variable in saved.items()}

    load_state(tmp_path / "last.npz", empty)
    progress = read_progress(tmp_path / "last.npz")

    assert all(np.array_equal(empty[name].value, saved[name].value) for name in saved)
    assert progress is not None
    assert (progress.epoch, progress.step, progress.loss_sum, progress.threads) == (1, 3, 1 / 3, 2)
    assert progress.results == [_result(1, 0.25)]
    assert [path.name for path in tmp_path.iterdir()] == ["last.npz"]


def test_without_a_checkpoint_there_is_no_progress(tmp_path: Path) -> None:
    assert read_progress(tmp_path / "last.npz") is None


def test_a_run_does_not_go_on_with_other_settings(tmp_path: Path) -> None:
    _saved(tmp_path / "last.npz")
    progress = read_progress(tmp_path / "last.npz")
    assert progress is not None

    check_goes_on(progress, {"seed": 1, "parts": (4, 7)}, path=tmp_path)
    with pytest.raises(ConfigError, match="begun with another seed"):
        check_goes_on(progress, {"seed": 2, "parts": (4, 7)}, path=tmp_path)


def test_a_run_from_before_crops_were_noted_goes_on(tmp_path: Path) -> None:
    before = Progress({"seed": 1}, threads=2)

    check_goes_on(before, {"seed": 1, "crop": '{"kind": "box"}'}, path=tmp_path)
    with pytest.raises(ConfigError, match="begun with another crop"):
        check_goes_on(Progress({"seed": 1, "crop": ""}, threads=2), {"seed": 1, "crop": "box"}, path=tmp_path)


def test_the_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    _saved(tmp_path / "last.npz")

    with pytest.raises(ModelError, match="another network"):
        load_state(tmp_path / "last.npz", {"network/0000": _Variable(np.zeros((3, 2), np.float32))})


class _Bomb:
    def __reduce__(self) -> Any:
        return Path("exploded").write_text, ("",)


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps(_Bomb())], ids=["empty", "text", "pickle"])
def test_what_is_no_checkpoint_is_an_error_of_one_line_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.npz"
    path.write_bytes(content)

    with pytest.raises(ModelError, match="is no checkpoint") as caught:
        read_progress(path)

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_pickled_arrays_in_a_checkpoint_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.npz"
    np.savez(path, progress=np.array([_Bomb()], dtype=object))

    with pytest.raises(ModelError, match="is no checkpoint"):
        read_progress(path)

    assert not (tmp_path / "exploded").exists()


def test_an_archive_without_progress_is_no_checkpoint(tmp_path: Path) -> None:
    nested = np.frombuffer(b"[" * 100_000, np.uint8)
    for arrays in ({"other": np.zeros(3)}, {"progress": np.zeros(3, np.uint8)}, {"progress": nested}):
        np.savez(tmp_path / "last.npz", allow_pickle=False, **arrays)

        with pytest.raises(ModelError, match="is no checkpoint"):
            read_progress(tmp_path / "last.npz")


def test_a_checkpoint_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.npz"
    _saved(path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ModelError, match="is no checkpoint"):
        read_progress(path)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def fill() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(LocalDiskError, match="make room"):
        fill()

    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_best_epoch_has_the_highest_top_1_and_then_the_smallest_loss() -> None:
    progress = Progress({}, threads=1)

    better = [
        progress.end_epoch(result)
        for result in (_result(1, 0.5, 2.0), _result(2, 0.5, 1.0), _result(3, 0.4, 0.1), _result(4, 0.6, 3.0))
    ]

    assert better == [True, True, False, True]
    assert progress.best == 4


def test_without_validation_photographs_the_smallest_loss_is_best() -> None:
    progress = Progress({}, threads=1)

    assert [progress.end_epoch(_result(1 + i, None, loss)) for i, loss in enumerate((2.0, 1.0, 1.5))] == [
        True,
        True,
        False,
    ]
