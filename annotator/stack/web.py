"""``annotator web`` as a child process, without which the stack can do."""

import contextlib
import logging
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError
from annotator.stack.child import ChildProcess

_LOGGER: Final = logging.getLogger(__name__)
# Of the extra ``web``, as they are imported.
_PACKAGES: Final = ("argon2", "jinja2", "python_multipart", "starlette", "uvicorn")
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 15.0
# Before it is started again: twice as long each time, until one has lived for a while.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_LONG_LIFE_S: Final = 60.0


def is_web_installed() -> bool:
    """Say whether the extra ``web`` is there, without importing it."""
    return all(find_spec(package) is not None for package in _PACKAGES)


class WebChild:
    """The web application over the stack's database, and the file that says where it is.

    Attributes:
        address_file: there while it answers.
        child: the process that was started last.
        stop_timeout_s: how long it may take to stop.

    """

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            folder: gets ``web.log``, and ``web.address`` while it runs.
            port: a free port.
            environment: with which it reaches database and buckets.

        """
        self._folder = folder
        self._port = port
        self._environment = environment
        self._pause_s = _FIRST_PAUSE_S
        self._due_s: float | None = None
        self._told = ""
        self.address_file = folder / "web.address"
        self.stop_timeout_s = _STOP_TIMEOUT_S
        self.child = self._start()

    def wait_until_bound(self) -> None:
        """Wait until connections to it wait for an answer at least; where it refuses, or takes too long, warn."""
        try:
            self.child.wait_until(self.address_file.is_file, timeout_s=_START_TIMEOUT_S)
        except ConfigError as refused:
            self._told = self.child.log_tail()
            _LOGGER.warning("%s Everything else runs without it.", refused)

    def look_after(self) -> None:
        """Keep its log small while it runs; start it again some time after it has ended, later each time."""
        if self.child.returncode() is None:
            with contextlib.suppress(OSError):  # a full disk is no reason to stop what runs
                self.child.rotate_log()
            return
        now_s = time.monotonic()
        if self._due_s is None:
            self.address_file.unlink(missing_ok=True)
            if now_s - self._born_s > _LONG_LIFE_S:
                self._pause_s = _FIRST_PAUSE_S
            self._tell_end()
            self._due_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        elif now_s >= self._due_s:
            self._due_s = None
            self.child = self._start()

    def _start(self) -> ChildProcess:
        """Start it; what an earlier one that was killed has left is removed first."""
        self.address_file.unlink(missing_ok=True)
        self._born_s = time.monotonic()
        options = ["--port", str(self._port), "--address-file", str(self.address_file)]
        return ChildProcess(
            "web application",
            [sys.executable, "-m", "annotator.cli", "web", *options],
            log_path=self._folder / "web.log",
            environment=self._environment,
        )

    def _tell_end(self) -> None:
        """Warn, unless the last words are those that were passed on already: it may end each minute for days."""
        words = self.child.log_tail()
        if words != self._told:
            status = self.child.returncode()
            _LOGGER.warning(
                "The web application has ended (exit %s) and is started again in %.0f s: %s",
                status,
                self._pause_s,
                words,
            )
        self._told = words
