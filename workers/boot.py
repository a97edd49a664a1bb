"""How a worker process starts and stops: warm up, open a session, consume; drain, leave."""

import atexit
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from celery import bootsteps, signals
from celery.worker import state as celery_state
from sqlalchemy import Engine

from annotator.errors import AnnotatorError, ConfigError
from annotator.liveness import AliveFile
from annotator.settings import Settings, WorkerSettings
from annotator.store.known import KnownContents
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.lanes import FILM, GIF, lane_of
from annotator.store.queue.work import Deadlines
from annotator.store.store import Store
from workers.annotating.engine import MediaAnnotator
from workers.annotating.housekeeper import Housekeeper
from workers.annotating.session import Profile
from workers.annotating.spot import SpotWatch, metadata_service
from workers.annotating.times import WorkerTimes
from workers.annotating.worker import Worker
from workers.annotating.writer import ResultRows
from workers.app import ANNOTATE_QUEUES, AnnotatorApp
from workers.leaving import leave_at_once
from workers.telemetry.meters import Meters
from workers.telemetry.observing import Observing, start_observing
from workers.telemetry.watch import Watch

_LOGGER: Final = logging.getLogger(__name__)
_EXIT_FAILURE: Final = 1
_EXIT_CONFIG: Final = 2
_EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
# Task threads and decoding threads may each hold a connection, and so do writer, heartbeat and the drain.
_SPARE_CONNECTIONS: Final = 4
# What Celery has for its own clean-up where the networks never return.
_CLEAN_UP_S: Final = 2.0
# Of a claim's deadline: what a media may take in a decoding thread, before the watchdog would blame the networks.
_MEDIA_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Parts:
    """What a worker needs.

    Attributes:
        annotator: with its networks loaded.
        rows: writes results.
        is_known: whether the bytes of this digest are annotated already.
        device: what the networks run on.

    """

    annotator: MediaAnnotator
    rows: ResultRows
    is_known: Callable[[str], bool] | None
    device: str | None = None


BuildParts = Callable[[Settings, Store], Parts]


class _Body(Protocol):
    """What this process is: a worker with networks, or one without."""

    @property
    def is_draining(self) -> bool: ...
    @property
    def drain_s(self) -> float: ...
    @property
    def in_hand(self) -> int: ...
    def start(self) -> None: ...
    def start_draining(self) -> None: ...
    def hurry(self) -> None: ...
    def close(self) -> bool: ...


class _Process:
    """The one worker of this process; task threads find it here."""

    body: _Body | None = None
    observing: Observing | None = None
    spot: SpotWatch | None = None


def current_worker() -> Worker:
    """Return the worker of this process.

    Raises:
        RuntimeError: this is no worker process, or one without networks.

    """
    body = _Process.body
    if isinstance(body, Worker):
        return body
    msg = "there is no worker with networks in this process; it is started by celery -A workers worker -Q gpu"
    raise RuntimeError(msg)


def tell_malformed() -> None:
    """Count a message that was none of ours."""
    if _Process.observing is not None:
        _Process.observing.watch.malformed()


def tell_called_back(result: str) -> None:
    """Count a call-back that this process has tried to deliver."""
    if _Process.observing is not None:
        _Process.observing.called_back(result)


