"""A face as a moving picture: cut around the face that moves, at the times of the media."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.build import MediaSource, build_source
from annotator.media.reader import file_etag
from annotator.promotion.following import SCALE, SIDE_PX, WINDOW_MS, MovingFace, StillFace, follow
from annotator.promotion.frames import ShownFrame, cut_pictures
from annotator.settings import load_settings
from annotator.store.codec import StoredBoxes
from annotator.types import MediaRef

FACE_PX = 40
RED = (220, 20, 20)
# A picture is compressed, and made smaller: where something lies in it is known within so many pixels.
PLACE_TOLERANCE_PX = 6


def boxes_of(
    pts_ms: list[int], lefts: list[float], *, best: int = 0, top: float = 60, shown_ms: int = 100
) -> StoredBoxes:
    """Return a track of squares of ``FACE_PX``."""
    times = np.array(pts_ms, np.int64)
    left = np.array(lefts, np.float32)
    high = np.full_like(left, top)
    boxes = np.stack([left, high, left + FACE_PX, high + FACE_PX], axis=1)
    quality = np.full(len(times), 0.25, np.float32)
    quality[best] = 0.75
    return StoredBoxes(times // 100, times, times, 0 * times + shown_ms, boxes, np.ones_like(quality), quality)


def draw(path: Path, lefts: list[int], delays_ms: list[int], *, size_wh: tuple[int, int] = (400, 200)) -> MediaRef:
    """Write a GIF of a red square that lies elsewhere in each frame, on stripes: no two cuts are equal."""
    stripes = np.tile(np.array([0, 40, 80, 120], np.uint8).repeat(25), size_wh[0])[: size_wh[0]]
    ground = np.broadcast_to(stripes[:, np.newaxis], (size_wh[1], size_wh[0], 3))
    frames = []
    for left in lefts:
        image = Image.fromarray(np.ascontiguousarray(ground))
        image.paste(RED, (left, 60, left + FACE_PX, 60 + FACE_PX))
        frames.append(image)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays_ms, loop=0)
    return MediaRef(path.name, path.as_uri(), file_etag(path.stat()))


@pytest.fixture(scope="module")
def source() -> MediaSource:
    return build_source(load_settings(env_file=None))


def cut(media: MediaRef, picture: StillFace | MovingFace, source: MediaSource) -> bytes | None:
    with source.reader.open(media) as local:
        sha256 = local.sha256
    return dict(cut_pictures(media, [picture], sha256=sha256, source=source))[picture]


def frames_of(file: bytes | None) -> Iterator[tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], int]]:
    """Yield the frames of an animation, u8 (H, W, 3), each with its time in milliseconds."""
    assert file is not None
    image = Image.open(io.BytesIO(file))
    for number in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(number)
        image.load()
        yield np.asarray(image.convert("RGB")), image.info["duration"]


def middle_of_red(frame: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[float, float]:
    """Return where the red square lies, x and y in pixels."""
    rows, columns = np.nonzero((frame[..., 0].astype(int) - frame[..., 1]) > 60)
    return float(columns.mean()), float(rows.mean())


def test_a_face_that_moves_stays_in_the_middle_and_is_shown_as_long_as_in_the_media(
    tmp_path: Path, source: MediaSource
) -> None:
    lefts = [60 + 20 * number for number in range(10)]
    delays = [100, 150, 100, 70, 130, 100, 100, 100, 100, 100]
    media = draw(tmp_path / "a.gif", lefts, delays)
    starts = [sum(delays[:number]) for number in range(10)]
    track = boxes_of([starts[number] for number in (0, 3, 6, 9)], [lefts[number] for number in (0, 3, 6, 9)], best=2)
    _, moving = follow(track)
    side_px = moving.squares[0].side_px
    assert side_px == pytest.approx(SCALE * FACE_PX, abs=0.1)
    shown = list(frames_of(cut(media, moving, source)))
    assert [frame.shape for frame, _ in shown] == [(SIDE_PX, SIDE_PX, 3)] * 10
    assert [length_ms for _, length_ms in shown] == delays
    places = [middle_of_red(frame) for frame, _ in shown]
    # The square glides where frames are longer and shorter, and its way is smoothed at both ends.
    assert np.abs(np.array(places[2:-2]) - SIDE_PX / 2).max() < 0.3 * FACE_PX * SIDE_PX / side_px
    assert np.abs(np.array(places) - SIDE_PX / 2).max() < 0.6 * FACE_PX * SIDE_PX / side_px


def test_the_still_one_shows_the_best_moment_cut_in_the_same_way(tmp_path: Path, source: MediaSource) -> None:
    media = draw(tmp_path / "a.gif", [60, 260], [500, 500])
    still, _ = follow(boxes_of([0, 500], [60, 260], best=1, shown_ms=500))
    file = cut(media, still, source)
    assert file is not None
    image = np.asarray(Image.open(io.BytesIO(file)))
    assert image.shape == (SIDE_PX, SIDE_PX, 3)
    red = (image[..., 0].astype(int) - image[..., 1]) > 60
    assert abs(red.sum() ** 0.5 - SIDE_PX / SCALE) < PLACE_TOLERANCE_PX
    x, y = middle_of_red(image)
    assert abs(y - SIDE_PX / 2) < PLACE_TOLERANCE_PX
    assert abs(x - SIDE_PX / 2) < PLACE_TOLERANCE_PX


def test_the_picture_is_of_the_time_around_the_best_moment_within_what_was_seen() -> None:
    long = boxes_of([100 * number for number in range(100)], [50.0] * 100, best=60)
    _, moving = follow(long)
    assert (moving.times_ms[0], moving.end_ms) == (5250, 5250 + WINDOW_MS)
    assert 6000 in moving.times_ms
    _, at_the_end = follow(boxes_of([100 * number for number in range(100)], [50.0] * 100, best=99))
    assert (at_the_end.times_ms[0], at_the_end.end_ms) == (9900 - WINDOW_MS, 9901)
    _, short = follow(boxes_of([1000, 1100], [50.0, 50.0]))
    assert (short.times_ms, short.end_ms) == ((1000, 1100), 1200)
    _, once = follow(boxes_of([1000], [50.0], shown_ms=0))
    assert (once.times_ms, once.end_ms) == ((1000,), 1001)


def test_of_a_frame_that_was_there_before_only_the_part_within_the_window_is_shown(
    tmp_path: Path, source: MediaSource
) -> None:
    media = draw(tmp_path / "a.gif", [60, 90, 120, 150, 180], [1000] * 5)
    _, moving = follow(boxes_of([0, 1000, 2000, 3000, 4000], [60, 90, 120, 150, 180], best=2, shown_ms=1000))
    assert (moving.times_ms[0], moving.end_ms) == (1250, 1250 + WINDOW_MS)
    assert [length_ms for _, length_ms in frames_of(cut(media, moving, source))] == [750, 750]


def test_before_and_after_the_face_was_found_nothing_of_another_shot_is_shown(
    tmp_path: Path, source: MediaSource
) -> None:
    scenes = np.random.default_rng(0).integers(0, 255, (3, 8, 8, 3), dtype=np.uint8)
    frames = [Image.fromarray(scenes[number // 3]).resize((160, 160), Image.Resampling.NEAREST) for number in range(9)]
    for number, frame in enumerate(frames):  # no two frames are one
        frame.paste((20 * number, 0, 0), (70, 70, 78, 78))
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    media = MediaRef("a.gif", (tmp_path / "a.gif").as_uri(), None)
    track = boxes_of([400], [60.0], shown_ms=0)
    object.__setattr__(track, "from_ms", np.array([100], np.int64))
    object.__setattr__(track, "shown_ms", np.array([700], np.int64))
    _, moving = follow(track)
    assert (moving.times_ms[0], moving.end_ms) == (100, 800)
    assert [length_ms for _, length_ms in frames_of(cut(media, moving, source))] == [100, 100, 100]


@pytest.mark.parametrize(
    ("left", "top", "columns", "rows"),
    [
        (-500.0, -500.0, (0, 96), (0, 96)),
        (5000.0, 60.0, (104, 200), (32, 128)),
        (80.0, 5000.0, (52, 148), (54, 150)),
    ],
)
def test_a_square_stays_in_its_frame_whatever_the_boxes_say(
    left: float, top: float, columns: tuple[int, int], rows: tuple[int, int]
) -> None:
    image = np.zeros((150, 200, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(200), np.arange(150)[:, np.newaxis]
    still, moving = follow(boxes_of([0, 100, 200], [left] * 3, top=top))
    for picture in (still, moving):
        shown = picture.cut(ShownFrame(0, 0, image))
        assert shown is not None
        pixels = np.asarray(shown)
        assert [*pixels[0, 0, :2], *pixels[-1, -1, :2]] == [columns[0], rows[0], columns[1] - 1, rows[1] - 1]


def test_a_picture_of_one_pixel_can_be_followed(tmp_path: Path, source: MediaSource) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1), RED).save(path)
    still, moving = follow(boxes_of([0], [0.0], shown_ms=0))
    media = MediaRef("a.png", path.as_uri(), None)
    assert cut(media, still, source) is not None
    assert len(list(frames_of(cut(media, moving, source)))) == 1
