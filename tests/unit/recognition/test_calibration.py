"""Thresholds and confidence by face size."""

from dataclasses import replace

import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.recognition.calibration import MAX_LOG_RATIO, Calibration, SizePoint, fit_log_ratio, score_at_rate


def test_thresholds_stand_between_those_of_the_neighbouring_sizes(calibration: Calibration) -> None:
    found = calibration.min_scores(np.array([8.0, 32.0, 64.0, 128.0, 4000.0]))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.4, 0.3, 0.3])


@pytest.mark.parametrize("face_px", [8.0, 32.0, 50.0, 128.0, 4000.0])
def test_what_holds_at_a_size_is_what_thresholds_and_confidences_are_made_of(
    calibration: Calibration, face_px: float
) -> None:
    point, size, score = calibration.point_at(face_px), np.array([face_px]), np.array([[0.41]])
    for rate, min_score in zip(calibration.rates, point.min_scores, strict=True):
        assert calibration.at_rate(rate).min_scores(size)[0] == min_score
    odds = np.exp(point.slope * 0.41 + point.intercept) * calibration.prior / (1 - calibration.prior)
    assert calibration.confidences(score, size)[0, 0] == pytest.approx(odds / (1 + odds))


def test_another_operating_point_has_other_thresholds(calibration: Calibration) -> None:
    np.testing.assert_allclose(calibration.at_rate(0.001).min_scores(np.array([32.0])), [0.6])
    with pytest.raises(ConfigError, match="no thresholds for a false positive rate"):
        calibration.at_rate(0.5)


def test_confidence_grows_with_the_score_at_every_size(calibration: Calibration) -> None:
    scores = np.linspace(-1, 1, 50)
    for size in (10.0, 40.0, 100.0):
        confidences = calibration.confidences(scores[None], np.array([size]))[0]
        assert (np.diff(confidences) >= 0).all()
        assert ((confidences > 0) & (confidences < 1)).all()


def test_a_larger_prior_makes_surer(calibration: Calibration) -> None:
    scores, sizes = np.array([[0.4]]), np.array([64.0])
    surer = replace(calibration, prior=0.5).confidences(scores, sizes)
    assert surer > calibration.confidences(scores, sizes)


@pytest.mark.parametrize("face_px", [20.0, 48.0, 200.0])
@pytest.mark.parametrize("prior", [0.01, 0.1, 0.5])
def test_a_name_must_be_as_sure_as_is_asked_for_and_reach_the_threshold(
    calibration: Calibration, prior: float, face_px: float
) -> None:
    size, scores = np.array([face_px]), np.linspace(-1, 2, 3001)
    of_prior = replace(calibration, prior=prior)
    reaches = scores >= of_prior.min_scores(size)[0]
    for least in (0.0, 0.2, 0.9, 0.98):
        wanted = replace(of_prior, min_confidence=least)
        is_sure = wanted.confidences(scores[None], size)[0] >= least
        np.testing.assert_array_equal(scores >= wanted.min_scores(size)[0], reaches & is_sure)
        rate = wanted.rates.index(wanted.max_false_positive_rate)
        assert wanted.point_at(face_px).min_scores[rate] == wanted.min_scores(size)[0]


def test_more_than_any_confidence_is_refused_and_would_name_nobody(calibration: Calibration) -> None:
    rare = replace(calibration, prior=0.001)
    assert rare.confidences(np.array([99.0]), np.array([64.0]))[0] == pytest.approx(rare.max_confidence)
    with pytest.raises(ConfigError, match=r"no name can have a confidence of 0\.999: with a prior of 0\.001"):
        rare.with_wishes(prior=None, min_confidence=0.999)
    assert np.isinf(replace(rare, min_confidence=0.999).min_scores(np.array([64.0]))).all()
    assert rare.with_wishes(prior=0.1, min_confidence=0.999).min_confidence == 0.999


def test_without_wishes_nothing_changes_not_even_the_digest_of_what_it_is(calibration: Calibration) -> None:
    assert calibration.with_wishes(prior=None, min_confidence=None) == calibration
    assert "min_confidence" not in calibration.to_json()
    sure = calibration.with_wishes(prior=0.02, min_confidence=0.5)
    assert Calibration.from_json(sure.to_json()) == sure
    assert sure.mark_beside(calibration) == "+prior=0.02+min-precision=0.5"
    assert calibration.mark_beside(calibration) == ""


