"""The greatest products of whole numbers, beside the same in NumPy and 64 bits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.native import GreatestProducts

pytestmark = pytest.mark.skipif(
    not GreatestProducts.is_there(), reason="this processor has no AVX2, or is none of x86-64"
)

UNIT = 2.0**-20


def whole(random: np.random.Generator, *shape: int, most: int) -> Any:
    return random.integers(-most, most + 1, shape).astype(np.int16)


def plainly(vectors: Any, added: Any, others: Any) -> Any:
    products = vectors.astype(np.int64) @ others.T.astype(np.int64)
    return (products + added[..., None]).max(axis=1) * UNIT


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))


@given(SHAPES, st.integers(0, 2**32), st.sampled_from([1, 1000]))
@settings(deadline=None)
def test_they_are_those_of_64_bits(shape: tuple[int, int, int, int], seed: int, share: int) -> None:
    groups, members, size, count = shape
    random = np.random.default_rng(seed)
    most = 32767 if size <= 1 else 7000  # so that sums fit into 32 bits
    vectors, others = whole(random, groups, members, size, most=most), whole(random, count, size, most=most)
    reach = 2**31 - 1 - size * most**2
    added = random.integers(-reach, reach, (groups, members)).astype(np.int32) // share
    products = GreatestProducts(vectors, added, unit=UNIT)
    found = np.full((groups, count), np.nan, np.float32)
    for tile in range(len(products)):
        products.into(found, others, tiles=slice(tile, tile + 1))
    assert np.allclose(found, plainly(vectors, added, others), rtol=2.0**-23, atol=0)


def test_only_the_tiles_that_are_asked_for_are_written() -> None:
    random = np.random.default_rng(0)
    vectors, others = whole(random, 20, 8, 16, most=1000), whole(random, 30, 16, most=1000)
    added = np.zeros((20, 8), np.int32)
    products = GreatestProducts(vectors, added, unit=UNIT)
    found = np.full((20, 30), np.nan, np.float32)
    products.into(found, others, tiles=slice(1, 9))
    assert np.isnan(found[:8]).all()
    assert np.allclose(found[8:], plainly(vectors, added, others)[8:])
    products.into(found, others, tiles=slice(5, 2))
    assert np.isnan(found[:8]).all()


@pytest.mark.parametrize("count", [3, 30])
def test_no_tiles_are_nothing(count: int) -> None:
    products = GreatestProducts(np.ones((20, 8, 16), np.int16), np.zeros((20, 8), np.int32), unit=UNIT)
    found = np.full((20, count), np.nan, np.float32)
    products.into(found, np.ones((count, 16), np.int16), tiles=slice(3, 1))
    assert np.isnan(found).all()
    with pytest.raises(ValueError, match="steps of 2"):
        products.into(found, np.ones((count, 16), np.int16), tiles=slice(0, 3, 2))


@pytest.mark.parametrize(
    ("output", "others"),
    [
        (np.zeros((8, 6), np.float64), np.zeros((6, 4), np.int16)),
        (np.zeros((9, 6), np.float32), np.zeros((6, 4), np.int16)),
        (np.zeros((8, 7), np.float32), np.zeros((6, 4), np.int16)),
        (np.zeros((8, 6), np.float32), np.zeros((6, 5), np.int16)),
        (np.zeros((8, 6), np.float32), np.zeros((6, 4), np.int32)),
        (np.zeros((6, 8), np.float32).T, np.zeros((6, 4), np.int16)),
    ],
)
def test_what_is_of_another_form_is_refused(output: Any, others: Any) -> None:
    products = GreatestProducts(np.zeros((8, 2, 4), np.int16), np.zeros((8, 2), np.int32), unit=UNIT)
    with pytest.raises(TypeError, match="contiguous"):
        products.into(output, others, tiles=slice(None))


def test_vectors_of_another_form_are_refused() -> None:
    with pytest.raises(TypeError, match="vectors"):
        GreatestProducts(np.zeros((8, 2, 4), np.int32), np.zeros((8, 2), np.int32), unit=UNIT)
    with pytest.raises(TypeError, match="added"):
        GreatestProducts(np.zeros((8, 2, 4), np.int16), np.zeros((8, 3), np.int32), unit=UNIT)
    with pytest.raises(ValueError, match="-32,768"):
        GreatestProducts(np.full((8, 2, 4), -(2**15), np.int16), np.zeros((8, 2), np.int32), unit=UNIT)
    with pytest.raises(ValueError, match="no vectors"):
        GreatestProducts(np.zeros((0, 2, 4), np.int16), np.zeros((0, 2), np.int32), unit=UNIT)
