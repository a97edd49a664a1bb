"""A person is annotated, enrolled and prepared for training, all of it for real, and then taken down."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from annotator.build import STARTER_FOLDER
from annotator.cli import run_command
from annotator.recognition.bundle import load_bundle
from annotator.store import Store
from annotator.store.tables import grouped_tracks
from tests.traces import traces_in_database, traces_in_files
from trainer.cli import run as run_trainer

NAME = "Barack Obama"
NEAR = 0.6  # cosine; of the starter model's people nobody else is so near to him
pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture
def home(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for all that a user keeps, with a starter model of its own, which may be changed."""
    starter = tmp_path / "starter" / "bundle"
    shutil.copytree(STARTER_FOLDER, starter)
    monkeypatch.setattr("annotator.build.STARTER_FOLDER", starter)
    monkeypatch.setattr("annotator.takedown.running.STARTER_FOLDER", starter)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(cache / "celebrity-annotator"))
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def run(*arguments: object) -> int:
    return run_command([*map(str, arguments)])


def face_of(name: str) -> "object":
    bundle = load_bundle(STARTER_FOLDER)
    (place,) = [place for place, one in enumerate(bundle.identities) if one.name == name]
    return bundle.prototypes[place]


def traces(home: Path) -> list[str]:
    with Store.open(f"sqlite:///{home}/data/annotations.db") as store:
        found = traces_in_database(store.engine, [NAME], face_of(NAME), near=NEAR)  # type: ignore[arg-type]
    return found + traces_in_files([home], [NAME], face_of(NAME), near=NEAR)  # type: ignore[arg-type]


def test_a_person_who_was_annotated_enrolled_and_prepared_is_gone_from_everywhere(
    home: Path, clips: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("annotate", clips) == 0
    assert run("enroll", NAME, portraits / "obama.jpg") == 0
    workdir = home / "workdir"
    for name, portrait in (("Barack_Obama", "obama.jpg"), ("Joe_Biden", "biden.jpg")):
        folder = workdir / "two" / "raw_dataset" / name
        folder.mkdir(parents=True)
        with Image.open(portraits / portrait) as image:  # whose caption names both
            image.save(folder / "1.jpg", quality=95)
    labels = workdir / "two" / "labels.csv"
    labels.write_text("Label,Index\nBarack_Obama,0\nJoe_Biden,1\n", encoding="utf-8")
    assert run_trainer(["prepare", "two", "--workdir", str(workdir)]) == 0
    assert len(list((workdir / "two" / "train_dataset").rglob("*.*"))) == 2
    before = traces(home)
    for store in ("track_embeddings", "enrolled_faces", "prototypes.npz", "prepared.db", "identities"):
        assert any(store in one for one in before), store
    capsys.readouterr()

    assert run("takedown", NAME, "--folder", workdir, "--yes", "--json") == 0

    assert json.loads(capsys.readouterr().out)["steps"]["models"] == {"models": 1}
    assert traces(home) == []
    assert (workdir / "two" / "raw_dataset" / "Joe_Biden" / "1.jpg").exists()
    assert run("search", NAME) == 2
    assert run("search", "Joe Biden") == 0
    assert run("enroll", NAME, portraits / "obama.jpg") == 2
    assert "taken down" in capsys.readouterr().err
    labels.write_text("Label,Index\nBarack_Obama,0\nJoe_Biden,1\n", encoding="utf-8")
    assert run_trainer(["prepare", "two", "--workdir", str(workdir)]) == 2
    assert "taken down" in capsys.readouterr().err
    shutil.rmtree(workdir)
    assert run("annotate", clips, "--refresh", "--json") == 0
    assert NAME not in capsys.readouterr().out


def test_a_face_that_nobody_has_named_loses_its_group(
    home: Path, clips: Path, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("annotate", clips) == 0
    assert run("strangers", "group") == 0
    capsys.readouterr()
    assert run("takedown", "--face", portraits / "collins.png", "--yes", "--json") == 0
    said = capsys.readouterr()
    steps = json.loads(said.out)["steps"]
    assert "nobody whom the model knows" in said.err
    assert steps["faces 1"]["near"] > 0
    assert steps["faces 1"]["named"] == 0
    with Store.open(f"sqlite:///{home}/data/annotations.db") as store, store.reading() as connection:
        left = connection.execute(select(func.count()).select_from(grouped_tracks)).scalar_one()
    assert run("takedown", "--face", portraits / "collins.png", "--json") == 2
    assert left > 0
    assert run("search", NAME) == 0
