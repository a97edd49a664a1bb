"""The share of tracks that show somebody of the gallery is found from their log ratios alone."""

import numpy as np
import pytest

from annotator.errors import ModelError
from annotator.recognition.calibration import MAX_LOG_RATIO
from annotator.recognition.prior import KnownTracks, PriorEstimate, _likeliest_share, estimate_prior, names_of

TRACKS, CONTENTS = 4_000, 1_500
APART = 4.0  # scores of known people are so many deviations above those of strangers
ARCHIVES = 12


def made_up_archive(seed: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log ratios and contents of tracks of which a share is of known people, who come together in contents."""
    random = np.random.default_rng((seed, round(share * 1000)))
    content_id = np.sort(random.integers(0, CONTENTS, TRACKS))
    has_known = random.random(CONTENTS) < min(1.0, 2 * share)
    is_known = has_known[content_id] & (random.random(TRACKS) < max(0.5, share))
    scores = random.normal(0, 1, TRACKS) + APART * is_known
    ratios = APART * scores - APART**2 / 2  # of two normal distributions of deviation 1
    return np.clip(ratios, -MAX_LOG_RATIO, MAX_LOG_RATIO), content_id


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.005])
def test_the_interval_holds_the_share_and_the_estimates_are_right_in_the_mean(share: float) -> None:
    found = [estimate_prior(*made_up_archive(seed, share)) for seed in range(ARCHIVES)]
    assert all(0 < one.low <= one.prior <= one.high < 1 for one in found)
    # 19 of 20 do on average; fewer than 10 of 12 would with a chance of 1 in 50.
    assert sum(one.low <= share <= one.high for one in found) >= 10
    deviation = np.mean([(one.high - one.low) / 4 for one in found])
    assert abs(np.mean([one.prior for one in found]) - share) < 3 * deviation / np.sqrt(ARCHIVES)


def made_up_tracks(seed: int, share: float, *, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Return log ratios of nearest people, and face sizes; of known people's tracks the nearest is seldom right.

    Those of somebody else score as strangers do, and likelihood ratios are exact.
    """
    random = np.random.default_rng((seed, round(share * 1000)))
    is_right = np.arange(TRACKS) < share * right * TRACKS
    scores = random.normal(0, 1, TRACKS) + APART * is_right
    return APART * scores - APART**2 / 2 + np.log(right / (2 - right)), np.full(TRACKS, 64.0)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_people_to_whom_somebody_else_is_nearer_count_as_known(share: float) -> None:
    right = 0.7
    known = KnownTracks((32.0, 128.0), (right, right), 2 - right)
    tracks = [made_up_tracks(seed, share, right=right) for seed in range(4)]
    alike = np.ones(TRACKS)
    found = np.mean([_likeliest_share(np.exp(known.log_ratios(*one)), alike) for one in tracks])
    assert found == pytest.approx(share, rel=0.1)
    without = np.mean([_likeliest_share(np.exp(ratios), alike) for ratios, _ in tracks])
    assert without < 0.8 * share


def test_how_often_the_nearest_is_right_hangs_on_the_size_of_the_face() -> None:
    known = KnownTracks((32.0, 128.0), (0.5, 0.9), 1.2)
    ratios = known.log_ratios(np.full(4, -9.0), np.array([16.0, 32.0, 64.0, 500.0]))
    np.testing.assert_allclose(np.exp(ratios), np.array([0.5, 0.5, 0.3, 0.1]) + 1.2 * np.exp(-9.0))
    assert KnownTracks.from_json(known.to_json()) == known


@pytest.mark.parametrize(
    "changed",
    [
        {"face_px": [64.0]},
        {"face_px": [128.0, 32.0]},
        {"face_px": [0.0, 32.0]},
        {"face_px": [], "nearest_is_right": []},
        {"nearest_is_right": [0.5, 1.2]},
        {"nearest_is_right": [0.5, float("nan")]},
        {"scale": 0.0},
        {"scale": float("inf")},
        {"scale": "much"},
        {"scale": None},
        {"face_px": 3},
    ],
)
def test_what_no_bundle_can_say_of_known_people_is_refused(changed: dict[str, object]) -> None:
    fine = KnownTracks((32.0, 128.0), (0.5, 0.9), 1.2).to_json()
    with pytest.raises(ModelError, match="build it again"):
        KnownTracks.from_json(fine | changed)


def test_where_nobody_is_known_next_to_nothing_is_told_and_what_may_be_overlooked() -> None:
    strangers = np.full(300, -6.0)
    found = estimate_prior(strangers, np.arange(300) // 3)
    assert found == PriorEstimate(pytest.approx(0.5 / 301, rel=1e-3), found.low, found.high, tracks=300, contents=100)
    assert found.low == found.prior
    assert found.high == pytest.approx(1 - 0.025**0.01)  # none of a hundred contents


def test_where_everybody_is_known_the_share_stays_below_one() -> None:
    found = estimate_prior(np.full(300, 6.0), np.arange(300))
    assert 0.99 < found.prior < 1
    assert 0.98 < found.low < 0.99


def test_tracks_of_one_content_count_as_one_sample() -> None:
    ratios, _ = made_up_archive(1, 0.1)
    alone = estimate_prior(ratios, np.arange(TRACKS))
    # The same tracks forty times, in the same contents: no more is known than from each once.
    together = estimate_prior(np.repeat(ratios, 40), np.repeat(np.arange(TRACKS), 40))
    assert together.prior == pytest.approx(alone.prior, abs=1e-4)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.01)


def test_the_share_is_the_mean_chance_that_it_gives_each_track() -> None:
    ratios, _ = made_up_archive(3, 0.1)
    share = _likeliest_share(np.exp(ratios), np.ones(TRACKS))
    odds = np.exp(ratios) * share / (1 - share)
    assert (odds / (1 + odds)).mean() == pytest.approx(share, abs=1e-9)


def test_an_archive_gives_the_same_estimate_each_time_in_whatever_order() -> None:
    ratios, content_id = made_up_archive(5, 0.02)
    order = np.random.default_rng(0).permutation(TRACKS)
    assert estimate_prior(ratios[order], content_id[order]) == estimate_prior(ratios, content_id)


def test_without_a_track_there_is_nothing_to_estimate() -> None:
    with pytest.raises(ValueError, match="needs tracks"):
        estimate_prior(np.zeros(0), np.zeros(0, np.int64))


def test_names_are_counted_that_are_so_sure_under_a_prior() -> None:
    log_ratios, is_named = np.array([0.0, 2.0, 5.0, 9.0]), np.array([True, True, True, False])
    assert names_of(log_ratios, is_named, prior=0.5, min_confidence=0.9) == 1  # the odds of 0.9 are e^2.197
    assert names_of(log_ratios, is_named, prior=0.6, min_confidence=0.9) == 2
    assert names_of(log_ratios, is_named, prior=0.01, min_confidence=0.9) == 0
