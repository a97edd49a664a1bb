"""What an engine gets at once decides how fast it is, and nothing else."""

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.build import build_source
from annotator.detection import MtcnnDetector
from annotator.media import expand_sources
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import Engine
from annotator.runtime.batches import LARGE, SMALL, Batches
from annotator.settings import Settings
from tests.made_up_faces import face_of
from tests.optional import import_optional

CLIPS = ("jlaw-nods.gif", "mcfly-confused.gif", "rollin-with-the-homies.gif")
MAX_BOX_DIFFERENCE_PX = 0.01
MAX_SCORE_DIFFERENCE = 1e-4
MAX_EMBEDDING_DIFFERENCE = 1e-5
"""float32 rounding; embeddings are unit vectors."""


@pytest.fixture(scope="module")
def clips(shared_data: Path) -> list[Any]:
    """The frames that the pipeline takes of some clips."""
    source, sampled = build_source(Settings()), []
    for media in expand_sources([str(shared_data / "clips" / name) for name in CLIPS]):
        with source.open(media) as frames:
            sampled.append([image for batch in frames for image in batch.images])
    return sampled


@pytest.fixture(scope="module", params=["openvino", "tensorflow"])
def engine(request: pytest.FixtureRequest, cpu_engine: Engine) -> Engine:
    if request.param == "openvino":
        return cpu_engine
    import_optional("tensorflow")
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - it takes seconds

    return TensorflowEngine(device="cpu")


def with_batches(engine: Any, batches: Batches) -> Engine:
    changed = copy(engine)
    changed.batches = batches
    return changed  # type: ignore[no-any-return]


@pytest.mark.slow
def test_no_candidate_is_looked_at_twice_where_a_second_look_is_none_of_the_batches(engine: Engine) -> None:
    assert not MtcnnDetector(with_batches(engine, LARGE))._rnet.is_screened


@pytest.mark.shared
@pytest.mark.slow
def test_clips_get_the_same_faces_from_large_batches_as_from_small_ones(engine: Engine, clips: list[Any]) -> None:
    small, large = (
        [faces for clip in MtcnnDetector(with_batches(engine, batches)).detect_clips(clips) for faces in clip]
        for batches in (SMALL, LARGE)
    )
    assert sum(map(len, small)) > LARGE.onet[0], "more than one of the smaller batches"
    for one, other in zip(small, large, strict=True):
        assert len(one) == len(other)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, rtol=0, atol=MAX_BOX_DIFFERENCE_PX)
        np.testing.assert_allclose(one.landmarks_xy, other.landmarks_xy, rtol=0, atol=MAX_BOX_DIFFERENCE_PX)
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=MAX_SCORE_DIFFERENCE)


@pytest.mark.slow
def test_faces_get_the_same_embeddings_from_large_batches_as_from_small_ones(engine: Engine) -> None:
    # XLA takes 0.15 s of a processor for a face, so TensorFlow gets one batch only.
    faces = np.stack([face_of(person) for person in range(12 if engine.name == "tensorflow" else LARGE.faces[1] + 5)])
    small, large = (FaceEmbedder(with_batches(engine, batches)).embed(faces) for batches in (SMALL, LARGE))
    np.testing.assert_allclose(small, large, rtol=0, atol=MAX_EMBEDDING_DIFFERENCE)
