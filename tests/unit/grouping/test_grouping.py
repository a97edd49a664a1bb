from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pytest

from annotator.grouping import comparing, threshold
from annotator.grouping import grouping as module
from annotator.grouping.agreement import b_cubed
from annotator.grouping.grouping import Grouping, SeenTogether
from annotator.grouping.points import I16, on_grid
from annotator.grouping.table import GroupTable, StoredGroup
from annotator.grouping.threshold import MOST_SUMMED, needed, step_of, threshold_at
from annotator.native import GreatestProducts

SIZE = 128


def never(_content: int, _track: int, _other: int) -> bool:
    return False


def seen(pairs: Collection[tuple[int, int, int]]) -> SeenTogether:
    return lambda content, track, other: (content, min(track, other), max(track, other)) in pairs


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def archive(people: int, tracks: int, *, seed: int = 0, noise: float = 0.9) -> tuple[np.ndarray, I16]:
    """Return whom tracks show, and their points: two of a person have a cosine of about 0.55."""
    random = np.random.default_rng(seed)
    directions = unit(random.normal(size=(people, SIZE)))
    shown = random.integers(0, people, tracks)
    return shown, on_grid(unit(directions[shown] + noise * unit(random.normal(size=(tracks, SIZE)))))


def grouped(vectors: I16, *, at_once: int | None = None, seen_together: SeenTogether = never) -> list[int]:
    grouping = Grouping(GroupTable(vectors.shape[1]), seen_together=seen_together)
    rows = added(grouping, vectors, at_once=at_once)
    return [grouping.number_now(row) for row in rows]


def added(grouping: Grouping, vectors: I16, *, at_once: int | None = None, first: int = 0) -> list[int]:
    rows: list[int] = []
    size = at_once or max(1, len(vectors))
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size]
        rows += grouping.add([(first + start + place, 0) for place in range(len(part))], part)
    return rows


def in_plane(*degrees: float) -> I16:
    angles = np.deg2rad(degrees)
    vectors = np.zeros((len(degrees), SIZE))
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    return on_grid(vectors)


def test_tracks_of_a_person_are_a_group_and_of_others_another_one() -> None:
    shown, vectors = archive(30, 300)
    precision, recall = b_cubed(shown, np.array(grouped(vectors)))
    assert precision.mean() > 0.99
    assert recall.mean() > 0.95


@pytest.mark.usefixtures("many_steps")
@pytest.mark.parametrize("at_once", [1, 7, 100, 399])
def test_it_makes_no_difference_how_many_tracks_come_at_once(at_once: int) -> None:
    _, vectors = archive(60, 400, noise=1.1)
    assert grouped(vectors, at_once=at_once) == grouped(vectors)


@pytest.mark.usefixtures("many_steps")
@pytest.mark.parametrize(("compared", "rows"), [(1, 4096), (16, 3), (2048, 64)])
def test_it_makes_no_difference_how_many_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch, compared: int, rows: int
) -> None:
    _, vectors = archive(60, 300, noise=1.1)
    usual = grouped(vectors)
    monkeypatch.setattr(module, "_COMPARED_AT_ONCE", compared)
    monkeypatch.setattr(comparing, "_ROWS_AT_ONCE", rows)
    assert grouped(vectors) == usual


