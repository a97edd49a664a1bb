"""Scheduled retraining: beat says when, a worker of the queue ``trainer`` runs the command ``trainer retrain``.

The trainer and its networks stay out of this process: the command is a child, which ends with the worker.
"""

import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Final

from celery.schedules import crontab
from sqlalchemy import Engine

from annotator.errors import ConfigError
from annotator.settings import RetrainingSettings
from annotator.stack.child import ChildProcess
from annotator.store.connection import reading
from annotator.store.locks import try_lock
from annotator.store.retrainings import RETRAINING_LOCK, last_retraining, open_retraining

_LOGGER: Final = logging.getLogger(__name__)
_LOG: Final = "retrain.log"
_POLL_S: Final = 0.5
_STOP_S: Final = 90.0
_OK: Final = 0


def parse_cron(text: str) -> crontab:
    """Return the times of «minute hour day month weekday», in UTC.

    Raises:
        ConfigError: it is none.

    """
    try:
        times = crontab.from_string(text)
    except ValueError as error:
        raise ConfigError(
            f"ANNOTATOR_RETRAINING__CRON is {text!r}: it must be minute, hour, day, month and weekday, such as"
            f" «0 3 * * 1» for Mondays at 3 h UTC ({error})"
        ) from error
    times.nowfun = lambda: datetime.now(UTC)
    return times


class Retrainer:
    """Knows when a retraining is to begin or to go on, and runs it."""

    def __init__(self, engine: Engine, settings: RetrainingSettings, *, stopping: threading.Event) -> None:
        """Take the settings; without a cron, nothing is ever due.

        Args:
            engine: of the database.
            settings: when, and of which experiment.
            stopping: set when this process is to end.

        Raises:
            ConfigError: the cron is none, or no experiment is named.

        """
        self._engine = engine
        self._settings = settings
        self._stopping = stopping
        self._since = datetime.now(UTC)
        self._times = None if settings.cron is None else parse_cron(settings.cron)
        if self._times is not None and settings.experiment is None:
            raise ConfigError("ANNOTATOR_RETRAINING__CRON is set: ANNOTATOR_RETRAINING__EXPERIMENT must be, too")

    def is_due(self) -> bool:
        """Say whether a run was cut off, or one should have begun since the last one did."""
        if self._times is None or self._settings.experiment is None:
            return False
        with reading(self._engine) as connection:
            if open_retraining(connection) is not None:
                return try_lock(connection, RETRAINING_LOCK)  # it was cut off; else whoever is at it holds the lock
            last = last_retraining(connection, self._settings.experiment)
        return bool(self._times.is_due(self._since if last is None else last.started_at).is_due)

    def run(self) -> None:
        """Begin a run or go on with it; what it says goes to a log in the folder of the experiment."""
        experiment = self._settings.experiment
        if experiment is None or not self.is_due():  # a message that came late
            return
        folder = self._settings.workdir / experiment / "retraining"
        folder.mkdir(parents=True, exist_ok=True)
        call = "import sys; from trainer.cli import run; sys.exit(run(sys.argv[1:]))"
        command = [sys.executable, "-c", call, "retrain", experiment, "--workdir", str(self._settings.workdir)]
        child = ChildProcess("retraining", [*command, "--scheduled"], log_path=folder / _LOG)
        _LOGGER.info("Retraining of %s: see %s.", experiment, folder / _LOG)
        try:
            while (code := child.returncode()) is None and not self._stopping.wait(_POLL_S):
                pass
        finally:
            child.stop(timeout_s=_STOP_S)
        if code not in {_OK, None}:
            _LOGGER.warning("Retraining of %s has ended with %d: %s", experiment, code, child.log_tail())
