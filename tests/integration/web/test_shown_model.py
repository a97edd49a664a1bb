"""The model that is shown: while it is being loaded, nobody waits long for what needs no model."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.web import shown_model
from annotator.web.shown_model import BeingLoadedError, ShownModel
from tests import web_modelled
from tests.web_client import WebForTests

BEING_LOADED = "is being loaded"


class Gate:
    """Holds up whoever loads a model until it is opened, and counts them.

    Attributes:
        came: how many loads have begun.
        fails: the next load fails.

    """

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.came = 0
        self.fails = False
        self._load = shown_model._load

    def load(self, *given: Any) -> Any:
        self.came += 1
        assert self.opened.wait(60)
        if self.fails:
            self.fails = False
            raise MemoryError
        return self._load(*given)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(shown_model, "_load", gate.load)
    yield gate
    gate.opened.set()


@pytest.fixture
def media(sqlite_store: Store, tmp_path: Path) -> dict[str, int]:
    return web_modelled.fill(sqlite_store, tmp_path / "model")


def web_that_waits(store: Store, folder: Path, waits_s: float) -> WebForTests:
    web = web_modelled.web_with(store, folder)
    web.replace(shown_model=ShownModel(waits_s=waits_s, errands_wait_s=waits_s))
    return web


def test_pages_are_shown_without_what_needs_the_model_until_it_is_there(
    sqlite_store: Store, media: dict[str, int], gate: Gate, tmp_path: Path
) -> None:
    web = web_that_waits(sqlite_store, tmp_path / "model", 0.0)
    browser = web.browser(Role.OPERATOR)
    person = browser.get("/api/v1/people?q=Person 03").json()["items"][0]["person_id"]
    pages = (f"/media/{media[web_modelled.CLIP]}", f"/people/{person}")
    for path in pages:
        answer = browser.get(path)
        assert (answer.status_code, BEING_LOADED in answer.text) == (200, True)
    explained = browser.get(f"/api/v1/media/{media[web_modelled.CLIP]}/explanation")
    assert (explained.status_code, explained.headers["retry-after"]) == (503, "5")
    refused = browser.post(f"/people/{person}/names/remove", {"alias": "Benny"})
    assert (refused.status_code, BEING_LOADED in refused.text) == (503, True)
    assert gate.came == 1
    under_way = web.site.shown_model._under_way
    assert under_way is not None
    gate.opened.set()
    under_way.result(60)
    for path in pages:
        assert BEING_LOADED not in browser.get(path).text
    assert "Looks like" in browser.get(pages[1]).text
    assert gate.came == 1


def test_many_who_ask_at_once_have_it_loaded_once(
    sqlite_store: Store, media: dict[str, int], gate: Gate, tmp_path: Path
) -> None:
    assert media
    web = web_that_waits(sqlite_store, tmp_path / "model", 60.0)
    site = web.site
    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(site.shown_model.name, site.store, site.settings) for _ in range(6)]
        gate.opened.set()
        assert {one.result(60) for one in asked} == {str(tmp_path / "model")}
    assert gate.came == 1


def test_what_goes_wrong_is_told_to_whoever_waits_and_it_is_tried_again(
    sqlite_store: Store, media: dict[str, int], gate: Gate, tmp_path: Path
) -> None:
    assert media
    site = web_that_waits(sqlite_store, tmp_path / "model", 60.0).site
    gate.fails = True
    gate.opened.set()
    with pytest.raises(MemoryError):
        site.shown_model.name(site.store, site.settings)
    assert site.shown_model.name(site.store, site.settings) == str(tmp_path / "model")


def test_people_who_change_while_it_is_loaded_are_in_it(
    sqlite_store: Store, media: dict[str, int], gate: Gate, tmp_path: Path
) -> None:
    """The one that was begun before is not taken for the one of now."""
    assert media
    site = web_that_waits(sqlite_store, tmp_path / "model", 0.0).site
    with pytest.raises(BeingLoadedError):
        site.shown_model.identifier(site.store, site.settings)
    sqlite_store.merge("Person 04", "Person 03")
    under_way = site.shown_model._under_way
    assert under_way is not None
    gate.opened.set()
    under_way.result(60)
    with pytest.raises(BeingLoadedError):
        site.shown_model.identifier(site.store, site.settings)
    assert gate.came == 2
