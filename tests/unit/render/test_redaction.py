from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.render.clip import render_media
from annotator.render.redaction import CELLS, ENLARGED, HELD_MS, FaceHider, Redaction
from annotator.render.sheet import HIDDEN, contact_sheet
from annotator.types import (
    U8,
    Candidate,
    ClipReport,
    FaceTrack,
    FrameBatch,
    Identity,
    MediaAnnotation,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

SIDE_PX = 240
FACE_PX = 40  # so that a cell of the enlarged box is 10 pixels wide, and its borders lie on whole pixels
CELL_PX = int(FACE_PX * ENLARGED / CELLS)


def make_track(pts_ms: Sequence[int], lefts: Sequence[float], *, track_no: int = 0, crop: int = 200) -> FaceTrack:
    length = len(pts_ms)
    return FaceTrack(
        track_no=track_no,
        shot_no=0,
        frame_index=np.arange(length, dtype=np.int64),
        pts_ms=np.array(pts_ms, np.int64),
        from_ms=np.array(pts_ms, np.int64),
        shown_ms=np.full(length, 100, np.int64),
        boxes_xyxy=np.array([[left, 100, left + FACE_PX, 100 + FACE_PX] for left in lefts], np.float32),
        scores=np.ones(length, np.float32),
        quality=np.ones(length, np.float32),
        evidence=TrackEvidence(np.zeros((2, 4), np.float16), np.full(2, 60, np.float16), np.ones(2, np.float16)),
        best_faces=np.full((2, 112, 112, 3), crop, np.uint8),
    )


def named(name: str, *others: str) -> TrackLabel:
    people = [name, *others]
    return TrackLabel("known", tuple(Candidate(Identity(one), 0.6, 0.9) for one in people))


UNKNOWN = TrackLabel("unknown", (Candidate(Identity("Amelia Earhart"), 0.31, 0.02),))
TOO_POOR = TrackLabel("too_poor", ())


def noise(seed: int) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)


def changed(before: U8, after: U8) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what differs, half-open."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize(
    ("redaction", "hidden"),
    [
        (Redaction(), []),
        (Redaction(frozenset({"Amelia Earhart"})), ["Amelia Earhart"]),
        (Redaction(frozenset({"Amelia Earhart", "Ada Lovelace"})), ["Amelia Earhart", "Ada Lovelace"]),
        (Redaction(hides_unknown=True), ["unknown", "too poor"]),
        (Redaction(frozenset({"Ada Lovelace"}), hides_unknown=True), ["Ada Lovelace", "unknown", "too poor"]),
        (Redaction(hides_all=True), ["Amelia Earhart", "Ada Lovelace", "unknown", "too poor"]),
    ],
)
def test_it_is_told_whose_faces_are_hidden(redaction: Redaction, hidden: list[str]) -> None:
    labels = {one: named(one) for one in ("Amelia Earhart", "Ada Lovelace")} | {"unknown": UNKNOWN}
    labels["too poor"] = TOO_POOR
    assert [name for name, label in labels.items() if redaction.covers(label)] == hidden


def test_more_than_the_box_is_hidden_and_nothing_else() -> None:
    frame = noise(0)
    hidden = FaceHider([make_track([0], [100])], ()).hide(frame, 0)
    assert changed(frame, hidden) == (90, 90, 150, 150)


def test_of_a_face_only_the_mean_colours_of_a_few_cells_are_left() -> None:
    """Another face with the same means gives the same picture: nothing can tell the two apart any more."""
    frame, other = noise(0), noise(0)
    random = np.random.default_rng(1)
    for top in range(90, 150, CELL_PX):
        for left in range(90, 150, CELL_PX):
            cell = other[top : top + CELL_PX, left : left + CELL_PX].reshape(-1, 3)
            other[top : top + CELL_PX, left : left + CELL_PX] = random.permutation(cell).reshape(CELL_PX, CELL_PX, 3)
    assert not np.array_equal(frame, other)
    track = make_track([0], [100])
    assert np.array_equal(FaceHider([track], ()).hide(frame, 0), FaceHider([track], ()).hide(other, 0))


def test_further_frames_tell_nothing_more_of_the_face() -> None:
    track = make_track([0, 400], [100, 120])
    hider = FaceHider([track], ())
    first = hider.hide(noise(0), 0)[90:150, 90:150]
    for at in (100, 200, 400):
        left = 90 + at // 20
        assert np.array_equal(hider.hide(noise(at), at)[90:150, left : left + 60], first)


