"""Which of two is better: on the same faces, with what chance alone would do.

Differences come with intervals by a paired bootstrap (both are measured on the same draws of people), and with
McNemar's exact test over the faces that only one of them has right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.accuracy.intervals import F64, Unit, bootstrap, interval_of, mcnemar, share, unit_kind
from annotator.errors import InputError
from trainer.evaluation.measures import RATES, TOP, OpenSet, left_out_set, open_set
from trainer.evaluation.report import Report
from trainer.evaluation.trial import Outcome

MARGIN: Final = 0.01
"""By how much a share may fall, by default, before the second counts as worse."""

MIN_FOUND: Final = 2
"""Of so many photographs found by the first, a person of whom the second finds none counts as lost."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of both.

    Attributes:
        measure: e.g. ``"top_1"``, ``"tpir_at_0.001, strangers"``.
        before: of the first.
        after: of the second.
        change: after minus before.
        low: lower end of the change's interval of 95 %.
        high: its upper end.
        gained: faces that only the second has right.
        lost: faces that only the first has right.
        mcnemar_p: exact probability of so uneven a change, were both equally good.

    """

    measure: str
    before: float
    after: float
    change: float
    low: float
    high: float
    gained: int
    lost: int
    mcnemar_p: float


@dataclass(frozen=True, slots=True)
class PersonChange:
    """One person in both.

    Attributes:
        name: who.
        photographs: shown to both.
        before: of these, found by the first.
        after: found by the second.

    """

    name: str
    photographs: int
    before: int
    after: int

    @property
    def is_lost(self) -> bool:
        """Whether the second finds no photograph of several that the first has found."""
        return self.before >= MIN_FOUND and self.after == 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations on the same faces.

    Attributes:
        before: name of the first.
        after: name of the second.
        faces: of people whom both know.
        strangers: of nobody whom either knows.
        left_aside: faces that only one was shown, or whose person only one knows.
        resampled: what was drawn again: ``"people"`` or ``"families"``.
        differences: by measure.
        people: who gains or loses photographs, the greatest loss first.
        worse: why the second is worse, in words; empty where it is not.

    """

    before: str
    after: str
    faces: int
    strangers: int
    left_aside: int
    resampled: Unit
    differences: tuple[Difference, ...]
    people: tuple[PersonChange, ...]
    worse: tuple[str, ...]

    @property
    def is_not_worse(self) -> bool:
        """Whether no measure falls beyond chance or the margin, and nobody is lost."""
        return not self.worse

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "is_not_worse": self.is_not_worse}


def compare_reports(before: Report, after: Report, *, margin: float = MARGIN) -> Comparison:
    """Compare two evaluations over the faces that both were shown.

    Args:
        before: what is there.
        after: what would take its place.
        margin: by how much a share may fall before it counts as worse, unless its interval leaves out no change: that
            counts however small it is.

    Raises:
        InputError: they have no face of a known person in common.

    """
    pairs, left_aside = _pairs(before, after)
    known = [(one, other) for one, other in pairs if one.person is not None]
    strangers = [(one, other) for one, other in pairs if one.person is None]
    if not known:
        raise InputError(
            f"{before.trial.name} and {after.trial.name} were not shown a photograph of one person whom both know: "
            "evaluate both on the same photographs"
        )
    unit = unit_kind([one.person or "" for one, _ in known])
    cases = _cases(known, strangers, unit)
    differences = _differences(cases, known, unit)
    people = _people(known, cases)
    return Comparison(
        before=before.trial.name,
        after=after.trial.name,
        faces=len(known),
        strangers=len(strangers),
        left_aside=left_aside,
        resampled=unit,
        differences=tuple(differences),
        people=tuple(people),
        worse=tuple(_worse(differences, people, margin)),
    )


Pair = tuple[Outcome, Outcome]


def _pairs(before: Report, after: Report) -> tuple[list[Pair], int]:
    """Return the faces of both, known to both or to none; and how many others there are."""
    first, second = (
        {one.key: one for one in (*report.trial.outcomes, *report.trial.strangers)} for report in (before, after)
    )
    pairs = [
        (first[key], second[key])
        for key in first
        if key in second and (first[key].person is None) == (second[key].person is None)
    ]
    return pairs, len(first.keys() | second.keys()) - len(pairs)


