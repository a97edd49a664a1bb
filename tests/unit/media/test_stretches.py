"""Which parts of a film are decoded."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annotator.media.commands import selection
from annotator.media.films import stretches_of
from annotator.types import I64


def array(*values: int) -> I64:
    return np.array(values, np.int64)


def test_far_frames_are_sought_from_their_key_frames() -> None:
    ticks = np.arange(1000, dtype=np.int64) * 40
    stretches, cost = stretches_of(ticks, ticks[::100], array(150, 851), child_cost=5)
    assert [stretch.positions for stretch in stretches] == [(150,), (851,)]
    assert not any(stretch.is_from_start for stretch in stretches)
    assert cost == 50 + 5 + 51 + 5


def test_near_frames_share_a_child() -> None:
    ticks = np.arange(1000, dtype=np.int64)
    stretches, _ = stretches_of(ticks, ticks[::100], array(20, 60, 130, 450), child_cost=50)
    assert [stretch.positions for stretch in stretches] == [(20, 60, 130), (450,)]
    assert stretches[0].is_from_start


def test_without_key_frames_all_is_one_stretch_from_the_start() -> None:
    ticks = np.arange(100, dtype=np.int64)
    stretches, _ = stretches_of(ticks, array(), array(10, 90), child_cost=1)
    assert [(stretch.positions, stretch.is_from_start) for stretch in stretches] == [((10, 90), True)]


@given(
    st.sets(st.integers(0, 499), min_size=1, max_size=30),
    st.sets(st.integers(0, 499), max_size=20),
    st.integers(1, 200),
)
def test_every_wanted_frame_is_in_exactly_one_stretch(wanted: set[int], keys: set[int], child_cost: int) -> None:
    ticks = np.arange(500, dtype=np.int64) * 3
    stretches, cost = stretches_of(ticks, ticks[sorted(keys)], array(*sorted(wanted)), child_cost=child_cost)
    assert [at for stretch in stretches for at in stretch.positions] == sorted(wanted)
    assert cost >= len(stretches) * child_cost


@given(st.sets(st.integers(-50, 400), min_size=1, max_size=120))
def test_the_selection_is_true_for_the_chosen_times_only(chosen: set[int]) -> None:
    expression = selection(sorted(chosen))
    names = {
        "eq": lambda a, b: int(a == b),
        "lt": lambda a, b: int(a < b),
        "if_": lambda condition, a, b: a if condition else b,
    }
    code = compile(expression.replace("if(", "if_("), "selection", "eval")
    for tick in range(-60, 410, 7):
        assert bool(eval(code, {**names, "pts": tick})) == (tick in chosen)  # noqa: S307
