"""Traces of a worker: a span for each message, below it one for each media, with the times of its stages.

OpenTelemetry comes with the extra ``tracing``; where spans go is said by its standard variables
(``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``, …).
"""

import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from annotator.errors import ConfigError
from annotator.masking import Masker
from annotator.store.queue.work import Claim
from annotator.store.tables import WorkState
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure
from workers.telemetry.watch import Message, Observer, Settled

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SERVICE: Final = "annotator-worker"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"
_INSTALL: Final = "pip install 'celebrity-annotator[tracing]'"


def make_provider(*, worker: str) -> "TracerProvider":
    """Return what makes spans and sends them by OTLP over HTTP, in a thread of its own.

    Args:
        worker: host and process; names the instance of the service.

    Raises:
        ConfigError: OpenTelemetry is not installed, or another protocol is asked for.

    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"ANNOTATOR_TRACING asks for traces, but OpenTelemetry is not installed: run {_INSTALL}, or unset it."
        ) from error
    for name in _PROTOCOLS:
        if os.environ.get(name, _HTTP) != _HTTP:
            raise ConfigError(f"{name} asks for {os.environ[name]}; traces are sent by {_HTTP}: unset it.")
    attributes = {"service.instance.id": worker}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = SERVICE
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Tracer(Observer):
    """Makes the spans of a worker."""

    def __init__(self, provider: "TracerProvider", masker: Masker) -> None:
        """Take what makes and sends spans.

        Args:
            provider: of OpenTelemetry.
            masker: hides secrets in addresses and messages.

        """
        from opentelemetry import trace  # noqa: PLC0415  (comes with the extra)

        self._trace = trace
        self._provider = provider
        self._tracer = provider.get_tracer("annotator")
        self._masker = masker
        self._lock = threading.Lock()
        self._messages: dict[Message, Span] = {}
        self._parents: dict[tuple[int, int, int], Context] = {}

    def message_begun(self, message: Message) -> None:
        """Begin the span of a message."""
        attributes = {"annotator.chunk": message.chunk_id, "annotator.media_count": message.media}
        kind = self._trace.SpanKind.CONSUMER
        span = self._tracer.start_span("annotate chunk", kind=kind, attributes=attributes)
        with self._lock:
            self._messages[message] = span

    def message_ended(self, message: Message) -> None:
        """End it."""
        with self._lock:
            begun = self._messages.pop(message, None)
        # One that could not be read has not begun.
        span = begun or self._tracer.start_span("annotate chunk", kind=self._trace.SpanKind.CONSUMER)
        span.set_attribute("annotator.result", message.result)
        span.set_attribute("annotator.claimed_count", message.claimed)
        if message.result in {"failed", "malformed"}:
            span.set_status(self._trace.StatusCode.ERROR, message.result)
        span.end()

    def claimed(self, message: Message | None, claims: Sequence[Claim], *, took_s: float) -> None:
        """Tell how long the claim took, and remember below which span its media belong."""
        with self._lock:
            span = self._messages.get(message) if message else None
            if span is None:
                return
            below = self._trace.set_span_in_context(span)
            self._parents.update({one.key: below for one in claims})
        end_ns = time.time_ns()
        claim = self._tracer.start_span("claim", context=below, start_time=end_ns - _ns(took_s))
        claim.end(end_ns)

    def settled(self, settled: Sequence[Settled], *, took_s: float) -> None:
        """Make the spans of media that are through: they began with their claim and end with the transaction."""
        end_ns = time.time_ns()
        now_s = time.monotonic()
        for one in settled:
            with self._lock:
                below = self._parents.pop(one.claim.key, None)
            if below is not None:
                self._tell(one, below, begin_ns=end_ns - _ns(now_s - one.claim.claimed_s), write_ns=_ns(took_s))

    def session_lost(self, dropped: Sequence[Claim]) -> None:
        """Forget media that are in hand no more."""
        with self._lock:
            for one in dropped:
                self._parents.pop(one.key, None)

    def close(self, *, timeout_s: float) -> None:
        """Send what is left; what cannot be sent in time is lost."""
        sender = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        sender.start()
        sender.join(timeout_s)

    def _tell(self, one: Settled, below: "Context", *, begin_ns: int, write_ns: int) -> None:
        span = self._tracer.start_span("annotate media", context=below, start_time=begin_ns)
        span.set_attributes(
            {
                "annotator.media": self._masker.mask(one.claim.media.uri),
                "annotator.attempt": one.claim.attempts,
                "annotator.outcome": _outcome_of(one),
            }
        )
        if isinstance(one.outcome, MediaAnnotation):
            counts = {
                "frames": one.outcome.frames_sampled,
                "faces": one.outcome.faces,
                "tracks": len(one.outcome.tracks),
            }
            span.set_attributes({f"annotator.{name}": count for name, count in counts.items()})
            for stage, stage_s in one.outcome.timings_s.items():
                # Events: frames of many media share a stage, which has no one beginning and end for one of them.
                span.add_event(stage, {"annotator.seconds": stage_s})
        elif isinstance(one.outcome, MediaFailure) and one.counts:
            span.set_attribute("annotator.reason", one.report.reason or "")
            span.set_status(self._trace.StatusCode.ERROR, self._masker.mask(one.report.message or ""))
        end_ns = time.time_ns()
        write = self._tracer.start_span(
            "write", context=self._trace.set_span_in_context(span), start_time=end_ns - write_ns
        )
        write.end(end_ns)
        span.end(end_ns)


def _outcome_of(one: Settled) -> str:
    if not one.counts:
        return "refused"
    if one.report.gives_back:
        return "given_back"
    if one.report.state == WorkState.PENDING:
        return "retried"
    if isinstance(one.outcome, MediaFailure):
        return "failed"
    return "linked" if isinstance(one.outcome, KnownMedia) else "annotated"


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
