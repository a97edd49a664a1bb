"""Which frames are chosen, and that their shares tile displayed time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import ConfigError
from annotator.media.sampling import (
    Sample,
    SampleShare,
    Sampling,
    ShareStream,
    StreamPicker,
    Timeline,
    plan,
    plan_at,
    plan_even,
    plan_every,
    shares,
)

SPANS = st.lists(st.integers(0, 5000), min_size=1, max_size=80)
SAMPLINGS = st.one_of(
    st.builds(Sampling.even, st.integers(1, 40)),
    st.builds(Sampling.every, st.integers(1, 3000)),
    st.builds(Sampling.at, st.lists(st.integers(0, 40_000), min_size=1, max_size=30)),
    st.just(Sampling.all()),
)
PICTURE = np.zeros((1, 1, 3), np.uint8)


def timeline_of(spans: list[int]) -> Timeline:
    borders = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
    index = np.arange(len(spans), dtype=np.int64)
    return Timeline(index, index * 7, borders[:-1], borders[1:], len(spans))


def streamed(timeline: Timeline, sampling: Sampling) -> list[SampleShare]:
    picker = StreamPicker(sampling)
    taken: list[SampleShare] = []
    for index, start_ms in enumerate(timeline.start_ms.tolist()):
        taken += picker.push(PICTURE, index, start_ms)
    return taken + list(picker.finish(timeline.duration_ms))


@given(SPANS, SAMPLINGS)
def test_the_shares_of_any_plan_tile_displayed_time(spans: list[int], sampling: Sampling) -> None:
    timeline = timeline_of(spans)
    chosen = plan(timeline, sampling=sampling)
    from_ms, shown_ms = shares(timeline.start_ms[chosen], timeline.end_ms[chosen], timeline.duration_ms)
    assert from_ms[0] == 0
    assert np.array_equal(from_ms[1:], (from_ms + shown_ms)[:-1])
    assert from_ms[-1] + shown_ms[-1] == sum(spans)
    assert (shown_ms >= 0).all()


@given(SPANS, SAMPLINGS)
def test_a_share_holds_all_of_its_frames_own_time(spans: list[int], sampling: Sampling) -> None:
    timeline = timeline_of(spans)
    chosen = plan(timeline, sampling=sampling)
    from_ms, shown_ms = shares(timeline.start_ms[chosen], timeline.end_ms[chosen], timeline.duration_ms)
    assert (from_ms <= timeline.start_ms[chosen]).all()
    assert (from_ms + shown_ms >= timeline.end_ms[chosen]).all()


@given(SPANS, st.integers(1, 40))
def test_even_gives_as_many_different_frames_as_there_are_up_to_the_number_asked(spans: list[int], frames: int) -> None:
    timeline = timeline_of(spans)
    chosen = plan_even(timeline.start_ms, timeline.end_ms, frames=frames)
    assert len(chosen) == min(frames, len(spans))
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0
    assert chosen[-1] < len(spans)


@given(st.integers(1, 30), st.integers(1, 200), st.integers(1, 30))
def test_even_takes_the_middles_of_equal_parts_where_frames_are_equally_long(
    frames: int, span_ms: int, multiple: int
) -> None:
    timeline = timeline_of([span_ms] * (frames * multiple))
    chosen = plan_even(timeline.start_ms, timeline.end_ms, frames=frames)
    assert chosen.tolist() == [k * multiple + multiple // 2 for k in range(frames)]


def test_a_frame_that_is_held_takes_one_sample_and_the_others_go_to_the_rest() -> None:
    timeline = timeline_of([9000, *[100] * 29])
    chosen = plan_even(timeline.start_ms, timeline.end_ms, frames=10)
    assert chosen[0] == 0
    assert np.diff(chosen).max() <= 4
    assert chosen[-1] >= 27


@given(SPANS, st.integers(1, 3000))
def test_every_takes_the_frames_that_are_shown_at_its_times(spans: list[int], every_ms: int) -> None:
    timeline = timeline_of(spans)
    times = range(0, timeline.duration_ms, every_ms)
    shown = {int(np.searchsorted(timeline.start_ms, time, side="right")) - 1 for time in times}
    chosen = set(plan_every(timeline.start_ms, timeline.end_ms, every_ms=every_ms).tolist())
    assert chosen - {0} == shown - {0}
    assert 0 in chosen


@given(SPANS, st.lists(st.integers(0, 400_000), min_size=1))
def test_at_takes_the_frames_that_are_shown_at_its_times_and_the_last_one_after_the_end(
    spans: list[int], times: list[int]
) -> None:
    timeline = timeline_of(spans)
    starts, ends = timeline.start_ms.tolist(), timeline.end_ms.tolist()
    last = len(spans) - 1
    shown = {next((k for k in range(last) if starts[k] <= time < ends[k]), last) for time in times}
    assert plan_at(timeline.start_ms, timeline.end_ms, at_ms=times).tolist() == sorted(shown)


def test_when_the_last_time_has_passed_nothing_more_is_picked() -> None:
    picker = StreamPicker(Sampling.at([250, 120, 250]))
    taken: list[SampleShare] = []
    for index, start_ms in enumerate([0, 100, 200, 300]):
        assert not picker.has_all
        taken += picker.push(PICTURE, index, start_ms)
    assert picker.has_all
    taken += picker.finish(400)
    assert [share.sample.frame_index for share in taken] == [1, 2]


@given(SPANS, SAMPLINGS.filter(lambda sampling: sampling.kind != "even"))
def test_picking_frames_as_they_come_agrees_with_planning(spans: list[int], sampling: Sampling) -> None:
    timeline = timeline_of(spans)
    chosen = plan(timeline, sampling=sampling)
    from_ms, shown_ms = shares(timeline.start_ms[chosen], timeline.end_ms[chosen], timeline.duration_ms)
    taken = streamed(timeline, sampling)
    assert [share.sample.frame_index for share in taken] == chosen.tolist()
    assert [share.from_ms for share in taken] == from_ms.tolist()
    assert [share.shown_ms for share in taken] == shown_ms.tolist()


def test_a_sample_that_proves_to_be_shown_longer_keeps_that_time() -> None:
    stream = ShareStream()
    assert list(stream.push(Sample(PICTURE, 0, 0, 100))) == []
    stream.extend(400)
    (first,) = stream.push(Sample(PICTURE, 9, 600, 700))
    (last,) = stream.finish(700)
    assert (first.from_ms, first.shown_ms) == (0, 500)
    assert (last.from_ms, last.shown_ms) == (500, 200)


def test_an_empty_timeline_has_no_samples() -> None:
    nothing = np.zeros(0, np.int64)
    timeline = Timeline(nothing, nothing, nothing, nothing, 0)
    for sampling in (Sampling.even(), Sampling.every(100), Sampling.at([50]), Sampling.all()):
        assert plan(timeline, sampling=sampling).tolist() == []
    assert shares(nothing, nothing, 0)[0].tolist() == []
    assert timeline.duration_ms == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sampling.even(0),
        lambda: Sampling.every(0),
        lambda: Sampling.every(-5),
        lambda: Sampling.at([]),
        lambda: Sampling.at([5, -1]),
    ],
)
def test_a_policy_that_takes_nothing_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match="or more"):
        make()


def test_a_policy_says_what_it_is() -> None:
    assert Sampling.even().spec() == {"kind": "even", "frames": 20}
    assert Sampling.every(500).spec() == {"kind": "every", "every_ms": 500}
    assert Sampling.at([70, 20]).spec() == {"kind": "at", "at_ms": (20, 70)}
    assert Sampling.all().spec() == {"kind": "all"}