def _cases(known: Sequence[Pair], strangers: Sequence[Pair], unit: Unit) -> Mapping[str, tuple[OpenSet, OpenSet]]:
    """Return the open-set trials that can be set side by side, both parts of each in the same order."""
    cases: dict[str, tuple[OpenSet, OpenSet]] = {}
    if strangers:
        cases["strangers"] = _both(lambda side: open_set([p[side] for p in known], [p[side] for p in strangers], unit))
    asked = [pair for pair in known if all(one.as_known and one.as_stranger for one in pair)]
    if asked:
        cases["people left out"] = _both(lambda side: left_out_set([pair[side] for pair in asked], unit))
    return cases


def _both(make: Any) -> tuple[OpenSet, OpenSet]:  # noqa: ANN401 - a function of 0 or 1
    return make(0), make(1)


def _differences(cases: Mapping[str, tuple[OpenSet, OpenSet]], known: Sequence[Pair], unit: Unit) -> list[Difference]:
    units = [(one.person or "") if unit == "people" else one.family for one, _ in known]
    found = []
    for places in (1, TOP):
        hits = [np.array([pair[side].person in pair[side].answer.names[:places] for pair in known]) for side in (0, 1)]
        found.append(_difference(f"top_{places}", units, [_share_of(one) for one in hits], hits))
    for name, both in cases.items():
        for column, rate in enumerate(RATES):
            if any(np.isnan(case.threshold(rate)) for case in both):
                continue
            hits = [case.found > case.threshold(rate) for case in both]
            measures = [_tpir_of(case, column) for case in both]
            found.append(_difference(f"tpir_at_{rate:g}, {name}", both[0].units, measures, hits))
    return found


def _share_of(hits: NDArray[np.bool_]) -> Any:  # noqa: ANN401 - a measure
    return lambda weights: share(hits, weights)


def _tpir_of(case: OpenSet, column: int) -> Any:  # noqa: ANN401 - a measure
    return lambda weights: float(case.tpirs(weights)[column])


def _difference(
    measure: str, units: Sequence[str], measures: Sequence[Any], hits: Sequence[NDArray[np.bool_]]
) -> Difference:
    def both(weights: F64) -> F64:
        before, after = (one(weights) for one in measures)
        return np.array([before, after, after - before])

    values, replicates = bootstrap(units, both)
    change = interval_of(values[2], replicates[:, 2])
    gained, lost = int((hits[1] & ~hits[0]).sum()), int((hits[0] & ~hits[1]).sum())
    return Difference(
        measure=measure,
        before=round(float(values[0]), 6),
        after=round(float(values[1]), 6),
        change=round(float(values[2]), 6),
        low=round(change.low, 6) if change else -1.0,
        high=round(change.high, 6) if change else 1.0,
        gained=gained,
        lost=lost,
        mcnemar_p=round(mcnemar(gained, lost), 6),
    )


def _people(known: Sequence[Pair], cases: Mapping[str, tuple[OpenSet, OpenSet]]) -> list[PersonChange]:
    """Return who gains and loses: photographs found at FPIR 1 %, or named first where strangers are too few."""
    counts: dict[str, list[int]] = {}
    found = _found(known, cases)
    for (one, _), before, after in zip(known, *found, strict=True):
        count = counts.setdefault(one.person or "", [0, 0, 0])
        count[0] += 1
        count[1] += int(before)
        count[2] += int(after)
    changes = [PersonChange(name, *count) for name, count in counts.items() if count[1] != count[2]]
    return sorted(changes, key=lambda one: (one.after - one.before, one.name))


def _found(
    known: Sequence[Pair], cases: Mapping[str, tuple[OpenSet, OpenSet]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    for both in cases.values():
        thresholds = [case.threshold(RATES[0]) for case in both]
        if len(both[0].found) == len(known) and not np.isnan(thresholds).any():
            return both[0].found > thresholds[0], both[1].found > thresholds[1]
    return (
        np.array([one.is_right for one, _ in known], np.bool_),
        np.array([other.is_right for _, other in known], np.bool_),
    )


def _worse(differences: Sequence[Difference], people: Sequence[PersonChange], margin: float) -> list[str]:
    reasons = []
    for one in differences:
        if one.high < 0 or one.change < -margin:
            told = f"{100 * one.before:.1f} % to {100 * one.after:.1f} %"
            ends = f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
            reasons.append(f"{one.measure} falls from {told} ({ends} points)")
    reasons += [
        f"{one.name} is found on none of {one.photographs} photographs, on {one.before} before"
        for one in people
        if one.is_lost
    ]
    return reasons
