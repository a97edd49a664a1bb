"""``annotator relabel``, on both databases: a model's labels for what is stored, and the switch to them."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from annotator.cli import run_command
from annotator.cli.session import Saving
from annotator.cli.workplace import bring_up_to_date
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, load_bundle, write_bundle
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.revocation import RevocationList
from annotator.store import Store
from annotator.store.locks import only_one
from annotator.store.relabelling.running import relabel_archive
from tests.made_up_gallery import annotations, gallery

EMBEDDER = "sface-2021dec"
CONTENTS = 40
MANY = 400
LABELS = "SELECT content_id, track_no, identity_id, confidence, score, runner_up_score FROM track_labels"
# As the command, in batches of two contents.
SLOWLY = """
from annotator.store.relabelling import running
running.BATCH = 2
from annotator.cli import run_command
raise SystemExit(run_command(["relabel", "--model", "bolder"]))
"""


def write_model(folder: Path, version: int, *, min_score: float, embedder: str = EMBEDDER) -> Identifier:
    """Write a model of twelve people and return what names by it."""
    bundle = replace(gallery(min_score=min_score).bundle, version=version, embedder=embedder)
    texts = dict.fromkeys((MODEL_CARD, LICENSE, CREDITS), "made up\n")
    write_bundle(folder, bundle, texts=texts, revoked=RevocationList("00" * 16))
    return Identifier(Gallery.from_bundle(load_bundle(folder)))


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An archive that small@1 has labelled, and a bolder model small@2 in the folder ``bolder``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    first = write_model(tmp_path / "first", 1, min_score=0.7)
    write_model(tmp_path / "bolder", 2, min_score=0.2)
    with Store.open(database_url) as store:
        network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
        labelling_id = store.register_labelling(
            network_id, model=first.model, digest=first.digest, photographs=first.photographs
        )
        store.save(annotations(CONTENTS, first), network_id=network_id, labelling_id=labelling_id)
    return database_url


def test_it_says_what_the_new_labels_change_and_shows_them_only_when_told_to(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = "SELECT DISTINCT model FROM content_labels"
    assert run_command(["relabel", "--model", "bolder", "--workers", "2"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("small@2 names ")
    assert f" tracks in {CONTENTS} contents; against what is shown so far, " in told.out
    assert "Searches go on to show small@1" in told.err
    with Store.open(database) as store, store.reading() as connection:
        assert connection.execute(text(shown)).scalars().all() == ["small@1"]
        (run,) = connection.execute(text("SELECT * FROM relabelling_runs")).mappings()
    assert (run["contents"], run["model"], run["from_model"]) == (CONTENTS, "small@2", "small@1")
    assert run["tracks_added"] > 0
    assert run_command(["relabel", "--model", "bolder", "--activate"]) == 0
    assert capsys.readouterr().out == "everything has labels of small@2 already\n"
    with Store.open(database) as store, store.reading() as connection:
        assert connection.execute(text(shown)).scalars().all() == ["small@2"]


def test_another_prior_and_surer_names_are_labels_of_their_own(
    database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command(["relabel", "--model", "first", "--prior", "0.02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["is_shown"]) == ("small@1+prior=0.02", False)
    assert told["tracks_added"] == told["tracks_dropped"] == told["tracks_flipped"] == 0
    assert run_command(["relabel", "--model", "first", "--min-precision", "0.98", "--activate", "--json"]) == 0
    surer = json.loads(capsys.readouterr().out)
    assert (surer["model"], surer["is_shown"]) == ("small@1+min-precision=0.98", True)
    assert 0 < surer["tracks_dropped"] < told["labels"]
    with Store.open(database) as store:
        own, of_prior, sure = (
            dict(_rows(store, f"SELECT content_id * 100 + track_no, confidence FROM track_labels WHERE {which}"))
            for which in ("labelling_id = 1", "labelling_id = 2", "labelling_id = 3")
        )
        assert own.keys() == of_prior.keys()
        assert all(of_prior[track] < own[track] for track in own)
        assert sure == {track: confidence for track, confidence in own.items() if confidence >= 0.98}
        assert min(_rows(store, "SELECT min(confidence) FROM content_labels")[0]) >= 0.98
    monkeypatch.setenv("ANNOTATOR_PRIOR", "0.02")
    assert run_command(["relabel", "--model", "first", "--activate"]) == 0
    assert capsys.readouterr().out == "everything has labels of small@1+prior=0.02 already\n"


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--min-precision", "1"], "ANNOTATOR_MIN_PRECISION"),
        (["--min-precision", "0"], "ANNOTATOR_MIN_PRECISION"),
        (["--prior", "0"], "ANNOTATOR_PRIOR"),
        (["--prior", "0.0001", "--min-precision", "0.98"], "no name can have a confidence of 0.98"),
    ],
)
def test_what_no_share_can_be_is_refused(
    database: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run_command(["relabel", "--model", "first", "--database", database, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_run_that_is_killed_goes_on_and_leaves_the_rows_and_sums_of_one_that_was_not(database: str) -> None:
    bolder = Identifier(Gallery.from_bundle(load_bundle(Path("bolder"))))
    with Store.open(database) as store:
        (first,) = _rows(store, "SELECT id, network_id FROM labellings")
        store.save(annotations(MANY, bolder), network_id=first[1], labelling_id=first[0])
        for kill_at in (MANY // 5, MANY // 2):
            program = subprocess.Popen([sys.executable, "-c", SLOWLY])
            while program.poll() is None and _labelled(store) < kill_at:
                time.sleep(0.01)
            program.kill()
            program.wait()
        assert run_command(["relabel", "--model", "bolder"]) == 0
        again = store.register_labelling(first[1], model="a@1", digest="again", photographs=bolder.photographs)
        undisturbed = relabel_archive(store.engine, bolder, again)
        assert undisturbed is not None
        runs = _rows(store, "SELECT contents, tracks, labels, tracks_added, tracks_dropped FROM relabelling_runs")
        assert len(runs) == 2
        assert runs[0] == runs[1]
        one, other = (
            _rows(store, f"{LABELS} WHERE labelling_id = {labelling_id} ORDER BY content_id, track_no")
            for labelling_id in (again - 1, again)
        )
        assert len(one) > MANY // 2
        assert one == other


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])
def test_annotating_does_not_wait_for_somebody_else_who_makes_the_same_labels(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bolder = Identifier(Gallery.from_bundle(load_bundle(Path("bolder"))))
    with Store.open(database) as store:
        ((shown, network_id),) = _rows(store, "SELECT labelling_id, network_id FROM active")
        labelling_id = store.register_labelling(
            network_id, model=bolder.model, digest=bolder.digest, photographs=bolder.photographs
        )
        annotator: Any = SimpleNamespace(identifier=bolder, model=bolder.model)
        with only_one(store.engine, f"relabel {labelling_id}"):
            bring_up_to_date(annotator, Saving(store, network_id, labelling_id))
        assert "Another process makes the labels" in capsys.readouterr().err
        assert store.active_labelling() == shown
        bring_up_to_date(annotator, Saving(store, network_id, labelling_id))
        assert f"{CONTENTS} contents have new labels" in capsys.readouterr().err
        assert store.active_labelling() == labelling_id


def _rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def _labelled(store: Store) -> int:
    return int(_rows(store, "SELECT coalesce(max(contents), 0) FROM relabellings")[0][0])


def test_programs_get_one_json_line(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["relabel", "--model", "bolder", "--json", "--database", database]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["model"], line["is_shown"], line["contents"]) == ("small@2", False, CONTENTS)
    assert line["labels"] >= line["tracks_added"] > 0


def test_a_model_of_another_network_says_how_much_is_to_be_annotated_again(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "other", 3, min_score=0.2, embedder="resnet50-made-up")
    with Store.open(database) as store, store.writing() as connection:
        network_id = connection.execute(text("SELECT id FROM networks")).scalar_one()
        source_id = connection.execute(text("SELECT id FROM sources")).scalar_one()
        connection.execute(
            text(
                "INSERT INTO runs (id, network_id, source_id, prefix, options, started_at, worker_s)"
                " VALUES (1, :n, :s, '', '{}', '2026-01-01 00:00:00.000000', 3600)"
            ),
            {"n": network_id, "s": source_id},
        )
        counted = "INSERT INTO work_counts VALUES (:n, 1, 'gif', 2, '', 10, 0)"
        connection.execute(text(counted), {"n": network_id})
    assert run_command(["relabel", "--model", "other"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"all {CONTENTS} media are to be annotated again, about 4.0 hours of one worker" in told
    assert "`annotate-backlog s3://gifs/ --model other`" in told


@pytest.mark.usefixtures("database")
def test_an_archive_of_nothing_has_nothing_to_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(tmp_path / "empty.db"):
        pass
    assert run_command(["relabel", "--model", "bolder", "--database", f"sqlite:///{tmp_path}/empty.db"]) == 2
    assert "nothing is annotated yet" in capsys.readouterr().err
