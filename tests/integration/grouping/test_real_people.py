"""Real photographs of people come into groups, each made as small and as damaged as a face in a clip."""

from pathlib import Path

import numpy as np
import pytest

from annotator.grouping.agreement import b_cubed
from annotator.grouping.grouping import Grouping
from annotator.grouping.points import Points, to_points
from annotator.grouping.table import GroupTable
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.degradation import Degradation, degrade_faces
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.evidence import stack_tracks
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.runtime import create_engine
from annotator.starter import STARTER_BUNDLE
from annotator.types import TrackEvidence

pytestmark = pytest.mark.shared
PEOPLE, PHOTOGRAPHS = 12, 4


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return load_bundle(STARTER_BUNDLE)


@pytest.fixture(scope="module")
def shown(shared_data: Path) -> tuple[np.ndarray, list[Path]]:
    """Whom photographs show, and where they are: of the first twelve people of the gallery who have enough."""
    folders = [one for one in people_folders(shared_data / "people" / "gallery") if len(picture_files(one)) >= 8]
    paths = [path for folder in folders[:PEOPLE] for path in picture_files(folder)[:PHOTOGRAPHS]]
    return np.repeat(np.arange(PEOPLE), PHOTOGRAPHS), paths


@pytest.fixture(scope="module")
def points(shown: tuple[np.ndarray, list[Path]], bundle: ModelBundle, network_cache: Path) -> Points:
    """A track of 64 pixels of each photograph."""
    engine = create_engine("cpu", threads=2, cache_dir=network_cache)
    faces = degrade_faces(read_aligned(shown[1]), degradation=Degradation(64), seed=1)
    embeddings = FaceEmbedder(engine).embed(faces).astype(np.float16)
    one = np.ones(1, np.float16)
    tracks = [TrackEvidence(embedding[None], one * 64, one) for embedding in embeddings]
    return to_points(stack_tracks(tracks), bundle=bundle)


def grouped(points: Points, *, at_once: int) -> np.ndarray:
    grouping = Grouping(GroupTable(points.vectors.shape[1]), seen_together=lambda *_: False)
    rows = []
    for start in range(0, len(points), at_once):
        some = points.vectors[start : start + at_once]
        rows += grouping.add([(start + place, 0) for place in range(len(some))], some)
    return np.array([grouping.number_now(row) for row in rows])


def test_photographs_of_a_person_are_together_and_those_of_others_apart(
    points: Points, shown: tuple[np.ndarray, list[Path]]
) -> None:
    precision, recall = b_cubed(shown[0], grouped(points, at_once=len(points)))
    assert precision.mean() > 0.95
    assert recall.mean() > 0.75


def test_it_makes_no_difference_whether_they_come_one_by_one(points: Points) -> None:
    assert (grouped(points, at_once=1) == grouped(points, at_once=len(points))).all()
