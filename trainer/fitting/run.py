"""The loop: steps, epochs, checkpoints, curves, and when to stop."""

import csv
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any, Final

import tensorflow as tf

from trainer.experiment import Experiment
from trainer.fitting.board import Board
from trainer.fitting.input import Feed
from trainer.fitting.places import BOARD_FOLDER, HISTORY_FILE, MODEL_FOLDER, STATE_FILE, keep_crop
from trainer.fitting.state import EpochResult, Progress, replacing, save_state
from trainer.fitting.step import Learner
from trainer.fitting.weights import save_fitted, save_whole
from trainer.workdir import Experiment as Places

_log: Final = logging.getLogger("trainer.fit")

IsEnough = Callable[[int], bool]
"""Asked after each step, with the number of steps of this process; true ends it with a checkpoint."""


class Run:
    """One process's part of a run."""

    def __init__(
        self,
        places: Places,
        experiment: Experiment,
        *,
        learner: Learner,
        feeds: tuple[Feed, Feed],
        people: tuple[str, ...],
        progress: Progress,
    ) -> None:
        """Take what has been built and loaded.

        Args:
            places: where results go.
            experiment: what is fitted.
            learner: stands where the progress says.
            feeds: of the training and the validation photographs.
            people: names of the classes.
            progress: how far the run has come; is moved on.

        """
        self._places = places
        self._experiment = experiment
        self._learner = learner
        self._train, self._val = feeds
        self._people = people
        self._progress = progress
        self._pending: list[Any] = []  # results of steps that the device may not yet have done
        self._pace = _Pace()
        self._board = Board(places.folder / BOARD_FOLDER, step=self._steps_done)

    def go(self, is_enough: IsEnough) -> bool:
        """Learn until the schedule is over; the network is then the best one.

        Returns:
            Whether it is; false where it was enough before.

        Raises:
            InputError: a crop cannot be read.
            LocalDiskError: the disk is full; the last checkpoint stays.

        """
        try:
            while self._progress.epoch < self._experiment.schedule.epochs and not self._is_at_rest():
                if not self._epoch(is_enough):
                    return False
            save_whole(self._places.folder / MODEL_FOLDER, self._learner.built)
        except tf.errors.OpError as error:
            for feed in (self._train, self._val):
                if feed.error is not None:
                    raise feed.error from error
            raise
        finally:
            self._board.close()
        return True

    def _is_at_rest(self) -> bool:
        patience = self._experiment.schedule.patience_epochs
        if patience is None or self._progress.epoch - self._progress.best < patience:
            return False
        _log.info("no better for %d epochs: the fit ends; epoch %d was the best", patience, self._progress.best)
        return True

    def _epoch(self, is_enough: IsEnough) -> bool:
        progress, schedule = self._progress, self._experiment.schedule
        self._learner.set_rate(schedule.rate_of(progress.epoch))
        batches = self._learner.spread(self._train.epoch(progress.epoch, first_step=progress.step))
        for samples, labels in batches:
            self._pending.append(self._learner.step(samples, labels))
            progress.step += 1
            self._pace.count(self._settle)
            if progress.step % schedule.log_every_steps == 0:
                self._tell_step()
            if is_enough(self._pace.steps):
                self._save()
                done = (progress.step, progress.epoch + 1)
                _log.info("interrupted after %d steps of epoch %d: fit again to go on", *done)
                return False
            if progress.step % schedule.save_every_steps == 0:
                self._settle()
                with self._pace.at_rest():
                    self._save()
        self._settle()
        with self._pace.at_rest():
            self._end_epoch()
        return True

    def _end_epoch(self) -> None:
        progress = self._progress
        count = self._train.steps * self._train.batch
        has_val = len(self._val.samples.labels) > 0
        seen = self._learner.evaluate(self._val) if has_val else None
        result = EpochResult(
            epoch=progress.epoch + 1,
            rate=self._experiment.schedule.rate_of(progress.epoch),
            loss=progress.loss_sum / self._train.steps,
            top1=progress.hits / count,
            val_loss=seen.loss if seen else None,
            val_top1=seen.top1 if seen else None,
            val_top5=seen.top5 if seen else None,
        )
        if progress.end_epoch(result):
            folder = self._places.folder / MODEL_FOLDER
            save_fitted(folder, self._learner.built, self._experiment.network, self._people)
            keep_crop(self._places)
        self._write_history()
        self._tell_epoch(result)
        self._save()  # last: whatever a kill cuts off before it is done again

    def _save(self) -> None:
        """Write a checkpoint; after the best network, so that a kill in between is made up for."""
        self._settle()
        save_state(self._places.folder / MODEL_FOLDER / STATE_FILE, self._progress, self._learner.variables())

    def _settle(self) -> None:
        """Wait for the steps that are under way, and count them in their order."""
        for pending in self._pending:
            loss, hits = pending.numpy().tolist()
            self._progress.count(loss, hits)
        self._pending.clear()

    @property
    def _steps_done(self) -> int:
        return self._progress.epoch * self._train.steps + self._progress.step

    def _tell_step(self) -> None:
        self._settle()
        steps, loss, hits = self._progress.window
        self._progress.window = (0, 0.0, 0.0)
        top1 = hits / (steps * self._train.batch)
        per_s = self._pace.per_s * self._train.batch
        curves = {"train/loss": loss / steps, "train/top1": top1, "images_per_s": per_s}
        self._board.write(self._steps_done, curves)
        left = self._experiment.schedule.epochs * self._train.steps - self._steps_done
        _log.info(
            "epoch %d/%d, step %d/%d: loss %.4f, top-1 %.3f, %s images/s, time left at most: %s",
            self._progress.epoch + 1,
            self._experiment.schedule.epochs,
            self._progress.step,
            self._train.steps,
            loss / steps,
            top1,
            f"{per_s:.{0 if per_s >= 10 else 1}f}",
            _spell(left / self._pace.per_s) if self._pace.per_s else "unknown",
        )

    def _tell_epoch(self, result: EpochResult) -> None:
        values = {name: value for name, value in asdict(result).items() if value is not None and name != "epoch"}
        self._board.write(self._steps_done, {f"epoch/{name}": value for name, value in values.items()})
        self._board.show_centres(self._learner.centres(), self._people)
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        mark = " (the best so far)" if self._progress.best == result.epoch else ""
        _log.info("epoch %d/%d done: %s%s", result.epoch, self._experiment.schedule.epochs, told, mark)

    def _write_history(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [field.name for field in fields(EpochResult)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(result) for result in self._progress.results)
        with replacing(self._places.folder / HISTORY_FILE) as part:
            part.write_text(text.getvalue(), encoding="utf-8")


class _Pace:
    """How fast steps go; the first, which compiles, does not count, nor do looks and checkpoints in between."""

    def __init__(self) -> None:
        self.steps = 0
        self._since = 0.0

    def count(self, settle: Callable[[], None]) -> None:
        """Count a step; the first one is waited for."""
        self.steps += 1
        if self.steps == 1:
            settle()
            self._since = time.monotonic()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Leave out the time that something else takes; all steps must be settled."""
        begin = time.monotonic()
        yield
        self._since += time.monotonic() - begin

    @property
    def per_s(self) -> float:
        """Steps a second; 0 before there are two."""
        return (self.steps - 1) / max(time.monotonic() - self._since, 1e-6)


def _spell(duration_s: float) -> str:
    """Return a duration in words, rounded.

    >>> _spell(5040), _spell(7440)
    ('84 min', '2 h 4 min')
    """
    minutes = round(duration_s / 60)
    if duration_s < 90:
        return f"{duration_s:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
