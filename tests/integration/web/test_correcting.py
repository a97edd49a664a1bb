"""What people say of tracks in the page of a media and by the API, over the real application and database."""

import re
from pathlib import Path

import pytest

from annotator.cli import run_command
from annotator.store import Store
from annotator.store.corrections.listing import list_corrections
from annotator.store.tables import overruled_labels
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from tests import web_modelled
from tests.made_up_bundles import write_made_up_bundle
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests
from tests.web_modelled import CLIP, OTHER

_SEEN = re.compile(r'name="seen" value="(\d+-\d+)"')


@pytest.fixture
def media(sqlite_filled: Archive) -> dict[str, int]:
    """The numbers of the archive's media."""
    return sqlite_filled.media


@pytest.fixture
def web(sqlite_filled: Archive) -> WebForTests:
    return WebForTests(sqlite_filled.store)


def say(browser: Browser, media_id: int, track_no: int, **form: str) -> tuple[int, str]:
    """Send what a form of the page sends; return the status and what comes of it."""
    seen = _SEEN.search(browser.get(f"/media/{media_id}").text)
    assert seen is not None
    answer = browser.post(f"/media/{media_id}/tracks/{track_no}/corrections", {"seen": seen[1]} | form)
    return answer.status_code, answer.headers.get("location", "") or answer.text


def found(browser: Browser, person: str) -> list[str]:
    """Return the media that a search for somebody shows."""
    return re.findall(r'<span class="title">([^<]+)</span>', browser.get("/search", params={"person": person}).text)


def test_what_is_said_in_the_page_is_shown_and_found_at_once(
    sqlite_filled: Archive, web: WebForTests, media: dict[str, int]
) -> None:
    browser = web.browser(Role.REVIEWER)
    assert found(browser, "Ben Brown") == ["apart.gif", "both.gif"]
    status, where = say(browser, media["ada"], 1, **{"is": "ben brown"})
    assert (status, where) == (303, f"/media/{media['ada']}?said=1#track-1")
    page = browser.get(where).text
    assert "Track 1 is Bén Brown now." in page
    assert "«is Bén Brown», said by reviewer-person" in page
    assert found(browser, "Ben Brown") == ["ada.mp4", "apart.gif", "both.gif"]
    assert say(browser, media["ada"], 1, withdraw="1")[0] == 303
    assert found(browser, "Ben Brown") == ["apart.gif", "both.gif"]
    with sqlite_filled.store.reading() as connection:
        assert [(one.said_by, one.verdict) for one in list_corrections(connection)] == [("reviewer-person", "is")]
        deeds = [(one.actor, one.action, one.details) for one in list_deeds(connection)]
    told = {"track": 1, "said": "is", "name": "ben brown", "before": None, "now": "Bén Brown"}
    assert ("reviewer-person", "said who a track is", told) in deeds
    assert deeds[0][1] == "took back what was said of a track"


def test_who_it_is_not_is_unknown(web: WebForTests, media: dict[str, int]) -> None:
    browser = web.browser(Role.REVIEWER)
    say(browser, media["ada"], 0, **{"not": "Ada Lovelace"})
    assert "ada.mp4" not in found(browser, "Ada Lovelace")
    assert "Track 0 is unknown now." in browser.get(f"/media/{media['ada']}?said=0").text


def test_a_name_that_nobody_has_is_asked_for_before_anything_is_said(web: WebForTests, media: dict[str, int]) -> None:
    browser = web.browser(Role.REVIEWER)
    status, page = say(browser, media["ada"], 1, **{"is": "Ada Lovelase"})
    assert status == 404
    assert "Nobody is called «Ada Lovelase»" in page
    assert 'name="is" value="Ada Lovelace"' in page
    assert browser.get(f"/api/v1/media/{media['ada']}/corrections").json()["items"] == []
    assert say(browser, media["ada"], 1, **{"is": "Eileen Collins", "new": "1"})[0] == 303
    assert found(browser, "Eileen Collins") == ["ada.mp4"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"is": "Ada Lovelace", "not": "Ada Lovelace"},
        {"is": " "},
        {"is": "x" * 201},
        {"is": "\x07", "new": "1"},
        {"is": "Ada Lovelace", "seen": "1"},
    ],
)
def test_what_no_form_of_ours_says_is_refused(web: WebForTests, media: dict[str, int], form: dict[str, str]) -> None:
    browser = web.browser(Role.REVIEWER)
    assert say(browser, media["ada"], 1, **form)[0] == 400


def test_tracks_that_were_annotated_anew_since_the_page_was_loaded_are_not_meant(
    web: WebForTests, media: dict[str, int]
) -> None:
    browser = web.browser(Role.REVIEWER)
    assert say(browser, media["ada"], 1, **{"is": "Ada Lovelace", "seen": "7-7"})[0] == 409


