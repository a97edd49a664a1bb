"""The map and the groups of a new archive in a real browser: begun by a button, shown when they are done."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browsers import open_chromium, watched
from tests.strangers_archive import fill
from tests.web_looks import LOOKS, insist_on_whole
from tests.web_process import running

SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PAGES = {"/space": ("Build the map", "#space[data-state=drawn]"), "/strangers": ("Group them", "text=Stranger 1")}
WAITS_MS = 60_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Any, str, Any]]:
    """A browser, the address of the running application over four clips, and an open session."""
    fill(f"sqlite:///{tmp_path / 'annotations.db'}", tmp_path, tmp_path / "model")
    model = {"ANNOTATOR_MODEL": str(tmp_path / "model")}
    with open_chromium(SOFTWARE) as browser, running(tmp_path, more=model) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


def insist_on_each_look(site: tuple[Any, str, Any], path: str, shown: str) -> None:
    browser, address, state = site
    for scheme, width_px, height_px in LOOKS:
        viewport = {"width": width_px, "height": height_px}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state)
        page = context.new_page()
        wrong = watched(page)
        page.goto(address + path)
        page.wait_for_selector(shown)
        insist_on_whole(page, width_px, told=f"{path}, {scheme}, {width_px} px")
        assert wrong == []
        context.close()


@pytest.mark.slow
def test_a_button_makes_the_map_and_the_groups_of_a_new_archive(site: tuple[Any, str, Any]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    for path, (button, shown) in PAGES.items():
        insist_on_each_look(site, path, f"text={button}")
        page.goto(address + path)
        page.get_by_role("button", name=button).click()
        page.wait_for_selector(shown, timeout=WAITS_MS)
        insist_on_each_look(site, path, shown)
    assert wrong == []


@pytest.mark.slow
def test_without_a_script_the_pages_renew_themselves_too(site: tuple[Any, str, Any]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state, java_script_enabled=False).new_page()
    for path, (button, _) in PAGES.items():
        page.goto(address + path)
        page.get_by_role("button", name=button).click()
        page.wait_for_selector("[role=status]:not(:text('renews itself'), #space-wait)", timeout=WAITS_MS)
