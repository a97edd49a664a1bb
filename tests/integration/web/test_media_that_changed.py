"""Media whose file is another one by now, or gone: pages say why it is not shown, and what helps."""

from pathlib import Path

import pytest

from annotator.build import build_reader
from annotator.media.reader import file_etag
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.types import MediaRef
from tests import web_archive
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_client import Browser, WebForTests

GIF = gif_bytes([GifPart(flat(1)), GifPart(flat(2))])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "here.gif"
    path.write_bytes(GIF)
    return path


@pytest.fixture
def page(sqlite_store: Store, file: Path) -> str:
    """The address of the page of a media that is a file of this machine."""
    here = MediaRef(file.as_uri(), file.as_uri(), file_etag(file.stat()))
    second, third = (MediaRef(one.as_uri(), one.as_uri(), None) for one in (file.with_name("b"), file.with_name("c")))
    return f"/media/{web_archive.fill(sqlite_store, media=(here, second, third))['both']}"


@pytest.fixture
def browser(sqlite_store: Store) -> Browser:
    web = WebForTests(sqlite_store)
    web.replace(reader=build_reader(web.site.settings))
    return web.browser(Role.READER)


def test_a_media_that_is_as_it_was_is_shown(browser: Browser, page: str) -> None:
    assert 'class="player"' in browser.get(page).text
    assert browser.get(f"{page}/file").content == GIF


def test_a_file_that_was_changed_is_told_with_what_helps(browser: Browser, page: str, file: Path) -> None:
    file.write_bytes(GIF + b"\0")
    answer = browser.get(f"{page}/file")
    assert (answer.status_code, answer.headers.get("retry-after")) == (409, None)
    assert "has changed since it was registered" in answer.text
    shown = browser.get(page).text
    assert "The file was changed since it was looked at." in shown
    assert f"<code>annotator annotate {file.as_uri()}</code>" in shown
    assert 'class="player"' not in shown
    assert "Ada Lovelace" in shown, "what was found is told all the same"


def test_a_file_that_is_gone_is_told_with_what_helps(browser: Browser, page: str, file: Path) -> None:
    file.unlink()
    answer = browser.get(f"{page}/file")
    assert (answer.status_code, answer.headers.get("retry-after")) == (410, None)
    shown = browser.get(page).text
    assert "The file is gone." in shown
    assert 'class="player"' not in shown
    assert "Ada Lovelace" in shown
