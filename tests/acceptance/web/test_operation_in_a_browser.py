"""Operation in a real browser: it brings itself up to date, and failures are queued again by the keyboard alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annotator.store import Store
from annotator.store.queue.sessions import open_session
from tests import web_archive
from tests.browsers import open_chromium, watched
from tests.store_values import failure, ref
from tests.web_backlog import add_backlog, add_failures
from tests.web_looks import LOOKS, OPERATION, insist_on_whole
from tests.web_models import add_models
from tests.web_process import running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a backlog under way and failures."""
    folder = tmp_path_factory.mktemp("operation")
    with Store.open(folder / "annotations.db") as store:
        web_archive.fill(store)
        add_failures(store)
        add_backlog(store, waiting=1000)
        other = add_models(store)
        for labelling_id in (other, 1):  # something to go back to
            store.activate(labelling_id)
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the running application, and what a session that is open keeps."""
    with open_chromium() as browser, running(folder) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_each_page_of_operation_is_whole_and_can_be_used_by_everybody(
    site: tuple[Any, str, dict[str, Any]], scheme: str, width_px: int, height_px: int
) -> None:
    browser, address, state = site
    viewport = {"width": width_px, "height": height_px}
    page = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state).new_page()
    wrong = watched(page)
    for path in OPERATION:
        page.goto(address + path)
        insist_on_whole(page, width_px, told=path)
    assert wrong == []


@pytest.mark.slow
def test_it_brings_itself_up_to_date_but_leaves_alone_what_somebody_has_reached(
    site: tuple[Any, str, dict[str, Any]], folder: Path
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/operation")
    page.get_by_role("link", name="day").focus()
    with Store.open(folder / "annotations.db") as store, store.writing() as connection:
        open_session(connection, worker="late-worker:1", queues=["gpu"], network_id=1)
    with Store.open(folder / "annotations.db") as store:
        store.save([failure(ref("late.gif"), reason="unreadable")], network_id=1, labelling_id=1)
    with page.expect_response("**/operation/now*"):
        pass
    assert page.get_by_text("late-worker:1").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "day"
    page.get_by_role("link", name="Search").focus()
    page.wait_for_selector("text=late-worker:1")
    assert page.evaluate("document.activeElement.textContent") == "Search"
    page.get_by_role("button", name="Retry those that failed for unreadable").click()
    page.wait_for_url("**/operation?retried=1&reason=unreadable")
    assert wrong == []


@pytest.mark.slow
def test_who_is_logged_out_meanwhile_is_told_that_nothing_is_brought_up_to_date(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    page.goto(address + "/operation")
    context.clear_cookies()
    page.wait_for_selector("text=It could not be brought up to date just now")
    assert page.get_by_text("gpu-7:4711").count() == 1


@pytest.mark.slow
def test_failures_are_queued_again_by_keyboard_and_without_script(site: tuple[Any, str, dict[str, Any]]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state, java_script_enabled=False).new_page()
    page.goto(address + "/operation")
    page.get_by_role("button", name="Retry those that failed for too_large").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/operation?retried=2&reason=too_large")
    assert "2 media that failed for too_large will be tried again" in page.get_by_role("status").inner_text()
    assert page.get_by_role("button", name="Retry those that failed for too_large").count() == 0


@pytest.mark.slow
def test_a_model_is_promoted_after_its_name_was_typed_and_the_page_says_how_that_ended(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    """Its bundle is on no machine here: that is told, and nothing changes."""
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/operation/models")
    page.get_by_role("link", name="What would change with mine@2").click()
    page.get_by_role("link", name="Promote mine@2").click()
    page.get_by_label("Type its name").fill("mine@2")
    page.get_by_role("button", name="Promote it").click()
    page.wait_for_url("**/operation/models")
    page.wait_for_selector("text=was not promoted")
    assert "annotator models" in page.get_by_role("status").inner_text()
    assert page.get_by_role("row", name="test@1 shown").count() == 1
    assert wrong == []
