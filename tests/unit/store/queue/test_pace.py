"""The rate over time: what went on between two points is spread over the stretches between them."""

from datetime import UTC, datetime, timedelta

import pytest

from annotator.store.queue.pace import mean_rate, pace
from annotator.store.queue.progress import Point

END = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def point(minutes_ago: float, through: int, *, left: int = 100) -> Point:
    return Point(END - timedelta(minutes=minutes_ago), left, through, 0)


def rates(*points: Point, stretches: int = 6) -> list[float | None]:
    cut = pace(points, end=END, window=HOUR, stretches=stretches)
    assert [one.end - one.begin for one in cut] == [HOUR / stretches] * stretches
    assert (cut[0].begin, cut[-1].end) == (END - HOUR, END)
    return [one.media_per_s for one in cut]


def test_nothing_is_told_where_there_was_nothing_to_do() -> None:
    assert rates() == [None] * 6
    assert rates(point(30, 0, left=0), point(0, 600)) == [None] * 6


def test_each_stretch_has_the_rate_of_its_time() -> None:
    told = rates(point(60, 0), point(50, 600), point(40, 600), point(10, 2400))
    assert told[0] == pytest.approx(1.0)
    assert told[1:5] == [pytest.approx(rate) for rate in (0.0, 1.0, 1.0, 1.0)]
    assert told[5] is None


def test_a_stretch_that_is_covered_in_part_has_the_rate_of_that_part() -> None:
    assert rates(point(5, 0), point(0, 300))[5] == pytest.approx(1.0)


def test_points_before_the_window_count_with_what_reaches_into_it() -> None:
    assert rates(point(120, 0), point(50, 4200))[0] == pytest.approx(1.0)


def test_a_step_back_says_nothing() -> None:
    assert rates(point(60, 500), point(50, 100), point(40, 700))[:2] == [None, pytest.approx(1.0)]


def test_the_mean_leaves_out_the_time_without_work() -> None:
    assert mean_rate([point(60, 0), point(50, 600, left=0), point(10, 600), point(0, 1200)]) == pytest.approx(1.0)
    assert mean_rate([point(60, 0)]) is None
    assert mean_rate([point(60, 0), point(60, 5)]) is None
