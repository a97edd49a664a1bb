import numpy as np
import pytest

from annotator.accuracy.intervals import bootstrap, interval_of, mcnemar, unit_kind, wilson
from trainer.evaluation.measures import OpenSet, summarise
from trainer.evaluation.recognisers import Answer
from trainer.evaluation.trial import Outcome, Trial


def said(name: str, score: float, *, is_named: bool | None = None) -> Answer:
    return Answer((name, "Nobody"), (score, score - 0.3), is_named)


def outcome(key: str, person: str | None, answer: Answer, *, family: str | None = None, px: float = 112.0) -> Outcome:
    return Outcome(key, person, family or key, px, answer)


def strangers(count: int, *, best: float = 0.5) -> tuple[Outcome, ...]:
    scores = np.linspace(0.0, best, count)
    return tuple(outcome(f"s{number}", None, said("Ann", float(score))) for number, score in enumerate(scores))


def test_at_a_rate_of_one_per_cent_one_stranger_of_a_hundred_is_over_the_threshold() -> None:
    case = OpenSet(np.array([0.6, 0.495, 0.4]), np.linspace(0.0, 0.5, 100), tuple("abc") + tuple(map(str, range(100))))
    threshold = case.threshold(0.01)
    assert (case.impostor > threshold).sum() == 1
    assert case.tpirs(np.ones(103))[0] == pytest.approx(2 / 3)


def test_a_rate_that_the_strangers_are_too_few_for_is_not_told() -> None:
    case = OpenSet(np.array([0.6]), np.linspace(0.0, 0.5, 999), ("a", *map(str, range(999))))
    assert np.isnan(case.threshold(0.001))
    assert not np.isnan(OpenSet(case.found, np.append(case.impostor, 0.1), (*case.units, "x")).threshold(0.001))


def test_a_stranger_drawn_twice_counts_twice_for_the_threshold() -> None:
    case = OpenSet(np.array([0.6]), np.array([0.5, 0.4, 0.3, 0.2]), ("k", "a", "b", "c", "d"))
    assert case.threshold(0.5) == 0.3
    assert case.threshold(0.5, np.array([2.0, 1.0, 1.0, 0.0])) == 0.4


def test_a_known_face_that_is_nearest_to_somebody_else_is_not_found_whatever_its_score() -> None:
    known = (outcome("a", "Ann", said("Ann", 0.9)), outcome("b", "Bob", said("Ann", 0.95)))
    measures = summarise(Trial("it", "head", 2, known, strangers(100)))
    assert measures["open_set"]["strangers"]["tpir_at_0.01"][0] == 0.5
    assert measures["closed_set"]["top_1"][0] == 0.5


def test_the_right_person_second_counts_among_the_first_five_only() -> None:
    known = (outcome("a", "Ann", Answer(("Bob", "Ann"), (0.9, 0.8), None)),)
    closed = summarise(Trial("it", "head", 2, known))["closed_set"]
    assert (closed["top_1"][0], closed["top_5"][0]) == (0.0, 1.0)


def test_names_of_a_model_are_judged_at_its_own_thresholds() -> None:
    known = (
        outcome("a", "Ann", said("Ann", 0.2, is_named=True)),
        outcome("b", "Ann", said("Ann", 0.9, is_named=False)),
        outcome("c", "Bob", said("Ann", 0.3, is_named=True)),
    )
    measures = summarise(Trial("it", "model", 2, known, (outcome("s", None, said("Ann", 0.1, is_named=True)),)))
    point = measures["operating_point"]
    assert [point["known"][kind]["count"] for kind in ("right", "wrong", "unknown")] == [1, 1, 1]
    assert point["strangers"]["wrong"]["count"] == 1
    ann, bob = measures["people"]
    assert (ann["found"], ann["photographs"], ann["named"], ann["recall"][0]) == (1, 2, 3, 0.5)
    assert ann["precision"][0] == pytest.approx(1 / 3, abs=1e-5)
    assert (bob["found"], bob["named"], bob["precision"]) == (0, 0, None)


