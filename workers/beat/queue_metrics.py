"""What beat shows to Prometheus: the state of the whole queue, and whether its own jobs go on.

The gauges are read every few seconds by a job of beat, not when Prometheus asks: it gets its answer also while the
database is away, and ``annotator_job_success_timestamp_seconds{name="gauges"}`` says how old the answer is.
"""

import time
from collections.abc import Sequence
from typing import Final, Protocol

from sqlalchemy import Engine

from annotator.errors import AnnotatorError, BrokerUnavailableError, StoreUnavailableError
from annotator.store.connection import reading
from annotator.store.queue.counts import Counts, read_counts
from annotator.store.queue.depths import QueueDepths, read_depths
from annotator.store.queue.lanes import LANES
from annotator.store.tables import WorkState
from annotator.store.upkeep import RollUpUpkeep, Upkeep, read_roll_up, read_upkeep
from workers.beat.broker import BrokerDepths
from workers.telemetry.process_metrics import ProcessMetrics

_REASONS: Final = (StoreUnavailableError.reason, BrokerUnavailableError.reason, "internal")
_JOB_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)


class Broker(Protocol):
    """What the messages are counted in."""

    def depths(self, queues: Sequence[str]) -> BrokerDepths:
        """Return what it holds; raises ``BrokerUnavailableError`` where it does not answer."""