@pytest.mark.parametrize("wish", [{"prior": 0.0}, {"prior": 1.0}, {"prior": 2.0}, {"prior": float("nan")}])
def test_a_prior_is_a_share_of_some_and_not_of_all(calibration: Calibration, wish: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="the prior must be between 0 and 1"):
        calibration.with_wishes(min_confidence=None, **wish)
    with pytest.raises(ConfigError, match="the least confidence must be between 0 and 1"):
        calibration.with_wishes(prior=None, min_confidence=wish["prior"])


def test_log_ratios_know_no_prior_and_are_cut(calibration: Calibration) -> None:
    scores, sizes = np.array([[-9.0, 0.45, 9.0]]), np.array([64.0])
    for prior in (0.01, 0.5):
        np.testing.assert_allclose(
            replace(calibration, prior=prior).log_ratios(scores, sizes), [[-MAX_LOG_RATIO, 0.75, MAX_LOG_RATIO]]
        )


def test_a_likelihood_ratio_of_one_leaves_the_prior(calibration: Calibration) -> None:
    np.testing.assert_allclose(calibration.confidences(np.array([0.5]), np.array([32.0])), [0.1])


@pytest.mark.parametrize(
    ("face_px", "quality", "is_usable"),
    [(31.0, 1.0, False), (32.0, 0.5, True), (40.0, 0.49, False), (48.0, 0.0, True), (200.0, 0.1, True)],
)
def test_small_faces_and_small_blurred_ones_say_nothing(
    calibration: Calibration, face_px: float, quality: float, *, is_usable: bool
) -> None:
    usable = calibration.usable_faces(np.array([face_px], np.float32), np.array([quality], np.float32))
    assert usable.tolist() == [is_usable]


def test_it_comes_back_from_json(calibration: Calibration) -> None:
    assert Calibration.from_json(calibration.to_json()) == calibration
    centred = replace(calibration, clip_centre=(0.1, -0.2))
    assert Calibration.from_json(centred.to_json()) == centred
    assert "clip_centre" not in calibration.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"prior": 0.0},
        {"points": []},
        {"points": [{"face_px": 32}]},
        {"points": [{"face_px": 32, "min_scores": [0.1], "slope": 1, "intercept": 0}]},
        {"points": [{"face_px": 32, "min_scores": [0.1, 0.2], "slope": -1, "intercept": 0}]},
        {"points": [{"face_px": 32, "min_scores": [float("nan"), 0.2], "slope": 1, "intercept": 0}]},
        {"max_false_positive_rate": 0.02},
        {"cohort": "many"},
        {"min_confidence": 1.0},
        {"min_confidence": -0.1},
        {"clip_centre": [0.1, 2.0]},
        {"clip_centre": [float("nan")]},
        {"clip_centre": 3},
        {"surprise": 1},
    ],
)
def test_a_calibration_out_of_range_is_refused(calibration: Calibration, change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        Calibration.from_json({**calibration.to_json(), **change})


def test_at_most_the_stated_share_reaches_the_threshold() -> None:
    scores = np.random.default_rng(1).normal(0, 1, 1000).round(1)
    for rate in (0.0, 0.001, 0.01, 0.1, 1.0):
        share = (scores >= score_at_rate(scores, rate)).mean()
        assert share <= rate
    assert (scores >= score_at_rate(scores, 0.1)).mean() > 0.05


def test_the_fitted_ratio_is_that_of_two_normal_distributions() -> None:
    random = np.random.default_rng(2)
    slope, intercept = fit_log_ratio(random.normal(0.6, 0.1, 40_000), random.normal(0.2, 0.1, 40_000))
    assert slope == pytest.approx(40, rel=0.05)
    assert intercept == pytest.approx(-16, rel=0.05)


def test_scores_that_do_not_overlap_still_give_a_finite_curve() -> None:
    slope, intercept = fit_log_ratio(np.array([0.8, 0.9]), np.array([0.1, 0.2]))
    assert slope > 0
    assert np.isfinite([slope, intercept]).all()


def test_points_must_ascend() -> None:
    point = SizePoint(32.0, (0.1,), 1.0, 0.0)
    with pytest.raises(ModelError):
        Calibration((point, point), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 10)
