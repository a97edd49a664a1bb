"""SFace runs as published, and a face's embedding is its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from annotator.networks.sface import packaged_file
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import picture_files, read_aligned
from annotator.runtime import Engine
from annotator.runtime.batches import LARGE, SMALL
from annotator.types import U8
from tests.made_up_faces import face_of
from tests.optional import import_optional

MIN_COSINE_TO_REFERENCE = 0.99999
MIN_COSINE_BF16 = 0.995
MIN_COSINE_F16 = 0.9999
(BATCH_FACES,) = SMALL.faces


@pytest.fixture(scope="module")
def faces() -> U8:
    return np.stack([face_of(person) for person in range(2 * BATCH_FACES + 3)])


def test_embeddings_are_those_of_the_published_file(embedder: FaceEmbedder, faces: U8) -> None:
    published = ReferenceEvaluator(str(packaged_file()))
    for face in faces[:3]:
        channels_first = face.astype(np.float32).transpose(2, 0, 1)[None]
        (expected,) = published.run(None, {"data": channels_first})
        cosine = embedder.embed(face[None])[0] @ expected[0] / np.linalg.norm(expected)
        assert cosine >= MIN_COSINE_TO_REFERENCE


def test_a_face_gives_the_same_bits_whatever_comes_with_it(embedder: FaceEmbedder, faces: U8) -> None:
    together = embedder.embed(faces)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for index in (0, 5, BATCH_FACES, len(faces) - 1):
        np.testing.assert_array_equal(embedder.embed(faces[index : index + 1])[0], together[index])
    np.testing.assert_array_equal(embedder.embed(faces[::-1]), together[::-1])


def test_no_faces_in_none_out(embedder: FaceEmbedder) -> None:
    assert embedder.embed(np.zeros((0, 112, 112, 3), np.uint8)).shape == (0, 128)


def test_crops_of_another_size_are_refused(embedder: FaceEmbedder) -> None:
    with pytest.raises(TypeError, match="faces must be uint8"):
        embedder.embed(np.zeros((1, 96, 96, 3), np.uint8))


def test_the_second_start_needs_neither_keras_nor_onnx(embedder: FaceEmbedder, network_cache: Path) -> None:
    assert embedder.network_id == "sface-2021dec"
    code = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from annotator.runtime import create_engine; from annotator.recognition.embedding import FaceEmbedder;"
        f"engine = create_engine('cpu', threads=2, cache_dir=Path({str(network_cache)!r}));"
        "FaceEmbedder(engine).embed(np.zeros((1, 112, 112, 3), np.uint8));"
        "print([name for name in ('keras', 'onnx', 'tensorflow') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert child.stdout.strip() == "[]"


@pytest.mark.shared
def test_lower_precision_moves_real_faces_a_little_only(
    engine: Engine, embedder: FaceEmbedder, shared_data: Path
) -> None:
    faces = read_aligned(picture_files(shared_data / "people" / "strangers")[:48])
    lower = FaceEmbedder(engine, precision="bf16")
    cosines = (lower.embed(faces) * embedder.embed(faces)).sum(axis=1)
    assert cosines.min() >= MIN_COSINE_BF16
    assert lower.network_id == embedder.network_id


@pytest.mark.shared
@pytest.mark.slow
def test_lower_precision_of_a_gpus_engine_moves_real_faces_hardly_at_all(
    embedder: FaceEmbedder, shared_data: Path
) -> None:
    import_optional("tensorflow")
    from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - it takes seconds

    faces = read_aligned(picture_files(shared_data / "people" / "strangers")[: LARGE.faces[0]])
    lower = FaceEmbedder(TensorflowEngine(device="cpu"), precision="bf16")
    assert (lower.embed(faces) * embedder.embed(faces)).sum(axis=1).min() >= MIN_COSINE_F16
