import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from annotator.assignment import least_cost_pairs

SIDES = st.tuples(st.integers(0, 7), st.integers(0, 7))


@given(
    SIDES.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(-5, 5, width=32))),
)
def test_the_pairs_cost_no_more_than_those_of_scipy(cost: np.ndarray) -> None:
    rows, columns = least_cost_pairs(cost)
    assert len(rows) == len(columns) == min(cost.shape)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(cost.shape)
    assert rows.tolist() == sorted(rows.tolist())
    best = cost[linear_sum_assignment(cost)].astype(np.float64).sum()
    assert abs(cost[rows, columns].astype(np.float64).sum() - best) <= 1e-6


def test_clear_tables_are_paired_as_scipy_pairs_them() -> None:
    generator = np.random.default_rng(3)
    for rows, columns in [(1, 1), (3, 5), (5, 3), (12, 12), (40, 31)]:
        cost = generator.random((rows, columns))
        ours, theirs = least_cost_pairs(cost), linear_sum_assignment(cost)
        assert np.array_equal(ours[0], theirs[0])
        assert np.array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_an_empty_table_has_no_pairs(shape: tuple[int, int]) -> None:
    rows, columns = least_cost_pairs(np.zeros(shape))
    assert (rows.tolist(), columns.tolist()) == ([], [])


def test_a_cost_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        least_cost_pairs(np.array([[np.nan]]))
