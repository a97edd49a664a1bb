"""The import of GIPHY's release, on a checkpoint of its structure with random weights, against plain NumPy."""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.build import build_annotator
from annotator.detection import MtcnnDetector
from annotator.networks.embedder_file import read_embedder_file
from annotator.recognition.bundle import LABELS
from annotator.recognition.bundle_files import CLASSES, NETWORK
from annotator.recognition.crops import stretched
from annotator.runtime import create_engine
from annotator.runtime.network import build_model
from annotator.settings import load_settings
from annotator.types import F32, Identity, MediaAnnotation, MediaRef
from tests.giphy_files import STAGES, checkpoint_values, labels_text, legacy_bytes, random_state, tar_gz, zip_bytes
from trainer.cli import main, run
from trainer.giphy.faces import DETECTION, crop_xyxy, cut_faces
from trainer.giphy.folder import load_folder
from trainer.giphy.naming import GiphyModel, known_score

TOLERANCE = 1e-4
"""Largest difference of any output of any layer; outputs are of the size of 1."""

PEOPLE = ["50_Cent_[m.01vvyc_]", "A_B_[m.0b]", "A_[m.0a]", "Aaron_Paul_[m.07s3hp]", "Zoe", "aaron_carter"]
"""By class: sorted by code points."""

PKL = "resources/face_recognition/best_model_states.pkl"
CSV = "resources/face_recognition/labels.csv"

State = dict[str, Any]
Outputs = Iterator[tuple[str, F32]]


def convolved(x: F32, kernel: F32, *, stride: int, padding: int) -> F32:
    """Return a convolution as PyTorch defines it: x (C, H, W), kernel (out, in, h, w)."""
    side = kernel.shape[-1]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    return np.asarray(np.tensordot(kernel, windows, axes=([1, 2, 3], [0, 3, 4])), np.float32)


def normalised(x: F32, state: State, name: str) -> F32:
    scale = state[f"{name}.weight"] / np.sqrt(state[f"{name}.running_var"] + 1e-5)
    return (
        np.asarray((x - state[f"{name}.running_mean"][:, None, None]) * scale[:, None, None], np.float32)
        + state[f"{name}.bias"][:, None, None]
    )


def forward(face: F32, state: State) -> Outputs:
    """Yield the outputs of the release's network for a face (H, W, 3) in 0-255, layer by layer, channels first."""
    x = np.moveaxis(face.astype(np.float32) / 255, 2, 0)
    x = convolved(x, state["model.stem.0.weight"], stride=2, padding=3)
    yield "conv1", x
    x = normalised(x, state, "model.stem.1")
    yield "bn1", x
    padded = np.pad(np.maximum(x, 0), ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(3, 4))
    yield "maxpool", x
    for stage, (_, blocks) in enumerate(STAGES, start=1):
        for block in range(blocks):
            prefix, layer = f"model.stem.{stage + 3}.{block}", f"layer{stage}_{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            shortcut = x
            if block == 0:
                shortcut = convolved(x, state[f"{prefix}.downsample.0.weight"], stride=stride, padding=0)
                shortcut = normalised(shortcut, state, f"{prefix}.downsample.1")
                yield f"{layer}_downsample_1", shortcut
            for number in (1, 2, 3):
                at = {"stride": stride if number == 2 else 1, "padding": 1 if number == 2 else 0}
                x = convolved(x, state[f"{prefix}.conv{number}.weight"], **at)
                yield f"{layer}_conv{number}", x
                x = normalised(x, state, f"{prefix}.bn{number}")
                yield f"{layer}_bn{number}", x
                x = np.maximum(x, 0) if number < 3 else np.maximum(x + shortcut, 0)
            yield f"{layer}_relu", x
    x = x.mean(axis=(1, 2))
    yield "embedding", state["model.fc1.weight"] @ x + state["model.fc1.bias"]


