"""What ``celery -A workers beat`` does: a few jobs, each again and again in a thread of its own.

The jobs run inside the beat process and not as messages. So ``celery -A workers worker -Q gpu`` and ``celery -A workers
beat`` are all that a system needs, a full pool of threads does not keep a sweep waiting, the sweep goes on while the
broker is away, and no heap of messages grows when nobody consumes them. The slow ones go to workers that consume the
queue ``default``, where there are any.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Final

from celery.beat import Scheduler
from sqlalchemy import Engine

from annotator.errors import AnnotatorError, BrokerUnavailableError, ConfigError
from annotator.settings import Settings
from annotator.store.connection import open_engine, reading, writing
from annotator.store.locks import only_one
from annotator.store.partitions import make_ahead
from annotator.store.queue.feeding import living_queues
from annotator.store.rollups import RollUpInTurn
from annotator.store.upkeep import note_job
from workers.app import HOUSEKEEPING_QUEUE, QUEUES, TRAINER_QUEUE, AnnotatorApp
from workers.beat.broker import RedisBroker
from workers.beat.callbacks import CONNECTIONS, Deliverer
from workers.beat.catching_up import CatchUp
from workers.beat.counting import EVERY_S, count_all
from workers.beat.feeder import Feeder
from workers.beat.forgetting import forget_all
from workers.beat.queue_metrics import QueueMetrics
from workers.beat.retraining import Retrainer
from workers.beat.reviewing import ReviewFiller
from workers.beat.routing import Caps
from workers.beat.runs import look_after_backlogs
from workers.beat.shown_names import ShownNames
from workers.beat.sweeper import Sweeper
from workers.leaving import leave_at_once
from workers.telemetry.metrics import MetricsServer, serve_metrics

_LOGGER: Final = logging.getLogger(__name__)
_EXIT_CONFIG: Final = 2
_EXIT_FAILURE: Final = 1
_BACKLOGS_EVERY_S: Final = 5.0
_DELIVER_EVERY_S: Final = 1.0
_ROLL_UP_EVERY_S: Final = 30.0  # it rests by itself, the longer the longer it takes
_CATCH_UP_EVERY_S: Final = 60.0
_REVIEW_EVERY_S: Final = 60.0
_PARTITIONS_EVERY_S: Final = 60.0  # ten million contents take longer
_FORGET_EVERY_S: Final = 3600.0
_GAUGES_EVERY_S: Final = 10.0
_POOL_SIZE: Final = 2 * 12 + CONNECTIONS  # a job works with one, and holds its lock with another
_WATCH_S: Final = 0.5
_FEED_TIMEOUT_S: Final = 120.0  # longer than a server that is away is waited for
_STOP_S: Final = 2.0  # a job that has not ended by then is cut off: each may be killed at any time
_SAY_AGAIN_S: Final = 60.0  # the same trouble is told again
_NOTE_EVERY_S: Final = 60.0  # that there is nothing to do for a slow job
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done again and again.

    Attributes:
        name: stable: messages carry it, locks and logs name it.
        every_s: from one beginning to the next; a job never overlaps itself.
        run: does it once; may be killed at any time.
        slow: may take longer than moments. It runs in one process at a time, of a worker where one has time for it.
        is_wanted: asked before a worker is; whether there is anything to do.
        queue: whose workers do it. What is not for the queue ``default`` waits for a worker; beat never does it itself.
        may_take_s: how long one run may take in a large archive.

    """

    name: str
    every_s: float
    run: Callable[[], object]
    slow: bool = False
    is_wanted: Callable[[], bool] = lambda: True
    queue: str = HOUSEKEEPING_QUEUE
    may_take_s: float = 0.0

    @property
    def overdue_s(self) -> float:
        """How long after it last went well somebody should be told."""
        return 5 * _SAY_AGAIN_S + 5 * self.every_s + self.may_take_s


@dataclass
class JobContext:
    """What jobs work with; nothing is connected before it is used.

    Attributes:
        app: the application.
        stopping: set when the process is to end.
        metrics: what is told of jobs and of the queue.
        on_call_back: is told of call-backs instead, where jobs run in a worker.

    """

    app: AnnotatorApp
    stopping: threading.Event = field(default_factory=threading.Event)
    metrics: QueueMetrics = field(default_factory=QueueMetrics)
    on_call_back: Callable[[str], None] | None = None

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.app.annotator_settings

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        return open_engine(
            self.settings.database_url.get_secret_value(),
            pool_size=_POOL_SIZE,
            max_silence_s=self.settings.worker.session_timeout_s,
        )

    @cached_property
    def broker(self) -> RedisBroker:
        """The broker."""
        return RedisBroker(self.app)

    def refresh_metrics(self) -> None:
        """Read the gauges of the queue."""
        timeout_s = self.settings.worker.session_timeout_s
        self.metrics.refresh(self.engine, self.broker, queues=QUEUES, session_timeout_s=timeout_s)


