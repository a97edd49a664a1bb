"""``annotator strangers``, on both databases: grouped, listed, shown, named, merged and split."""

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.cli import run_command
from annotator.store import Store
from tests.strangers_archive import fill

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "strangers.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    annotator (strangers .*?)(?:  .*)?$", PAGE, re.MULTILINE)
MEMBERS = (
    "SELECT b.content_id, b.track_no, g.survivor_no FROM grouped_tracks b"
    " JOIN track_groups g ON g.network_id = b.network_id AND g.group_no = b.group_no ORDER BY 1, 2"
)
# As the command, killed in the transaction of its third batch of one content.
KILLED = """
import os, signal
from annotator.cli import run_command
from annotator.store.strangers import running
running.BATCH = 1
write, calls = running.write_united, []
def write_or_die(*arguments):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)
running.write_united = write_or_die
raise SystemExit(run_command(["strangers", "group"]))
"""


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An archive of four clips, not grouped yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    fill(database_url, tmp_path, tmp_path / "model")
    return database_url


@pytest.fixture
def grouped(database: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The archive, grouped: strangers 1, 3 and 4 are nobody known, 2 is."""
    assert run_command(["strangers", "group"]) == 0
    capsys.readouterr()
    return database


def members(url: str) -> list[tuple[int, int, int]]:
    with Store.open(url) as store, store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(MEMBERS))]


def lines(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    assert run_command([*arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_commands_of_the_page_do_what_they_say(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [shlex.split(line)[1] for line in SHOWN] == ["group", "list", "show", "name", "merge", "split"]
    for line in SHOWN:
        assert run_command(shlex.split(line)) == 0, line
    told = capsys.readouterr().out
    assert Path("who.html").is_file()
    for sentence in ("7 tracks of 4 clips: 4 new groups", "Eileen Collins is known now, from 3 tracks of stranger 1"):
        assert sentence in told
    assert "stranger 4 is stranger 3 now, and stays so" in told
    assert "1 track is stranger 5 now, and not stranger 3; that stays so" in told
    before = members(database)
    assert run_command(["strangers", "group", "--anew"]) == 0
    assert [row for row in members(database) if row[2] in {1, 3, 5}] == [row for row in before if row[2] in {1, 3, 5}]


def test_grouping_again_says_that_nothing_was_to_do(grouped: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = members(grouped)
    assert run_command(["strangers", "group"]) == 0
    assert capsys.readouterr().out == "everything is grouped already\n"
    assert lines(["strangers", "group"], capsys)[0]["contents"] == 0
    assert members(grouped) == before


def test_a_killed_run_leaves_whole_batches_and_the_next_one_goes_on(database: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert {content for content, *_ in members(database)} == {1, 2}
    assert run_command(["strangers", "group"]) == 0
    assert members(database) == [(1, 0, 1), (1, 1, 2), (2, 0, 3), (2, 1, 1), (3, 0, 3), (3, 1, 4), (4, 0, 1)]


@pytest.mark.usefixtures("grouped")
def test_the_list_begins_with_who_is_seen_most_and_leaves_out_whom_the_model_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = lines(["strangers", "list"], capsys)
    assert [(one["stranger"], one["media"], one["tracks"]) for one in listed] == [(1, 3, 3), (3, 2, 2)]
    assert [one["stranger"] for one in lines(["strangers", "list", "--min-media", "1"], capsys)] == [1, 3, 4]
    assert [one["stranger"] for one in lines(["strangers", "list", "--limit", "1"], capsys)] == [1]
    assert run_command(["strangers", "list"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["stranger", "media", "tracks", "on", "screen", "largest", "face", "who"]
    assert first.split() == ["1", "3", "3", "0.9", "s", "100", "px"]


@pytest.mark.usefixtures("grouped")
def test_views_put_others_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "views.csv").write_text("media,views\ns3://gifs/party.gif,1000\nend.gif,3\n")
    listed = lines(["strangers", "list", "--views", "views.csv"], capsys)
    assert [(one["stranger"], one["views"]) for one in listed] == [(3, 1000.0), (1, 3.0)]
    assert run_command(["strangers", "list", "--views", "views.csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["3", "1,000"]


@pytest.mark.usefixtures("grouped")
def test_the_list_goes_into_a_spreadsheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["strangers", "list", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["stranger"], row["identity"], row["screen_time_ms"]) for row in rows] == [
        ("1", "", "900"),
        ("3", "", "600"),
    ]


@pytest.mark.usefixtures("grouped")
def test_a_page_shows_the_faces_that_can_still_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["strangers", "show", "1", "--html", "who.html"]) == 0
    told = capsys.readouterr()
    assert [line.split()[0].rpartition("/")[2] for line in told.out.splitlines()[1:]] == [
        "hello.gif#0",
        "waving.gif#1",
        "end.gif#0",
    ]
    assert "faces in who.html: 1; 2 cannot be shown: the media are gone or have changed" in told.err
    page = (tmp_path / "who.html").read_text()
    assert page.count("<figure>") == 3
    assert page.count("data:image/jpeg;base64,") == 1
    assert "hello.gif#0" in page


@pytest.mark.usefixtures("grouped")
def test_a_name_is_found_in_old_clips_and_stays_the_group_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0
    told = capsys.readouterr()
    assert told.out == "Eileen Collins is known now, from 3 tracks of stranger 1\n"
    assert "3 of 3 tracks of the group have the name." in told.err
    found = {str(one["media_uri"]).rpartition("/")[2] for one in lines(["search", "Eileen Collins"], capsys)}
    assert found == {"hello.gif", "waving.gif", "end.gif"}
    assert [one["stranger"] for one in lines(["strangers", "list"], capsys)] == [3]
    assert run_command(["strangers", "name", "1", "Somebody Else"]) == 2
    assert 'annotator identities --rename "Eileen Collins" "Somebody Else"' in capsys.readouterr().err
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0


def labelling_shown(url: str) -> int:
    with Store.open(url) as store:
        return store.active_labelling() or 0


def names_and_evidence(url: str) -> tuple[dict[str, str], int]:
    """Return the name of each shown track that has one, and how many faces are enrolled."""
    with Store.open(url) as store, store.reading() as connection:
        shown = connection.execute(
            text("SELECT media_key, track, identity FROM stranger_tracks WHERE identity IS NOT NULL")
        )
        named = {f"{key.rpartition('/')[2]}#{track}": name for key, track, name in shown}
        return named, connection.execute(text("SELECT count(*) FROM enrolled_faces")).scalar_one()


def test_who_is_split_out_of_a_named_group_is_not_that_person(grouped: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0
    named, enrolled = names_and_evidence(grouped)
    assert ({key for key, name in named.items() if name == "Eileen Collins"}, enrolled) == (
        {"hello.gif#0", "waving.gif#1", "end.gif#0"},
        3,
    )
    capsys.readouterr()
    with_all = labelling_shown(grouped)
    assert run_command(["strangers", "split", "1", "waving.gif#1"]) == 0
    assert labelling_shown(grouped) != with_all, "the other evidence has made all labels anew"
    told = capsys.readouterr()
    assert told.out == "1 track is stranger 5 now, and not stranger 1; that stays so\n"
    assert "they are not Eileen Collins: `annotator corrections` lists it" in told.err
    assert "1 of them counts as a photograph of Eileen Collins no more." in told.err
    named, enrolled = names_and_evidence(grouped)
    assert ({key for key, name in named.items() if name == "Eileen Collins"}, enrolled) == (
        {"hello.gif#0", "end.gif#0"},
        2,
    )
    (said,) = lines(["corrections"], capsys)
    assert (said["verdict"], said["identity"], said["track"]) == ("is not", "Eileen Collins", 1)
    assert run_command(["strangers", "split", "1", "hello.gif#0"]) == 0
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0
    assert names_and_evidence(grouped)[1] == 1, "one that is split off is enrolled no more by the next naming"


@pytest.mark.usefixtures("grouped")
def test_a_name_is_given_under_the_prior_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANNOTATOR_PRIOR", "0.05")
    assert run_command(["strangers", "name", "1", "Eileen Collins"]) == 0
    capsys.readouterr()
    assert {"prior=0.05" in str(one["model"]) for one in lines(["search", "Eileen Collins"], capsys)} == {True}


@pytest.mark.usefixtures("grouped")
def test_faces_of_somebody_whom_the_model_knows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["strangers", "name", "2", "Eileen Collins"]) == 2
    assert "are Person 03's to the gallery" in capsys.readouterr().err
    assert run_command(["search", "Eileen Collins"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "99"], "no stranger 99"),
        (["name", "99", "Ada"], "no stranger 99"),
        (["merge", "1", "1"], "are one already"),
        (["split", "1", "hello.gif"], "write MEDIA#TRACK"),
        (["split", "1", "hello.gif#7"], "is not a track of stranger 1"),
        (["split", "1", "ello.gif#0"], "is not a track of stranger 1"),
        (["split", "4", "party.gif#1"], "leave some"),
        (["list", "--views", "nothing.csv"], "cannot be read"),
        (["list", "--json", "--csv"], "not both"),
    ],
)
@pytest.mark.usefixtures("grouped")
def test_what_cannot_be_is_refused_with_the_remedy(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["strangers", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["list"], ["show", "1"], ["name", "1", "Ada"], ["merge", "1", "2"]])
@pytest.mark.usefixtures("database")
def test_who_asks_before_anything_is_grouped_is_told_to_group(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["strangers", *arguments]) == 2
    assert "run `annotator strangers group`" in capsys.readouterr().err
