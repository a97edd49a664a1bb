"""``annotator export`` as it is typed, on SQLite."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.cli import run_command
from annotator.cli.export_app import _time
from annotator.store import Store
from annotator.types import Identity
from tests.store_values import SPEC, annotation, known, ref, track

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "exports.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    annotator (.*?)$", PAGE, re.MULTILINE)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a hundred media of one person."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/annotations.db"
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", url)
    joe = Identity("Joe Biden", "/m/012gx2")
    with Store.open(url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="starter@1", digest="1", photographs={joe: 1})
        store.save(
            [
                annotation(ref(f"{number:03}.gif"), content=number, tracks=[track(0, seed=number)], labels=[known(joe)])
                for number in range(1, 101)
            ],
            network_id=network_id,
            labelling_id=labelling_id,
        )
    return url


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("command", SHOWN)
def test_the_commands_of_the_page_can_be_typed(command: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    typed, _, into = command.partition(" > ")
    assert run_command(shlex.split(typed)) == 0
    said = capfd.readouterr()
    if into:
        assert len([json.loads(line) for line in said.out.splitlines()]) == 100
    else:
        target = tmp_path / shlex.split(typed)[-1]
        assert said.out == ""
        assert "100 media are in" in said.err
        assert target.exists()


def test_the_page_has_its_commands() -> None:
    assert len(SHOWN) >= 4


@pytest.mark.usefixtures("database")
def test_a_folder_that_is_there_gets_a_file_for_each_media(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run_command(["export", "--output", "out", "--media", "s3://gifs/001.gif"]) == 0
    assert "1 file of 1 media are in out" in capfd.readouterr().err
    assert json.loads((tmp_path / "out" / "s3" / "gifs" / "001.gif.json").read_text())["media"] == "s3://gifs/001.gif"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "webvtt"], "give --output a folder"),
        (["--format", "csv", "--output", "x/"], "give --output a file"),
        (["--person", "Joe Bidden", "--output", "out.csv"], "did you mean Joe Biden"),
        (["--media", "4711"], "no media 4711"),
        (["--model", "mine"], "mine has labelled nothing here"),
        (["--since", "yesterday"], "is no time"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_command(["export", *arguments]) == 2
    assert said in " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert [path for path in tmp_path.iterdir() if not path.name.startswith("annotations.db")] == []


def test_a_reader_that_goes_away_ends_it_without_a_word(database: str) -> None:
    program = [sys.executable, "-c", "import sys; from annotator.cli import main; main()", "export"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as gone:
        done = subprocess.run(
            program,
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
            env=os.environ | {"ANNOTATOR_DATABASE_URL": database},
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_day_is_meant_in_utc() -> None:
    assert _time("2026-11-24").isoformat() == "2026-11-24T00:00:00+00:00"
    assert _time("2026-11-24T10:00:00+01:00").isoformat() == "2026-11-24T10:00:00+01:00"
