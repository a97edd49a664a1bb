"""The forecast of a backlog: what is drawn, and how sure the whole is that is estimated from it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest

from annotator.types import MediaFailure, MediaRef
from tests.store_values import ADA, annotation, failure, known, track, unknown
from workers.annotating.engine import Outcome
from workers.backlog.forecast import (
    BacklogForecast,
    Estimate,
    Listed,
    Sampler,
    _totals,
    forecast_in_words,
    forecast_sample,
)

DRAWS = 150
KIB, MIB = 1 << 10, 1 << 20


def listed(count: int, size_bytes: int = 300 * KIB, name: str = "{:05}.gif") -> list[Listed]:
    return [(name.format(number), "e", size_bytes) for number in range(count)]


def drawn(sampler: Sampler) -> list[str]:
    return [key for _, some in sampler.draw() for key, _, _ in some]


# ---------------------------------------------------------------------------------------------------------- the sample


@pytest.mark.parametrize("count", [30, 50, 400])
def test_each_media_is_as_likely_drawn_as_any_other_of_its_size(count: int) -> None:
    """Also where a stratum gives fewer than it keeps: those that were listed first are not preferred."""
    times: Counter[str] = Counter()
    for seed in range(DRAWS):
        sampler = Sampler(40, seed=seed)
        sampler.add(listed(count))
        sampler.add(listed(2000, 900 * KIB, "big/{:05}.gif"))
        times.update(key for key in drawn(sampler) if not key.startswith("big/"))
    parts = [sum(times[f"{number:05}.gif"] for number in some) for some in np.array_split(np.arange(count), 3)]
    expected = sum(parts) / 3
    assert expected > DRAWS / 2
    assert all(abs(part - expected) < 5 * expected**0.5 for part in parts)


def test_the_same_listing_gives_the_same_sample_and_another_seed_another() -> None:
    samples = []
    for seed in (0, 0, 1):
        sampler = Sampler(20, seed=seed)
        for begin in range(0, 500, 100):
            sampler.add(listed(500)[begin : begin + 100])
        samples.append(drawn(sampler))
    assert samples[0] == samples[1] != samples[2]


def test_every_size_and_lane_is_in_the_sample_and_what_costs_more_is_there_more() -> None:
    sampler = Sampler(100)
    sampler.add(listed(10_000, 100 * KIB))
    sampler.add(listed(10_000, 7 * MIB, "big/{}.gif"))
    sampler.add(listed(3, 500 * MIB, "film/{}.mp4"))
    sampler.add(listed(1, 0, "empty/{}.gif"))
    found = Counter(key.partition("/")[0] if "/" in key else "small" for key in drawn(sampler))
    assert found["film"] >= 2
    assert found["empty"] == 1
    assert 2 <= found["small"] < found["big"]
    assert 95 <= sum(found.values()) <= 105
    assert sampler.media == 20_004


def test_a_listing_that_is_smaller_than_the_sample_is_drawn_whole() -> None:
    sampler = Sampler(200)
    sampler.add(listed(7))
    assert sorted(drawn(sampler)) == [key for key, _, _ in listed(7)]


# -------------------------------------------------------------------------------------------------------- the interval


def test_the_interval_holds_the_truth_in_about_nine_of_ten_draws() -> None:
    random = np.random.default_rng(1)
    sizes = np.exp(random.normal(13.5, 1.0, 3000)).astype(int)
    cost_s = (0.05 + sizes / MIB * 0.3) * np.exp(random.normal(0, 0.6, len(sizes)))
    objects = [(f"{number}.gif", "e", int(size)) for number, size in enumerate(sizes)]
    held, values = 0, []
    for seed in range(DRAWS):
        sampler = Sampler(150, seed=seed)
        sampler.add(objects)
        sample = sampler.draw()
        measured = [np.array([[cost_s[int(key[:-4])]] for key, _, _ in some]) for _, some in sample]
        (estimate,) = _totals([media for media, _ in sample], measured)
        held += estimate.low <= cost_s.sum() <= estimate.high
        values.append(estimate.value)
    assert 0.82 <= held / DRAWS <= 0.96
    assert np.mean(values) == pytest.approx(cost_s.sum(), rel=0.01)


def test_a_stratum_that_was_annotated_whole_has_no_uncertainty() -> None:
    (estimate,) = _totals([3], [np.array([[1.0], [2.0], [30.0]])])
    assert (estimate.low, estimate.value, estimate.high) == (33.0, 33.0, 33.0)


def test_the_whole_is_never_less_than_what_was_seen() -> None:
    (estimate,) = _totals([1000], [np.array([[0.0], [50.0]])])
    assert estimate.low == 50.0
    assert estimate.value == 25_000.0


# -------------------------------------------------------------------------------------------------------- the forecast


class Double:
    """Annotates as it is told."""

    model = "test@1"

    def __init__(self, make: Callable[[MediaRef], Outcome]) -> None:
        self._make = make
        self.order: list[str] = []

    def warm_up(self) -> None:
        assert self.order == []

    def annotate(self, media: Iterable[MediaRef], *, is_known: object = None) -> Iterator[Outcome]:
        assert is_known is None
        for one in media:
            self.order.append(one.media_id)
            yield self._make(one)


def annotated(media: MediaRef) -> Outcome:
    return annotation(media, tracks=[track(0), track(1)], labels=[known(ADA), unknown(ADA)])


def broken(media: MediaRef) -> MediaFailure:
    return failure(media)


def forecast(sampler: Sampler, make: Callable[[MediaRef], Outcome]) -> BacklogForecast:
    told: list[tuple[int, int]] = []
    found = forecast_sample(sampler, Double(make), bucket="clips", on_done=lambda *far: told.append(far))
    assert told == [(number + 1, found.sampled) for number in range(found.sampled)]
    return found


def test_tracks_and_known_people_are_counted_up() -> None:
    sampler = Sampler(20)
    sampler.add(listed(1000))
    found = forecast(sampler, annotated)
    assert (found.media, found.sampled, found.strata) == (1000, 20, 1)
    assert found.size_bytes == 1000 * 300 * KIB
    assert found.tracks == Estimate(2000.0, 2000.0, 2000.0)
    assert found.labels == Estimate(1000.0, 1000.0, 1000.0)
    assert found.worker_s.value == pytest.approx(found.sample_s * 1000 / 20)


def test_one_media_is_a_backlog_too() -> None:
    sampler = Sampler(200)
    sampler.add(listed(1))
    found = forecast(sampler, annotated)
    assert (found.media, found.sampled) == (1, 1)
    assert found.worker_s == Estimate(*[found.sample_s] * 3)
    assert found.failed == Estimate(0.0, 0.0, 0.0)


@pytest.mark.parametrize("sizes", [[0], [0, 0, 0], [0, 10, 500 * MIB]])
def test_a_backlog_of_which_all_fail_takes_time_and_no_rows(sizes: list[int]) -> None:
    sampler = Sampler(200)
    sampler.add([(f"{number}.gif", "e", size) for number, size in enumerate(sizes)])
    found = forecast(sampler, broken)
    assert found.failed == Estimate(*[float(len(sizes))] * 3)
    assert found.tracks.value == found.labels.high == 0.0
    assert found.worker_s.value > 0
    said = found.as_json(price_per_hour=0.5, workers=(1, 8))
    assert said["cost"][0] == pytest.approx(said["worker_hours"][0] / 2, rel=0.01)
    assert said["finish_s"]["8"][0] == pytest.approx(said["finish_s"]["1"][0] / 8, rel=0.01)
    assert "will fail" in forecast_in_words(found, price_per_hour=None, workers=(1,))


def test_a_sample_without_failures_does_not_say_that_none_will_fail() -> None:
    sampler = Sampler(100)
    sampler.add(listed(10_000))
    found = forecast(sampler, annotated)
    assert found.failed.value == 0.0
    assert 200 < found.failed.high < 400


def test_the_costly_ones_are_annotated_first() -> None:
    sampler = Sampler(50)
    sampler.add([*listed(5, 10), *listed(2, 50 * MIB, "{}.mp4"), *listed(5, MIB, "middle/{}.gif")])
    double = Double(annotated)
    forecast_sample(sampler, double, bucket="clips", on_done=lambda *_: None)
    assert sorted(double.order[:2]) == ["0.mp4", "1.mp4"]
    assert all(key.startswith("middle/") for key in double.order[2:7])


def test_a_person_reads_units_and_intervals() -> None:
    spent = Estimate(7200.0, 3600.0, 14_400.0)
    few = Estimate(2000.0, 1500.0, 2500.0)
    found = BacklogForecast(1000, 3 * MIB, 20, 4.2, 3, spent, few, few, Estimate(0.0, 0.0, 30.0))
    lines = forecast_in_words(found, price_per_hour=0.25, workers=(1, 4)).splitlines()
    said = {line[:25].strip(): line[25:].strip() for line in lines[1:-1]}
    assert lines[0] == "20 media of 3 sizes were annotated here in 4 s"
    assert said["worker-hours"] == "2  (1 to 4)"
    assert said["cost"] == "0.5  (0.25 to 1)"
    assert said["1 worker"] == "2 h  (60 min to 4 h)"
    assert said["tracks"] == "2,000  (1,500 to 2,500)"
