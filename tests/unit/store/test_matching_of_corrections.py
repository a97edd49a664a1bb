"""Which track a correction means, and what several words on it come to."""

import numpy as np
import pytest

from annotator.store.codec import StoredBoxes
from annotator.store.corrections.matching import find_pieces, find_track, overlap
from annotator.store.corrections.words import CorrectionVerdict, Ruling, Word, rule


def seen(*times_ms: int, x: float = 100.0, step_px: float = 0.0, shown_ms: int = 100) -> StoredBoxes:
    """Return a track of a face of 60 x 80 pixels that moves to the right, so far per millisecond."""
    pts = np.array(times_ms, np.int64)
    left = x + step_px * pts
    count = len(times_ms)
    return StoredBoxes(
        frame_index=np.arange(count, dtype=np.int64),
        pts_ms=pts,
        from_ms=pts,
        shown_ms=np.full(count, shown_ms, np.int64),
        boxes_xyxy=np.stack([left, left * 0 + 50, left + 60, left * 0 + 130], axis=1).astype(np.float32),
        scores=np.ones(count, np.float32),
        quality=np.ones(count, np.float32),
    )


def test_the_same_track_overlaps_with_all_of_its_time() -> None:
    assert overlap(seen(0, 100, 200), seen(0, 100, 200)) == pytest.approx(300.0)


def test_a_face_in_another_place_is_another_track() -> None:
    assert overlap(seen(0, 100), seen(0, 100, x=131.0)) == 0.0, "of 60 pixels 29 are shared: an IoU of a third"
    assert overlap(seen(0, 100), seen(0, 100, x=110.0)) == pytest.approx(200 * 50 / 70)


def test_a_face_at_another_time_is_another_track() -> None:
    assert overlap(seen(0, 100), seen(200, 300)) == 0.0


def test_tracks_of_other_frames_are_compared_where_the_face_moves_between_them() -> None:
    every_400 = seen(0, 400, 800, step_px=0.5, shown_ms=400)
    between = seen(200, 600, step_px=0.5, shown_ms=400)
    assert overlap(every_400, between) == pytest.approx(800.0, rel=0.02)


def test_a_still_picture_has_tracks_too() -> None:
    assert overlap(seen(0, shown_ms=0), seen(0, shown_ms=0)) > 0
    assert find_track(seen(0, shown_ms=0), {3: seen(0, shown_ms=0), 4: seen(0, x=300.0, shown_ms=0)}) == 3


def test_of_the_pieces_of_what_was_one_track_the_longest_is_meant() -> None:
    whole = seen(*range(0, 1000, 100))
    pieces = {0: seen(0, 100, 200), 1: seen(*range(300, 1000, 100)), 2: seen(*range(0, 1000, 100), x=400.0)}
    assert find_track(whole, pieces) == 1
    assert find_track(whole, {2: pieces[2]}) is None
    assert find_track(whole, {}) is None


def test_pieces_lie_in_what_was_one_track() -> None:
    whole = seen(*range(0, 1000, 100))
    pieces = {
        0: seen(0, 100, 200),
        1: seen(*range(300, 900, 100)),
        2: seen(*range(0, 1000, 100), x=400.0),
        3: seen(*range(900, 1500, 100)),
    }
    assert find_pieces(whole, pieces) == [1, 0], "2 is in another place, 3 goes on much longer"
    assert find_pieces(whole, {3: pieces[3]}) == [3], "as find_track says"
    assert find_pieces(whole, {2: pieces[2]}) == []


ADA, BEN = 1, 2
HERE, THERE = seen(0, 100), seen(0, 100, x=300.0)


def words(*said: tuple[CorrectionVerdict, int]) -> list[Word]:
    return [Word(number, HERE, verdict, identity_id) for number, (verdict, identity_id) in enumerate(said)]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([("is", ADA)], Ruling(ADA, frozenset())),
        ([("is", ADA), ("is", BEN)], Ruling(BEN, frozenset())),
        ([("is not", ADA)], Ruling(None, frozenset({ADA}))),
        ([("is", ADA), ("is not", ADA)], Ruling(None, frozenset({ADA}))),
        ([("is not", ADA), ("is", ADA)], Ruling(ADA, frozenset())),
        ([("is", ADA), ("is not", BEN)], Ruling(ADA, frozenset({BEN}))),
        ([("is not", ADA), ("is not", BEN)], Ruling(None, frozenset({ADA, BEN}))),
    ],
)
def test_the_newest_word_on_a_track_and_a_person_counts(
    said: list[tuple[CorrectionVerdict, int]], wanted: Ruling
) -> None:
    assert rule(words(*said), {0: THERE, 5: HERE}) == {5: wanted}


def test_words_on_a_face_that_no_track_shows_come_to_nothing() -> None:
    assert rule(words(("is", ADA)), {0: THERE}) == {}


CUT = {0: seen(*range(0, 600, 100)), 1: seen(*range(700, 1000, 100)), 2: THERE}


def on_the_whole(*said: tuple[CorrectionVerdict, int]) -> list[Word]:
    whole = seen(*range(0, 1000, 100))
    return [Word(number, whole, verdict, identity_id) for number, (verdict, identity_id) in enumerate(said)]


def test_who_it_is_not_is_on_no_piece_and_who_it_is_on_the_longest_one() -> None:
    is_not_ada = Ruling(None, frozenset({ADA}))
    assert rule(on_the_whole(("is not", ADA)), CUT) == {0: is_not_ada, 1: is_not_ada}
    assert rule(on_the_whole(("is", ADA)), CUT) == {0: Ruling(ADA, frozenset())}
    assert rule(on_the_whole(("is not", ADA), ("is", BEN)), CUT) == {0: Ruling(BEN, frozenset({ADA})), 1: is_not_ada}


def test_who_it_is_after_all_may_be_on_every_piece_again() -> None:
    assert rule(on_the_whole(("is not", ADA), ("is", ADA)), CUT) == {0: Ruling(ADA, frozenset())}
