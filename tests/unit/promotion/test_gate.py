"""What the gate refuses, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import InputError
from annotator.promotion.evaluation import read_evaluation
from annotator.promotion.gate import GateReport, run_checks
from annotator.promotion.golden import GoldenClip, GoldenComparison, GoldenTrial, score_names
from annotator.promotion.report import gate_html, summary_in_words
from annotator.settings import GateSettings
from annotator.store.diff import Coverage, Flip, LabellingDiff, PersonChange
from annotator.store.labellings import Labelling
from annotator.types import Identity

ADA, BEN = Identity("Ada Lovelace", "/m/0ada"), Identity("<Ben>")
KNOWN = frozenset({ADA, BEN})
ALL = Coverage(1000, 1000)


def diff_of(*people: PersonChange, named: int = 1000, **options: Any) -> LabellingDiff:
    flip = Flip("s3://gifs/a&b.gif", None, 1, 0, ADA, BEN, 1500, 2000, 12345.0)
    defaults: dict[str, Any] = {
        "contents": 1000,
        "unlabelled": 0,
        "added": sum(one.added for one in people),
        "dropped": sum(one.dropped for one in people),
        "flipped": sum(one.flipped_away for one in people),
        "pairs": ((ADA, BEN, 1),),
        "flips": (flip,),
    }
    both = {"before": Labelling(1, 1, "mine@1"), "after": Labelling(2, 1, "mine@2")}
    return LabellingDiff(**both, named=named, people=people, **defaults | options)


def person(identity: Identity = ADA, *, before: int = 100, dropped: int = 0, away: int = 0) -> PersonChange:
    return PersonChange(identity, before, dropped, away, 0, 0)


def refused(
    settings: GateSettings | None = None,
    *,
    diff: LabellingDiff | None = None,
    coverage: Coverage | None = ALL,
    golden: GoldenComparison | None = None,
    known: frozenset[Identity] = KNOWN,
) -> dict[str, str]:
    checks = run_checks(settings or GateSettings(), coverage=coverage, diff=diff, golden=golden, known=known)
    return {check.name: check.found for check in checks if not check.passed}


@pytest.mark.parametrize(
    ("diff", "names"),
    [
        (diff_of(person(dropped=10, away=10)), set()),
        (diff_of(person(dropped=10, away=11)), {"flipped", "people"}),
        (diff_of(person(dropped=21)), {"people"}),
        (diff_of(person(before=1000, dropped=50, away=10)), set()),
        (diff_of(person(before=1000, dropped=51)), {"dropped"}),
        (diff_of(person(before=1000, away=11)), {"flipped"}),
        (diff_of(person(before=4, dropped=4)), set()),
        (diff_of(person(before=5, dropped=5)), {"people"}),
        (diff_of(named=0), set()),
    ],
)
def test_limits_are_the_last_values_that_pass(diff: LabellingDiff, names: set[str]) -> None:
    assert refused(diff=diff).keys() == names


def test_settings_move_the_limits() -> None:
    loose = GateSettings(max_flipped=0.5, max_dropped=0.5, max_person_lost=1.0)
    assert refused(loose, diff=diff_of(person(dropped=60, away=40))) == {}
    strict = GateSettings(max_flipped=0.0, max_dropped=0.0, max_person_lost=0.0, person_tracks=1)
    assert refused(strict, diff=diff_of(person(away=1), person(BEN, dropped=1))).keys() == {
        "flipped",
        "dropped",
        "people",
    }


def test_who_loses_is_told_with_numbers_and_whether_the_model_knows_them() -> None:
    found = refused(diff=diff_of(person(dropped=90), person(BEN, before=10, away=9)), known=frozenset({BEN}))
    assert "Ada Lovelace loses 90 of 100 (the model does not know this person)" in found["people"]
    assert "<Ben> loses 9 of 10" in found["people"]
    assert found["people"].count("does not know") == 1


def test_an_archive_that_it_has_not_labelled_refuses_it() -> None:
    assert refused(diff=diff_of(), coverage=Coverage(1000, 950)) == {}
    assert "949 of 1,000" in refused(diff=diff_of(), coverage=Coverage(1000, 949))["coverage"]


def test_an_archive_in_which_nothing_has_the_names_that_are_shown_is_not_an_empty_one() -> None:
    assert refused(coverage=None) == {}
    found = refused(coverage=Coverage(0, 0))
    assert found.keys() == {"coverage", "another_network"}
    assert "annotator relabel --model MODEL --activate" in found["coverage"]


def test_a_model_of_another_network_needs_golden_clips() -> None:
    assert refused().keys() == {"another_network"}
    same = GoldenTrial("x@1", frozenset({("a.gif", "Ada")}), frozenset())
    assert refused(golden=GoldenComparison(1, 1, same, same)) == {}
    assert refused(GateSettings(needs_golden=True), diff=diff_of()).keys() == {"golden"}


def test_what_is_worse_on_photographs_is_refused_with_the_reasons(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    for verdict, worse in ((True, []), (False, ["TPIR at FPIR 0.1 % falls by 0.04"])):
        path.write_text(json.dumps({"is_not_worse": verdict, "worse": worse, "people": []}))
        settings, evaluation = GateSettings(), read_evaluation(path)
        checks = run_checks(settings, coverage=ALL, diff=diff_of(), golden=None, known=KNOWN, evaluation=evaluation)
        assert [check.found for check in checks if not check.passed] == worse
        assert "evaluation" in {check.name for check in checks}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"is_not_worse": "yes", "worse": []}', '{"is_not_worse": true}'])
def test_what_is_no_comparison_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(InputError, match="trainer compare"):
        read_evaluation(tmp_path / "comparison.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_evaluation(tmp_path / "missing.json")


CLIPS = [GoldenClip("a.gif", ("Ada Lovelace", "Bén Brown")), GoldenClip("b.gif", ()), GoldenClip("c.gif", ("Cat",))]


def trial(model: str, **found: set[str]) -> GoldenTrial:
    return score_names(model, CLIPS, {f"{name}.gif": found.get(name, set()) for name in ("a", "b", "c")})


def test_names_are_right_or_wrong_only_where_somebody_knows() -> None:
    scored = trial("x@1", a={"ada lovelace", "Ben Brown", "Dora"}, b={"Dora"}, c=set())
    assert scored.right == {("a.gif", "Ada Lovelace"), ("a.gif", "Bén Brown")}
    assert scored.wrong == {("a.gif", "Dora")}


@pytest.mark.parametrize(
    ("found", "names"),
    [
        ({"a": {"Ada Lovelace"}, "c": {"Cat"}}, set()),
        ({"a": {"Ada Lovelace"}}, {"golden_found"}),
        ({"a": {"Ada Lovelace", "Bén Brown"}, "c": set()}, set()),
        ({"a": {"Ada Lovelace"}, "c": {"Cat", "Dora"}}, {"golden_wrong"}),
    ],
)
def test_golden_clips_must_not_come_out_worse(found: dict[str, set[str]], names: set[str]) -> None:
    former = trial("x@1", a={"Ada Lovelace"}, c={"Cat"})
    golden = GoldenComparison(3, 3, former, trial("x@2", **found))
    assert refused(diff=diff_of(), golden=golden).keys() == names


def test_who_is_lost_and_won_on_golden_clips_is_told() -> None:
    former, candidate = trial("x@1", a={"Ada Lovelace"}), trial("x@2", c={"Cat", "Dora"})
    told = GoldenComparison(3, 3, former, candidate).to_json(most=1)
    assert told["lost"] == [{"file": "a.gif", "identity": "Ada Lovelace"}]
    assert told["won"] == [{"file": "c.gif", "identity": "Cat"}]
    assert told["wrong_anew"] == [{"file": "c.gif", "identity": "Dora"}]


def test_the_report_shows_verdict_numbers_and_faces_and_escapes_names() -> None:
    diff = diff_of(person(dropped=90), person(BEN, before=10, away=9))
    checks = run_checks(GateSettings(), coverage=ALL, diff=diff, golden=None, known=KNOWN)
    page = gate_html(GateReport("mine@2", "mine@1", checks, None, diff), [b"\xff\xd8jpeg"])
    assert "mine@2 is refused by the gate" in page
    assert "data:image/jpeg;base64,/9hqcGVn" in page
    assert "&lt;Ben&gt;" in page
    assert "<Ben>" not in page
    assert "a&amp;b.gif" in page
    assert "12,345 views" in page
    assert summary_in_words(diff) == (
        "mine@2 against mine@1, over 1,000 contents with 1,000 named tracks: adds 0 labels, drops 90, flips 9"
    )


def test_a_report_is_of_bounded_length() -> None:
    crowd = [person(Identity(f"Person {number}"), dropped=100 - number % 7) for number in range(500)]
    diff = diff_of(*crowd, named=50_000)
    found = frozenset((f"{number}.gif", "Ada Lovelace") for number in range(500))
    none: frozenset[tuple[str, str]] = frozenset()
    golden = GoldenComparison(500, 500, GoldenTrial("mine@1", found, none), GoldenTrial("mine@2", none, found))
    checks = run_checks(GateSettings(), coverage=ALL, diff=diff, golden=golden, known=KNOWN)
    told = GateReport("mine@2", "mine@1", checks, golden, diff).to_json()
    assert len(told["archive"]["people"]) == len(told["golden"]["lost"]) == len(told["golden"]["wrong_anew"]) == 50
    assert max(len(check["found"]) for check in told["checks"]) < 6000
