"""Likelihood ratios and thresholds that are fitted to scores: those come out that the scores were made with."""

import numpy as np
import pytest

from annotator.accuracy.calibrating import MIN_TRACKS, SIZES_PX, fit_points
from annotator.errors import ConfigError
from annotator.recognition.calibration import Calibration, SizePoint

RATES = (0.01, 0.001)
APART = 4.0
"""Known people's scores lie so far above strangers', whose spread is 1, at 64 pixels: the logarithm of the likelihood
ratio is then APART times the score, less half of the square of APART."""


def made_up(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    is_known = random.random(count) < 0.5
    face_px = np.exp(random.uniform(np.log(30), np.log(140), count))
    apart = APART + 0.8 * np.log2(np.clip(face_px, SIZES_PX[0], SIZES_PX[-1]) / 64)
    return random.normal(0, 1, count) + apart * is_known, face_px, is_known


def fitted(
    scores: np.ndarray, face_px: np.ndarray, is_known: np.ndarray, *, rates: tuple[float, ...]
) -> tuple[SizePoint, ...]:
    """Fit where the nearest person of known ones is always the right one."""
    return fit_points(scores, face_px, is_known=is_known, is_right=is_known, rates=rates)


def calibration(seed: int = 0, *, count: int = 60_000) -> Calibration:
    points = fitted(*made_up(count, seed=seed), rates=RATES)
    return Calibration(points, RATES, 0.01, 0.1, 32.0, 48.0, 0.45, 300)


def test_the_ratio_is_that_which_the_scores_were_made_with() -> None:
    middle = calibration().point_at(64.0)
    assert middle.slope == pytest.approx(APART, rel=0.1)
    assert middle.intercept == pytest.approx(-(APART**2) / 2, rel=0.1)


def test_larger_faces_are_told_apart_more_surely() -> None:
    slopes = [point.slope for point in calibration().points]
    assert slopes == sorted(slopes)
    assert [point.face_px for point in calibration().points] == list(SIZES_PX)


def test_confidences_are_shares_of_right_names_among_others() -> None:
    scores, face_px, is_known = made_up(60_000, seed=1)
    sure = calibration().confidences(scores, face_px)  # at a prior of 0.1, where half of these are known
    weights = np.where(is_known, 0.1, 0.9)
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.8, 0.95), (0.97, 1.0)):
        is_here = (sure >= low) & (sure < high)
        share = (weights * is_known)[is_here].sum() / weights[is_here].sum()
        assert share == pytest.approx(np.average(sure[is_here], weights=weights[is_here]), abs=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_so_many_strangers_exceed_a_threshold(rate: float) -> None:
    scores, face_px, is_known = made_up(60_000, seed=2)
    limits = calibration().at_rate(rate).min_scores(face_px)
    assert (scores >= limits)[~is_known].mean() == pytest.approx(rate, rel=0.35)


def test_tracks_that_are_too_poor_count_as_strangers_without_a_name() -> None:
    scores, face_px, is_known = made_up(60_000, seed=3)
    poor = np.full(60_000, -np.inf)
    both = (np.append(scores, poor), np.append(face_px, face_px), np.append(is_known, np.zeros(60_000, np.bool_)))
    some, most = fitted(scores, face_px, is_known, rates=(0.01,)), fitted(*both, rates=(0.01,))
    assert [point.slope for point in some] == [point.slope for point in most]
    assert all(a.min_scores[0] > b.min_scores[0] for a, b in zip(some, most, strict=True))


def test_too_few_tracks_are_told() -> None:
    with pytest.raises(ConfigError, match=f"{MIN_TRACKS} tracks"):
        fitted(*made_up(MIN_TRACKS, seed=0), rates=RATES)


def test_scores_that_say_nothing_are_told() -> None:
    scores, face_px, is_known = made_up(4_000, seed=5)
    with pytest.raises(ConfigError, match="no higher"):
        fitted(-scores, face_px, is_known, rates=RATES)


def test_strangers_who_are_nearly_all_too_poor_are_told() -> None:
    scores, face_px, is_known = made_up(4_000, seed=6)
    poor = np.full(400_000, -np.inf)
    many = (np.append(scores, poor), np.append(face_px, np.ones(len(poor))), np.append(is_known, poor > 0))
    with pytest.raises(ConfigError, match="too small or too blurred"):
        fitted(*many, rates=(0.01,))


def test_no_more_strangers_reach_a_threshold_than_its_rate() -> None:
    random = np.random.default_rng(7)
    scores, face_px = random.normal(0, 1, 2_000), np.full(2_000, 64.0)
    is_known = np.arange(2_000) < 1_000
    scores[is_known] += APART
    points = fitted(scores, face_px, is_known, rates=(0.01,))
    limits = Calibration(points, (0.01,), 0.01, 0.1, 32.0, 48.0, 0.45, 300).min_scores(face_px)
    assert (scores >= limits)[~is_known].sum() == 10


def test_known_people_who_are_taken_for_others_make_names_less_sure() -> None:
    scores, face_px, is_known = made_up(20_000, seed=8)
    others = np.random.default_rng(9).normal(0, 1, 4_000)
    both = (np.append(scores, others), np.append(face_px, np.full(4_000, 64.0)))
    known, right = np.append(is_known, np.ones(4_000, np.bool_)), np.append(is_known, np.zeros(4_000, np.bool_))
    with_wrong = fit_points(*both, is_known=known, is_right=right, rates=RATES)
    without = fitted(scores, face_px, is_known, rates=RATES)
    at = 0.5 * APART
    assert all(
        a.slope * at + a.intercept < b.slope * at + b.intercept for a, b in zip(with_wrong, without, strict=True)
    )
