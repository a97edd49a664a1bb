"""Buckets that ask to slow down, or refuse: tried again for a while, then said in a sentence."""

import threading
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
    """Answers with errors, as often as it is told, then with a page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.refusals: list[tuple[int, str]] = []
        self.asked = 0


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bucket = self.server
        assert isinstance(bucket, Bucket)
        bucket.asked += 1
        status, body = 200, PAGE
        if bucket.refusals:
            status, code = bucket.refusals.pop(0)
            body = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def opened(bucket: Bucket, *, attempts: int) -> S3Store:
    access = S3Access(f"http://127.0.0.1:{bucket.server_port}", "us-east-1", "test", "secret")
    return S3Store(access, FetchLimits(), attempts=attempts)


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
