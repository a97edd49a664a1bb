"""Cutting a stretch of a listing whose keys nobody knows."""

import bisect
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.backlog.keyspace import between, find_middle

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(KEYS, KEYS)
def test_what_lies_between_two_keys_lies_between_them(one: str, other: str) -> None:
    low, high = sorted((one, other))
    middle = between(low, high) if low != high else None
    if middle is not None:
        assert low < middle < high
        assert low.encode() < middle.encode() < high.encode()


@given(keys=st.sets(KEYS, min_size=1, max_size=30), low=KEYS, is_bounded=st.booleans())
def test_a_cut_has_keys_behind_it_and_lies_in_the_stretch(*, keys: set[str], low: str, is_bounded: bool) -> None:
    ordered = sorted(keys)
    high = ordered[-1] if is_bounded else None
    middle = find_middle(low, high, "", has_key=lambda key: bisect.bisect_right(ordered, key) < len(ordered))
    if middle is not None:
        assert low < middle
        assert ordered[-1] > middle


@pytest.mark.parametrize(
    "keys",
    [
        [f"gifs/{number:06}.gif" for number in range(10_000)],
        sorted(f"gifs/{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(10_000)),
        sorted(f"gifs/{number}/{part}.gif" for number in range(100) for part in range(100)),
        [f"gifs/日本/{number:05}.gif" for number in range(10_000)],
    ],
)
def test_common_ways_of_naming_are_cut_into_parts_of_some_size(keys: list[str]) -> None:
    probes: list[str] = []

    def has_key(key: str) -> bool:
        probes.append(key)
        return bisect.bisect_right(keys, key) < len(keys)

    middle = find_middle(keys[200], None, "gifs/", has_key=has_key)
    assert middle is not None
    behind = len(keys) - bisect.bisect_right(keys, middle)
    assert 0.05 * len(keys) < behind < 0.95 * len(keys)
    assert len(probes) < 40
