"""The first layer of a network, beside the same in NumPy and float64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.native import FIRST_LAYER_DEPTHS, FirstLayer

pytestmark = pytest.mark.skipif(not FirstLayer.is_there(), reason="this processor has no AVX2, or is none of x86-64")

SCALE, SHIFT = 1 / 128, -127.5 / 128
MAX_DIFFERENCE = 1e-5


def numbers(depth: int, seed: int = 0) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    factors = random.normal(0, 0.3, (3, 3, 3, depth)).astype(np.float32)
    return factors, *(random.normal(0, 1, depth).astype(np.float32) for _ in range(2))


def layer(depth: int, pool: int = 2, seed: int = 0) -> FirstLayer:
    return FirstLayer(*numbers(depth, seed), scale=SCALE, shift=SHIFT, pool=pool)


def pictures(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(0, 255, (*shape, 3)).astype(np.float32)


def run(one: FirstLayer, batch: Any) -> Any:
    output = np.full(one.shape_of(batch.shape), np.nan, np.float32)
    one.into(output, batch)
    return output


def plainly(made_of: tuple[Any, Any, Any], batch: Any, pool: int) -> Any:
    factors, bias, slopes = made_of
    _, height, width, _ = batch.shape
    scaled = batch.astype(np.float64) * SCALE + SHIFT
    parts = [
        scaled[:, y : y + height - 2, x : x + width - 2] @ factors[y, x].astype(np.float64)
        for y in range(3)
        for x in range(3)
    ]
    found = sum(parts) + bias
    found = np.where(found > 0, found, found * slopes)
    rows, columns = (height - 1) // 2, (width - 1) // 2
    beyond = ((0, 0), (0, 2 * rows + pool), (0, 2 * columns + pool), (0, 0))
    found = np.pad(found, beyond, constant_values=-np.inf)
    shifted = [found[:, y : y + 2 * rows : 2, x : x + 2 * columns : 2] for y in range(pool) for x in range(pool)]
    return np.max(shifted, axis=0)


DEPTHS, SEEDS = st.sampled_from(list(FIRST_LAYER_DEPTHS)), st.integers(0, 99)


@given(st.tuples(st.integers(1, 3), st.integers(3, 40), st.integers(6, 40)), DEPTHS, SEEDS)
@settings(deadline=None)
def test_it_is_what_numpy_makes_of_windows_of_four(shape: tuple[int, int, int], depth: int, seed: int) -> None:
    batch = pictures(*shape, seed=seed)
    expected = plainly(numbers(depth, seed), batch, 2)
    np.testing.assert_allclose(run(layer(depth, 2, seed), batch), expected, rtol=0, atol=MAX_DIFFERENCE)


@given(st.tuples(st.integers(1, 3), st.integers(2, 20), st.integers(3, 20)), DEPTHS, SEEDS)
@settings(deadline=None)
def test_it_is_what_numpy_makes_of_windows_of_nine(shape: tuple[int, int, int], depth: int, seed: int) -> None:
    count, half_height, half_width = shape
    batch = pictures(count, 2 * half_height, 2 * half_width, seed=seed)
    expected = plainly(numbers(depth, seed), batch, 3)
    np.testing.assert_allclose(run(layer(depth, 3, seed), batch), expected, rtol=0, atol=MAX_DIFFERENCE)


def test_a_picture_gets_the_same_bits_in_any_batch() -> None:
    batch = pictures(5, 24, 24)
    np.testing.assert_array_equal(run(layer(28, 3), batch)[3:4], run(layer(28, 3), batch[3:4]))


def test_no_pictures_give_nothing() -> None:
    assert run(layer(10), pictures(0, 12, 12)).shape == (0, 5, 5, 10)


def test_each_first_layer_has_its_own_pooling() -> None:
    batch = pictures(1, 24, 24)
    assert (run(layer(28, 3), batch) >= run(layer(28, 2), batch)).all()
    assert (run(layer(28, 3), batch) > run(layer(28, 2), batch)).any()


@pytest.mark.parametrize("depth", [0, 8, 33])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="a first layer has kernels of 3 x 3 x 3"):
        layer(depth)


def test_other_kernels_are_refused() -> None:
    factors, bias, slopes = numbers(10)
    for wrong in ((factors[:2], bias, slopes), (factors, bias[:9], slopes), (factors, bias, slopes[:, None])):
        with pytest.raises(ValueError, match="a first layer has kernels of 3 x 3 x 3"):
            FirstLayer(*wrong, scale=SCALE, shift=SHIFT, pool=2)


@pytest.mark.parametrize("pool", [0, 1, 4])
def test_other_poolings_are_refused(pool: int) -> None:
    with pytest.raises(ValueError, match=r"the pooling's side is one of \(2, 3\)"):
        layer(10, pool)


@pytest.mark.parametrize(("pool", "shape"), [(2, (2, 9)), (2, (9, 5)), (3, (24, 23)), (3, (23, 24)), (2, (0, 0))])
def test_pictures_that_it_is_not_made_for_are_refused(pool: int, shape: tuple[int, int]) -> None:
    batch = pictures(1, *shape)
    with pytest.raises(ValueError, match=r"pictures (are at least|of .* would be pooled)"):
        layer(10, pool).into(np.zeros((1, 4, 4, 10), np.float32), batch)


def test_what_is_no_number_becomes_nothing() -> None:
    batch = pictures(1, 12, 12)
    batch[0, 5, 5, 1] = np.nan
    assert np.isfinite(run(layer(10), batch)).all()


def test_it_cannot_be_changed() -> None:
    one = layer(10)
    with pytest.raises(AttributeError):
        one.depth = 30  # type: ignore[attr-defined]


def test_outputs_of_another_kind_are_refused() -> None:
    one, batch = layer(10), pictures(2, 12, 12)
    read_only = np.zeros((2, 5, 5, 10), np.float32)
    read_only.flags.writeable = False
    wrong = (
        np.zeros((1, 5, 5, 10), np.float32),
        np.zeros((2, 5, 5, 9), np.float32),
        np.zeros((2, 5, 5, 10), np.float64),
        np.zeros((2, 5, 5, 20), np.float32)[..., ::2],
        read_only,
    )
    for output in wrong:
        with pytest.raises(TypeError, match="output"):
            one.into(output, batch)


def test_pictures_of_another_kind_are_refused() -> None:
    batch = pictures(2, 12, 12)
    for wrong in (batch.astype(np.uint8), batch[..., ::-1], batch[..., :2], batch[0]):
        with pytest.raises(TypeError, match="pictures"):
            layer(10).into(np.zeros((2, 5, 5, 10), np.float32), wrong)
