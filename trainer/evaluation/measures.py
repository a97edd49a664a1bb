"""What a trial shows, in numbers with intervals. Only the outcomes are looked at, never a photograph."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from annotator.accuracy.intervals import F64, Interval, Unit, bootstrap, interval_of, share, unit_kind, wilson
from annotator.accuracy.measures import score_at_rate
from trainer.evaluation.recognisers import Answer
from trainer.evaluation.trial import Outcome, Trial

RATES: Final = (0.01, 0.001)
"""Shares of strangers' faces that get a name (FPIR) at which is told how many known faces do (TPIR)."""

OPERATING_RATE: Final = 0.01
"""Where no threshold was ever set, the one that so many of the strangers at hand reach."""

SIZE_LIMITS_PX: Final = (0.0, 32.0, 48.0, 64.0, 112.0, float("inf"))
"""Faces are parted by their size on the photograph at these."""

CURVE_POINTS: Final = 60
TOP: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class OpenSet:
    """Known faces and strangers' faces before one gallery.

    Attributes:
        found: f64 (G,), scores of known faces whose first name is the right one; -inf for the others.
        impostor: f64 (S,), best scores of strangers.
        units: of the known faces, then of the strangers: what is drawn together.

    """

    found: F64
    impostor: F64
    units: tuple[str, ...]

    def threshold(self, rate: float, weights: F64 | None = None) -> float:
        """Return the score above which at most this share of strangers is; nan where they are too few to tell."""
        counts = np.ones(len(self.impostor)) if weights is None else weights
        total = float(counts.sum())
        if rate * total < 1 - 1e-9:
            return float("nan")
        return score_at_rate(self.impostor, counts, rate)

    def tpirs(self, weights: F64) -> F64:
        """Return the shares of known faces found, f64 (rates,), with samples counted as often as this."""
        known, strangers = weights[: len(self.found)], weights[len(self.found) :]
        return np.array([self._tpir(self.threshold(rate, strangers), known) for rate in RATES])

    def _tpir(self, threshold: float, weights: F64) -> float:
        return float("nan") if np.isnan(threshold) else share(self.found > threshold, weights)


def summarise(trial: Trial) -> dict[str, Any]:
    """Return all measures as JSON."""
    unit = unit_kind([one.person or "" for one in trial.known])
    by_strangers = open_set(trial.known, trial.unknown, unit)
    by_left_out = left_out_set(trial.known, unit)
    threshold = _threshold(trial, by_strangers, by_left_out)
    named = NamedBy(threshold)
    return {
        "resampled": unit,
        "photographs": len(trial.known),
        "people_shown": len({one.person for one in trial.known}),
        "closed_set": closed_set(trial.known, unit),
        "open_set": {"strangers": tell_open_set(by_strangers), "left_out": tell_open_set(by_left_out)},
        "operating_point": {
            "threshold": "of the model" if threshold is None else round(threshold, 6),
            "known": _verdicts(trial.known, named),
            "strangers": _verdicts(trial.unknown, named),
        },
        "coverage": coverage_curve(trial),
        "by_size_on_photograph": _by_size(trial.known, named),
        "by_size_made": [
            {"face_px": size_px, **_of_size(trial, outcomes, unit)}
            for size_px, outcomes in sorted(trial.by_size.items(), reverse=True)
        ],
        "people": per_person(trial, named),
        "confusions": confusions(trial, named),
    }


def units_of(outcomes: Sequence[Outcome], unit: Unit) -> tuple[str, ...]:
    """Return what is drawn together: the person or the family; strangers go by their family, which is a person."""
    return tuple(one.person if unit == "people" and one.person is not None else one.family for one in outcomes)


def open_set(known: Sequence[Outcome], strangers: Sequence[Outcome], unit: Unit) -> OpenSet:
    """Set the whole gallery's answers for known people against those for strangers."""
    return OpenSet(
        np.array([found_score(one.answer, one.person) for one in known], np.float64),
        np.array([best_score(one.answer) for one in strangers], np.float64),
        units_of([*known, *strangers], unit),
    )