@pytest.fixture
def many_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Thresholds rise from thirty groups on."""
    monkeypatch.setattr(threshold, "LEAST_GROUPS", 30)
    threshold_at.cache_clear()
    yield
    threshold_at.cache_clear()


@pytest.mark.usefixtures("many_steps")
@pytest.mark.skipif(not GreatestProducts.is_quick(), reason="this processor multiplies float32 as quickly")
@pytest.mark.parametrize("most_changed", [0.0, 0.125, 0.5, 5.0])
def test_whole_numbers_come_to_the_groups_of_float32(monkeypatch: pytest.MonkeyPatch, most_changed: float) -> None:
    _, vectors = archive(300, 1500, noise=1.1)
    usual = grouped(vectors)
    laid_out: list[int] = []

    def lay_out(vectors: I16, added: np.ndarray, *, unit: float) -> GreatestProducts:
        laid_out.append(len(vectors))
        return GreatestProducts(vectors, added, unit=unit)

    lay_out.is_quick = lambda: True  # type: ignore[attr-defined]
    monkeypatch.setattr(comparing, "GreatestProducts", lay_out)
    monkeypatch.setattr(comparing, "_LEAST_LAID_OUT", 64)
    monkeypatch.setattr(comparing, "_MOST_CHANGED", most_changed)
    monkeypatch.setattr(module, "_COMPARED_AT_ONCE", 50)
    assert grouped(vectors) == usual
    assert bool(laid_out) == (most_changed < 1)


@pytest.mark.parametrize("after", [1, 130, 399])
def test_a_run_that_goes_on_with_stored_groups_comes_to_the_same(after: int) -> None:
    _, vectors = archive(60, 400, noise=1.1)
    first = Grouping(GroupTable(SIZE), seen_together=never)
    rows = added(first, vectors[:after])
    numbers = [first.number_now(row) for row in rows]
    stored, united = first.take_changes()
    merged = {lost for lost, _ in united}
    next_number = max(one.number for one in stored) + 1 if not merged else max(*merged, *numbers) + 1
    second = Grouping(GroupTable(SIZE, founded=first.founded, next_number=next_number), seen_together=never)
    half = len(stored) // 2
    assert [*second.restore(stored[half:]), *second.restore([]), *second.restore(stored[:half])] == [
        *range(len(stored))
    ]
    numbers += [second.number_now(row) for row in added(second, vectors[after:], first=after)]
    later = dict(second.take_changes()[1])
    while any(number in later for number in numbers):
        numbers = [later.get(number, number) for number in numbers]
    assert numbers == grouped(vectors)


def test_groups_keep_their_numbers_when_others_come() -> None:
    _, vectors = archive(30, 300)
    grouping = Grouping(GroupTable(SIZE), seen_together=never)
    before = [grouping.number_now(row) for row in added(grouping, vectors[:150])]
    rows = added(grouping, vectors[150:], first=150)
    assert len(rows) == 150
    united = dict(grouping.take_changes()[1])
    again = Grouping(GroupTable(SIZE), seen_together=never)
    kept = added(again, vectors[:150])
    added(again, vectors[150:], first=150)
    changed = [
        (one, again.number_now(row)) for one, row in zip(before, kept, strict=True) if one != again.number_now(row)
    ]
    assert all(lost in united for lost, _ in changed)


def test_tracks_seen_in_one_frame_are_two_people() -> None:
    vectors = in_plane(0, 2, 4)
    keys = [(5, 0), (5, 1), (6, 0)]
    grouping = Grouping(GroupTable(SIZE), seen_together=seen({(5, 0, 1)}))
    rows = grouping.add(keys, vectors)
    assert rows[0] != rows[1]
    assert grouping.number_now(rows[2]) == grouping.number_now(rows[1])
    assert grouping.number_now(rows[0]) != grouping.number_now(rows[1])


def test_tracks_of_a_content_that_no_frame_shows_together_may_be_one_person() -> None:
    grouping = Grouping(GroupTable(SIZE), seen_together=seen({(5, 0, 2)}))
    rows = grouping.add([(5, 0), (5, 1)], in_plane(0, 2))
    assert rows[0] == rows[1]


def bridged(*, seen_together: SeenTogether = never, kept: Sequence[int] = ()) -> tuple[Grouping, list[int]]:
    """Two groups whose tracks are unlike enough, and a track between them."""
    grouping = Grouping(GroupTable(SIZE), seen_together=seen_together)
    rows = grouping.add([(1, 0), (1, 1), (2, 0), (3, 0)], in_plane(0, 75, 72, 5))
    assert len({grouping.number_now(row) for row in rows}) == 2
    if kept:
        stored, _ = grouping.take_changes()
        grouping = Grouping(GroupTable(SIZE, founded=2, next_number=3), seen_together=seen_together)
        restored = {
            one.number: row
            for one, row in zip(
                stored, grouping.restore([one._replace(is_kept=one.number in kept) for one in stored]), strict=True
            )
        }
        rows = [restored[1], restored[2], restored[2], restored[1]]
        for key, row in zip([(1, 0), (1, 1), (2, 0), (3, 0)], rows, strict=True):
            grouping.restore_member(key, row)
    rows += grouping.add([(place, 0) for place in range(4, 10)], in_plane(30, 45, 35, 40, 38, 74))
    return grouping, rows


def test_groups_that_a_track_stands_between_join_under_the_older_number() -> None:
    grouping, rows = bridged()
    assert {grouping.number_now(row) for row in rows} == {1}
    stored, united = grouping.take_changes()
    assert united == [(2, 1)]
    assert [(one.number, one.tracks) for one in stored] == [(1, 10)]
    assert (stored[0].total == in_plane(0, 75, 72, 5, 30, 45, 35, 40, 38, 74).sum(axis=0)).all()


def test_groups_with_tracks_that_one_frame_shows_never_join() -> None:
    grouping, rows = bridged(seen_together=seen({(1, 0, 1)}))
    assert grouping.number_now(rows[0]) != grouping.number_now(rows[1])


def test_what_a_group_has_taken_over_counts_when_it_is_asked_who_is_seen_together() -> None:
    grouping = Grouping(GroupTable(SIZE), seen_together=seen({(1, 0, 1)}))
    rows = grouping.add([(2, 0), (1, 0), (1, 1)], in_plane(0, 72, 144))
    assert len({grouping.number_now(row) for row in rows}) == 3
    rows += grouping.add([(place, 0) for place in range(3, 9)], in_plane(20, 50, 35, 36, 34, 35))
    assert grouping.number_now(rows[0]) == grouping.number_now(rows[1])
    grouping.add([(place, 0) for place in range(9, 30)], in_plane(*range(60, 123, 3)))
    assert grouping.number_now(rows[2]) != grouping.number_now(rows[0])
    assert grouping.take_changes()[1] == [(2, 1)]


def test_thresholds_of_older_groups_rise_when_there_are_more() -> None:
    table = GroupTable(512)
    grouping = Grouping(table, seen_together=never)
    added(grouping, on_grid(unit(np.random.default_rng(2).normal(size=(1200, 512)))))
    assert table.founded == 1200
    assert table.columns(0, 1200)[:, -1].tolist() == [-needed(1, 1, step_of(1200))] * 1200
    assert threshold_at(step_of(1200)) > threshold_at(step_of(1))


def test_a_kept_group_remains_when_an_older_one_joins_it() -> None:
    grouping, rows = bridged(kept=[2])
    assert {grouping.number_now(row) for row in rows} == {2}


def test_two_groups_that_a_person_has_decided_never_join() -> None:
    grouping, rows = bridged(kept=[1, 2])
    assert grouping.number_now(rows[0]) != grouping.number_now(rows[1])


def test_stored_groups_know_which_tracks_are_seen_together() -> None:
    grouping, rows = bridged(kept=[2], seen_together=seen({(1, 0, 1)}))
    assert grouping.number_now(rows[0]) != grouping.number_now(rows[1])


def test_what_has_been_taken_is_not_told_again() -> None:
    grouping = Grouping(GroupTable(SIZE), seen_together=never)
    added(grouping, in_plane(0, 2))
    assert [one.tracks for one in grouping.take_changes()[0]] == [2]
    assert grouping.take_changes() == ([], [])


def test_a_group_of_very_many_goes_on_to_take_tracks_and_its_centre_stays() -> None:
    grouping = Grouping(GroupTable(SIZE, founded=1, next_number=2), seen_together=never)
    total = in_plane(0).astype(np.int32)[0] * MOST_SUMMED
    grouping.restore([StoredGroup(1, MOST_SUMMED + 10, total, is_kept=False)])
    added(grouping, in_plane(3))
    (stored,), _ = grouping.take_changes()
    assert stored.tracks == MOST_SUMMED + 11
    assert (stored.total == total).all()


def test_nothing_comes_of_nothing() -> None:
    grouping = Grouping(GroupTable(SIZE), seen_together=never)
    assert grouping.add([], np.zeros((0, SIZE), np.int16)) == []
    assert grouping.take_changes() == ([], [])


def test_the_threshold_rises_with_the_number_of_groups() -> None:
    thresholds = [threshold_at(step_of(10**power)) for power in range(1, 8)]
    assert thresholds[2:] == sorted(set(thresholds))
    assert 0.4 < thresholds[0] < thresholds[-1] < 0.6


def test_agreement_of_nothing_is_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert [len(one) for one in b_cubed(nothing, nothing)] == [0, 0]


def test_agreement_is_full_where_groups_are_people_whatever_their_numbers() -> None:
    people = np.array([5, 9, 5, 2])
    assert [one.tolist() for one in b_cubed(people, np.array([1, 2, 1, 0]))] == [[1.0] * 4] * 2
