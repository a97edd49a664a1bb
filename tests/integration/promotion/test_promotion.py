"""A model takes the place of another, or is refused; a rollback takes it back. On both databases."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import text

from annotator.cli.workplace import follows
from annotator.errors import ChangedMeanwhileError, ConfigError, ModelError, ModelsBusyError
from annotator.promotion import running
from annotator.promotion.running import Asked, Promotion, promote, roll_back
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.labellings import Labelling
from annotator.store.locks import only_one
from annotator.store.models import LOCK
from annotator.store.promotions import switch
from annotator.types import Identity
from tests.integration.promotion.conftest import CLIPS_EACH, SHOWN, archive_track
from tests.made_up_bundles import PEOPLE, direction_of, identity_of, write_made_up_bundle
from tests.store_values import annotation, known, ref

SettingsFor = Callable[..., Settings]
Install = Callable[..., str]
WRONG = 3
SOMEBODY_ELSE = 30
"""Whose face the wrong photographs of ``WRONG`` show; nobody of the archive."""


def silently(_said: str) -> None:
    """Say nothing."""


def try_promotion(store: Store, settings: Settings, **asked: object) -> Promotion:
    promotion = promote(store, settings, Asked(**asked), say=silently)  # type: ignore[arg-type]
    assert promotion is not None
    return promotion


def named(store: Store) -> dict[str, int]:
    query = "SELECT identity, count(*) FROM content_labels GROUP BY identity"
    with store.reading() as connection:
        return dict(connection.execute(text(query)).all())


def history(store: Store) -> list[tuple[object, ...]]:
    query = "SELECT kind, model, former_model, is_shown FROM model_history ORDER BY step"
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def failed(promotion: Promotion) -> set[str]:
    return {check.name for check in promotion.report.checks if not check.passed}


EVERYBODY = {identity_of(person).name: CLIPS_EACH for person in range(SHOWN)}


def test_the_archive_is_named_as_it_should_be(archive: Store) -> None:
    assert named(archive) == EVERYBODY


def test_a_model_with_more_people_is_promoted_and_taken_back(
    archive: Store, install: Install, settings_for: SettingsFor
) -> None:
    model = install(version=2, people=[*range(PEOPLE), 1000])
    promotion = try_promotion(archive, settings_for(model))
    assert (promotion.is_shown, promotion.relabelled, failed(promotion)) == (True, SHOWN * CLIPS_EACH, set())
    diff = promotion.report.diff
    assert diff is not None
    assert (diff.named, diff.added, diff.dropped, diff.flipped) == (SHOWN * CLIPS_EACH, 1, 0, 0)
    assert named(archive) == EVERYBODY | {"Person 1000": 1}
    shown, former = roll_back(archive)
    assert (shown.model, former.model) == ("mine@1", "mine@2")
    assert named(archive) == EVERYBODY
    assert history(archive) == [("promotion", "mine@2", "mine@1", 0), ("rollback", "mine@1", "mine@2", 1)]
    with pytest.raises(ConfigError, match="nothing to go back to"):
        roll_back(archive)


def test_wrong_photographs_of_one_person_make_the_gate_refuse(
    archive: Store, install: Install, settings_for: SettingsFor
) -> None:
    model = install(version=2, swapped={WRONG: SOMEBODY_ELSE, SOMEBODY_ELSE: WRONG})
    promotion = try_promotion(archive, settings_for(model))
    assert not promotion.is_shown
    assert {"people", "flipped"} <= failed(promotion)
    told = " ".join(check.found for check in promotion.report.checks)
    assert f"{identity_of(WRONG).name} loses {CLIPS_EACH} of {CLIPS_EACH}" in told
    assert named(archive) == EVERYBODY
    assert history(archive) == [("refusal", "mine@2", "mine@1", 0)]
    with archive.reading() as connection:
        report = connection.execute(text("SELECT report FROM promotions")).scalar_one()
    report = json.loads(report) if isinstance(report, str) else report
    assert (report["passed"], report["archive"]["flipped"]) == (False, CLIPS_EACH)
    assert report["archive"]["pairs"] == [
        {"before": identity_of(WRONG).name, "after": identity_of(SOMEBODY_ELSE).name, "tracks": CLIPS_EACH}
    ]


def test_somebody_who_is_not_in_the_model_any_more_makes_the_gate_refuse_and_force_is_noted(
    archive: Store, install: Install, settings_for: SettingsFor
) -> None:
    settings = settings_for(install(version=2, people=[one for one in range(PEOPLE) if one != WRONG]))
    refused = try_promotion(archive, settings)
    assert failed(refused) == {"people", "dropped"}
    assert any("the model does not know this person" in check.found for check in refused.report.checks)
    forced = try_promotion(archive, settings, forced="she asked for it")
    assert (forced.is_shown, forced.report.passed, forced.relabelled) == (True, False, 0)
    assert identity_of(WRONG).name not in named(archive)
    with archive.reading() as connection:
        rows = connection.execute(text("SELECT kind, forced_reason, tracks_dropped FROM model_history ORDER BY step"))
        assert [tuple(row) for row in rows] == [
            ("refusal", None, CLIPS_EACH),
            ("promotion", "she asked for it", CLIPS_EACH),
        ]


def test_a_reason_that_was_not_needed_is_not_noted(archive: Store, install: Install, settings_for: SettingsFor) -> None:
    assert try_promotion(archive, settings_for(install(version=2, people=range(PEOPLE + 1))), forced="?").is_shown
    with archive.reading() as connection:
        assert connection.execute(text("SELECT forced_reason FROM promotions")).scalar_one() is None


def test_what_is_only_tried_notes_and_shows_nothing(
    archive: Store, install: Install, settings_for: SettingsFor
) -> None:
    promotion = try_promotion(archive, settings_for(install(version=2, people=range(PEOPLE + 1))), is_tried_only=True)
    assert (promotion.report.passed, promotion.is_shown) == (True, False)
    assert (history(archive), archive.active_labelling()) == ([], 1)


@pytest.mark.parametrize("step", ["label_what_lacks_labels", "compare_labellings", "run_checks", "rollups", "switch"])
def test_a_promotion_that_is_killed_on_the_way_has_changed_nothing_and_goes_on(  # noqa: PLR0917
    archive: Store, install: Install, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    settings = settings_for(install(version=2, people=[*range(PEOPLE), 1000]))
    with monkeypatch.context() as patched:
        patched.setattr(
            running.rollups if step == "rollups" else running, "roll_up" if step == "rollups" else step, die
        )
        with pytest.raises(Killed):
            try_promotion(archive, settings)
    assert (named(archive), history(archive)) == (EVERYBODY, [])
    assert try_promotion(archive, settings).is_shown
    assert named(archive) == EVERYBODY | {"Person 1000": 1}
    assert history(archive) == [("promotion", "mine@2", "mine@1", 1)]


def test_what_was_promoted_meanwhile_stays(
    archive: Store, install: Install, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = settings_for(install(version=2, people=range(PEOPLE + 1)))
    third = settings_for(install(version=3, people=range(PEOPLE + 2)))
    other = running.find_candidate(archive, third, Labelling(1, 1, "mine@1")).labelling.labelling_id
    real = running.compare_labellings

    def compare_while_another_wins(*given: object, **named: object) -> object:
        with archive.writing() as connection:
            switch(connection, other, kind="promotion", expected=1)
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "compare_labellings", compare_while_another_wins)
    with pytest.raises(ChangedMeanwhileError, match="promoted meanwhile"):
        try_promotion(archive, second)
    assert archive.active_labelling() == other
    assert [row[1] for row in history(archive)] == ["mine@3"]


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])  # SQLite has no lock but the switch itself
def test_one_promotion_at_a_time(archive: Store, install: Install, settings_for: SettingsFor) -> None:
    settings = settings_for(install(version=2, people=range(PEOPLE + 1)))
    with only_one(archive.engine, LOCK) as is_mine:
        assert is_mine
        with pytest.raises(ModelsBusyError, match="just now"):
            try_promotion(archive, settings)


def test_clips_that_a_worker_of_the_former_model_labels_meanwhile_are_labelled_for_the_new_one(
    archive: Store, install: Install, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:

    settings = settings_for(install(version=2, people=range(PEOPLE + 1)))
    late = annotation(ref("late.gif"), content=999, tracks=[archive_track(0, 5, 77)], labels=[known(identity_of(5))])
    real = running.compare_labellings

    def compare_while_a_worker_saves(*given: object, **named: object) -> object:
        archive.save([late], network_id=1, labelling_id=1)
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "compare_labellings", compare_while_a_worker_saves)
    assert try_promotion(archive, settings).is_shown
    assert named(archive)[identity_of(5).name] == CLIPS_EACH + 1


def test_people_who_were_enrolled_stay_known(archive: Store, install: Install, settings_for: SettingsFor) -> None:
    archive.add_enrolled(
        Identity("Somebody New"), embedder="sface-2021dec", embeddings=direction_of(1000)[None], photo_sha256=["0" * 64]
    )
    promotion = try_promotion(archive, settings_for(install(version=2)))
    assert promotion.is_shown
    assert promotion.report.model.startswith("mine@2+")
    assert named(archive) == EVERYBODY | {"Somebody New": 1}


def test_what_cannot_be_promoted_is_refused_with_the_remedy(
    archive: Store, install: Install, settings_for: SettingsFor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(ConfigError, match="annotator models list"):
        try_promotion(archive, settings_for("mine@9"))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_made_up_bundle(elsewhere / "new", name="new")
    with pytest.raises(ConfigError, match="annotator models install"):
        try_promotion(archive, settings_for(str(elsewhere / "new")))
    write_made_up_bundle(elsewhere / "other", swapped={1: 2})
    with pytest.raises(ModelError, match="not the one that is installed"):
        try_promotion(archive, settings_for(str(elsewhere / "other")))
    with pytest.raises(ConfigError, match="annotate-backlog"):
        try_promotion(archive, settings_for(install(name="deep", embedder="another-net")))
    assert history(archive) == []


def test_what_is_shown_already_is_no_promotion(archive: Store, settings_for: SettingsFor) -> None:
    assert promote(archive, settings_for("mine@1"), Asked(), say=silently) is None
    assert history(archive) == []


def test_another_version_of_a_promoted_model_is_shown_by_promotion_only(
    archive: Store, install: Install, settings_for: SettingsFor
) -> None:
    assert follows(archive, "mine@2", shown="mine@1")
    assert try_promotion(archive, settings_for(install(version=2, people=range(PEOPLE + 1)))).is_shown
    assert not follows(archive, "mine@1", shown="mine@2")
    assert not follows(archive, "mine@3", shown="mine@2")
    assert follows(archive, "mine@2+1a2b3c4d", shown="mine@2")
    assert not follows(archive, "other@2", shown="mine@2")
