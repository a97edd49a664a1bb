"""The first model of an archive in which nothing is annotated yet: promoted, or refused on golden clips."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.build import register_model
from annotator.cli import run_command
from annotator.errors import ChangedMeanwhileError, ConfigError
from annotator.promotion import running
from annotator.promotion.golden import GoldenClip
from annotator.promotion.running import Asked, Golden, Promotion, promote, roll_back
from annotator.settings import Settings
from annotator.store import Store
from tests.integration.promotion.conftest import SHOWN, clips_of
from tests.integration.promotion.pretending import PEOPLE_IN, PretendAnnotator
from tests.made_up_bundles import EMBEDDER, PEOPLE, identity_of

SettingsFor = Callable[..., Settings]
Install = Callable[..., str]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PretendAnnotator]:
    """Let promotions have an annotator of made-up clips, of the model that is asked for."""

    def make(**options: object) -> PretendAnnotator:
        annotator = PretendAnnotator(tmp_path / "pretended", **options)
        monkeypatch.setattr(running, "build_annotator", lambda *_, **__: annotator)
        return annotator

    return make


@pytest.fixture
def golden(tmp_path: Path) -> Golden:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in PEOPLE_IN:
        (folder / name).write_bytes(b"GIF89a")
    clips = [GoldenClip(name, tuple(identity_of(one).name for one in people)) for name, people in PEOPLE_IN.items()]
    return Golden(clips, folder)


def try_promotion(store: Store, settings: Settings, **asked: object) -> Promotion:
    promotion = promote(store, settings, Asked(**asked), say=lambda _: None)  # type: ignore[arg-type]
    assert promotion is not None
    return promotion


def history(store: Store) -> list[tuple[object, ...]]:
    query = "SELECT kind, model, former_model, is_shown FROM model_history ORDER BY step"
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def registered(store: Store) -> list[tuple[object, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT model FROM labellings"))]


def checks_of(promotion: Promotion) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.passed, check.found) for check in promotion.report.checks}


def test_the_first_model_of_an_empty_archive_is_promoted_and_workers_of_it_go_on(  # noqa: PLR0917
    store: Store, install: Install, settings_for: SettingsFor, pretend: Callable[..., PretendAnnotator], golden: Golden
) -> None:
    settings, annotator = settings_for(install()), pretend()
    promotion = try_promotion(store, settings, golden=golden)
    assert (promotion.is_shown, promotion.relabelled, promotion.report.diff) == (True, 0, None)
    assert checks_of(promotion) == {
        "golden_found": (True, "of 4 people of 3 golden clips it finds 3"),
        "golden_wrong": (True, "of its names on golden clips 0 are wrong"),
        "coverage": (True, "nothing is annotated yet: there is nothing to compare"),
    }
    assert history(store) == [("promotion", "mine@1", None, 1)]
    assert register_model(store, annotator).labelling_id == store.active_labelling()  # type: ignore[arg-type]
    assert len(store.list_identities()) == len(annotator.identifier.identities)
    assert promote(store, settings, Asked(), say=lambda _: None) is None, "its names are shown already"
    with pytest.raises(ConfigError, match="nothing to go back to"):
        roll_back(store)


@pytest.mark.parametrize(
    ("options", "failed"),
    [
        ({"swapped": {3: 7, 7: 3}}, {"golden_wrong"}),
        ({"people": range(20, 40)}, {"golden_found"}),
    ],
)
def test_golden_clips_refuse_a_first_model_that_names_wrongly_or_finds_nobody(  # noqa: PLR0917
    store: Store,
    install: Install,
    settings_for: SettingsFor,
    pretend: Callable[..., PretendAnnotator],
    golden: Golden,
    options: dict[str, object],
    failed: set[str],
) -> None:
    settings = settings_for(install(**options))
    pretend(**options)
    refused = try_promotion(store, settings, golden=golden)
    assert {name for name, (passed, _) in checks_of(refused).items() if not passed} == failed
    assert (refused.is_shown, store.active_labelling(), history(store)) == (False, None, [])
    assert try_promotion(store, settings, golden=golden, forced="a test").is_shown
    assert history(store) == [("promotion", "mine@1", None, 1)]


def test_a_first_model_needs_golden_clips_where_the_settings_say_so_and_a_dry_run_registers_nothing(  # noqa: PLR0917
    store: Store, install: Install, settings_for: SettingsFor, pretend: Callable[..., PretendAnnotator], golden: Golden
) -> None:
    model = install()
    pretend()
    refused = try_promotion(store, settings_for(model, gate={"needs_golden": True}))
    assert not refused.is_shown
    assert checks_of(refused)["golden"][0] is False
    tried = try_promotion(store, settings_for(model), golden=golden, is_tried_only=True)
    assert (tried.report.passed, tried.is_shown) == (True, False)
    assert (registered(store), history(store)) == ([], [])


def test_what_a_worker_shows_meanwhile_stays(  # noqa: PLR0917
    store: Store, install: Install, settings_for: SettingsFor, pretend: Callable[..., PretendAnnotator], tmp_path: Path
) -> None:
    annotator = pretend()
    other = PretendAnnotator(tmp_path / "other", name="other", people=range(30))
    settings = settings_for(install())
    first = running.run_checks

    def check_while_a_worker_begins(*given: object, **named: object) -> object:
        register_model(store, other)  # type: ignore[arg-type]
        return first(*given, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(running, "run_checks", check_while_a_worker_begins)
        with pytest.raises(ChangedMeanwhileError, match="another model was shown meanwhile"):
            try_promotion(store, settings)
    assert (registered(store), history(store)) == ([("other@1",)], [])
    assert try_promotion(store, settings).is_shown
    assert history(store) == [("promotion", annotator.model, "other@1", 1)]


def test_a_model_over_another_network_is_promoted_where_nothing_is_annotated(
    store: Store, install: Install, settings_for: SettingsFor, pretend: Callable[..., PretendAnnotator]
) -> None:
    register_model(store, pretend())  # type: ignore[arg-type]
    pretend(name="deep", embedder="another-net").network_spec = {"embedder": "another-net"}
    promotion = try_promotion(store, settings_for(install(name="deep", embedder="another-net")))
    assert promotion.is_shown
    assert checks_of(promotion) == {"coverage": (True, "nothing is annotated yet: there is nothing to compare")}
    assert history(store) == [("promotion", "deep@1", "mine@1", 1)]
    roll_back(store)
    assert history(store)[-1] == ("rollback", "mine@1", "deep@1", 1)


def test_what_workers_with_other_settings_have_annotated_is_no_empty_archive(
    store: Store, install: Install, settings_for: SettingsFor, pretend: Callable[..., PretendAnnotator]
) -> None:
    annotator = pretend()
    assert try_promotion(store, settings_for(install())).is_shown
    annotator.network_spec = {"embedder": EMBEDDER, "sampling": "of the workers"}
    of_workers = register_model(store, annotator)  # type: ignore[arg-type]
    clips = clips_of(annotator.identifier)
    store.save(clips, network_id=of_workers.network_id, labelling_id=of_workers.labelling_id)
    settings = settings_for(install(version=2, swapped={one: (one + 1) % SHOWN for one in range(SHOWN)}))
    unseen = try_promotion(store, settings)
    assert (unseen.is_shown, unseen.relabelled) == (False, len(clips))
    assert {name for name, (passed, _) in checks_of(unseen).items() if not passed} == {"coverage", "another_network"}
    store.activate(of_workers.labelling_id)  # as `annotator relabel --model mine@1 --activate` does
    assert {name for name, (passed, _) in checks_of(try_promotion(store, settings)).items() if not passed} == {
        "flipped",
        "people",
    }
    assert try_promotion(store, settings_for(install(version=3, people=range(PEOPLE + 1)))).is_shown


@pytest.mark.shared
@pytest.mark.slow
def test_the_starter_model_is_promoted_by_the_command_and_names_what_is_annotated_then(  # noqa: PLR0917
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_networks: Callable[[Path], Path],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(with_networks(tmp_path / "cache")))
    (tmp_path / "golden.csv").write_text("file,people\nace-ventura.gif,Jim Carrey\n")
    clips = shared_data / "clips"
    assert run_command(["db", "upgrade"]) == 0
    command = ["models", "promote", "starter", "--golden", "golden.csv", "--clips", str(clips), "--html", "gate.html"]
    assert run_command(command) == 0
    said = capsys.readouterr()
    assert "of 1 people of 1 golden clips it finds 1" in " ".join(said.out.split())
    assert "names of starter@1 are shown now" in said.err
    assert "To be the first." in (tmp_path / "gate.html").read_text()
    assert run_command(["annotate", str(clips / "ace-ventura.gif")]) == 0
    assert "beside those of the active model" not in capsys.readouterr().err
    assert run_command(["search", "Jim Carrey", "--json"]) == 0
    assert '"model": "starter@1"' in capsys.readouterr().out