def make_jobs(context: JobContext) -> tuple[Job, ...]:
    """Return all jobs of beat, the most urgent first."""
    settings = context.settings
    worker = settings.worker
    feeder = Feeder(
        context.engine,
        context.broker,
        caps=Caps(chunks=worker.max_queued_chunks, concurrency=worker.concurrency),
        session_timeout_s=worker.session_timeout_s,
    )
    engine, timeout_s, told = (
        context.engine,
        worker.session_timeout_s,
        context.on_call_back or context.metrics.called_back,
    )
    retrainer = Retrainer(engine, settings.retraining, stopping=context.stopping)
    names = ShownNames(engine, settings)
    deliverer = Deliverer(engine, settings.callbacks, is_stopping=context.stopping.is_set, on_result=told)
    jobs = (
        Job("feed", worker.feed_every_s, feeder.run),
        Job("sweep", worker.sweep_every_s, Sweeper(engine, worker, broker=context.broker, metrics=context.metrics).run),
        Job("count", EVERY_S, partial(count_all, engine, settings)),
        Job("backlogs", _BACKLOGS_EVERY_S, partial(look_after_backlogs, engine, session_timeout_s=timeout_s)),
        Job("deliver", _DELIVER_EVERY_S, deliverer.run, slow=True, is_wanted=deliverer.is_wanted),
        Job("roll-up", _ROLL_UP_EVERY_S, RollUpInTurn(engine).run, slow=True, may_take_s=_HOUR_S),
        Job("catch-up", _CATCH_UP_EVERY_S, CatchUp(engine, names).run, slow=True),
        Job("review", _REVIEW_EVERY_S, ReviewFiller(engine, names).run, slow=True),
        Job("partitions", _PARTITIONS_EVERY_S, partial(make_ahead, engine)),
        Job("forget", _FORGET_EVERY_S, partial(forget_all, engine, settings.retention), slow=True, may_take_s=_HOUR_S),
        Job(
            "retrain",
            settings.retraining.look_every_s,
            retrainer.run,
            slow=True,
            is_wanted=retrainer.is_due,
            queue=TRAINER_QUEUE,
        ),
    )
    return (*jobs, Job("gauges", _GAUGES_EVERY_S, context.refresh_metrics)) if settings.metrics.port else jobs


def run_job(job: Job, engine: Engine) -> bool:
    """Run a job once; a slow one only if nobody else is at it. That it went well is noted where all can see it.

    Returns:
        Whether it was run. What becomes of it where somebody else is at it is for him to note: he may hang.

    """
    if not job.slow:
        job.run()
        return True
    with only_one(engine, f"job {job.name}") as is_ours:
        if is_ours:
            job.run()
            _note(job, engine)
    return is_ours


def _note(job: Job, engine: Engine) -> None:
    with writing(engine) as connection:
        note_job(connection, job.name, overdue_s=job.overdue_s)


def run_named_job(app: AnnotatorApp, name: str, *, on_call_back: Callable[[str], None] | None = None) -> None:
    """Run a job that beat has asked for, in a worker; one that this program does not know is passed over."""
    context, jobs = _jobs_of(app, on_call_back)
    for job in jobs:
        if job.name == name:
            run_job(job, context.engine)
            return
    _LOGGER.warning("There is no job %s; beat is of another version.", name)


@lru_cache(maxsize=1)
def _jobs_of(app: AnnotatorApp, on_call_back: Callable[[str], None] | None) -> tuple[JobContext, tuple[Job, ...]]:
    context = JobContext(app, on_call_back=on_call_back)
    return context, make_jobs(context)


