"""Fetching over http from a server that misbehaves."""

import hashlib
import ipaddress
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from annotator.errors import (
    AnnotatorError,
    ForbiddenSourceError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from annotator.media import DecodeLimits, FetchLimits, LocalMedia, MediaReader, http
from annotator.types import MediaRef
from tests.tls import make_authority, tls_proxy

# A client that waits longer than this has failed.
MAX_SERVING_S = 5.0
BODY = bytes(range(256)) * 400


class Faults(BaseHTTPRequestHandler):
    """Answers by path."""

    # Set by the fixture when the test is over: whoever waits, ends.
    released = threading.Event()
    requests: list[tuple[str, str | None]]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.requests.append((self.path, self.headers.get("Host")))
        query = parse_qs(parts.query)
        try:
            getattr(self, f"answer_{parts.path.strip('/').split('.')[0]}")(query)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer_ok(self, _query: dict[str, list[str]]) -> None:
        self.head(Content_Length=str(len(BODY)), ETag='"one"')
        self.wfile.write(BODY)

    def answer_nolength(self, _query: dict[str, list[str]]) -> None:
        self.head()
        self.wfile.write(BODY)

    def answer_short(self, _query: dict[str, list[str]]) -> None:
        self.head(Content_Length=str(2 * len(BODY)))
        self.wfile.write(BODY)

    def answer_declared(self, query: dict[str, list[str]]) -> None:
        self.head(Content_Length=query["length"][0])
        self.wfile.write(BODY)

    def answer_endless(self, _query: dict[str, list[str]]) -> None:
        self.head()
        while not self.released.is_set():
            self.wfile.write(BODY)

    def answer_silent(self, _query: dict[str, list[str]]) -> None:
        self.head(Content_Length="100")
        self.released.wait(MAX_SERVING_S)

    def answer_drip(self, _query: dict[str, list[str]]) -> None:
        self.head(Content_Length="100000")
        self.drip()

    def answer_headerdrip(self, _query: dict[str, list[str]]) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        self.drip()

    def drip(self) -> None:
        end = time.monotonic() + MAX_SERVING_S
        while time.monotonic() < end and not self.released.wait(0.02):
            self.wfile.write(b"x")

    def answer_rubbish(self, _query: dict[str, list[str]]) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    def answer_to(self, query: dict[str, list[str]]) -> None:
        self.head(302, Location=query["url"][0])

    def answer_nowhere(self, _query: dict[str, list[str]]) -> None:
        self.head(302)

    def answer_status(self, query: dict[str, list[str]]) -> None:
        self.head(int(query["code"][0]), Content_Length="0")


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    released = threading.Event()
    handler = type("Handler", (Faults,), {"released": released, "requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.02,))
        thread.start()
        yield started
        released.set()
        started.shutdown()
        thread.join()


@pytest.fixture
def base(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def fetch(url: str, folder: Path, *, etag: str | None = None, **limits: object) -> tuple[LocalMedia, bytes]:
    settings = {"allow_private": True, "timeout_s": 10.0, "read_timeout_s": 5.0, "temp_dir": folder} | limits
    reader = MediaReader(fetch=FetchLimits(**settings), decode=DecodeLimits())  # type: ignore[arg-type]
    with reader.open(MediaRef(url, url, etag)) as local:
        assert list(folder.iterdir()) == [], "a process that is killed here leaves nothing behind"
        content = local.path.read_bytes()
    return local, content


def refused(url: str, folder: Path, error: type[AnnotatorError], *, etag: str | None = None, **limits: object) -> str:
    with pytest.raises(error) as caught:
        fetch(url, folder, etag=etag, **limits)
    assert type(caught.value) is error
    assert list(folder.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("page", ["ok.gif", "nolength"])
def test_a_body_is_fetched_hashed_and_removed(base: str, tmp_path: Path, page: str) -> None:
    local, content = fetch(f"{base}/{page}", tmp_path)
    assert content == BODY
    assert local.size_bytes == len(BODY)
    assert local.sha256 == hashlib.sha256(BODY).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_the_header_host_names_the_port_only_where_it_is_another_one_than_usual(
    base: str, server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_authority(tmp_path / "authority", "right")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    folder = tmp_path / "fetched"
    folder.mkdir()
    with tls_proxy(authority, server.server_port, is_postgres=False) as port:
        fetch(f"{base}/ok.gif", folder)
        fetch(f"https://127.0.0.1:{port}/ok.gif", folder)
        monkeypatch.setitem(http.DEFAULT_PORTS, "https", port)
        fetch("https://127.0.0.1/ok.gif", folder)
    hosts = [host for _, host in server.RequestHandlerClass.requests]  # type: ignore[attr-defined]
    assert hosts == [f"127.0.0.1:{server.server_port}", f"127.0.0.1:{port}", "127.0.0.1"]


def test_a_fetched_file_is_removed_though_its_user_fails(base: str, tmp_path: Path) -> None:
    reader = MediaReader(fetch=FetchLimits(allow_private=True, temp_dir=tmp_path), decode=DecodeLimits())

    def use() -> None:
        with reader.open(MediaRef("a", f"{base}/ok")):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert list(tmp_path.iterdir()) == []


def test_a_private_address_is_refused_unless_allowed_and_nothing_is_sent(
    server: ThreadingHTTPServer, base: str, tmp_path: Path
) -> None:
    refused(f"{base}/ok", tmp_path, ForbiddenSourceError, allow_private=False)
    assert server.RequestHandlerClass.requests == []  # type: ignore[attr-defined]


def test_the_host_of_the_address_is_named_to_the_server(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "checked_addresses", lambda *_args, **_kinds: ["127.0.0.1"])
    fetch(f"http://media.example:{server.server_port}/ok?a=b c", tmp_path)
    (request,) = server.RequestHandlerClass.requests  # type: ignore[attr-defined]
    assert request == ("/ok?a=b%20c", f"media.example:{server.server_port}")


def test_redirects_are_followed(base: str, tmp_path: Path) -> None:
    assert fetch(f"{base}/to?url=/to%3Furl=/ok", tmp_path)[1] == BODY


@pytest.mark.parametrize(
    "target",
    [
        *("http://169.254.169.254/latest/meta-data/", "http://127.0.0.2/", "http://10.0.0.1/", "http://[::1]/"),
        *(
            "http://0.0.0.0/",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "gopher://127.0.0.1/",
            "http://[::ffff:7f00:2]/",
        ),
    ],
)
def test_a_redirect_to_a_forbidden_place_is_refused(
    base: str, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the test's own server passes for public.
    is_public = http.is_public
    own = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(http, "is_public", lambda address: address == own or is_public(address))
    assert fetch(f"{base}/to?url=/ok", tmp_path, allow_private=False)[1] == BODY
    refused(f"{base}/to?url={target}", tmp_path, ForbiddenSourceError, allow_private=False)


def test_redirects_without_end_or_aim_are_not_found(base: str, tmp_path: Path) -> None:
    url = f"{base}/to?url={base}/to"
    for _ in range(8):
        url = f"{base}/to?url={url.replace('%', '%25').replace('?', '%3F').replace('&', '%26')}"
    refused(url, tmp_path, SourceNotFoundError)
    refused(f"{base}/nowhere", tmp_path, SourceNotFoundError)


@pytest.mark.parametrize("target", ["http://[", "//[/a", "http://[::1"])
def test_a_redirect_to_what_is_no_address_is_not_found(base: str, tmp_path: Path, target: str) -> None:
    refused(f"{base}/to?url={target}", tmp_path, SourceNotFoundError)


def test_a_body_over_the_limit_is_cut_whatever_was_declared(base: str, tmp_path: Path) -> None:
    refused(f"{base}/ok", tmp_path, MediaTooLargeError, max_bytes=1000)
    refused(f"{base}/nolength", tmp_path, MediaTooLargeError, max_bytes=1000)
    refused(f"{base}/endless", tmp_path, MediaTooLargeError, max_bytes=1_000_000)
    refused(f"{base}/declared?length=99999999999999", tmp_path, MediaTooLargeError)
    said = refused(f"{base}/declared?length={'9' * 5000}", tmp_path, MediaTooLargeError)
    assert f" has {'9' * 20} bytes" in said


def test_a_length_that_is_too_small_or_no_number_is_not_believed(base: str, tmp_path: Path) -> None:
    assert fetch(f"{base}/declared?length=100", tmp_path)[1] == BODY[:100]
    for length in ("many", "-5"):
        assert fetch(f"{base}/declared?length={length}", tmp_path)[1] == BODY


def test_a_transfer_that_breaks_off_may_be_tried_again(base: str, tmp_path: Path) -> None:
    assert "breaks off" in refused(f"{base}/short", tmp_path, SourceUnavailableError)


def test_silence_ends_after_the_read_time(base: str, tmp_path: Path) -> None:
    assert "too long" in refused(f"{base}/silent", tmp_path, SourceUnavailableError, read_timeout_s=0.1)


@pytest.mark.parametrize("page", ["drip", "headerdrip", "silent"])
def test_the_whole_time_ends_a_fetch_though_the_server_keeps_sending(base: str, tmp_path: Path, page: str) -> None:
    started = time.monotonic()
    assert "too long" in refused(f"{base}/{page}", tmp_path, SourceUnavailableError, timeout_s=0.3)
    assert time.monotonic() - started < MAX_SERVING_S / 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, SourceNotFoundError),
        (410, SourceNotFoundError),
        (206, SourceNotFoundError),
        (403, ForbiddenSourceError),
        (401, ForbiddenSourceError),
        (429, SourceUnavailableError),
        (503, SourceUnavailableError),
    ],
)
def test_each_status_has_its_error(base: str, tmp_path: Path, code: int, error: type[AnnotatorError]) -> None:
    assert str(code) in refused(f"{base}/status?code={code}", tmp_path, error)


def test_an_answer_that_is_no_http_and_a_closed_port_may_be_tried_again(base: str, tmp_path: Path) -> None:
    refused(f"{base}/rubbish", tmp_path, SourceUnavailableError)
    refused("http://127.0.0.1:1/", tmp_path, SourceUnavailableError)
    refused(base.replace("http:", "https:") + "/ok", tmp_path, SourceUnavailableError)


def test_another_version_is_noticed(base: str, tmp_path: Path) -> None:
    assert fetch(f"{base}/ok", tmp_path, etag='"one"')[1] == BODY
    refused(f"{base}/ok", tmp_path, SourceChangedError, etag='"two"')
