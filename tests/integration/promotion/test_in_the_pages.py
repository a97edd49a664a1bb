"""Models in the pages of Operation: what one would change; promoted after a question, and taken back."""

import re
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from annotator.promotion import running
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.relabelling.running import relabel_archive
from annotator.store.web.accounts import Role
from annotator.store.web.audit import Deed, list_deeds
from annotator.types import Identity
from annotator.web.application import make_application
from annotator.web.site import Keys, Site
from tests.integration.promotion.conftest import CLIPS_EACH, SHOWN
from tests.made_up_bundles import EMBEDDER, PEOPLE, direction_of
from tests.web_client import Browser, WebForTests

SettingsFor = Callable[..., Settings]
Install = Callable[..., str]
WRONG = {3: 30}
"""Whose photographs show somebody else: the gate must refuse."""


@pytest.fixture
def web(archive: Store, settings_for: SettingsFor) -> WebForTests:
    web = WebForTests(archive)
    web.site = Site(archive, settings_for("mine@1"), Keys(), web.clock)
    web.application = make_application(web.site)
    return web


@pytest.fixture
def operator(web: WebForTests) -> Browser:
    return web.browser(Role.OPERATOR)


@pytest.fixture
def candidate(archive: Store, install: Install, settings_for: SettingsFor) -> Callable[..., int]:
    """Call it to have a model with one person more label the archive; gives the labelling."""

    def make(**options: object) -> int:
        options = {"people": [*range(PEOPLE), 1000]} | options
        settings = settings_for(install(version=2, **options))
        with archive.reading() as connection:
            shown = running.load_active(connection)
        assert shown is not None
        found = running.find_candidate(archive, settings, shown)
        relabel_archive(archive.engine, found.identifier, found.labelling.labelling_id)
        return found.labelling.labelling_id

    return make


def shown(store: Store) -> str:
    with store.reading() as connection:
        return str(connection.execute(text("SELECT DISTINCT model FROM content_labels")).scalar_one())


def deeds(store: Store) -> list[Deed]:
    with store.reading() as connection:
        return list_deeds(connection)


def figures(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", page))


def hidden(page: str) -> dict[str, str]:
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: value for name, value in fields if name != "csrf"}