class QueueMetrics(ProcessMetrics):
    """The metrics of one beat process. Thread-safe."""

    def __init__(self) -> None:
        """Register everything in a registry of its own."""
        super().__init__()
        self._make_jobs()
        self._make_depths()
        self._make_workers()
        self._media_seen: frozenset[tuple[str, str, str]] = frozenset()
        self._followed_seen: frozenset[str] = frozenset()
        self._jobs_seen: frozenset[str] = frozenset()

    def _make_jobs(self) -> None:
        # The label is no «job»: Prometheus calls its own targets so.
        self._job_success = self._gauge(
            "annotator_job_success_timestamp_seconds", "When a job of beat last went well, Unix time.", "name"
        )
        self._job_period = self._gauge("annotator_job_period_seconds", "How often a job of beat is done.", "name")
        self._job_overdue = self._gauge(
            "annotator_job_overdue_seconds", "How long after a job last went well it is overdue.", "name"
        )
        self._job_s = self._histogram("annotator_job_seconds", "Time of a job of beat.", _JOB_BUCKETS_S, "name")
        self._job_failures = self._counter("annotator_job_failures", "Jobs of beat that failed.", "name", "reason")
        self._swept = self._counter("annotator_swept", "What the sweeper of this process has taken back.", "what")
        for what in ("sessions", "media", "suspects", "given_up", "chunks"):
            self._swept.labels(what)

    def _make_depths(self) -> None:
        self._media = self._gauge(
            "annotator_queue_media", "Media by what has become of them.", "lane", "state", "reason"
        )
        self._cost = self._gauge(
            "annotator_queue_cost_seconds", "Estimated worker time of the media that are not through.", "lane", "state"
        )
        self._published = self._gauge("annotator_chunks_published", "Chunks in the broker or with workers.", "lane")
        self._chunk_age = self._gauge(
            "annotator_chunk_oldest_seconds", "Age of the oldest chunk, 0 where there is none.", "lane", "state"
        )
        self._messages = self._gauge("annotator_broker_messages", "Messages that nobody has taken.", "queue")
        self._unacknowledged = self._gauge("annotator_broker_unacknowledged", "Messages in the hands of workers.")
        self._broker_bytes = self._gauge("annotator_broker_memory_bytes", "Memory of the broker.")
        self._broker_max_bytes = self._gauge(
            "annotator_broker_memory_max_bytes", "Most memory of the broker, 0 where there is no limit."
        )
        self._outbox = self._gauge("annotator_outbox_waiting", "Call-backs to deliver, up to 100,000.")
        self._outbox_age = self._gauge(
            "annotator_outbox_oldest_seconds", "Age of the oldest call-back to deliver, 0 where there is none."
        )
        self._database_bytes = self._gauge("annotator_database_bytes", "Size of the database.")
        self._followed = self._gauge(
            "annotator_follower_silent_seconds", "How long ago whoever follows a bucket last got on.", "backlog"
        )
        self._gone_refused = self._gauge(
            "annotator_follower_gone_refused", "Known media that the last listing lacked: too many.", "backlog"
        )
        self._roll_up_age = self._gauge(
            "annotator_roll_up_age_seconds", "Age of the counts that the views show, 0 where there are none."
        )
        self._roll_up_s = self._gauge("annotator_roll_up_seconds", "How long the last roll-up of these counts took.")

    def _make_workers(self) -> None:
        self._workers = self._gauge("annotator_workers", "Workers that say that they live.")
        self._silent = self._gauge("annotator_workers_silent", "Workers that fell silent and are not swept yet.")
        self._by_queue = self._gauge("annotator_queue_workers", "Living workers that consume a queue.", "queue")
        self._desired = self._gauge("annotator_queue_workers_desired", "Workers that a queue should have.", "queue")
        self._scaling_age = self._gauge(
            "annotator_scaling_age_seconds", "Age of the row that the autoscaler reads.", "queue"
        )

    # ---------------------------------------------------------------------------------------------------------- jobs

    def job_begun(self, job: str, *, every_s: float, overdue_s: float) -> None:
        """Expect a job from now on: one that never goes well is found out, too."""
        self._jobs_seen |= {job}
        self._job_period.labels(job).set(every_s)
        self._job_overdue.labels(job).set(overdue_s)
        self._job_success.labels(job).set(time.time())
        for reason in _REASONS:  # a series that appears with its first event has no rate of that event
            self._job_failures.labels(job, reason)

    def job_ended(self, job: str, *, took_s: float, is_done: bool = True, error: BaseException | None = None) -> None:
        """Count a run of a job, and remember when one went well.

        Args:
            job: which.
            took_s: how long it took here.
            is_done: False where it was left to another process: what becomes of it there stands in the database.
            error: why it failed.

        """
        self._job_s.labels(job).observe(took_s)
        if error is not None:
            self._job_failures.labels(job, reason_of(error)).inc()
        elif is_done:
            self._job_success.labels(job).set(time.time())

    def swept(self, *, sessions: int, media: int, suspects: int, given_up: int) -> None:
        """Count what a sweep has found."""
        for what, count in (("sessions", sessions), ("media", media), ("suspects", suspects), ("given_up", given_up)):
            self._swept.labels(what).inc(count)

    def swept_chunks(self, chunks: int) -> None:
        """Count chunks that nobody had claimed."""
        self._swept.labels("chunks").inc(chunks)

    # -------------------------------------------------------------------------------------------------------- gauges

    def refresh(self, engine: Engine, broker: Broker, *, queues: Sequence[str], session_timeout_s: float) -> None:
        """Read the gauges anew; those of the database also while the broker is away.

        Args:
            engine: of the database.
            broker: where messages are.
            queues: of which messages are counted.
            session_timeout_s: silence after which a worker does not count as living.

        Raises:
            StoreUnavailableError: the database does not answer.
            BrokerUnavailableError: the broker does not answer.

        """
        with reading(engine) as connection:
            counts = read_counts(connection)
            depths = read_depths(connection, session_timeout_s=session_timeout_s)
            upkeep, roll_up = read_upkeep(connection), read_roll_up(connection)
        self._show_counts(counts)
        self._show_upkeep(upkeep, roll_up)
        self._show_depths(depths, queues)
        self._show_broker(broker.depths(queues))

    def _show_counts(self, counts: Counts) -> None:
        """Show the counts over all networks and backlogs. What has gone is set to 0: a scrape may come in between."""
        through = {
            (lane, state.name.lower(), ""): 0 for lane in LANES for state in WorkState if state < WorkState.FAILED
        }
        media = dict.fromkeys(self._media_seen, 0) | through
        for row in counts.rows:
            key = (row.lane, row.state.name.lower(), row.reason or "")
            media[key] = media.get(key, 0) + row.media
        self._media_seen = frozenset(media)
        for key, count in media.items():
            self._media.labels(*key).set(count)
        for lane in LANES:
            for state in (WorkState.PENDING, WorkState.CLAIMED):
                self._cost.labels(lane, state.name.lower()).set(counts.cost_ms(state, lane=lane) / 1000)

    def _show_depths(self, depths: QueueDepths, queues: Sequence[str]) -> None:
        for lane in depths.lanes:
            self._published.labels(lane.lane).set(lane.published)
            self._chunk_age.labels(lane.lane, "published").set(lane.published_age_s or 0.0)
            self._chunk_age.labels(lane.lane, "waiting").set(lane.waiting_age_s or 0.0)
        self._workers.set(depths.workers)
        self._silent.set(depths.workers_silent)
        for queue in sorted({*queues, *depths.workers_by_queue}):
            self._by_queue.labels(queue).set(depths.workers_by_queue.get(queue, 0))
        for row in depths.scaling:
            self._desired.labels(row.queue).set(row.desired)
            self._scaling_age.labels(row.queue).set(row.age_s)
        self._outbox.set(depths.callbacks)
        self._outbox_age.set(depths.callback_age_s or 0.0)
        self._database_bytes.set(depths.database_bytes)

    def _show_upkeep(self, upkeep: Upkeep, roll_up: RollUpUpkeep | None) -> None:
        """Show what workers and producers have noted. A backlog that has ended is set to 0, as counts are."""
        for job in upkeep.jobs:
            if job.name in self._jobs_seen:  # not one of another version
                self._job_success.labels(job.name).set(time.time() - job.age_s)
        followed = {str(one.run_id): (one.age_s, one.gone_refused or 0) for one in upkeep.followed}
        shown = dict.fromkeys(self._followed_seen, (0.0, 0)) | followed
        self._followed_seen = frozenset(shown)
        for backlog, (age_s, gone_refused) in shown.items():
            self._followed.labels(backlog).set(age_s)
            self._gone_refused.labels(backlog).set(gone_refused)
        self._roll_up_age.set(roll_up.age_s if roll_up else 0.0)
        self._roll_up_s.set(roll_up.took_s if roll_up else 0.0)

    def _show_broker(self, depths: BrokerDepths) -> None:
        for queue, messages in depths.messages.items():
            self._messages.labels(queue).set(messages)
        self._unacknowledged.set(depths.unacknowledged)
        self._broker_bytes.set(depths.used_bytes)
        self._broker_max_bytes.set(depths.max_bytes)


def reason_of(error: BaseException) -> str:
    """Return a short, stable word for an error.

    >>> from annotator.errors import StoreUnavailableError
    >>> reason_of(StoreUnavailableError("…")), reason_of(ValueError())
    ('store_unavailable', 'internal')
    """
    return error.reason if isinstance(error, AnnotatorError) else "internal"
