"""From photographs to the gate: who was given somebody else's photographs is not shown."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.library import manifest_digest
from annotator.promotion.running import Asked, Promotion, promote
from annotator.recognition.building import BuildParams, BundleInfo, build_bundle
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.collection import BuildSources
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.settings import Settings
from annotator.store import Store
from annotator.store.models import note_model
from annotator.types import FaceTrack, TrackEvidence
from tests.made_up_faces import PatternEmbedder, TileDetector, face_of
from tests.store_values import annotation, ref, track

PEOPLE, PHOTOGRAPHS, STRANGERS, CLIPS_EACH = 8, 4, 30, 5
WRONG, WHO_IS_SHOWN_INSTEAD = 3, 60
PARAMS = BuildParams(face_sizes_px=(32, 64), rates=(0.1, 0.05), max_false_positive_rate=0.1, cohort=5)


def build_from_photographs(folder: Path, out: Path, *, version: int, shown: dict[int, int]) -> ModelBundle:
    """Build a model whose people are shown by photographs of those that ``shown`` says."""
    for person in range(PEOPLE):
        for take in range(PHOTOGRAPHS):
            path = folder / "people" / f"Person_{person:02}" / f"{take}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(face_of(shown.get(person, person), take=take)).save(path)
    (folder / "strangers").mkdir()
    for stranger in range(STRANGERS):
        Image.fromarray(face_of(200 + stranger)).save(folder / "strangers" / f"{stranger}.png")
    sources = BuildSources(gallery_dirs=(folder / "people",), strangers_dir=folder / "strangers")
    info = BundleInfo("patterns", version)
    embedder, detector = PatternEmbedder(), TileDetector()
    build_bundle(sources, out=out, embedder=embedder, detector=detector, info=info, params=PARAMS)
    return load_bundle(out)


def track_on_a_clip(person: int, take: int) -> FaceTrack:
    embeddings = PatternEmbedder().embed(np.stack([face_of(person, take=take)])).astype(np.float16)
    one = np.ones(1, np.float16)
    made = track(0, seed=take, faces=1)
    shares = {name: getattr(made, name) for name in FaceTrack.__slots__}
    return FaceTrack(**shares | {"evidence": TrackEvidence(embeddings, one * 100, one)})


@pytest.fixture
def archive(store: Store, tmp_path: Path) -> Store:
    """Clips that a model of right photographs has named."""
    bundle = build_from_photographs(tmp_path / "right", tmp_path / "patterns-1", version=1, shown={})
    identifier = Identifier(Gallery.from_bundle(bundle))
    network_id = store.register_network({"embedder": PatternEmbedder.network_id})
    labelling_id = store.register_labelling(
        network_id, model=identifier.model, digest=identifier.digest, photographs=identifier.photographs
    )
    outcomes = []
    for number in range(PEOPLE * CLIPS_EACH):
        shown = track_on_a_clip(number // CLIPS_EACH, 50 + number)
        labels = identifier.identify([shown.evidence])
        outcomes.append(annotation(ref(f"{number}.gif"), content=number + 1, tracks=[shown], labels=labels))
    store.save(outcomes, network_id=network_id, labelling_id=labelling_id)
    return store


@pytest.fixture
def next_model(
    archive: Store, settings_for: Callable[..., Settings], tmp_path: Path
) -> Callable[..., Promotion | None]:
    """Build, install and promote the next version, from photographs of those who are said to be shown."""

    def make(*, shown: dict[int, int]) -> Promotion | None:
        folder = tmp_path / "data" / "models" / "patterns@2"
        bundle = build_from_photographs(tmp_path / "next", folder, version=2, shown=shown)
        with archive.writing() as connection:
            digest = manifest_digest(bundle.manifest)
            note_model(connection, digest=digest, uri=folder.as_uri(), manifest=bundle.manifest)
        return promote(archive, settings_for("patterns@2"), Asked(), say=lambda _: None)

    return make


def test_a_model_of_one_persons_wrong_photographs_is_refused(
    archive: Store, next_model: Callable[..., Promotion | None]
) -> None:
    promotion = next_model(shown={WRONG: WHO_IS_SHOWN_INSTEAD})
    assert promotion is not None
    assert not promotion.is_shown
    (people,) = [check.found for check in promotion.report.checks if check.name == "people"]
    assert people == f"1 people lose more than 20% of their tracks: Person 03 loses {CLIPS_EACH} of {CLIPS_EACH}"
    assert archive.active_labelling() == 1


def test_the_same_photographs_make_the_model_that_is_shown_already(next_model: Callable[..., Promotion | None]) -> None:
    assert next_model(shown={}) is None
