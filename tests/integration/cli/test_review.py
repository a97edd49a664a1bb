"""``annotator review``, on both databases: what is worth a look is queued, the most viewed first."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from annotator.cli import run_command
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.store import Store
from annotator.store.review.leasing import ReviewItem, lease_item
from annotator.store.tables import review_items
from annotator.types import FaceTrack, MediaRef, TrackEvidence
from tests.deploy.command_lines import complaints_of_line
from tests.made_up_bundles import EMBEDDER, track_of, write_made_up_bundle
from tests.store_values import annotation, track

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "review.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    (annotator .*?)(?:  .*)?$", PAGE, re.MULTILINE)
NAMED, NEAR = "s3://gifs/named.gif", "s3://gifs/near.gif"


def seen(evidence: TrackEvidence) -> FaceTrack:
    boxes = np.array([[10, 10, 60, 90]] * 3, np.float32)
    none = np.zeros((len(evidence), 112, 112, 3), np.uint8)
    return replace(track(0), boxes_xyxy=boxes, evidence=evidence, best_faces=none)


def mixed(identifier: Identifier, verdict: str) -> TrackEvidence:
    """Return a face between a person and a stranger that gets a verdict, and whose confidence is neither 0 nor 1."""
    one, other = track_of(3, seed=1), track_of(50, seed=2)
    for share in np.linspace(0.2, 1.0, 400):
        vectors = share * one.embeddings.astype(np.float64) + (1 - share) * other.embeddings.astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        made = TrackEvidence(unit.astype(np.float16), one.face_px, one.quality)
        (label,) = identifier.identify([made])
        if label.verdict == verdict and label.candidates and 0.1 < label.candidates[0].confidence < 0.9:
            return made
    raise AssertionError(verdict)


@pytest.fixture
def store(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two clips: one whose name is uncertain, one that is just under the threshold."""
    identifier = Identifier(Gallery.from_bundle(write_made_up_bundle(tmp_path / "model")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ANNOTATOR_MODEL", str(tmp_path / "model"))
    store = Store.open(database_url)
    network_id = store.register_network({"embedder": EMBEDDER, "sampling": "even"})
    labelling_id = store.register_labelling(
        network_id,
        model=identifier.model,
        digest=identifier.digest,
        photographs=identifier.photographs,
        calibration=identifier.calibration.to_json(),
    )
    outcomes = []
    for content, (uri, verdict) in enumerate([(NAMED, "known"), (NEAR, "unknown")], start=1):
        tracks = [seen(mixed(identifier, verdict))]
        labels = identifier.identify([one.evidence for one in tracks])
        outcomes.append(annotation(MediaRef(uri, uri), content=content, tracks=tracks, labels=labels))
    store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    return store


def lease(store: Store) -> ReviewItem:
    with store.writing() as connection:
        item = lease_item(connection, "eve", now=datetime.now(UTC))
        connection.execute(review_items.update().values(leased_to=None, leased_until=None))
    assert item is not None
    return item


def test_uncertain_names_and_tracks_just_under_the_threshold_are_queued(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["review", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"contents": 2, "named": 1, "nameless": 1, "views": None}
    with store.reading() as connection:
        assert len(connection.execute(select(review_items)).all()) == 2
    assert run_command(["review"]) == 0
    assert "1 uncertain names and 1 tracks without one" in capsys.readouterr().out


def test_the_most_viewed_comes_first(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for most_viewed, is_named in ((NEAR, False), (NAMED, True)):
        (tmp_path / "views.csv").write_text(f"media,views\n{most_viewed},1000\n", encoding="utf-8")
        other = NAMED if most_viewed == NEAR else NEAR
        with (tmp_path / "views.csv").open("a", encoding="utf-8") as file:
            file.write(f"{other},1\n")
        assert run_command(["review", "--views", "views.csv"]) == 0
        assert "Views of 2 media are known now." in capsys.readouterr().err
        item = lease(store)
        assert (item.ref.uri, item.is_named) == (most_viewed, is_named)


@pytest.mark.usefixtures("store")
def test_with_another_model_only_names_are_looked_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATOR_PRIOR", "0.3")
    assert run_command(["review", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["nameless"] == 0
    assert "tracks without a name are left out" in said.err.replace("\n", " ")


@pytest.mark.parametrize("line", SHOWN)
def test_the_commands_of_the_page_can_be_written_so(line: str) -> None:
    assert complaints_of_line(line) == []


def test_the_page_shows_commands() -> None:
    assert len(SHOWN) >= 3
