"""Media that are sent to browsers, and that nobody else waits for them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from httpx2 import ASGITransport, AsyncClient

from annotator.build import build_reader
from annotator.media import reader as reading_media
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.types import MediaRef
from annotator.web.application import make_application
from tests import web_archive
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_client import Browser, WebForTests

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
        thread = threading.Thread(target=started.server.serve_forever)
        thread.start()
        yield started
        started.may_answer.set()
        started.server.shutdown()
        thread.join()


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


def test_a_file_of_this_machine_is_not_read_from_end_to_end_to_send_a_part(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "both.gif"
    path.write_bytes(GIF)
    web, ids = site_with(sqlite_store, path.as_uri(), "file:///no/such.gif", "file:///no/such.mp4")
    monkeypatch.delattr(reading_media, "hashlib")
    part = web.browser(Role.READER).get(f"/media/{ids['both']}/file", headers={"range": "bytes=0-5"})
    assert (part.status_code, part.content) == (206, GIF[:6])


def test_cards_fetch_no_media_before_somebody_looks_at_them(sqlite_store: Store) -> None:
    web_archive.fill(sqlite_store)
    browser: Browser = WebForTests(sqlite_store).browser(Role.READER)
    html = browser.get("/search?person=ada+lovelace").text
    assert html.count('preload="none"') == html.count("<video ") == 1
    assert html.count('loading="lazy"') == html.count('<img src="/media/') == 2
