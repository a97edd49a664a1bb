"""Exact scores of a shortlist: the same people and the same numbers as scores of everybody, put in order."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.recognition import scoring, shortlist
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.recognition.scoring import Scorer
from annotator.recognition.shortlist import RoughScores
from annotator.types import Identity

SIZE = 16
CALIBRATION = Calibration((SizePoint(64.0, (0.3,), 10.0, -3.0),), (0.01,), 0.01, 0.1, 32.0, 48.0, 0.5, 20)


@pytest.fixture(autouse=True)
def small_blocks() -> Iterator[None]:
    """Let a few hundred people be many blocks of columns, groups of groups, and a part of them the pool."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "MAX_COHORT_POOL", 150)
        patch.setattr(shortlist, "_BLOCK_COLUMNS", 64)
        patch.setattr(shortlist, "_MIN_GROUPS", 8)
        patch.setattr(shortlist, "_MAX_PROBES", 32)
        patch.setattr(shortlist, "_GROUPS_AT_ONCE", 16)
        yield


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _gallery(random: np.random.Generator, people: int, *, is_changed: bool = True) -> Gallery:
    """Return people of whom some are alike in all, or in all but the last digits; some are added, gone, or changed."""
    prototypes = _unit(random.normal(0, 1, (people, SIZE)) + 0.2)
    alike = random.integers(people, size=people // 2)
    prototypes[alike] = prototypes[random.integers(people, size=len(alike))]
    near = random.integers(people, size=people // 4)
    prototypes[near] = _unit(prototypes[random.integers(people, size=len(near))] + random.normal(0, 1e-6, SIZE))
    names = tuple(Identity(f"P{index}") for index in range(people))
    counts = random.integers(1, 9, people).astype(np.int32)
    bundle = ModelBundle("made-up", 1, "test", names, prototypes, counts, prototypes.mean(axis=0), CALIBRATION)
    if people < 8 or not is_changed:
        return Gallery.from_bundle(bundle)
    added = [
        EnrolledPerson(Identity("New"), prototypes[[4]], "test"),
        EnrolledPerson(Identity("P5"), _unit(prototypes[5] + random.normal(0, 0.1, (2, SIZE))), "test"),
    ]
    return Gallery.from_bundle(bundle, enrolled=added, merges={"P6": "P7"}, removed=["P0", "P2"])


def _probes(random: np.random.Generator, gallery: Gallery, count: int) -> np.ndarray:
    """Return people as they are, people with noise, and strangers."""
    shown = gallery.prototypes[random.integers(len(gallery), size=count)].astype(np.float64)
    noise = random.choice([0.0, 0.1, 5.0], count)[:, None]
    return shown + noise * random.normal(0, 1, (count, SIZE))


def _plain(scorer: Scorer, probes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    scores = scorer.scores(probes)
    columns = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return columns, np.take_along_axis(scores, columns, axis=1)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 6, 40, 149, 151, 700]),
    st.sampled_from([0, 1, 2, 20, 400]),
    st.sampled_from([1, 5, 30]),
)
def test_the_best_are_those_of_all_scores_put_in_order(seed: int, people: int, cohort: int, count: int) -> None:
    random = np.random.default_rng(seed)
    gallery = _gallery(random, people)
    scorer = Scorer(gallery, cohort=cohort)
    probes = _probes(random, gallery, 40)
    columns, scores = _plain(scorer, probes, count)
    found, found_scores = scorer.best(probes, count)
    assert np.array_equal(found, columns)
    assert np.array_equal(found_scores, scores)

    # A threshold that the best score just reaches, just does not, or is far from; and probes that cannot have a name.
    wanted = scores[:, 0] + random.choice([0.0, 1e-6, -1e-6, 0.2, -0.2, np.inf, -np.inf], len(probes))
    rows, found, found_scores = scorer.best_that_reach(probes, count, min_scores=wanted)
    assert np.array_equal(rows, np.flatnonzero(scores[:, 0] >= wanted))
    assert np.array_equal(found, columns[rows])
    assert np.array_equal(found_scores, scores[rows])


