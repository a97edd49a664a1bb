"""What beat does about backlogs: charges worker time, stops those that are overdue, notes which have come to an end."""

import logging
from typing import Final

from sqlalchemy import Engine

from annotator.store.backlog.ending import (
    charge_worker_time,
    end_backlogs,
    ending_after_stop,
    forget_waiting,
    stop_overdue,
)
from annotator.store.connection import writing
from annotator.store.locks import try_lock
from annotator.store.queue.counts import is_counted, read_counts

_LOGGER: Final = logging.getLogger(__name__)
_WHY: Final = {"deadline": "its deadline has passed", "budget": "its worker time is spent"}


def look_after_backlogs(engine: Engine, *, session_timeout_s: float) -> None:
    """Charge, stop and end backlogs; may be killed at any time. Nothing happens before the media are counted.

    Args:
        engine: of the database.
        session_timeout_s: silence after which a worker does not count as living.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with writing(engine) as connection:
        if not try_lock(connection, "backlogs") or not is_counted(connection):
            return
        counts = read_counts(connection)
        charge_worker_time(connection, counts, timeout_s=session_timeout_s)
        stopped = stop_overdue(connection)
        ending = ending_after_stop(connection, counts, timeout_s=session_timeout_s)
    for run_id, reason in stopped.items():
        _LOGGER.warning("Backlog %d is stopped: %s.", run_id, _WHY[reason])
    for run_id in ending:
        forget_waiting(engine, run_id)
    with writing(engine) as connection:
        if not try_lock(connection, "backlogs"):
            return
        ended = end_backlogs(connection, read_counts(connection), stopped=ending)
    for end in ended:
        _LOGGER.info(
            "Backlog %d (%s) has ended: %d done, %d failed, %d pending.",
            end.run_id,
            end.uri,
            end.done,
            end.failed,
            end.pending,
        )