def left_out_set(known: Sequence[Outcome], unit: Unit) -> OpenSet:
    """Set known people's answers against those for the same people left out."""
    asked = [one for one in known if one.as_known is not None and one.as_stranger is not None]
    return OpenSet(
        np.array([found_score(one.as_known, one.person) for one in asked], np.float64),
        np.array([best_score(one.as_stranger) for one in asked], np.float64),
        units_of([*asked, *asked], unit),
    )


def found_score(answer: Answer | None, person: str | None) -> float:
    """Return the score of the first name if it is the right one, else -inf."""
    return answer.scores[0] if answer is not None and answer.names[:1] == (person,) else -np.inf


def best_score(answer: Answer | None) -> float:
    """Return the score of the first name; -inf where there is none."""
    return answer.scores[0] if answer is not None and answer.scores else -np.inf


def tell_open_set(case: OpenSet) -> dict[str, Any]:
    """Return TPIR at each FPIR with its interval; None where the strangers are too few for the rate."""
    told: dict[str, Any] = {"known": len(case.found), "strangers": len(case.impostor)}
    if not len(case.found) or not len(case.impostor):
        return told | {f"tpir_at_{rate:g}": None for rate in RATES}
    values, replicates = bootstrap(case.units, case.tpirs)
    for column, rate in enumerate(RATES):
        interval = interval_of(values[column], replicates[:, column])
        told[f"tpir_at_{rate:g}"] = _json(interval)
        told[f"min_score_at_{rate:g}"] = None if interval is None else round(case.threshold(rate), 6)
    return told


def closed_set(known: Sequence[Outcome], unit: Unit) -> dict[str, Any]:
    """Return how often the right person comes first, and among the first five."""
    hits = [np.array([one.person in one.answer.names[:places] for one in known], np.bool_) for places in (1, TOP)]
    if not known:
        return {"top_1": None, "top_5": None}
    values, replicates = bootstrap(
        units_of(known, unit), lambda weights: np.array([share(one, weights) for one in hits])
    )
    return {
        f"top_{places}": _json(interval_of(values[column], replicates[:, column]))
        for column, places in enumerate((1, TOP))
    }


@dataclass(frozen=True, slots=True)
class NamedBy:
    """Which answers would be given as names.

    Attributes:
        threshold: a score that must be exceeded; None for the model's own thresholds.

    """

    threshold: float | None

    def __call__(self, outcome: Outcome) -> str | None:
        """Return the name that is given to a face; None for «unknown»."""
        answer = outcome.answer
        is_given = bool(answer.is_named) if self.threshold is None else best_score(answer) > self.threshold
        return answer.names[0] if is_given and answer.names else None


def threshold_of(trial: Trial) -> float | None:
    """Return the score that names must exceed: that of 1 % of the strangers at hand; None for the model's own."""
    unit = unit_kind([one.person or "" for one in trial.known])
    return _threshold(trial, open_set(trial.known, trial.unknown, unit), left_out_set(trial.known, unit))


def _threshold(trial: Trial, by_strangers: OpenSet, by_left_out: OpenSet) -> float | None:
    if any(one.answer.is_named is not None for one in trial.outcomes):
        return None
    for case in (by_strangers, by_left_out):
        threshold = case.threshold(OPERATING_RATE)
        if not np.isnan(threshold):
            return threshold
    impostors = np.concatenate([by_strangers.impostor, by_left_out.impostor])
    return float(impostors.max()) if len(impostors) else 0.0  # too few for a rate: none of them is named


def _verdicts(outcomes: Sequence[Outcome], named: NamedBy) -> dict[str, Any]:
    names = [named(one) for one in outcomes]
    right = sum(name is not None and name == one.person for name, one in zip(names, outcomes, strict=True))
    unknown = sum(name is None for name in names)
    counts = {"right": right, "wrong": len(names) - right - unknown, "unknown": unknown}
    return {"faces": len(names)} | {
        kind: {"count": count, "share": _json(wilson(count, len(names)))} for kind, count in counts.items()
    }


