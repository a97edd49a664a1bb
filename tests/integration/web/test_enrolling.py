"""Photographs and tracks that count as evidence, by the pages and the real process that takes them."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr

from annotator.build import build_gallery
from annotator.recognition.decision import Identifier
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.audit import list_deeds
from annotator.web.application import make_application
from annotator.web.errands import Errand
from tests import web_modelled
from tests.web_client import Browser, WebForTests
from tests.web_modelled import CLIP, OTHER

ENROLLS = (sys.executable, "-m", "annotator.cli.web_enroll")


def with_errand(web: WebForTests, database_url: str, **environment: str) -> Browser:
    """Return an operator's browser of an application that enrolls."""
    errand = Errand(ENROLLS, {"database_url": database_url}, os.environ | environment)
    web.site = replace(web.site, enrolling=errand)
    web.application = make_application(web.site)
    return web.browser(Role.OPERATOR)


def picture() -> bytes:
    stream = BytesIO()
    Image.new("RGB", (200, 200), "grey").save(stream, "PNG")
    return stream.getvalue()


def test_a_track_that_was_named_counts_as_evidence_and_names_others(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    media = web_modelled.fill(store, tmp_path / "model")
    browser = with_errand(web_modelled.web_with(store, tmp_path / "model"), database_url)
    token = {"x-csrf-token": browser.csrf()}
    evidence = f"/media/{media[CLIP]}/tracks/1/evidence"
    assert browser.post(evidence).status_code == 400, "nobody has said who it is"
    said = f"/api/v1/media/{media[CLIP]}/tracks/1/corrections?verdict=is&person=Eileen+Collins&new=true"
    assert browser.client.post(said, headers=token).status_code == 200
    assert f'action="{evidence}"' in browser.get(f"/media/{media[CLIP]}").text
    answer = browser.post(evidence)
    assert answer.headers["location"] == f"/media/{media[CLIP]}?enrolled=1#track-1"
    assert "counts as evidence of Eileen Collins now" in browser.get(answer.headers["location"]).text
    assert browser.post(evidence).status_code == 400, "it counts already; and the names have come: one runs at a time"
    with store.reading() as connection:
        deed = list_deeds(connection)[0]
    assert (deed.actor, deed.action, deed.subject) == (
        "operator-person",
        "let a track count as evidence",
        "Eileen Collins",
    )
    found = browser.get("/api/v1/appearances?person=eileen+collins").json()["items"]
    assert {one["uri"] for one in found} == {CLIP, OTHER}


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        (0, {}, "Choose from 1 to 20"),
        (21, {}, "files at once"),
        (1, {"face": "first"}, "Which face"),
        (1, {"face": "0"}, "Which face"),
    ],
)
def test_forms_that_cannot_be_are_refused(  # noqa: PLR0917 - what is varied
    sqlite_store: Store, tmp_path: Path, files: int, fields: dict[str, str], words: str
) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    web = web_modelled.web_with(sqlite_store, tmp_path / "model")
    web.use_settings(data_dir=tmp_path)
    browser = with_errand(web, "")
    sent = [("photograph", (f"{number}.png", picture())) for number in range(files)] or [("x", ("", b""))]
    answer = browser.client.post("/people/1/photographs", data={"csrf": browser.csrf()} | fields, files=sent)
    assert answer.status_code in {400, 413}
    assert words in answer.text


def test_by_the_api_photographs_are_refused_as_by_the_page(sqlite_store: Store, tmp_path: Path) -> None:
    web_modelled.fill(sqlite_store, tmp_path / "model")
    web = web_modelled.web_with(sqlite_store, tmp_path / "model")
    web.use_settings(data_dir=tmp_path)
    browser = with_errand(web, "")
    headers = {"x-csrf-token": browser.csrf()}
    photograph = [("photograph", ("one.png", picture()))]

    def status(**sent: object) -> int:
        return int(browser.client.post("/api/v1/people", headers=headers, **sent).status_code)

    assert status(json={"name": "Eileen Collins"}) == 415
    assert status(data={"name": "Eileen Collins"}, files=[("x", ("", b""))]) == 400
    assert status(files=photograph) == 400
    assert status(data={"name": "Eileen Collins", "face": "0"}, files=photograph) == 400
    assert web.browser(Role.REVIEWER).client.post("/api/v1/people", files=photograph).status_code == 403


@pytest.mark.shared
@pytest.mark.slow
def test_photographs_are_refused_as_by_the_command_or_count(
    make_database: Callable[..., str], shared_data: Path, tmp_path: Path, with_networks: Callable[[Path], Path]
) -> None:
    database_file = make_database("sqlite")
    with_networks(tmp_path / "cache")
    with Store.open(database_file) as store:
        _check_photographs(store, database_file, shared_data, tmp_path)


def _check_photographs(sqlite_store: Store, database_file: str, shared_data: Path, tmp_path: Path) -> None:
    settings = load_settings(env_file=None)
    identifier = Identifier(build_gallery(settings, store=sqlite_store))
    network_id = sqlite_store.register_network({"embedder": identifier.gallery.embedder})
    sqlite_store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    web = WebForTests(sqlite_store)
    web.use_settings(data_dir=tmp_path, database_url=SecretStr(database_file))
    browser = with_errand(web, database_file, ANNOTATOR_CACHE_DIR=str(tmp_path / "cache"))

    def send(content: bytes, name: str) -> tuple[int, str]:
        files = [("photograph", ("one.jpg", content))]
        answer = browser.client.post("/people/photographs", data={"csrf": browser.csrf(), "name": name}, files=files)
        return answer.status_code, answer.headers.get("location") or answer.text

    photograph = next((shared_data / "people" / "known" / "Lin-Manuel_Miranda").iterdir()).read_bytes()
    assert send(picture(), "Grey Square")[0] == 400
    status, page = send(photograph, "Grey Square")
    assert (status, "Lin-Manuel Miranda" in page) == (400, True)
    assert send(photograph, "Lin-Manuel Miranda") == (303, "/people?q=Lin-Manuel+Miranda")
    (found,) = browser.get("/api/v1/people?q=Lin-Manuel").json()["items"]
    assert browser.get(f"/api/v1/people/{found['person_id']}").json()["enrolled"] == 1

    sent = {"data": {"name": "Lin-Manuel Miranda"}, "files": [("photograph", ("two.jpg", photograph))]}
    answer = browser.client.post("/api/v1/people", headers={"x-csrf-token": browser.csrf()}, **sent)
    assert (answer.status_code, answer.json()) == (
        202,
        {"person_id": found["person_id"], "name": "Lin-Manuel Miranda", "added": 1},
    )
    assert answer.headers["location"] == f"/api/v1/people/{found['person_id']}"