class JobThread:
    """Runs one job again and again."""

    def __init__(self, job: Job, context: JobContext, *, jobs: int, on_fatal: Callable[[ConfigError], None]) -> None:
        """Take the job; :meth:`start` begins.

        Args:
            job: which.
            context: what it works with.
            jobs: how many jobs there are; more messages for the housekeeping queue are not sent.
            on_fatal: called when the settings cannot work.

        """
        self._job = job
        self._context = context
        self._jobs = jobs
        self._on_fatal = on_fatal
        self._told: tuple[str, float] = ("", 0.0)
        self._noted_s = -_NOTE_EVERY_S
        self.turns = 0
        self._thread = threading.Thread(target=self._run, name=job.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        job = self._job
        self._context.metrics.job_begun(job.name, every_s=job.every_s, overdue_s=job.overdue_s)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; say whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._context.stopping.wait(max(0.0, next_s - time.monotonic())):
            next_s = max(next_s + self._job.every_s, time.monotonic())
            self._run_once()
            self.turns += 1

    def _run_once(self) -> None:
        """Run it; a server that is away is tried again next time."""
        began_s = time.monotonic()
        failure: Exception | None = None
        is_done = False
        try:
            is_done = self._do()
        except ConfigError as error:
            failure = error
            self._on_fatal(error)
        except AnnotatorError as error:
            failure = error
            self._tell(str(error))
        except Exception as error:  # the boundary of a job: it is tried again
            failure = error
            _LOGGER.exception("%s failed", self._job.name)
        took_s = time.monotonic() - began_s
        self._context.metrics.job_ended(self._job.name, took_s=took_s, is_done=is_done, error=failure)

    def _do(self) -> bool:
        """Do what there is to do, or let a worker do it; say whether that is all done.

        It is not where somebody else is at it, in this moment.
        """
        job = self._job
        if not job.is_wanted():
            self._note_nothing_to_do()
            return True
        if job.slow and self._is_passed_on():
            return False
        if job.queue == HOUSEKEEPING_QUEUE:
            return run_job(job, self._context.engine)
        self._tell(f"no worker takes the queue {job.queue}: start one with -Q {job.queue}")
        return False

    def _note_nothing_to_do(self) -> None:
        if self._job.slow and time.monotonic() - self._noted_s >= _NOTE_EVERY_S:
            _note(self._job, self._context.engine)
            self._noted_s = time.monotonic()

    def _is_passed_on(self) -> bool:
        """Ask a worker to run the job, if one consumes the queue and takes what is in it."""
        timeout_s = self._context.settings.worker.session_timeout_s
        with reading(self._context.engine) as connection:
            consumed = living_queues(connection, timeout_s=timeout_s)
        if not any(self._job.queue in queues for queues in consumed):
            return False
        try:
            return self._context.broker.publish_job(self._job.name, self._job.queue, most=self._jobs)
        except BrokerUnavailableError:
            return False

    def _tell(self, trouble: str) -> None:
        told, told_s = self._told
        if trouble != told or time.monotonic() - told_s > _SAY_AGAIN_S:
            self._told = (trouble, time.monotonic())
            _LOGGER.warning("%s waits: %s", self._job.name, trouble)


class InProcessScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Runs the jobs here, and remembers nothing between two starts."""

    app: AnnotatorApp
    _threads: Sequence[JobThread] = ()
    _server: MetricsServer | None = None
    _fatal: ConfigError | None = None
    _turns: int = 0
    _silent_s: float = 0.0

    @cached_property
    def _context(self) -> JobContext:
        return JobContext(self.app)

    @property
    def info(self) -> str:
        """What the program prints of it."""
        jobs = ", ".join(f"{job.name} ({job.every_s:g} s)" for job in make_jobs(self._context))
        return f"    . jobs -> {jobs}"

    def setup_schedule(self) -> None:
        """Look at the broker, and start the jobs."""
        try:
            self._server = serve_metrics(self._context.metrics.registry, self._context.settings.metrics)
            self._context.broker.check()
        except ConfigError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(_EXIT_CONFIG) from None
        except BrokerUnavailableError as error:
            _LOGGER.warning("The jobs wait for the broker: %s", error)
        jobs = make_jobs(self._context)
        slow = sum(job.slow for job in jobs)
        self._threads = [JobThread(job, self._context, jobs=slow, on_fatal=self._on_fatal) for job in jobs]
        for thread in self._threads:
            thread.start()

    def tick(self) -> float:
        """Look whether the jobs can go on; says after how many seconds to look again."""
        if self._fatal is not None:
            sys.stderr.write(f"beat stops: {self._fatal}\n")
            leave_at_once(_EXIT_CONFIG)
        self._look_after_feeder()
        return _WATCH_S

    def _look_after_feeder(self) -> None:
        """Leave if the feeder never returns: whoever looks after this process starts another one.

        Looks are counted, and no clock: time in which the process was frozen is no fault of the feeder.
        """
        turns = self._threads[0].turns
        self._silent_s = self._silent_s + _WATCH_S if turns == self._turns else 0.0
        self._turns = turns
        if self._silent_s > _FEED_TIMEOUT_S:
            sys.stderr.write(f"beat stops: the feeder has not returned for {_FEED_TIMEOUT_S:.0f} s\n")
            leave_at_once(_EXIT_FAILURE)

    def close(self) -> None:
        """End the jobs. Celery calls it in its signal handler, and again at its end."""
        if self._context.stopping.is_set():
            return
        self._context.stopping.set()
        until_s = time.monotonic() + _STOP_S
        has_ended = [thread.join(max(0.0, until_s - time.monotonic())) for thread in self._threads]
        if not all(has_ended):
            # The interpreter's clean-up would wait for what a thread is doing in a driver, or for a receiver's answer.
            leave_at_once(0)

    def _on_fatal(self, error: ConfigError) -> None:
        self._fatal = error
