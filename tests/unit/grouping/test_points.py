import numpy as np
import pytest

from annotator.grouping.points import ONE, STEPS, centre_of, on_grid, to_points
from annotator.recognition.evidence import EvidenceStack, stack_tracks
from annotator.types import TrackEvidence
from tests.made_up_gallery import PROTOTYPES, SIZE, gallery

BUNDLE = gallery().bundle


def evidence(direction: np.ndarray, *, faces: int = 2, face_px: float = 80, quality: float = 0.9) -> TrackEvidence:
    return TrackEvidence(
        np.repeat(direction[None], faces, axis=0).astype(np.float16),
        np.full(faces, face_px, np.float16),
        np.full(faces, quality, np.float16),
    )


def unit_vectors(count: int, size: int = 128) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(count, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_similarities_of_points_are_exact_in_float32_however_they_are_summed_up() -> None:
    points = on_grid(unit_vectors(300))
    single = points.astype(np.float32)
    exact = points.astype(np.int64) @ points.astype(np.int64).T
    assert (single @ single.T == exact).all()
    assert all(single[place] @ single[0] == exact[place, 0] for place in range(300))
    assert exact.max() < 1 << 24


def test_a_point_is_as_similar_as_the_vector_was() -> None:
    vectors = unit_vectors(300)
    points = on_grid(vectors).astype(np.float64)
    assert np.abs(points @ points.T / ONE - vectors @ vectors.T).max() < 0.001


def test_points_are_centred_and_poor_tracks_are_left_out() -> None:
    tracks = [
        evidence(PROTOTYPES[0]),
        evidence(PROTOTYPES[1], face_px=20),
        evidence(PROTOTYPES[2], faces=0),
        evidence(PROTOTYPES[3], face_px=40, quality=0.1),
        evidence(PROTOTYPES[4], faces=5),
    ]
    points = to_points(stack_tracks(tracks), bundle=BUNDLE)
    assert points.place.tolist() == [0, 4]
    wanted = PROTOTYPES[[0, 4]].astype(np.float16).astype(np.float64)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    wanted -= BUNDLE.mean
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.abs(points.vectors / STEPS - wanted).max() < 0.001


@pytest.mark.parametrize(("face_px", "length"), [(200, 1.0), (64, 1.0), (45.25, 0.95), (32, 0.9)])
def test_small_faces_make_shorter_points(face_px: float, length: float) -> None:
    (point,) = to_points(stack_tracks([evidence(PROTOTYPES[0], face_px=face_px)]), bundle=BUNDLE).vectors
    assert np.linalg.norm(point) / STEPS == pytest.approx(length, abs=0.001)


def test_embeddings_that_are_not_finite_are_left_out() -> None:
    broken = PROTOTYPES[0].copy()
    broken[0] = np.nan
    points = to_points(stack_tracks([evidence(broken), evidence(PROTOTYPES[1])]), bundle=BUNDLE)
    assert points.place.tolist() == [1]


def test_no_tracks_make_no_points() -> None:
    assert to_points([], bundle=BUNDLE).vectors.shape == (0, SIZE)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_point_does_not_depend_on_the_tracks_beside_it(at_once: int) -> None:
    directions = unit_vectors(5, SIZE).astype(np.float32)
    together = to_points(stack_tracks([evidence(one) for one in directions]), bundle=BUNDLE).vectors
    apart = [
        to_points(stack_tracks([evidence(one) for one in directions[start : start + at_once]]), bundle=BUNDLE).vectors
        for start in range(0, 5, at_once)
    ]
    assert (np.concatenate(apart) == together).all()


def test_the_centre_of_a_sum_points_where_the_sum_does() -> None:
    points = on_grid(unit_vectors(9, SIZE))
    total = points.sum(axis=0, dtype=np.int32)
    centre = centre_of(total)
    assert np.array_equal(centre, np.rint(centre))
    assert np.abs(centre / STEPS - total / np.linalg.norm(total)).max() < 0.001
    assert not centre_of(np.zeros(SIZE, np.int32)).any()


def test_the_places_of_stacks_stay() -> None:
    stack = stack_tracks([evidence(PROTOTYPES[0]), evidence(PROTOTYPES[1])])[0]
    moved = EvidenceStack(np.array([7, 3]), stack.embeddings, stack.face_px, stack.quality)
    points = to_points([moved], bundle=BUNDLE)
    straight = to_points([stack], bundle=BUNDLE)
    assert points.place.tolist() == [3, 7]
    assert (points.vectors == straight.vectors[::-1]).all()
