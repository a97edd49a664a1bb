"""``annotator calibrate``, on both databases: the prior of an archive whose share is known, and the way to use it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.cli import run_command
from annotator.cli.calibrating import PriorReport
from annotator.recognition.bundle import load_bundle, write_bundle
from annotator.recognition.calibration import SizePoint, fit_log_ratio
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.prior import KnownTracks, PriorEstimate
from annotator.recognition.revocation import RevocationList
from annotator.store import Store
from annotator.store.relabelling.sampling import SampledTracks
from annotator.types import MediaAnnotation
from tests.made_up_bundles import EMBEDDER, PEOPLE, TEXTS, track_of, write_made_up_bundle
from tests.store_values import annotation, ref, track

CONTENTS = 240


def made_up_annotations(identifier: Identifier, shown: Sequence[int]) -> list[MediaAnnotation]:
    """Return annotations of contents with two tracks of one person each; beyond ``PEOPLE`` they are strangers."""
    made = []
    for content, person in enumerate(shown, start=1):
        tracks = [
            replace(
                track(number, start_ms=50 * number),
                evidence=track_of(person, seed=content * 2 + number),
                best_faces=np.zeros((0, 112, 112, 3), np.uint8),
                boxes_xyxy=np.tile(np.float32([10 + 90 * number, 10, 80 + 90 * number, 90]), (3, 1)),
            )
            for number in range(2)
        ]
        labels = identifier.identify([one.evidence for one in tracks])
        made.append(annotation(ref(f"{content}.gif"), content=content, tracks=tracks, labels=labels))
    return made


def write_fitted_bundle(folder: Path) -> Identifier:
    """Write a model whose likelihood ratios are those of made-up tracks, and return what names by it."""
    bundle = write_made_up_bundle(folder)
    unfitted = Identifier(Gallery.from_bundle(bundle))
    known, strangers = (
        np.array([label.candidates[0].score for label in unfitted.identify([track_of(one, seed=9) for one in people])])
        for people in (range(PEOPLE), range(1000, 1300))
    )
    slope, intercept = fit_log_ratio(known, strangers)
    point = SizePoint(64.0, (float((known.min() + strangers.max()) / 2),) * 2, slope, intercept)
    fitted = replace(bundle, calibration=replace(bundle.calibration, points=(point,)))
    write_bundle(folder, fitted, texts=TEXTS, revoked=RevocationList("00" * 16))
    return Identifier(Gallery.from_bundle(load_bundle(folder)))


@pytest.fixture
def database(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty archive, and the model in the folder ``model``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    write_fitted_bundle(tmp_path / "model")
    return database_url


def fill(database: str, folder: Path, *, known: int, contents: int = CONTENTS) -> None:
    """Annotate so many contents of which some show people of the gallery."""
    identifier = Identifier(Gallery.from_bundle(load_bundle(folder / "model")))
    shown = [person % PEOPLE if person < known else PEOPLE + person for person in range(contents)]
    with Store.open(database) as store:
        network_id = store.register_network({"embedder": EMBEDDER})
        labelling_id = store.register_labelling(
            network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
        )
        store.save(made_up_annotations(identifier, shown), network_id=network_id, labelling_id=labelling_id)


def test_the_share_of_an_archive_is_found_and_taken_over_by_the_setting_that_is_told(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, tmp_path, known=12)
    assert run_command(["calibrate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    estimate, low, high = told["estimate"]
    assert low <= 12 / CONTENTS <= high
    assert high < 0.1
    assert (told["model"], told["prior"], told["model_prior"]) == ("mine@1", 0.1, 0.1)
    assert (told["contents"], told["sampled"], told["tracks"], told["usable_tracks"]) == (240, 240, 480, 480)
    assert told["names"] == 24
    for sure in told["sure_names"]:
        assert sure["estimated"] <= sure["in_use"] <= 24
    name, _, value = told["setting"].partition("=")
    assert (name, float(value)) == ("ANNOTATOR_PRIOR", pytest.approx(estimate, rel=0.05))
    monkeypatch.setenv(name, value)
    assert run_command(["relabel", "--activate", "--json"]) == 0
    relabelled = json.loads(capsys.readouterr().out)
    assert (relabelled["model"], relabelled["labels"]) == (f"mine@1+prior={float(value):g}", 24)
    assert run_command(["calibrate"]) == 0
    shown = capsys.readouterr()
    assert "in use (the settings')" in shown.out
    assert told["setting"] in shown.out
    assert "So few tracks say little: the share may be anything from " in shown.err


def test_known_people_to_whom_somebody_else_is_nearer_are_counted_where_the_model_knows_how_many(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, tmp_path, known=12)
    folder = tmp_path / "model"
    told = []
    for manifest in ({}, {"calibrated": {"known_tracks": KnownTracks((64.0,), (0.5,), 1.5).to_json()}}):
        saying = replace(load_bundle(folder), manifest=manifest)
        write_bundle(folder, saying, texts=TEXTS, revoked=RevocationList("00" * 16))
        assert run_command(["calibrate", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    without, said = (one["estimate"][0] for one in told)
    assert without == pytest.approx(12 / CONTENTS, rel=0.1)
    assert said == pytest.approx(2 * without, rel=0.1)  # as many again look like strangers
    assert told[0]["names"] == told[1]["names"]


def test_what_people_have_said_of_tracks_counts_more_than_scores(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, tmp_path, known=12)
    assert run_command(["calibrate", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert (before["answered_tracks"], before["judged_names"]["names"]) == (0, 0)
    names = [one.name for one in load_bundle(tmp_path / "model").identities]
    right = ["correct", "s3://gifs/1.gif", "--track", "0", "--is", names[0]]
    wrong = [["correct", f"s3://gifs/{place}.gif", "--track", "0", "--not", names[place - 1]] for place in range(2, 8)]
    stranger = ["correct", "s3://gifs/9.gif", "--track", "1", "--is", "Somebody Else", "--new"]
    another = ["correct", "s3://gifs/10.gif", "--track", "1", "--is", names[3]]
    for words in (right, *wrong, stranger, another):
        assert run_command(words) == 0
    capsys.readouterr()
    assert run_command(["calibrate", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["answered_tracks"] == 9
    assert after["estimate"][0] == pytest.approx(before["estimate"][0] - 7 / 480, abs=1e-4)
    judged = after["judged_names"]
    assert (judged["names"], judged["right"]) == (9, 1)
    assert judged["expected_estimated"] < judged["expected_in_use"] <= 9
    assert run_command(["calibrate"]) == 0
    shown = capsys.readouterr()
    assert "right names, 1 of 9 that somebody has judged" in shown.out
    assert "Of 9 of the tracks somebody has said whom they show" in shown.err


def test_a_sample_gives_a_wider_interval(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(database, tmp_path, known=60)
    widths = []
    for sample in ("1000", "60"):
        assert run_command(["calibrate", "--json", "--sample", sample]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["estimate"][1] <= 0.25 <= told["estimate"][2]
        widths.append(told["estimate"][2] - told["estimate"][1])
    assert abs(told["sampled"] - 60) <= 3
    assert widths[0] < widths[1]


def test_nothing_is_written(database: str, tmp_path: Path) -> None:
    fill(database, tmp_path, known=5, contents=20)
    with Store.open(database) as store:
        before = (store.active_labelling(), store.status())
        assert run_command(["calibrate"]) == 0
        assert (store.active_labelling(), store.status()) == before


@pytest.mark.parametrize(
    ("prior", "setting"), [(0.0312, "0.031"), (0.994, "0.99"), (0.9963, "0.996"), (0.99963, "0.9996")]
)
def test_the_setting_is_never_one_that_programs_refuse(prior: float, setting: str) -> None:
    sample = SampledTracks(1, 1, 1, *[np.zeros(0)] * 6)
    report = PriorReport("mine@1", 0.1, 0.1, sample, PriorEstimate(prior, prior, prior, 1, 1))
    assert report.setting == f"ANNOTATOR_PRIOR={setting}"


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_without_a_usable_track_it_says_so(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store.open(database):
        pass
    assert run_command(["calibrate"]) == 2
    assert "nothing is annotated yet" in capsys.readouterr().err
    identifier = Identifier(Gallery.from_bundle(load_bundle(tmp_path / "model")))
    with Store.open(database) as store:
        network_id = store.register_network({"embedder": EMBEDDER})
        labelling_id = store.register_labelling(
            network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
        )
        store.save(
            [annotation(ref("1.gif"), content=1, tracks=[], labels=[])],
            network_id=network_id,
            labelling_id=labelling_id,
        )
    assert run_command(["calibrate"]) == 2
    assert "there is no track with a face that is large and sharp enough among 1 contents" in capsys.readouterr().err
