"""One takedown at a time: two that write the same model anew would each bring back whom the other one has left out."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from annotator.errors import BusyError
from annotator.store.connection import reading
from annotator.store.locks import is_locked, only_one

_NAME: Final = "takedown"
_TRIES: Final = 20
_TRIES_EVERY_S: Final = 0.05  # who looks whether it is held holds it for an instant


@contextlib.contextmanager
def only_takedown(engine: Engine) -> Iterator[None]:
    """Hold what one takedown at a time may hold; it is free again when the process ends, however it ends.

    On Postgres it is a lock of the database, on SQLite one of the folder in which the file is.

    Raises:
        BusyError: another one is under way.
        StoreUnavailableError: the database does not answer.

    """
    with only_one(engine, _NAME) as is_ours, _folder(engine) as handle:
        if not (is_ours and (handle is None or _locked(handle))):
            raise BusyError("another takedown is under way: call this again when it has ended; nothing was changed")
        yield


def is_under_way(engine: Engine) -> bool:
    """Say whether a program does a takedown just now."""
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            return is_locked(connection, _NAME)
    with _folder(engine) as handle:
        return handle is not None and not _lock(handle, fcntl.LOCK_SH)


@contextlib.contextmanager
def _folder(engine: Engine) -> Iterator[int | None]:
    database = engine.url.database
    if engine.dialect.name == "postgresql" or not database or database == ":memory:":
        yield None
        return
    handle = os.open(Path(database).resolve().parent, os.O_RDONLY)
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
    return True