def named(embedding: F32, state: State) -> tuple[int, float, float]:
    """Return class, softmax and known-score of an embedding by the release's rule."""
    logits = state["model.fc2.weight"] @ embedding + state["model.fc2.bias"]
    softmax = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = int(softmax.argmax())
    centre = state["center_loss_criterion.centers"][best]
    cosine = embedding @ centre / (np.linalg.norm(embedding) * np.linalg.norm(centre))
    return best, float(softmax[best]), float(softmax[best] * cosine)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]) -> Path:
    """The folder of data and cache of who annotates."""
    return with_networks(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def state() -> "OrderedDict[str, Any]":
    return random_state(len(PEOPLE), seed=11)


@pytest.fixture(scope="module")
def folder(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of an archive whose labels are shuffled and have gaps in their indices."""
    home = tmp_path_factory.mktemp("giphy")
    labels = "Label,Index\n" + "".join(f"{PEOPLE[row]},{7 * row % 40}\n" for row in (3, 0, 5, 1, 4, 2))
    members = {CSV: labels.encode(), PKL: legacy_bytes(checkpoint_values(OrderedDict(state)))}
    assert run(["import-giphy", str(tar_gz(home / "resources.tar.gz", members)), "--out", str(home / "model")]) == 0
    (home / "resources.tar.gz").unlink()
    assert [path.name for path in home.iterdir()] == ["model"]
    return home / "model"


@pytest.fixture(scope="module")
def zip_archive(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same checkpoint in the newer form, without labels."""
    content = zip_bytes(checkpoint_values(OrderedDict(state)))
    return tar_gz(tmp_path_factory.mktemp("giphy") / "resources.tar.gz", {PKL: content})


def test_both_forms_of_a_checkpoint_give_the_same_numbers_and_names(
    folder: Path,
    zip_archive: Path,
    tmp_path: Path,
    *,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "labels.csv").write_bytes(labels_text(PEOPLE))
    words = [str(zip_archive), "--out", str(tmp_path / "model"), "--labels", str(tmp_path / "labels.csv")]
    monkeypatch.setattr("sys.argv", ["trainer", "import-giphy", *words])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out.startswith("6 people")
    for name in (NETWORK, CLASSES, LABELS):
        assert (tmp_path / "model" / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_order_and_the_indices_of_the_labels_change_no_name(folder: Path) -> None:
    names = [identity.name for identity in load_folder(folder).identities]
    assert names == ["50 Cent", "A B", "A", "Aaron Paul", "Zoe", "aaron carter"]


def test_every_layer_gives_what_plain_numpy_gives(folder: Path, state: State) -> None:
    import keras  # noqa: PLC0415 - only here

    network = load_folder(folder).network
    weights = read_embedder_file(network.path, network.spec, sha256=network.sha256)
    model = build_model("annotator.networks.embedders:build_embedder", weights, ("resnet50", 64, 256))
    face = np.random.default_rng(2).integers(0, 256, (64, 64, 3)).astype(np.float32)
    wanted = dict(forward(face, state))
    tapped = keras.Model(model.input, {name: model.get_layer(name).output for name in wanted})
    found = tapped(face[None], training=False)
    assert len(wanted) == 3 + 16 * 7 + 4 + 1
    for name, output in wanted.items():
        ours = np.moveaxis(np.asarray(found[name])[0], -1, 0)
        assert ours.shape == output.shape, name
        assert 0.05 < np.abs(output).max() < 100, name
        assert np.abs(ours - output).max() < TOLERANCE, name


@pytest.mark.slow
def test_a_face_is_named_as_the_release_would_and_without_tensorflow(
    folder: Path, state: State, shared_data: Path, home: Path
) -> None:
    engine = create_engine("cpu", threads=2, cache_dir=home / "networks")
    frame = np.asarray(Image.open(next((shared_data / "people" / "sports5").glob("*/*.jpg"))).convert("RGB"))
    (faces,) = MtcnnDetector(engine, params=DETECTION).detect([frame])
    crops = cut_faces(frame, faces.boxes_xyxy)
    left, top, right, bottom = crop_xyxy(faces.boxes_xyxy[0], frame.shape[:2])
    np.testing.assert_array_equal(crops[0], frame[top:bottom, left:right])
    model = GiphyModel(folder, engine)
    answers = model.name_faces([*crops, *(crop[::-1] for crop in crops)])
    assert len(answers) == 2 * len(crops) > 0
    for crop, answer in zip(crops, answers, strict=False):
        embedding = dict(forward(stretched(crop, 224).astype(np.float32), state))["embedding"]
        assert np.abs(model.embed([crop])[0] - embedding).max() < TOLERANCE
        number, probability, score = named(embedding, state)
        assert answer.people[0] == model.identities[number]
        assert answer.probabilities[0] == pytest.approx(probability, abs=TOLERANCE)
        assert answer.known_score == pytest.approx(score, abs=TOLERANCE)
    assert known_score(answers) == pytest.approx(np.mean([answer.known_score for answer in answers]))
    assert all(isinstance(person, Identity) for person in answers[0].people)


@pytest.mark.slow
def test_the_annotator_runs_it_as_any_bundle(folder: Path, shared_data: Path, home: Path) -> None:
    settings = load_settings(model=str(folder), device="cpu", threads=1, cache_dir=home, data_dir=home)
    annotator = build_annotator(settings)
    (outcome,) = annotator.annotate([MediaRef("clip", (shared_data / "clips" / "rachel-waiting.gif").as_uri())])
    assert isinstance(outcome, MediaAnnotation)
    model = load_folder(folder)
    assert annotator.network_spec["embedder"] == model.network_id
    assert outcome.tracks
    embeddings = outcome.tracks[0].evidence.embeddings
    assert embeddings.shape[1] == 256
    assert np.abs(np.linalg.norm(embeddings.astype(np.float64), axis=1) - 1).max() < 1e-2
    assert {label.verdict for label in outcome.labels} <= {"known", "unknown", "too_poor"}
    candidates = {one.identity for label in outcome.labels for one in label.candidates}
    assert candidates <= set(model.identities)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that was written to stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


class Shell:
    """Pickles as a call of the shell."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        import os  # noqa: PLC0415 - the name of the module is what matters

        return os.system, (self.command,)


def test_a_hostile_archive_is_one_line_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    canary, out = tmp_path / "canary", tmp_path / "out"
    hostile = pickle.dumps({"model_state": Shell(f"touch {canary}")}, protocol=2)
    prefix = legacy_bytes({})[:137]  # magic number, version and machine
    for content in (hostile, prefix + hostile, b"no checkpoint", b""):
        path = tar_gz(tmp_path / "resources.tar.gz", {CSV: labels_text(PEOPLE), PKL: content})
        assert run(["import-giphy", str(path), "--out", str(out)]) == 1
        assert said(capsys).startswith("trainer: the checkpoint")
    path = tar_gz(tmp_path / "resources.tar.gz", {"../evil": b"x", PKL: hostile})
    assert run(["import-giphy", str(path), "--out", str(out)]) == 1
    assert "leads out of it" in said(capsys)
    assert [file.name for file in tmp_path.iterdir()] == ["resources.tar.gz"]


def test_what_is_missing_or_wrong_is_told(
    zip_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    path = str(zip_archive)
    assert run(["import-giphy", str(tmp_path / "none.tar.gz"), *out]) == 2
    assert "there is no archive" in said(capsys)
    assert run(["import-giphy", path, *out]) == 2
    assert "holds no labels.csv: name the release's by --labels" in said(capsys)
    assert run(["import-giphy", path, *out, "--labels", str(tmp_path / "none.csv")]) == 2
    assert "there is no" in said(capsys)
    labels = tmp_path / "labels.csv"
    labels.write_bytes(labels_text([*PEOPLE, "One_More"]))
    assert run(["import-giphy", path, *out, "--labels", str(labels)]) == 1
    assert "knows 6 classes and labels.csv names 7" in said(capsys)
    labels.write_bytes(labels_text([*PEOPLE, PEOPLE[0], "x\u200b"]))
    assert run(["import-giphy", path, *out, "--labels", str(labels)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].removeprefix(str(labels)) for line in lines[:2]] == [":8", ":9"]
    labels.write_bytes(labels_text(PEOPLE))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    assert run(["import-giphy", path, *out, "--labels", str(labels)]) == 2
    assert "is there already" in said(capsys)
