"""What a worker shows to Prometheus, and how; docs/metrics.md lists it.

A worker counts what has happened in it: good for rates. What is true of the whole queue stands in the database, and
beat shows it (``workers.beat.queue_metrics``). Nothing is registered on import: each process has its own registry.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from annotator.errors import (
    ArchivedSourceError,
    BucketRefusedError,
    ConfigError,
    DecodeTimeoutError,
    ForbiddenSourceError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    UndecodableMediaError,
    UnsupportedMediaError,
)
from annotator.settings import MetricsSettings
from annotator.store.queue.work import Claim
from annotator.store.tables import WorkState
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure
from workers.annotating.machine import MACHINE_FAULTS
from workers.telemetry.meters import Meters
from workers.telemetry.process_metrics import ProcessMetrics
from workers.telemetry.watch import Message, MessageResult, Observer, Settled

_STAGE_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_MEDIA_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_TRANSACTION_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

MEDIA_STAGES: Final = ("fetch", "decode", "detect", "link", "embed", "identify")
"""The stages of one media, as ``MediaAnnotation.timings_s`` names them."""


_FAULTS_OF_MEDIA: Final = (
    UnsupportedMediaError,
    UndecodableMediaError,
    MediaTooLargeError,
    DecodeTimeoutError,
    ForbiddenSourceError,
    ArchivedSourceError,
    SourceNotFoundError,
)
_PASSING_TROUBLE: Final = (SourceUnavailableError, SourceChangedError, BucketRefusedError)
_FAULTS_OF_OURS: Final = ("internal", "unstorable")


class WorkerMetrics(ProcessMetrics, Observer):
    """The metrics of one worker process."""

    def __init__(self, meters: Meters) -> None:
        """Register everything in a registry of its own.

        Args:
            meters: clocks of the stages.

        """
        super().__init__()
        self._make_counters()
        self._make_histograms()
        self._make_gauges()
        self.registry.register(_StageClocks(meters))
        # A series that appears with its first event has no rate of that event.
        for outcome in ("annotated", "linked"):
            self._media.labels(outcome, "")
        passing = [*_FAULTS_OF_OURS, *(error.reason for error in _PASSING_TROUBLE)]
        for reason in [*passing, *(error.reason for error in _FAULTS_OF_MEDIA)]:
            self._media.labels("failed", reason)
        for reason in passing:
            self._retries.labels(reason)
        for reason in sorted(MACHINE_FAULTS):
            self._rests.labels(reason)
        for result in get_args(MessageResult):
            self._messages.labels(result)

    def _make_counters(self) -> None:
        self._media = self._counter(
            "annotator_media", "Media that are through, each counted once.", "outcome", "reason"
        )
        self._retries = self._counter("annotator_media_retries", "Media that will be tried again later.", "reason")
        self._given_back = self._counter(
            "annotator_media_given_back", "Media given back untouched by a stopping worker."
        )
        self._refused = self._counter("annotator_results_refused", "Late results that the fence has refused.")
        self._claimed = self._counter("annotator_media_claimed", "Media claimed.")
        self._messages = self._counter("annotator_messages", "Messages worked through.", "result")
        self._sessions_lost = self._counter("annotator_sessions_lost", "Times this worker was taken for dead.")
        self._dropped = self._counter("annotator_media_dropped", "Media in hand when it was taken for dead.")
        self._database_errors = self._counter(
            "annotator_database_errors", "Transactions that the database refused for now."
        )
        self._rests = self._counter(
            "annotator_worker_rests",
            "Times this worker claimed nothing for a while, its machine being at fault.",
            "reason",
        )
        self._frames = self._counter("annotator_frames", "Frames looked at.")
        self._faces = self._counter("annotator_faces", "Faces found.")
        self._tracks = self._counter("annotator_tracks", "Tracks stored.")

    def _make_histograms(self) -> None:
        self._stages = self._histogram(
            "annotator_media_stage_seconds", "Time of one media in a stage.", _STAGE_BUCKETS_S, "stage"
        )
        self._media_s = self._histogram(
            "annotator_media_seconds", "Time from the claim of a media until its result is stored.", _MEDIA_BUCKETS_S
        )
        self._claim_s = self._histogram("annotator_claim_seconds", "Time of a claim.", _TRANSACTION_BUCKETS_S)
        self._write_s = self._histogram(
            "annotator_write_seconds", "Time of a transaction that stores results.", _TRANSACTION_BUCKETS_S
        )

    def _make_gauges(self) -> None:
        self._in_hand = self._gauge("annotator_in_hand", "Media claimed and not settled.")
        self._is_ready = self._gauge("annotator_worker_ready", "1 while the worker takes messages.")
        self._info = self._gauge("annotator_worker_info", "Always 1.", "version", "model", "worker")
        folder = tempfile.gettempdir()
        free = self._gauge("annotator_temp_free_bytes", "Free space where media are kept while they are decoded.")
        free.set_function(lambda: shutil.disk_usage(folder).free)
        size = self._gauge("annotator_temp_size_bytes", "Size of the file system of annotator_temp_free_bytes.")
        size.set_function(lambda: shutil.disk_usage(folder).total)

    def follow(self, *, in_hand: Callable[[], int], is_ready: Callable[[], bool], **info: str) -> None:
        """Show the state of a worker that has started.

        Args:
            in_hand: media claimed and not settled.
            is_ready: whether it takes messages.
            info: ``version``, ``model`` and ``worker``.

        """
        self._in_hand.set_function(in_hand)
        self._is_ready.set_function(lambda: float(is_ready()))
        self._info.labels(**info).set(1)

    # ------------------------------------------------------------------------------------------------------ observer

    def message_ended(self, message: Message) -> None:
        """Count a message."""
        self._messages.labels(message.result).inc()

    def claimed(self, message: Message | None, claims: Sequence[Claim], *, took_s: float) -> None:  # noqa: ARG002
        """Count what was claimed."""
        self._claimed.inc(len(claims))
        self._claim_s.observe(took_s)

    def settled(self, settled: Sequence[Settled], *, took_s: float) -> None:
        """Count what became of each media, once: what the fence has refused is counted by who has it now."""
        now_s = time.monotonic()
        self._write_s.observe(took_s)
        for one in settled:
            if one.counts:
                self._count(one, now_s)
            elif one.outcome is not None:
                self._refused.inc()

    def session_lost(self, dropped: Sequence[Claim]) -> None:
        """Count a session that was taken for dead."""
        self._sessions_lost.inc()
        self._dropped.inc(len(dropped))

    def database_refused(self) -> None:
        """Count a transaction that the database refused for now."""
        self._database_errors.inc()

    def rests(self, reason: str) -> None:
        """Count a rest that the machine's fault has brought about."""
        self._rests.labels(reason).inc()

    def _count(self, one: Settled, now_s: float) -> None:
        reason = one.report.reason or ""
        if one.report.gives_back:
            self._given_back.inc()
        elif one.report.state == WorkState.PENDING:
            self._retries.labels(reason).inc()
        elif isinstance(one.outcome, MediaFailure):
            self._media.labels("failed", reason).inc()
        else:
            self._media.labels("linked" if isinstance(one.outcome, KnownMedia) else "annotated", "").inc()
            self._media_s.observe(now_s - one.claim.claimed_s)
            if isinstance(one.outcome, MediaAnnotation):
                self._measure(one.outcome)

    def _measure(self, annotation: MediaAnnotation) -> None:
        self._frames.inc(annotation.frames_sampled)
        self._faces.inc(annotation.faces)
        self._tracks.inc(len(annotation.tracks))
        for stage in MEDIA_STAGES:
            took_s = annotation.timings_s.get(stage)
            if took_s is not None:
                self._stages.labels(stage).observe(took_s)


