"""The page Space: points of the active model for who may read, kept by a browser as long as nothing has changed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from annotator.settings import load_settings
from annotator.space.files import map_path, write_map
from annotator.space.people import identity_ids
from annotator.space.placing import make_map
from annotator.space.sample import SampledFaces
from annotator.store import Store
from annotator.store.tables import identities
from annotator.store.web.accounts import Role
from tests.made_up_gallery import SIZE, gallery
from tests.store_values import SPEC
from tests.web_client import WebForTests


@pytest.fixture
def web(sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebForTests:
    """Return the application over twelve people whom a model names, without a map yet."""
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))
    register_people(sqlite_store)
    return WebForTests(sqlite_store)


def register_people(store: Store) -> None:
    """Let a model name twelve people."""
    people = gallery()
    counts = dict(zip(people.identities, people.photo_counts.tolist(), strict=True))
    store.register_labelling(store.register_network(SPEC), model=people.model, digest=people.digest, photographs=counts)


def build_map(store: Store) -> None:
    """Keep a map of the twelve people and of three faces, one of them the first person's."""
    random = np.random.default_rng(3).normal(0, 1, (3, SIZE))
    with store.reading() as connection:
        ids = identity_ids(connection, gallery())
        directions = random / np.linalg.norm(random, axis=1, keepdims=True)
        faces = SampledFaces(np.arange(3), np.zeros(3, np.int64), directions, [ids[0], None, None])
        space = make_map(gallery(), faces, identity_ids=ids, model="small@1", made_at=datetime.now(UTC))
        write_map(map_path(load_settings(env_file=None).cache_dir, connection, 1), space)


def test_without_a_map_the_page_says_how_one_is_made(web: WebForTests) -> None:
    browser = web.browser(Role.READER)
    assert "<code>annotator space build</code>" in browser.get("/space").text
    missing = browser.get("/space/points")
    assert missing.status_code == 404
    assert "annotator space build" in missing.text


def test_the_points_come_with_the_names_that_people_have_now(web: WebForTests) -> None:
    build_map(web.site.store)
    browser = web.browser(Role.READER)
    page = browser.get("/space").text
    assert 'data-points="/space/points"' in page
    assert 'data-person="/people/0"' in page
    with web.site.store.writing() as connection:
        connection.execute(update(identities).where(identities.c.name == "Person 3").values(name="Ada <Lovelace>"))
    content = browser.get("/space/points").content
    header = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")])
    assert [row[1] for row in header["people"]][2:5] == ["Person 2", "Ada <Lovelace>", "Person 4"]
    assert (header["named"], header["unnamed"], header["people"][0][3]) == (1, 2, 1)


def test_a_browser_that_has_the_points_gets_them_again_only_when_they_have_changed(web: WebForTests) -> None:
    build_map(web.site.store)
    browser = web.browser(Role.READER)
    first = browser.get("/space/points")
    assert first.headers["cache-control"] == "private, no-cache"
    has_it = {"if-none-match": first.headers["etag"]}
    again = browser.get("/space/points", headers=has_it)
    assert (again.status_code, again.content) == (304, b"")
    with web.site.store.writing() as connection:
        connection.execute(update(identities).where(identities.c.name == "Person 3").values(name="Somebody else"))
    assert browser.get("/space/points", headers=has_it).status_code == 200


def test_whoever_is_not_logged_in_gets_no_points(web: WebForTests) -> None:
    build_map(web.site.store)
    answer = web.browser().get("/space/points")
    assert answer.status_code == 303
    assert b"Person" not in answer.content
