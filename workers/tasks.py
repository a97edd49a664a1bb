"""The two tasks. A message says what; whether there is anything to do stands in the database."""

import logging
from typing import Any, Final

from celery import shared_task

from workers.app import ANNOTATE_TASK, JOB_TASK, MESSAGE_VERSION
from workers.boot import current_worker, tell_called_back, tell_malformed
from workers.messages import MalformedMessageError, parse_chunk_message

_LOGGER: Final = logging.getLogger(__name__)


@shared_task(name=ANNOTATE_TASK, typing=False)  # type: ignore[untyped-decorator]  # Celery has no types
def annotate_chunk(*args: object, **given: object) -> None:
    """Annotate the media of a chunk that are still to be done.

    A message that is none of ours harms nothing: its media, if there are any, stay pending, and their chunk is
    published again when it is found unclaimed.

    Args:
        args: none; see :mod:`workers.messages`.
        given: version, chunk and media.

    """
    try:
        message = parse_chunk_message(args, given)
    except MalformedMessageError as error:
        _LOGGER.warning("A message is malformed and was thrown away: %s.", error)
        tell_malformed()
        return
    current_worker().run_chunk(message.chunk_id, message.media_ids)


# Acknowledged at once: a job that is cut off is asked for again by its next period, not by its old message.
@shared_task(name=JOB_TASK, bind=True, acks_late=False)  # type: ignore[untyped-decorator]  # Celery has no types
def run_job(self: Any, v: int, name: str) -> None:  # noqa: ANN401  (Celery's task)
    """Run a slow job of beat.

    Args:
        self: Celery's task.
        v: version of the message.
        name: of the job.

    """
    from workers.beat.schedule import run_named_job  # noqa: PLC0415  (what annotates never needs it)

    if v == MESSAGE_VERSION:
        run_named_job(self.app, name, on_call_back=tell_called_back)
