"""`trainer evaluate` and `trainer compare` of a fitted network, on its own validation side."""

import json
import shutil
from pathlib import Path

import pytest

from trainer.cli import run
from trainer.dataset.listing import Sample, samples_text
from trainer.experiment import Augmentation, CrossEntropy, Experiment, Network, Schedule
from trainer.workdir import Experiment as Places

pytestmark = [pytest.mark.shared, pytest.mark.slow]  # TensorFlow starts, and a head is fitted

PEOPLE = ("Halle_Berry", "Kate_Winslet", "Tom_Hanks", "Will_Smith")
TRAINED, SHOWN = 6, 3


@pytest.fixture
def places(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Return an experiment of four people as `trainer prepare` leaves it, with a head fitted to it."""
    places = Places("four", tmp_path / "workdir")
    samples = []
    for index, person in enumerate(PEOPLE):
        for number, path in enumerate(
            sorted((shared_data / "people" / "glint24" / person).glob("*.jpg"))[: TRAINED + SHOWN]
        ):
            side = "train" if number < TRAINED else "val"
            crop = f"{side}_dataset/{person}/{path.name}"
            (places.folder / crop).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, places.folder / crop)
            samples.append(Sample(crop, side, person, index, path.name, "0", f"{person}{number}", 0, 90.0, None))
    places.dataset_file.write_text(samples_text(samples))
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    fit_head(places)
    return places


def fit_head(places: Places) -> None:
    from trainer.evaluation.embedding import shared_embedder  # noqa: PLC0415 - not where the data are absent
    from trainer.fitting.fit import FitOptions, fit  # noqa: PLC0415 - as above

    schedule = Schedule(epochs=40, batch=12, learning_rate=0.01, halve_every_epochs=None)
    experiment = Experiment(Network("sface-head", embedding_size=32), CrossEntropy(), Augmentation(), schedule)
    fit(places, experiment, FitOptions(threads=1, make_embedder=lambda: shared_embedder("cpu")))  # type: ignore[arg-type,return-value]


def test_prototypes_and_head_of_a_fitted_network_are_measured_and_compared(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ("--workdir", str(places.workdir))
    assert run(["evaluate", "four", *at, "--sizes", "32"]) == 0
    assert run(["evaluate", "four", *at, "--by", "head", "--sizes", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["recogniser"]["kind"] == "head"
    for name in ("evaluation", "evaluation/head"):
        document = json.loads((places.folder / name / "report.json").read_text())
        assert document["recogniser"]["people"] == 4
        assert document["measures"]["photographs"] == len(PEOPLE) * SHOWN
        assert document["measures"]["resampled"] == "families"
        assert document["measures"]["closed_set"]["top_1"][0] == 1.0
        assert document["measures"]["open_set"]["left_out"]["strangers"] == len(PEOPLE) * SHOWN
        assert any("fitted with the people" in remark for remark in document["remarks"])
    made = json.loads((places.folder / "evaluation" / "report.json").read_text())["measures"]["by_size_made"]
    assert [one["face_px"] for one in made] == [32]
    assert run(["compare", "four", "four:head", *at, "--require", "not-worse"]) == 0
    assert json.loads(Path("comparison/comparison.json").read_text())["faces"] == len(PEOPLE) * SHOWN


def test_a_person_whose_crops_are_gone_is_one_line(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(places.train_dataset / "Tom_Hanks")
    assert run(["evaluate", "four", "--workdir", str(places.workdir)]) == 2
    assert "Tom_Hanks" in capsys.readouterr().err
    shutil.rmtree(places.folder / "model")
    assert run(["evaluate", "four", "--workdir", str(places.workdir)]) == 2
    assert "run `trainer fit` first" in capsys.readouterr().err
