"""The page of people: its commands do what it says, on both databases."""

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.cli import run_command
from annotator.store import Store
from annotator.store.merging import merge
from tests.web_modelled import CLIP, fill

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "people.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    annotator (identities.*?)(?:  .*)?$", PAGE, re.MULTILINE)
NAMES = {"Person 03": "The Rock", "Person 04": "Dwayne Johnson", "Person 05": "Sarah Gellar"}


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An archive that a model has labelled: The Rock, who is the model's person 3, is in a clip."""
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    with Store.open(database_url) as store:
        fill(store, tmp_path / "model")
        for former, name in NAMES.items():
            store.rename(former, name)
    return database_url


def who_is_in_the_clip(url: str) -> list[str]:
    with Store.open(url) as store:
        return [name for name in NAMES.values() for one in store.search(name).found if one.identity.name == name]


def test_the_commands_of_the_page_do_what_they_say(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [shlex.split(line)[1:2] for line in SHOWN] == [[], ["--rename"], ["--merge"], ["--unmerge"], ["--split"]]
    listed, renamed, merged, taken_back, split = (shlex.split(line) for line in SHOWN)
    assert run_command(listed) == run_command(renamed) == run_command(merged) == 0
    assert "--unmerge 'The Rock' takes it back" in capsys.readouterr().out
    assert run_command(["relabel", "--activate"]) == 0
    assert who_is_in_the_clip(database) == [], "two who are unlike are together like nobody"
    capsys.readouterr()
    assert run_command(taken_back) == 0
    assert capsys.readouterr().out == "The Rock is somebody of their own again\n"
    assert who_is_in_the_clip(database) == ["The Rock"], "what was named since is told apart at once"
    with Store.open(database) as store:
        assert [one.media_uri for one in store.search("The Rock").found] == [CLIP]
    assert run_command(split) == 2, "it is another media"
    capsys.readouterr()
    assert run_command([f"{CLIP}#0" if one == "clip.gif#0" else one for one in split]) == 0
    assert capsys.readouterr().out == "1 track is Rocky now, and not The Rock; that stays so\n"
    assert run_command(["relabel", "--activate"]) == 0
    with Store.open(database) as store:
        found = {name: [one.media_uri for one in store.search(name).found] for name in ("The Rock", "Rocky")}
    assert found == {"The Rock": [], "Rocky": [CLIP]}


def test_the_list_says_who_was_merged_when_and_by_whom(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(database) as store, store.writing() as connection:
        merge(connection, "The Rock", "Sarah Gellar", merged_by="eve")
        merge(connection, "Sarah Gellar", "Dwayne Johnson", merged_by="adam")
    assert run_command(["identities", "--rename", "Dwayne Johnson", "The Rock"]) == 0
    capsys.readouterr()
    assert run_command(["identities", "--json"]) == 0
    told = {one["identity"]: one["merged"] for one in map(json.loads, capsys.readouterr().out.splitlines())}
    (sarah, rock) = told.pop("The Rock")
    assert not any(told.values()), "of all others nothing is said"
    assert (sarah["name"], sarah["into"], sarah["merged_by"]) == ("Sarah Gellar", "The Rock", "adam")
    assert (rock["name"], rock["into"], rock["merged_by"]) == (None, "Sarah Gellar", "eve")
    assert datetime.now(UTC) - datetime.fromisoformat(sarah["merged_at"]) < timedelta(minutes=1)
    with Store.open(database) as store, store.writing() as connection:  # as it is kept of merges of before
        connection.execute(
            text(
                "UPDATE merges SET merged_at = NULL, merged_by = NULL WHERE into_id ="
                " (SELECT id FROM identities WHERE name = 'Sarah Gellar')"
            )
        )
    assert run_command(["identities"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if ", merged into" in line]
    assert re.fullmatch(r"Sarah Gellar, merged into The Rock on \d{4}-\d\d-\d\d \d\d:\d\d UTC by adam", lines[0])
    assert lines[1:] == ["somebody whose name was taken, merged into Sarah Gellar"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["The Rock", "Dwayne Johnson"], "choose from 1 to 1,000 tracks"),
        (["The Rock", "The Rock", "--track", f"{CLIP}#0"], "is the person whose tracks these are"),
        (["The Rock", "Rocky", "--track", f"{CLIP}#0"], "--new adds the person"),
        (["The Rock", "Dwayne Johnson", "--track", f"{CLIP}#1"], "are not this person's any more"),
        (["The Rock", "Dwayne Johnson", "--track", f"{CLIP}#x"], "is no track"),
        (["The Rock", "Dwayne Johnson", "--track", "elsewhere.gif#0"], "is not annotated in this database"),
    ],
)
@pytest.mark.usefixtures("database")
def test_tracks_that_cannot_be_given_away_stay(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["identities", "--split", *arguments]) in {2, 3}
    assert words in " ".join(capsys.readouterr().err.split())


def test_without_the_model_it_is_said_what_stays(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["identities", "--merge", "The Rock", "Dwayne Johnson"]) == 0
    monkeypatch.setenv("ANNOTATOR_MODEL", "not-here@1")
    assert run_command(["identities", "--unmerge", "the rock"]) == 0
    assert "stays as it is: There is no model" in (said := " ".join(capsys.readouterr().err.split()))
    assert "`annotator relabel --model not-here@1 --activate` labels it anew" in said
    assert who_is_in_the_clip(database) == ["The Rock"], "the model had named it before"


@pytest.mark.usefixtures("database")
def test_what_cannot_be_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["identities", "--unmerge", "The Rock"]) == 2
    assert "nobody who was merged was called 'The Rock'" in capsys.readouterr().err
    assert run_command(["identities", "--called", "The Rock"]) == 2
    assert run_command(["identities", "--merge", "The Rock", "Dwayne Johnson"]) == 0
    assert run_command(["identities", "--rename", "Dwayne Johnson", "The Rock"]) == 0
    assert run_command(["identities", "--unmerge", "The Rock"]) == 2
    assert "say what that one is called" in capsys.readouterr().err
    assert run_command(["identities", "--unmerge", "The Rock", "--called", "Somebody Else"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rename", "A", "B", "--merge", "C", "D"],
        ["--merge", "A", "B", "--unmerge", "C"],
        ["--unmerge", "A", "--json"],
    ],
)
def test_one_thing_at_a_time(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["identities", *arguments]) == 2
    assert "--rename, --merge, --unmerge and --split" in " ".join(capsys.readouterr().err.replace("│", " ").split())