def test_ones_own_place_in_the_cohort_lifts_over_somebody_with_a_better_rough_score() -> None:
    random = np.random.default_rng(0)
    scorer = Scorer(_gallery(random, 60, is_changed=False), cohort=1)
    probes = random.normal(0, 1, (2000, SIZE))
    columns, scores = _plain(scorer, probes, 1)
    found, found_scores = scorer.best(probes, 1)
    assert np.array_equal(found, columns)
    assert np.array_equal(found_scores, scores)
    rough = scorer._rough.of(scorer._probes(probes))
    assert (rough.pool.argmax(axis=0) != columns[:, 0]).any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 30, 300]), st.sampled_from([2, 128]))
def test_rough_scores_are_off_by_less_than_their_bound(seed: int, count: int, size: int) -> None:
    random = np.random.default_rng(seed)
    columns, probes = (_unit(random.normal(0, 1, (n, size))).astype(np.float64) * (1 - 1e-7) for n in (count, 20))
    half_levels = np.where(random.random(count) < 0.1, np.inf, random.uniform(-0.5, 0.5, count))
    rough_scores = RoughScores(columns, half_levels, pool_size=count // 2)
    rough = rough_scores.of(probes)
    exact = columns @ probes.T - np.minimum(half_levels, 4.0)[:, None]
    assert np.abs(rough.pool - exact[: count // 2]).max(initial=0) < rough_scores.error
    assert np.abs(rough.tops.max(axis=0) - exact.max(axis=0)).max() < rough_scores.error
    assert np.array_equal(rough.summits.max(axis=0), rough.tops.max(axis=0))
    assert rough_scores.error < 1e-4


def test_few_are_worth_an_exact_score(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    prototypes = _unit(random.normal(0, 1, (3000, 128)))
    names = tuple(Identity(f"P{index}") for index in range(len(prototypes)))
    counts = np.ones(len(prototypes), np.int32)
    bundle = ModelBundle("made-up", 1, "test", names, prototypes, counts, prototypes.mean(axis=0), CALIBRATION)
    scorer = Scorer(Gallery.from_bundle(bundle), cohort=20)
    scored = []
    listed = scorer._rough.shortlist
    monkeypatch.setattr(
        scorer._rough, "shortlist", lambda *of, **how: scored.append(len(listed(*of, **how)[0])) or listed(*of, **how)
    )
    scorer.best(prototypes[:100].astype(np.float64), 5)
    assert 500 <= sum(scored) < 3000


def test_an_embedding_that_is_not_a_number_is_compared_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    gallery = _gallery(random, 300)
    scorer = Scorer(gallery, cohort=20)
    probes = _probes(random, gallery, 6)
    probes[[1, 4], 0] = np.nan
    listed, rows = scorer._rough.shortlist, []
    monkeypatch.setattr(
        scorer._rough, "shortlist", lambda rough, places, **how: rows.append(places) or listed(rough, places, **how)
    )
    scorer.best(probes, 5)
    assert np.concatenate(rows).tolist() == [0, 2, 3, 5]


def test_an_embedding_that_is_not_a_number_reaches_nothing_and_harms_no_other() -> None:
    random = np.random.default_rng(2)
    gallery = _gallery(random, 300)
    scorer = Scorer(gallery, cohort=20)
    probes = _probes(random, gallery, 6)
    columns, scores = scorer.best(probes, 5)
    probes[2] = np.nan
    others = [0, 1, 3, 4, 5]
    found, found_scores = scorer.best(probes, 5)
    assert np.array_equal(found[others], columns[others])
    assert np.array_equal(found_scores[others], scores[others])
    assert found[2].tolist() == [0, 1, 2, 3, 4]
    assert found_scores[2].tolist() == [-np.inf] * 5
    for threshold in (-np.inf, -2.0):  # without the bound of the best score, and with it
        rows, found, found_scores = scorer.best_that_reach(probes, 5, min_scores=np.full(6, threshold))
        assert rows.tolist() == others
        assert np.array_equal(found, columns[others])
        assert np.array_equal(found_scores, scores[others])
