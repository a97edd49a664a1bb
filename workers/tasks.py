"""The two tasks. A message says what; whether there is anything to do stands in the database."""

import logging
from typing import Any, Final

from celery import shared_task

from workers.app import ANNOTATE_TASK, JOB_TASK, MESSAGE_VERSION
from workers.boot import current_worker

_LOGGER: Final = logging.getLogger(__name__)


@shared_task(name=ANNOTATE_TASK)  # type: ignore[untyped-decorator]  # Celery has no types
def annotate_chunk(v: int, chunk_id: int, media_ids: list[int]) -> None:
    """Annotate the media of a chunk that are still to be done.

    Args:
        v: version of the message.
        chunk_id: the chunk's row.
        media_ids: rows of media.

    """
    if v != MESSAGE_VERSION:
        # Its media stay pending; the chunk is published again when it is found unclaimed.
        _LOGGER.error("A message of version %s is not for this program (%d).", v, MESSAGE_VERSION)
        current_worker().watch.malformed()
        return
    current_worker().run_chunk(chunk_id, media_ids)


# Acknowledged at once: a job that is cut off is asked for again by its next period, not by its old message.
@shared_task(name=JOB_TASK, bind=True, acks_late=False)  # type: ignore[untyped-decorator]  # Celery has no types
def run_job(self: Any, v: int, name: str) -> None:  # noqa: ANN401  (Celery's task)
    """Run a slow job of beat.

    Args:
        self: Celery's task.
        v: version of the message.
        name: of the job.

    """
    from workers.schedule import run_named_job  # noqa: PLC0415  (what annotates never needs it)

    if v == MESSAGE_VERSION:
        run_named_job(self.app, name)
