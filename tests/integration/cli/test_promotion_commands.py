"""Models are compared, promoted and taken back from the command line, on SQLite."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.cli import promoting, run_command
from annotator.errors import StoreUnavailableError
from annotator.promotion import running
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import load_settings
from annotator.store.store import Store
from tests.integration.promotion.conftest import CLIPS_EACH, SHOWN, clips_of
from tests.made_up_bundles import EMBEDDER, PEOPLE, write_made_up_bundle

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Install:
    """Install a made-up model with the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))

    def make(version: int, **options: object) -> str:
        bundle = write_made_up_bundle(tmp_path / f"bundle-{version}", version=version, **options)  # type: ignore[arg-type]
        assert run_command(["models", "install", f"bundle-{version}"]) == 0
        capsys.readouterr()
        return bundle.model

    return make


@pytest.fixture
def shown(install: Install, tmp_path: Path) -> str:
    """An archive whose names are those of ``mine@1``."""
    model = install(1)
    identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(tmp_path / "again")))
    with Store.open(load_settings().database_url.get_secret_value()) as store:
        network_id = store.register_network({"embedder": EMBEDDER})
        labelling_id = store.register_labelling(
            network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
        )
        store.save(clips_of(identifier), network_id=network_id, labelling_id=labelling_id)
    return model


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out))


