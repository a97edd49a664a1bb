"""Faults of this machine, told from those of media and of sources: its limits, and its disk."""

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from annotator.errors import LocalDiskError, MachineLimitError

# What the system says when it lets no process be started, or no file be opened, for want of room.
_NO_ROOM = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
# A decoder has about ten threads: as many as a handful of decoders have must find room at once.
_SPARE_THREADS = 64


@contextlib.contextmanager
def within_its_limits() -> Iterator[None]:
    """Tell a machine that is at its limits from trouble with a file. Other errors of the system pass.

    Raises:
        MachineLimitError: no process can be started, or no file opened.

    """
    try:
        yield
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        raise at_its_limits(os.strerror(exc.errno)) from exc


def at_its_limits(why: str) -> MachineLimitError:
    """Return the error of a machine that is at its limits.

    Args:
        why: what the system says.

    """
    return MachineLimitError(
        f"This machine lets nothing more be started or opened ({why}); raise its limits of processes, open files and "
        "memory, or run fewer workers on it."
    )


def has_spare_threads() -> bool:
    """Whether some dozens of threads can be started beside those that run.

    A decoder says the same when it may start no thread and when its own memory has no room for one. Whose limit it was
    cannot be asked afterwards: others may have ended meanwhile. So it must be far away.
    """
    done = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_SPARE_THREADS):
            thread = threading.Thread(target=done.wait, name="spare", daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # «can't start new thread»
        return False
    finally:
        done.set()
        for thread in started:
            thread.join()
    return True


@contextlib.contextmanager
def on_this_disk() -> Iterator[None]:
    """Tell trouble with our own disk from trouble with a source.

    Raises:
        LocalDiskError: the disk is full, or refuses.
        MachineLimitError: no file can be opened.

    """
    try:
        with within_its_limits():
            yield
    except OSError as exc:
        raise LocalDiskError(
            f"A temporary file cannot be written ({exc.strerror}); make room for it, or set TMPDIR to another folder."
        ) from exc


@contextlib.contextmanager
def temporary_file(folder: Path | None = None) -> Iterator[IO[bytes]]:
    """Make a file that never has a name: whatever ends this process, it is gone with it.

    Args:
        folder: where its bytes are; None for the system's folder (TMPDIR).

    Raises:
        LocalDiskError: it cannot be made.
        MachineLimitError: no file can be opened.

    """
    with on_this_disk():
        file = tempfile.TemporaryFile(prefix="annotator-", dir=folder)  # noqa: SIM115 - closed below
    try:
        yield file
    finally:
        with contextlib.suppress(OSError):  # of what is thrown away nothing need be written any more
            file.close()
