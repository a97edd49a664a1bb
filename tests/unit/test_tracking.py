"""Faces of neighbouring samples become tracks."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.tracking import (
    FrameFaces,
    TrackDraft,
    TrackingParams,
    TrackLinker,
    in_order,
    is_cut,
    join_fragments,
    looks,
    pairwise_iou,
    shot_thumbnails,
)
from annotator.types import F32, U8, FaceTrack

PARAMS = TrackingParams()
ROOM = np.full((36, 64, 3), 90, np.uint8)
BEACH = np.concatenate([np.full((18, 64, 3), (120, 180, 240)), np.full((18, 64, 3), (230, 210, 160))]).astype(np.uint8)


DOUBLE = 12
"""Somebody who resembles person 1 as strangers may: more than overlapping faces need."""


def face_picture(person: int, *, noise: int = 0) -> U8:
    """Draw a crop that looks like itself and unlike the others."""
    if person == DOUBLE:
        return np.rint(0.4 * face_picture(1, noise=noise) + 0.6 * face_picture(2, noise=noise)).astype(np.uint8)
    coarse = np.random.default_rng(person).integers(0, 256, (7, 7, 3))
    crop = coarse.repeat(16, axis=0).repeat(16, axis=1)
    return np.clip(crop + np.random.default_rng(noise).integers(-12, 13, crop.shape), 0, 255).astype(np.uint8)


def frame(
    sample: int, faces: Sequence[tuple[int, float, float]], *, thumbnail: U8 = ROOM, quality: float = 0.5
) -> FrameFaces:
    """Make a sample with faces of (person, x, y), 40 pixels wide."""
    count = len(faces)
    boxes = np.array([[x, y, x + 40, y + 40] for _, x, y in faces], np.float32).reshape(count, 4)
    pictures = [face_picture(person, noise=sample) for person, _, _ in faces]
    crops = np.array(pictures, np.uint8).reshape(count, 112, 112, 3)
    return FrameFaces(
        frame_index=sample,
        pts_ms=sample * 100,
        from_ms=sample * 100,
        shown_ms=100,
        thumbnail=thumbnail,
        boxes_xyxy=boxes,
        scores=np.full(count, 0.99, np.float32),
        quality=np.full(count, quality, np.float32),
        face_px=np.full(count, 60, np.float32),
        crops=crops,
        looks=looks(crops),
    )


def room(*lamps: int) -> U8:
    """Draw a thumbnail of a dark room with bright upright strips, 8 of 64 pixels wide."""
    thumbnail = np.full((36, 64, 3), 20, np.uint8)
    for lamp in lamps:
        thumbnail[:, 8 * lamp : 8 * lamp + 8] = 200
    return thumbnail


# Of four lamps three stay where they are: rooms that resemble each other, or one with much motion.
BEFORE, AFTER = room(0, 2, 4, 6), room(0, 2, 4, 7)


def link(*frames: FrameFaces) -> list[TrackDraft]:
    linker = TrackLinker(PARAMS)
    for one in frames:
        linker.add(one)
    return linker.finish()


def unit(*values: float) -> F32:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_looks_are_mean_colours_of_small_squares() -> None:
    crops = np.stack([face_picture(1), face_picture(2)])
    small = crops.reshape(2, 14, 8, 14, 8, 3).mean(axis=(2, 4))
    centred = (small - small.mean(axis=(1, 2), keepdims=True)).reshape(2, -1)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(looks(crops), expected, atol=1e-6)
    assert looks(crops[:0]).shape == (0, 588)


def test_a_face_that_moves_a_little_is_one_track() -> None:
    (track,) = link(*[frame(sample, [(1, 10 + 6 * sample, 20)]) for sample in range(6)])
    assert track.frame_index == [0, 1, 2, 3, 4, 5]


def test_a_face_that_jumps_but_looks_the_same_is_one_track() -> None:
    (track,) = link(frame(0, [(1, 10, 20)]), frame(1, [(1, 45, 20)]))
    assert track.frame_index == [0, 1]


def test_another_face_at_the_same_place_is_another_track() -> None:
    tracks = link(frame(0, [(1, 10, 20)]), frame(1, [(2, 12, 20)]))
    assert [track.frame_index for track in tracks] == [[0], [1]]


def test_two_people_who_cross_keep_their_tracks() -> None:
    tracks = link(*[frame(sample, [(1, 10 * sample, 20), (2, 60 - 10 * sample, 20)]) for sample in range(7)])
    assert [len(track.frame_index) for track in tracks] == [7, 7]
    for track in tracks:
        assert np.ptp(np.diff([box[0] for box in track.boxes_xyxy])) == 0


def test_a_face_missed_for_a_few_samples_keeps_its_track() -> None:
    gap = [frame(sample, []) for sample in range(1, 1 + PARAMS.max_gap_samples)]
    assert len(link(frame(0, [(1, 10, 20)]), *gap, frame(4, [(1, 12, 20)]))) == 1


def test_a_face_missed_for_longer_starts_a_new_track() -> None:
    gap = [frame(sample, []) for sample in range(1, 2 + PARAMS.max_gap_samples)]
    assert len(link(frame(0, [(1, 10, 20)]), *gap, frame(5, [(1, 12, 20)]))) == 2


def test_a_shot_boundary_ends_all_tracks() -> None:
    tracks = link(frame(0, [(1, 10, 20)]), frame(1, [(1, 10, 20)], thumbnail=BEACH))
    assert [track.shot_no for track in tracks] == [0, 1]


def test_motion_and_a_change_of_light_are_no_shot_boundary() -> None:
    coarse = np.random.default_rng(3).integers(0, 256, (5, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (64, 36), interpolation=cv2.INTER_CUBIC)
    darker = (picture * 0.6).astype(np.uint8)
    assert not is_cut(picture, np.roll(picture, 3, axis=1), params=PARAMS)
    assert not is_cut(picture, darker, params=PARAMS)
    assert is_cut(picture, np.roll(picture, 30, axis=1), params=PARAMS)
    assert is_cut(ROOM, BEACH, params=PARAMS)


def test_where_a_shot_boundary_may_lie_somebody_who_looks_alike_is_another_track() -> None:
    likeness = float(looks(face_picture(1)[None])[0] @ looks(face_picture(DOUBLE)[None])[0])
    assert likeness > PARAMS.min_likeness
    seen = [(1, BEFORE), (1, BEFORE), (DOUBLE, AFTER), (DOUBLE, AFTER), (DOUBLE, AFTER)]
    tracks = link(*[frame(sample, [(who, 10, 20)], thumbnail=room) for sample, (who, room) in enumerate(seen)])
    assert [track.frame_index for track in tracks] == [[0, 1], [2, 3, 4]]


def test_where_none_may_lie_a_face_that_looks_rather_alike_is_the_same_one_turned() -> None:
    (track,) = link(frame(0, [(1, 10, 20)], thumbnail=BEFORE), frame(1, [(DOUBLE, 12, 20)], thumbnail=BEFORE))
    assert track.frame_index == [0, 1]


def test_looks_do_not_tell_two_people_apart_where_a_shot_boundary_may_lie() -> None:
    tracks = link(frame(0, [(1, 10, 20)], thumbnail=BEFORE), frame(1, [(1, 12, 20)], thumbnail=AFTER))
    assert [(track.frame_index, track.shot_no) for track in tracks] == [([0], 0), ([1], 0)]


def test_doubt_lasts_while_a_face_is_missing() -> None:
    tracks = link(
        frame(0, [(1, 10, 20)], thumbnail=BEFORE),
        frame(1, [], thumbnail=AFTER),
        frame(2, [(DOUBLE, 10, 20)], thumbnail=AFTER),
    )
    assert [track.frame_index for track in tracks] == [[0], [2]]


def test_what_doubt_has_parted_wrongly_lies_in_one_shot_and_is_joined() -> None:
    """Somebody turns the head while the camera swings."""
    drafts = link(frame(0, [(1, 10, 20)], thumbnail=BEFORE), frame(1, [(DOUBLE, 10, 20)], thumbnail=AFTER))
    fragments = [draft.finish(unit(1, 0.2 * number, 0)[None], keep_faces=False) for number, draft in enumerate(drafts)]
    assert len(fragments) == 2
    (track,) = join_fragments(fragments, params=PARAMS)
    assert track.frame_index.tolist() == [0, 1]


def test_noise_on_a_black_picture_is_no_shot_boundary() -> None:
    first, second = (np.random.default_rng(seed).integers(0, 9, (36, 64, 3)).astype(np.uint8) for seed in (1, 2))
    assert not is_cut(first, second, params=PARAMS)


def test_the_best_faces_of_a_track_are_kept_best_first() -> None:
    qualities = [0.1, 0.9, 0.3, 0.8, 0.2, 0.7, 0.6]
    (track,) = link(*[frame(sample, [(1, 10, 20)], quality=value) for sample, value in enumerate(qualities)])
    expected = [face_picture(1, noise=sample) for sample in (1, 3, 5, 6, 2)]
    assert (track.best_faces == np.array(expected)).all()


def test_of_equal_faces_the_earlier_are_kept() -> None:
    (track,) = link(*[frame(sample, [(1, 10, 20)]) for sample in range(8)])
    assert (track.best_faces == np.array([face_picture(1, noise=sample) for sample in range(5)])).all()


def test_tracks_that_have_ended_can_be_taken_before_the_end() -> None:
    linker = TrackLinker(PARAMS)
    linker.add(frame(0, [(1, 10, 20)]))
    assert linker.take_closed() == []
    linker.add(frame(1, [(1, 10, 20)], thumbnail=BEACH))
    (closed,) = linker.take_closed()
    assert closed.frame_index == [0]
    assert [track.frame_index for track in linker.finish()] == [[1]]
    assert linker.finish() == []


def test_a_track_keeps_its_crops_only_where_somebody_wants_them() -> None:
    (draft,) = link(frame(0, [(1, 10, 20)]), frame(1, [(1, 10, 20)]))
    embeddings = np.tile(unit(1, 0, 0), (2, 1))
    assert len(draft.finish(embeddings, keep_faces=True).best_faces) == 2
    assert len(draft.finish(embeddings, keep_faces=False).best_faces) == 0


def test_tracks_are_numbered_in_order_of_first_appearance() -> None:
    late, early = finished(0, 0, [4, 5], unit(1, 0, 0)), finished(0, 0, [1, 9], unit(0, 1, 0))
    ordered = in_order([late, early])
    assert [(track.track_no, int(track.frame_index[0])) for track in ordered] == [(0, 1), (1, 4)]


def test_a_media_without_faces_has_no_tracks() -> None:
    assert link() == []
    assert link(frame(0, []), frame(1, [])) == []


def finished(track_no: int, shot_no: int, samples: Sequence[int], embedding: F32, *, quality: float = 0.5) -> FaceTrack:
    draft = TrackDraft(shot_no)
    for sample in samples:
        faces = frame(sample, [(track_no, 10, 20)], quality=quality)
        draft.add(faces, 0, sample_no=sample, keep=PARAMS.faces_per_track)
    return draft.finish(np.tile(embedding, (len(draft.best), 1)), keep_faces=True)


def test_fragments_of_one_person_in_one_shot_are_joined() -> None:
    first = finished(0, 0, [0, 1], unit(1, 0, 0.1), quality=0.2)
    second = finished(1, 0, [4, 5, 6, 7], unit(1, 0, 0), quality=0.6)
    (joined,) = join_fragments([first, second], params=PARAMS)
    assert joined.frame_index.tolist() == [0, 1, 4, 5, 6, 7]
    assert joined.screen_time_ms == 600
    assert joined.evidence.quality.tolist() == pytest.approx([0.6] * 4 + [0.2], abs=1e-3)
    assert len(joined.best_faces) == PARAMS.faces_per_track


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (finished(1, 0, [4], unit(0, 1, 0)), "another person"),
        (finished(1, 1, [4], unit(1, 0, 0)), "another shot"),
        (finished(1, 0, [1, 4], unit(1, 0, 0)), "both on one frame"),
    ],
)
def test_other_fragments_stay_apart(other: FaceTrack, why: str) -> None:
    first = finished(0, 0, [0, 1], unit(1, 0, 0))
    assert len(join_fragments([first, other], params=PARAMS)) == 2, why


def test_stored_embeddings_are_float16() -> None:
    assert finished(0, 0, [0], unit(1, 2, 3)).evidence.embeddings.dtype == np.float16


BOXES = st.lists(st.tuples(*[st.floats(-500, 500, width=32)] * 4), max_size=6)


@given(BOXES, BOXES)
def test_iou_is_symmetric_and_between_zero_and_one(
    first: list[tuple[float, ...]], second: list[tuple[float, ...]]
) -> None:
    one, two = (np.array(boxes, np.float32).reshape(-1, 4) for boxes in (first, second))
    forward = pairwise_iou(one, two)
    assert forward.shape == (len(one), len(two))
    assert ((forward >= 0) & (forward <= 1 + 1e-6)).all()
    assert np.allclose(forward, pairwise_iou(two, one).T)


def test_a_thumbnail_has_one_size_whatever_the_frame() -> None:
    for shape in ((1, 1, 3), (1080, 1920, 3), (3, 900, 3)):
        assert shot_thumbnails([np.zeros(shape, np.uint8)]).shape == (1, 36, 64, 3)
