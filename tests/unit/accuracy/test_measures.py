"""Shares at a prior, thresholds by rate, calibration: on tracks whose answer is known by counting."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from annotator.accuracy.intervals import wilson
from annotator.accuracy.measures import (
    JudgedTracks,
    calibration_curve,
    calibration_error,
    found_over,
    joined,
    nearest_is_right,
    precision_at,
    recall_at,
    score_at_rate,
    strangers_named,
    strangers_over,
)


def judged(*, known: Any, right: Any, scores: Any, subjects: Any = None) -> JudgedTracks:
    """Return tracks whose log ratio is their score."""
    count = len(scores)
    names = tuple(map(str, range(count))) if subjects is None else tuple(subjects)
    return JudgedTracks(
        is_known=np.array(known, bool),
        is_right=np.array(right, bool),
        scores=np.array(scores, float),
        log_ratios=np.array(scores, float),
        is_named=np.array(scores, float) > 0,
        tracks=np.arange(count),
        subjects=names,
    )


def some() -> JudgedTracks:
    """Return ten known tracks, of which nine are right and eight are sure, and twenty strangers', of which one is."""
    return judged(
        known=[True] * 10 + [False] * 20,
        right=[True] * 9 + [False] * 21,
        scores=[5.0] * 8 + [-5.0] * 2 + [5.0] + [-5.0] * 19,
    )


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.02])
def test_the_precision_is_that_of_a_world_with_so_many_known_people(prior: float) -> None:
    found = precision_at(some(), confidence=0.5, prior=0.5)
    assert found is not None
    expected = 0.5 * 0.8 / (0.5 * 0.8 + 0.5 * 0.05)
    assert found.value == pytest.approx(expected)
    sure = precision_at(some(), confidence=some().confidences(prior)[0], prior=prior)
    assert sure is not None
    assert sure.value == pytest.approx(prior * 0.8 / (prior * 0.8 + (1 - prior) * 0.05))
    assert sure.low < sure.value < sure.high


def test_confidences_rise_with_the_prior() -> None:
    low, high = (some().confidences(prior)[0] for prior in (0.02, 0.5))
    assert low < high
    assert high == pytest.approx(1 / (1 + np.exp(-5.0)))


def test_recall_counts_known_people_only() -> None:
    found = recall_at(some(), confidence=0.5, prior=0.5)
    assert found is not None
    assert found.value == pytest.approx(0.8)


def test_names_of_strangers_are_counted() -> None:
    found = strangers_named(some(), confidence=0.5, prior=0.5)
    assert found is not None
    assert found.value == pytest.approx(0.05)


def test_nothing_is_told_of_nothing() -> None:
    nobody = judged(known=[], right=[], scores=[])
    assert precision_at(nobody, confidence=0.5, prior=0.5) is None
    strangers = judged(known=[False] * 5, right=[False] * 5, scores=[-9.0] * 5)
    assert precision_at(strangers, confidence=0.98, prior=0.1) is None
    assert recall_at(strangers, confidence=0.98, prior=0.1) is None
    assert found_over(strangers, 0.0) is None


def test_at_a_rate_so_many_strangers_are_above_the_threshold_and_no_more() -> None:
    random = np.random.default_rng(0)
    strangers, known = random.normal(0, 1, 1000), random.normal(4, 1, 500)
    limit = score_at_rate(strangers, np.ones(1000), 0.01)
    tracks = judged(
        known=[True] * 500 + [False] * 1000,
        right=[True] * 500 + [False] * 1000,
        scores=[*known, *strangers],
    )
    found, over = found_over(tracks, limit), strangers_over(tracks, limit)
    assert found is not None
    assert over is not None
    assert (strangers > limit).sum() == 10
    assert over.value == pytest.approx(0.01)
    assert found.value == pytest.approx((known > limit).mean())
    assert found.low < found.value < found.high


def test_a_threshold_counts_strangers_as_often_as_they_are_drawn() -> None:
    scores = np.array([3.0, 2.0, 1.0, 0.0])
    assert score_at_rate(scores, np.array([1.0, 1, 1, 1]), 0.25) == 2.0
    assert score_at_rate(scores, np.array([0.0, 1, 2, 1]), 0.25) == 1.0
    assert score_at_rate(scores, np.array([4.0, 0, 0, 0]), 0.25) == 3.0
    assert np.isnan(score_at_rate(scores, np.zeros(4), 0.25))


def test_confidences_that_are_precisions_have_no_error_and_others_have() -> None:
    random = np.random.default_rng(1)
    count = 6_000
    log_ratios = random.uniform(-4, 4, count)
    is_known = random.random(count) < 1 / (1 + np.exp(-log_ratios))
    prior = float(is_known.mean())
    odds = np.log(prior / (1 - prior))
    subjects = tuple(str(n % 50) for n in range(count))
    honest = judged(known=is_known, right=is_known, scores=log_ratios - odds, subjects=subjects)
    proud = replace(honest, log_ratios=log_ratios - odds + 2)
    errors = [calibration_error(one, prior=prior) for one in (honest, proud)]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0].value < 0.03
    assert errors[1].value > 0.1
    curve = calibration_curve(honest, prior=prior)
    assert sum(point.share for point in curve) == pytest.approx(1.0)
    assert [point.said for point in curve] == sorted(point.said for point in curve)


def test_tracks_of_one_subject_are_drawn_together() -> None:
    alone = judged(known=[True] * 40, right=[True] * 20 + [False] * 20, scores=[5.0] * 40)
    twins = judged(
        known=[True] * 40, right=[True] * 20 + [False] * 20, scores=[5.0] * 40, subjects=["a"] * 20 + ["b"] * 20
    )
    narrow, wide = (recall_at(one, confidence=0.5, prior=0.5) for one in (alone, twins))
    assert narrow is not None
    assert wide is not None
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)


def test_parts_are_joined_in_order() -> None:
    both = joined([some(), some()])
    assert len(both) == 60
    assert both.subjects == some().subjects * 2
    assert both.of(both.is_known).is_known.sum() == 20


def test_where_no_stranger_is_named_the_interval_says_how_many_might_be() -> None:
    told = judged(known=[True] * 10 + [False] * 30, right=[True] * 10 + [False] * 30, scores=[5.0] * 10 + [-5.0] * 30)
    named = strangers_named(told, confidence=0.9, prior=0.5)
    might = wilson(0, 30)
    assert named is not None
    assert might is not None
    assert (named.value, named.low, named.high) == (0.0, 0.0, might.high)
    precision = precision_at(told, confidence=0.9, prior=0.1)
    assert precision is not None
    assert (precision.value, precision.high) == (1.0, 1.0)
    assert precision.low == pytest.approx(0.1 / (0.1 + 0.9 * might.high))


def test_of_few_people_nothing_is_told_for_sure() -> None:
    told = judged(known=[True] * 9, right=[True] * 9, scores=[5.0] * 9, subjects=["a"] * 9)
    found, alone = nearest_is_right(told), wilson(1, 1)
    assert found is not None
    assert alone is not None
    assert (found.value, found.low) == (1.0, alone.low)


def test_the_error_of_names_leaves_out_who_is_nobody_for_sure() -> None:
    known = [True] * 40 + [False] * 400
    told = judged(known=known, right=[True] * 20 + [False] * 420, scores=[5.0] * 40 + [-9.0] * 400)
    both = [calibration_error(told, prior=0.005, least=least) for least in (0.0, 0.01)]
    assert both[0] is not None
    assert both[1] is not None
    assert both[0].value < 0.01
    assert both[1].value > 0.1
