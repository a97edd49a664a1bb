"""Spans: a message, its claim, its media, what wrote them."""

import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from annotator.errors import ConfigError
from annotator.masking import Masker
from annotator.settings import load_settings
from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim, Report
from annotator.store.tables import WorkState
from annotator.types import ClipReport, KnownMedia, MediaAnnotation, MediaFailure, MediaRef
from workers.telemetry.observing import start_observing
from workers.telemetry.tracing import Tracer, make_provider
from workers.telemetry.watch import Settled, Watch


class Traced:
    """A watch, and the spans that come of it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = Tracer(provider, Masker())
        self.watch = Watch(observers=(self.tracer,))

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


def claim_of(media_id: int, uri: str = "s3://clips/a.gif") -> Claim:
    return Claim(media_id, 1, 2, MediaRef("a.gif", uri), Piece(media_id, "a.gif", 1), suspect=False, tries=1)


def annotation(claim: Claim) -> MediaAnnotation:
    return MediaAnnotation(
        media=claim.media,
        model="fake@1",
        content_sha256="0",
        clip=ClipReport(1, 1, None, 1, 1, None),
        frames_sampled=20,
        faces=3,
        tracks=(),
        labels=(),
        timings_s={"decode": 0.25, "detect": 0.5},
    )


def settled(claim: Claim, outcome: Any, state: WorkState = WorkState.DONE, **report: Any) -> Settled:
    counts = report.pop("counts", True)
    return Settled(claim, outcome, Report(claim, state, **report), counts=counts)


def test_a_message_has_a_span_and_below_it_its_claim_and_its_media() -> None:
    traced = Traced()
    claims = [claim_of(1), claim_of(2)]
    with traced.watch.message(7, media=2):
        traced.watch.claimed(claims, took_s=0.01)
        traced.watch.settled([settled(one, annotation(one)) for one in claims], took_s=0.02)
    (chunk,) = traced.spans("annotate chunk")
    assert chunk.attributes == {
        "annotator.chunk": 7,
        "annotator.media_count": 2,
        "annotator.claimed_count": 2,
        "annotator.result": "ok",
    }
    (claim,) = traced.spans("claim")
    first, second = traced.spans("annotate media")
    assert {span.parent.span_id for span in (claim, first, second) if span.parent} == {chunk.context.span_id}
    assert first.attributes == {
        "annotator.media": "s3://clips/a.gif",
        "annotator.attempt": 2,
        "annotator.outcome": "annotated",
        "annotator.frames": 20,
        "annotator.faces": 3,
        "annotator.tracks": 0,
    }
    assert [(event.name, dict(event.attributes or {})) for event in first.events] == [
        ("decode", {"annotator.seconds": 0.25}),
        ("detect", {"annotator.seconds": 0.5}),
    ]
    write = traced.spans("write")[0]
    assert write.parent is not None
    assert write.parent.span_id == first.context.span_id
    assert write.end_time is not None
    assert write.start_time is not None
    assert write.end_time - write.start_time == 20_000_000


def test_a_media_begins_with_its_claim_and_ends_when_it_is_stored() -> None:
    traced = Traced()
    one = claim_of(1)
    with traced.watch.message(7, media=1):
        traced.watch.claimed([one], took_s=0.0)
        traced.watch.settled([settled(one, KnownMedia(one.media, "0"))], took_s=0.0)
    (media,) = traced.spans("annotate media")
    (chunk,) = traced.spans("annotate chunk")
    assert media.attributes is not None
    assert media.attributes["annotator.outcome"] == "linked"
    assert media.start_time is not None
    assert media.end_time is not None
    assert chunk.end_time is not None
    assert media.start_time <= media.end_time <= chunk.end_time


def test_failures_have_their_reason_and_hide_signatures() -> None:
    traced = Traced()
    one = claim_of(1, "https://h/a.gif?X-Amz-Signature=f00d")
    failure = MediaFailure(one.media, "fake@1", "undecodable", "no picture", is_transient=False)
    with traced.watch.message(7, media=1):
        traced.watch.claimed([one], took_s=0.0)
        report = {"reason": "undecodable", "message": "password=f00d"}
        traced.watch.settled([settled(one, failure, WorkState.FAILED, **report)], took_s=0.0)
    (media,) = traced.spans("annotate media")
    assert not media.status.is_ok
    assert media.attributes is not None
    assert media.attributes["annotator.reason"] == "undecodable"
    assert "f00d" not in media.to_json()


@pytest.mark.parametrize(
    ("outcome", "report", "told"),
    [
        (None, {"state": WorkState.PENDING, "gives_back": True}, "given_back"),
        ("failure", {"state": WorkState.PENDING, "reason": "source_unavailable", "delay_s": 5.0}, "retried"),
        ("failure", {"state": WorkState.FAILED, "reason": "x", "counts": False}, "refused"),
    ],
)
def test_what_became_of_a_media_is_told(outcome: str | None, report: dict[str, Any], told: str) -> None:
    traced = Traced()
    one = claim_of(1)
    failure = MediaFailure(one.media, "fake@1", "source_unavailable", "503", is_transient=True) if outcome else None
    with traced.watch.message(7, media=1):
        traced.watch.claimed([one], took_s=0.0)
        traced.watch.settled([settled(one, failure, **report)], took_s=0.0)
    (media,) = traced.spans("annotate media")
    assert media.attributes is not None
    assert media.attributes["annotator.outcome"] == told


def test_media_that_were_dropped_are_forgotten() -> None:
    traced = Traced()
    one = claim_of(1)
    with traced.watch.message(7, media=1):
        traced.watch.claimed([one], took_s=0.0)
        traced.watch.session_lost([one])
        traced.watch.settled([settled(one, annotation(one), counts=False)], took_s=0.0)
    traced.watch.malformed()
    assert traced.spans("annotate media") == []
    assert [span.status.is_ok for span in traced.spans("annotate chunk")] == [True, False]
    assert traced.tracer._parents == {}
    assert traced.tracer._messages == {}


def test_without_opentelemetry_the_worker_refuses_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pip install 'celebrity-annotator\[tracing\]'"):
        start_observing(load_settings(env_file=None, tracing=True))


def test_another_protocol_than_http_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_PROTOCOL asks for grpc"):
        make_provider(worker="h:1")


def test_the_service_has_a_name_unless_the_environment_gives_it_one(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make_provider(worker="h:1")
    attributes = provider.resource.attributes
    assert (attributes["service.name"], attributes["service.instance.id"]) == ("annotator-worker", "h:1")
    provider.shutdown()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    provider = make_provider(worker="h:1")
    assert provider.resource.attributes["service.name"] == "mine"
    provider.shutdown()
