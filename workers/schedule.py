"""What ``celery -A workers beat`` does: feed the broker, take back what was lost.

The jobs run inside the beat process and not as messages. So ``celery -A workers worker -Q gpu`` and ``celery -A workers
beat`` are all that a system needs, a full pool of threads does not keep a sweep waiting, the sweep goes on while the
broker is away, and no heap of messages grows when nobody consumes them.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final, Protocol

import redis
from celery.beat import ScheduleEntry, Scheduler
from kombu.exceptions import OperationalError
from sqlalchemy import Engine

from annotator.errors import AnnotatorError
from annotator.settings import WorkerSettings
from annotator.store.chunks import FILM, LANES, Chunk, is_only_feeder, put_back, put_back_unclaimed, take_due
from annotator.store.connection import open_engine, writing
from annotator.store.sweeping import sweep
from workers.app import ANNOTATE_QUEUE, ANNOTATE_TASK, MESSAGE_VERSION, AnnotatorApp

_LOGGER: Final = logging.getLogger(__name__)
EPOCH_KEY: Final = "annotator:broker_epoch"
_FILM_SHARE: Final = 16  # films are long: few of them queue up, so that GIFs get their turn


class Broker(Protocol):
    """Where messages go."""

    def is_new(self) -> bool:
        """Say whether it has lost everything since it was marked."""

    def mark(self) -> None:
        """Mark it as known."""

    def publish(self, chunk: Chunk) -> None:
        """Send the message of a chunk."""


def feed(engine: Engine, broker: Broker, *, max_queued: int) -> int:
    """Publish due chunks up to each lane's cap, after the commit that marks them as published.

    Args:
        engine: of the database.
        broker: takes the messages.
        max_queued: most chunks of a lane in the broker.

    Returns:
        How many chunks were published.

    """
    with writing(engine) as connection:
        if not is_only_feeder(connection):
            return 0
        is_new = broker.is_new()
        if is_new:
            _LOGGER.warning("The broker is new or has lost all: %d chunks are published again.", put_back(connection))
        taken = []
        for lane in LANES:
            cap = max(1, max_queued // _FILM_SHARE) if lane == FILM else max_queued
            taken += take_due(connection, lane=lane, max_published=cap)
    if is_new:
        broker.mark()
    for number, chunk in enumerate(taken):
        try:
            broker.publish(chunk)
        except BaseException:
            with writing(engine) as connection:
                put_back(connection, [one.id for one in taken[number:]])
            raise
    return len(taken)


def sweep_all(engine: Engine, settings: WorkerSettings) -> None:
    """Take back what was lost: claims of silent sessions and past their deadline, and chunks that nobody claimed."""
    with writing(engine) as connection:
        report = sweep(connection, session_timeout_s=settings.session_timeout_s, max_tries=settings.max_attempts)
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
    if again:
        _LOGGER.warning("%d chunks that nobody claimed are published again.", again)


class RedisBroker:
    """The broker of an application."""

    def __init__(self, app: AnnotatorApp) -> None:
        """Take the application; nothing is connected yet."""
        self._app = app
        self._redis = redis.Redis.from_url(app.conf.broker_url, socket_timeout=5.0)

    def is_new(self) -> bool:
        """Say whether the key that :meth:`mark` sets is missing."""
        return not self._redis.exists(EPOCH_KEY)

    def mark(self) -> None:
        """Set the key."""
        self._redis.set(EPOCH_KEY, uuid.uuid4().hex)

    def publish(self, chunk: Chunk) -> None:
        """Send the message of a chunk."""
        message = {"v": MESSAGE_VERSION, "chunk_id": chunk.id, "media_ids": list(chunk.media_ids)}
        self._app.send_task(ANNOTATE_TASK, kwargs=message, queue=ANNOTATE_QUEUE, retry=False)


class InProcessScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs the jobs of the schedule here, one after the other, and remembers nothing between two starts."""

    app: AnnotatorApp

    def setup_schedule(self) -> None:
        """Take the schedule from the application."""
        self.merge_inplace(self.app.conf.beat_schedule)

    @cached_property
    def _jobs(self) -> Mapping[str, Callable[[], object]]:
        settings = self.app.annotator_settings
        engine = open_engine(settings.database_url.get_secret_value())
        broker = RedisBroker(self.app)
        return {
            "feed": lambda: feed(engine, broker, max_queued=settings.worker.max_queued_chunks),
            "sweep": lambda: sweep_all(engine, settings.worker),
        }

    def apply_entry(self, entry: ScheduleEntry, producer: object = None) -> None:  # noqa: ARG002  (Celery's signature)
        """Run a job; a server that is away is tried again next time."""
        try:
            self._jobs[entry.task]()
        except (AnnotatorError, OperationalError, redis.RedisError) as error:
            _LOGGER.warning("%s waits: %s", entry.task, error)
        except Exception:  # the boundary of a job: the next one goes on
            _LOGGER.exception("%s failed", entry.task)
