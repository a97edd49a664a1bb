"""Models are installed, listed and used by name, on SQLite."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.build import build_gallery
from annotator.cli import run_command
from annotator.errors import ModelError
from annotator.settings import load_settings
from annotator.starter import load_starter
from annotator.store.store import Store
from tests.made_up_bundles import write_made_up_bundle


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(tmp_path / "cache"))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_model_is_installed_once_and_can_be_used_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_made_up_bundle(tmp_path / "bundle", version=3)
    assert run_command(["models", "install", "bundle", "--json"]) == 0
    (told,) = lines(capsys)
    assert (told["model"], told["is_new"]) == ("mine@3", True)
    assert run_command(["models", "install", "bundle"]) == 0
    assert capsys.readouterr().out.startswith("mine@3 was installed already: 40 people")
    assert run_command(["models", "list", "--json"]) == 0
    assert [(one["name"], one["people"]) for one in lines(capsys)] == [
        ("starter", len(load_starter().identities)),
        ("mine@3", 40),
    ]
    assert run_command(["models", "show", "mine@3"]) == 0
    assert "# card" in capsys.readouterr().out
    assert run_command(["models", "show", "mine@4"]) == 2


def test_another_content_under_the_same_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_made_up_bundle(tmp_path / "first")
    write_made_up_bundle(tmp_path / "second", swapped={3: 4})
    assert run_command(["models", "install", "first"]) == 0
    assert run_command(["models", "install", "second"]) == 2
    assert "higher version" in capsys.readouterr().err


def test_a_bundle_that_passes_for_an_installed_one_is_refused_where_labels_are_saved(tmp_path: Path) -> None:
    write_made_up_bundle(tmp_path / "first")
    write_made_up_bundle(tmp_path / "second", swapped={3: 4})
    assert run_command(["models", "install", "first"]) == 0
    database = load_settings().database_url.get_secret_value()
    with Store.open(database) as store:
        assert build_gallery(load_settings(model="first"), store=store).model == "mine@1"
        with pytest.raises(ModelError, match="not the one that is installed"):
            build_gallery(load_settings(model="second"), store=store)


def test_a_model_of_another_machine_is_listed_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_made_up_bundle(tmp_path / "bundle")
    assert run_command(["models", "install", "bundle"]) == 0
    monkeypatch.setenv("ANNOTATOR_MODELS_URI", str(tmp_path / "elsewhere"))
    capsys.readouterr()
    assert run_command(["models", "list", "--json"]) == 0
    told = lines(capsys)[-1]
    assert (told["name"], told["people"], told["active"]) == ("mine@1", None, False)
    assert str(told["place"]).endswith("/data/models/mine@1")
    assert run_command(["models", "list"]) == 0
    assert "mine@1" in capsys.readouterr().out


def test_a_model_whose_labels_were_removed_is_listed_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_made_up_bundle(tmp_path / "bundle")
    assert run_command(["models", "install", "bundle"]) == 0
    with Store.open(load_settings().database_url.get_secret_value()) as store:
        network_id = store.register_network({"name": "fake"})
        store.register_labelling(network_id, model="shown@1", digest="0", photographs={})
        for digest, model in enumerate(("mine@1", "mine@1+1a2b3c4d"), 1):
            store.register_labelling(network_id, model=model, digest=str(digest), photographs={})
        for model, told in (("mine@1", False), ("mine@1+1a2b3c4d", True)):
            with store.writing() as connection:
                retired = text("UPDATE labellings SET retired_at = created_at WHERE model = :model")
                connection.execute(retired, {"model": model})
            capsys.readouterr()
            assert run_command(["models", "list", "--json"]) == 0
            assert [one["retired"] for one in lines(capsys) if one["name"] == "mine@1"] == [told]
    assert run_command(["models", "list"]) == 0
    assert "labels removed" in " ".join(capsys.readouterr().out.split())


def test_the_row_of_a_model_says_what_its_files_are(tmp_path: Path) -> None:
    bundle = write_made_up_bundle(tmp_path / "bundle")
    assert run_command(["models", "install", "bundle"]) == 0
    with Store.open(load_settings().database_url.get_secret_value()) as store, store.reading() as connection:
        row = connection.execute(text("SELECT name, version, manifest FROM models")).one()
    assert (row.name, row.version) == ("mine", "1")
    assert json.loads(row.manifest)["files"] == bundle.manifest["files"]
