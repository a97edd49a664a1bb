"""The page Space in a real browser, without a GPU: points are drawn, somebody is found by keyboard, the page opens."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.store import Store
from tests.integration.web.test_space_page import build_map, web
from tests.web_client import WebForTests

__all__ = ["web"]  # a fixture

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SOFTWARE = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
COMMAND = "from annotator.cli import run_command; raise SystemExit(run_command(['web', '--port', '0']))"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.slow,
]


@pytest.fixture
def address(web: WebForTests, sqlite_store: Store, tmp_path: Path) -> Iterator[str]:
    """Run ``annotator web`` over a map of twelve people; return the address that opens it."""
    build_map(web)
    database = sqlite_store.engine.url.render_as_string(hide_password=False)
    environment = os.environ | {"ANNOTATOR_DATABASE_URL": database, "ANNOTATOR_DATA_DIR": str(tmp_path / "data")}
    with subprocess.Popen([sys.executable, "-c", COMMAND], env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        try:
            yield next(found[0] for line in child.stderr if (found := re.search(r"http://\S+key=\S+", line)))
        finally:
            child.terminate()


@pytest.mark.parametrize(("flags", "state"), [(SOFTWARE, "drawn"), (["--no-sandbox", "--disable-3d-apis"], "listed")])
def test_somebody_is_found_by_keyboard_and_their_page_opens(address: str, flags: list[str], state: str) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it starts a program of its own

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.goto(re.sub(r"/enter.*", "/space", address))
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
        browser.close()
