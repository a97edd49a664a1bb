"""Principal axes: exact, with signs that do not depend on the linear algebra below."""

import numpy as np
import pytest

from annotator.space.axes import principal_axes


def cloud(count: int = 500, size: int = 16) -> np.ndarray:
    spread = np.linspace(3.0, 0.1, size)
    return np.random.default_rng(5).normal(0, 1, (count, size)) * spread + 2.0


def test_the_first_axes_have_the_largest_variances_of_all() -> None:
    points = cloud()
    axes = principal_axes(points)
    singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(axes.explained, (singular**2 / (singular**2).sum())[:3], rtol=1e-9)
    np.testing.assert_allclose(axes.directions @ axes.directions.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes(points).var(axis=0), singular[:3] ** 2 / len(points), rtol=1e-9)


def test_signs_are_those_that_make_the_largest_number_of_an_axis_positive() -> None:
    axes = principal_axes(cloud())
    largest = np.abs(axes.directions).argmax(axis=1)
    assert (axes.directions[np.arange(3), largest] > 0).all()
    turned_over = principal_axes(-cloud())
    np.testing.assert_allclose(turned_over.directions, axes.directions, atol=1e-9)


def test_the_order_of_people_changes_nothing() -> None:
    points = cloud()
    shuffled = points[np.random.default_rng(1).permutation(len(points))]
    np.testing.assert_allclose(principal_axes(shuffled).directions, principal_axes(points).directions, atol=1e-9)


def test_a_single_person_is_at_the_origin() -> None:
    one = cloud(1)
    axes = principal_axes(one)
    assert np.abs(axes(one)).max() == 0
    assert (axes.explained == 0).all()


@pytest.mark.parametrize("shape", [(0, 8), (5, 2), (5,)])
def test_what_has_no_three_axes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="principal axes need"):
        principal_axes(np.zeros(shape))
