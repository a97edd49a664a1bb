"""Locks by name, for what one process at a time should do. SQLite has one only: the write lock of a transaction."""

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sqlalchemy import Connection, Engine, text

from annotator.store.connection import reading
from annotator.store.dialect import is_postgres

_CLASS: Final = 0x616E6E6F  # "anno": keeps our advisory locks apart from those of other programs in the same database
# A lock goes with its connection. Where a machine vanishes without a word, the server finds out by these: 40 s.
_FIND_THE_DEAD: Final = (
    "SET LOCAL tcp_keepalives_idle = 10; SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3"
)
# A process that is frozen still answers these: its kernel does. So it says by itself, now and then, that it lives.
_MAX_SILENCE_S: Final = 120.0
_SAY_EVERY_S: Final = 20.0
_CORRECTIONS: Final = "corrections"


def try_lock(connection: Connection, name: str) -> bool:
    """Take a lock until the transaction ends; returns at once.

    Args:
        connection: in a transaction; on SQLite, in a writing one.
        name: of the lock.

    Returns:
        Whether it is ours: nobody else has it.

    """
    if not is_postgres(connection):
        return True
    taken = text("SELECT pg_try_advisory_xact_lock(:class, :name)")
    return bool(connection.execute(taken, {"class": _CLASS, "name": _key(name)}).scalar_one())


def is_locked(connection: Connection, name: str) -> bool:
    """Say whether somebody holds a lock just now; on SQLite nobody does."""
    if not is_postgres(connection):
        return False
    held = text(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted"
        " AND classid::bigint = :class AND objid::bigint = :name"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    return bool(connection.execute(held, {"class": _CLASS, "name": _key(name) & 0xFFFFFFFF}).scalar_one())


def hold_evidence(connection: Connection, network_id: int) -> None:
    """Keep a network's stored tracks from being replaced until the transaction ends; many may hold them at a time.

    Who names stored tracks must write the names of those tracks that are there at the end of the transaction, too.
    """
    _wait(connection, "pg_advisory_xact_lock_shared", network_id)


def replace_evidence(connection: Connection, network_id: int) -> None:
    """Wait until nobody holds a network's stored tracks, and let nobody do so until the transaction ends."""
    _wait(connection, "pg_advisory_xact_lock", network_id)


def hold_corrections(connection: Connection) -> None:
    """Keep what people say of tracks as it is until the transaction ends; many may hold it at a time.

    Who writes labels holds it from before the first of them is written: else somebody might say something of a track
    between the look at what was said and the commit, and see no label that is to be changed.
    """
    _take(connection, "pg_advisory_xact_lock_shared", _CORRECTIONS)


def change_corrections(connection: Connection, network_ids: Iterable[int]) -> None:
    """Wait until nobody writes labels, and let nobody do so until the transaction ends: first thing in it.

    Args:
        connection: in a transaction that writes.
        network_ids: of all networks, whose tracks must stay. They are held first, as writers of labels do.

    """
    for network_id in sorted(network_ids):
        hold_evidence(connection, network_id)
    _take(connection, "pg_advisory_xact_lock", _CORRECTIONS)


def _wait(connection: Connection, function: str, network_id: int) -> None:
    _take(connection, function, f"evidence {network_id}")


def _take(connection: Connection, function: str, name: str) -> None:
    if is_postgres(connection):  # on SQLite, whoever writes is alone
        taken = text(f"SELECT {function}(:class, :name)")
        connection.execute(taken, {"class": _CLASS, "name": _key(name)})


@contextlib.contextmanager
def only_one(engine: Engine, name: str) -> Iterator[bool]:
    """Hold a lock over work that takes many transactions; gives whether it is ours.

    A connection of its own holds it, in a transaction that reads nothing: it keeps no old rows alive, and a process
    that is killed lets go at once, one that is frozen after two minutes. The work must do no harm if somebody else does
    it at the same time: when the database is started anew, or the frozen process is woken, the lock is gone and the
    work still under way. On SQLite nothing is held.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with holding(engine) as take:
        yield take(name)


@contextlib.contextmanager
def holding(engine: Engine) -> Iterator[Callable[[str], bool]]:
    """Give a function that takes locks by name and says whether they are ours; all are held until the end.

    One thread at a time may call it. What :func:`only_one` says of its lock holds for these.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    if engine.dialect.name != "postgresql":
        yield lambda _: True
        return
    with reading(engine) as connection:
        connection.execute(text(_FIND_THE_DEAD))
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {round(_MAX_SILENCE_S * 1000)}"))
        with _saying_that_it_lives(connection) as turn:

            def take(name: str) -> bool:
                with turn:
                    return try_lock(connection, name)

            yield take


@contextlib.contextmanager
def _saying_that_it_lives(connection: Connection) -> Iterator[threading.Lock]:
    """Let the server hear of a connection that only holds locks; gives what others must hold to use it."""
    driver = connection.connection.dbapi_connection
    turn, is_over = threading.Lock(), threading.Event()

    def say() -> None:
        while driver is not None and not is_over.wait(_SAY_EVERY_S):
            # Past SQLAlchemy: what has become of the connection is for its owner to find out, at the end.
            with turn, contextlib.suppress(connection.dialect.loaded_dbapi.Error):
                cursor = driver.cursor()
                cursor.execute("SELECT 1")
                cursor.close()

    thread = threading.Thread(target=say, name="locks", daemon=True)
    thread.start()
    try:
        yield turn
    finally:
        is_over.set()
        thread.join()


def _key(name: str) -> int:
    """Return the name as a signed integer of four bytes."""
    return zlib.crc32(name.encode()) - (1 << 31)
