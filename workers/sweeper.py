"""The sweeper: what was lost is taken back."""

import logging
from typing import Final

from sqlalchemy import Engine

from annotator.settings import WorkerSettings
from annotator.store.chunks import put_back_unclaimed
from annotator.store.connection import writing
from annotator.store.sweeping import sweep
from workers.queue_metrics import QueueMetrics

_LOGGER: Final = logging.getLogger(__name__)


def sweep_all(engine: Engine, settings: WorkerSettings, *, metrics: QueueMetrics | None = None) -> None:
    """Take back what was lost: claims of silent sessions and past their deadline, and chunks that nobody claimed."""
    metrics = metrics or QueueMetrics()
    with writing(engine) as connection:
        report = sweep(connection, session_timeout_s=settings.session_timeout_s, max_tries=settings.max_attempts)
    metrics.swept(sessions=report.sessions, media=report.requeued, suspects=report.suspects, given_up=report.settled)
    if report.requeued or report.settled:
        _LOGGER.warning(
            "Swept: %d silent sessions, %d media back (%d will run alone), %d given up.",
            report.sessions,
            report.requeued,
            report.suspects,
            report.settled,
        )
    with writing(engine) as connection:
        again = put_back_unclaimed(connection, after_s=settings.unclaimed_after_s)
    metrics.swept_chunks(again)
    if again:
        _LOGGER.warning("%d chunks that nobody claimed are published again.", again)
