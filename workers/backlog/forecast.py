"""What a backlog will take: a sample of it, drawn by size, is annotated here, and the whole is estimated from that.

Media differ in cost by a factor of a hundred, and their size tells much of it. So the listing is divided into strata by
lane and size, each stratum gives media to the sample, and each stands for its own share of the backlog. Intervals come
from drawing the sample again from itself, stratum by stratum (the bootstrap); they hold the error of sampling, not that
of workers which are faster or slower than this machine.
"""

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from annotator.store.queue.lanes import cost_of, lane_of
from annotator.types import MediaAnnotation, MediaFailure, MediaRef
from workers.annotating.engine import MediaAnnotator, Outcome

Listed = tuple[str, str, int]
COVERAGE: Final = 0.9
_RESAMPLES: Final = 2000
# A stratum of two media has a variance at least.
_LEAST: Final = 2
# What the rows of a media, of a track and of a label take on Postgres, indexes included: benchmarks/row_sizes.py.
MEDIA_BYTES: Final = 760
TRACK_BYTES: Final = 2370
LABEL_BYTES: Final = 310


@dataclass(slots=True)
class _Stratum:
    media: int = 0
    size_bytes: int = 0
    drawn: list[Listed] = field(default_factory=list)


class Sampler:
    """Draws from a listing while it goes by, by size, without holding it."""

    def __init__(self, size: int, *, seed: int = 0) -> None:
        """Draw at most so many media; the same listing and seed give the same sample."""
        self._size = size
        self._dice = random.Random(seed)  # noqa: S311  (no secret)
        self._strata: dict[tuple[str, int], _Stratum] = defaultdict(_Stratum)

    def add(self, objects: Iterable[Listed]) -> None:
        """Look at some more objects: key, etag and size."""
        for one in objects:
            stratum = self._strata[lane_of(one[0], one[2]), max(one[2], 1).bit_length()]
            stratum.media += 1
            stratum.size_bytes += one[2]
            if len(stratum.drawn) < self._size:
                stratum.drawn.append(one)
            elif (place := self._dice.randrange(stratum.media)) < self._size:
                stratum.drawn[place] = one

    @property
    def media(self) -> int:
        """How many there were."""
        return sum(stratum.media for stratum in self._strata.values())

    @property
    def size_bytes(self) -> int:
        """Their bytes."""
        return sum(stratum.size_bytes for stratum in self._strata.values())

    def draw(self) -> list[tuple[int, list[Listed]]]:
        """Return the sample: for each stratum how many media it has, and those drawn, more of what costs more."""
        strata = [self._strata[key] for key in sorted(self._strata)]
        weights = [stratum.media * cost_of(stratum.size_bytes // stratum.media) for stratum in strata]
        wanted = _share(self._size, weights, [stratum.media for stratum in strata])
        # The reservoir keeps the first ones at its beginning: it is drawn from, not cut off.
        return [(one.media, self._dice.sample(one.drawn, count)) for one, count in zip(strata, wanted, strict=True)]


def _share(size: int, weights: Sequence[float], media: Sequence[int]) -> list[int]:
    """Share a sample among strata by weight; what one of them has not got, the others get.

    >>> _share(10, [90.0, 5.0, 5.0], [3, 100, 100])
    [3, 4, 4]
    """
    whole: set[int] = set()
    while True:
        left = size - sum(media[place] for place in whole)
        weight = sum(one for place, one in enumerate(weights) if place not in whole)
        wanted = [
            most if place in whole else min(most, max(_LEAST, round(left * one / weight)))
            for place, (one, most) in enumerate(zip(weights, media, strict=True))
        ]
        taken = {place for place, count in enumerate(wanted) if count == media[place]}
        if taken == whole:
            return wanted
        whole = taken


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: the estimate.
        low: the lower end of the 90 % interval.
        high: its upper end.

    """

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        """Return it in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def as_list(self) -> list[float]:
        """Return value, lower and upper end."""
        return [float(f"{one:.4g}") for one in (self.value, self.low, self.high)]


@dataclass(frozen=True, slots=True)
class BacklogForecast:
    """What a backlog will take.

    Attributes:
        media: how many there are to annotate.
        size_bytes: to fetch.
        sampled: how many were annotated for the forecast.
        sample_s: how long that took.
        strata: into how many classes of lane and size the backlog was divided.
        worker_s: time of one worker for all.
        tracks: rows of tracks.
        labels: rows of track labels.
        failed: media that will fail.

    """

    media: int
    size_bytes: int
    sampled: int
    sample_s: float
    strata: int
    worker_s: Estimate
    tracks: Estimate
    labels: Estimate
    failed: Estimate

    @property
    def media_per_s(self) -> Estimate:
        """Media a second of one worker."""
        spent = self.worker_s
        return Estimate(self.media / spent.value, self.media / spent.high, self.media / spent.low)

    @property
    def database_bytes(self) -> Estimate:
        """What the rows will take."""

        def size(tracks: float, labels: float) -> float:
            return self.media * MEDIA_BYTES + tracks * TRACK_BYTES + labels * LABEL_BYTES

        return Estimate(
            size(self.tracks.value, self.labels.value),
            size(self.tracks.low, self.labels.low),
            size(self.tracks.high, self.labels.high),
        )

    def as_json(self, *, price_per_hour: float | None, workers: Sequence[int]) -> dict[str, Any]:
        """Return it for programs: estimates as [value, low, high]."""
        hours = self.worker_s.times(1 / 3600)
        return {
            "media": self.media,
            "size_bytes": self.size_bytes,
            "sampled": self.sampled,
            "sample_s": round(self.sample_s, 2),
            "strata": self.strata,
            "coverage": COVERAGE,
            "media_per_s": self.media_per_s.as_list(),
            "worker_hours": hours.as_list(),
            "cost": None if price_per_hour is None else hours.times(price_per_hour).as_list(),
            "tracks": self.tracks.as_list(),
            "labels": self.labels.as_list(),
            "failed": self.failed.as_list(),
            "database_bytes": self.database_bytes.as_list(),
            "finish_s": {str(count): self.worker_s.times(1 / count).as_list() for count in workers},
        }


def forecast_sample(
    sampler: Sampler, annotator: MediaAnnotator, *, bucket: str, on_done: Callable[[int, int], None]
) -> BacklogForecast:
    """Annotate the sample here and estimate the whole.

    Args:
        sampler: has seen the listing; at least one media.
        annotator: as a worker uses it.
        bucket: where the keys lie.
        on_done: told how many of how many are done.

    Raises:
        ModelError: a network or bundle fails its checks.

    """
    sample = sampler.draw()
    refs = {
        MediaRef(key, f"s3://{bucket}/{key}", etag): number
        for number, (_, drawn) in enumerate(sample)
        for key, etag, _ in drawn
    }
    annotator.warm_up()
    began_s = time.monotonic()
    measured: list[list[tuple[float, ...]]] = [[] for _ in sample]
    # The costly ones first: a backlog has no end at which a single long one holds up an idle machine.
    sizes = {key: size_bytes for _, drawn in sample for key, _, size_bytes in drawn}
    ordered = sorted(refs, key=lambda ref: -sizes[ref.media_id])
    for done, outcome in enumerate(annotator.annotate(ordered), start=1):
        measured[refs[outcome.media]].append(_measures(outcome))
        on_done(done, len(refs))
    sample_s = time.monotonic() - began_s
    spent = sum(one[0] for stratum in measured for one in stratum)
    totals = _totals([media for media, _ in sample], [np.array(stratum) for stratum in measured])
    return BacklogForecast(
        media=sampler.media,
        size_bytes=sampler.size_bytes,
        sampled=len(refs),
        sample_s=sample_s,
        strata=len(sample),
        worker_s=totals[0].times(sample_s / spent),
        tracks=totals[1],
        labels=totals[2],
        failed=_rare(totals[3], sampled=len(refs), media=sampler.media),
    )


# Stages overlap and media share batches: their times say how media compare, the clock says what all took together.
_OVERHEAD_S: Final = 1e-4  # a media that fails at once is not free either


def _measures(outcome: Outcome) -> tuple[float, ...]:
    """Return what is estimated of a media: time of its stages, tracks, labels, whether it failed."""
    if isinstance(outcome, MediaAnnotation):
        known = sum(label.identity is not None for label in outcome.labels)
        return sum(outcome.timings_s.values()) + _OVERHEAD_S, len(outcome.tracks), known, 0.0
    return _OVERHEAD_S, 0.0, 0.0, float(isinstance(outcome, MediaFailure))


def _totals(sizes: Sequence[int], strata: Sequence[npt.NDArray[np.float64]]) -> list[Estimate]:
    """Estimate the sums over the whole backlog, a column each.

    Args:
        sizes: media of each stratum.
        strata: f64 (n, M), the measures of the n sampled media of each stratum.

    """
    generator = np.random.default_rng(0)
    total, seen = np.zeros((2, strata[0].shape[1]))
    spread = np.zeros((_RESAMPLES, strata[0].shape[1]))
    for size, measures in zip(sizes, strata, strict=True):
        count = len(measures)
        total += size * measures.mean(axis=0)
        again = measures[generator.integers(0, count, (_RESAMPLES, count))].mean(axis=1)
        # Of a stratum that was annotated whole nothing is uncertain; a small sample varies less than its population.
        correction = math.sqrt(max(1 - count / size, 0.0) * count / max(count - 1, 1))
        spread += size * correction * (again - measures.mean(axis=0))
        seen += measures.sum(axis=0)
    low, high = np.quantile(spread, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0)
    return [
        Estimate(float(value), float(max(value + below, least)), float(value + above))  # it is what was seen at least
        for value, below, above, least in zip(total, low, high, seen, strict=True)
    ]


def _rare(estimate: Estimate, *, sampled: int, media: int) -> Estimate:
    """Return an estimate of what none of the sample showed: so many may have it that it would mostly have shown.

    >>> round(_rare(Estimate(0.0, 0.0, 0.0), sampled=200, media=10_000).high)
    149
    """
    if estimate.value or sampled >= media:
        return estimate
    return Estimate(0.0, 0.0, media * (1 - ((1 - COVERAGE) / 2) ** (1 / sampled)))


def forecast_in_words(forecast: BacklogForecast, *, price_per_hour: float | None, workers: Sequence[int]) -> str:
    """Return the forecast as lines for a person."""
    hours = forecast.worker_s.times(1 / 3600)
    rows = {
        "media/s of one worker": _ranged(forecast.media_per_s),
        "worker-hours": _ranged(hours),
        **({} if price_per_hour is None else {"cost": _ranged(hours.times(price_per_hour))}),
        "to fetch": _bytes(forecast.size_bytes),
        "tracks": _ranged(forecast.tracks),
        "labels": _ranged(forecast.labels),
        "will fail": _ranged(forecast.failed),
        "database": _ranged(forecast.database_bytes, _bytes),
        **{
            f"{count} worker{'s' if count > 1 else ''}": _ranged(forecast.worker_s.times(1 / count), _duration)
            for count in workers
        },
    }
    width = max(len(name) for name in rows)
    first = f"{forecast.sampled} media of {forecast.strata} sizes were annotated here in {forecast.sample_s:.0f} s"
    last = f"(in brackets: the {COVERAGE:.0%} interval of the sample; each worker has a machine as fast as this one)"
    return "\n".join([first, *(f"  {name:<{width}}  {value}" for name, value in rows.items()), last])


def _ranged(estimate: Estimate, write: Callable[[float], str] | None = None) -> str:
    write = write or _number
    return f"{write(estimate.value)}  ({write(estimate.low)} to {write(estimate.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


_UNITS: Final[Mapping[str, float]] = {"d": 86_400.0, "h": 3600.0, "min": 60.0}


def _duration(seconds: float) -> str:
    for unit, length_s in _UNITS.items():
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds:.3g} s"
