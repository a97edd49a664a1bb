"""What is told of the precision in which faces of clips are embedded."""

from typing import Any

import pytest

from benchmarks.speed.page import cells
from benchmarks.speed.precision_effect import rows


def side(names: list[str], seconds: float) -> dict[str, Any]:
    return {"seconds": [seconds, seconds], "found": {"names": names}}


SIDES = {"ours": side(["a: Ada", "b: Bea"], 2.0), "f32": side(["a: Ada", "c: Cia", "d: Dot"], 3.0)}


def test_names_under_both_precisions_are_compared_and_times_too() -> None:
    names, times = (cells(one, runs=2, why_not="") for one in rows(SIDES, ["avx2", "avx512_bf16"]))
    assert names[:2] == ["names in clips that SFace in float32 gives and that stay in bfloat16", "1 (of 3, and 1 new)"]
    assert times[1:4] == ["2 s", "in float32: 3 s", "1.5×"]  # noqa: RUF001


@pytest.mark.parametrize("flags", [[], ["avx2", "avx512f"]])
def test_a_processor_without_bfloat16_says_that_both_are_the_same(flags: list[str]) -> None:
    told = "as by default, here float32 too"
    assert all(one["work"].endswith(told) for one in rows(SIDES, flags))
