"""A face as a small moving picture: what is around it for a second and a half, cut so that it stays in the middle."""

import bisect
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PIL import Image

from annotator.promotion.frames import Cut, ShownFrame
from annotator.promotion.pictures import best_moments, jpeg
from annotator.store.codec import StoredBoxes
from annotator.types import F32, I64

SIDE_PX: Final = 192
"""Of the square that is shown."""

SCALE: Final = 2.4
"""Side of the square, as a multiple of the longer side of the largest box: a face, with hair and shoulders."""

WINDOW_MS: Final = 1500
STEP_MS: Final = 100
"""Between two frames: the delay of most GIFs."""

# Boxes jitter from frame to frame: the way of the square is the mean of this many steps, the nearer the more.
_SMOOTHING: Final = np.array([1, 2, 3, 2, 1], np.float32) / 9
_LEAST_MS: Final = 20  # that a frame is shown: browsers take a shorter time for a longer one
# In real clips, squares of faces that move correlate by 0.36 and more with the one before, most by over 0.7; those of
# another shot by 0.33 at most.
_COMPARED_PX: Final = 24
_LEAST_CORRELATION: Final = 0.35
_WEBP_QUALITY: Final = 50
_WEBP_EFFORT: Final = 2  # of 6: a third of the time of 4, and a tenth more bytes


@dataclass(frozen=True, slots=True)
class Square:
    """Where the square lies at a time, in pixels of the frame."""

    time_ms: int
    centre_xy: tuple[float, float]
    side_px: float


@dataclass(frozen=True, slots=True)
class StillFace:
    """The best face of a track, cut as the moving picture is.

    Attributes:
        square: where it is.

    """

    square: Square

    @property
    def times_ms(self) -> tuple[int, ...]:
        """The one time."""
        return (self.square.time_ms,)

    def cut(self, frame: ShownFrame) -> Image.Image | None:
        """Cut the square out."""
        return _cut(frame, self.square)

    def write(self, cuts: Sequence[Cut]) -> bytes | None:
        """Return a JPEG."""
        return None if cuts[0].image is None else jpeg(cuts[0].image)