def test_where_no_threshold_was_set_one_per_cent_of_the_strangers_get_a_name() -> None:
    known = (outcome("a", "Ann", said("Ann", 0.9)), outcome("b", "Ann", said("Ann", 0.4)))
    point = summarise(Trial("it", "prototypes", 2, known, strangers(200)))["operating_point"]
    assert point["strangers"]["wrong"]["count"] == 2
    assert point["known"]["right"]["count"] == 1


def test_confusions_begin_with_wrong_names_that_are_given_and_tell_strangers_only_then() -> None:
    known = (
        outcome("a", "Ann", said("Bob", 0.9, is_named=False)),
        outcome("b", "Cid", said("Bob", 0.5, is_named=True)),
        outcome("c", "Bob", said("Bob", 0.9, is_named=True)),
    )
    others = (
        outcome("s", None, said("Cid", 0.8, is_named=True)),
        outcome("t", None, said("Ann", 0.9, is_named=False)),
    )
    cases = summarise(Trial("it", "model", 3, known, others))["confusions"]
    assert [(one["person"], one["taken_for"], one["given"]) for one in cases] == [
        (None, "Cid", 1),
        ("Cid", "Bob", 1),
        ("Ann", "Bob", 0),
    ]


def test_the_curve_begins_with_the_surest_name_and_ends_with_all_faces() -> None:
    known = (outcome("a", "Ann", said("Ann", 0.9)), outcome("b", "Bob", said("Ann", 0.2)))
    curve = summarise(Trial("it", "head", 2, known, strangers(2, best=0.5)))["coverage"]
    assert curve[0] == [0.25, 1.0, 0.9]
    assert curve[-1][:2] == [1.0, 0.25]


def test_faces_are_parted_by_their_size_on_the_photograph() -> None:
    known = (
        outcome("a", "Ann", said("Ann", 0.9), px=40),
        outcome("b", "Ann", said("Bob", 0.9), px=47.9),
        outcome("c", "Ann", said("Ann", 0.9), px=300),
    )
    parts = summarise(Trial("it", "head", 2, known))["by_size_on_photograph"]
    assert [(one["from_px"], one["photographs"], one["top_1"][0]) for one in parts] == [(32.0, 2, 0.5), (112.0, 1, 1.0)]


def test_photographs_of_one_person_are_drawn_together() -> None:
    units = ["a"] * 50 + ["b"] * 50
    hits = np.array([True] * 50 + [False] * 50)
    value, replicates = bootstrap(units, lambda weights: np.array([(hits * weights).sum() / weights.sum()]))
    assert value[0] == 0.5
    assert set(np.unique(replicates)) == {0.0, 0.5, 1.0}  # singly drawn, nearly all would lie between 0.4 and 0.6
    interval = interval_of(value[0], replicates[:, 0])
    assert interval is not None
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_people_are_drawn_where_there_are_twenty() -> None:
    assert unit_kind([f"p{number}" for number in range(20)]) == "people"
    assert unit_kind([f"p{number % 19}" for number in range(400)]) == "families"


def test_an_interval_comes_out_the_same_twice() -> None:
    units = [str(number) for number in range(40)]
    hits = np.arange(40) % 3 == 0
    first, second = (bootstrap(units, lambda w: np.array([(hits * w).sum() / w.sum()]))[1] for _ in range(2))
    assert np.array_equal(first, second)


def test_wilson_of_all_and_none_stays_within_bounds() -> None:
    everything, nothing = wilson(3, 3), wilson(0, 3)
    assert everything is not None
    assert nothing is not None
    assert everything.high == 1.0
    assert 0.4 < everything.low < 0.5
    assert nothing.low == 0.0
    assert wilson(0, 0) is None


@pytest.mark.parametrize(
    ("gained", "lost", "probability"), [(0, 0, 1.0), (1, 0, 1.0), (10, 0, 2 / 1024), (8, 2, 0.109375)]
)
def test_mcnemar_is_the_binomial_test_of_what_differs(gained: int, lost: int, probability: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(probability)
