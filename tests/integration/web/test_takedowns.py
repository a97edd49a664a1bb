"""Takedowns by the pages, on both databases, by the real program that does them; afterwards every store is searched."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.columns import utc_now
from annotator.store.tables import takedowns, track_embeddings
from annotator.store.takedowns.alone import only_takedown
from annotator.store.takedowns.running import NO_FACES, KnownFaces, begin_takedown
from annotator.store.takedowns.whom import Person, find_person
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.store.web.tokens import add_token
from annotator.takedown.looking import look_at_picture
from annotator.types import TrackEvidence
from tests.made_up_bundles import EMBEDDER, direction_of, identity_of
from tests.store_values import ADA, annotation, ref, track, unknown
from tests.web_takedowns import ALIAS, NAME, PROGRAM, Place

OTHER = identity_of(4).name
BEGUN = ("/takedowns", "/takedowns/1")  # where its number does not come within seconds, the list
KILLED = """
import os, signal
import {user} as user
def act(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
user.{name} = act
from annotator.cli.web_takedown import main
main()
"""
POINTS = [
    ("annotator.store.takedowns.running", "forget_faces"),
    ("annotator.takedown.running", "rewrite_without"),
    ("annotator.store.takedowns.running", "forget_names"),
    ("annotator.store.takedowns.running", "give_up_space"),
]


SEES = """
import json, sys
sys.stdin.readline()
report = {"takedown": None, "steps": {}, "left": []}
print(json.dumps({"seen": {"name": sys.argv[1], "face": {"embedder": None, "faces": []}}, "report": report}))
"""


@pytest.fixture
def place(store: Store, database_url: str, tmp_path: Path) -> Place:
    return Place(store, database_url, tmp_path)


def ids_on(page: str) -> str:
    found = re.search(r'name="ids" value="([\d,]+)"', page)
    assert found is not None, page
    return found[1]


def test_an_admin_takes_a_person_down_and_nothing_is_left_in_any_store(place: Place) -> None:
    browser, path = place.admin(), f"/people/{place.person_id}/takedown"
    another = place.beside().site
    assert NAME in (another.shown_model.own_names(another.store, another.settings) or ())
    assert f'href="{path}"' in browser.get(f"/people/{place.person_id}").text
    assert "It is looked what would go" in browser.get(path).text
    place.wait()
    page = browser.get(path).text
    assert re.search(r'<span class="count">1</span> photograph that was enrolled', page)
    assert f"go the other names, {ALIAS}" in page
    assert "Which models and files" in page
    assert f"annotator takedown &#39;{NAME}&#39; --folder DIR --yes" in page
    before = place.traces()
    assert {"identities.name: the name", "web_audit.subject: the name"} <= set(before)

    refused = browser.post(path, {"name": OTHER, "ids": ids_on(page)})
    assert (refused.status_code, "That is not the name" in refused.text) == (400, True)
    assert browser.post(path, {"name": NAME, "ids": "1,2"}).status_code == 409
    assert place.traces() == before

    answer = browser.post(path, {"name": NAME.upper(), "ids": ids_on(page)})
    assert answer.headers["location"] in BEGUN
    place.wait()
    page = browser.get("/takedowns/1").text
    assert "Done." in page, page[page.find("<main") :]
    assert "annotator relabel --activate" in page
    report = browser.get("/takedowns/1/report")
    assert report.headers["content-disposition"] == 'attachment; filename="takedown-1.json"'
    assert (report.json()["done"], len(report.json()["tombstones"])) == (True, 3)
    assert report.json()["steps"]["names"] == {"identity_aliases": 1, "identities": 1}
    assert NAME not in page + report.text + browser.get("/takedowns").text
    assert place.traces() == []

    assert browser.get(f"/people/{place.person_id}").status_code == 404
    assert browser.get(path).status_code == 404
    assert NAME not in (another.shown_model.own_names(another.store, another.settings) or {NAME})
    with place.store.reading() as connection:
        deeds = [(one.actor, one.action, one.subject) for one in list_deeds(connection)]
    assert ("admin-person", "began a takedown", "takedown 1") in deeds
    assert ("eve", "renamed a person", "[taken down]") in deeds


@pytest.mark.parametrize(("user", "name"), POINTS)
def test_killed_at_any_step_it_is_not_finished_and_goes_on_by_the_name(place: Place, user: str, name: str) -> None:
    place.use((sys.executable, "-c", KILLED.format(user=user, name=name)))
    place.taking_down.begin(now=place.web.clock(), name=NAME, actor="admin-person", address="")
    place.wait()
    place.use(PROGRAM)
    browser = place.admin()
    is_done = name == "give_up_space"  # what is left to the end of it is room, which the next one gives up, too
    page = browser.get("/takedowns/1").text
    assert ("Not finished." in page) != is_done
    if is_done:
        return
    assert "not finished" in browser.get("/takedowns").text
    for wrong in ("", "?", OTHER, "Nobody Atall", str(place.person_id)):
        assert browser.post("/takedowns/1", {"name": wrong}).status_code == 400
    assert browser.post("/takedowns/1", {"name": NAME.lower()}).headers["location"] in BEGUN
    place.wait()
    page = browser.get("/takedowns/1").text
    assert "Done." in page, page[page.find("<main") :]
    assert "it was interrupted and went on" in page
    assert "annotator relabel --activate" in page, "the model was written anew, before or after the kill"
    assert place.traces() == []
    assert browser.post("/takedowns/1", {"name": NAME}).status_code == 303, "there is nothing to go on with"
    assert not place.taking_down.is_busy


def test_a_face_without_a_name_goes_on_without_one(place: Place) -> None:
    known = KnownFaces(EMBEDDER, np.asarray(direction_of(50)[None], np.float32))
    begin_takedown(place.store.engine, Person((), ()), known)
    browser = place.admin()
    page = browser.get("/takedowns/1").text
    assert ("Not finished." in page, 'name="name"' in page) == (True, False)
    assert browser.post("/takedowns/1").headers["location"] in BEGUN
    place.wait()
    report = browser.get("/takedowns/1/report").json()
    assert (report["done"], report["steps"]["faces 1"]["near"]) == (True, 2)
    assert browser.get(f"/people/{place.person_id}").status_code == 200, "others stay"


def test_folders_that_the_command_was_given_are_swept_when_it_goes_on(sqlite_store: Store, tmp_path: Path) -> None:
    place = Place(sqlite_store, str(sqlite_store.engine.url), tmp_path)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "report.txt").write_text(f"It is {NAME}.", encoding="utf-8")
    with sqlite_store.reading() as connection:
        person = find_person(connection, NAME)
    begin_takedown(sqlite_store.engine, person, NO_FACES, folders=[tmp_path / "export"])
    browser = place.admin()
    assert "One folder that the command was given is swept, too" in browser.get("/takedowns/1").text
    assert browser.post("/takedowns/1", {"name": NAME}).headers["location"] in BEGUN
    place.wait()
    assert browser.get("/takedowns/1/report").json()["steps"]["folder 1"] == {"files": 1}
    assert not (tmp_path / "export" / "report.txt").exists()
    with sqlite_store.reading() as connection:
        assert connection.execute(select(takedowns.c.folders)).scalar_one() is None


def test_one_at_a_time_in_all_programs(place: Place) -> None:
    browser = place.admin()
    path = f"/people/{place.person_id}/takedown"
    assert 'name="name"' not in browser.get(path).text, "first it is looked what would go"
    place.wait()
    page = browser.get(path).text
    assert browser.post(f"{path}/look").headers["location"] == path
    assert "It is looked what would go" in browser.get(path).text
    with only_takedown(place.store.engine):  # as another program that does one
        answer = browser.post(path, {"name": NAME, "ids": ids_on(page)})
        assert answer.headers["location"] in BEGUN
        place.wait()
        assert "another takedown is under way" in browser.get("/takedowns").text
    assert "ended the look" in browser.get(path).text
    assert browser.get(f"/people/{place.person_id}").status_code == 200


def test_what_is_no_picture_is_told_and_kept_nowhere(place: Place) -> None:
    browser = place.admin()
    files = [("picture", ("her.jpg", b"\xff\xd8 no picture"))]
    answer = browser.client.post("/takedowns/picture", data={"csrf": browser.csrf()}, files=files)
    assert answer.status_code == 303, answer.text
    place.wait()
    assert "The picture is no JPEG, PNG or WebP by its content" in browser.get(answer.headers["location"]).text
    assert not (place.folder / "data" / "uploads").exists()
    none = browser.client.post("/takedowns/picture", data={"csrf": browser.csrf()}, files=[("picture", ("", b""))])
    assert (none.status_code, "Choose one picture" in none.text) == (400, True)
    assert browser.get("/takedowns/picture/unknown").status_code == 404


def test_whoever_is_on_a_picture_goes_with_those_who_were_merged_when_it_was_shown(
    sqlite_store: Store, tmp_path: Path
) -> None:
    place = Place(sqlite_store, "", tmp_path)
    place.use((sys.executable, "-S", "-E", "-c", SEES, NAME))
    browser, files = place.admin(), [("picture", ("her.jpg", b"a picture"))]
    path = browser.client.post("/takedowns/picture", data={"csrf": browser.csrf()}, files=files).headers["location"]
    place.wait()
    page = browser.get(path).text
    assert (ids_on(page), "merged into" in page) == (str(place.person_id), False)
    place.store.merge(OTHER, NAME)
    assert browser.post(path, {"name": NAME, "ids": ids_on(page)}).status_code == 409
    page = browser.get(path).text
    assert f"1 person who was merged into {NAME}" in page
    assert browser.post(path, {"name": NAME, "ids": ids_on(page)}).headers["location"] == "/takedowns"
    place.wait()


def test_one_that_was_killed_does_not_go_on_because_another_program_does_one(
    sqlite_store: Store, tmp_path: Path
) -> None:
    place = Place(sqlite_store, "", tmp_path)
    with sqlite_store.reading() as connection:
        people = [find_person(connection, name) for name in (NAME, OTHER)]
    for person in people:
        begin_takedown(sqlite_store.engine, person, NO_FACES)
    browser = place.admin()
    with only_takedown(sqlite_store.engine):  # as another program
        assert "Not finished." in browser.get("/takedowns/1").text
        assert "It goes on" in browser.get("/takedowns/2").text


@pytest.mark.shared
@pytest.mark.slow
def test_a_picture_says_who_is_meant_and_a_face_without_a_name_goes(
    make_database: Callable[..., str], shared_data: Path, tmp_path: Path, with_networks: Callable[[Path], Path]
) -> None:
    """With the starter model: who it knows is only looked at, since its folder is not the test's."""
    known = next((shared_data / "people" / "known" / "Lin-Manuel_Miranda").iterdir()).read_bytes()
    stranger = shared_data / "people" / "strangers" / "0000.jpg"
    url, cache = make_database("sqlite"), with_networks(tmp_path / "cache")  # which is that of the place, too
    settings = load_settings(env_file=None, data_dir=tmp_path / "data", cache_dir=cache)
    with Store.open(url) as store:
        face = look_at_picture(stranger, which=None, store=store, settings=settings).known
        network_id = store.register_network({"embedder": face.embedder})
        labelling_id = store.register_labelling(network_id, model="starter@1", digest="d", photographs={})
        evidence = TrackEvidence(face.faces.astype(np.float16), np.full(1, 90, np.float16), np.ones(1, np.float16))
        clip = annotation(
            ref("clip.gif"),
            content=1,
            tracks=[replace(track(0), evidence=evidence, best_faces=np.zeros((1, 112, 112, 3), np.uint8))],
            labels=[unknown(ADA)],
        )
        store.save([clip], network_id=network_id, labelling_id=labelling_id)
        place = Place(store, url, tmp_path, is_filled=False)
        browser = place.admin()

        def give(content: bytes) -> str:
            files = [("picture", ("her.jpg", content))]
            answer = browser.client.post("/takedowns/picture", data={"csrf": browser.csrf()}, files=files)
            place.wait()
            return str(answer.headers["location"])

        page = browser.get(give(known)).text
        assert "On the picture is Lin-Manuel Miranda" in page
        assert '<input name="name" required' in page
        path = give(stranger.read_bytes())
        page = browser.get(path).text
        assert "On the picture is nobody who is known" in page
        assert '<span class="count">1</span> track without a name' in page
        assert browser.post(path).status_code == 400
        assert browser.post(path, {"sure": "yes"}).headers["location"] in BEGUN
        place.wait()
        assert browser.get("/takedowns/1/report").json()["steps"][f"faces {network_id}"]["near"] == 1
        with store.reading() as connection:
            assert connection.execute(select(track_embeddings.c.embeddings)).scalar_one() == b""
        assert browser.get(path).status_code == 404, "the face is not kept"
        assert "nothing here looks like this face" in browser.get(give(stranger.read_bytes())).text
    assert not list(tmp_path.rglob("*.part"))


def test_looks_are_forgotten_after_a_while_and_after_a_takedown(place: Place) -> None:
    place.taking_down._kept_s = 0.0
    browser = place.admin()
    first = browser.get(f"/people/{place.person_id}/takedown").text
    place.wait()
    assert "It is looked what would go" in first
    assert "It is looked what would go" in browser.get(f"/people/{place.person_id}/takedown").text
    place.wait()
    place.taking_down._kept_s = 900.0
    path = f"/people/{place.person_id}/takedown"
    browser.get(path)
    place.wait()
    assert "What goes" in browser.get(path).text
    with place.store.writing() as connection:  # as by another program
        done = {"started_at": utc_now(), "finished_at": utc_now(), "done_by": "eve", "identity_ids": [], "done": []}
        connection.execute(insert(takedowns).values(done))
    assert "It is looked what would go" in browser.get(path).text
    place.wait()


def test_the_api_tells_what_would_go_and_takes_down_who_is_confirmed(place: Place) -> None:
    place.admin()
    with place.store.writing() as connection:
        token = add_token(connection, "admin-person", role=Role.ADMIN, purpose="", now=place.web.clock(), lasts=None)
    client, path = place.web.browser().client, f"/api/v1/people/{place.person_id}/takedown"
    headers = {"Authorization": f"Bearer {token}"}
    assert client.post(path, headers=headers).status_code == 202
    place.wait()
    looking = client.post(path, headers=headers)
    assert (looking.status_code, looking.json()["state"], looking.json()["report"]["done"]) == (202, "looked", False)
    ids = looking.json()["ids"]
    assert ids == [place.person_id]

    def confirm(status: int, **body: object) -> None:
        assert client.post(path, headers=headers, json=body).status_code == status, body

    assert client.post(f"{path}?confirm={NAME}", headers=headers).status_code == 400, "addresses are noted by others"
    assert client.post(path, headers=headers, data={"confirm": NAME}).status_code == 415
    confirm(400, confirm="Nobody", ids=ids)
    confirm(400, confirm=NAME)
    confirm(409, confirm=NAME, ids=[*ids, 1])
    confirm(202, confirm=NAME, ids=ids)
    place.wait()
    listed = client.get("/api/v1/takedowns", headers=headers).json()
    assert ([(one["takedown"], one["state"]) for one in listed["items"]], listed["beginning"]) == ([(1, "done")], None)
    told = client.get("/api/v1/takedowns/1", headers=headers).json()
    assert (told["state"], told["report"]["done"]) == ("done", True)
    assert NAME not in json.dumps(told)
    assert client.post(path, headers=headers).status_code == 404
    assert client.get("/api/v1/takedowns/2", headers=headers).status_code == 404
    assert place.traces() == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ({"failure": "another takedown is under way", "reason": "busy", "is_transient": True}, (503, "10")),
        ({"failure": "a bundle fails its checks", "reason": "model", "is_transient": False}, (409, None)),
    ],
)
def test_the_api_says_whether_what_kept_a_takedown_from_beginning_passes_by_itself(
    sqlite_store: Store, tmp_path: Path, failure: dict[str, object], told: tuple[int, str | None]
) -> None:
    place = Place(sqlite_store, "", tmp_path)
    place.use((sys.executable, "-S", "-E", "-c", f"import sys; sys.stdin.readline(); print({json.dumps(failure)!r})"))
    browser = place.admin()
    answer = browser.client.post(
        f"/api/v1/people/{place.person_id}/takedown",
        json={"confirm": NAME, "ids": [place.person_id]},
        headers={"x-csrf-token": browser.csrf()},
    )
    assert (answer.status_code, answer.headers.get("retry-after")) == told
    assert answer.json()["detail"] == f"{failure['failure']}."


def test_only_admins_are_led_there(place: Place) -> None:
    page = place.web.browser(Role.OPERATOR).get(f"/people/{place.person_id}").text
    assert "/takedown" not in page
