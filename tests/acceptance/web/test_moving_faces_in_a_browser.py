"""Faces on cards in a real browser: they move while somebody points at them, and are asked for only then."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annotator.store import Store
from annotator.store.rollups import roll_up
from annotator.types import MediaRef
from tests.browsers import open_chromium, watched
from tests.media_factory import GifPart, flat, gif_bytes
from tests.store_values import ADA, SPEC, annotation, known, track
from tests.web_process import running

CLIPS = 12
SEARCH = "/search?person=ada+lovelace"
MOVES = "img.moving[src$='/moving']"
ALL_ROUNDS_MS = 6000
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """A browser, the address of the application with clips of one person, and an open session."""
    folder = tmp_path_factory.mktemp("moving")
    with Store.open(folder / "annotations.db") as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
        boxes = np.tile(np.array([40, 40, 90, 100], np.float32), (3, 1))
        for number in range(CLIPS):
            path = folder / f"{number}.gif"
            path.write_bytes(
                gif_bytes([GifPart(flat(5 + 3 * number + k, 200, 160)) for k in range(3)], size_wh=(200, 160))
            )
            media = MediaRef(path.name, path.as_uri(), None)
            one = annotation(media, tracks=[replace(track(0), boxes_xyxy=boxes)], labels=[known(ADA)])
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            store.save([replace(one, content_sha256=sha256)], network_id=network_id, labelling_id=labelling_id)
        roll_up(store.engine)
    with open_chromium() as browser, running(folder) as (_, address):
        context = browser.new_context()
        context.new_page().goto(address)
        yield browser, address.partition("/enter")[0], context.storage_state()


def opened(site: tuple[Any, str, dict[str, Any]], **options: Any) -> tuple[Any, list[str], list[str]]:
    """Return a page of cards, what goes wrong in it, and what it asks for of what moves."""
    browser, address, state = site
    page = browser.new_context(storage_state=state, **options).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/moving") else None)
    wrong = watched(page)
    page.clock.install()
    page.goto(address + SEARCH, wait_until="networkidle")
    return page, wrong, asked


@pytest.mark.slow
def test_a_face_moves_while_somebody_points_at_its_card_or_has_come_there_by_keyboard(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    page, wrong, asked = opened(site)
    assert page.locator(".clip img.moving").count() == CLIPS
    assert asked == []
    page.locator(".clip").first.hover()
    page.wait_for_selector(f".clip:first-child {MOVES}")
    assert (len(asked), page.locator(MOVES).count()) == (1, 1)
    page.mouse.move(1, 1)
    assert page.locator(MOVES).count() == 0
    page.locator("main button").last.focus()
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement.closest('.clip') !== null"):
        page.keyboard.press("Tab")
    page.wait_for_selector(f".clip:first-child {MOVES}")
    while page.evaluate("document.querySelector('.clip').contains(document.activeElement)"):
        page.keyboard.press("Tab")
    assert page.locator(f".clip:first-child {MOVES}").count() == 0
    assert wrong == []


@pytest.mark.slow
def test_a_page_of_cards_is_small_to_load_its_pictures_aside(site: tuple[Any, str, dict[str, Any]]) -> None:
    browser, address, state = site
    page = browser.new_context(storage_state=state).new_page()
    came: list[tuple[str, int]] = []
    page.on("response", lambda answer: came.append((answer.request.resource_type, len(answer.body()))))
    page.goto(address + SEARCH, wait_until="networkidle")
    assert sum(size for kind, size in came if kind != "image") < MOST_BYTES
    pictures = [size for kind, size in came if kind == "image"]
    assert 0 < max(pictures) < MOST_BYTES / 10


@pytest.mark.slow
def test_nothing_moves_for_whoever_asked_for_less_motion_and_pictures_stand_without_a_script(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    page, wrong, asked = opened(site, reduced_motion="reduce")
    page.locator(".clip").first.hover()
    page.locator(".clip a").first.focus()
    page.clock.run_for(1000)  # longer than a pointer must stay
    assert (asked, wrong) == ([], [])
    page, wrong, asked = opened(site, java_script_enabled=False)
    page.locator(".clip").first.hover()
    assert page.locator(".clip img.moving").first.evaluate("image => image.naturalWidth") == 192
    assert (asked, wrong) == ([], [])


@pytest.mark.slow
def test_on_a_telephone_faces_in_view_move_for_some_rounds_and_the_others_are_not_asked_for(
    site: tuple[Any, str, dict[str, Any]],
) -> None:
    phone = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
    page, wrong, asked = opened(site, **phone)
    page.wait_for_selector(f".clip:first-child {MOVES}")
    page.wait_for_load_state("networkidle")
    assert 0 < len(asked) < CLIPS
    page.clock.fast_forward(ALL_ROUNDS_MS)
    page.wait_for_selector(MOVES, state="detached")
    page.locator(".clip").last.scroll_into_view_if_needed()
    page.wait_for_selector(f".clip:last-child {MOVES}")
    assert wrong == []
