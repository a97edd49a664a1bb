"""Media that are sent to browsers, and that nobody else waits for them."""

import contextlib
import hashlib
import itertools
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from httpx2 import ASGITransport, AsyncClient

from annotator.build import build_reader
from annotator.media import reader as reading_media
from annotator.media.reader import MediaReader
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.media import find_media_row
from annotator.types import MediaRef
from annotator.web.application import make_application
from tests import web_archive
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests
from tests.web_process import copy_database, running

GIF = gif_bytes([GifPart(flat(1)), GifPart(flat(2))])
# More than the threads that the pages share.
ASKED_AT_ONCE = 50


class HeldServer:
    """A host that has been asked, and does not answer before it is let."""

    def __init__(self) -> None:
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        held = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                held.was_asked.set()
                held.may_answer.wait(timeout=60)
                self.send_response(200)
                self.send_header("Content-Length", str(len(GIF)))
                self.end_headers()
                self.wfile.write(GIF)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def held() -> Iterator[HeldServer]:
    """Run a host that does not answer."""
    started = HeldServer()
    with started.server:
        thread = threading.Thread(target=started.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield started
        started.may_answer.set()
        started.server.shutdown()
        thread.join()


class HangingDisk(MediaReader):
    """Reads from a disk that has been asked, and does not answer before it is let: of another machine that is gone."""

    def __init__(self, like: MediaReader) -> None:
        super().__init__(fetch=like.fetch, decode=like.decode)
        self.was_asked, self.may_answer = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def open_path(self, media: MediaRef) -> Iterator[Path]:
        self.was_asked.set()
        self.may_answer.wait(timeout=60)
        with super().open_path(media) as path:
            yield path


@contextlib.contextmanager
def counting() -> Iterator[tuple[str, Counter[str]]]:
    """Run a host that counts what it is asked for."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(GIF)))
            self.end_headers()
            self.wfile.write(GIF)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def refs_at(address: str) -> tuple[MediaRef, MediaRef, MediaRef]:
    first, second, third = (MediaRef(uri, uri, None) for uri in (f"{address}/{number}.gif" for number in (1, 2, 3)))
    return first, second, third


def site_with(store: Store, *uris: str) -> tuple[WebForTests, dict[str, int]]:
    """Return an application that sends media, and the ids of three of them."""
    refs = tuple(MediaRef(uri, uri, None) for uri in uris)
    ids = web_archive.fill(store, media=refs)
    web = WebForTests(store)
    settings = web.site.settings
    fetch = settings.fetch.model_copy(update={"allow_private_addresses": True})
    object.__setattr__(web.site, "reader", build_reader(settings.model_copy(update={"fetch": fetch})))
    web.application = make_application(web.site)
    return web, ids


def test_who_asks_for_a_page_does_not_wait_for_media_that_do_not_come(sqlite_store: Store, held: HeldServer) -> None:
    address = f"http://127.0.0.1:{held.server.server_port}"
    web, ids = site_with(sqlite_store, f"{address}/1.gif", f"{address}/2.gif", f"{address}/3.gif")
    cookies = dict(web.browser(Role.READER).client.cookies)
    answers = []

    async def ask() -> None:
        transport = ASGITransport(app=web.application)
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies, timeout=None) as one:

            async def get_media() -> None:
                answers.append((await one.get(f"/media/{ids['both']}/file")).content)

            async with anyio.create_task_group() as group:
                for _ in range(ASKED_AT_ONCE):
                    group.start_soon(get_media)
                await run_sync(held.was_asked.wait, 60, limiter=anyio.CapacityLimiter(1))
                try:
                    with anyio.fail_after(30):
                        assert (await one.get("/healthz")).status_code == 200
                finally:
                    held.may_answer.set()

    anyio.run(ask)
    assert answers == [GIF] * ASKED_AT_ONCE


def test_media_of_others_come_while_a_host_is_slow(sqlite_store: Store, tmp_path: Path, held: HeldServer) -> None:
    here = tmp_path / "here.gif"
    here.write_bytes(GIF)
    slow = f"http://127.0.0.1:{held.server.server_port}/1.gif"
    with counting() as (address, _):
        quick = f"{address.replace('127.0.0.1', 'localhost')}/2.gif"
        web, ids = site_with(sqlite_store, slow, quick, here.as_uri())
        cookies = dict(web.browser(Role.READER).client.cookies)
        answers: list[bytes] = []

        async def ask() -> None:
            transport = ASGITransport(app=web.application)
            async with AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies) as one:
                others_came = anyio.Event()

                async def get(name: str) -> None:
                    answers.append((await one.get(f"/media/{ids[name]}/file", timeout=None)).content)
                    if len(answers) == 2:
                        others_came.set()

                async with anyio.create_task_group() as group:
                    for _ in range(ASKED_AT_ONCE):
                        group.start_soon(get, "both")
                    await run_sync(held.was_asked.wait, 60, limiter=anyio.CapacityLimiter(1))
                    try:
                        with anyio.fail_after(30):
                            group.start_soon(get, "apart")
                            group.start_soon(get, "ada")
                            await others_came.wait()
                    finally:
                        held.may_answer.set()

        anyio.run(ask)
    assert answers == [GIF] * (ASKED_AT_ONCE + 2)
    assert web.site.bringing.is_idle


def test_media_of_this_machine_come_while_a_reader_waits_for_slow_hosts(
    sqlite_store: Store, tmp_path: Path, held: HeldServer
) -> None:
    here = tmp_path / "here.gif"
    here.write_bytes(GIF)
    port = held.server.server_port
    slow = [f"http://{host}:{port}/1.gif" for host in ("127.0.0.1", "localhost")]
    web, ids = site_with(sqlite_store, *slow, here.as_uri())
    reader, other = (dict(web.browser(role).client.cookies) for role in (Role.READER, Role.REVIEWER))
    came: list[int] = []

    async def ask() -> None:
        transport = ASGITransport(app=web.application)
        clients = [
            AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies, timeout=None)
            for cookies in (reader, other)
        ]
        async with clients[0] as one, clients[1] as another, anyio.create_task_group() as group:
            for name in ("both", "apart"):
                for _ in range(9):
                    group.start_soon(one.get, f"/media/{ids[name]}/file")
            await run_sync(held.was_asked.wait, 60, limiter=anyio.CapacityLimiter(1))
            try:
                with anyio.fail_after(30):
                    for client, path in itertools.product((one, another), ("", "/file")):
                        came.append((await client.get(f"/media/{ids['ada']}{path}")).status_code)
            finally:
                held.may_answer.set()

    anyio.run(ask)
    assert came == [200] * 4


def test_who_has_gone_waits_for_no_media(sqlite_store: Store, held: HeldServer) -> None:
    web, ids = site_with(sqlite_store, f"http://127.0.0.1:{held.server.server_port}/1.gif", "file:///a", "file:///b")
    cookies = dict(web.browser(Role.READER).client.cookies)
    path = f"/media/{ids['both']}/file"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"cookie", "; ".join(map("=".join, cookies.items())).encode())],
        "client": ("127.0.0.1", 50_000),
    }
    coming = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, object]:
        return coming.pop(0)

    async def send(_: object) -> None:
        """Nobody reads it."""

    async def ask() -> None:
        transport = ASGITransport(app=web.application)
        others = AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies, timeout=None)
        async with others, anyio.create_task_group() as group:
            for _ in range(ASKED_AT_ONCE):
                group.start_soon(others.get, path)
            await run_sync(held.was_asked.wait, 60, limiter=anyio.CapacityLimiter(1))
            try:
                with anyio.fail_after(30):
                    await web.application(scope, receive, send)  # type: ignore[arg-type]
            finally:
                held.may_answer.set()

    anyio.run(ask)
    assert not coming


def test_other_pages_come_while_the_disk_with_a_media_hangs(sqlite_store: Store, tmp_path: Path) -> None:
    here = tmp_path / "here.gif"
    here.write_bytes(GIF)
    web, ids = site_with(sqlite_store, here.as_uri(), "file:///no/such.gif", "file:///no/such.mp4")
    assert web.site.reader is not None
    disk = HangingDisk(web.site.reader)
    object.__setattr__(web.site, "reader", disk)
    cookies = dict(web.browser(Role.READER).client.cookies)
    answers: list[int] = []

    async def ask() -> None:
        transport = ASGITransport(app=web.application)
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies, timeout=None) as one:

            async def get_page() -> None:
                answers.append((await one.get(f"/media/{ids['both']}")).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(ASKED_AT_ONCE):
                    group.start_soon(get_page)
                await run_sync(disk.was_asked.wait, 60, limiter=anyio.CapacityLimiter(1))
                try:
                    with anyio.fail_after(30):
                        assert (await one.get("/people")).status_code == 200
                finally:
                    disk.may_answer.set()

    anyio.run(ask)
    assert answers == [200] * ASKED_AT_ONCE


def test_a_file_of_this_machine_is_not_read_from_end_to_end_to_send_a_part(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "both.gif"
    path.write_bytes(GIF)
    web, ids = site_with(sqlite_store, path.as_uri(), "file:///no/such.gif", "file:///no/such.mp4")
    monkeypatch.delattr(reading_media, "hashlib")
    part = web.browser(Role.READER).get(f"/media/{ids['both']}/file", headers={"range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, GIF[:6])


def test_cards_fetch_no_media_before_somebody_looks_at_them(sqlite_filled: Archive) -> None:
    browser: Browser = WebForTests(sqlite_filled.store).browser(Role.READER)
    html = browser.get("/search?person=ada+lovelace").text
    assert html.count('preload="none"') == html.count("<video ")
    assert html.count('loading="lazy"') == html.count('src="/media/') >= 3


def test_parts_of_a_media_from_elsewhere_are_sent_of_what_was_brought_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    copy_database(sqlite_template, tmp_path)
    with counting() as (host, asked):
        with Store.open(tmp_path / "annotations.db") as store:
            media_id = web_archive.fill(store, media=refs_at(host))["both"]
        with running(tmp_path, more={"ANNOTATOR_WEB__ALLOW_PRIVATE_ADDRESSES": "true"}) as (_, address):
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            browser.open(address, timeout=60).close()
            file = f"{address.partition('/enter')[0]}/media/{media_id}/file"
            for part in ("0-5", "6-11", "0-"):
                ask = urllib.request.Request(file, headers={"Range": f"bytes={part}"})  # noqa: S310 - http, as above
                with browser.open(ask, timeout=60) as answer:
                    first, _, last = part.partition("-")
                    assert (answer.status, answer.read()) == (206, GIF[int(first) : int(last or len(GIF)) + 1])
            ask = urllib.request.Request(file, method="HEAD")  # noqa: S310
            with browser.open(ask, timeout=60) as answer:
                assert answer.headers["Content-Length"] == str(len(GIF))
        assert asked == {"/1.gif": 1}


def test_a_media_from_elsewhere_that_the_browser_has_is_not_brought(sqlite_store: Store) -> None:
    with counting() as (host, asked):
        web, ids = site_with(sqlite_store, *(ref.uri for ref in refs_at(host)))
        browser, file = web.browser(Role.READER), f"/media/{ids['both']}/file"
        assert browser.get(file).headers["etag"] == f'"{hashlib.sha256(GIF).hexdigest()}"'
        with sqlite_store.reading() as connection:
            row = find_media_row(connection, ids["both"])
        assert row is not None
        known = browser.get(file, headers={"if-none-match": f'"{row.sha256}"'})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", f'"{row.sha256}"')
        assert asked == {"/1.gif": 1}
        assert browser.get(file, headers={"if-none-match": '"of something else"'}).content == GIF


def test_a_media_that_is_to_be_shown_is_given_up_soon(tmp_path: Path, sqlite_template: Path, held: HeldServer) -> None:
    copy_database(sqlite_template, tmp_path)
    with Store.open(tmp_path / "annotations.db") as store:
        media_id = web_archive.fill(store, media=refs_at(f"http://127.0.0.1:{held.server.server_port}"))["both"]
    with running(tmp_path, allow_private_addresses="true", show_timeout_s="0.2") as (_, address):
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        browser.open(address, timeout=60).close()
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            browser.open(f"{address.partition('/enter')[0]}/media/{media_id}/file", timeout=20)
        refused.value.close()
    assert not held.may_answer.is_set()
