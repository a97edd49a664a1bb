"""Whether two clips are one, and what was done to it: their pictures laid over each other.

Codes propose how: which window of one shows what which window of the other shows. The proposal is refined until the
pictures agree best, and all of the one clip's pictures are compared with all of the other's in the same way.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.duplicates.codes import ASKED, KEPT, U64, WITHOUT_A_BAR, codes_of, window_waves
from annotator.duplicates.pictures import HEIGHT_PX, WIDTH_PX
from annotator.types import F32, I64, U8

MIN_LIKENESS: Final = 0.92
"""Correlation of two pictures, laid over each other, from which they are one; chosen on development clips
(`benchmarks/duplicates.py`)."""

_MUCH_COVER: Final = 0.6  # of the picture: what an original and its crop to 80 % of each side have in common, and more
_LIKER_FOR_COVER: Final = 0.1
"""Pictures that have less in common must be more alike, by so much of what is missing: where light meets dark in both,
a third of a picture agrees by chance."""

MIN_SHARE: Final = 0.25
"""Of the pictures of the clip that has more of them in common: so many must be in the other, nearly as alike."""

_NEARLY: Final = 0.88
_ALL: Final = 0.75  # of the pictures: those of one moment may be of another one in the other clip
_UNCROPPED: Final = 0.9
_MIN_COVER: Final = 0.36  # of the picture that both show: a crop to 60 % of each side
_LYING: Final = (*KEPT, *WITHOUT_A_BAR)
"""Windows of the other clip. Those of the one are :data:`ASKED`."""

_PROPOSALS: Final = 24
_ROUNDS: Final = 2  # of refining
_WORTH_REFINING: Final = 0.6  # likeness; refining takes most time
_STEPS: Final = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-3)
_ANYWHERE: Final = np.full((HEIGHT_PX, WIDTH_PX), 255, np.uint8)
_FARTHEST: Final = 0.15  # by which refining may change a side
_MOST_TURN: Final = 0.05
_PIXELS: Final = HEIGHT_PX * WIDTH_PX
# Rows are counted in three parts, by what is put together of them: all; all but those that a caption may stand in.
_QUARTER: Final = HEIGHT_PX // 4
_PARTS: Final = (slice(0, _QUARTER), slice(_QUARTER, HEIGHT_PX - _QUARTER), slice(HEIGHT_PX - _QUARTER, HEIGHT_PX))
_TOGETHER: Final = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 0]], np.float32)
_GREY: Final = 7.5  # the middle of a picture's 16 greys: sums of squares are small beside it


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
        min_likeness = MIN_LIKENESS + _LIKER_FOR_COVER * max(0.0, _MUCH_COVER - self.cover)
        return self.likeness >= min_likeness and max(self.share, self.other_share) >= MIN_SHARE

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


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """A clip that is laid over others, with what is the same for all of them.

    Attributes:
        ways: its pictures u8 (K, 18, 32), and their mirror images.
        codes: u64 (2, K, W), of both, of the windows that are looked for.

    """

    ways: tuple[U8, U8]
    codes: U64

    @classmethod
    def of(cls, pictures: U8) -> Self:
        """Prepare a clip's pictures u8 (K, 18, 32)."""
        ways = (pictures, np.ascontiguousarray(pictures[:, :, ::-1]))
        return cls(ways, codes_of(np.stack([window_waves(way, ASKED) for way in ways])))


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """Pictures of two clips, laid over each other.

    Attributes:
        placing: f32 (2, 3), from pixels of the one's pictures to those of the other's.
        likeness: f32 (K, L), correlation of each two where both show something.
        cover: how much that is, of a picture.

    """

    placing: F32
    likeness: F32
    cover: float

    @property
    def best(self) -> float:
        """Likeness of the most alike pictures."""
        return float(self.likeness.max())


