"""What beat forgets once an hour: what is settled, what ended long ago, what nobody uses any more."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Engine

from annotator.settings import RetentionSettings
from annotator.store.backlog.missing import forget_missing
from annotator.store.connection import writing
from annotator.store.queue.deliveries import forget_call_backs
from annotator.store.queue.folding import fold_counts
from annotator.store.queue.retention import forget_empty_counts, forget_sessions
from annotator.store.retiring import retire_unused

_LOGGER: Final = logging.getLogger(__name__)
_DAY_S: Final = 86_400.0
_AT_ONCE: Final = 5_000
_CALL_BACKS: Final = partial(forget_call_backs, delivered_s=7 * _DAY_S, given_up_s=30 * _DAY_S)


def forget_all(engine: Engine, retention: RetentionSettings) -> int:
    """Delete all of it, some thousand rows in a transaction; may be killed at any time.

    Args:
        engine: of the database.
        retention: how long what is kept.

    Returns:
        How many rows; labels of retired labellings are not counted.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    fold = partial(fold_counts, after_s=retention.counts_days * _DAY_S)
    some = (_CALL_BACKS, forget_sessions, fold, forget_empty_counts, forget_missing)
    forgotten = sum(_forget(engine, one) for one in some)
    for labelling_id in retire_unused(engine, after_s=retention.labellings_days * _DAY_S):
        _LOGGER.info("Labelling %d is retired: nobody has used it for long.", labelling_id)
    return forgotten


def _forget(engine: Engine, some: Callable[..., int]) -> int:
    forgotten = 0
    while True:
        with writing(engine) as connection:
            count = some(connection, limit=_AT_ONCE)
        forgotten += count
        if count < _AT_ONCE:
            return forgotten