def active_model(capsys: pytest.CaptureFixture[str]) -> list[object]:
    assert run_command(["models", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [row["model"] for row in rows if row["active"]]


@pytest.mark.usefixtures("shown")
def test_a_good_model_is_promoted_and_taken_back(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    model = install(2, people=[*range(PEOPLE), 1000])
    assert active_model(capsys) == ["mine@1"]
    assert run_command(["models", "promote", model]) == 0
    said = capsys.readouterr()
    assert "adds 1 labels, drops 0, flips 0" in said.out
    assert "names of mine@2 are shown now" in said.err
    assert active_model(capsys) == ["mine@2"]
    assert run_command(["models", "promote", model]) == 0
    assert "shown already" in capsys.readouterr().err
    assert run_command(["search", "Person 1000", "--json"]) == 0
    assert told(capsys)["model"] == "mine@2"
    assert run_command(["models", "rollback"]) == 0
    assert capsys.readouterr().out == "the names of mine@1 are shown again, instead of mine@2's\n"
    assert active_model(capsys) == ["mine@1"]
    assert run_command(["models", "rollback"]) == 2


@pytest.mark.usefixtures("shown")
def test_a_model_with_wrong_photographs_is_refused_with_a_report_and_can_be_forced(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = install(2, swapped={3: 30, 30: 3})
    views = tmp_path / "views.csv"
    views.write_text("key,views\n18.gif,5\n19.gif,70\n", encoding="utf-8")
    more = ["--views", str(views), "--html", "out/report.html"]
    assert run_command(["models", "promote", model, *more]) == 3
    said = capsys.readouterr()
    assert "gate refuses mine@2 (flipped, people)" in said.err
    assert "s3://gifs/19.gif" in said.out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "mine@2 is refused by the gate" in page
    assert page.index("19.gif") < page.index("18.gif")
    assert active_model(capsys) == ["mine@1"]
    assert run_command(["models", "promote", model, "--json", "--force", "a test"]) == 0
    report = told(capsys)
    assert (report["passed"], report["is_shown"], report["forced"]) == (False, True, "a test")
    assert active_model(capsys) == ["mine@2"]


@pytest.mark.usefixtures("shown")
def test_a_report_that_cannot_be_written_takes_no_promotion_back(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    model = install(2, people=[*range(PEOPLE), 1000])
    assert run_command(["models", "promote", model, "--html", "file/report.html"]) == 0
    said = capsys.readouterr()
    assert "The report is missing: file/report.html cannot be written" in " ".join(said.err.split())
    assert "names of mine@2 are shown now" in said.err
    assert active_model(capsys) == ["mine@2"]


@pytest.mark.usefixtures("shown")
def test_a_rollback_during_a_promotion_stays_and_a_person_decides_again(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second, third = install(2, people=range(PEOPLE + 1)), install(3, people=range(PEOPLE + 2))
    assert run_command(["models", "promote", second]) == 0
    real = running.compare_labellings

    def compare_while_somebody_rolls_back(*given: object, **named: object) -> object:
        assert run_command(["models", "rollback"]) == 0
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "compare_labellings", compare_while_somebody_rolls_back)
    assert run_command(["models", "promote", third]) == 3  # 75 would be tried again without anybody
    assert "look at what is shown now, and decide again" in capsys.readouterr().err
    assert active_model(capsys) == ["mine@1"]


@pytest.mark.usefixtures("shown")
def test_faces_that_cannot_be_cut_out_take_no_promotion_back(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailableError("the database does not answer")

    monkeypatch.setattr(promoting, "face_pictures", fail)
    model = install(2, people=[*range(PEOPLE), 1000])
    assert run_command(["models", "promote", model, "--html", "report.html"]) == 0
    said = capsys.readouterr()
    assert "The report is missing: the database does not answer" in " ".join(said.err.split())
    assert "names of mine@2 are shown now" in said.err
    assert active_model(capsys) == ["mine@2"]


@pytest.mark.usefixtures("shown")
def test_a_dry_run_says_what_the_gate_finds_and_changes_nothing(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = install(2, people=[*range(PEOPLE), 1000]), install(3, swapped={3: 30, 30: 3})
    assert run_command(["models", "promote", good, "--dry-run"]) == 0
    assert "passes the gate; nothing was changed" in capsys.readouterr().err
    assert run_command(["models", "promote", bad, "--dry-run", "--json"]) == 3
    assert told(capsys)["passed"] is False
    assert active_model(capsys) == ["mine@1"]


@pytest.mark.usefixtures("shown")
def test_settings_say_what_the_gate_lets_pass(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = install(2, swapped={3: 30, 30: 3})
    monkeypatch.setenv("ANNOTATOR_GATE__MAX_FLIPPED", "0.5")
    monkeypatch.setenv("ANNOTATOR_GATE__MAX_PERSON_LOST", "1")
    assert run_command(["models", "promote", model]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("shown")
def test_two_models_are_compared_once_both_have_labelled_the_archive(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    model = install(2, swapped={3: 30, 30: 3})
    assert run_command(["models", "diff", model]) == 2
    assert "annotator relabel --model mine@2" in capsys.readouterr().err
    assert run_command(["models", "promote", model, "--dry-run"]) == 3
    capsys.readouterr()
    for arguments in ([model], ["mine@1", "mine@2"]):
        assert run_command(["models", "diff", *arguments, "--json", "--flips", "2"]) == 0
        diff = told(capsys)
        assert (diff["before"], diff["after"], diff["flipped"]) == ("mine@1", "mine@2", CLIPS_EACH)
        assert (diff["contents"], len(list(diff["flips"]))) == (SHOWN * CLIPS_EACH, 2)  # type: ignore[call-overload]
    assert run_command(["models", "diff", "mine@2", "mine@1"]) == 0
    assert "mine@1 against mine@2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["mine@2", "--force", " "], ["mine@2", "--clips", "."], ["mine@2", "--views", "missing.csv"], ["x@1"]]
)
@pytest.mark.usefixtures("shown")
def test_what_cannot_be_asked_is_refused(
    install: Install, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    install(2, people=range(PEOPLE + 1))
    assert run_command(["models", "promote", *arguments]) == 2
    assert capsys.readouterr().err


def test_no_database_is_made_by_asking(install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del install
    for command in (["diff", "mine@1"], ["promote", "mine@1"], ["rollback"]):
        assert run_command(["models", *command]) == 2
        assert "there is no database" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
