"""Reviewing in a real browser: by keys without the page being loaded anew, and by buttons where there is no script."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.store import Store
from annotator.store.strangers.running import group_strangers
from annotator.types import MediaRef
from tests import web_archive
from tests.browsers import open_chromium, watched
from tests.made_up_gallery import gallery
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_looks import LOOKS, REVIEW, insist_on_whole
from tests.web_process import running

MOST_BYTES = 150_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the running application with an archive of three clips, and an open session."""
    paths = [tmp_path / name for name in ("both.gif", "apart.gif", "ada.gif")]
    for number, path in enumerate(paths):
        parts = [GifPart(flat(number + 1, 300, 300), delay_cs=20), GifPart(flat(number + 2, 300, 300), delay_cs=60)]
        path.write_bytes(gif_bytes(parts, size_wh=(300, 300)))
    both, apart, ada = (MediaRef(path.name, path.as_uri(), None) for path in paths)
    with Store.open(tmp_path / "annotations.db") as store:
        web_archive.fill(store, media=(both, apart, ada))
        group_strangers(store.engine, gallery().bundle, 1)
    with open_chromium() as browser, running(tmp_path) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


def question(page: Any) -> tuple[str, str]:
    """Return which clip is shown, and what is asked."""
    return page.locator(".faces .quiet a").inner_text(), page.locator(".question h2").inner_text()


@pytest.mark.slow
def test_each_page_is_whole_at_each_size_and_small_to_load(site: tuple[Any, str, dict[str, Any]]) -> None:
    browser, address, state = site
    for scheme, width_px, height_px in LOOKS:
        viewport = {"width": width_px, "height": height_px}
        for path in REVIEW:
            page = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state).new_page()
            wrong, came = watched(page), []
            page.on("response", lambda answer, came=came: came.append(len(answer.body())))
            page.goto(address + path, wait_until="networkidle")
            insist_on_whole(page, width_px, told=path)
            assert (path, wrong) == (path, [])
            assert 0 < sum(came) < MOST_BYTES, path


@pytest.mark.slow
def test_one_key_answers_and_the_next_one_is_there_without_loading_the_page_anew(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/review")
    page.evaluate("window.isTheSame = true")
    shown = [question(page)]

    def press(key: str) -> None:
        with page.expect_response(lambda answer: answer.request.method == "GET" and answer.url.endswith("/review")):
            page.keyboard.press(key)
        page.wait_for_selector("main:not([aria-busy])")
        shown.append(question(page))

    for key in ("r", "w", "u", "s", "u"):
        press(key)
    first, second, third = shown[0], shown[1], shown[2]
    assert len({first, second, third}) == 3
    assert shown == [first, second, third, second, third, second]
    page.keyboard.press("i")
    page.keyboard.type("cath")
    page.wait_for_selector("datalist option[value='Catherine Clark']", state="attached")
    page.keyboard.type("erine clark")
    press("Enter")
    assert page.evaluate("window.isTheSame") is True
    assert page.locator("[role=status]").inner_text().startswith("2 today by you")
    assert wrong == []


@pytest.mark.slow
def test_while_the_server_is_away_the_question_stays_and_the_answer_can_be_given_again(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    page.goto(address + "/review")
    first = question(page)
    page.route("**/review", lambda route: route.abort("connectionrefused"))
    page.keyboard.press("r")
    page.wait_for_selector("text=The server could not be reached")
    assert question(page) == first
    page.unroute("**/review")
    with page.expect_response(lambda answer: answer.request.method == "GET" and answer.url.endswith("/review")):
        page.keyboard.press("r")
    page.wait_for_selector("main:not([aria-busy])")
    assert question(page) != first
    assert page.locator("[role=status]").inner_text().startswith("1 today by you")


@pytest.mark.slow
def test_buttons_do_the_same_where_there_is_no_script(site: tuple[Any, str, dict[str, Any]]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state, java_script_enabled=False).new_page()
    page.goto(address + "/review")
    first = question(page)
    page.get_by_role("button", name="Right").click()
    page.wait_for_url("**/review")
    assert question(page) != first
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/review")
    assert question(page) == first
