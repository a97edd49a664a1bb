"""What ``trainer export`` writes, the annotator runs: names come out of real clips, and what is wrong is told."""

import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.build import build_annotator
from annotator.errors import ConfigError, ModelError
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.crops import ALIGNED, FaceCrop, resized
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.gallery import Gallery
from annotator.recognition.photographs import read_aligned
from annotator.settings import load_settings
from annotator.types import F16, Identity, MediaAnnotation, MediaRef, TrackEvidence
from tests.integration.trainer.export.conftest import PEOPLE, QUICK, STRANGERS, TRAIN, VAL, Bench
from trainer.cli import run
from trainer.experiment import Network
from trainer.export.exporting import ExportParams, export_bundle
from trainer.export.faces import crops_of, read_faces
from trainer.fitting.places import MODEL_FOLDER, keep_crop

pytestmark = [pytest.mark.shared, pytest.mark.usefixtures("sface_is_built_once")]

ANISTON = Identity("Jennifer Aniston", "/m/03knl")
OTHERS = 200
"""Strangers whom the model was not calibrated with."""

MIN_NAMED = 0.9
MAX_STRANGERS_NAMED = 0.02


def no_detector() -> Any:
    pytest.fail("crops need no detector")


def exported(bench: Bench, out: Path, **options: Any) -> ModelBundle:
    params = ExportParams(out=out, name="mine", build=QUICK, **{"strangers": bench.strangers, **options})
    return export_bundle(bench.places, params, engine=bench.engine, detector=no_detector)


def annotated(bench: Bench, model: Path, clip: Path) -> MediaAnnotation:
    home = bench.cache_dir
    settings = load_settings(model=str(model), device="cpu", threads=1, cache_dir=home, data_dir=home)
    (outcome,) = build_annotator(settings).annotate([MediaRef("clip", clip.as_uri())])
    assert isinstance(outcome, MediaAnnotation)
    return outcome


