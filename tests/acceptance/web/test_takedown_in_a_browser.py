"""Takedowns in a real browser, by the program as it is started: by keyboard, without script, and after a kill."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from annotator.store import Store
from annotator.store.takedowns.listing import find_takedown
from annotator.store.takedowns.running import NO_FACES, begin_takedown
from annotator.store.takedowns.whom import find_person
from tests.browsers import open_chromium, watched
from tests.made_up_bundles import identity_of
from tests.media_factory import GifPart, flat, gif_bytes
from tests.traces import traces_in_database, traces_in_files
from tests.web_looks import LOOKS, TAKEDOWNS, insist_on_whole
from tests.web_process import running
from tests.web_takedowns import ALIAS, FACE, NAME, fill

OTHER = identity_of(4).name
PATIENCE_MS = 120_000


def open_takedown(page: Any, number: int) -> None:
    """Go to a takedown that begins: the list is shown where its number does not come within seconds."""
    page.wait_for_url("**/takedowns**")
    if not page.url.endswith(f"/{number}"):
        page.get_by_role("link", name=f"Takedown {number}").click()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]) -> tuple[Path, int]:
    """A data folder, in which a takedown of somebody else was killed as soon as it had begun; and who is to go."""
    folder = tmp_path_factory.mktemp("takedown")
    with_networks(folder / "cache")
    with Store.open(folder / "annotations.db") as store:
        person_id = fill(store, folder)
        with store.reading() as connection:
            other = find_person(connection, OTHER)
        (folder / "export").mkdir()
        begin_takedown(store.engine, other, NO_FACES, folders=[folder / "export"], done_by="eve")
    return folder, person_id


@pytest.fixture(scope="module")
def site(archive: tuple[Path, int]) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the running application, and what a session that is open keeps."""
    folder = archive[0]
    more = {"ANNOTATOR_MODEL": str(folder / "model")}
    with open_chromium() as browser, running(folder, more=more) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


@pytest.fixture(scope="module")
def picture(site: tuple[Any, str, dict[str, Any]]) -> str:
    """The page of what was found on a picture, which shows nobody."""
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address + "/takedowns/picture")
    gif = gif_bytes([GifPart(flat(1, 64, 64), delay_cs=10)], size_wh=(64, 64))
    page.set_input_files("input[type=file]", {"name": "a.gif", "mimeType": "image/gif", "buffer": gif})
    page.get_by_role("button", name="Look who it is").click()
    page.get_by_role("link", name="Another picture").wait_for()
    return urlsplit(page.url).path


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_each_page_of_takedowns_is_whole_and_can_be_used_by_everybody(  # noqa: PLR0917 - what is varied
    site: tuple[Any, str, dict[str, Any]],
    archive: tuple[Path, int],
    picture: str,
    scheme: str,
    width_px: int,
    height_px: int,
) -> None:
    browser, address, state = site
    viewport = {"width": width_px, "height": height_px}
    page = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state).new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong = watched(page)
    for told in TAKEDOWNS:
        path = told.format(person=archive[1], picture=picture)
        page.goto(address + path)
        if path.startswith("/people"):
            page.get_by_role("heading", name="What goes").wait_for()
        page.wait_for_load_state("networkidle")
        insist_on_whole(page, width_px, told=path)
    assert wrong == []


@pytest.mark.slow
def test_one_that_was_killed_goes_on_without_script_when_the_name_is_typed(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state, java_script_enabled=False).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address + "/takedowns")
    page.get_by_role("row", name="not finished").get_by_role("link").click()
    page.get_by_label("Type the name of the person once more").fill(OTHER)
    page.keyboard.press("Enter")
    page.get_by_text("Done. The person is not known any more").wait_for()
    assert OTHER not in page.content()


@pytest.mark.slow
def test_a_person_is_taken_down_by_keyboard_and_found_nowhere_any_more(
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int]
) -> None:
    browser, address, state = site
    folder, person_id = archive
    page = browser.new_context(storage_state=state, accept_downloads=True).new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong = watched(page)
    page.goto(f"{address}/people/{person_id}")
    page.get_by_role("link", name="Take this person down…").press("Enter")
    page.get_by_role("heading", name="What goes").wait_for()
    page.get_by_label("Type the name").focus()
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    open_takedown(page, 2)
    page.get_by_text("Done. The person is not known any more").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Report as JSON").press("Enter")
    assert NAME not in Path(download.value.path()).read_text(encoding="utf-8")
    assert page.goto(f"{address}/people/{person_id}").status == 404
    page.goto(f"{address}/search?person=person+03")
    assert page.locator(".clip").count() == 0
    with Store.open(folder / "annotations.db") as store:
        assert traces_in_database(store.engine, (NAME, ALIAS), FACE, ids=(person_id,)) == []
    assert traces_in_files([folder], (NAME, ALIAS), FACE) == []
    assert [one for one in wrong if "404" not in one] == []


@pytest.mark.slow
def test_annotator_web_killed_in_the_middle_leaves_one_that_goes_on(
    site: tuple[Any, str, dict[str, Any]], make_database: Callable[..., str], tmp_path: Path
) -> None:
    """On Postgres, where a lock of the test holds the takedown up in its first step."""
    browser, url = site[0], make_database("postgres")
    with Store.open(url) as store:
        person_id = fill(store, tmp_path)
        more = {"ANNOTATOR_MODEL": str(tmp_path / "model"), "ANNOTATOR_DATABASE_URL": url}
        with running(tmp_path, more=more) as (process, address):
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            page.goto(f"{address.partition('/enter')[0]}/people/{person_id}/takedown")
            page.get_by_role("heading", name="What goes").wait_for()
            with store.engine.connect() as holder, holder.begin():
                holder.execute(text("LOCK TABLE track_embeddings IN SHARE MODE"))
                page.get_by_label("Type the name").fill(NAME)
                page.get_by_role("button", name="Take down for good").click()
                open_takedown(page, 1)
                while page.get_by_text("It goes on").count() == 0:
                    page.reload()
                process.kill()
                process.wait()
        with running(tmp_path, more=more) as (_, address):
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            until_s = time.monotonic() + PATIENCE_MS / 1000
            page.goto(f"{address.partition('/enter')[0]}/takedowns/1")
            while page.get_by_text("Not finished.").count() == 0:  # the server of the database notices the kill first
                assert time.monotonic() < until_s
                page.reload()
            page.get_by_label("Type the name of the person once more").fill(NAME)
            page.get_by_role("button", name="Go on").click()
            page.get_by_text("Done. The person is not known any more").wait_for()
        with store.reading() as connection:
            kept = find_takedown(connection, 1)
        assert kept is not None
        assert kept.is_resumed
        assert traces_in_database(store.engine, (NAME, ALIAS), FACE, ids=(person_id,)) == []
        assert traces_in_files([tmp_path], (NAME, ALIAS), FACE) == []