class _StageClocks(Collector):
    """How long each stage has been busy: the rate, divided by its threads, is its share."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def collect(self) -> Iterable[Metric]:
        """Read the meters."""
        busy = CounterMetricFamily(
            "annotator_stage_busy_seconds", "Time that the threads of a stage were at work.", labels=["stage"]
        )
        for stage, busy_s in self._meters.totals().items():
            busy.add_metric([stage], busy_s)
        threads = GaugeMetricFamily("annotator_stage_threads", "Threads of a stage.", labels=["stage"])
        for stage, count in self._meters.threads().items():
            threads.add_metric([stage], count)
        return busy, threads


@dataclass(frozen=True, slots=True, eq=False)
class MetricsServer:
    """Answers Prometheus in a thread of its own.

    Attributes:
        port: where.

    """

    port: int
    _server: WSGIServer
    _thread: threading.Thread

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(registry: CollectorRegistry, settings: MetricsSettings) -> MetricsServer | None:
    """Show a registry at ``http://HOST:PORT/metrics``; nothing where no port is set.

    Raises:
        ConfigError: the port is taken, or the address is none of this machine.

    """
    if not settings.port:
        return None
    try:
        server, thread = start_http_server(settings.port, settings.host, registry)
    except OSError as error:
        raise ConfigError(
            f"Metrics cannot be shown at {settings.host}:{settings.port} ({error.strerror}): set"
            " ANNOTATOR_METRICS__PORT to a free port, one for each process of a machine, or to 0 for none."
        ) from error
    return MetricsServer(settings.port, server, thread)
