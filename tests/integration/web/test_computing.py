"""The map and the groups of strangers, begun by buttons: by real processes, once however often somebody clicks."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annotator.recognition.bundle import load_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.types import MediaRef
from annotator.web.computing import Computing
from tests.store_values import annotation
from tests.strangers_archive import KNOWN, face_of, fill
from tests.web_client import WebForTests

COMPUTES = (sys.executable, "-m", "annotator.cli.web_compute")
PAGES = {"space": ("/space", "/space/build"), "strangers": ("/strangers", "/strangers/group")}


@pytest.fixture
def web(make_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebForTests]:
    """Return the application over four clips that nobody has made a map or groups of."""
    url = make_database("sqlite")
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))
    fill(url, tmp_path, tmp_path / "model")
    with Store.open(url) as store:
        yield computing_by(WebForTests(store), COMPUTES)


def computing_by(web: WebForTests, command: tuple[str, ...], **environment: str) -> WebForTests:
    """Let a program compute, the real one or another one."""
    made = {
        deed: Computing((*command, deed), {}, os.environ | environment | {"TERM": "dumb"}, now=web.clock)
        for deed in PAGES
    }
    web.replace(placing=made["space"], grouping=made["strangers"])
    return web


def computing_of(web: WebForTests, deed: str) -> Computing:
    found = web.site.placing if deed == "space" else web.site.grouping
    assert found is not None
    return found


def deeds(web: WebForTests) -> list[tuple[str, str]]:
    with web.site.store.reading() as connection:
        return [(one.actor, one.action) for one in list_deeds(connection, limit=10)]


def test_an_operator_builds_the_map_and_the_page_shows_it_when_it_is_done(web: WebForTests) -> None:
    browser = web.browser(Role.OPERATOR)
    assert ">Build the map</button>" in browser.get("/space").text
    sent = browser.post("/space/build")
    assert (sent.status_code, sent.headers["location"]) == (303, "/space")
    computing_of(web, "space").wait()
    html = browser.get("/space").text
    assert 'data-points="/space/points"' in html
    assert "40 people of mine@1 and 7 faces have their places; three dimensions hold" in html
    assert ">Build it anew</button>" in html
    assert "since this map was made" not in html
    assert browser.get("/space/points").status_code == 200
    assert deeds(web) == [("operator-person", "began to build the map")]


def test_the_page_says_when_people_were_named_after_its_map_was_made(web: WebForTests, tmp_path: Path) -> None:
    browser = web.browser(Role.OPERATOR)
    browser.post("/space/build")
    computing_of(web, "space").wait()
    identifier = Identifier(Gallery.from_bundle(load_bundle(tmp_path / "model")))
    tracks = [face_of(KNOWN, 0, seed=9)]
    new = annotation(
        MediaRef("s3://gifs/new.gif", "s3://gifs/new.gif", None),
        content=9,
        tracks=tracks,
        labels=identifier.identify([one.evidence for one in tracks]),
    )
    web.site.store.save([new], network_id=1, labelling_id=1)
    assert "People were named in clips since this map was made." in browser.get("/space").text


def test_an_operator_groups_strangers_and_again_for_what_comes_later(web: WebForTests) -> None:
    browser = web.browser(Role.OPERATOR)
    assert ">Group them</button>" in browser.get("/strangers").text
    browser.post("/strangers/group")
    computing_of(web, "strangers").wait()
    html = browser.get("/strangers").text
    assert "7 tracks of 4 clips: 4 new groups" in html
    assert "<strong>Stranger 1</strong>" in html
    browser.post("/strangers/group")
    computing_of(web, "strangers").wait()
    assert "Everything is grouped already." in browser.get("/strangers").text
    assert deeds(web) == [("operator-person", "began to group strangers")] * 2


@pytest.mark.parametrize("deed", PAGES)
def test_two_clicks_begin_one_and_the_page_renews_itself_until_it_is_done(
    web: WebForTests, tmp_path: Path, deed: str
) -> None:
    begun, may_end = tmp_path / "begun", tmp_path / "may_end"
    for fifo in (begun, may_end):
        os.mkfifo(fifo)
    program = (
        "import json, sys; sys.stdin.readline(); print(json.dumps({'doing': 'reading faces'}), flush=True)\n"
        f"open({str(begun)!r}, 'w').close(); open({str(may_end)!r}).close()\n"
        "print(json.dumps({'came_to': 'all is done'}), flush=True)"
    )
    computing_by(web, (sys.executable, "-c", program))
    page, action = PAGES[deed]
    browser = web.browser(Role.OPERATOR)
    browser.post(action)
    begun.read_text()
    html = browser.get(page).text
    assert '<div id="now" data-renew>' in html
    assert '<meta http-equiv="refresh"' in html
    assert f'action="{action}"' not in html
    assert browser.post(action).status_code == 303
    assert len(deeds(web)) == 1
    may_end.write_text("")
    computing_of(web, deed).wait()
    html = browser.get(page).text
    assert "All is done." in html
    assert "data-renew" not in html
    web.clock.turn(minutes=16)
    assert "All is done." not in browser.get(page).text


def test_what_goes_wrong_is_told_with_the_remedy_and_can_be_begun_again(web: WebForTests, tmp_path: Path) -> None:
    (tmp_path / "no folder").write_text("")
    computing_by(web, COMPUTES, ANNOTATOR_CACHE_DIR=str(tmp_path / "no folder"))
    browser = web.browser(Role.OPERATOR)
    browser.post("/space/build")
    computing_of(web, "space").wait()
    html = browser.get("/space").text
    assert 'role="alert"' in html
    assert "set ANNOTATOR_CACHE_DIR to another folder" in html
    assert ">Build the map</button>" in html
    assert "ANNOTATOR_CACHE_DIR" not in web.browser(Role.READER).get("/space").text, "it is for who can mend it"


def test_what_is_wrong_with_the_database_is_told_without_its_words(web: WebForTests) -> None:
    computing_by(web, COMPUTES, ANNOTATOR_DATABASE_URL="postgresql://somebody@127.0.0.1:9/archive")
    browser = web.browser(Role.OPERATOR)
    browser.post("/space/build")
    computing_of(web, "space").wait()
    html = browser.get("/space").text
    assert "The database does not answer just now: try again soon." in html
    assert "somebody" not in html


def test_a_process_that_ends_before_its_end_is_told(web: WebForTests) -> None:
    computing_by(web, (sys.executable, "-c", "raise SystemExit(1)"))
    browser = web.browser(Role.OPERATOR)
    browser.post("/strangers/group")
    computing_of(web, "strangers").wait()
    assert "It ended before its end. It is noted in the log of the program." in browser.get("/strangers").text


@pytest.mark.parametrize("page", ["/space", "/strangers"])
def test_whoever_may_not_sees_who_may(web: WebForTests, page: str) -> None:
    html = web.browser(Role.REVIEWER).get(page).text
    assert "Operators and admins can do it here." in html
    assert "<button>" not in html


def test_where_nothing_is_annotated_there_is_no_button(sqlite_store: Store) -> None:
    web = computing_by(WebForTests(sqlite_store), COMPUTES)
    browser = web.browser(Role.OPERATOR)
    for page, action in PAGES.values():
        assert f'action="{action}"' not in browser.get(page).text
        assert browser.post(action).status_code == 404
