"""Rate and remaining time, from the last minutes."""

from datetime import UTC, datetime, timedelta

import pytest

from annotator.store.queue.progress import Forecast, Point, forecast

START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def minutes(*media_of_each: int, left: int = 1000) -> list[Point]:
    """Points a minute apart; each media costs 100 ms."""
    points, through = [Point(START, left, 0, 0)], 0
    for number, media in enumerate(media_of_each, start=1):
        through += media
        points.append(Point(START + timedelta(minutes=number), left - through, through, 100 * through))
    return points


def test_a_steady_rate_has_a_narrow_interval() -> None:
    found = forecast(minutes(60, 60, 60, 60), left_cost_ms=60_000)
    assert found.media_per_s == pytest.approx(1.0)
    assert found.remaining_s == pytest.approx(600.0)
    assert found.least_s == pytest.approx(600.0)
    assert found.most_s == pytest.approx(600.0)


def test_minutes_that_differ_make_it_wide_or_open() -> None:
    some = forecast(minutes(50, 70, 60, 55, 65), left_cost_ms=60_000)
    assert some.least_s is not None
    assert some.most_s is not None
    assert 500 < some.least_s < 600 < some.most_s < 750
    wild = forecast(minutes(0, 180, 0, 60), left_cost_ms=60_000)
    assert wild.remaining_s == pytest.approx(600.0)
    assert wild.most_s is None


def test_too_little_is_not_known_yet() -> None:
    assert forecast([], left_cost_ms=1000) == Forecast()
    assert forecast(minutes(), left_cost_ms=1000) == Forecast()
    just_begun = [Point(START, 10, 0, 0), Point(START + timedelta(seconds=5), 5, 5, 500)]
    assert forecast(just_begun, left_cost_ms=1000) == Forecast()
    two = forecast(minutes(60, 60), left_cost_ms=6000)
    assert (two.remaining_s, two.least_s, two.most_s) == (pytest.approx(60.0), None, None)


def test_what_stands_still_has_a_rate_of_none_and_no_end() -> None:
    assert forecast(minutes(0, 0, 0), left_cost_ms=1000) == Forecast(media_per_s=0.0)


def test_minutes_without_work_and_minutes_that_queued_anew_say_nothing() -> None:
    idle = [Point(START - timedelta(minutes=9), 0, 5, 500), *minutes(60, 60, 60)]
    assert forecast(idle, left_cost_ms=6000).media_per_s == pytest.approx(1.0)
    points = minutes(60, 60)
    queued_anew = Point(START + timedelta(minutes=3), 1000, 20, 2000)
    assert forecast([*points, queued_anew], left_cost_ms=6000).media_per_s == pytest.approx(1.0)
