"""The starter model is whole, small, without pictures, and says what it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.labels import write_labels
from annotator.recognition.revocation import revoke
from annotator.starter import STARTER_BUNDLE, load_starter, starter_info
from annotator.types import Identity, TrackEvidence

MAX_BYTES = 3_000_000


def test_it_loads_and_knows_as_many_people_as_it_says() -> None:
    bundle = load_starter()
    assert bundle.model == "starter@1"
    assert len(bundle.identities) == bundle.manifest["people"] == 1230
    assert bundle.prototypes.shape == (1230, 128)
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
    assert "1,230 public figures" in card
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
    assert len(bundle.identities) == 1229
    assert "50 Cent" not in {person.name for person in bundle.identities}


@pytest.mark.parametrize(
    "field", ["crop", "colour_order", "normalisation", "data_sha256", "licence", "metrics", "files"]
)
def test_the_manifest_says_what_it_must(field: str) -> None:
    manifest = json.loads((STARTER_BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest[field]
