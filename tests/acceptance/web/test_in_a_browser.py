"""The pages in a real browser: by keyboard, at the size of a telephone, dark and light, for those who hear them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from annotator.store import Store
from annotator.store.web.jobs import Room, Wanted, add_jobs, note_job, take_job
from annotator.types import MediaRef
from annotator.web.site import NOBODY_ELSE
from tests import web_archive
from tests.browsers import open_chromium, watched
from tests.media_factory import GifPart, flat, gif_bytes
from tests.web_looks import BASIC, ENTRANCE, LOOKS, insist_on_whole
from tests.web_process import running


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A data folder with an archive whose clips are GIFs of 300 x 300; and the number of one."""
    folder = tmp_path_factory.mktemp("web")
    paths = [folder / name for name in ("both.gif", "apart.gif", "ada.gif")]
    for number, path in enumerate(paths):
        parts = [GifPart(flat(number + 1, 300, 300), delay_cs=20), GifPart(flat(number + 2, 300, 300), delay_cs=60)]
        path.write_bytes(gif_bytes(parts, size_wh=(300, 300)))
    both, apart, ada = (MediaRef(path.name, path.as_uri(), None) for path in paths)
    with Store.open(folder / "annotations.db") as store:
        ids = web_archive.fill(store, media=(both, apart, ada))
        number = ids["both"]
        web_archive.make_family(store, number, ids["ada"])
        with store.writing() as connection:
            add_two_jobs(connection)
        return folder, number


def add_two_jobs(connection: Connection) -> None:
    """Add two media to try: one that a session has in hand which is heard of for ever, and one that has failed."""
    room, now, long_after = Room(of_one=1, of_all=1), datetime.now(UTC), datetime(2999, 1, 1, tzinfo=UTC)
    add_jobs(connection, NOBODY_ELSE, [Wanted("file:///running.gif", "running.gif")], room=room, now=now)
    take_job(connection, "elsewhere", now=now)
    note_job(connection, 1, "elsewhere", stage="looking", frames=12, now=long_after)
    failed = Wanted("file:///text.gif", "text.gif", ("unsupported", "text.gif is no picture or video by its content."))
    add_jobs(connection, NOBODY_ELSE, [failed], room=room, now=now)


@pytest.fixture(scope="module")
def site(archive: tuple[Path, int]) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the running application, and what a session that is open keeps."""
    with open_chromium() as browser, running(archive[0]) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width_px", "height_px"), LOOKS)
def test_each_page_is_whole_and_can_be_used_by_everybody(  # noqa: PLR0917 - what is varied
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int], scheme: str, width_px: int, height_px: int
) -> None:
    browser, address, state = site
    viewport = {"width": width_px, "height": height_px}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, storage_state=state)
    page = context.new_page()
    wrong = watched(page)
    for told in BASIC:
        path = told.format(media=archive[1])
        page.goto(address + path, wait_until="networkidle" if path.startswith("/media") else "load")
        insist_on_whole(page, width_px, told=path)
    context.clear_cookies()
    for path in ENTRANCE:
        page.goto(address + path)
        insist_on_whole(page, width_px, told=path)
    assert [one for one in wrong if "404" not in one] == []


# Where the keyboard is: what it is, whether it can be seen that it is there, and whether it is in the window.
FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
    const isMarked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    const isInView = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return [one.localName, one.innerText || one.name || "", isMarked && isInView];
}"""


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/search?person=ada+lovelace", "/people/1", "/media/{media}", "/takedowns/picture"])
def test_whoever_has_no_mouse_sees_where_they_are(
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int], path: str
) -> None:
    browser, address, state = site
    page = browser.new_context(viewport={"width": 390, "height": 780}, storage_state=state).new_page()
    page.goto(address + path.format(media=archive[1]))
    reached = []
    while True:
        page.keyboard.press("Tab")
        where = page.evaluate(FOCUSED)
        if where[0] == "body":
            break
        assert where[2], where
        reached.append(where[1])
        assert len(reached) < 100
    assert reached[0] == "To the content"
    assert "Log out" in reached


