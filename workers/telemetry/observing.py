"""Who listens to a worker, by the settings: metrics, traces, and always the log of failures."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from annotator.masking import Masker
from annotator.settings import Settings
from workers.telemetry.logs import FailureLog, known_secrets
from workers.telemetry.meters import Meters
from workers.telemetry.metrics import MetricsServer, WorkerMetrics, serve_metrics
from workers.telemetry.tracing import Tracer, make_provider
from workers.telemetry.watch import Observer, Watch

_LAST_SPANS_S: Final = 1.0
_DISTRIBUTION: Final = "celebrity-annotator"


@dataclass(frozen=True, slots=True, eq=False)
class Observing:
    """What listens to one worker.

    Attributes:
        watch: to be handed to it.

    """

    watch: Watch
    _metrics: WorkerMetrics | None
    _server: MetricsServer | None
    _tracer: Tracer | None

    def follow(self, *, in_hand: Callable[[], int], is_ready: Callable[[], bool], model: str) -> None:
        """Show the state of the worker from now on.

        Args:
            in_hand: media claimed and not settled.
            is_ready: whether it takes messages.
            model: the model version that labels come from.

        """
        if self._metrics is not None:
            info = {"version": version(_DISTRIBUTION), "model": model, "worker": worker_name()}
            self._metrics.follow(in_hand=in_hand, is_ready=is_ready, **info)

    def called_back(self, result: str) -> None:
        """Count a try to deliver a call-back, as :meth:`~workers.telemetry.metrics.WorkerMetrics.called_back` does."""
        if self._metrics is not None:
            self._metrics.called_back(result)

    def close(self) -> None:
        """Send the last spans and stop answering Prometheus."""
        if self._tracer is not None:
            self._tracer.close(timeout_s=_LAST_SPANS_S)
        if self._server is not None:
            self._server.close()


def start_observing(settings: Settings) -> Observing:
    """Make what the settings ask for; metrics can be asked for at once, long before the networks are loaded.

    Raises:
        ConfigError: the port of the metrics is taken, or traces are asked for and cannot be made.

    """
    threads = settings.worker.concurrency
    meters = Meters(threads={"claim": threads, "message": threads})
    observers: list[Observer] = [FailureLog()]
    tracer = None
    if settings.tracing:
        tracer = Tracer(make_provider(worker=worker_name()), Masker(known_secrets(settings)))
        observers.append(tracer)
    metrics, server = None, None
    if settings.metrics.port:
        metrics = WorkerMetrics(meters)
        server = serve_metrics(metrics.registry, settings.metrics)
        observers.append(metrics)
    return Observing(Watch(meters, tuple(observers)), metrics, server, tracer)


def worker_name() -> str:
    """Return host and process, as a session has it."""
    return f"{socket.gethostname()}:{os.getpid()}"
