"""The page Review: one uncertain track after the other, each for one reviewer; answers are kept, and taken back."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, update

from annotator.store import Store
from annotator.store.corrections.listing import list_corrections
from annotator.store.review.leasing import LEASE
from annotator.store.tables import identities, labellings, track_labels
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from tests import web_modelled
from tests.store_values import ADA, BEN, CAT
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests

# Ada at 0.6 in ada.mp4, Ben at 0.9 in both.gif, Ada at 0.95 and Ben at 0.97 in apart.gif: less uncertain each time.
IN_ORDER = [("ada.mp4", ADA.name), ("both.gif", BEN.name), ("apart.gif", ADA.name), ("apart.gif", BEN.name)]


@pytest.fixture
def web(sqlite_filled: Archive) -> WebForTests:
    return WebForTests(sqlite_filled.store)


def reviewer(web: WebForTests, name: str = "eve-person") -> Browser:
    browser = web.browser()
    browser.log_in_as(web.account(Role.REVIEWER, name))
    return browser


def fields(html: str) -> dict[str, str]:
    """Return the fields of the form that answers right or wrong."""
    form = html[html.index('name="proposed"') - 800 : html.index('name="proposed"') + 200]
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    found.pop("csrf")
    assert set(found) == {"item", "proposed"}
    return found


def asked(html: str) -> tuple[str, str]:
    """Return which clip is shown, and whose name is proposed."""
    (clip,) = re.findall(r'#track-\d+">([^<]+)</a> ·', html)
    return clip, fields(html)["proposed"]


def answer(browser: Browser, verdict: str, **more: str) -> str:
    """Answer what the page asks, and return the page that is shown then."""
    sent = browser.post("/review", fields(browser.get("/review").text) | {"verdict": verdict} | more)
    assert (sent.status_code, sent.headers["location"]) == (303, "/review")
    return browser.get("/review").text


def said(web: WebForTests) -> list[tuple[str, str, str, bool]]:
    with web.site.store.reading() as connection:
        return [
            (one.verdict, one.identity.name, one.said_by, one.withdrawn_at is None)
            for one in list_corrections(connection)
        ]


def test_what_is_most_uncertain_is_asked_first_and_each_answer_leads_to_the_next(web: WebForTests) -> None:
    browser = reviewer(web)
    assert asked(browser.get("/review").text) == IN_ORDER[0]
    assert [asked(answer(browser, verdict)) for verdict in ("right", "wrong", "skip")] == IN_ORDER[1:]
    assert "Nothing is waiting" in answer(browser, "right")
    assert said(web) == [
        ("is not", BEN.name, "eve-person", True),
        ("is", BEN.name, "eve-person", True),
        ("is", ADA.name, "eve-person", True),
    ]


def test_a_right_name_is_sure_in_searches_at_once(web: WebForTests) -> None:
    browser = reviewer(web)
    answer(browser, "right")
    found = browser.get("/search?person=ada+lovelace&min_confidence=1.0").text
    assert re.findall(r'class="title">([^<]*)', found) == ["ada.mp4"]


def test_an_answer_is_on_record_with_who_and_what(web: WebForTests) -> None:
    browser = reviewer(web)
    answer(browser, "right", media="s3://gifs/another.gif")
    answer(browser, "undo")
    with web.site.store.reading() as connection:
        back, first = list_deeds(connection, limit=2)
    assert (first.actor, first.action, first.subject) == ("eve-person", "reviewed a track", "s3://gifs/ada.mp4")
    assert first.details == {"track": 0, "said": "is", "name": ADA.name}
    assert (back.actor, back.action) == ("eve-person", "took a review back")


@pytest.mark.parametrize("content_id", [10**9, 10**18 - 1])
def test_contents_have_large_numbers(web: WebForTests, content_id: int) -> None:
    sent = reviewer(web).post("/review", {"item": f"1-{content_id}-0", "verdict": "skip"})
    assert sent.status_code == 409


def test_undo_brings_the_item_back_and_withdraws_what_was_said(web: WebForTests) -> None:
    browser = reviewer(web)
    assert " disabled" in browser.get("/review").text
    answer(browser, "wrong")
    assert asked(answer(browser, "undo")) == IN_ORDER[0]
    assert said(web) == [("is not", ADA.name, "eve-person", False)]


def test_two_reviewers_at_once_are_never_asked_about_the_same_track(web: WebForTests) -> None:
    browsers = [reviewer(web, name) for name in ("eve-person", "ann-person", "joe-person")]
    with ThreadPoolExecutor(len(browsers)) as pool:
        shown = list(pool.map(lambda one: asked(one.get("/review").text), browsers))
    assert sorted(shown) == sorted(IN_ORDER[:3])
    assert [asked(one.get("/review").text) for one in browsers] == shown


def test_who_answers_too_late_is_told_so_and_nothing_changes(web: WebForTests) -> None:
    slow, quick = reviewer(web), reviewer(web, "ann-person")
    late = fields(slow.get("/review").text)
    web.clock.turn(seconds=LEASE.total_seconds() + 1)
    assert asked(quick.get("/review").text) == IN_ORDER[0]
    sent = slow.post("/review", late | {"verdict": "right"})
    assert sent.status_code == 409
    assert "nothing was changed" in sent.text
    assert asked(sent.text) == IN_ORDER[1]
    assert said(web) == []


def test_somebody_else_is_named_by_an_alias_or_a_candidate(web: WebForTests) -> None:
    browser = reviewer(web)
    answer(browser, "is", name="catherine   clark")
    assert said(web) == [("is", CAT.name, "eve-person", True)]


def test_a_name_that_nobody_has_is_asked_about_and_may_be_somebody_new(web: WebForTests) -> None:
    browser = reviewer(web)
    given = fields(browser.get("/review").text) | {"verdict": "is", "name": "Dora Dean"}
    doubtful = browser.post("/review", given)
    assert doubtful.status_code == 404
    assert "Nobody is called «Dora Dean»" in doubtful.text
    assert said(web) == []
    assert browser.post("/review", given | {"new": "1"}).status_code == 303
    assert said(web) == [("is", "Dora Dean", "eve-person", True)]
    with web.site.store.reading() as connection:
        assert "Dora Dean" in connection.execute(select(identities.c.name)).scalars().all()


@pytest.mark.parametrize(
    "given",
    [
        {"verdict": "perhaps"},
        {"verdict": "right", "item": "1-1"},
        {"verdict": "right", "item": "1-1-99999999999999999999"},
        {"verdict": "right", "item": "1-1-0", "proposed": ""},
        {"verdict": "is", "item": "1-1-0", "name": "x" * 300},
        {"verdict": "is", "item": "1-1-0", "name": "1/2", "new": "1"},
    ],
)
def test_odd_answers_are_refused_and_change_nothing(web: WebForTests, given: dict[str, str]) -> None:
    assert reviewer(web).post("/review", given).status_code in {400, 409}
    assert said(web) == []


def test_a_page_is_shown_where_nothing_is_annotated_yet(sqlite_store: Store) -> None:
    browser = reviewer(WebForTests(sqlite_store))
    assert "Nothing is waiting" in browser.get("/review").text
    assert browser.post("/review", {"verdict": "undo"}).status_code == 409


def test_a_face_that_is_sure_to_be_the_person_stands_beside(web: WebForTests) -> None:
    html = reviewer(web).get("/review").text
    assert "Ada Lovelace in other clips" in html
    assert re.findall(r'alt="Ada Lovelace, ([^"]*) sure', html) == ["99 %", "95 %"]


def test_tracks_just_under_the_threshold_are_found_by_the_page_itself(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    web_modelled.add_unsure(sqlite_store, tmp_path / "model")
    browser = reviewer(web_modelled.web_with(sqlite_store, tmp_path / "model"))
    assert asked(browser.get("/review").text)[0] == "clip.gif"  # which has a name
    page = answer(browser, "right")
    assert "not sure enough for a name" in page
    assert asked(page) == ("unsure.gif", "Person 03")


def test_by_another_model_than_the_one_that_is_shown_nobody_is_proposed(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    web_modelled.add_unsure(sqlite_store, tmp_path / "model")
    with sqlite_store.writing() as connection:
        connection.execute(update(labellings).values(digest="of another prior"))
    browser = reviewer(web_modelled.web_with(sqlite_store, tmp_path / "model"))
    assert "Nothing is waiting" in answer(browser, "right")


def test_where_nothing_has_an_uncertain_name_tracks_without_one_are_looked_at_for_the_first_page(
    sqlite_store: Store, tmp_path: Path
) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    web_modelled.add_unsure(sqlite_store, tmp_path / "model")
    with sqlite_store.writing() as connection:
        connection.execute(update(track_labels).values(confidence=1.0))
    browser = reviewer(web_modelled.web_with(sqlite_store, tmp_path / "model"))
    assert asked(browser.get("/review").text)[0] == "unsure.gif"
