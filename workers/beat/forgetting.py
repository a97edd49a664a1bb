"""What beat forgets once an hour: call-backs that are settled, sessions that ended long ago, counts of nothing."""

from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Engine

from annotator.store.connection import writing
from annotator.store.queue.deliveries import forget_call_backs
from annotator.store.queue.retention import forget_empty_counts, forget_sessions

_DAY_S: Final = 86_400.0
_AT_ONCE: Final = 5_000
_CALL_BACKS: Final = partial(forget_call_backs, delivered_s=7 * _DAY_S, given_up_s=30 * _DAY_S)


def forget_all(engine: Engine) -> int:
    """Delete all of it, some thousand rows in a transaction; may be killed at any time.

    Returns:
        How many rows.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    return sum(_forget(engine, one) for one in (_CALL_BACKS, forget_sessions, forget_empty_counts))


def _forget(engine: Engine, some: Callable[..., int]) -> int:
    forgotten = 0
    while True:
        with writing(engine) as connection:
            count = some(connection, limit=_AT_ONCE)
        forgotten += count
        if count < _AT_ONCE:
            return forgotten
