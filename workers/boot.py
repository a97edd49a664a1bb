"""How a worker process starts and stops: warm up, open a session, consume; drain, leave."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from celery import bootsteps, signals
from celery.worker import state as celery_state

from annotator.errors import AnnotatorError, ConfigError
from annotator.settings import Settings
from annotator.store.known import KnownContents
from annotator.store.store import Store
from annotator.store.work import Deadlines
from workers.app import AnnotatorApp
from workers.engine import MediaAnnotator
from workers.meters import Meters
from workers.observing import Observing, start_observing
from workers.worker import Worker, WorkerTimes
from workers.writer import ResultRows

_LOGGER: Final = logging.getLogger(__name__)
_EXIT_FAILURE: Final = 1
_EXIT_CONFIG: Final = 2
# Task threads, writer, heartbeat, decoding threads: each may hold a connection.
_SPARE_CONNECTIONS: Final = 6


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker needs.

    Attributes:
        annotator: with its networks loaded.
        rows: writes results.
        is_known: whether the bytes of this digest are annotated already.

    """

    annotator: MediaAnnotator
    rows: ResultRows
    is_known: Callable[[str], bool] | None


BuildParts = Callable[[Settings, Store], Parts]


class _Process:
    """The one worker of this process; task threads find it here."""

    worker: Worker | None = None
    observing: Observing | None = None


def current_worker() -> Worker:
    """Return the worker of this process.

    Raises:
        RuntimeError: this is no worker process.

    """
    if _Process.worker is None:
        msg = "there is no worker in this process; it is started by celery -A workers worker"
        raise RuntimeError(msg)
    return _Process.worker


def prepare_worker(app: AnnotatorApp, build: BuildParts | None = None) -> None:
    """Let the worker program of an application warm up before it consumes, and drain when it is told to stop.

    Args:
        app: the application.
        build: makes the parts; by default those of the settings.

    """

    class WorkerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Celery's hook: after the pool of threads, before the consumer."""

        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:  # noqa: ANN401, ARG002
            _start(app.annotator_settings, build)

        def stop(self, parent: Any) -> None:  # noqa: ANN401
            _stop(parent)

        terminate = stop

    app.steps["worker"].add(WorkerStep)
    signals.worker_shutting_down.connect(_on_shutting_down, weak=False)


def build_parts(settings: Settings, store: Store, *, meters: Meters | None = None) -> Parts:
    """Build what the settings say: the model with everybody enrolled in the database.

    Args:
        settings: what can be set.
        store: the database.
        meters: are told how busy the stages of the annotator are.

    Raises:
        ConfigError: the settings cannot work.
        ModelError: a network or bundle fails its checks.

    """
    from annotator.build import build_annotator, register_model  # noqa: PLC0415  (loads the networks' engine)
    from workers.results import StoreRows  # noqa: PLC0415

    annotator = build_annotator(settings, store=store, meter=meters)
    registered = register_model(store, annotator)
    rows = StoreRows(
        network_id=registered.network_id, labelling_id=registered.labelling_id, identify=annotator.identify
    )
    return Parts(annotator, rows, KnownContents(store.engine, registered.network_id))


def _start(settings: Settings, build: BuildParts | None) -> None:
    try:
        observing = start_observing(settings)
        watch = observing.watch
        pool_size = settings.worker.concurrency + _SPARE_CONNECTIONS
        store = Store.open(settings.database_url.get_secret_value(), pool_size=pool_size)
        parts = build(settings, store) if build else build_parts(settings, store, meters=watch.meters)
        worker = Worker(
            store.engine,
            parts.annotator,
            parts.rows,
            is_known=parts.is_known,
            times=_times(settings),
            on_fatal=_on_fatal,
            watch=watch,
        )
        worker.start()
    except AnnotatorError as error:  # the boundary of the process: one line, and an exit code
        _LOGGER.critical("The worker cannot start: %s", error)
        sys.stderr.write(f"{error}\n")
        raise SystemExit(_EXIT_CONFIG if isinstance(error, ConfigError) else _EXIT_FAILURE) from None
    observing.follow(
        in_hand=lambda: worker.in_hand, is_ready=lambda: not worker.is_draining, model=parts.annotator.model
    )
    _Process.worker, _Process.observing = worker, observing
    _LOGGER.info("ready: %s", parts.annotator.model)
    if celery_state.should_stop is not None:  # the signal came while the networks were loaded
        worker.start_draining()


def _times(settings: Settings) -> WorkerTimes:
    chosen = settings.worker
    return WorkerTimes(
        heartbeat_s=chosen.heartbeat_s,
        drain_s=chosen.drain_s,
        deadlines=Deadlines({"gif": chosen.gif_deadline_s, "film": chosen.film_deadline_s}),
        max_tries=chosen.max_attempts,
        write_media=chosen.write_media,
        write_wait_s=chosen.write_every_ms / 1000,
    )


def _on_shutting_down(exitcode: int = 0, **_: object) -> None:
    """Drain. Runs in a signal handler on the main thread: only starts threads."""
    worker = _Process.worker
    if worker is not None and not worker.is_draining:
        worker.start_draining()
        leave = threading.Timer(worker.drain_s, _leave, [exitcode])
        leave.daemon = True
        leave.start()


def _on_fatal(error: AnnotatorError) -> None:
    sys.stderr.write(f"The worker stops: {error}\n")
    celery_state.should_stop = _EXIT_FAILURE


def _stop(parent: Any) -> None:  # noqa: ANN401  (Celery's worker)
    worker, _Process.worker = _Process.worker, None
    if worker is not None and not worker.close():
        # The networks are at work on what was given back. The interpreter's clean-up could hang on them.
        atexit.register(_leave, parent.exitcode or 0)
    observing, _Process.observing = _Process.observing, None
    if observing is not None:
        observing.close()


def _leave(exitcode: int) -> None:
    """Leave at once."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exitcode)
