"""Two people of one: the pages on which a merge is taken back, and faces are given to somebody else, in a browser."""

from collections.abc import Iterator
from typing import Any

import pytest

from annotator.store import Store
from annotator.types import MediaRef
from tests import web_archive
from tests.browsers import open_chromium, watched
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_looks import LOOKS, TWO_PEOPLE, insist_on_whole
from tests.web_process import running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the application over an archive with a merge, and what an open session keeps."""
    folder = tmp_path_factory.mktemp("web")
    media = []
    for number, name in enumerate(("both.gif", "apart.gif", "ada.gif")):
        path = folder / name
        path.write_bytes(gif_bytes([GifPart(flat(number + 1, 300, 300), delay_cs=60)], size_wh=(300, 300)))
        media.append(MediaRef(path.name, path.as_uri(), None))
    with Store.open(folder / "annotations.db") as store:
        both, apart, ada = media
        web_archive.fill(store, media=(both, apart, ada))
        store.merge("Catherine Clark", "Ada Lovelace")
    with open_chromium() as browser, running(folder) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_each_page_is_whole_and_can_be_used_by_everybody(
    site: tuple[Any, str, dict[str, Any]], scheme: str, width_px: int, height_px: int
) -> None:
    browser, address, state = site
    viewport = {"width": width_px, "height": height_px}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state)
    page = context.new_page()
    wrong = watched(page)
    for path in TWO_PEOPLE:
        page.goto(address + path)
        insist_on_whole(page, width_px, told=path)
    assert wrong == []


@pytest.mark.slow
def test_faces_are_given_to_somebody_new_and_a_merge_is_taken_back_by_keyboard(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(f"{address}/people/1/tracks")
    page.get_by_role("checkbox").last.focus()
    page.keyboard.press("Space")
    page.get_by_label("Those chosen are").focus()
    page.keyboard.type("Ada King")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nobody is called «Ada King»").wait_for()
    insist_on_whole(page, 1280, told="who is meant")
    page.get_by_role("button", name="They are Ada King, who is new here").press("Enter")
    page.get_by_text("1 track is somebody else").wait_for()
    page.goto(f"{address}/people/1")
    page.get_by_role("link", name="Take apart…").press("Enter")
    page.get_by_role("button", name="Make them two again").press("Enter")
    page.get_by_role("heading", name="Catherine Clark", exact=True).wait_for()
    assert [one for one in wrong if "404" not in one] == []
