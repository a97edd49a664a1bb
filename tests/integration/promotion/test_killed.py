"""Commands killed at a point: what is shown then is the old or the new as a whole, and the next call goes on."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.cli import run_command
from annotator.library import manifest_digest
from annotator.promotion.running import Asked, promote
from annotator.recognition.bundle import load_bundle
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.locks import only_one
from annotator.store.models import LOCK, list_models
from tests.integration.promotion.conftest import CLIPS_EACH, SHOWN
from tests.integration.promotion.halting import TIMEOUT_S, When, kill_at
from tests.made_up_bundles import PEOPLE, identity_of, write_made_up_bundle

OLD = {identity_of(person).name: CLIPS_EACH for person in range(SHOWN)}
NEW = OLD | {"Person 1000": 1}
MORE_PEOPLE = [*range(PEOPLE), 1000]
OLD_MODEL, NEW_MODEL = "mine@1", "mine@2"


@pytest.fixture(autouse=True)
def _settings(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands, in this process and in others, find database and models of the test."""
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


def shown(store: Store) -> tuple[str, dict[str, int]]:
    """Return the model that is shown, and the names that views show, all of that one model."""
    query = "SELECT identity, count(*) FROM content_labels GROUP BY identity"
    with store.reading() as connection:
        (model,) = connection.execute(text("SELECT DISTINCT model FROM content_labels")).scalars().all()
        (active,) = connection.execute(text("SELECT model FROM labellings JOIN active ON id = labelling_id")).scalars()
        assert model == active
        return model, dict(connection.execute(text(query)).all())


def history(store: Store) -> list[tuple[object, ...]]:
    with store.reading() as connection:
        rows = connection.execute(text("SELECT kind, model, former_model FROM model_history ORDER BY step"))
        return [tuple(row) for row in rows]


def wait_until_the_lock_is_free(store: Store) -> None:
    """Wait until nobody holds the lock of promotions: Postgres hears of a death a moment later."""
    until_s = time.monotonic() + TIMEOUT_S
    while True:
        with only_one(store.engine, LOCK) as is_free:
            if is_free:
                return
        assert time.monotonic() < until_s, "the lock of a process that was killed is not let go of"


@pytest.mark.parametrize(
    ("point", "when"),
    [
        ("annotator.store.relabelling.running:add_sums", "before"),  # in a transaction that writes labels
        ("annotator.store.rollups:roll_up", "after"),
        ("annotator.store.promotions:_note", "before"),  # in the transaction of the switch: it is made, not noted
        ("annotator.store.promotions:_note", "after"),  # made and noted, not committed
    ],
)
def test_a_promotion_that_is_killed_before_its_commit_shows_the_old_names_and_the_next_one_goes_on(  # noqa: PLR0917
    archive: Store, install: Callable[..., str], tmp_path: Path, point: str, when: When
) -> None:
    install(version=2, people=MORE_PEOPLE)
    kill_at(point, when, ["models", "promote", NEW_MODEL], folder=tmp_path)
    assert shown(archive) == (OLD_MODEL, OLD)
    assert history(archive) == []
    wait_until_the_lock_is_free(archive)
    assert run_command(["models", "promote", NEW_MODEL]) == 0
    assert shown(archive) == (NEW_MODEL, NEW)
    assert history(archive) == [("promotion", NEW_MODEL, OLD_MODEL)]


def test_a_promotion_that_is_killed_after_its_commit_shows_the_new_names_and_the_next_one_has_nothing_to_do(
    archive: Store, install: Callable[..., str], tmp_path: Path
) -> None:
    install(version=2, people=MORE_PEOPLE)
    kill_at("annotator.promotion.running:_show", "after", ["models", "promote", NEW_MODEL], folder=tmp_path)
    assert shown(archive) == (NEW_MODEL, NEW)
    wait_until_the_lock_is_free(archive)
    assert run_command(["models", "promote", NEW_MODEL]) == 0
    assert shown(archive) == (NEW_MODEL, NEW)
    assert history(archive) == [("promotion", NEW_MODEL, OLD_MODEL)]


@pytest.mark.parametrize(
    ("point", "when", "names_then"),
    [
        ("annotator.store.promotions:_note", "after", (NEW_MODEL, NEW)),  # not committed
        ("annotator.cli.promoting:roll_back", "after", (OLD_MODEL, OLD)),
    ],
)
def test_a_rollback_that_is_killed_has_happened_as_a_whole_or_not_at_all(  # noqa: PLR0917
    archive: Store,
    install: Callable[..., str],
    settings_for: Callable[..., Settings],
    tmp_path: Path,
    point: str,
    when: When,
    names_then: tuple[str, dict[str, int]],
) -> None:
    promote(archive, settings_for(install(version=2, people=MORE_PEOPLE)), Asked(), say=lambda _: None)
    kill_at(point, when, ["models", "rollback"], folder=tmp_path)
    assert shown(archive) == names_then
    is_back = names_then[0] == OLD_MODEL
    assert run_command(["models", "rollback"]) == (2 if is_back else 0), "there is nothing more to go back to"
    assert shown(archive) == (OLD_MODEL, OLD)
    assert [kind for kind, *_ in history(archive)] == ["promotion", "rollback"]


@pytest.mark.parametrize(
    ("point", "when", "is_in_place"),
    [
        ("annotator.library:_copy_checked", "after", False),
        ("annotator.library:_appears", "after", True),
        ("annotator.cli.installing:note_model", "after", True),  # not committed
    ],
)
def test_a_model_whose_installation_is_killed_is_there_whole_or_not_at_all_and_is_installed_by_the_next_call(
    archive: Store, tmp_path: Path, *, point: str, when: When, is_in_place: bool
) -> None:
    bundle = write_made_up_bundle(tmp_path / "next", version=2, people=MORE_PEOPLE)
    kill_at(point, when, ["models", "install", str(tmp_path / "next")], folder=tmp_path)
    place = tmp_path / "data" / "models" / NEW_MODEL
    assert place.is_dir() == is_in_place
    with archive.reading() as connection:
        assert [one.model for one in list_models(connection)] == [OLD_MODEL]
    wait_until_the_lock_is_free(archive)
    assert run_command(["models", "install", str(tmp_path / "next")]) == 0
    assert load_bundle(place).digest == bundle.digest
    with archive.reading() as connection:
        noted = {one.model: one.digest for one in list_models(connection)}
    assert noted[NEW_MODEL] == manifest_digest(bundle.manifest)
    assert run_command(["models", "promote", NEW_MODEL]) == 0
    assert shown(archive) == (NEW_MODEL, NEW)