def coverage_curve(trial: Trial) -> list[list[float]]:
    """Return how right names are when only the surest are given.

    Returns:
        ``[coverage, precision, score]`` from the surest on: of all faces, known and strangers', the share that gets a
        name at this score; of these names, the share that is right. Photographs made small do not count.

    """
    outcomes = [*trial.known, *trial.unknown]
    order = sorted(outcomes, key=lambda one: -best_score(one.answer))
    right = np.cumsum([one.is_right for one in order])
    marks = np.unique(np.linspace(0, len(order) - 1, min(CURVE_POINTS, len(order))).round().astype(int))
    return [
        [
            round((mark + 1) / len(order), 5),
            round(float(right[mark] / (mark + 1)), 5),
            _finite(best_score(order[mark].answer)),
        ]
        for mark in marks
    ]


def _by_size(known: Sequence[Outcome], named: NamedBy) -> list[dict[str, Any]]:
    parts = []
    for low, high in pairwise(SIZE_LIMITS_PX):
        mine = [one for one in known if low <= one.face_px < high]
        if mine:
            found = sum(named(one) == one.person for one in mine)
            top_1 = sum(one.is_right for one in mine)
            parts.append(
                {
                    "from_px": low,
                    "to_px": None if np.isinf(high) else high,
                    "photographs": len(mine),
                    "top_1": _json(wilson(top_1, len(mine))),
                    "named_right": _json(wilson(found, len(mine))),
                }
            )
    return parts


def _of_size(trial: Trial, outcomes: Sequence[Outcome], unit: Unit) -> dict[str, Any]:
    known = [one for one in outcomes if one.person is not None]
    strangers = [one for one in outcomes if one.person is None]
    told: dict[str, Any] = {**closed_set(known, unit), **tell_open_set(open_set(known, strangers, unit))}
    if trial.kind == "model":
        told["named_right"] = _verdicts(known, NamedBy(None))["right"]["share"]
        told["strangers_named"] = _verdicts(strangers, NamedBy(None))["wrong"]["share"]
    return told


def per_person(trial: Trial, named: NamedBy) -> list[dict[str, Any]]:
    """Return of each person shown how many photographs are found, and how many of the names given are right."""
    shown = Counter(one.person for one in trial.known if one.person is not None)
    given = [(named(one), one.person) for one in (*trial.known, *trial.unknown)]
    right = Counter(name for name, person in given if name is not None and name == person)
    said = Counter(name for name, _ in given if name is not None)
    return [
        {
            "name": name,
            "photographs": shown[name],
            "found": right[name],
            "recall": _json(wilson(right[name], shown[name])),
            "named": said[name],
            "precision": _json(wilson(right[name], said[name])),
        }
        for name in sorted(shown)
    ]


def confusions(trial: Trial, named: NamedBy) -> list[dict[str, Any]]:
    """Return who is taken for whom: first where a wrong name is given, then where it would be the nearest."""
    cases: dict[tuple[str | None, str], list[Outcome]] = {}
    for one in (*trial.known, *trial.unknown):
        is_given = named(one) is not None
        if one.answer.names and not one.is_right and (one.person is not None or is_given):
            cases.setdefault((one.person, one.answer.names[0]), []).append(one)
    told = []
    for (person, said), mine in cases.items():
        worst = sorted(mine, key=lambda one: -best_score(one.answer))
        told.append(
            {
                "person": person,
                "taken_for": said,
                "photographs": [one.key for one in worst],
                "given": sum(named(one) is not None for one in mine),
                "score": _finite(best_score(worst[0].answer)),
            }
        )
    return sorted(told, key=lambda one: (-one["given"], -len(one["photographs"]), -one["score"]))


def _json(interval: Interval | None) -> list[float] | None:
    return None if interval is None else interval.to_json()


def _finite(score: float) -> float:
    return round(float(np.clip(score, -1e9, 1e9)), 6)
