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
from annotator.promotion.frames import cut_pictures
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
    best_ms = max(one.time_ms for one in moving.squares if one.time_ms <= 6000)
    assert (moving.times_ms[0], moving.end_ms, best_ms) == (5250, 5250 + WINDOW_MS, 5950)
    _, at_the_end = follow(boxes_of([100 * number for number in range(100)], [50.0] * 100, best=99))
    assert (at_the_end.times_ms[0], at_the_end.end_ms) == (9900 - WINDOW_MS, 9900)
    _, short = follow(boxes_of([1000, 1100], [50.0, 50.0]))
    assert (short.times_ms, short.end_ms) == ((1000, 1100), 1200)
    _, once = follow(boxes_of([1000], [50.0], shown_ms=0))
    assert (once.times_ms, once.end_ms) == ((1000,), 1001)


def test_a_square_stays_in_its_frame_whatever_the_boxes_say(tmp_path: Path, source: MediaSource) -> None:
    media = draw(tmp_path / "a.gif", [0, 0, 0], [100, 100, 100], size_wh=(90, 70))
    for left, top in ((-500.0, -500.0), (5000.0, 60.0), (10.0, 5000.0)):
        still, moving = follow(boxes_of([0, 100, 200], [left] * 3, top=top))
        assert cut(media, still, source) is not None
        assert next(frame.shape for frame, _ in frames_of(cut(media, moving, source))) == (SIDE_PX, SIDE_PX, 3)


def test_a_picture_of_one_pixel_can_be_followed(tmp_path: Path, source: MediaSource) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1), RED).save(path)
    still, moving = follow(boxes_of([0], [0.0], shown_ms=0))
    media = MediaRef("a.png", path.as_uri(), None)
    assert cut(media, still, source) is not None
    assert len(list(frames_of(cut(media, moving, source)))) == 1
