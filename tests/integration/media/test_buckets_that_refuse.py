"""Buckets that ask to slow down, refuse, or send drop by drop: tried again for a while, then said in a sentence."""

import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotator.errors import (
    ArchivedSourceError,
    ConfigError,
    ForbiddenSourceError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from annotator.media.limits import FetchLimits, S3Access
from annotator.media.s3 import S3Store

PAGE = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"
    "<Contents><Key>a%2Bb.gif</Key><ETag>&quot;1&quot;</ETag><Size>7</Size></Contents></ListBucketResult>"
)


class Bucket(ThreadingHTTPServer):
    """Answers with errors, as often as it is told, then with a page or, for a key, with the key.

    Attributes:
        refusals: status and code of the next answers.
        of_keys: status and code of all answers for a key.
        drops_s: time between two bytes of an object.
        tells_length: whether answers say how long they are.
        asked: how many requests there were.

    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals: list[tuple[int, str]] = []
        self.of_keys: dict[str, tuple[int, str]] = {}
        self.drops_s = 0.0
        self.tells_length = True
        self.asked = 0
        self.closed = threading.Event()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bucket = self.server
        assert isinstance(bucket, Bucket)
        bucket.asked += 1
        key = self.path.partition("?")[0].removeprefix("/archive").removeprefix("/")
        status, body = 200, key or PAGE
        refusal = bucket.of_keys.get(key) or (bucket.refusals.pop(0) if bucket.refusals else None)
        if refusal is not None:
            status, code = refusal
            body = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
        self.send_response(status)
        self.send_header("ETag", '"1"')
        if bucket.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self._send(body.encode(), bucket.drops_s if key else 0.0, bucket.closed)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, body: bytes, drops_s: float, closed: threading.Event) -> None:
        if not drops_s:
            self.wfile.write(body)
            return
        for number in range(len(body)):
            try:
                self.wfile.write(body[number : number + 1])
            except OSError:  # the other side has had enough
                return
            if closed.wait(drops_s):
                return

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.closed.set()
    server.shutdown()
    thread.join()
    server.server_close()


def opened(bucket: Bucket, *, attempts: int, timeout_s: float = 600.0) -> S3Store:
    access = S3Access(f"http://127.0.0.1:{bucket.server_port}", "us-east-1", "test", "secret")
    return S3Store(access, FetchLimits(timeout_s=timeout_s), attempts=attempts)


def fetched(store: S3Store, key: str) -> bytes:
    sink = io.BytesIO()
    store.fetch("archive", key, etag=None, sink=sink)
    return sink.getvalue()


def test_a_bucket_that_asks_to_slow_down_is_asked_again(bucket: Bucket) -> None:
    bucket.refusals = [(503, "SlowDown"), (500, "InternalError")]
    page = opened(bucket, attempts=4).list_page("archive", "", after_key="")
    assert [one.key for one in page.objects] == ["a+b.gif"]
    assert bucket.asked == 3


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (503, "SlowDown", SourceUnavailableError),
        (403, "AccessDenied", ForbiddenSourceError),
        (403, "InvalidObjectState", ArchivedSourceError),
        (400, "ExpiredToken", ConfigError),
        (403, "InvalidAccessKeyId", ConfigError),
        (403, "SignatureDoesNotMatch", ConfigError),
        (401, "WhateverItSays", ConfigError),
        (404, "NoSuchBucket", SourceNotFoundError),
        (400, "InvalidRequest", ForbiddenSourceError),
        (405, "MethodNotAllowed", ForbiddenSourceError),
        (400, "RequestTimeout", SourceUnavailableError),
        (408, "WhateverItSays", SourceUnavailableError),
        (409, "OperationAborted", SourceUnavailableError),
        (429, "WhateverItSays", SourceUnavailableError),
    ],
)
def test_a_bucket_that_goes_on_refusing_is_told_of(
    bucket: Bucket, status: int, code: str, error: type[Exception]
) -> None:
    bucket.refusals = [(status, code)] * 2
    with pytest.raises(error, match="s3://archive/"):
        opened(bucket, attempts=1).list_page("archive", "", after_key="")
    with pytest.raises(error, match="s3://archive/"):
        opened(bucket, attempts=1).list_folders("archive", "")


UNKNOWN = [(403, "SignatureDoesNotMatch"), (401, "WhateverItSays"), (403, "InvalidAccessKeyId")]


@pytest.mark.parametrize("refusal", UNKNOWN)
@pytest.mark.parametrize("read_before", [True, False], ids=["read before", "nothing read"])
def test_credentials_that_count_for_others_are_not_what_is_wrong_with_an_object(
    bucket: Bucket,
    refusal: tuple[int, str],
    read_before: bool,  # noqa: FBT001
) -> None:
    store = opened(bucket, attempts=1)
    if read_before:
        assert fetched(store, "good.gif") == b"good.gif"
        bucket.of_keys[""] = (401, "Unauthorized")  # listing is another matter
    bucket.of_keys["a//b.gif"] = refusal
    with pytest.raises(ForbiddenSourceError, match=r"s3://archive/a//b\.gif is refused .* count for others"):
        fetched(store, "a//b.gif")
    assert fetched(store, "good.gif") == b"good.gif"


def test_a_listing_that_is_not_allowed_is_refused_to_somebody_who_is_known(bucket: Bucket) -> None:
    bucket.of_keys = {"a//b.gif": UNKNOWN[0], "": (403, "AccessDenied")}
    with pytest.raises(ForbiddenSourceError, match="count for others"):
        fetched(opened(bucket, attempts=1), "a//b.gif")


@pytest.mark.parametrize("refusal", UNKNOWN)
@pytest.mark.parametrize("read_before", [True, False], ids=["read before", "nothing read"])
def test_credentials_that_count_for_nothing_any_more_are_a_matter_of_settings(
    bucket: Bucket,
    refusal: tuple[int, str],
    read_before: bool,  # noqa: FBT001
) -> None:
    store = opened(bucket, attempts=1)
    if read_before:
        fetched(store, "good.gif")
    bucket.refusals = [refusal] * 2
    with pytest.raises(ConfigError, match=r"s3://archive/other\.gif is not read with these credentials"):
        fetched(store, "other.gif")


def test_a_bucket_that_goes_away_meanwhile_says_nothing_of_the_credentials(bucket: Bucket) -> None:
    bucket.refusals = [UNKNOWN[0], (503, "SlowDown")]
    with pytest.raises(SourceUnavailableError):
        fetched(opened(bucket, attempts=1), "a.gif")


def test_an_object_that_cannot_be_looked_at_is_told_from_credentials_that_do_not_count(bucket: Bucket) -> None:
    bucket.of_keys["sse-c.gif"] = (400, "InvalidRequest")  # a HEAD is answered without the code
    with pytest.raises(ForbiddenSourceError, match="how it is encrypted"):
        opened(bucket, attempts=1).find_object("archive", "sse-c.gif")
    bucket.of_keys[""] = (400, "ExpiredToken")
    with pytest.raises(ConfigError, match="give valid ones"):
        opened(bucket, attempts=1).find_object("archive", "sse-c.gif")


def test_an_object_whose_length_is_not_told_is_read(bucket: Bucket) -> None:
    bucket.tells_length = False
    assert fetched(opened(bucket, attempts=1), "good.gif") == b"good.gif"


@pytest.mark.parametrize("tells_length", [True, False])
def test_an_object_that_comes_drop_by_drop_is_given_up_in_time(bucket: Bucket, tells_length: bool) -> None:  # noqa: FBT001
    bucket.drops_s, bucket.tells_length = 0.02, tells_length
    began_s = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="takes too long to transfer"):
        fetched(opened(bucket, attempts=1, timeout_s=0.3), "k" * 250)
    assert 0.3 <= time.monotonic() - began_s < 3


def test_the_limit_for_an_object_of_its_length_goes_before_that_of_all(bucket: Bucket) -> None:
    bucket.drops_s = 0.02
    asked: list[int] = []

    def limit_s(size_bytes: int) -> float:
        asked.append(size_bytes)
        return 0.2

    with pytest.raises(SourceUnavailableError, match="takes too long to transfer"):
        opened(bucket, attempts=1).fetch("archive", "k" * 250, etag=None, sink=io.BytesIO(), time_limit_s=limit_s)
    assert asked == [250]
