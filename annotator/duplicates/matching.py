"""Whether two clips are one, and what was done to it: their pictures laid over each other.

Codes propose how: which window of one shows what which window of the other shows. The proposal is refined until the
pictures agree best, and all of the one clip's pictures are compared with all of the other's in the same way.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.codes import ASKED, KEPT, codes_of, window_waves
from annotator.duplicates.pictures import HEIGHT_PX, WIDTH_PX
from annotator.types import F32, U8

MIN_LIKENESS: Final = 0.92
"""Correlation of two pictures, laid over each other, from which they are one; chosen on development clips
(`benchmarks/duplicates.py`)."""

MIN_SHARE: Final = 0.25
"""Of the pictures of the clip that has more of them in common: so many must be in the other, nearly as alike."""

_NEARLY: Final = 0.88
_ALL: Final = 0.75  # of the pictures: those of one moment may be of another one in the other clip
_UNCROPPED: Final = 0.9
_MIN_COVER: Final = 0.36  # of the picture that both show: a crop to 60 % of each side
_PROPOSALS: Final = 6
_PAIRS: Final = 40  # nearest pairs of codes, of which proposals are taken
_ROUNDS: Final = 2  # of refining
_WORTH_REFINING: Final = 0.75  # likeness; of clips that are one it was over 0.9 before refining, which takes most time
_STEPS: Final = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-3)
_ANYWHERE: Final = np.full((HEIGHT_PX, WIDTH_PX), 255, np.uint8)
_FARTHEST: Final = 0.15  # by which refining may change a side
_MOST_TURN: Final = 0.05
# Rows that count: all; all but those that a caption may stand in.
_QUARTER: Final = HEIGHT_PX // 4
_ROWS: Final = (slice(None), slice(_QUARTER, None), slice(None, -_QUARTER))


@dataclass(frozen=True, slots=True)
class Match:
    """How one clip is another.

    Attributes:
        likeness: correlation of the two most alike pictures.
        is_mirrored: whether left and right are exchanged.
        width: how much of the other's width the one shows: 0.8 for a clip that was cropped out of it.
        height: how much of its height.
        cover: how much of the one the other shows too, as a part of its area.
        share: of the one's pictures that are in the other.
        other_share: of the other's pictures that are in the one.

    """

    likeness: float
    is_mirrored: bool
    width: float
    height: float
    cover: float
    share: float
    other_share: float

    @property
    def is_one(self) -> bool:
        """Whether the clips are one."""
        return self.likeness >= MIN_LIKENESS and max(self.share, self.other_share) >= MIN_SHARE

    @property
    def is_whole(self) -> bool:
        """Whether each shows all of the other, in place and in time, as far as pictures tell."""
        return not self.is_cropped and min(self.share, self.other_share) >= _ALL

    @property
    def is_cropped(self) -> bool:
        """Whether they do not show the same part of the scene."""
        return self.cover < _UNCROPPED or max(abs(self.width - 1), abs(self.height - 1)) > 1 - _UNCROPPED

    def changes(self) -> tuple[str, ...]:
        """Return what was done, as far as pictures tell: ``"mirrored"``, ``"cropped"``, ``"trimmed"``."""
        is_trimmed = min(self.share, self.other_share) < _ALL
        flags = {"mirrored": self.is_mirrored, "cropped": self.is_cropped, "trimmed": is_trimmed}
        return tuple(name for name, is_so in flags.items() if is_so)


def match_clips(one: U8, other: U8) -> Match | None:
    """Lay the pictures of two clips over each other as well as they go.

    Args:
        one: u8 (K, 18, 32), its pictures.
        other: u8 (L, 18, 32).

    Returns:
        How they agree; ``is_one`` says whether that is enough. None where one has no pictures or nothing agrees.

    """
    if not (len(one) and len(other)):
        return None
    kept = codes_of(window_waves(other, KEPT))
    ways = (one, np.ascontiguousarray(one[:, :, ::-1]))
    found = [(*best, mirrored) for mirrored, way in enumerate(ways) if (best := _best_proposal(way, other, kept))]
    if not found:
        return None
    promise, placing, mirrored = max(found, key=lambda proposal: proposal[0])
    way = ways[mirrored]
    if promise >= _WORTH_REFINING:
        placing = _refined(way, other, placing)
    likeness, cover = _likeness(way, other, placing)
    return Match(
        likeness=float(likeness.max()),
        is_mirrored=bool(mirrored),
        width=float(placing[0, 0]),
        height=float(placing[1, 1]),
        cover=cover,
        share=float((likeness.max(axis=1) >= _NEARLY).mean()),
        other_share=float((likeness.max(axis=0) >= _NEARLY).mean()),
    )


def _best_proposal(one: U8, other: U8, kept: NDArray[np.uint64]) -> tuple[float, F32] | None:
    """Return how alike the clips are in the best way that their codes propose, and the way."""
    asked = codes_of(window_waves(one, ASKED))
    distances = np.bitwise_count(asked.reshape(-1, 1) ^ kept.reshape(1, -1))
    pairs = min(_PAIRS, distances.size)
    nearest = np.argpartition(distances, pairs - 1, axis=None)[:pairs]
    nearest = nearest[np.argsort(distances.ravel()[nearest], kind="stable")]
    rows, columns = np.divmod(nearest, distances.shape[1])
    ways = dict.fromkeys(zip((rows % len(ASKED)).tolist(), (columns % len(KEPT)).tolist(), strict=True))
    best: tuple[float, F32] | None = None
    for asked_no, kept_no in list(ways)[:_PROPOSALS]:
        placing = _placing(asked_no, kept_no)
        likeness, cover = _likeness(one, other, placing)
        if cover >= _MIN_COVER and (best is None or likeness.max() > best[0]):
            best = float(likeness.max()), placing
    return best


def _placing(asked_no: int, kept_no: int) -> F32:
    """Return f32 (2, 3): from pixels of the one's picture to those of the other's, if two windows show the same."""
    asked, kept = ASKED[asked_no], KEPT[kept_no]
    scale = kept.side / asked.side
    shift_x = WIDTH_PX * (kept.x - asked.x * scale) + 0.5 * scale - 0.5
    shift_y = HEIGHT_PX * (kept.y - asked.y * scale) + 0.5 * scale - 0.5
    return np.array([[scale, 0, shift_x], [0, scale, shift_y]], np.float32)


def _refined(one: U8, other: U8, placing: F32) -> F32:
    """Return a placing under which the most alike pictures are more alike, where there is one near by."""
    for _ in range(_ROUNDS):
        likeness, _ = _likeness(one, other, placing)
        row, column = divmod(int(likeness.argmax()), likeness.shape[1])
        try:
            _, moved = cv2.findTransformECC(
                _bright(one[row]), _bright(other[column]), placing.copy(), cv2.MOTION_AFFINE, _STEPS, _ANYWHERE, 3
            )
        except cv2.error:  # it does not converge
            break
        change = np.abs(moved - placing)[:, :2]
        if change.diagonal().max() > _FARTHEST or max(change[0, 1], change[1, 0]) > _MOST_TURN:
            break
        nearer, cover = _likeness(one, other, np.asarray(moved, np.float32))
        if cover < _MIN_COVER or nearer.max() <= likeness.max():
            break
        placing = np.asarray(moved, np.float32)
    return placing


def _bright(picture: U8) -> U8:
    """Return a picture in 256 greys, as what refines wants it."""
    return picture * np.uint8(17)


def _likeness(one: U8, other: U8, placing: F32) -> tuple[F32, float]:
    """Return the correlation f32 (K, L) of each two pictures where both show something, and how much that is."""
    size_wh = (WIDTH_PX, HEIGHT_PX)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = [
        cv2.warpAffine(picture.astype(np.float32), placing, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for picture in other
    ]
    placed = np.stack(warped).astype(np.float32, copy=False)
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float32)
    there_x, there_y = (row[0] * x + row[1] * y + row[2] for row in placing)
    seen = (there_x >= -0.5) & (there_x < WIDTH_PX - 0.5) & (there_y >= -0.5) & (there_y < HEIGHT_PX - 0.5)
    cover = float(seen.mean())
    if cover < _MIN_COVER / 2:
        return np.zeros((len(one), len(other)), np.float32), cover
    found = [_correlation(one, placed, _only(seen, rows)) for rows in _ROWS]
    return np.max(found, axis=0), cover


def _only(seen: NDArray[np.bool_], rows: slice) -> NDArray[np.bool_]:
    kept = np.zeros_like(seen)
    kept[rows] = seen[rows]
    return kept


def _correlation(one: U8, placed: F32, seen: NDArray[np.bool_]) -> F32:
    if seen.mean() < _MIN_COVER / 2:
        return np.zeros((len(one), len(placed)), np.float32)
    sides = []
    for pictures in (one, placed):
        inside = pictures[:, seen].astype(np.float32)
        inside -= inside.mean(axis=1, keepdims=True)
        # What has hardly any contrast in there resembles everything: it does not count.
        length = np.linalg.norm(inside, axis=1, keepdims=True)
        sides.append(inside / np.maximum(length, np.sqrt(seen.sum())))
    return np.asarray(sides[0] @ sides[1].T, np.float32)