@pytest.mark.slow
@pytest.mark.parametrize("width_px", [390, 1280])
def test_a_name_without_end_makes_no_page_wider(
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int], width_px: int
) -> None:
    browser, address, state = site
    page = browser.new_context(viewport={"width": width_px, "height": 780}, storage_state=state).new_page()
    endless = "W" * 200
    with Store.open(archive[0] / "annotations.db") as store:
        store.rename("Ada Lovelace", endless)
        try:
            for path in ("/", f"/search?person={endless}", "/people", "/people/1", f"/media/{archive[1]}", "/record"):
                page.goto(address + path)
                assert page.evaluate("document.documentElement.scrollWidth") <= width_px, path
        finally:
            store.rename(endless, "Ada Lovelace")


@pytest.mark.slow
def test_two_people_are_found_and_a_clip_is_played_with_the_keyboard_alone(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(address + "/search")
    page.keyboard.type("ada")
    page.wait_for_selector("datalist option[value='Ada Lovelace']", state="attached")
    page.keyboard.type(" lovelace")
    page.keyboard.press("Tab")
    page.keyboard.type("ben brown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # in one shot
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?person=ada+lovelace&person=ben+brown&in_one_shot=1*")
    assert page.locator(".clip .title").all_inner_texts() == ["both.gif"]
    page.locator(".clip > a").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-play][aria-pressed=true]")  # an animation plays by itself
    page.locator("[data-play]").focus()
    page.keyboard.press("Space")
    assert page.locator("[data-play]").get_attribute("aria-pressed") == "false"
    page.locator("[data-to='0']").first.focus()
    page.keyboard.press("Enter")
    drawn = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(one => one)"
    assert page.locator("canvas.boxes").evaluate(drawn)
    assert wrong == []


@pytest.mark.slow
def test_a_track_is_named_with_the_keyboard_and_by_somebody_who_is_new(
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int]
) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    wrong = watched(page)
    page.goto(f"{address}/media/{archive[1]}")
    page.locator("#track-0 summary").focus()
    page.keyboard.press("Enter")
    page.locator("#track-0 input[name=is]").focus()
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nobody is called «Grace Hopper»").wait_for()
    insist_on_whole(page, 1280, told="who is meant")
    page.get_by_role("button", name="It is Grace Hopper, who is new here").press("Enter")
    page.get_by_text("Track 0 is Grace Hopper now.").wait_for()
    page.goto(f"{address}/search?person=grace+hopper")
    assert page.locator(".clip .title").all_inner_texts() == ["both.gif"]
    page.goto(f"{address}/media/{archive[1]}")
    page.locator("#track-0 summary").click()
    page.get_by_role("button", name="Take back what was said").click()
    page.get_by_text("Track 0 is Ada Lovelace now.").wait_for()
    assert [one for one in wrong if "404" not in one] == []


@pytest.mark.slow
def test_why_a_media_is_not_shown_is_told_below_the_player(
    site: tuple[Any, str, dict[str, Any]], archive: tuple[Path, int]
) -> None:
    browser, address, state = site
    here, away = archive[0] / "both.gif", archive[0] / "away.gif"
    page = browser.new_context(storage_state=state).new_page()

    def go_away(route: Any) -> None:  # after the page was made, before its media is asked for
        if here.exists():
            here.rename(away)
        route.continue_()

    page.route("**/file", go_away)
    try:
        page.goto(f"{address}/media/{archive[1]}")
        page.get_by_text(f"There is no file {here}").wait_for()
        page.unroute_all()
        page.reload()
        page.get_by_text("The file is gone.").wait_for()
    finally:
        away.rename(here)
    page.reload()
    page.locator(".player .shown").wait_for()
