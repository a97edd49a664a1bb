"""The page on which faces of one name are given to somebody else."""

import re
from pathlib import Path

import pytest

from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def web(sqlite_filled: Archive) -> WebForTests:
    return WebForTests(sqlite_filled.store)


@pytest.fixture
def reviewer(web: WebForTests) -> Browser:
    return web.browser(Role.REVIEWER)


def id_of(browser: Browser, name: str) -> int:
    return int(browser.get(f"/api/v1/people?q={name}").json()["items"][0]["person_id"])


def media_of(browser: Browser, name: str) -> set[str]:
    found = browser.get(f"/api/v1/appearances?person={name}").json()["items"]
    return {Path(one["uri"]).name for one in found}


def ticked(page: str) -> list[str]:
    return re.findall(r'name="(track-\d+-\d+)" value="1" checked', page)


def test_faces_that_are_chosen_are_somebody_new_after_it_was_asked(sqlite_filled: Archive, reviewer: Browser) -> None:
    ada = id_of(reviewer, "Ada")
    assert f'href="/people/{ada}/tracks"' in reviewer.get(f"/people/{ada}").text
    page = reviewer.get(f"/people/{ada}/tracks").text
    assert re.findall(r'name="(track-\d+-\d+)" value="1"', page) == ["track-1-0", "track-2-0", "track-3-0"]
    assert ticked(page) == []
    network = re.search(r'name="network" value="(\d+)"', page)
    assert network is not None
    form = {"network": network[1], "track-2-0": "1", "track-3-0": "1", "into": "ada king"}
    asked = reviewer.post(f"/people/{ada}/split", form)
    assert (asked.status_code, "Nobody is called «ada king»" in asked.text) == (404, True)
    assert media_of(reviewer, "Ada Lovelace") == {"both.gif", "apart.gif", "ada.mp4"}, "nothing was said yet"
    assert {"track-2-0", "track-3-0"} == set(re.findall(r'name="(track-\d+-\d+)"', asked.text))
    answer = reviewer.post(f"/people/{ada}/split", form | {"into": "Ada King", "new": "1"})
    assert answer.headers["location"] == f"/people/{ada}/tracks?split=2"
    assert "2 tracks are somebody else" in reviewer.get(answer.headers["location"]).text
    assert media_of(reviewer, "Ada Lovelace") == {"both.gif"}
    assert media_of(reviewer, "Ada King") == {"apart.gif", "ada.mp4"}
    with sqlite_filled.store.reading() as connection:
        deed = list_deeds(connection)[0]
    assert (deed.actor, deed.action, deed.subject) == ("reviewer-person", "split a person", "Ada Lovelace")
    assert deed.details == {"tracks": 2, "into": "Ada King"}


def test_a_name_is_taken_away_where_nobody_knows_who_it_is(reviewer: Browser) -> None:
    ada = id_of(reviewer, "Ada")
    answer = reviewer.post(f"/people/{ada}/split", {"network": "1", "track-1-0": "1", "into": "", "nobody": "1"})
    assert answer.status_code == 303
    assert media_of(reviewer, "Ada Lovelace") == {"apart.gif", "ada.mp4"}
    assert media_of(reviewer, "Ben Brown") == {"both.gif", "apart.gif"}


def test_two_looks_are_shown_with_the_smaller_one_chosen(reviewer: Browser) -> None:
    ben = id_of(reviewer, "Ben")
    assert ticked(reviewer.get(f"/people/{ben}/tracks?by=look").text) == [], "both are the same face"
    ada = id_of(reviewer, "Ada")
    page = reviewer.get(f"/people/{ada}/tracks?by=look")
    assert (page.status_code, "One look: 3 tracks" in page.text) == (200, True)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"track-1-0": "1", "into": "Ben Brown"}, 400),
        ({"network": "1", "track-1": "1", "into": "Ben Brown"}, 400),
        ({"network": "1", "track-x-0": "1", "into": "Ben Brown"}, 400),
        ({"network": "1", f"track-{'9' * 19}-0": "1", "into": "Ben Brown"}, 400),
        ({"network": "1", "track-1-0": "1", "into": ""}, 400),
        ({"network": "1", "track-1-0": "1", "into": "Ada Lovelace"}, 400),
        ({"network": "1", "track-1-0": "1", "into": "\u200b", "new": "1"}, 400),
        ({"network": "1", "track-1-1": "1", "into": "Catherine Clark"}, 409),
        ({"network": "2", "track-1-0": "1", "into": "Ben Brown"}, 409),
    ],
)
def test_what_cannot_be_is_refused(reviewer: Browser, form: dict[str, str], status: int) -> None:
    assert reviewer.post(f"/people/{id_of(reviewer, 'Ada')}/split", form).status_code == status
    assert media_of(reviewer, "Ada Lovelace") == {"both.gif", "apart.gif", "ada.mp4"}


@pytest.mark.parametrize(
    ("tracks", "status", "says"),
    [(1000, 409, "changed"), (1001, 400, "choose from 1 to 1,000 tracks"), (1300, 400, "at most 1,000 can be chosen")],
)
def test_as_many_tracks_are_taken_at_once_as_the_store_takes(
    reviewer: Browser, tracks: int, status: int, says: str
) -> None:
    chosen = {f"track-{one}-0": "1" for one in range(1, tracks + 1)}
    path = f"/people/{id_of(reviewer, 'Ada')}/split"
    answer = reviewer.post(path, {"network": "1", "into": "Ben Brown", **chosen})
    assert (answer.status_code, says in answer.text.casefold()) == (status, True)
    assert "Log out" in answer.text, "the page keeps the menu"
    keys = [one.removeprefix("track-") for one in chosen]
    headers = {"x-csrf-token": reviewer.csrf()}
    told = reviewer.client.post(f"/api/v1{path}", params={"track": keys, "into": "Ben Brown"}, headers=headers)
    assert (told.status_code, "1000" in told.text) == (status, tracks > 1000)


def test_readers_are_not_asked(web: WebForTests, reviewer: Browser) -> None:
    ada = id_of(reviewer, "Ada")
    reader = web.browser(Role.READER)
    assert "Two people of one name" not in reader.get(f"/people/{ada}").text
    assert reader.get(f"/people/{ada}/tracks").status_code == 403
    assert reviewer.get("/people/99/tracks").status_code == 404


def test_who_was_merged_leads_to_the_tracks_of_who_took_over(sqlite_filled: Archive, reviewer: Browser) -> None:
    ada, ben = id_of(reviewer, "Ada"), id_of(reviewer, "Ben")
    sqlite_filled.store.merge("Bén Brown", "Ada Lovelace")
    assert reviewer.get(f"/people/{ben}/tracks").headers["location"] == f"/people/{ada}/tracks"
    assert len(re.findall(r'name="track-', reviewer.get(f"/people/{ada}/tracks").text)) == 5