def promote(web: WebForTests, operator: Browser, labelling_id: int) -> None:
    path = f"/operation/models/{labelling_id}/promote"
    answer = operator.post(path, hidden(operator.get(path).text) | {"name": "mine@2"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/operation/models")
    web.site.promoting.wait(60.0)


def test_it_lists_models_with_the_share_that_they_have_labelled_and_the_one_that_is_shown(
    operator: Browser, candidate: Callable[..., int], install: Install
) -> None:
    labelling_id = candidate()
    install(name="other")
    page = operator.get("/operation/models").text
    assert re.search(r'mine@1 <span class="tag">shown</span>', page)
    assert f'href="/operation/models/{labelling_id}">mine@2</a>' in page
    clips = SHOWN * CLIPS_EACH
    assert page.count(f"{clips} of {clips}") == 2
    assert "annotator relabel --model other@1" in page
    assert "has been shown from the start" in page


def test_what_a_model_would_change_is_told_with_clips_to_look_at(
    archive: Store, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate(people=[*range(1, PEOPLE), 1000], swapped=WRONG)
    page = operator.get(f"/operation/models/{labelling_id}").text
    assert figures(page) == {
        "track gets a name": "1",
        "lose theirs": str(2 * CLIPS_EACH),
        "get another name": "0",
        "have a name now": str(SHOWN * CLIPS_EACH),
    }
    with archive.reading() as connection:
        row = connection.execute(text("SELECT id FROM media WHERE key = '0.gif'")).scalar_one()
    assert f'<a href="/media/{row}">0.gif</a> <span class="quiet">Person 00</span>' in page
    assert '<th scope="row">Person 03</th><td class="number">6</td><td class="number">0</td>' in page


def test_a_model_is_promoted_when_its_name_is_typed_and_taken_back_again(
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate()
    promote(web, operator, labelling_id)
    assert shown(archive) == "mine@2"
    page = operator.get("/operation/models").text
    assert "The names of <strong>mine@2</strong> are shown now." in page
    assert re.search(r"<td>promotion</td><td>mine@2</td><td>mine@1</td><td>operator-person</td>", page)
    back = operator.get("/operation/rollback").text
    assert figures(back)["loses its name"] == "1"
    assert operator.post("/operation/rollback", hidden(back)).headers["location"].startswith("/operation/models?")
    assert shown(archive) == "mine@1"
    assert operator.get("/operation/rollback").status_code == 404
    done = [(one.actor, one.action, one.subject) for one in deeds(archive)]
    assert done == [
        ("operator-person", "rolled back a model", "mine@1"),
        ("operator-person", "promoted a model", "mine@2"),
        ("operator-person", "began a promotion", "mine@2"),
    ]


def test_a_wrong_name_or_another_model_shown_meanwhile_promotes_nothing(
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate()
    path = f"/operation/models/{labelling_id}/promote"
    fields = hidden(operator.get(path).text)
    wrong = operator.post(path, fields | {"name": "mine@1"})
    assert (wrong.status_code, "That is not its name" in wrong.text) == (400, True)
    assert operator.post(path, {"shown": str(labelling_id), "name": "mine@2"}).status_code == 409
    assert web.site.promoting.state is None
    assert deeds(archive) == []
    assert operator.get(f"/operation/models/{labelling_id + 9}").status_code == 404


def test_a_model_that_the_gate_refuses_is_not_shown_and_the_page_says_why(
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate(swapped=WRONG)
    promote(web, operator, labelling_id)
    assert shown(archive) == "mine@1"
    assert "The gate refuses <strong>mine@2</strong>" in operator.get("/operation/models").text
    page = operator.get(f"/operation/models/{labelling_id}").text
    assert "Person 03 loses 6 of 6" in page
    newest = deeds(archive)[0]
    assert (newest.action, newest.details) == (
        "was refused a promotion",
        {"instead_of": "mine@1", "refused": ["dropped", "people"]},
    )


def test_who_was_enrolled_since_the_labels_were_made_must_be_looked_at_first(
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate()
    archive.add_enrolled(
        Identity("Somebody New"), embedder=EMBEDDER, embeddings=direction_of(1001)[None], photo_sha256=["ab" * 32]
    )
    promote(web, operator, labelling_id)
    page = operator.get("/operation/models").text
    assert "people were added or corrected since these labels were made" in page
    assert shown(archive) == "mine@1"


def test_what_was_decided_is_not_done_where_it_cannot_be_put_on_record(  # noqa: PLR0917 - fixtures
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    labelling_id = candidate()

    def refuse(_visit: object, _connection: object, action: str, **_: object) -> None:
        if action == "promoted a model":
            raise RuntimeError("no record")

    monkeypatch.setattr("annotator.web.visit.Visit.record", refuse)
    promote(web, operator, labelling_id)
    assert shown(archive) == "mine@1"
    state = web.site.promoting.state
    assert state is not None
    assert state.outcome == "failed"


def test_two_promotions_at_once_are_refused(
    web: WebForTests, operator: Browser, candidate: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    labelling_id = candidate()
    entered, go_on = threading.Event(), threading.Event()

    def wait(*_: object, **__: object) -> None:
        entered.set()
        go_on.wait(60.0)

    monkeypatch.setattr("annotator.web.pages.models.promote", wait)
    path = f"/operation/models/{labelling_id}/promote"
    fields = hidden(operator.get(path).text) | {"name": "mine@2"}
    assert operator.post(path, fields).status_code == 303
    assert entered.wait(60.0)
    assert operator.post(path, fields).status_code == 409
    page = operator.get("/operation/models").text
    assert "is being promoted: loading the model" in page
    assert 'data-now="/operation/promotion"' in page
    assert "data-is-over" not in operator.get("/operation/promotion").text
    go_on.set()
    web.site.promoting.wait(60.0)
    assert "data-is-over" in operator.get("/operation/promotion").text


def test_a_rollback_of_what_is_not_shown_any_more_changes_nothing(
    archive: Store, web: WebForTests, operator: Browser, candidate: Callable[..., int]
) -> None:
    labelling_id = candidate()
    promote(web, operator, labelling_id)
    fields = hidden(operator.get("/operation/rollback").text)
    swapped = {"shown": fields["former"], "former": fields["shown"]}
    assert operator.post("/operation/rollback", swapped).status_code == 409
    assert shown(archive) == "mine@2"
