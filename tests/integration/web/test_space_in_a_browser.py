"""The page Space in a real browser, without a GPU: points are drawn, somebody is found by keyboard, the page opens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.store import Store
from tests.browsers import open_chromium, watched
from tests.integration.web.test_space_page import build_map, register_people
from tests.web_looks import LOOKS, insist_on_whole
from tests.web_process import copy_database, running

SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

pytestmark = pytest.mark.slow


@pytest.fixture
def address(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run ``annotator web`` over a map of twelve people; return the address that opens it."""
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))
    copy_database(sqlite_template, tmp_path)
    with Store.open(tmp_path / "annotations.db") as store:
        register_people(store)
        build_map(store)
    with running(tmp_path) as (_, printed):
        yield printed


@pytest.mark.parametrize(("flags", "state"), [(SOFTWARE, "drawn"), (["--disable-3d-apis"], "listed")])
def test_somebody_is_found_by_keyboard_and_their_page_opens(address: str, flags: list[str], state: str) -> None:
    with open_chromium(flags) as browser:
        page = browser.new_page()
        wrong = watched(page)
        page.goto(address)
        page.goto(address.partition("/enter")[0] + "/space")
        page.wait_for_selector(f"#space[data-state={state}]")
        page.fill("#space-search", "person 1")
        page.press("#space-search", "ArrowDown")
        page.press("#space-search", "ArrowDown")
        page.press("#space-search", "Enter")
        assert page.inner_text("#space-chosen h2 >> nth=0") == "Person 10"
        page.click("#space-chosen a")
        page.wait_for_url("**/people/*")
        assert page.inner_text("h1") == "Person 10"
        assert wrong == []


def test_the_picture_is_whole_in_each_look_and_everybody_can_use_the_page(address: str) -> None:
    with open_chromium(SOFTWARE) as browser:
        context = browser.new_context()
        context.new_page().goto(address)
        for scheme, width_px, height_px in LOOKS:
            viewport = {"width": width_px, "height": height_px}
            state = context.storage_state()
            page = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state).new_page()
            wrong = watched(page)
            page.goto(address.partition("/enter")[0] + "/space")
            page.wait_for_selector("#space[data-state=drawn]")
            insist_on_whole(page, width_px, told=f"{scheme}, {width_px} px")
            assert wrong == []
