"""What the page says of the arithmetic that bounds a line."""

from typing import Any

from benchmarks.speed import bound
from benchmarks.speed.lines import LINES


def side(seconds: float, arithmetic_s: float, decoding_s: float = 0.0) -> dict[str, Any]:
    return {"seconds": [seconds], "series": {"arithmetic_s": [arithmetic_s], "decoding_s": [decoding_s]}}


def test_the_highest_ratio_is_that_of_the_other_side_to_arithmetic_and_decoding() -> None:
    bounds = {"sides": {"detect-20px": side(2.0, 0.5), "clips": side(10.0, 3.0, 1.0)}}
    peers = {"clips": {"sides": {"plain loop": {"seconds": [80.0, 90.0, 70.0]}}}}
    told = bound.table({"bound": bounds, **peers}).splitlines()
    assert told[2] == "| `detect-20px` | 2.00 s | 0.50 s |  | 25% |  |"
    assert told[3] == "| `clips` | 10.00 s | 3.00 s | 1.00 s | 40% | 20.0× |"  # noqa: RUF001


def test_bounded_lines_are_lines() -> None:
    assert bound.PEERS.keys() <= LINES.keys()
