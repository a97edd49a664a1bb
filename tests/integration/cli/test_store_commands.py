"""The commands that ask and correct a database, on SQLite."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert

from annotator.cli import run_command
from annotator.settings import load_settings
from annotator.starter import load_starter
from annotator.store.columns import utc_now
from annotator.store.store import Store
from annotator.store.tables import outbox
from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

CHER, BEYONCE, BONO = Identity("Cher", "/m/01vw20_"), Identity("Beyoncé Knowles"), Identity("Bono")


def annotation(name: str, identity: Identity, confidence: float) -> MediaAnnotation:
    embedding = np.zeros((1, 128), np.float16)
    embedding[0, len(name)] = 1
    one = np.ones(1, np.float16)
    time_ms = np.array([0, 100], np.int64)
    track = FaceTrack(
        track_no=0,
        shot_no=0,
        frame_index=np.arange(2, dtype=np.int64),
        pts_ms=time_ms,
        from_ms=time_ms,
        shown_ms=np.full(2, 100, np.int64),
        boxes_xyxy=np.array([[10, 20, 60, 80]] * 2, np.float32),
        scores=np.ones(2, np.float32),
        quality=np.ones(2, np.float32),
        evidence=TrackEvidence(embedding, one * 60, one),
        best_faces=np.zeros((1, 112, 112, 3), np.uint8),
    )
    return MediaAnnotation(
        media=MediaRef(name, f"file:///clips/{name}"),
        model="drawn@1",
        content_sha256=f"{len(name):064x}",
        clip=ClipReport(320, 240, 200, 2, 2, None),
        frames_sampled=2,
        faces=2,
        tracks=(track,),
        labels=(TrackLabel("known", (Candidate(identity, 0.5, confidence),)),),
    )


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with three media that show people, and one that failed."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/annotations.db"
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", url)
    with Store.open(url) as store:
        network_id = store.register_network({"network": "drawn"})
        people = {CHER: 3, BEYONCE: 5, BONO: 1}
        labelling_id = store.register_labelling(network_id, model="drawn@1", digest="drawn", photographs=people)
        outcomes: list[MediaAnnotation | MediaFailure] = [
            annotation("a.gif", CHER, 0.75),
            annotation("bb.gif", CHER, 0.9375),
            annotation("ccc.gif", BEYONCE, 0.5),
            MediaFailure(MediaRef("d", "file:///clips/d"), "drawn@1", "undecodable", "No media.", is_transient=False),
        ]
        store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    return url


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("database")
def test_a_search_prints_the_surest_media_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["search", "cher", "--json"]) == 0
    found = lines(capsys)
    assert [one["media_uri"] for one in found] == ["file:///clips/bb.gif", "file:///clips/a.gif"]
    assert found[0]["kg_mid"] == "/m/01vw20_"
    assert run_command(["search", "cher", "--min-confidence", "0.9", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["media_uri"], row["confidence"]) for row in rows] == [("file:///clips/bb.gif", "0.9375")]
    assert run_command(["search", "beyonce knowles"]) == 0
    assert "file:///clips/ccc.gif" in capsys.readouterr().out


@pytest.mark.usefixtures("database")
def test_a_name_that_nobody_has_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["search", "Chher"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Cher" in said


@pytest.mark.usefixtures("database")
def test_somebody_who_was_found_nowhere_is_said_to_be_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["search", "Bono"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "found in no media" in said.err


@pytest.mark.usefixtures("database")
def test_a_person_is_renamed_and_still_found_under_the_old_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["identities", "--rename", "Beyoncé Knowles", "Beyoncé"]) == 0
    capsys.readouterr()
    assert run_command(["search", "Beyoncé Knowles", "--json"]) == 0
    assert [one["identity"] for one in lines(capsys)] == ["Beyoncé"]
    assert run_command(["identities", "--rename", "Cher", "Bono"]) == 2


@pytest.mark.usefixtures("database")
def test_two_people_become_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["identities", "--merge", "Beyoncé Knowles", "Cher"]) == 0
    capsys.readouterr()
    assert run_command(["identities", "--json"]) == 0
    people = lines(capsys)
    assert [(one["identity"], one["media"]) for one in people] == [("Bono", 0), ("Cher", 3)]
    assert run_command(["identities"]) == 0
    assert "2 people" in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_failed_media_are_counted_by_reason_and_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status", "--json"]) == 0
    (status,) = lines(capsys)
    assert (status["media"], status["done"], status["failures"]) == (4, 3, {"undecodable": 1})
    assert run_command(["status"]) == 0
    assert "undecodable" in capsys.readouterr().out
    assert run_command(["retry", "--reason", "too_large"]) == 0
    assert "nothing to try again" in capsys.readouterr().out
    assert run_command(["retry", "--reason", "undecodable"]) == 0
    assert capsys.readouterr().out.startswith("1 media will be tried again")


@pytest.mark.usefixtures("database")
def test_call_backs_that_were_given_up_are_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["retry", "--callbacks"]) == 0
    assert capsys.readouterr().out == "no call-back was given up\n"
    with Store.open(load_settings().database_url.get_secret_value()) as store, store.writing() as connection:
        row = {"run_id": 1, "event": "media.failed", "idempotency_key": "1", "payload": {}}
        connection.execute(insert(outbox).values(created_at=utc_now(), given_up_at=utc_now(), **row))
    assert run_command(["retry", "--callbacks"]) == 0
    assert capsys.readouterr().out == "1 call-backs will be tried again\n"
    assert run_command(["retry", "--callbacks", "--reason", "undecodable"]) == 2


def test_tables_are_made_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/new.db"
    assert run_command(["db", "check", "--database", url]) == 2
    assert "annotator db upgrade" in capsys.readouterr().err
    assert run_command(["db", "upgrade", "--database", url]) == 0
    assert run_command(["db", "check", "--database", url]) == 0


@pytest.mark.usefixtures("database")
def test_a_database_of_another_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status", "--database", "mysql://ann:hunter2@db/x"]) == 2
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert said.count("\n") == 1


def test_the_starter_model_shows_whom_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path))
    assert run_command(["models", "list", "--json"]) == 0
    assert [one["name"] for one in lines(capsys)] == ["starter"]
    assert run_command(["models", "show", "--people"]) == 0
    people = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(people) == len(load_starter().identities)
    assert "Barack Obama" in {one["identity"] for one in people}
    assert run_command(["models", "show"]) == 0
    assert "must not be used" in capsys.readouterr().out
    assert run_command(["models", "show", "no-such-model"]) == 2
    assert run_command(["models", "build", str(tmp_path / "new")]) == 2


@pytest.mark.parametrize(
    "arguments",
    [["search", "Cher"], ["identities"], ["identities", "--rename", "Cher", "Cherilyn"], ["status"], ["retry"]],
)
def test_a_mistyped_path_of_a_database_is_refused_and_makes_no_file(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistyped = tmp_path / "anotations.db"
    assert run_command([*arguments, "--database", f"sqlite:///{mistyped}"]) == 2
    assert f"there is no database {mistyped}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