def match_clips(one: Sought, other: U8) -> Match | None:
    """Lay the pictures of two clips over each other as well as they go.

    Args:
        one: its pictures.
        other: u8 (L, 18, 32).

    Returns:
        How they agree; ``is_one`` says whether that is enough. None where one has no pictures.

    """
    if not (len(one.ways[0]) and len(other)):
        return None
    proposal = _best_proposal(one, other)
    mine = one.ways[proposal.mirrored]
    laid = _laid(mine, other, proposal.way.placing)
    if laid.best >= _WORTH_REFINING:
        laid = _refined(mine, other, laid)
    return Match(
        likeness=laid.best,
        is_mirrored=bool(proposal.mirrored),
        width=float(laid.placing[0, 0]),
        height=float(laid.placing[1, 1]),
        cover=laid.cover,
        share=float((laid.likeness.max(axis=1) >= _NEARLY).mean()),
        other_share=float((laid.likeness.max(axis=0) >= _NEARLY).mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Proposal:
    """A way to lay clips over each other, and whose codes propose it.

    Attributes:
        mirrored: 1 if it is the one's mirror image, otherwise 0.
        row: which picture of the one.
        column: which picture of the other.
        way: how they lie.

    """

    mirrored: int
    row: int
    column: int
    way: "_Way"


def _best_proposal(one: Sought, other: U8) -> _Proposal:
    """Return, of the ways that codes propose, the one under which the pictures that propose it are most alike."""
    proposals = _proposals(one, other)
    mine = _greys(np.stack([one.ways[each.mirrored][each.row] for each in proposals]))
    theirs = _greys(np.stack([other[each.column] for each in proposals])).reshape(-1, HEIGHT_PX, WIDTH_PX)
    down, across, seen = (
        np.stack([getattr(each.way, part) for each in proposals]) for part in ("down", "across", "seen")
    )
    placed = (down @ theirs @ across).reshape(-1, _PIXELS)
    return proposals[int(_likeness_each(mine, placed, seen).argmax())]


def _proposals(one: Sought, other: U8) -> list[_Proposal]:
    """Return the ways whose codes are nearest, of those under which enough is seen."""
    lying = codes_of(window_waves(other, _LYING))
    distances = np.bitwise_count(one.codes[:, :, None, :, None] ^ lying[:, None, :])
    distances = distances.reshape(2, -1, len(ASKED), len(_LYING))  # (2, K * L, windows of the one, of the other)
    nearest = np.where(_covers_enough(), distances.min(axis=1), np.iinfo(np.uint8).max)
    chosen = np.argpartition(nearest, _PROPOSALS, axis=None)[:_PROPOSALS]
    proposals = []
    for mirrored, asked_no, lying_no in np.transpose(np.unravel_index(chosen, nearest.shape)).tolist():
        pair = int(distances[mirrored, :, asked_no, lying_no].argmin())
        proposals.append(_Proposal(mirrored, *divmod(pair, len(other)), _way(asked_no, lying_no)))
    return proposals


@cache
def _covers_enough() -> NDArray[np.bool_]:
    """Return bool (W, V): whether clips, laid so that a window of each shows the same, have enough in common."""
    ways = [[_way(asked_no, lying_no) for lying_no in range(len(_LYING))] for asked_no in range(len(ASKED))]
    return np.array([[_Seen.under(way.placing).cover >= _MIN_COVER for way in row] for row in ways])


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Where both pictures show something, when one is laid over the other.

    Attributes:
        parts: i64 (N,) each, pixels of the upper, the middle and the lower rows.
        cover: how much that is, of a picture.

    """

    parts: tuple[I64, ...]
    cover: float

    @classmethod
    def under(cls, placing: F32) -> Self:
        """Return it for a placing."""
        y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float32)
        there_x, there_y = (row[0] * x + row[1] * y + row[2] for row in placing)
        is_seen = (there_x >= -0.5) & (there_x < WIDTH_PX - 0.5) & (there_y >= -0.5) & (there_y < HEIGHT_PX - 0.5)
        starts = [part.start * WIDTH_PX for part in _PARTS]
        parts = tuple(start + np.flatnonzero(is_seen[part]) for start, part in zip(starts, _PARTS, strict=True))
        return cls(parts, float(is_seen.mean()))


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """A placing that codes propose. It turns nothing, so it goes for rows and columns apart.

    Attributes:
        placing: f32 (2, 3), as of :class:`_Laid`.
        down: f32 (18, 18): rows of the other's pictures to rows of the one's.
        across: f32 (32, 32): likewise columns, to be multiplied from the right.
        seen: f32 (576, 3): 1 for pixels that both show, of what is put together of the rows (``_TOGETHER``).

    """

    placing: F32
    down: F32
    across: F32
    seen: F32


@cache
def _way(asked_no: int, lying_no: int) -> _Way:
    """Return how pictures lie if a window of the one and one of the other show the same."""
    asked, lying = ASKED[asked_no], _LYING[lying_no]
    scale_x, scale_y = lying.width / asked.width, lying.height / asked.height
    shift_x = WIDTH_PX * (lying.x - asked.x * scale_x) + 0.5 * scale_x - 0.5
    shift_y = HEIGHT_PX * (lying.y - asked.y * scale_y) + 0.5 * scale_y - 0.5
    placing = np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]], np.float32)
    seen = np.zeros((_PIXELS, len(_PARTS)), np.float32)
    for pixels, together in zip(_Seen.under(placing).parts, _TOGETHER.T, strict=True):
        seen[pixels] = together
    down, across = _sampling(HEIGHT_PX, scale_y, shift_y), _sampling(WIDTH_PX, scale_x, shift_x)
    return _Way(placing, down, np.ascontiguousarray(across.T), seen)


def _sampling(pixels: int, scale: float, shift: float) -> F32:
    """Return f32 (P, P): what each pixel is, interpolated between two, of those at ``scale * pixel + shift``."""
    place = scale * np.arange(pixels) + shift
    before = np.floor(place)
    weights = np.zeros((pixels, pixels), np.float32)
    for neighbour, weight in ((before, 1 - (place - before)), (before + 1, place - before)):
        np.add.at(weights, (np.arange(pixels), np.clip(neighbour, 0, pixels - 1).astype(np.int64)), weight)
    return weights


def _laid(one: U8, other: U8, placing: F32) -> _Laid:
    """Return pictures laid over each other."""
    seen = _Seen.under(placing)
    return _Laid(placing, _likeness(_greys(one), _greys(_placed(other, placing)), seen), seen.cover)


def _refined(one: U8, other: U8, laid: _Laid) -> _Laid:
    """Return a placing under which the most alike pictures are more alike, where there is one near by."""
    for _ in range(_ROUNDS):
        row, column = divmod(int(laid.likeness.argmax()), laid.likeness.shape[1])
        try:
            _, moved = cv2.findTransformECC(
                _bright(one[row]), _bright(other[column]), laid.placing.copy(), cv2.MOTION_AFFINE, _STEPS, _ANYWHERE, 3
            )
        except cv2.error:  # it does not converge
            break
        change = np.abs(moved - laid.placing)[:, :2]
        if change.diagonal().max() > _FARTHEST or max(change[0, 1], change[1, 0]) > _MOST_TURN:
            break
        nearer = _laid(one, other, np.asarray(moved, np.float32))
        if nearer.cover < _MIN_COVER or nearer.best <= laid.best:
            break
        laid = nearer
    return laid


def _bright(picture: U8) -> U8:
    """Return a picture in 256 greys, as what refines wants it."""
    return picture * np.uint8(17)


def _placed(pictures: U8, placing: F32) -> F32:
    """Return pictures f32 (L, 18, 32) as they lie under a placing."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size_wh = (WIDTH_PX, HEIGHT_PX)
    warped = [
        cv2.warpAffine(picture.astype(np.float32), placing, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for picture in pictures
    ]
    return np.stack(warped).astype(np.float32, copy=False)


def _greys(pictures: U8 | F32) -> F32:
    """Return pictures as f32 (K, 576), around nought."""
    return np.asarray(pictures.reshape(len(pictures), _PIXELS), np.float32) - np.float32(_GREY)


def _likeness(one: F32, placed: F32, seen: _Seen) -> F32:
    """Return the correlation of each two pictures, of all rows or without those of a caption: the greatest.

    Args:
        one: f32 (K, 576), of :func:`_greys`.
        placed: f32 (L, 576), as they lie over them.
        seen: which pixels count.

    Returns:
        f32 (K, L). What has hardly any contrast resembles everything, so it does not count.

    """
    counts = _TOGETHER @ np.array([len(part) for part in seen.parts], np.float32)
    products = np.empty((len(_PARTS), len(one), len(placed)), np.float32)
    moments = [np.empty((2, len(_PARTS), len(pictures)), np.float32) for pictures in (one, placed)]
    for number, part in enumerate(seen.parts):
        mine, theirs = one[:, part], placed[:, part]
        np.matmul(mine, theirs.T, out=products[number])
        for (sums, squares), pictures in zip(moments, (mine, theirs), strict=True):
            np.sum(pictures, axis=1, out=sums[number])
            np.vecdot(pictures, pictures, out=squares[number])
    (my_sums, my_lengths), (their_sums, their_lengths) = (
        _sums_and_lengths(_TOGETHER @ of_parts, counts[:, None]) for of_parts in moments
    )
    together = np.tensordot(_TOGETHER, products, 1) - my_sums[:, :, None] * their_sums[:, None] / counts[:, None, None]
    correlations = together / (my_lengths[:, :, None] * their_lengths[:, None])
    is_much = counts >= _MIN_COVER / 2 * _PIXELS
    return np.asarray(np.max(correlations, axis=0, initial=0.0, where=is_much[:, None, None]), np.float32)


def _likeness_each(one: F32, placed: F32, seen: F32) -> F32:
    """Return the correlation of each picture with one other, as :func:`_likeness`.

    Args:
        one: f32 (N, 576), of :func:`_greys`.
        placed: f32 (N, 576), as they lie over them.
        seen: f32 (N, 576, 3): 1 for pixels that count, of what is put together of the rows.

    Returns:
        f32 (N,).

    """
    products = np.stack([one, placed, one * one, placed * placed, one * placed], axis=1)
    mine, theirs, my_squares, their_squares, together = np.moveaxis(products @ seen, 1, 0)
    counts = np.maximum(seen.sum(axis=1), 1)
    lengths = [
        np.sqrt(np.maximum(squares - sums**2 / counts, counts))
        for sums, squares in ((mine, my_squares), (theirs, their_squares))
    ]
    correlations = (together - mine * theirs / counts) / (lengths[0] * lengths[1])
    return np.asarray(np.max(correlations, axis=1, initial=0.0, where=counts >= _MIN_COVER / 2 * _PIXELS), np.float32)


def _sums_and_lengths(moments: F32, counts: F32) -> tuple[F32, F32]:
    """Return (3, K) sums, and lengths around the mean, of (2, 3, K) sums and sums of squares over (3, 1) pixels."""
    sums, squares = moments
    return sums, np.sqrt(np.maximum(squares - sums**2 / counts, counts))