def test_a_face_is_hidden_where_it_moves_between_two_detections() -> None:
    frame = noise(0)
    hider = FaceHider([make_track([0, 1000], [40, 140])], ())
    assert [changed(frame, hider.hide(frame, at))[0] for at in (0, 500, 1000)] == [30, 80, 130]


@pytest.mark.parametrize(("at", "is_hidden"), [(499, False), (500, True), (1000, True), (1599, True), (1600, False)])
def test_a_face_is_hidden_a_while_before_it_is_found_and_after(at: int, is_hidden: bool) -> None:  # noqa: FBT001
    assert HELD_MS == 500
    frame = noise(0)
    assert np.array_equal(FaceHider([make_track([1000], [40])], ()).hide(frame, at), frame) is not is_hidden


def test_nothing_is_hidden_beyond_a_shot() -> None:
    frame = noise(0)
    hider = FaceHider([make_track([1000], [40])], cuts_ms=[900, 1200])
    assert [np.array_equal(hider.hide(frame, at), frame) for at in (850, 950, 1150, 1250)] == [True, False, False, True]


@pytest.mark.parametrize("left", [-500.0, -50.0, -20.0, 220.0, 239.0, 900.0])
def test_faces_at_and_beyond_the_border_are_hidden_as_far_as_they_are_seen(left: float) -> None:
    frame = noise(0)
    hidden = FaceHider([make_track([0], [left])], ()).hide(frame, 0)
    assert hidden.shape == frame.shape
    seen = slice(max(0, int(left)), max(0, int(left) + FACE_PX))
    assert not frame[100:140, seen].size or not np.array_equal(frame[100:140, seen], hidden[100:140, seen])


def test_the_given_frame_is_not_changed() -> None:
    frame = noise(0)
    FaceHider([make_track([0], [100])], ()).hide(frame, 0)
    assert np.array_equal(frame, noise(0))


class Clip:
    """One picture that stands for a second."""

    content_sha256 = "0" * 64
    report = ClipReport(SIDE_PX, SIDE_PX, None, 0, 0, None)

    def __iter__(self) -> Iterator[FrameBatch]:
        one = np.zeros(1, np.int64)
        yield FrameBatch(np.full((1, SIDE_PX, SIDE_PX, 3), 60, np.uint8), one, one, one, one + 1000)

    @contextmanager
    def open(self, media: MediaRef) -> Iterator["Clip"]:  # noqa: ARG002
        yield self

    def spec(self) -> dict[str, object]:
        return {}


def annotation(*pairs: tuple[FaceTrack, TrackLabel]) -> MediaAnnotation:
    return MediaAnnotation(
        media=MediaRef("x.png", "file:///x.png"),
        model="starter@1",
        content_sha256="0" * 64,
        clip=ClipReport(SIDE_PX, SIDE_PX, None, 1, 1, None),
        frames_sampled=1,
        faces=len(pairs),
        tracks=tuple(track for track, _ in pairs),
        labels=tuple(label for _, label in pairs),
    )


def test_a_hidden_face_has_neither_box_nor_name(tmp_path: Path) -> None:
    one = annotation((make_track([0], [100]), named("Amelia Earhart")))
    for redaction, is_marked in ((Redaction(), True), (Redaction(frozenset({"Amelia Earhart"})), False)):
        rendering = render_media(one, source=Clip(), target=tmp_path / "x.png", redaction=redaction)
        with Image.open(rendering) as image:
            assert bool((np.asarray(image) != 60).any()) is is_marked  # a flat picture's cells are flat, too


def test_the_sheet_has_neither_face_nor_names_of_a_hidden_track() -> None:
    redaction = Redaction(frozenset({"Amelia Earhart"}))
    track = make_track([0], [100])
    alone = contact_sheet(annotation((track, named("Amelia Earhart", "Ada Lovelace"))), redaction=redaction)
    nameless = contact_sheet(annotation((track, named("Amelia Earhart"))), redaction=redaction)
    assert np.array_equal(alone, nameless)
    crop = alone[80:170, 10:110]
    assert (crop == HIDDEN).all()


def test_the_sheet_does_not_tell_that_somebody_else_is_like_a_hidden_person() -> None:
    redaction = Redaction(frozenset({"Amelia Earhart"}))
    track = make_track([0], [100])
    with_her = contact_sheet(annotation((track, named("Ada Lovelace", "Amelia Earhart"))), redaction=redaction)
    without = contact_sheet(annotation((track, named("Ada Lovelace"))), redaction=redaction)
    assert np.array_equal(with_her, without)
