"""Reviewing by the API: the queue of the page, with its leases; answers are words, and are taken back."""

from typing import Any

import pytest
from httpx2 import Response

from annotator.store.corrections.listing import list_corrections
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def web(filled: Archive) -> WebForTests:
    return WebForTests(filled.store)


def reviewer(web: WebForTests, name: str = "eve") -> Browser:
    browser = web.browser()
    browser.log_in_as(web.account(Role.REVIEWER, name))
    return browser


def next_of(browser: Browser) -> dict[str, Any]:
    answer = browser.get("/api/v1/review/next")
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def say(browser: Browser, what: str = "answer", **query: Any) -> Response:
    headers = {"x-csrf-token": browser.csrf()}
    return browser.client.post(f"/api/v1/review/{what}", params=query, headers=headers)


def test_one_after_the_other_is_answered_and_the_last_answer_taken_back(filled: Archive, web: WebForTests) -> None:
    browser = reviewer(web)
    first = next_of(browser)
    item = first["item"]
    assert (item["uri"], item["track"], item["named"]) == ("s3://gifs/ada.mp4", 0, True)
    assert item["candidates"] == [{"name": "Ada Lovelace", "confidence": 0.6}]
    assert (first["mine"], first["waiting"]) == (0, 4)
    assert next_of(browser)["item"] == item, "it stays in hand"
    wrong = say(browser, item=item["item"], verdict="wrong", person="Ada Lovelace").json()
    assert wrong == {"item": item["item"], "before": "Ada Lovelace", "now": None}
    second = next_of(browser)
    assert (second["item"]["uri"], second["mine"]) == ("s3://gifs/both.gif", 1)
    told = say(browser, item=second["item"]["item"], verdict="is", person="Grace Hopper", new=True).json()
    assert (told["before"], told["now"]) == ("Bén Brown", "Grace Hopper")
    third = next_of(browser)["item"]
    assert say(browser, item=third["item"], verdict="skip").json()["now"] is None
    assert say(browser, "undo").json() == {"item": third["item"]}
    assert say(browser, "undo").json() == {"item": second["item"]["item"]}
    with filled.store.reading() as connection:
        words = [(one.verdict, one.identity.name, one.withdrawn_at is None) for one in list_corrections(connection)]
        actions = [one.action for one in list_deeds(connection)[:5]]
    assert sorted(words) == [("is", "Grace Hopper", False), ("is not", "Ada Lovelace", True)]
    assert actions == ["took a review back"] * 2 + ["reviewed a track"] * 3


def test_two_reviewers_have_different_ones_and_nobody_answers_for_the_other(web: WebForTests) -> None:
    eve, bob = reviewer(web), reviewer(web, "bob")
    of_eve, of_bob = next_of(eve)["item"], next_of(bob)["item"]
    assert of_eve["item"] != of_bob["item"]
    refused = say(bob, item=of_eve["item"], verdict="right", person="Ada Lovelace")
    assert refused.status_code == 409
    assert say(bob, "undo").status_code == 409


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"verdict": "right"}, 400),
        ({"verdict": "skip", "person": "Ada Lovelace"}, 400),
        ({"verdict": "maybe", "person": "Ada Lovelace"}, 400),
        ({"verdict": "is", "person": "Nobody Atall"}, 404),
        ({"verdict": "is", "person": "\u200b", "new": "true"}, 400),
        ({"item": "1-2", "verdict": "skip"}, 400),
        ({"item": "1-999-0", "verdict": "skip"}, 409),
    ],
)
def test_what_cannot_be_is_refused(web: WebForTests, query: dict[str, str], status: int) -> None:
    browser = reviewer(web)
    item = next_of(browser)["item"]["item"]
    assert say(browser, **({"item": item} | query)).status_code == status
    assert next_of(browser)["item"]["item"] == item


def test_it_takes_a_reviewer_and_the_token_of_the_session(web: WebForTests) -> None:
    reader = web.browser(Role.READER)
    assert reader.get("/api/v1/review/next").status_code == 403
    assert reviewer(web).client.post("/api/v1/review/undo").status_code == 403