def test_readers_see_what_was_said_and_have_no_forms(web: WebForTests, media: dict[str, int]) -> None:
    say(web.browser(Role.REVIEWER), media["ada"], 1, **{"is": "ben brown"})
    page = web.browser(Role.READER).get(f"/media/{media['ada']}").text
    assert "said by reviewer-person" in page
    assert 'name="seen"' not in page


def test_programs_say_it_by_the_api(web: WebForTests, media: dict[str, int]) -> None:
    browser = web.browser(Role.REVIEWER)
    token = {"x-csrf-token": browser.csrf()}
    path = f"/api/v1/media/{media['ada']}/tracks/1/corrections"

    def send(method: str, **query: str) -> tuple[int, dict[str, object]]:
        answer = browser.client.request(method, path, params=query, headers=token)
        return answer.status_code, answer.json()

    said = {"track": 1, "before": None, "now": "Bén Brown", "words": 1}
    assert send("POST", verdict="is", person="ben brown") == (200, said)
    (told,) = browser.get(f"/api/v1/media/{media['ada']}/corrections").json()["items"]
    assert (told["person"], told["said_by"], told["track"]) == ("Bén Brown", "reviewer-person", 1)
    assert send("DELETE") == (200, said | {"before": "Bén Brown", "now": None})
    assert send("DELETE")[0] == 400
    assert send("POST", verdict="is", person="Ben Browne")[0] == 404
    assert send("POST", verdict="maybe", person="ben brown")[0] == 400
    assert send("POST", verdict="is", person="Eileen Collins", new="true")[1]["now"] == "Eileen Collins"


def test_what_was_said_in_the_page_survives_annotator_relabel_by_another_model(
    store: Store, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = web_modelled.fill(store, tmp_path / "model")
    browser = web_modelled.web_with(store, tmp_path / "model").browser(Role.REVIEWER)
    assert say(browser, media[CLIP], 0, **{"is": "Person 07"})[0] == 303
    assert say(browser, media[CLIP], 1, **{"is": "Eileen Collins", "new": "1"})[0] == 303
    write_made_up_bundle(tmp_path / "next", version=2, swapped={5: 6, 6: 5})
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    assert run_command(["relabel", "--model", str(tmp_path / "next"), "--activate"]) == 0
    page = browser.get(f"/media/{media[CLIP]}").text
    assert re.search(r"mine@2 <span class=\"quiet\">\(shown\)", page)
    assert page.count("said by reviewer-person") == 2
    assert [found(browser, name) for name in ("Person 07", "Eileen Collins")] == [["clip.gif"], ["clip.gif"]]
    assert found(browser, "Person 03") == []


def test_unknown_tracks_have_the_candidates_of_the_model_that_is_shown(sqlite_store: Store, tmp_path: Path) -> None:
    media = web_modelled.fill(sqlite_store, tmp_path / "model")
    web = web_modelled.web_with(sqlite_store, tmp_path / "model")
    card = web.browser(Role.READER).get(f"/media/{media[OTHER]}").text.partition('id="track-0"')[2]
    assert "<h3>unknown</h3>" in card
    assert card.partition("</ol>")[0].count("<meter") == 5


def said_by_model(browser: Browser, media_id: int) -> str:
    """Return what the table of models on the page of a media says, without markup."""
    table = (
        browser.get(f"/media/{media_id}").text.partition("<h2>What each model says</h2>")[2].partition("</table>")[0]
    )
    return " ".join(re.sub(r"<[^>]+>", " ", table.partition("<tbody>")[2]).split())


def test_what_each_model_says_does_not_change_with_what_people_say(web: WebForTests, media: dict[str, int]) -> None:
    browser = web.browser(Role.REVIEWER)
    before = said_by_model(browser, media["ada"])
    assert "Ada Lovelace" in before
    say(browser, media["ada"], 1, **{"is": "ben brown"})
    say(browser, media["ada"], 0, **{"not": "Ada Lovelace"})
    assert found(browser, "Ben Brown") == ["ada.mp4", "apart.gif", "both.gif"]
    assert said_by_model(browser, media["ada"]) == before


def test_where_the_answer_of_a_model_is_not_kept_a_name_is_told_as_that_of_a_person(
    sqlite_filled: Archive, web: WebForTests, media: dict[str, int]
) -> None:
    browser = web.browser(Role.REVIEWER)
    say(browser, media["ada"], 1, **{"is": "ben brown"})
    with sqlite_filled.store.writing() as connection:
        connection.execute(overruled_labels.delete())
    assert "Bén Brown (named by a person)" in said_by_model(browser, media["ada"])
