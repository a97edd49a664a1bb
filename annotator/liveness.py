"""The sign of life of a worker process: a small file, for a supervisor that asks whether it is ready and alive.

The time in it is that of the system's monotonic clock, which all processes of a machine share: a clock that is set
back makes no dead worker look alive.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ready", "draining"]


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What a worker has said last.

    Attributes:
        state: ``draining`` once it takes no more work.
        pid: its process.
        beat_s: when, by the monotonic clock.

    """

    state: State
    pid: int
    beat_s: float


class AliveFile:
    """Where a worker says that it lives."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a path; nothing is written yet.

        Args:
            path: of the file; its folder is there.
            clock: monotonic, in seconds.

        """
        self._path = path
        self._clock = clock

    def beat(self, state: State) -> None:
        """Say that this process lives.

        Raises:
            OSError: the file cannot be written.

        """
        # In place and always as long: a full disk has room for it, and who reads it at the same time finds it whole.
        said = f"{state:<8} {os.getpid():>10} {self._clock():>20.3f}\n".encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.pwrite(descriptor, said, 0)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Say that this process leaves; the sign of another worker stays."""
        sign = read_sign(self._path)
        if sign is not None and sign.pid == os.getpid():
            self._path.unlink(missing_ok=True)


def read_sign(path: Path) -> SignOfLife | None:
    """Return what a worker has said last; None where there is no such file, or it holds something else."""
    try:
        state, pid, beat_s = path.read_text("ascii").split()
        return SignOfLife(_STATES[state], int(pid), float(beat_s))
    except (OSError, ValueError, KeyError):
        return None


_STATES: dict[str, State] = {"ready": "ready", "draining": "draining"}


def why_not_alive(
    sign: SignOfLife | None, *, timeout_s: float, clock: Callable[[], float] = time.monotonic
) -> str | None:
    """Say why a worker counts as dead.

    Args:
        sign: what it has said last.
        timeout_s: how long it may be silent.
        clock: monotonic, in seconds.

    Returns:
        None if it lives.

    """
    if sign is None:
        return "no worker has said that it is ready"
    age_s = clock() - sign.beat_s
    if age_s < 0:
        return "the sign of life is from before the machine was started"
    if age_s > timeout_s:
        return f"process {sign.pid} has been silent for {age_s:.0f} s"
    return None if _runs(sign.pid) else f"process {sign.pid} has ended"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's, so it is there
        return True
    return True
