"""One takedown at a time: two that write the same model anew would each bring back whom the other one has left out."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from annotator.errors import BusyError, LocalDiskError
from annotator.store.connection import reading
from annotator.store.locks import is_locked, only_one

_NAME: Final = "takedown"
_SUFFIX: Final = ".takedown-lock"
_TRIES: Final = 20
_TRIES_EVERY_S: Final = 0.05  # who looks whether it is held holds it for an instant


@contextlib.contextmanager
def only_takedown(engine: Engine) -> Iterator[None]:
    """Hold what one takedown at a time may hold; it is free again when the process ends, however it ends.

    On Postgres it is a lock of the database, on SQLite one of an empty file beside it, which stays.

    Raises:
        BusyError: another one is under way.
        LocalDiskError: the file beside it cannot be written or locked.
        StoreUnavailableError: the database does not answer.

    """
    with only_one(engine, _NAME) as is_ours, _lock_file(engine, os.O_RDWR | os.O_CREAT) as handle:
        if not (is_ours and (handle is None or _locked(handle))):
            raise BusyError("another takedown is under way: call this again when it has ended; nothing was changed")
        yield


def is_under_way(engine: Engine) -> bool:
    """Say whether a program does a takedown just now.

    Raises:
        LocalDiskError: the file beside an SQLite database cannot be read or locked.

    """
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            return is_locked(connection, _NAME)
    with _lock_file(engine, os.O_RDONLY) as handle:
        return handle is not None and not _lock(handle, fcntl.LOCK_SH)


@contextlib.contextmanager
def _lock_file(engine: Engine, mode: int) -> Iterator[int | None]:
    """Open the file that an SQLite database is locked by; None where there is none."""
    database = engine.url.database
    if engine.dialect.name == "postgresql" or not database or database == ":memory:":
        yield None
        return
    path = Path(f"{Path(database).resolve()}{_SUFFIX}")
    if not mode & os.O_CREAT and not path.exists():
        yield None
        return
    try:
        handle = os.open(path, mode, 0o666)
    except OSError as error:
        raise LocalDiskError(
            f"{path} cannot be opened ({error.strerror}): a takedown holds it, so that there is one at a time; change"
            " its rights, and call this again"
        ) from error
    try:
        yield handle
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    for _ in range(_TRIES):
        if _lock(handle, fcntl.LOCK_EX):
            return True
        time.sleep(_TRIES_EVERY_S)
    return False


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise LocalDiskError(
            f"the file by which a takedown locks the database cannot be locked ({error.strerror}): keep the database on"
            " a disk that knows locks"
        ) from error
    return True
