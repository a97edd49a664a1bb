"""Scores in fewer bits: never further off than they say, and the same names come out as of exact scores of all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.native import GreatestProducts
from annotator.recognition import coarse, scoring, shortlist
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.coarse import Bfloat16Scores, CoarseScores, WholeNumberScores
from annotator.recognition.gallery import Gallery
from annotator.recognition.scoring import Scorer
from annotator.recognition.shortlist import RoughScores
from annotator.runtime.bfloat16 import from_bfloat16, to_bfloat16
from annotator.types import Identity

SIZE = 16
CALIBRATION = Calibration((SizePoint(64.0, (0.3,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 20)


@pytest.fixture(
    autouse=True,
    scope="module",
    params=[
        Bfloat16Scores,
        pytest.param(
            WholeNumberScores,
            marks=pytest.mark.skipif(not GreatestProducts.is_there(), reason="this processor has no AVX2"),
        ),
    ],
)
def coarse_always(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute in fewer bits whatever the processor is, and however few are compared."""

    def made(columns: np.ndarray, members: np.ndarray, **how: Any) -> CoarseScores:
        scores: CoarseScores = request.param(columns, members, **how)
        return scores

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortlist, "_MIN_COARSE_COLUMNS", 1)
        patch.setattr(shortlist, "_MIN_COARSE_PROBES", 1)
        patch.setattr(shortlist, "_MIN_GROUPS", 8)
        patch.setattr(shortlist, "coarse_scores", made)
        patch.setattr(scoring, "MAX_COHORT_POOL", 150)
        yield


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _vectors(random: np.random.Generator, count: int, size: int, *, kind: str) -> np.ndarray:
    """Return f64 (count, size) of at most unit length; of hostile ones, all numbers are rounded to the same side."""
    vectors = _unit(random.normal(0, 1, (count, size)))
    if kind == "one":
        vectors[1:] = vectors[0]
    elif kind == "hostile":
        vectors = np.full((count, size), (1 + 2.0**-8 - 2.0**-20) / 2 ** np.ceil(np.log2(2 * size) / 2))
    elif kind == "halves":
        vectors = np.trunc(vectors * 2**14) / 2**14 + 2.0**-15 * (1 - 1e-6)
        vectors *= min(1.0, 1.0 / np.linalg.norm(vectors, axis=-1).max())
    elif kind == "tiny":
        vectors *= 1e-30
    return vectors * (1 - 1e-7)


def test_numbers_of_bfloat16_are_the_nearest() -> None:
    values = np.array([1.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -3.1, 0.0], np.float32)
    assert from_bfloat16(to_bfloat16(values)).tolist() == [1.0, 1.0, 1 + 2.0**-6, 1 + 2.0**-7, -3.09375, 0.0]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([40, 700]),
    st.sampled_from([2, 128]),
    st.sampled_from(["any", "one", "hostile", "halves", "tiny"]),
)
def test_scores_are_off_by_less_than_they_say(seed: int, count: int, size: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    columns, probes = (_vectors(random, n, size, kind=kind) for n in (count, 20))
    half_levels = np.where(random.random(count) < 0.1, np.inf, random.uniform(-0.5, 0.5, count))
    rough_scores = RoughScores(columns, half_levels, pool_size=count // 4)
    rough = rough_scores.of(probes)
    exact = columns @ probes.T - np.minimum(half_levels, 4.0)[:, None]
    padded = np.concatenate([exact, np.full((len(rough_scores._members.ravel()) - count, 20), -4.0)])
    tops = padded[rough_scores._members].max(axis=1)
    assert rough.is_coarse
    assert np.abs(rough.pool - exact[: count // 4]).max(initial=0) < rough_scores.error
    for row, found in zip(tops, rough.tops.astype(np.float64), strict=True):
        assert (rough.doubt.at_least(found) <= row).all()
        assert (row <= rough.doubt.at_most(found)).all()
        assert (rough.doubt.at_least(row) <= found).all()
    assert (rough.highest() >= exact.max(axis=0)).all()
    assert rough.doubt.errors.max() < (1e-4 if kind == "tiny" else 0.02)  # levels lose next to nothing


def _gallery(random: np.random.Generator, people: int) -> Gallery:
    """Return people of whom most are alike in all, or in all but the digits that bfloat16 has not."""
    prototypes = _unit(random.normal(0, 1, (people, SIZE)) + 0.2)
    for part, noise in ((2, 0.0), (2, 1e-6), (3, 1e-3)):
        near = random.integers(people, size=people // part)
        other = prototypes[random.integers(people, size=len(near))]
        prototypes[near] = _unit(other + random.normal(0, 1, (len(near), SIZE)) * noise)
    prototypes = prototypes.astype(np.float32)
    names = tuple(Identity(f"P{index}") for index in range(people))
    counts = np.ones(people, np.int32)
    bundle = ModelBundle("made-up", 1, "test", names, prototypes, counts, prototypes.mean(axis=0), CALIBRATION)
    return Gallery.from_bundle(bundle, removed=["P0", "P2"])


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([40, 151, 700]),
    st.sampled_from([0, 1, 20, 400]),
    st.sampled_from([1, 5, 30]),
)
def test_the_best_are_those_of_all_exact_scores(seed: int, people: int, cohort: int, count: int) -> None:
    random = np.random.default_rng(seed)
    gallery = _gallery(random, people)
    scorer = Scorer(gallery, cohort=cohort)
    probes = gallery.prototypes[random.integers(len(gallery), size=40)].astype(np.float64)
    probes += random.choice([0.0, 1e-3, 0.1, 5.0], 40)[:, None] * random.normal(0, 1, probes.shape)
    scores = scorer.scores(probes)
    columns = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    scores = np.take_along_axis(scores, columns, axis=1)
    wanted = scores[:, 0] + random.choice([0.0, 1e-6, -1e-6, 0.2, -0.2, np.inf, -np.inf], len(probes))
    probes[7] = np.nan
    is_found = (scores[:, 0] >= wanted) & (np.arange(40) != 7)
    rows, found, found_scores = scorer.best_that_reach(probes, count, min_scores=wanted)
    assert np.array_equal(rows, np.flatnonzero(is_found))
    assert np.array_equal(found, columns[rows])
    assert np.array_equal(found_scores, scores[rows])


def test_processors_with_nothing_quicker_keep_to_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotator.runtime.maxima.has_quick_bfloat16", lambda: False)
    monkeypatch.setattr(GreatestProducts, "is_quick", lambda: False)
    monkeypatch.setattr(shortlist, "coarse_scores", coarse.coarse_scores)
    columns = _unit(np.random.default_rng(0).normal(0, 1, (300, SIZE)))
    rough = RoughScores(columns, np.zeros(300), pool_size=10).of(columns[:20])
    assert not rough.is_coarse
    assert np.allclose(rough.highest(), 1.0, atol=1e-4)
