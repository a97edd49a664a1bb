"""People are changed by the API as by their pages: by whom it may be, and put on record."""

from collections.abc import Mapping
from typing import Any

import pytest
from httpx2 import Response

from annotator.store import Store
from annotator.store.rollups import roll_up
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def web(filled: Archive) -> WebForTests:
    return WebForTests(filled.store)


@pytest.fixture
def operator(web: WebForTests) -> Browser:
    return web.browser(Role.OPERATOR)


def send(browser: Browser, method: str, path: str, **query: Any) -> Response:
    headers = {"x-csrf-token": browser.csrf()}
    return browser.client.request(method, f"/api/v1/people/{path}", params=query, headers=headers)


def id_of(browser: Browser, name: str) -> int:
    return int(browser.get(f"/api/v1/people?q={name}").json()["items"][0]["person_id"])


def deeds(store: Store, count: int) -> list[tuple[str, str | None]]:
    with store.reading() as connection:
        return [(one.action, one.subject) for one in list_deeds(connection)[:count]]


def test_names_and_the_knowledge_graph_id_are_changed_all_or_nothing(filled: Archive, operator: Browser) -> None:
    ben = id_of(operator, "Ben")
    told = send(operator, "PATCH", str(ben), name="Ben Green", add_name="Benny", kg_mid="/m/0ben").json()
    assert (told["name"], told["aliases"], told["kg_mid"]) == ("Ben Green", ["Benny", "Bén Brown"], "/m/0ben")
    assert deeds(filled.store, 3) == [
        ("changed a Knowledge Graph id", "Ben Green"),
        ("added a name", "Ben Green"),
        ("renamed a person", "Ben Green"),
    ]
    refused = send(operator, "PATCH", str(ben), name="Ben Grey", add_name="Ada Lovelace")
    assert (refused.status_code, "already" in refused.json()["detail"]) == (400, True)
    assert operator.get(f"/api/v1/people/{ben}").json() == told
    assert send(operator, "PATCH", str(ben), kg_mid="").json()["kg_mid"] is None
    assert send(operator, "PATCH", str(ben)).status_code == 400
    assert send(operator, "PATCH", "99", name="Nobody").status_code == 404
    assert send(operator, "PATCH", str(ben), remove_name="Benny").status_code == 409, "the model is not here"


def test_two_people_are_merged_and_taken_apart_again(filled: Archive, operator: Browser) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    roll_up(filled.store.engine)
    before = {one: operator.get(f"/api/v1/people/{one}").json() for one in (ada, ben)}
    told = send(operator, "POST", f"{ben}/merge", into=ada).json()
    assert (told["person_id"], told["name"], told["aliases"]) == (ada, "Ada Lovelace", ["Bén Brown"])
    assert told["merged"] == [{"person_id": ben, "name": "Bén Brown", "into": "Ada Lovelace"}]
    assert send(operator, "POST", f"{ben}/merge", into=ada).status_code == 409
    assert send(operator, "POST", f"{ada}/merge", into=ada).status_code == 400
    refused = send(operator, "PATCH", str(ben), name="Ben Green")
    assert refused.status_code == 409
    assert operator.get(f"/api/v1/people/{ada}").json()["name"] == "Ada Lovelace"
    assert send(operator, "POST", f"{ada}/unmerge", merged=99).status_code == 404
    again = send(operator, "POST", f"{ada}/unmerge", merged=ben).json()
    assert (again["name"], again["kg_mid_stays_with"]) == ("Bén Brown", None)
    roll_up(filled.store.engine)  # before, the counts were those of a roll-up, too
    assert {one: operator.get(f"/api/v1/people/{one}").json() for one in (ada, ben)} == before
    assert deeds(filled.store, 2) == [("took a merge back", "Bén Brown"), ("merged two people", "Ada Lovelace")]


def test_it_is_told_that_a_knowledge_graph_id_stays_with_somebody_else(operator: Browser) -> None:
    ada, ben, cat = (id_of(operator, name) for name in ("Ada", "Ben", "Cat"))
    send(operator, "PATCH", str(ben), kg_mid="/m/0ben")
    send(operator, "POST", f"{ben}/merge", into=ada)
    send(operator, "PATCH", str(cat), kg_mid="/m/0ben")
    told = send(operator, "POST", f"{ada}/unmerge", merged=ben).json()
    assert told["kg_mid"] is None
    assert told["kg_mid_stays_with"] == {"person_id": cat, "name": "Catherine Clark", "kg_mid": "/m/0ben"}


def test_tracks_are_listed_and_given_to_somebody_else(operator: Browser) -> None:
    ada = id_of(operator, "Ada")
    first = operator.get(f"/api/v1/people/{ada}/tracks?limit=2").json()
    rest = operator.get(f"/api/v1/people/{ada}/tracks?limit=2&cursor={first['next']}").json()
    tracks = [one["track"] for one in (*first["items"], *rest["items"])]
    assert (tracks, rest["next"]) == (["1-0", "2-0", "3-0"], None)
    assert send(operator, "POST", f"{ada}/split", track=tracks[1:], into="Ada King").status_code == 404
    told = send(operator, "POST", f"{ada}/split", track=tracks[1:], into="Ada King", new=True).json()
    assert told == {"tracks": 2, "into": "Ada King"}
    assert len(operator.get("/api/v1/appearances?person=ada+king").json()["items"]) == 2
    assert send(operator, "POST", f"{ada}/split", track="2-0", into="Ben Brown").status_code == 409
    assert send(operator, "POST", f"{ada}/split", track="1-0").json() == {"tracks": 1, "into": None}
    assert operator.get("/api/v1/appearances?person=ada+lovelace").json()["items"] == []


@pytest.mark.parametrize(
    ("role", "method", "path", "query", "status"),
    [
        (Role.READER, "PATCH", "1", {"name": "X"}, 403),
        (Role.REVIEWER, "PATCH", "1", {"name": "X"}, 403),
        (Role.REVIEWER, "POST", "1/merge", {"into": 2}, 403),
        (Role.REVIEWER, "POST", "1/unmerge", {"merged": 2}, 403),
        (Role.READER, "POST", "1/split", {"track": "1-0"}, 403),
        (Role.REVIEWER, "POST", "1/split", {"track": "1-0"}, 200),
    ],
)
def test_who_may_do_it_is_as_in_the_pages(  # noqa: PLR0917 - what is varied
    web: WebForTests, role: Role, method: str, path: str, query: Mapping[str, Any], status: int
) -> None:
    assert send(web.browser(role), method, path, **query).status_code == status


def test_without_the_token_of_the_session_nothing_is_changed(operator: Browser) -> None:
    assert operator.client.request("PATCH", "/api/v1/people/1?name=X").status_code == 403
    assert operator.client.post("/api/v1/people/1/split?track=1-0").status_code == 403
