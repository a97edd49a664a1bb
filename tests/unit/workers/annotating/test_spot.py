"""Spot notices, against a server on this machine that answers as the clouds' metadata services do."""

import http.server
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from workers.annotating.spot import AwsMetadata, Cloud, GcpMetadata, SpotWatch, metadata_service

TIMEOUT_S = 10.0


class Service(http.server.ThreadingHTTPServer):
    """Amazon's and Google's metadata service in one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.action: str | None = None
        self.preempted = "FALSE"
        self.tokens: list[str] = []
        self.failing = 0
        self.asked: queue.Queue[str] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Service  # type: ignore[assignment]
    quiet: ClassVar = True

    def do_PUT(self) -> None:
        self.server.asked.put("token")
        if self.path != "/latest/api/token" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self._answer(400, "")
            return
        self.server.tokens.append(f"token-{len(self.server.tokens)}")
        self._answer(200, self.server.tokens[-1])

    def do_GET(self) -> None:
        self.server.asked.put(self.path)
        if self.server.failing:
            self.server.failing -= 1
            self._answer(500, "")
        elif self.path == "/latest/meta-data/spot/instance-action":
            known = self.headers.get("X-aws-ec2-metadata-token") in self.server.tokens[-1:]
            if not known:
                self._answer(401, "")
            elif self.server.action is None:
                self._answer(404, "Not Found")
            else:
                self._answer(200, self.server.action)
        elif self.path == "/computeMetadata/v1/instance/preempted" and self.headers.get("Metadata-Flavor") == "Google":
            self._answer(200, self.server.preempted)
        else:
            self._answer(403, "")

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_amazon_says_nothing_until_the_machine_is_to_go(service: Service) -> None:
    metadata = AwsMetadata(service.url)
    assert metadata.notice() is None
    assert metadata.notice() is None
    assert len(service.tokens) == 1, "a token is kept"
    service.action = '{"action": "terminate", "time": "2027-01-01T00:00:00Z"}'
    assert metadata.notice() == "terminate"


def test_a_token_that_has_expired_is_asked_for_again(service: Service) -> None:
    metadata = AwsMetadata(service.url)
    metadata.notice()
    service.tokens.append("of somebody else")
    with pytest.raises(OSError, match="401"):
        metadata.notice()
    assert metadata.notice() is None


def test_google_says_whether_the_machine_is_being_taken_away(service: Service) -> None:
    metadata = GcpMetadata(service.url)
    assert metadata.notice() is None
    service.preempted = "TRUE"
    assert metadata.notice() == "preempted"


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_notice_is_told_once_whatever_went_wrong_before(
    service: Service, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    told: queue.Queue[None] = queue.Queue()
    service.failing = 3
    watch = SpotWatch(metadata_service(cloud, service.url), on_notice=lambda: told.put(None), every_s=0.01)
    with caplog.at_level(logging.WARNING):
        watch.start()
        while service.failing:
            service.asked.get(timeout=TIMEOUT_S)
        service.action, service.preempted = '{"action": "stop"}', "TRUE"
        told.get(timeout=TIMEOUT_S)
    assert told.empty()
    away = [record for record in caplog.records if "does not answer" in record.message]
    assert len(away) == 1, "a night without the service fills no log"
    watch.close()


def test_a_service_that_is_not_there_harms_nothing() -> None:
    watch = SpotWatch(AwsMetadata("http://127.0.0.1:1"), on_notice=pytest.fail, every_s=0.01)
    assert watch._ask() is None
    assert SpotWatch(AwsMetadata("http://no.such.host.invalid"), on_notice=pytest.fail)._ask() is None


def test_a_proxy_of_the_environment_does_not_come_between(service: Service) -> None:
    service.preempted = "TRUE"
    code = "import sys; from workers.annotating.spot import GcpMetadata; print(GcpMetadata(sys.argv[1]).notice())"
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9"} | {"no_proxy": "", "NO_PROXY": ""}
    ran = subprocess.run(
        [sys.executable, "-c", code, service.url], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout == "preempted\n", ran.stderr


def test_the_clouds_advice_on_how_often_to_ask_is_kept() -> None:
    assert metadata_service("aws").every_s == 5.0
    assert metadata_service("gcp").every_s == 1.0
