"""The API for programs: what it tells, page by page, to whom, and what it says of what cannot be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annotator.errors import AccountError
from annotator.store import Store
from annotator.store.web.accounts import Role, change_role, disable_account
from annotator.store.web.tokens import add_token, list_tokens, remove_token
from annotator.web.api.document import openapi_document
from annotator.web.application import make_application
from annotator.web.rates import Rates
from annotator.web.routes import PAGES
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def reader(filled: Archive) -> Browser:
    return WebForTests(filled.store).browser(Role.READER)


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [one["name"] for one in answer["items"]]


def uris(browser: Browser, query: str) -> list[str]:
    answer = browser.get(f"/api/v1/appearances?{query}")
    assert answer.status_code == 200, answer.text
    return [one["uri"].rpartition("/")[2] for one in answer.json()["items"]]


def test_people_come_most_seen_first_and_page_by_page(reader: Browser) -> None:
    first = reader.get("/api/v1/people?limit=2").json()
    rest = reader.get(f"/api/v1/people?limit=2&cursor={first['next']}").json()
    assert names(first) == ["Ada Lovelace", "Bén Brown"]
    assert (names(rest), rest["next"]) == (["Catherine Clark"], None)
    assert first["items"][0] | {"person_id": 1} == {
        "person_id": 1,
        "name": "Ada Lovelace",
        "kg_mid": "/m/0ada",
        "media": 3,
        "screen_ms": 900,
    }


@pytest.mark.parametrize(
    ("typed", "found"),
    [("ben", ["Bén Brown"]), ("BRO", ["Bén Brown"]), ("love", ["Ada Lovelace"]), ("rown", []), ("%", []), ("_da", [])],
)
def test_people_are_suggested_by_the_beginning_of_a_word_of_their_name(
    reader: Browser, typed: str, found: list[str]
) -> None:
    assert names(reader.get("/api/v1/people", params={"q": typed}).json()) == found


def test_of_a_person_it_tells_other_names_and_who_is_seen_with_them(filled: Archive, reader: Browser) -> None:
    filled.store.rename("Ada Lovelace", "Ada King")
    person_id = reader.get("/api/v1/people?q=ada").json()["items"][0]["person_id"]
    told = reader.get(f"/api/v1/people/{person_id}").json()
    assert (told["name"], told["aliases"], told["photographs"]) == ("Ada King", ["Ada Lovelace"], 3)
    assert told["best_confidence"] == pytest.approx(0.99)
    assert [(one["name"], one["media"]) for one in told["companions"]] == [("Bén Brown", 2)]


def test_media_that_show_a_person_come_surest_first_and_page_by_page(reader: Browser) -> None:
    assert uris(reader, "person=ada+lovelace") == ["both.gif", "apart.gif", "ada.mp4"]
    seen, cursor = [], ""
    for _ in range(3):
        page = reader.get(f"/api/v1/appearances?person=ada+lovelace&limit=1&cursor={cursor}").json()
        seen += [one["uri"].rpartition("/")[2] for one in page["items"]]
        cursor = page["next"]
    assert (seen, cursor) == (["both.gif", "apart.gif", "ada.mp4"], None)


def test_two_people_are_found_together_and_in_one_shot(reader: Browser) -> None:
    assert uris(reader, "person=Ada+Lovelace&person=ben+brown") == ["both.gif", "apart.gif"]
    assert uris(reader, "person=ben+brown&person=Ada+Lovelace") == ["apart.gif", "both.gif"]
    assert uris(reader, "person=Ada+Lovelace&person=ben+brown&in_one_shot=true") == ["both.gif"]
    assert uris(reader, "person=Ada+Lovelace&person=Catherine+Clark") == []


def test_confidence_time_and_model_narrow_a_search(reader: Browser) -> None:
    assert uris(reader, "person=ada+lovelace&min_confidence=0.95") == ["both.gif", "apart.gif"]
    assert uris(reader, "person=ada+lovelace&person=ben+brown&min_confidence=0.95") == ["apart.gif"]
    assert uris(reader, "person=ada+lovelace&since=2100-01-01T00:00:00Z") == []
    assert len(uris(reader, "person=ada+lovelace&before=2100-01-01T00:00:00Z")) == 3
    assert len(uris(reader, "person=ada+lovelace&model=test@1")) == 3
    assert reader.get("/api/v1/appearances?person=ada+lovelace&model=other@1").status_code == 400


def test_who_was_merged_is_found_under_either_name(filled: Archive, reader: Browser) -> None:
    filled.store.merge("Bén Brown", "Ada Lovelace")
    assert uris(reader, "person=ben+brown") == ["both.gif", "apart.gif", "ada.mp4"]


def test_of_a_media_it_tells_tracks_with_boxes(reader: Browser) -> None:
    media = reader.get("/api/v1/media").json()["items"]
    ids = {one["uri"].rpartition("/")[2]: one["media_id"] for one in media}
    assert set(ids) == {"ada.mp4", "apart.gif", "both.gif"}
    assert list(ids.values()) == sorted(ids.values(), reverse=True)
    told = reader.get(f"/api/v1/media/{ids['ada.mp4']}").json()
    assert (told["status"], told["model"]) == ("annotated", "test@1")
    assert [(one["track"], one["name"], one["confidence"]) for one in told["tracks"]] == [
        (0, "Ada Lovelace", 0.6),
        (1, None, None),
    ]
    assert [box["pts_ms"] for box in told["tracks"][0]["boxes"]] == [0, 100, 200]
    assert reader.get(f"/api/v1/media?limit=2&cursor={'x' * 5}").status_code == 400


def test_what_has_not_changed_is_not_sent_again(filled: Archive, reader: Browser) -> None:
    first = reader.get("/api/v1/people")
    again = reader.get("/api/v1/people", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    filled.store.rename("Ada Lovelace", "Ada King")
    changed = reader.get("/api/v1/people", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/people?limit=0", 400, "limit"),
        ("/api/v1/people?limit=1&limit=2", 400, "limit is given 2 times"),
        ("/api/v1/people?lim=5", 400, "lim"),
        ("/api/v1/people?cursor=abc", 400, "cursor"),
        ("/api/v1/people?cursor=WzEsIHRydWVd", 400, "cursor"),
        ("/api/v1/appearances", 400, "person"),
        ("/api/v1/appearances?person=a&person=b&person=c&person=d&person=e", 400, "person"),
        ("/api/v1/appearances?person=nobody", 404, "nobody"),
        ("/api/v1/appearances?person=ada+lovelace&since=yesterday", 400, "since"),
        ("/api/v1/media/999999", 404, "no such media"),
        ("/api/v1/people/99999999999999999999999", 404, "There is no"),
    ],
)
def test_what_cannot_be_is_a_problem_with_a_sentence(reader: Browser, path: str, status: int, said: str) -> None:
    answer = reader.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert said in problem["detail"]


def test_a_token_opens_the_api_and_nothing_else(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.REVIEWER, "eve")
    with store.writing() as connection:
        token = add_token(
            connection, "eve", role=Role.READER, purpose="dashboard", now=web.clock(), lasts=timedelta(days=1)
        )
    browser, bearer = web.browser(), {"authorization": f"Bearer {token}"}
    assert browser.get("/api/v1/people").status_code == 401
    assert browser.get("/api/v1/people").headers["www-authenticate"] == "Bearer"
    assert browser.get("/api/v1/people", headers=bearer).status_code == 200
    assert browser.get("/people", headers=bearer).status_code == 303
    assert browser.get("/api/v1/people", headers={"authorization": f"Bearer {token}x"}).status_code == 401
    assert browser.get("/api/v1/people", headers={"authorization": f"Basic {token}"}).status_code == 401
    with store.reading() as connection:
        listed = list_tokens(connection)
    assert [(one.account.name, one.role, one.purpose, one.used_at) for one in listed] == [
        ("eve", Role.READER, "dashboard", web.clock())
    ]
    web.clock.turn(days=1)
    assert browser.get("/api/v1/people", headers=bearer).status_code == 401


def test_a_token_may_no_more_than_its_account_and_ends_with_it(store: Store) -> None:
    web = WebForTests(store)
    web.account(Role.REVIEWER, "eve")
    with store.writing() as connection:
        with pytest.raises(AccountError, match="cannot be admin"):
            add_token(connection, "eve", role=Role.ADMIN, purpose="", now=web.clock(), lasts=None)
        tokens = [
            add_token(connection, "eve", role=Role.REVIEWER, purpose="", now=web.clock(), lasts=None) for _ in range(2)
        ]
        change_role(connection, "eve", Role.READER)
        listed = list_tokens(connection)
        assert [one.role for one in listed] == [Role.READER, Role.READER]
        remove_token(connection, listed[1].token_id)
    browser = web.browser()
    answers = [browser.get("/api/v1/people", headers={"authorization": f"Bearer {one}"}) for one in tokens]
    assert [one.status_code for one in answers] == [401, 200]
    with store.writing() as connection:
        disable_account(connection, "eve")
    assert browser.get("/api/v1/people", headers={"authorization": f"Bearer {tokens[1]}"}).status_code == 401


def test_who_asks_too_often_is_told_when_to_come_again(sqlite_store: Store) -> None:
    web = WebForTests(sqlite_store)
    moments_s = [0.0]
    web.site = replace(web.site, rates=Rates(per_minute=60, at_once=3, clock_s=lambda: moments_s[0]))
    web.application = make_application(web.site)
    browser = web.browser(Role.READER)
    answers = [browser.get("/api/v1/openapi.json") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"
    moments_s[0] = 1.0
    assert [browser.get("/api/v1/openapi.json").status_code for _ in range(2)] == [200, 429]


def test_who_asks_from_many_addresses_is_counted_as_one(sqlite_store: Store) -> None:
    web = WebForTests(sqlite_store)
    web.replace(rates=Rates(per_minute=1e-6, at_once=3))
    eve, bob = web.account(Role.READER, "eve"), web.account(Role.READER, "bob")
    answers = []
    for number in range(4):
        browser = web.browser(address=f"2001:db8:0:{number}::{number}")
        browser.log_in_as(eve)
        answers.append(browser.get("/api/v1/openapi.json").status_code)
    assert answers == [200, 200, 200, 429]
    other = web.browser(address="2001:db8:0:3::3")
    other.log_in_as(bob)
    assert other.get("/api/v1/openapi.json").status_code == 200


def test_the_document_describes_each_route_of_the_api() -> None:
    document = openapi_document(PAGES)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    routes = {(page.method, page.path.replace(":int", "")) for page in PAGES if page.is_api}
    assert routes - described == {("GET", "/api/v1/openapi.json"), ("POST", "/api/annotate")}
    assert "AppearanceTold" in document["components"]["schemas"]
