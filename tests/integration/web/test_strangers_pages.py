"""Groups of strangers in pages: listed with a face each, looked at, made one, split and named."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.build import build_reader
from annotator.cli import run_command
from annotator.store import Store
from annotator.store.corrections.listing import list_corrections
from annotator.store.strangers.decisions import members_of
from annotator.store.web.accounts import Role
from annotator.store.web.audit import Deed, list_deeds
from annotator.web.errands import Errand
from tests.strangers_archive import fill
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests

# Groups of the archive: stranger 1 in three clips, 2 is known, 3 in two clips, 4 in one.
HELLO, WAVING, PARTY, END = 1, 2, 3, 4


@pytest.fixture
def web(make_database: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebForTests:
    url = make_database("sqlite")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    fill(url, tmp_path, tmp_path / "model")
    assert run_command(["strangers", "group"]) == 0
    web = WebForTests(Store.open(url))
    object.__setattr__(web.site, "reader", build_reader(web.site.settings))
    return web


@pytest.fixture
def browser(web: WebForTests) -> Browser:
    return web.browser(Role.REVIEWER)


def groups(html: str) -> list[str]:
    return re.findall(r"<strong>Stranger (\d+)</strong>", html)


def members(web: WebForTests, number: int) -> list[tuple[int, int]]:
    with web.site.store.reading() as connection:
        return members_of(connection, 1, number)


def newest_deed(web: WebForTests) -> Deed:
    with web.site.store.reading() as connection:
        return list_deeds(connection, limit=1)[0]


def test_groups_without_a_name_are_listed_the_most_seen_first_with_a_face_each(browser: Browser) -> None:
    html = browser.get("/strangers").text
    assert groups(html) == ["1", "3", "4"]
    assert len(re.findall(r'<img src="/media/\d+/tracks/\d+/faces/0"', html)) == 3
    assert "Show more" not in html


def test_more_are_shown_when_asked_for(browser: Browser) -> None:
    html = browser.get("/strangers?limit=2").text
    assert groups(html) == ["1", "3"]
    assert 'href="/strangers?limit=4"' in html
    assert browser.get("/strangers?limit=0").status_code == 400


def test_a_group_shows_its_faces_which_can_be_looked_at(browser: Browser) -> None:
    html = browser.get("/strangers/1").text
    faces = re.findall(r'<img src="(/media/\d+/tracks/\d+/faces/0)"', html)
    assert len(faces) == 3
    kinds = {browser.get(face).headers["content-type"] for face in faces}
    assert kinds == {"image/jpeg", "image/svg+xml"}  # one of the clips is there
    assert browser.get("/strangers/99").status_code == 404
    assert browser.get("/strangers/99999999999").status_code == 404


def test_two_groups_are_made_one_and_the_old_number_goes_on_to_find_it(web: WebForTests, browser: Browser) -> None:
    sent = browser.post("/strangers/4/merge", {"into": "3"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/strangers/3")
    assert members(web, 3) == [(WAVING, 0), (PARTY, 0), (PARTY, 1)]
    assert browser.get("/strangers/4").headers["location"] == "/strangers/3"
    deed = newest_deed(web)
    assert (deed.actor, deed.action, deed.subject) == ("reviewer-person", "merged strangers", "stranger 4")
    for into in ("3", "four", ""):
        assert browser.post("/strangers/4/merge", {"into": into}).status_code == 400


def test_faces_that_are_chosen_become_another_group(web: WebForTests, browser: Browser) -> None:
    html = browser.get("/strangers/1").text
    assert f'name="track-{END}-0"' in html
    sent = browser.post("/strangers/1/split", {f"track-{END}-0": "1"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/strangers/5")
    assert (members(web, 1), members(web, 5)) == ([(HELLO, 0), (WAVING, 1)], [(END, 0)])
    assert newest_deed(web).action == "split a stranger"
    for given in ({}, {"track-9-9": "1"}, {"track-x": "1"}, {f"track-{HELLO}-0": "1", f"track-{WAVING}-1": "1"}):
        assert browser.post("/strangers/1/split", given).status_code == 400


def test_a_group_that_is_named_is_known_in_old_clips_too(web: WebForTests, browser: Browser) -> None:
    settings = {"database_url": os.environ["ANNOTATOR_DATABASE_URL"]}
    enrolls = Errand((sys.executable, "-m", "annotator.cli.web_enroll"), settings, os.environ | {"TERM": "dumb"})
    object.__setattr__(web.site, "enrolling", enrolls)
    sent = browser.post("/strangers/1/name", {"name": " Eileen  Collins"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/strangers/1?counted=3")
    assert "3 tracks count as photographs" in browser.get(sent.headers["location"]).text
    # Another errand begins when the first one has ended, with the new names; this one changes nothing.
    assert browser.post("/strangers/1/name", {"name": "Dora Dean"}).status_code == 400
    found = browser.get("/search?person=eileen+collins").text
    assert found.count('class="title"') == 3
    assert groups(browser.get("/strangers").text) == ["3", "4"]
    named = [deed for deed in _deeds(web) if deed.action == "named a stranger"]
    assert [(deed.actor, deed.subject) for deed in named] == [("reviewer-person", "Eileen Collins")]


def test_faces_that_are_chosen_of_a_named_group_are_not_that_person(web: WebForTests, browser: Browser) -> None:
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0
    sent = browser.post("/strangers/1/split", {f"track-{END}-0": "1"})
    assert sent.status_code == 303
    assert "Eileen Collins" not in browser.get("/strangers/5").text
    told = browser.get(sent.headers["location"]).text
    assert "These faces are not" in told
    assert "1 of them counts as photographs of Eileen Collins no more." in told
    assert newest_deed(web).details == {"tracks": 1, "name": "Eileen Collins", "enrolled": 1, "left": 2}
    with web.site.store.reading() as connection:
        (said,) = list_corrections(connection)
        assert connection.execute(text("SELECT count(*) FROM enrolled_faces")).scalar_one() == 2
    assert (said.verdict, said.identity.name, said.said_by) == ("is not", "Eileen Collins", "reviewer-person")


def _deeds(web: WebForTests) -> list[Deed]:
    with web.site.store.reading() as connection:
        return list_deeds(connection, limit=10)


@pytest.mark.parametrize("name", ["", " ", "x" * 300])
def test_a_name_that_cannot_be_one_is_refused(browser: Browser, name: str) -> None:
    assert browser.post("/strangers/1/name", {"name": name}).status_code == 400


def test_where_nothing_is_grouped_the_page_says_how_to(sqlite_filled: Archive) -> None:
    browser = WebForTests(sqlite_filled.store).browser(Role.REVIEWER)
    assert "annotator strangers group" in browser.get("/strangers").text
    assert browser.get("/strangers/1").status_code == 400
