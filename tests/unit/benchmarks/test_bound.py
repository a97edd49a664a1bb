"""What the page says of the arithmetic that bounds a line."""

from typing import Any

import pytest

from benchmarks.speed import bound
from benchmarks.speed.lines import LINES
from benchmarks.speed.places import RESULTS
from benchmarks.speed.results import load
from benchmarks.speed.work import sface

MEASURED = load(RESULTS)


HERE = {"processor": "P"}


def side(seconds: float, arithmetic_s: float, decoding_s: float = 0.0) -> dict[str, Any]:
    return {"seconds": [seconds], "series": {"arithmetic_s": [arithmetic_s], "decoding_s": [decoding_s]}}


def line(seconds: float, limit: float, rows: int = 1) -> dict[str, Any]:
    ratio = {"median": 1.0, "min": 0.9, "max": 1.1}
    found = {"beside": {"value": seconds}, "reach": {"of": "ratio", "limit": limit}, "ratio": ratio}
    return {"rows": [{}] * (rows - 1) + [found], "machine": HERE, "commit": "abc"}


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


def embedding(seconds: float, precision: str) -> dict[str, Any]:
    return {"seconds": [seconds], "found": {"faces": 256, "precision": precision}}


def test_arithmetic_of_embedding_that_was_not_counted_is_reckoned_from_the_peak_of_the_same_machine() -> None:
    embed = line(2.0, 9, rows=2) | {"sides": {"default": embedding(1.0, "bf16"), "ours": embedding(2.0, "f32")}}
    embed["rows"][0] = line(2.0, 2.5)["rows"][0]
    found = {"peak_gflop_per_s": {"bf16": 256 * sface() / 1e9 / 0.25}}
    lines = {"embed": embed, "peak": {"sides": {"ours": {"found": found}}, "machine": HERE}}
    told = ["| `embed, by default` | 1 s | 0.25 s |  | 25% | 8.0× | 0.75 s | beyond the peak |"]  # noqa: RUF001
    assert bound.table(lines).splitlines()[2:] == told
    assert bound.table({**lines, "embed": {**embed, "machine": {"processor": "Q"}}}) == "Not measured yet."


def test_why_a_row_is_not_reached_is_told_from_the_results() -> None:
    lines = {"bound": {"sides": {"clips": side(10.0, 3.0, 1.0), "detect-20px": side(2.0, 1.5)}, "machine": HERE}}
    lines |= {"clips": line(80.0, 10), "detect-20px": line(5.0, 5)}
    allowed = "the peak would allow it, if all but arithmetic and decoding took 4 s, and it takes 6 s"
    assert bound.why_not(lines, "clips", 0) == allowed
    assert bound.why_not(lines, "detect-20px", 0) == "beyond the peak"


def test_a_row_whose_bound_is_not_known_says_so_and_whether_the_reach_lies_within_its_spread() -> None:
    lines = {"identify": line(20.0, 1), "giphy": line(20.0, 20)}
    no_reason = "these results show no reason"
    near = f"{no_reason}; the reach lies between the least and the greatest ratio"
    assert bound.why_not(lines, "identify", 0) == near
    assert bound.why_not(lines, "giphy", 0) == no_reason


@pytest.mark.parametrize("name", bound.ROWS)
def test_a_bounded_row_is_one_of_a_time_beside_another_and_of_a_ratio_to_reach(name: str) -> None:
    line_name, number = bound.ROWS[name]
    assert line_name in LINES
    row = MEASURED[line_name]["rows"][number]
    assert (row["beside"]["unit"], row["reach"]["of"]) == ("s", "ratio")
