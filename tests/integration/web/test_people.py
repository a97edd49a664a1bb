"""The pages of people: whom they look like, how they were judged, and what operators change."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from annotator.recognition.bundle import load_bundle
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.identities import ids_of, register_identities
from annotator.store.rollups import roll_up
from annotator.store.tables import identity_aliases
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.web.errands import Errand
from annotator.web.labelling_anew import LabellingAnew
from tests import web_modelled
from tests.store_values import CAT
from tests.web_archive import Archive
from tests.web_client import Browser, WebForTests


@pytest.fixture
def web(sqlite_filled: Archive) -> WebForTests:
    return WebForTests(sqlite_filled.store)


@pytest.fixture
def operator(web: WebForTests) -> Browser:
    return web.browser(Role.OPERATOR)


def id_of(browser: Browser, name: str) -> int:
    return int(next(one for one in browser.get(f"/api/v1/people?q={name}").json()["items"])["person_id"])


def wait_for_end(errand: Errand) -> None:
    """Wait until the program that has answered has given what is stored the new names: one runs at a time."""
    assert errand._one.acquire(timeout=300)
    errand._one.release()


def add_cat(store: Store) -> int:
    with store.writing() as connection:
        register_identities(connection, [CAT])
        return ids_of(connection, [CAT.name])[CAT.name]


def test_a_person_is_renamed_and_found_by_both_names(sqlite_filled: Archive, operator: Browser) -> None:
    ada = id_of(operator, "Ada")
    assert operator.post(f"/people/{ada}/rename", {"name": "Ada King"}).headers["location"] == f"/people/{ada}"
    page = operator.get(f"/people/{ada}").text
    assert "<h1>Ada King</h1>" in page
    assert "Also found as Ada Lovelace." in page
    assert operator.get("/search?person=ada+lovelace").status_code == 200
    with sqlite_filled.store.reading() as connection:
        deed = list_deeds(connection)[0]
    assert (deed.actor, deed.action, deed.subject) == ("operator-person", "renamed a person", "Ada King")
    refused = operator.post(f"/people/{ada}/rename", {"name": "Bén Brown"})
    assert (refused.status_code, "merge the two" in refused.text) == (400, True)


def test_further_names_come_and_go_and_stay_what_they_are_of_one_person(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    operator = web_modelled.web_with(sqlite_store, tmp_path / "model").browser(Role.OPERATOR)
    one, other = (id_of(operator, name) for name in ("Person 03", "Person 04"))
    operator.post(f"/people/{one}/names", {"alias": "Benny"})
    assert 'aria-label="Remove Benny"' in operator.get(f"/people/{one}").text
    assert id_of(operator, "Benny") == one
    assert operator.post(f"/people/{one}/names", {"alias": "Person 04"}).status_code == 400
    assert operator.post(f"/people/{other}/names/remove", {"alias": "Benny"}).status_code == 400
    operator.post(f"/people/{one}/names/remove", {"alias": "Benny"})
    with sqlite_store.reading() as connection:
        assert connection.execute(select(identity_aliases.c.name)).all() == []


def test_a_name_that_the_model_has_for_somebody_stays(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    operator = web_modelled.web_with(sqlite_store, tmp_path / "model").browser(Role.OPERATOR)
    person = id_of(operator, "Person 03")
    operator.post(f"/people/{person}/rename", {"name": "Somebody Renamed"})
    assert "Remove Person 03" not in operator.get(f"/people/{person}").text
    refused = operator.post(f"/people/{person}/names/remove", {"alias": "Person 03"})
    assert (refused.status_code, "the model calls the person so" in refused.text.casefold()) == (409, True)
    assert id_of(operator, "Person 03") == person


def test_while_the_model_is_not_here_no_name_goes(operator: Browser) -> None:
    ben = id_of(operator, "Ben")
    operator.post(f"/people/{ben}/names", {"alias": "Benny"})
    assert "Remove Benny" not in operator.get(f"/people/{ben}").text
    assert operator.post(f"/people/{ben}/names/remove", {"alias": "Benny"}).status_code == 409


def test_a_knowledge_graph_id_is_changed_and_belongs_to_one_person(operator: Browser) -> None:
    ben = id_of(operator, "Ben")
    operator.post(f"/people/{ben}/kg-mid", {"kg_mid": "/m/0ben"})
    assert "<code>/m/0ben</code>" in operator.get(f"/people/{ben}").text
    for wrong in ("/m/0ada", "m.0ben", "https://example.org/"):
        assert operator.post(f"/people/{ben}/kg-mid", {"kg_mid": wrong}).status_code == 400
    operator.post(f"/people/{ben}/kg-mid", {"kg_mid": ""})
    assert "<code>/m/" not in operator.get(f"/people/{ben}").text


def test_two_people_are_merged_after_it_was_said_what_becomes_of_them(operator: Browser) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    asked = operator.get(f"/people/{ben}/merge?into=ada+lovelace").text
    assert "Merge Bén Brown into Ada Lovelace" in asked
    assert "It can be taken back" in asked
    assert operator.get(f"/people/{ben}").status_code == 200, "nothing has happened yet"
    assert 'name="name" value="Bén Brown"' in asked
    assert 'name="into" value="Ada Lovelace"' in asked
    operator.post(f"/people/{ben}/merge", {"name": "Bén Brown", "into_id": str(ada), "into": "Ada Lovelace"})
    assert operator.get(f"/people/{ben}").headers["location"] == f"/people/{ada}"
    assert "Also found as Bén Brown." in operator.get(f"/people/{ada}").text
    assert operator.get(f"/people/{ada}/merge?into=ben+brown").status_code == 400


def test_a_merge_is_taken_back_after_it_was_said_what_becomes_of_both(
    sqlite_filled: Archive, web: WebForTests, operator: Browser
) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    roll_up(sqlite_filled.store.engine)
    before = operator.get(f"/api/v1/people/{ben}").json()
    operator.post(f"/people/{ben}/merge", {"name": "Bén Brown", "into_id": str(ada), "into": "Ada Lovelace"})
    page = operator.get(f"/people/{ada}").text
    assert re.search(r"<span>Bén Brown <span class=.quiet.>by operator-person, \d{4}-", page)
    assert f'href="/people/{ada}/merged/{ben}"' in page
    assert "Take apart" not in web.browser(Role.READER).get(f"/people/{ada}").text
    asked = operator.get(f"/people/{ada}/merged/{ben}").text
    assert "Are Bén Brown and Ada Lovelace two people?" in asked
    assert 'name="name" value="Bén Brown"' in asked
    answer = operator.post(f"/people/{ada}/merged/{ben}", {"name": "Bén Brown"})
    assert answer.headers["location"] == f"/people/{ben}"
    roll_up(sqlite_filled.store.engine)  # before, the counts were those of a roll-up, too
    assert operator.get(f"/api/v1/people/{ben}").json() == before
    assert "Merged into" not in operator.get(f"/people/{ada}").text
    with sqlite_filled.store.reading() as connection:
        deed = list_deeds(connection)[0]
    assert (deed.action, deed.subject, deed.details) == (
        "took a merge back",
        "Bén Brown",
        {"out_of": "Ada Lovelace"},
    )
    for number in (ben, 99, 2**40):
        assert operator.get(f"/people/{ada}/merged/{number}").status_code == 404
        assert operator.post(f"/people/{ada}/merged/{number}", {"name": "Bén Brown"}).status_code == 404


def test_the_page_says_that_a_knowledge_graph_id_stays_with_somebody_else(
    sqlite_filled: Archive, web: WebForTests, operator: Browser
) -> None:
    ada, ben, cat = (id_of(operator, name) for name in ("Ada", "Ben", "Cat"))
    operator.post(f"/people/{ben}/kg-mid", {"kg_mid": "/m/0ben"})
    operator.post(f"/people/{ben}/merge", {"name": "Bén Brown", "into_id": str(ada), "into": "Ada Lovelace"})
    operator.post(f"/people/{cat}/kg-mid", {"kg_mid": "/m/0ben"})
    shown = operator.post(f"/people/{ada}/merged/{ben}", {"name": "Bén Brown"}).headers["location"]
    assert f'<a href="/people/{cat}">{CAT.name}</a> has the Knowledge Graph id <code>/m/0ben</code>' in (
        operator.get(shown).text
    )
    with sqlite_filled.store.reading() as connection:
        assert list_deeds(connection)[0].details == {"out_of": "Ada Lovelace", "kg_mid_stays_with": CAT.name}
    said = "The merge was taken back, but"
    assert said not in operator.get(f"/people/{ben}").text
    assert said not in web.browser(Role.READER).get(shown).text, "it is for whoever has done it"
    operator.post(f"/people/{ben}/kg-mid", {"kg_mid": "/m/0another"})
    assert said not in operator.get(shown).text, "it is over"


def test_the_pages_of_both_say_that_they_are_still_to_be_labelled_anew(web: WebForTests) -> None:
    labelling = LabellingAnew(waits_s=[3600])
    web.replace(labelling_anew=labelling, enrolling=Errand((sys.executable, "-c", ""), {}, os.environ))
    operator = web.browser(Role.OPERATOR)
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    operator.post(f"/people/{ben}/merge", {"name": "Bén Brown", "into_id": str(ada), "into": "Ada Lovelace"})
    assert "labelled anew" not in operator.get(f"/people/{ada}").text
    operator.post(f"/people/{ada}/merged/{ben}", {"name": "Bén Brown"})
    for person_id in (ada, ben):
        assert "still to be labelled anew" in operator.get(f"/people/{person_id}").text


def test_who_is_taken_apart_is_called_something_else_where_the_name_was_taken(operator: Browser) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    operator.post(f"/people/{ben}/merge", {"name": "Bén Brown", "into_id": str(ada), "into": "Ada Lovelace"})
    operator.post(f"/people/{ada}/rename", {"name": "Bén Brown"})
    assert "Somebody whose name was taken" in operator.get(f"/people/{ada}").text
    assert "has taken the name since" in operator.get(f"/people/{ada}/merged/{ben}").text
    refused = operator.post(f"/people/{ada}/merged/{ben}", {"name": ""})
    assert (refused.status_code, "say what that one is called" in refused.text) == (400, True)
    assert operator.post(f"/people/{ada}/merged/{ben}", {"name": "Ada Lovelace"}).status_code == 400
    assert operator.post(f"/people/{ada}/merged/{ben}", {"name": "Ben Green"}).status_code == 303
    assert "<h1>Ben Green</h1>" in operator.get(f"/people/{ben}").text


def test_what_was_named_since_a_merge_is_labelled_anew_when_that_is_taken_back(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    web_modelled.fill(store, tmp_path / "model")
    web = web_modelled.web_with(store, tmp_path / "model")
    enrolls = (sys.executable, "-m", "annotator.cli.web_enroll")
    errand = Errand(enrolls, {"database_url": database_url}, os.environ)
    web.replace(enrolling=errand)
    operator = web.browser(Role.OPERATOR)
    one, other = (id_of(operator, name) for name in ("Person 03", "Person 04"))
    operator.post(f"/people/{one}/merge", {"name": "Person 03", "into_id": str(other), "into": "Person 04"})
    errand.run(model=str(tmp_path / "model"), actor="x", address="x", anew=True)
    wait_for_end(errand)
    assert operator.get("/api/v1/appearances?person=Person+04").json()["items"] == []
    operator.post(f"/people/{other}/merged/{one}", {"name": "Person 03"})
    wait_for_end(errand)
    (found,) = operator.get("/api/v1/appearances?person=Person+03").json()["items"]
    assert found["uri"] == web_modelled.CLIP


@pytest.mark.parametrize("changed", ["merged", "renamed"])
def test_who_is_another_one_by_now_is_not_merged(sqlite_filled: Archive, operator: Browser, changed: str) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    seen = {"name": "Ada Lovelace", "into_id": str(ben), "into": "Bén Brown"}
    cat = add_cat(sqlite_filled.store)
    if changed == "merged":
        sqlite_filled.store.merge("Bén Brown", CAT.name)
    else:
        operator.post(f"/people/{ben}/rename", {"name": "Ben Green"})
    assert operator.post(f"/people/{ada}/merge", seen).status_code == 409
    assert operator.get(f"/people/{ada}").status_code == operator.get(f"/people/{cat}").status_code == 200


@pytest.mark.parametrize(
    ("deed", "form"),
    [
        ("rename", {"name": "Ben Green"}),
        ("names", {"alias": "Benny"}),
        ("kg-mid", {"kg_mid": "/m/0ben"}),
        ("split", {"network": "1", "track-1-0": "1", "into": "", "nobody": "1"}),
    ],
)
def test_what_was_meant_for_who_was_merged_is_not_done_to_who_took_over(
    sqlite_filled: Archive, operator: Browser, deed: str, form: dict[str, str]
) -> None:
    ada, ben = id_of(operator, "Ada"), id_of(operator, "Ben")
    sqlite_filled.store.merge("Bén Brown", "Ada Lovelace")
    before = operator.get(f"/api/v1/people/{ada}").json()
    refused = operator.post(f"/people/{ben}/{deed}", form)
    assert (refused.status_code, "was merged into Ada Lovelace meanwhile" in refused.text) == (409, True)
    assert operator.get(f"/api/v1/people/{ada}").json() == before


@pytest.mark.parametrize("form", [{"name": ""}, {"name": "x" * 201}, {"name": "\u200b"}])
def test_what_cannot_be_a_name_is_refused(operator: Browser, form: dict[str, str]) -> None:
    assert operator.post("/people/1/rename", form).status_code == 400


def test_readers_are_offered_nothing_to_change(web: WebForTests, operator: Browser) -> None:
    ada = id_of(operator, "Ada")
    assert "Rename" in operator.get(f"/people/{ada}").text
    assert "Rename" not in web.browser(Role.READER).get(f"/people/{ada}").text


def test_names_that_people_have_judged_are_counted(operator: Browser) -> None:
    ada = id_of(operator, "Ada")
    assert "judged" not in operator.get(f"/people/{ada}").text
    for media, verdict in (("both", "is"), ("apart", "is"), ("ada", "is not")):
        found = next(one for one in operator.get("/api/v1/media").json()["items"] if f"/{media}." in one["uri"])
        path = f"/api/v1/media/{found['media_id']}/tracks/0/corrections?verdict={verdict}&person=ada+lovelace"
        assert operator.client.post(path, headers={"x-csrf-token": operator.csrf()}).status_code == 200
    page = operator.get(f"/people/{ada}").text
    assert re.search(r"of names that were judged are right</dt><dd>2 of 3</dd>", page)


def test_faces_lead_to_the_tracks_that_show_the_person_best(operator: Browser) -> None:
    page = operator.get(f"/people/{id_of(operator, 'Ben')}").text
    assert re.search(r'<a href="/media/\d+#track-1">\s*<img class="face" src="/media/\d+/tracks/1/faces/0"', page)
    found = operator.get("/search?person=ada+lovelace&person=ben+brown").text
    for track_no, name in enumerate(("Ada Lovelace", "Bén Brown")):
        paths = rf'src="/media/\d+/tracks/{track_no}/still" data-moving="/media/\d+/tracks/{track_no}/moving"'
        assert re.search(rf'{paths} alt="{name}" loading="lazy"', found)


def test_who_looks_like_whom_is_told_by_the_model_that_is_shown(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    browser = web_modelled.web_with(sqlite_store, tmp_path / "model").browser(Role.READER)
    page = browser.get(f"/people/{id_of(browser, 'Person 03')}").text
    named = re.findall(r'class="chip" href="/people/\d+">(Person \d\d) <span class="quiet">(\S+)</span>', page)
    gallery = Gallery.from_bundle(load_bundle(tmp_path / "model"))
    alike = gallery.prototypes @ gallery.prototypes[3]
    nearest = [place for place in np.argsort(-alike).tolist() if place != 3][:6]
    assert named == [(gallery.identities[place].name, f"{alike[place]:.2f}") for place in nearest]
    sqlite_store.merge(named[0][0], named[1][0])
    assert f">{named[0][0]} <" not in browser.get(f"/people/{id_of(browser, 'Person 03')}").text
