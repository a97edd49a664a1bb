"""The starter model is whole, small, without pictures, and says what it is."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.labels import write_labels
from annotator.recognition.revocation import revoke
from annotator.starter import STARTER_BUNDLE, load_starter, starter_info, starter_sources
from annotator.types import Identity, TrackEvidence

MAX_BYTES = 3_000_000
PEOPLE = 1226
ROOT = Path(__file__).resolve().parents[3]
KINDS = ("tpir", "tpir_few_photographs", "tpir_plain_mean")


def test_it_loads_and_knows_as_many_people_as_it_says() -> None:
    bundle = load_starter()
    assert bundle.model == "starter@1"
    assert len(bundle.identities) == bundle.manifest["people"] == PEOPLE
    assert bundle.prototypes.shape == (PEOPLE, 128)
    assert int(bundle.photo_counts.sum()) == bundle.manifest["photographs"]
    assert bundle.embedder == "sface-2021dec"


def test_people_of_the_public_list_carry_its_ids() -> None:
    people = {person.name: person.kg_mid for person in load_starter().identities}
    assert people["50 Cent"] == "/m/01vvyc_"
    assert people["James McAvoy"] is not None, "the list writes James Mcavoy"
    assert people["Lin-Manuel Miranda"] is None
    assert sum(mid is not None for mid in people.values()) > 450


def test_it_is_small_and_holds_no_picture() -> None:
    files = {path.name: path for path in STARTER_BUNDLE.iterdir()}
    assert set(files) == {
        "LICENSE",
        "MODEL_CARD.md",
        "calibration.json",
        "credits.csv",
        "labels.csv",
        "manifest.json",
        "prototypes.npz",
        "revoked.json",
    }
    assert sum(path.stat().st_size for path in files.values()) < MAX_BYTES
    with np.load(files["prototypes.npz"], allow_pickle=False) as arrays:
        assert {name: array.ndim for name, array in arrays.items()} == {"prototypes": 2, "photo_counts": 1, "mean": 1}


def test_the_card_has_no_gap_and_the_terms_are_the_written_ones() -> None:
    card = (STARTER_BUNDLE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "$" not in card
    assert f"{PEOPLE:,} public figures" in card
    for topic in ("biometric data", "must not be used", "taken out", "build your own", "three photographs or fewer"):
        assert topic in card, topic
    assert (STARTER_BUNDLE / "LICENSE").read_text(encoding="utf-8") == starter_info().licence_text


def test_the_labels_are_in_the_form_of_the_release() -> None:
    text = (STARTER_BUNDLE / "labels.csv").read_text(encoding="utf-8")
    assert text.startswith("Label,Index\n50_Cent_[m.01vvyc_],0\n")
    assert write_labels(load_starter().identities) == text


def test_everybody_is_named_by_his_or_her_own_prototype() -> None:
    bundle = load_starter()
    identifier = Identifier(Gallery.from_bundle(bundle))
    tracks = [
        TrackEvidence(row[None].astype(np.float16), np.full(1, 100, np.float16), np.ones(1, np.float16))
        for row in bundle.prototypes[::40]
    ]
    labels = identifier.identify(tracks)
    assert [label.identity for label in labels] == list(bundle.identities[::40])
    assert all(label.confidence is not None and label.confidence > 0.99 for label in labels)


def test_thresholds_rise_as_the_rate_falls_and_hold_at_each_size() -> None:
    calibration = load_starter().calibration
    for point in calibration.points:
        assert list(point.min_scores) == sorted(point.min_scores)
        assert 0.2 < point.min_scores[0] < point.min_scores[-1] < 0.5


def test_a_person_can_be_taken_out_by_a_list_of_ones_own(tmp_path: Path) -> None:
    revoke(tmp_path / "revoked.json", [Identity("50 cent")])
    bundle = load_starter(revocations=tmp_path / "revoked.json")
    assert len(bundle.identities) == PEOPLE - 1
    assert "50 Cent" not in {person.name for person in bundle.identities}


def left_out() -> dict[str, str]:
    path = starter_sources(Path("data")).left_out
    assert path is not None
    with path.open(encoding="utf-8", newline="") as file:
        return {row["name"]: row["why"] for row in csv.DictReader(file)}


def test_it_does_not_know_who_may_have_been_a_child_or_is_no_public_figure() -> None:
    bundle = load_starter()
    assert len(left_out()) >= 4
    assert all(left_out().values()), "each for a reason"
    assert left_out().keys().isdisjoint(person.name for person in bundle.identities)
    assert bundle.manifest["people_left_out"] == Counter(left_out().values())
    card = (STARTER_BUNDLE / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{len(left_out())} people of the sources are left out" in card


@pytest.mark.shared
def test_the_names_left_out_are_spelled_as_those_of_the_photographs(shared_data: Path) -> None:
    with (shared_data / "people" / "gallery.csv").open(encoding="utf-8", newline="") as file:
        assert left_out().keys() <= {row["name"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_the_pages_say_how_many_people_it_knows(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert f"starter model knows {PEOPLE:,} public figures" in text


def test_the_table_of_left_out_people_is_that_of_the_manifest() -> None:
    manifest = load_starter().manifest
    metrics = manifest["metrics"]
    text = (ROOT / "docs" / "identification.md").read_text(encoding="utf-8")
    assert (
        f"One picture of each of {metrics['left_out_people']:,} people left out of the prototype; "
        f"{manifest['people']:,} people in play."
    ) in text
    for size, row in metrics["by_face_size"].items():
        shares = [[row[rate][kind] for kind in KINDS] for rate in ("fpir_0.01", "fpir_0.003", "fpir_0.001")]
        cells = [f"{100 * own:.1f} ({100 * few:.1f}) / {100 * plain:.1f}" for own, few, plain in shares]
        assert f"| {size.replace('_', ' ')} | {100 * row['rank_1']:.1f} | {' | '.join(cells)} |" in text


def test_what_a_score_is_worth_is_told_by_the_calibration() -> None:
    calibration, face_px = load_starter().calibration, np.array([32.0, 64.0, 128.0])
    worth = [f"{one:.2f}" for one in calibration.confidences(np.full(3, 0.36), face_px)]
    least = {f"{one:.2f}" for one in calibration.confidences(calibration.min_scores(face_px), face_px)}
    text = " ".join((ROOT / "docs" / "identification.md").read_text(encoding="utf-8").split())
    assert f"0.36 is worth {worth[0]} at 32 pixels, {worth[1]} at 64 and {worth[2]} at 128." in text
    assert len(least) == 1
    assert f"Just above the threshold it is {least.pop()}:" in text


@pytest.mark.parametrize(
    "field", ["crop", "colour_order", "normalisation", "data_sha256", "licence", "metrics", "files"]
)
def test_the_manifest_says_what_it_must(field: str) -> None:
    manifest = json.loads((STARTER_BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest[field]
