"""Thresholds of small experiments are careful, and those of large ones are what was seen."""

import numpy as np
import pytest

from annotator.recognition.trial import TrialScores, size_points
from trainer.export.calibrating import WIDENING, careful_points, exponential_tail

RATES = (0.01, 0.003, 0.001)


def trials(strangers: int, *, known: int = 50, sizes: tuple[int, ...] = (48, 112)) -> dict[int, TrialScores]:
    random = np.random.default_rng(strangers)
    return {
        size: TrialScores(
            own=random.normal(0.9, 0.1, known),
            other=random.normal(0.0, 0.1, known if strangers else 40),
            stranger=random.exponential(0.1, strangers),
        )
        for size in sizes
    }


def test_many_strangers_are_believed() -> None:
    seen = trials(4000)
    careful, plain = careful_points(seen, RATES, has_strangers=True), size_points(seen, RATES)
    assert [point.min_scores for point in careful] == [point.min_scores for point in plain]


def test_few_strangers_give_thresholds_beyond_those_that_were_seen() -> None:
    seen = trials(60)
    careful, plain = careful_points(seen, RATES, has_strangers=True), size_points(seen, RATES)
    for mine, theirs in zip(careful, plain, strict=True):
        assert mine.min_scores[0] < mine.min_scores[1] < mine.min_scores[2]
        assert theirs.min_scores[1] == theirs.min_scores[2], "the highest that was seen stands for both rates"
        assert mine.min_scores[2] > theirs.min_scores[2]


def test_without_strangers_thresholds_are_wider_still() -> None:
    seen = trials(0)
    blind, told = (careful_points(seen, RATES, has_strangers=has) for has in (False, True))
    assert all(a.min_scores[0] > b.min_scores[0] for a, b in zip(blind, told, strict=True))


def test_a_handful_of_well_told_faces_is_no_certainty() -> None:
    few, many = (careful_points(trials(strangers, known=known), RATES, has_strangers=True)
                 for strangers, known in ((20, 4), (4000, 2000)))  # fmt: skip
    assert few[0].slope < many[0].slope
    assert few[0].slope > 0


def test_an_exponential_tail_is_told_from_the_nearest_fifth() -> None:
    scores = np.random.default_rng(0).exponential(0.1, 200_000)
    assert exponential_tail(scores, 0.001, 1.0) == pytest.approx(0.1 * np.log(1000), rel=0.03)
    start = np.quantile(scores, 0.8)
    wide = exponential_tail(scores, 0.001, WIDENING)
    assert wide - start == pytest.approx(WIDENING * (exponential_tail(scores, 0.001, 1.0) - start))
    assert exponential_tail(np.full(5, 0.3), 0.001, 1.0) == pytest.approx(0.3)
