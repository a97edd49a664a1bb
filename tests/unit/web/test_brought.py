"""Media from elsewhere are brought once for all who ask within a minute, and are gone then."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from annotator.build import build_reader
from annotator.errors import SourceNotFoundError, SourceUnavailableError
from annotator.media import MediaReader
from annotator.settings import load_settings
from annotator.types import MediaRef
from annotator.web.brought import KeepingReader

SIZE_BYTES = 1000


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, Counter[str]]]:
    """A host that counts what it is asked for."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += 1
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("Content-Length", str(SIZE_BYTES))
            self.end_headers()
            self.wfile.write(self.path.encode().ljust(SIZE_BYTES, b"."))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def reader() -> MediaReader:
    settings = load_settings()
    fetch = settings.fetch.model_copy(update={"allow_private_addresses": True})
    return build_reader(settings.model_copy(update={"fetch": fetch}))


def media(uri: str) -> MediaRef:
    return MediaRef(uri, uri, None)


def test_many_who_ask_at_once_and_later_get_one_file(reader: MediaReader) -> None:
    brought, barrier = KeepingReader(reader), threading.Barrier(8)
    seen: list[bytes] = []

    def ask(uri: str) -> None:
        barrier.wait()
        with brought.open_path(media(uri)) as path:
            seen.append(path.read_bytes()[:2])

    with serving() as (address, asked):
        threads = [threading.Thread(target=ask, args=(f"{address}/a",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with brought.open_path(media(f"{address}/a")) as path:
            seen.append(path.read_bytes()[:2])
        assert asked == {"/a": 1}
    assert seen == [b"/a"] * 9


def test_what_was_used_longest_ago_goes_first_and_what_is_in_use_stays(reader: MediaReader) -> None:
    brought = KeepingReader(reader, kept_bytes=2 * SIZE_BYTES)
    with serving() as (address, asked), brought.open_path(media(f"{address}/held")) as held:
        for name in ("a", "b", "a", "c", "a", "b"):
            with brought.open_path(media(f"{address}/{name}")):
                pass
        assert asked == {"/held": 1, "/a": 1, "/b": 2, "/c": 1}
        brought.forget()
        assert held.read_bytes().startswith(b"/held")


def test_nothing_is_kept_longer_than_its_time(reader: MediaReader) -> None:
    brought = KeepingReader(reader, kept_s=0.05)
    with serving() as (address, asked):
        with brought.open_path(media(f"{address}/a")) as path:
            pass
        timer = brought._timer
        assert timer is not None
        timer.join(timeout=30)
        assert not path.exists()
        with brought.open_path(media(f"{address}/a")):
            pass
        assert asked == {"/a": 2}


def test_why_something_cannot_be_brought_is_kept_for_its_time(reader: MediaReader) -> None:
    brought = KeepingReader(reader)
    with serving() as (address, asked):
        for _ in range(3):
            with pytest.raises(SourceNotFoundError), brought.open_path(media(f"{address}/missing")):
                pass
        assert asked == {"/missing": 1}
        brought.forget()
        with pytest.raises(SourceNotFoundError), brought.open_path(media(f"{address}/missing")):
            pass
        assert asked == {"/missing": 2}


def test_while_too_much_is_sent_nothing_else_is_brought(reader: MediaReader) -> None:
    brought = KeepingReader(reader, used_bytes=2 * SIZE_BYTES)
    with serving() as (address, asked), contextlib.ExitStack() as stack:
        for name in "abc":
            stack.enter_context(brought.open_path(media(f"{address}/{name}")))
        with pytest.raises(SourceUnavailableError, match="try again"), brought.open_path(media(f"{address}/d")):
            pass
        stack.close()
        with brought.open_path(media(f"{address}/d")):
            assert asked == {"/a": 1, "/b": 1, "/c": 1, "/d": 1}


def test_a_file_of_this_machine_is_not_kept(reader: MediaReader, tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"one")
    brought = KeepingReader(reader)
    with brought.open_path(media(path.as_uri())) as found:
        assert found.read_bytes() == b"one"
    path.write_bytes(b"two")
    with brought.open_path(media(path.as_uri())) as found:
        assert found.read_bytes() == b"two"