@dataclass(frozen=True, slots=True)
class MovingFace:
    """A face that is followed, around the moment at which it is best.

    Attributes:
        squares: where it is, in order of time; all of one size.
        end_ms: when the last frame is gone.
        best_ms: when it is best: one of the squares' times.
        seen_ms: when it was found first and last; what is before and after may be another shot.

    """

    squares: tuple[Square, ...]
    end_ms: int
    best_ms: int
    seen_ms: tuple[int, int]
    times_ms: tuple[int, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Gather the times."""
        object.__setattr__(self, "times_ms", tuple(square.time_ms for square in self.squares))

    def cut(self, frame: ShownFrame) -> Image.Image | None:
        """Cut the square out, at the place where it is when the frame appears."""
        xs, ys = zip(*(square.centre_xy for square in self.squares), strict=True)
        centre_xy = tuple(float(np.interp(frame.start_ms, self.times_ms, values)) for values in (xs, ys))
        return _cut(frame, Square(frame.start_ms, (centre_xy[0], centre_xy[1]), self.squares[0].side_px))

    def write(self, cuts: Sequence[Cut]) -> bytes | None:
        """Return a WebP that runs for ever, each frame for as long as in the media."""
        shown = [cut for place, cut in enumerate(cuts) if not place or cut.start_ms > cuts[place - 1].start_ms]
        images = [cut.image for cut in shown if cut.image is not None]
        if len(images) < len(shown):
            return None
        # The first frame may have appeared before the window, and be shown for a part of its time only.
        starts = [self.times_ms[0], *(cut.start_ms for cut in shown[1:]), self.end_ms]
        first, last = self._within_the_shot(starts[:-1], images)
        images = images[first : last + 1]
        lengths = [max(end - start, _LEAST_MS) for start, end in itertools.pairwise(starts[first : last + 2])]
        stream = io.BytesIO()
        images[0].save(
            stream,
            "WEBP",
            save_all=True,
            append_images=images[1:],
            duration=lengths,
            loop=0,
            quality=_WEBP_QUALITY,
            method=_WEBP_EFFORT,
        )
        return stream.getvalue()

    def _within_the_shot(self, starts: Sequence[int], images: Sequence[Image.Image]) -> tuple[int, int]:
        """Return the first and the last frame of the shot in which the face was found, as far as can be seen."""
        best = max(bisect.bisect_right(starts, self.best_ms) - 1, 0)
        first = min(bisect.bisect_left(starts, self.seen_ms[0]), best)
        last = max(bisect.bisect_right(starts, self.seen_ms[1]) - 1, best)
        while first > 0 and _is_one_shot(images[first - 1], images[first]):
            first -= 1
        while last < len(images) - 1 and _is_one_shot(images[last], images[last + 1]):
            last += 1
        return first, last


def follow(boxes: StoredBoxes) -> tuple[StillFace, MovingFace]:
    """Return the pictures of a track's best face: one that stands, and one that moves.

    Args:
        boxes: of the track.

    """
    best_ms = best_moments(boxes, most=1)[0].pts_ms
    start_ms, end_ms = _window(boxes, best_ms)
    # The best moment is among the times: a frame that is shown nearly then may be of the shot before.
    steps = np.arange(best_ms - (best_ms - start_ms) // STEP_MS * STEP_MS, end_ms, STEP_MS, dtype=np.int64)
    times = np.union1d([start_ms], steps)
    side_px = SCALE * max(1.0, float(_at(times, boxes, _longer_sides(boxes)).max()))
    still_at = np.array([best_ms], np.int64)
    (still,) = _squares(still_at, side_px, *(_at(still_at, boxes, middle) for middle in _middles(boxes)))
    moving = _squares(times, side_px, *(_smoothed(times, boxes, middle) for middle in _middles(boxes)))
    return StillFace(still), MovingFace(moving, end_ms, best_ms, (int(boxes.pts_ms[0]), int(boxes.pts_ms[-1])))


def _window(boxes: StoredBoxes, best_ms: int) -> tuple[int, int]:
    """Return when the picture begins and ends: within the time in which the face was seen, as far as that lasts.

    Where it was seen for less, the half of the way to the next sample is taken along, as it is for screen time.
    """
    first_ms, last_ms = int(boxes.pts_ms[0]), int(boxes.pts_ms[-1])
    if last_ms - first_ms < WINDOW_MS:
        first_ms, last_ms = int(boxes.from_ms[0]), int(boxes.from_ms[-1] + boxes.shown_ms[-1])
    start_ms = max(first_ms, min(best_ms - WINDOW_MS // 2, last_ms - WINDOW_MS), 0)
    return start_ms, max(min(start_ms + WINDOW_MS, last_ms), best_ms + 1)


def _squares(times: I64, side_px: float, centre_x: F32, centre_y: F32) -> tuple[Square, ...]:
    rows = zip(times.tolist(), centre_x.tolist(), centre_y.tolist(), strict=True)
    return tuple(Square(time, (round(x, 1), round(y, 1)), round(side_px, 1)) for time, x, y in rows)


def _smoothed(times: I64, boxes: StoredBoxes, values: F32) -> F32:
    reach = len(_SMOOTHING) // 2
    around = times[:, np.newaxis] + STEP_MS * np.arange(-reach, reach + 1)
    return np.asarray(_at(around.ravel(), boxes, values).reshape(around.shape) @ _SMOOTHING, np.float32)


def _at(times: I64, boxes: StoredBoxes, values: F32) -> F32:
    """Return values of the boxes between and beyond the frames in which they were found."""
    return np.interp(times, boxes.pts_ms, values).astype(np.float32)


def _middles(boxes: StoredBoxes) -> tuple[F32, F32]:
    x1, y1, x2, y2 = boxes.boxes_xyxy.T
    return (x1 + x2) / 2, (y1 + y2) / 2


def _longer_sides(boxes: StoredBoxes) -> F32:
    x1, y1, x2, y2 = boxes.boxes_xyxy.T
    return np.asarray(np.maximum(x2 - x1, y2 - y1), np.float32)


def _is_one_shot(one: Image.Image, next_one: Image.Image) -> bool:
    """Say whether two squares that follow each other look like one shot: made small, their pixels correlate."""
    pixels = [
        np.asarray(image.resize((_COMPARED_PX, _COMPARED_PX), Image.Resampling.BOX), np.float32).ravel()
        for image in (one, next_one)
    ]
    first, second = (values - values.mean() for values in pixels)
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return size == 0 or float(first @ second) >= _LEAST_CORRELATION * size


def _cut(frame: ShownFrame, square: Square) -> Image.Image | None:
    """Cut a square out that lies in the frame, moved or made smaller where it would not."""
    height, width = frame.image.shape[:2]
    side = max(1, min(round(square.side_px), width, height))
    centre_x, centre_y = square.centre_xy
    left = min(max(round(centre_x - side / 2), 0), width - side)
    top = min(max(round(centre_y - side / 2), 0), height - side)
    cut = Image.fromarray(frame.image[top : top + side, left : left + side])
    return cut.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