def prepare_worker(app: AnnotatorApp, build: BuildParts | None = None) -> None:
    """Let the worker program of an application warm up before it consumes, and drain when it is told to stop.

    Args:
        app: the application.
        build: makes the parts; by default those of the settings.

    """

    class WorkerStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Celery's hook: after the pool of threads, before the consumer."""

        requires = ("celery.worker.components:Pool",)

        def start(self, parent: Any) -> None:  # noqa: ANN401
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, _on_interrupt)
            _start(app.annotator_settings, tuple(parent.app.amqp.queues.consume_from), build)

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
        ConfigError: the settings cannot work, or the decoder cannot be run.
        ModelError: a network or bundle fails its checks.

    """
    from annotator.build import build_annotator, build_engine, check_decoding, register_model  # noqa: PLC0415  (loads the engine)
    from annotator.decoding import PipelineParams  # noqa: PLC0415
    from workers.annotating.results import StoreRows  # noqa: PLC0415

    check_decoding(settings)
    by_lane = _deadlines(settings.worker).by_lane
    engine = build_engine(settings)
    annotator = build_annotator(
        settings,
        store=store,
        engine=engine,
        params=PipelineParams(decoders=settings.worker.decoders),
        time_limit_s=lambda key, size_bytes: _MEDIA_SHARE * by_lane[lane_of(key, size_bytes)],
        meter=meters,
    )
    registered = register_model(store, annotator)
    rows = StoreRows(
        network_id=registered.network_id, labelling_id=registered.labelling_id, identify=annotator.identify
    )
    device = "gpu" if engine.name == "tensorflow" else "cpu"
    return Parts(annotator, rows, KnownContents(store.engine, registered.network_id), device)


def _start(settings: Settings, queues: tuple[str, ...], build: BuildParts | None) -> None:
    try:
        observing = start_observing(settings)
        pool_size = settings.worker.concurrency + settings.worker.decoders + _SPARE_CONNECTIONS
        store = Store.open(
            settings.database_url.get_secret_value(),
            pool_size=pool_size,
            max_silence_s=settings.worker.session_timeout_s,
        )
        body, model = _make_body(settings, store, queues=queues, watch=observing.watch, build=build)
        body.start()
        gc.collect()
        gc.freeze()  # what is loaded stays: the collector need not look through it again and again
    except AnnotatorError as error:  # the boundary of the process: one line, and an exit code
        _LOGGER.critical("The worker cannot start: %s", error)
        sys.stderr.write(f"{error}\n")
        raise SystemExit(_EXIT_CONFIG if isinstance(error, ConfigError) else _EXIT_FAILURE) from None
    observing.follow(in_hand=lambda: body.in_hand, is_ready=lambda: not body.is_draining, model=model)
    _Process.body, _Process.observing, _Process.spot = body, observing, _watch_spot(settings.worker)
    _LOGGER.info("ready for %s: %s", ", ".join(queues), model or "housekeeping only, no networks")
    if celery_state.should_stop is not None:  # the signal came while the networks were loaded
        body.start_draining()


def _make_body(
    settings: Settings, store: Store, *, queues: tuple[str, ...], watch: Watch, build: BuildParts | None
) -> tuple[_Body, str]:
    """Return what this process is, with its model; without a queue of media it loads no networks."""
    chosen = settings.worker
    if not set(queues) & set(ANNOTATE_QUEUES):
        return _make_housekeeper(chosen, store.engine, profile=Profile(queues), watch=watch), ""
    parts = build(settings, store) if build else build_parts(settings, store, meters=watch.meters)
    profile = Profile(queues, parts.device, parts.rows.network_id, parts.rows.labelling_id)
    return _make_worker(chosen, parts, database=store.engine, profile=profile, watch=watch), parts.annotator.model


def _make_worker(chosen: WorkerSettings, parts: Parts, *, database: Engine, profile: Profile, watch: Watch) -> Worker:
    return Worker(
        database,
        parts.annotator,
        parts.rows,
        is_known=parts.is_known,
        times=_times(chosen),
        on_fatal=_on_fatal,
        on_hang=lambda: leave_at_once(_EXIT_FAILURE),
        profile=profile,
        alive=AliveFile(chosen.alive_file),
        watch=watch,
        on_turn=lambda: _leave_unless_called_again(chosen),
    )


def _make_housekeeper(chosen: WorkerSettings, database: Engine, *, profile: Profile, watch: Watch) -> Housekeeper:
    return Housekeeper(database, times=_times(chosen), profile=profile, watch=watch, alive=AliveFile(chosen.alive_file))


def _times(chosen: WorkerSettings) -> WorkerTimes:
    # One decoder and one task thread are always left to small media, where there is more than one.
    max_films = max(1, min(chosen.decoders, chosen.concurrency) - 1)
    return WorkerTimes(
        heartbeat_s=chosen.heartbeat_s,
        drain_s=chosen.drain_s,
        deadlines=_deadlines(chosen),
        max_tries=chosen.max_attempts,
        chunk_limits=ChunkLimits(media=chosen.chunk_media, size_bytes=chosen.chunk_bytes),
        write_media=chosen.write_media,
        write_wait_s=chosen.write_every_ms / 1000,
        max_films=max_films,
    )


def _deadlines(chosen: WorkerSettings) -> Deadlines:
    return Deadlines({GIF: chosen.gif_deadline_s, FILM: chosen.film_deadline_s})


def _watch_spot(chosen: WorkerSettings) -> SpotWatch | None:
    if chosen.spot_notice is None:
        return None
    # The same way as from outside: Celery stops consuming, and its signal starts the drain.
    watch = SpotWatch(
        metadata_service(chosen.spot_notice, chosen.spot_url), on_notice=lambda: os.kill(os.getpid(), signal.SIGTERM)
    )
    watch.start()
    return watch


def _leave_unless_called_again(chosen: WorkerSettings) -> None:
    """Let the interpreter's own watchdog end the process if no thread of Python gets a turn any more.

    Code that hangs while it holds the interpreter's lock stops every thread, the watchdog's included.
    """
    longest_s = max(chosen.gif_deadline_s, chosen.film_deadline_s)
    faulthandler.dump_traceback_later(longest_s, exit=True, file=sys.__stderr__ or 2)


def _on_shutting_down(**_: object) -> None:
    """Drain. Runs in a signal handler on the main thread: only starts threads."""
    body = _Process.body
    if body is not None and not body.is_draining:
        body.start_draining()
        _leave_after(body.drain_s, 0)


def _on_interrupt(*_: object) -> None:
    """Drain at the first Ctrl-C, finish nothing more at the second: Celery's own way does not work with threads."""
    body = _Process.body
    if celery_state.should_stop is None:
        celery_state.should_stop = 0
        _on_shutting_down()
    elif body is None:  # the networks are being loaded, nothing is in hand
        leave_at_once(_EXIT_INTERRUPTED)
    else:
        body.hurry()


def _on_fatal(error: AnnotatorError) -> None:
    sys.stderr.write(f"The worker stops: {error}\n")
    celery_state.should_stop = _EXIT_FAILURE
    if _Process.body is not None:
        _leave_after(_Process.body.drain_s, _EXIT_FAILURE)


def _leave_after(wait_s: float, exitcode: int) -> None:
    leave = threading.Timer(wait_s, leave_at_once, [exitcode])
    leave.daemon = True
    leave.start()


def _stop(parent: Any) -> None:  # noqa: ANN401  (Celery's worker)
    if _Process.spot is not None:
        _Process.spot.close()
    is_idle = _Process.body is None or _Process.body.close()
    if not is_idle:
        # The networks are at work on what was given back. The interpreter's clean-up could hang on them, and before
        # that it waits for the threads of pools, in which they are.
        atexit.register(leave_at_once, parent.exitcode or 0)
    faulthandler.cancel_dump_traceback_later()
    observing, _Process.observing = _Process.observing, None
    if observing is not None:
        observing.close()
    if not is_idle:  # only now: the last spans have their own time
        _leave_after(_CLEAN_UP_S, parent.exitcode or 0)
