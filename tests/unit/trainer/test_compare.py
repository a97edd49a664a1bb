import re

import pytest

from annotator.errors import InputError
from trainer.evaluation.comparison import compare_reports
from trainer.evaluation.comparison_html import comparison_html
from trainer.evaluation.recognisers import Answer
from trainer.evaluation.report import Report
from trainer.evaluation.trial import Outcome, Trial

STRANGERS = 200
PEOPLE = [f"P{number}" for number in range(30)]


def report(name: str, right: set[str], *, people: list[str] = PEOPLE, score: float = 0.9) -> Report:
    """Return a report of four photographs each; those in ``right`` are named rightly."""
    outcomes = []
    for person in people:
        for number in range(4):
            key = f"{person}/{number}"
            first = person if key in right or person in right else "Somebody"
            answer = Answer((first, "Other"), (score, 0.1), None)
            outcomes.append(Outcome(key, person, key, 112.0, answer))
    others = [
        Outcome(f"s{number}", None, f"s{number}", 112.0, Answer(("P1",), (0.5 * number / STRANGERS,), None))
        for number in range(STRANGERS)
    ]
    return Report.of(Trial(name, "prototypes", len(people), tuple(outcomes), tuple(others)))


def measure(comparison: object, name: str) -> object:
    return next(one for one in comparison.differences if one.measure == name)  # type: ignore[attr-defined]


def test_a_report_is_not_worse_than_itself_and_nothing_changes() -> None:
    same = report("a", set(PEOPLE[:25]))
    comparison = compare_reports(same, same)
    assert comparison.is_not_worse
    assert comparison.people == ()
    assert all((one.change, one.low, one.high, one.mcnemar_p) == (0.0, 0.0, 0.0, 1.0) for one in comparison.differences)


def test_gains_and_losses_are_told_with_interval_and_probability() -> None:
    before, after = report("a", set(PEOPLE[:20])), report("b", set(PEOPLE[:28]))
    comparison = compare_reports(before, after)
    top_1 = measure(comparison, "top_1")
    assert (top_1.gained, top_1.lost) == (32, 0)  # type: ignore[attr-defined]
    assert top_1.change == pytest.approx(8 / 30, abs=1e-6)  # type: ignore[attr-defined]
    assert 0 < top_1.low < top_1.change < top_1.high < 0.5  # type: ignore[attr-defined]
    assert top_1.mcnemar_p < 1e-6  # type: ignore[attr-defined]
    assert comparison.is_not_worse
    assert [(one.name, one.before, one.after) for one in comparison.people] == [
        (person, 0, 4) for person in sorted(PEOPLE[20:28])
    ]
    assert not compare_reports(after, before).is_not_worse


def test_the_bootstrap_is_paired_so_that_what_both_have_wrong_does_not_widen_the_interval() -> None:
    before = report("a", set(PEOPLE[:15]))
    after = report("b", set(PEOPLE[:15]) - {"P0"} | {f"P0/{number}" for number in range(3)})
    top_1 = measure(compare_reports(before, after), "top_1")
    assert top_1.high - top_1.low < 0.04  # type: ignore[attr-defined] # unpaired it would be about 0.5


def test_a_person_who_is_found_no_more_makes_it_worse_however_good_the_others_are() -> None:
    before = report("a", set(PEOPLE[:20]))
    after = report("b", set(PEOPLE) - {"P3"})
    comparison = compare_reports(before, after)
    assert comparison.people[0].name == "P3"
    assert comparison.people[0].is_lost
    assert comparison.worse == ("P3 is found on none of 4 photographs, on 4 before",)


def test_a_person_found_once_before_and_not_after_is_told_but_not_lost() -> None:
    comparison = compare_reports(report("a", {*PEOPLE[:20], "P25/0"}), report("b", set(PEOPLE[:21])))
    assert [one.is_lost for one in comparison.people] == [False, False]
    assert comparison.people[0].name == "P25"


def test_a_fall_beyond_the_margin_is_worse_and_within_it_only_where_it_is_no_chance() -> None:
    before = report("a", set(PEOPLE))
    after = report("b", set(PEOPLE) - {"P3"} | {f"P3/{number}" for number in range(3)})  # 1 of 120 photographs
    assert compare_reports(before, after, margin=0.01).is_not_worse
    (reason, *_) = compare_reports(before, after, margin=0.005).worse
    assert reason.startswith("top_1 falls from 100.0 % to 99.2 %")
    spread = report("b", {f"{person}/{number}" for person in PEOPLE for number in range(3)})  # one of each person's
    assert not compare_reports(before, spread, margin=0.9).is_not_worse


def test_found_means_above_the_threshold_that_strangers_set_for_each() -> None:
    before, after = report("a", set(PEOPLE)), report("b", set(PEOPLE), score=0.4)
    comparison = compare_reports(before, after)
    assert measure(comparison, "top_1").change == 0.0  # type: ignore[attr-defined]
    assert measure(comparison, "tpir_at_0.01, strangers").after == 0.0  # type: ignore[attr-defined]
    assert len(comparison.people) == 30


def test_a_rate_that_strangers_are_too_few_for_is_not_compared() -> None:
    both = report("a", set(PEOPLE)), report("b", set(PEOPLE))
    assert [one.measure for one in compare_reports(*both).differences] == ["top_1", "top_5", "tpir_at_0.01, strangers"]


def test_only_faces_that_both_were_shown_and_people_whom_both_know_count() -> None:
    comparison = compare_reports(
        report("a", set(PEOPLE), people=PEOPLE[:20]), report("b", set(PEOPLE), people=PEOPLE[5:])
    )
    assert comparison.faces == 60
    assert comparison.strangers == 200
    assert comparison.left_aside == 60


def test_reports_without_a_face_in_common_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="same photographs"):
        compare_reports(report("a", set(), people=PEOPLE[:5]), report("b", set(), people=PEOPLE[5:]))


def test_the_page_tells_the_verdict_and_escapes_names() -> None:
    name = "<b>x</b>"
    page = comparison_html(compare_reports(report("a", set(PEOPLE)), report(name, set(PEOPLE[:20]))))
    assert "&lt;b&gt;x&lt;/b&gt; is worse" in page
    assert name not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
