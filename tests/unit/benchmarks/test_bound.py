"""What the page says of the arithmetic that bounds a line."""

from typing import Any

import pytest

from benchmarks.speed import bound
from benchmarks.speed.lines import LINES
from benchmarks.speed.places import RESULTS
from benchmarks.speed.results import load

MEASURED = load(RESULTS)


HERE = {"processor": "P"}


def side(seconds: float, arithmetic_s: float, decoding_s: float = 0.0) -> dict[str, Any]:
    return {"seconds": [seconds], "series": {"arithmetic_s": [arithmetic_s], "decoding_s": [decoding_s]}}


def line(seconds: float, limit: float, rows: int = 1) -> dict[str, Any]:
    found = {"beside": {"value": seconds}, "reach": {"limit": limit}}
    return {"rows": [{}] * (rows - 1) + [found], "machine": HERE}


def test_what_is_left_for_all_but_arithmetic_and_decoding_is_told_by_what_the_other_side_takes() -> None:
    sides = {"detect-20px": side(2.0, 0.5), "clips": side(10.0, 3.0, 1.0), "embed, by default": side(1.0, 0.5)}
    bounds = {"sides": {**sides, "of an older program": side(1.0, 0.5)}, "machine": HERE}
    lines = {"bound": bounds, "clips": line(80.0, 10), "embed": line(2.0, 9, rows=2)}
    told = bound.table(lines).splitlines()[2:]
    assert told == [
        "| `detect-20px` | 2 s | 0.5 s |  | 25% |  | 1.5 s |  |",
        "| `clips` | 10 s | 3 s | 1 s | 40% | 20.0× | 6 s | 4 s |",  # noqa: RUF001
        "| `embed, by default` | 1 s | 0.5 s |  | 50% | 4.0× | 0.5 s | beyond the peak |",  # noqa: RUF001
    ]


def test_what_another_machine_took_says_nothing() -> None:
    lines = {"bound": {"sides": {"clips": side(10.0, 3.0, 1.0)}, "machine": HERE}}
    lines["clips"] = {**line(80.0, 10), "machine": {"processor": "Q"}}
    assert bound.table(lines).splitlines()[2:] == ["| `clips` | 10 s | 3 s | 1 s | 40% |  | 6 s |  |"]


@pytest.mark.parametrize("name", bound.ROWS)
def test_a_bounded_row_is_one_of_a_time_beside_another_and_of_a_ratio_to_reach(name: str) -> None:
    line_name, number = bound.ROWS[name]
    assert line_name in LINES
    row = MEASURED[line_name]["rows"][number]
    assert (row["beside"]["unit"], row["reach"]["of"]) == ("s", "ratio")
