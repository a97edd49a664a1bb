"""Spans on their way: OTLP over HTTP to a collector, and what a collector that is away costs."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from annotator.masking import Masker
from annotator.settings import load_settings
from annotator.stack.child import free_port
from workers.telemetry.observing import start_observing
from workers.telemetry.tracing import Tracer, make_provider
from workers.telemetry.watch import Watch


class Collector:
    """Takes spans and keeps them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str | None, ExportTraceServiceRequest]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                collector.requests.append((self.path, self.headers["X-Key"], request))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_the_last_spans_are_sent_before_the_worker_leaves(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=k")
    observing = start_observing(load_settings(env_file=None, tracing=True))
    with observing.watch.message(7, media=1):
        pass
    observing.close()
    ((path, key, request),) = collector.requests
    assert (path, key) == ("/v1/traces", "k")
    (resource,) = request.resource_spans
    assert [span.name for scope in resource.scope_spans for span in scope.spans] == ["annotate chunk"]
    assert {one.key: one.value.string_value for one in resource.resource.attributes}[
        "service.name"
    ] == "annotator-worker"


def test_a_collector_that_is_away_holds_up_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    tracer = Tracer(make_provider(worker="h:1"), Masker())
    began_s = time.monotonic()
    with Watch(observers=(tracer,)).message(7, media=1):
        pass
    assert time.monotonic() - began_s < 1
    tracer.close(timeout_s=0.2)
    assert time.monotonic() - began_s < 5
