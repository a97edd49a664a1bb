"""Servers as child processes: started, waited for, stopped, never left behind."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError

# As a file, not as a module of the package: it needs nothing but the standard library, and is started without the
# environment's packages, and its variables for Python. The program that it becomes gets all variables.
_LAUNCHER: Final = ("-I", "-S", str(Path(__file__).with_name("launch.py")))
_POLL_S: Final = 0.05
_LOG_TAIL_LINES: Final = 5
MAX_LOG_BYTES: Final = 10 << 20
"""Beyond it a log is moved aside (``worker.log.1``), and what was moved aside before is gone."""


class ChildProcess:
    """One server or worker, which ends with this process.

    Its output goes to a log file. On Linux the kernel sends it ``stop_signal`` when this process dies, also by
    SIGKILL. It has a session of its own, so a Ctrl-C on the terminal reaches it only through :meth:`stop`: the order
    of stopping is ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        uid: int | None = None,
    ) -> None:
        """Start it.

        Args:
            name: what messages call it.
            command: program (an absolute path) and arguments.
            log_path: its output is appended there.
            environment: variables added to those of this process.
            stop_signal: asks it to stop in an orderly way.
            uid: user to run as; None for this process's user.

        """
        self.name = name
        self.log_path = log_path
        self.stop_signal = stop_signal
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        launcher = [sys.executable, *_LAUNCHER, str(os.getpid()), str(int(stop_signal))]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*launcher, "-" if uid is None else str(uid), "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def returncode(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.poll()

    def wait_until(self, answers: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until it answers.

        Raises:
            ConfigError: it ended, or did not answer in time; the message has the end of its log.

        """
        deadline_s = time.monotonic() + timeout_s
        while not answers():
            if self.returncode() is not None:
                msg = f"The {self.name} ended on starting (exit {self.returncode()}): {self.log_tail()}"
                raise ConfigError(msg)
            if time.monotonic() > deadline_s:
                msg = f"The {self.name} did not answer within {timeout_s:.0f} s; see {self.log_path}."
                raise ConfigError(msg)
            time.sleep(_POLL_S)

    def stop(self, *, timeout_s: float) -> bool:
        """Ask it to stop and wait; kill its whole group when it does not.

        Returns:
            Whether it stopped by itself in time.

        """
        if self.returncode() is None:
            self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        else:
            return True
        finally:
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # everybody of the group is gone
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def rotate_log(self, *, max_bytes: int = MAX_LOG_BYTES) -> bool:
        """Move a log aside that has grown large.

        Its content is copied and then cut off, since the program keeps the file open and always writes at its end. What
        is written between the two is lost.

        Args:
            max_bytes: how long it may be.

        Returns:
            Whether it was.

        """
        if self.log_path.stat().st_size <= max_bytes:
            return False
        shutil.copyfile(self.log_path, self.log_path.with_name(f"{self.log_path.name}.1"))
        os.truncate(self.log_path, 0)
        self._log_start = 0
        return True

    def log_tail(self) -> str:
        """Return the last lines that it has logged since it was started, in one line."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-_LOG_TAIL_LINES:]) or "its log is empty"


def is_port_open(port: int) -> bool:
    """Return whether something listens on a port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(preferred: int | None = None) -> int:
    """Return a free port of the loopback address: the preferred one if it is free."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    msg = "No free port is left on 127.0.0.1."
    raise ConfigError(msg)
