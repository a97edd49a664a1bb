"""A media may not hold a decoding thread for longer than its claim lasts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotator import build
from annotator.build import MediaSource
from annotator.errors import DeadlineError, DecodeTimeoutError, SourceUnavailableError
from annotator.media import DecodeLimits, FetchLimits, MediaReader, S3Access, Sampling
from annotator.types import FrameBatch, MediaRef
from tests.media_factory import GifPart, flat, gif_bytes

FRAMES = 6


@pytest.fixture
def media(tmp_path: Path) -> MediaRef:
    path = tmp_path / "clip.gif"
    path.write_bytes(gif_bytes([GifPart(flat(number % 2), delay_cs=10) for number in range(FRAMES)]))
    return MediaRef(path.name, path.as_uri())


def source(limit_s: float) -> MediaSource:
    limits = DecodeLimits(batch_bytes=1)
    reader = MediaReader(fetch=FetchLimits(), decode=limits)
    return MediaSource(reader, Sampling.all(), limits, time_limit_s=lambda _name, _size_bytes: limit_s)


def test_a_media_in_time_is_decoded_to_its_end(media: MediaRef) -> None:
    with source(60.0).open(media) as frames:
        assert sum(len(batch) for batch in frames) == FRAMES


def test_a_media_that_takes_too_long_is_given_up_and_may_be_tried_again(
    media: MediaRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = chain([0.0, 10.0, 59.0], repeat(61.0))  # opened, first frame, second frame, too late
    monkeypatch.setattr(build, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    taken: list[FrameBatch] = []
    with source(60.0).open(media) as frames, pytest.raises(DeadlineError, match="give workers more time"):
        taken.extend(iter(frames))
    assert len(taken) == 2


def test_a_decoder_gets_a_part_of_the_time(media: MediaRef) -> None:
    with source(1e-9).open(media) as frames, pytest.raises(DecodeTimeoutError):
        list(frames)


def test_small_media_and_films_have_their_own_time(media: MediaRef) -> None:
    asked: list[tuple[str, int]] = []

    def limit_s(name: str, size_bytes: int) -> float:
        asked.append((name, size_bytes))
        return 60.0

    limits = DecodeLimits()
    reader = MediaReader(fetch=FetchLimits(), decode=limits)
    with MediaSource(reader, Sampling.all(), limits, time_limit_s=limit_s).open(media) as frames:
        list(frames)
    assert asked == [("clip.gif", Path(media.uri.removeprefix("file://")).stat().st_size)]


class Dripping(BaseHTTPRequestHandler):
    """Sends the header of a media at once, and its bytes slower than anybody waits."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not CLOSED.wait(0.02):
            try:
                self.wfile.write(b"G")
            except OSError:  # the other side has had enough
                return

    def log_message(self, *_: object) -> None:
        pass


CLOSED = threading.Event()


@pytest.fixture
def dripping() -> Iterator[str]:
    """Return the address of a server that sends drop by drop."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    CLOSED.clear()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    CLOSED.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("scheme", "told_bytes"), [("http", 0), ("s3", 1_000_000)])
def test_a_transfer_ends_in_time_whoever_sends_slowly(dripping: str, scheme: str, told_bytes: int) -> None:
    asked: list[tuple[str, int]] = []

    def limit_s(name: str, size_bytes: int) -> float:
        asked.append((name, size_bytes))
        return 0.3

    access = S3Access(dripping, "us-east-1", "test", "secret")
    reader = MediaReader(fetch=FetchLimits(allow_private=True), decode=DecodeLimits(), s3=access)
    media = MediaRef("a.gif", f"{dripping}/a.gif" if scheme == "http" else "s3://clips/a.gif")
    source = MediaSource(reader, Sampling.all(), DecodeLimits(), time_limit_s=limit_s)
    with pytest.raises(SourceUnavailableError, match="takes too long"), source.open(media):
        pytest.fail("opened")
    assert asked == [("a.gif", told_bytes)]
