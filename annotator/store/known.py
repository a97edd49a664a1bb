"""The question that is asked once for each media: are these bytes annotated already?

On Postgres each asking thread keeps a connection of its own, outside transactions, with the question prepared: one
round trip, no planning. Through SQLAlchemy and a transaction it would cost nine times as much processor time, and a
large part of all that the queue costs for a media.
"""

import contextlib
import threading
from typing import Any, Final

from sqlalchemy import Engine

from annotator.store.connection import reading
from annotator.store.reads import is_annotated

_IS_ANNOTATED: Final = (
    "PREPARE is_annotated (int, bigint) AS SELECT 1 FROM annotations WHERE network_id = $1 AND content_id = $2"
    " AND NOT EXISTS (SELECT 1 FROM stale_contents WHERE network_id = $1 AND content_id = $2)"
)
_PREPARE: Final = ("PREPARE find_content (bytea) AS SELECT id FROM contents WHERE sha256 = $1", _IS_ANNOTATED)


class KnownContents:
    """What a network has annotated and nobody wants annotated again. It may be asked from several threads."""

    def __init__(self, engine: Engine, network_id: int) -> None:
        """Ask nothing yet.

        Args:
            engine: of the database.
            network_id: whose annotations count.

        """
        self._engine = engine
        self._network_id = network_id
        self._own = threading.local()

    def __call__(self, sha256: str) -> bool:
        """Say whether the network has annotated the bytes of this digest (hexadecimal).

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        if self._engine.dialect.name == "postgresql":
            try:
                return self._ask_prepared(sha256)
            except self._engine.dialect.loaded_dbapi.Error:  # the connection was lost, or cannot be made
                self._forget()
        with reading(self._engine) as connection:
            return is_annotated(connection, self._network_id, sha256)

    def _ask_prepared(self, sha256: str) -> bool:
        cursor: Any = getattr(self._own, "cursor", None)
        if cursor is None:
            cursor = self._open()
        cursor.execute("EXECUTE find_content (%s)", (bytes.fromhex(sha256),))
        content = cursor.fetchone()
        if content is None:  # as nearly always: the partitions need not be looked at
            return False
        cursor.execute("EXECUTE is_annotated (%s, %s)", (self._network_id, content[0]))
        return cursor.fetchone() is not None

    def _open(self) -> Any:  # noqa: ANN401  (the driver's cursor)
        connection = self._engine.raw_connection()
        driver: Any = connection.driver_connection
        connection.detach()  # it must not come back to the pool: there, everybody expects transactions
        self._own.connection = connection
        driver.autocommit = True
        cursor = connection.cursor()
        # The tables may be empty now: the plan that is kept must be the one for many rows.
        cursor.execute("SET enable_seqscan = off")
        for statement in _PREPARE:
            cursor.execute(statement)
        self._own.cursor = cursor
        return cursor

    def _forget(self) -> None:
        connection: Any = getattr(self._own, "connection", None)
        self._own.connection = self._own.cursor = None
        if connection is not None:
            with contextlib.suppress(self._engine.dialect.loaded_dbapi.Error):
                connection.close()