@pytest.fixture(scope="module", params=["linear", "cosine", "cosine over SFace itself"])
def head_folder(request: pytest.FixtureRequest, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an exported head."""
    head, _, is_plain = request.param.partition(" ")
    bench.fit(Network("sface-head", embedding_size=None if is_plain else 64, head=head, scale=20.0))
    folder = tmp_path_factory.mktemp("models") / "head"
    exported(bench, folder)
    return folder


def test_a_head_is_a_labelling_over_sface(head_folder: Path) -> None:
    head = load_bundle(head_folder)
    assert head.network is None
    assert head.embedder == "sface-2021dec"
    if head.projection is not None:
        assert head.projection.weights.shape == (128, 64)
    assert [one.name for one in head.identities] == [
        "Jennifer Aniston",
        "Jennifer Lawrence",
        "Jim Carrey",
        "Britney Spears",
    ]
    assert head.identities[0] == ANISTON, "by index, and with its id"
    assert head.photo_counts.tolist() == [TRAIN] * 4
    manifest = head.manifest
    assert manifest["calibrated_with"] == {"photographs": VAL * 4, "were_fitted_to": False, "strangers": STRANGERS}
    assert manifest["head"] in {"linear", "cosine"}
    assert manifest["licence_of_weights"].startswith("SFace: Apache-2.0")
    assert manifest["metrics"]["by_face_size"]["112_px"]["rank_1"] >= 0.75


def test_the_head_names_the_person_of_a_clip_and_labels_stored_evidence_alike(
    head_folder: Path, bench: Bench, shared_data: Path
) -> None:
    outcome = annotated(bench, head_folder, shared_data / "clips" / "rachel-waiting.gif")
    longest = max(range(len(outcome.tracks)), key=lambda place: len(outcome.tracks[place].scores))
    assert outcome.labels[longest].identity == ANISTON
    stored = [track.evidence for track in outcome.tracks]
    again = Identifier(Gallery.from_bundle(load_bundle(head_folder))).identify(stored)
    assert tuple(again) == outcome.labels


def test_the_head_names_its_people_on_photographs_it_has_not_seen_and_hardly_any_stranger(
    head_folder: Path, bench: Bench, shared_data: Path
) -> None:
    head = load_bundle(head_folder)
    people = shared_data / "people"
    unseen = {person: sorted((people / "gallery" / person).glob("*.jpg"))[TRAIN + VAL :] for person in PEOPLE}
    others = sorted((people / "strangers").glob("*.jpg"))[STRANGERS : STRANGERS + OTHERS]
    named = [
        identity is not None and identity.name == person.replace("_", " ")
        for person, pictures in unseen.items()
        for identity in names_of(head, bench, pictures)
    ]
    assert len(named) >= 40
    assert sum(named) >= MIN_NAMED * len(named)
    assert sum(identity is not None for identity in names_of(head, bench, others)) <= MAX_STRANGERS_NAMED * OTHERS


@cache
def embedded(bench: Bench, pictures: tuple[Path, ...]) -> F16:
    """Embed aligned faces, once for all heads over SFace."""
    return FaceEmbedder(bench.engine).embed(read_aligned(pictures)).astype(np.float16)


def names_of(model: ModelBundle, bench: Bench, pictures: Sequence[Path]) -> list[Identity | None]:
    """Name aligned faces of 112 pixels, each as a track of that one face."""
    embeddings = embedded(bench, tuple(pictures))
    size, quality = np.full(1, 112, np.float16), np.full(1, 0.9, np.float16)
    tracks = [TrackEvidence(one[None], size, quality) for one in embeddings]
    return [label.identity for label in Identifier(Gallery.from_bundle(model)).identify(tracks)]


def test_a_plain_head_without_a_bottleneck_has_no_projection(bench: Bench, tmp_path: Path) -> None:
    bench.fit(Network("sface-head", embedding_size=None, head="cosine"), epochs=2)
    bundle = exported(bench, tmp_path / "plain")
    assert bundle.projection is None
    assert bundle.manifest["format"] == 1
    assert bundle.prototypes.shape == (4, 128)


def test_without_strangers_thresholds_are_wider_and_the_card_says_so(bench: Bench, tmp_path: Path) -> None:
    bench.fit(Network("sface-head", embedding_size=64), epochs=5)
    blind = exported(bench, tmp_path / "blind", strangers=None)
    card = (tmp_path / "blind" / "MODEL_CARD.md").read_text()
    assert "**No strangers were shown.**" in card
    assert "8 photographs for 4 people are few" in card
    assert blind.manifest["calibrated_with"]["strangers"] == 0
    thresholds = [point.min_scores for point in blind.calibration.points]
    assert all(loose < strict for point in thresholds for loose, strict in itertools.pairwise(point))


def test_the_same_fit_gives_the_same_bytes_and_what_is_there_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    bench.fit(Network("sface-head", embedding_size=16), epochs=1)
    for name in ("one", "other"):
        exported(bench, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name
    with pytest.raises(ConfigError, match="is there already"):
        exported(bench, tmp_path / "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"], "no scratch folder stays"


def test_credits_of_collect_are_taken_over(bench: Bench, tmp_path: Path) -> None:
    from trainer.collect.ledger import CREDITS  # noqa: PLC0415 - only here

    bench.fit(Network("sface-head", embedding_size=16), epochs=1)
    path = bench.places.folder / "credits.csv"
    row = dict.fromkeys(CREDITS, "") | {
        "label": "Jim_Carrey", "title": "File:Jim.jpg", "author": "Ann", "licence": "CC BY-SA 4.0", "page": "https://a.org",
    }  # fmt: skip
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, CREDITS, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    try:
        bundle = exported(bench, tmp_path / "credited")
    finally:
        path.unlink()
    assert bundle.manifest["licence_of_data"] == "CC BY-SA 4.0 (1)"
    lines = (tmp_path / "credited" / "credits.csv").read_text().splitlines()
    assert lines[3] == f"Jim Carrey,{TRAIN},File:Jim.jpg by Ann (CC BY-SA 4.0) https://a.org"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strangers": Path("/nowhere")}, "there is no folder /nowhere"),
        ({"name": "Über Name"}, "cannot be the name of a model"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anything_is_written(
    bench: Bench, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    bench.fit(Network("sface-head", embedding_size=16), epochs=1)
    params = replace(ExportParams(out=tmp_path / "no", name="mine", build=QUICK), **options)
    with pytest.raises(ConfigError, match=message):
        export_bundle(bench.places, params, engine=bench.engine, detector=no_detector)
    assert not list(tmp_path.iterdir())


def test_crops_that_clips_cannot_give_or_the_network_has_never_seen_are_refused(bench: Bench, tmp_path: Path) -> None:
    bench.fit(Network("sface-head", embedding_size=16), epochs=1)
    bench.write_crop(FaceCrop("box", 112, 0.1))
    try:
        with pytest.raises(ConfigError, match="was fitted to «aligned» of 112 with 0: fit it again"):
            exported(bench, tmp_path / "no")
        keep_crop(bench.places)
        with pytest.raises(ConfigError, match="needs aligned crops without a margin"):
            exported(bench, tmp_path / "no")
    finally:
        bench.write_crop(ALIGNED)


def test_the_command_as_documented(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.fit(Network("sface-head", embedding_size=16), epochs=1)
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(bench.cache_dir))
    out = tmp_path / "models" / "mine"
    few = bench.places.workdir.parent / "few"
    few.mkdir(exist_ok=True)
    for picture in sorted(bench.strangers.iterdir())[:3]:
        (few / picture.name).write_bytes(picture.read_bytes())
    arguments = ["export", "people", "--workdir", str(bench.places.workdir), "-o", str(out), "--strangers", str(few)]
    assert run([*arguments, "--version", "2"]) == 0
    assert capsys.readouterr().out.startswith("people@2: 4 people, embedded by sface-2021dec, in ")
    assert load_bundle(out).model == "people@2"
    assert run(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    assert run(["export", "nobody", "--workdir", str(bench.places.workdir), "-o", str(tmp_path / "x")]) == 2


@pytest.mark.slow  # converts a network of 95 MB
def test_a_network_of_its_own_annotates_in_its_own_space(bench: Bench, shared_data: Path, tmp_path: Path) -> None:
    from trainer.fitting.weights import save_fitted  # noqa: PLC0415 - imports Keras
    from trainer.networks.build import build_network  # noqa: PLC0415 - as above

    network = Network("resnet50-half", embedding_size=16, side_px=32)
    folders = ("Jennifer_Aniston", "Jennifer_Lawrence", "Jim_Carrey", "Britney_Spears")
    assert set(folders) == set(PEOPLE)
    built = build_network(network, 4)
    model_folder = bench.places.folder / MODEL_FOLDER
    model_folder.mkdir(exist_ok=True)
    save_fitted(model_folder, built, network, folders)
    bench.write_crop(FaceCrop("box", 48, 0.1))
    keep_crop(bench.places)
    try:
        bundle = exported(bench, tmp_path / "network", strangers=None)
    finally:
        bench.write_crop(ALIGNED)
    assert bundle.network is not None
    assert bundle.network.crop == FaceCrop("box", 48, 0.1)
    assert bundle.network.path == tmp_path / "network" / "network.npz"
    _check_same_space(bench, bundle, built, folders)
    assert json.loads((tmp_path / "network" / "manifest.json").read_text())["network"]["definition"] == "resnet50-half"
    outcome = annotated(bench, tmp_path / "network", shared_data / "clips" / "rachel-waiting.gif")
    assert outcome.tracks
    assert outcome.tracks[0].evidence.embeddings.shape[1] == 16
    with pytest.raises(ModelError, match="cannot name embeddings of sface-2021dec"):
        Gallery.from_bundle(bundle).check_embedder(FaceEmbedder(bench.engine).network_id)
    again = Identifier(Gallery.from_bundle(bundle)).identify([track.evidence for track in outcome.tracks])
    assert tuple(again) == outcome.labels
    assert np.isfinite(bundle.prototypes).all()


def _check_same_space(bench: Bench, bundle: ModelBundle, built: Any, folders: tuple[str, ...]) -> None:
    """Check that what the annotator embeds is what was fitted: the same weights, another engine."""
    assert bundle.network is not None
    faces = read_faces(crops_of(bench.places.val_dataset, folders, bundle.network.crop), range(3))
    ours = FaceEmbedder(bench.engine, network=bundle.network).embed(faces)
    inputs = np.stack([resized(face, bundle.network.spec.side_px) for face in faces]).astype(np.float32)
    theirs = np.asarray(built.whole(inputs)["embedding"])
    assert ((ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)).min() > 0.9999
