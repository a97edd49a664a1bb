import cv2
import numpy as np

from annotator.types import F32, U8
from trainer.dataset.families import families, near_duplicates, same_faces
from trainer.dataset.hashing import appearance_of


def drawn(seed: int) -> U8:
    """Return a picture with shapes large and small."""
    rng = np.random.default_rng(seed)
    picture = np.full((300, 400, 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(25):
        centre = (int(rng.integers(0, 400)), int(rng.integers(0, 300)))
        colour = [int(value) for value in rng.integers(0, 255, 3)]
        cv2.circle(picture, centre, int(rng.integers(10, 90)), colour, -1)
    return picture


def pairs_of(*pictures: U8) -> list[tuple[int, int]]:
    return list(near_duplicates([appearance_of(picture) for picture in pictures]))


def test_a_photograph_resized_recompressed_brightened_or_mirrored_is_a_near_duplicate() -> None:
    picture = drawn(1)
    small = np.asarray(cv2.resize(picture, (120, 90), interpolation=cv2.INTER_AREA), np.uint8)
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1]
    again = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    bright = np.clip(picture.astype(np.int32) + 30, 0, 255).astype(np.uint8)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    for other in (small, again, bright, mirrored):
        assert pairs_of(picture, other) == [(0, 1)]


def test_other_photographs_are_none() -> None:
    assert pairs_of(*(drawn(seed) for seed in range(40))) == []


def test_hashes_that_are_near_by_chance_are_told_apart_by_the_sketch() -> None:
    first, second = appearance_of(drawn(1)), appearance_of(drawn(2))
    forged = type(first)(second.hash64, second.mirrored64, first.sketch)
    assert list(near_duplicates([second, forged])) == []


def test_pairs_are_found_over_the_borders_of_blocks() -> None:
    look = appearance_of(drawn(1))
    hashes = np.random.default_rng(0).integers(0, 2**63, (1030, 2)).tolist()
    others = [type(look)(plain, mirrored, look.sketch) for plain, mirrored in hashes]
    assert list(near_duplicates([look, *others, look])) == [(0, 1031)]


def test_faces_of_one_picture_are_paired_by_their_embeddings() -> None:
    rng = np.random.default_rng(0)
    embeddings: F32 = rng.normal(size=(3, 128)).astype(np.float32)
    embeddings[2] = embeddings[0] + 0.05 * embeddings[1]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert list(same_faces(embeddings, min_cosine=0.98)) == [(0, 2)]


def test_what_is_paired_over_others_is_one_family() -> None:
    assert families(5, [(3, 1), (1, 4)]) == [[0], [1, 3, 4], [2]]
