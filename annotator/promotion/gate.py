"""The gate: what a model must keep to be promoted, as checks that each say what they have found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from annotator.promotion.evaluation import Evaluation
from annotator.promotion.golden import FoundName, GoldenComparison
from annotator.settings import GateSettings
from annotator.store.diff import Coverage, LabellingDiff, PersonChange
from annotator.types import Identity

MOST_TOLD: Final = 50
"""People who are told one by one in a report."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of the gate.

    Attributes:
        name: short and stable.
        passed: whether it holds.
        found: what was found, as a sentence.

    """

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate has found.

    Attributes:
        model: what was tried.
        former: what is shown; None in an empty archive.
        checks: all of them.
        golden: both on the golden clips; None where there were none.
        diff: both on the archive; None where their tracks are of different networks, or there are none.

    """

    model: str
    former: str | None
    checks: tuple[Check, ...]
    golden: GoldenComparison | None
    diff: LabellingDiff | None

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, of bounded length."""
        return {
            "model": self.model,
            "former": self.former,
            "passed": self.passed,
            "checks": [{"name": one.name, "passed": one.passed, "found": one.found} for one in self.checks],
            "golden": None if self.golden is None else self.golden.to_json(most=MOST_TOLD),
            "archive": None if self.diff is None else diff_json(self.diff, most_people=MOST_TOLD),
        }


def run_checks(
    settings: GateSettings,
    *,
    coverage: Coverage | None,
    diff: LabellingDiff | None,
    golden: GoldenComparison | None,
    known: frozenset[Identity],
    evaluation: Evaluation | None = None,
) -> tuple[Check, ...]:
    """Hold what was found against the settings.

    Args:
        settings: the thresholds.
        coverage: how many contents the model has labelled, of those that what is shown has labelled; None where nothing
            is annotated.
        diff: what it changes on the archive; None where that cannot be compared track by track.
        golden: how it does on the golden clips; None where there are none.
        known: whom the model knows.
        evaluation: how it does on photographs; None where that was not asked.

    """
    checks = [*_check_evaluation(evaluation), *_check_golden(settings, golden), _check_coverage(settings, coverage)]
    if diff is not None:
        checks += [*_check_archive(settings, diff), _check_people(settings, diff, known)]
    elif golden is None and coverage is not None:
        checks.append(
            Check("another_network", False, "its tracks are of another network: only golden clips can tell (--golden)")
        )
    return tuple(checks)


def _check_evaluation(evaluation: Evaluation | None) -> Iterator[Check]:
    if evaluation is not None:
        reasons = "; ".join(evaluation.worse[:MOST_TOLD]) or "it is not worse on photographs"
        yield Check("evaluation", evaluation.is_not_worse, reasons)


def _check_golden(settings: GateSettings, golden: GoldenComparison | None) -> Iterator[Check]:
    if golden is None:
        if settings.needs_golden:
            yield Check("golden", False, "it was not tried on golden clips (--golden clips.csv --clips DIR)")
        return
    former, candidate = golden.former, golden.candidate
    found = f"of {golden.people} people of {golden.clips} golden clips it finds {len(candidate.right)}"
    wrong = f"of its names on golden clips {len(candidate.wrong)} are wrong"
    if former is None:
        yield Check("golden_found", bool(candidate.right) or not golden.people, found)
        yield Check(
            "golden_wrong", len(candidate.wrong) <= settings.max_golden_wrong, wrong + _listed(golden.wrong_anew)
        )
        return
    lost, won = golden.lost, golden.won
    yield Check(
        "golden_found",
        len(lost) - len(won) <= settings.max_golden_lost,
        f"{found}, {former.model} {len(former.right)}: {len(won)} anew, {len(lost)} no more{_listed(lost)}",
    )
    yield Check(
        "golden_wrong",
        len(candidate.wrong) - len(former.wrong) <= settings.max_golden_wrong,
        f"{wrong}, of {former.model}'s {len(former.wrong)}: {len(golden.wrong_anew)} anew{_listed(golden.wrong_anew)}",
    )


def _listed(found: Sequence[FoundName]) -> str:
    return " (" + "; ".join(f"{person} in {file}" for file, person in found[:MOST_TOLD]) + ")" if found else ""


def _check_coverage(settings: GateSettings, coverage: Coverage | None) -> Check:
    if coverage is None:
        return Check("coverage", True, "nothing is annotated yet: there is nothing to compare")
    if not coverage.labelled:
        return Check(
            "coverage",
            False,
            "nothing of what is annotated was labelled by the model that is shown (workers with other settings have"
            " annotated it): `annotator relabel --model MODEL --activate` for the model that is shown, and try again",
        )
    missing = coverage.labelled - coverage.both
    return Check(
        "coverage",
        missing / coverage.labelled <= settings.max_dropped,
        f"it has labelled {coverage.both:,} of {coverage.labelled:,} contents that are shown now",
    )


def _check_archive(settings: GateSettings, diff: LabellingDiff) -> Iterator[Check]:
    for name, count, limit, what in (
        ("flipped", diff.flipped, settings.max_flipped, "get another name"),
        ("dropped", diff.dropped, settings.max_dropped, "lose their name"),
    ):
        share = count / diff.named if diff.named else 0.0
        yield Check(
            name,
            share <= limit,
            f"{count:,} of {diff.named:,} named tracks {what} ({share:.2%}; {limit:.2%} may)",
        )


def _check_people(settings: GateSettings, diff: LabellingDiff, known: frozenset[Identity]) -> Check:
    names = {person.name for person in known}
    losing = [person for person in diff.people if _loses_much(settings, person)]
    told = "; ".join(
        f"{one.identity.name} loses {one.lost:,} of {one.before:,}"
        + ("" if one.identity.name in names else " (the model does not know this person)")
        for one in losing[:MOST_TOLD]
    )
    limit = f"{settings.max_person_lost:.0%}"
    found = f"{len(losing)} people lose more than {limit} of their tracks" + (f": {told}" if told else "")
    return Check("people", not losing, found)


def _loses_much(settings: GateSettings, person: PersonChange) -> bool:
    return person.before >= settings.person_tracks and person.lost > settings.max_person_lost * person.before


def diff_json(diff: LabellingDiff, *, most_people: int | None = None) -> dict[str, Any]:
    """Return what a labelling changes as JSON.

    Args:
        diff: what it changes.
        most_people: how many people are told, those who lose most first; None for all.

    """
    return {
        "before": diff.before.model,
        "after": diff.after.model,
        "contents": diff.contents,
        "unlabelled": diff.unlabelled,
        "named": diff.named,
        "added": diff.added,
        "dropped": diff.dropped,
        "flipped": diff.flipped,
        "people": [
            {
                "identity": one.identity.name,
                "kg_mid": one.identity.kg_mid,
                "before": one.before,
                "after": one.after,
                "added": one.added,
                "dropped": one.dropped,
                "flipped_away": one.flipped_away,
                "flipped_to": one.flipped_to,
            }
            for one in diff.people[:most_people]
        ],
        "pairs": [{"before": first.name, "after": second.name, "tracks": count} for first, second, count in diff.pairs],
        "flips": [
            {
                "media_uri": one.media_uri,
                "track": one.track_no,
                "before": one.before.name,
                "after": one.after.name,
                "first_ms": one.first_ms,
                "screen_time_ms": one.screen_ms,
                "views": one.views,
            }
            for one in diff.flips
        ],
    }
