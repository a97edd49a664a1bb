"""Fitting: what it learns and writes, when it ends, with which weights it begins, and what it refuses."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotator.errors import BusyError, ConfigError, DeviceMemoryError, InputError, ModelError
from annotator.networks.sface import EMBEDDING_SIZE
from annotator.recognition.bundle import write_bundle
from annotator.recognition.projection import Projection
from annotator.recognition.revocation import RevocationList
from tests.integration.trainer.fitting.conftest import PEOPLE, Bench, small_experiment
from tests.made_up_bundles import SIZE, TEXTS, write_made_up_bundle
from tests.optional import import_optional
from trainer.dataset.files import only_worker
from trainer.experiment import Network, Schedule

tf = import_optional("tensorflow")

LONG = Schedule(epochs=8, batch=8, learning_rate=0.01, log_every_steps=2)


def test_it_learns_writes_what_is_documented_and_can_be_loaded(bench: Bench) -> None:
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras

    result = bench.fit(small_experiment(schedule=LONG))

    folder = bench.places.folder
    assert result.results[-1].loss < result.results[0].loss
    best = result.results[result.best - 1]
    assert (best.val_top1, best.val_top5) == (1.0, 1.0)
    assert {path.name for path in result.folder.iterdir()} == {
        *("last.npz", "best.keras", "crop.json", "best.weights.h5", "network.json", "train.npz", "val.npz")
    }
    assert json.loads((result.folder / "network.json").read_text())["people"] == list(PEOPLE)
    with (folder / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == [str(epoch) for epoch in range(1, 9)]
    said = (folder / "logs.log").read_text()
    assert "epoch 8/8 done" in said
    assert "images/s, time left at most: 0 s" in said

    built, network, people = load_fitted(result.folder)
    crop = cv2.imread(str(bench.places.val_dataset / "Zoe_Fox" / "0.png"), cv2.IMREAD_COLOR_RGB)
    outputs = built.whole(crop[None].astype(np.float32))
    assert (network.name, people, outputs["logits"].shape) == ("sface-head", PEOPLE, (1, 3))


def test_the_same_seed_gives_the_same_run_twice_and_another_seed_another(bench: Bench) -> None:
    first = bench.fit(small_experiment())
    second = bench.fit(small_experiment(), is_fresh=True)
    third = bench.fit(small_experiment(seed=1), is_fresh=True)

    assert first.results == second.results
    assert first.results != third.results
    assert len(list((bench.places.folder / "logs").glob("events*"))) == 1  # a fresh run has no other's curves


def test_a_run_that_is_done_can_be_made_longer_but_not_otherwise(bench: Bench) -> None:
    bench.fit(small_experiment())

    longer = bench.fit(small_experiment(schedule=replace(small_experiment().schedule, epochs=4)))

    assert [result.epoch for result in longer.results] == [1, 2, 3, 4]
    with pytest.raises(ConfigError, match="begun with another seed"):
        bench.fit(small_experiment(seed=5))


def test_it_ends_early_when_it_gets_no_better(bench: Bench) -> None:
    schedule = Schedule(epochs=50, batch=8, learning_rate=1e-9, patience_epochs=2)

    result = bench.fit(small_experiment(schedule=schedule))

    assert len(result.results) < 50
    assert len(result.results) - result.best == 2


@pytest.mark.parametrize("name", ["", "best.weights.h5", "best.keras"])
def test_weights_to_begin_with_are_taken_and_frozen_layers_stay(bench: Bench, tmp_path: Path, name: str) -> None:
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras

    first = bench.fit(small_experiment())
    shutil.copytree(first.folder, tmp_path / "before")
    for folder in ("train_dataset", "val_dataset"):  # another number of people: the head cannot be taken
        shutil.rmtree(bench.places.folder / folder / PEOPLE[0])

    second = bench.fit(small_experiment(frozen=("fc*1",)), is_fresh=True, begin_from=tmp_path / "before" / name)

    folders = (tmp_path / "before", second.folder)
    before, after = (load_fitted(folder)[0].learning.get_layer("fc1").get_weights() for folder in folders)
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_the_head_of_a_bundle_is_begun_with(bench: Bench, tmp_path: Path) -> None:
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras

    plain = write_made_up_bundle(tmp_path / "plain")
    weights = np.random.default_rng(0).normal(size=(EMBEDDING_SIZE, SIZE))
    head = Projection(weights.astype(np.float32), np.ones(SIZE, np.float32))
    write_bundle(
        tmp_path / "mine", replace(plain, projection=head, manifest={}), texts=TEXTS, revoked=RevocationList("00" * 16)
    )
    network = Network("sface-head", embedding_size=SIZE)

    result = bench.fit(small_experiment(network=network, frozen=("fc1",)), begin_from=tmp_path / "mine")

    kernel, bias = load_fitted(result.folder)[0].learning.get_layer("fc1").get_weights()
    assert np.array_equal(kernel[0, 0], head.weights)
    assert np.array_equal(bias, head.bias)
    with pytest.raises(ModelError, match=r"nothing in .* fits"):
        bench.fit(small_experiment(network=network), begin_from=tmp_path / "plain", is_fresh=True)


@pytest.mark.parametrize(("pattern", "message"), [("conv9", "no layer is called 'conv9'"), ("fc*", "all layers")])
def test_layers_that_are_not_there_or_all_of_them_cannot_be_frozen(bench: Bench, pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bench.fit(small_experiment(frozen=(pattern,)))


def test_a_crop_that_is_no_picture_is_told_with_its_name(bench: Bench) -> None:
    (bench.places.train_dataset / PEOPLE[1] / "3.png").write_bytes(b"no picture")

    with pytest.raises(InputError, match=r"Bob_Ray/3\.png is no picture"):
        bench.fit(small_experiment())


def test_a_device_without_room_for_the_network_is_told_in_a_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.fitting.step import Learner  # noqa: PLC0415 - imports Keras

    def fail(*_: object) -> None:
        raise tf.errors.InternalError(None, None, "cudaSetDevice() on GPU:0 failed. Status: out of memory")

    monkeypatch.setattr(Learner, "_build", fail)
    with pytest.raises(DeviceMemoryError, match="no memory left: make batch of the schedule smaller"):
        bench.fit(small_experiment())


def test_embeddings_that_were_kept_badly_are_made_again(bench: Bench) -> None:
    first = bench.fit(small_experiment())
    kept = bench.places.folder / "model" / "train.npz"
    kept.write_bytes(kept.read_bytes()[:-200])

    assert bench.fit(small_experiment(), is_fresh=True).results == first.results


def test_two_processes_do_not_fit_the_same_experiment(bench: Bench) -> None:
    with only_worker(bench.places.folder), pytest.raises(BusyError, match="another process works"):
        bench.fit(small_experiment())


def test_a_network_with_pooling_is_not_compiled_and_a_head_is(bench: Bench) -> None:
    assert bench.fit(small_experiment(), has_xla=True).is_whole
    with pytest.raises(ConfigError, match="leave --xla out"):
        bench.fit(small_experiment(network=Network("resnet50-half", side_px=16)), has_xla=True, is_fresh=True)
