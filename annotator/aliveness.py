"""Whether a track shows a picture of somebody, in a clip in which other things move.

A poster, a photograph in a hand, a face on a screen that stands still: all their faces are one picture, shifted,
turned, seen from aside and lit differently. What is left when that is taken off is a camera's and a codec's noise. Of a
person much more is left, for a mouth moves, eyes do, and a head turns.

Where the whole frame is one picture, too, the clip is a photograph that somebody made a GIF of, perhaps with a caption:
people search for it by the name of whom it shows, and it is no picture *in* a clip.

How much is left in clips of people, on posters and of photographs shown as clips, and what else was tried and tells
less, prints ``python -m benchmarks.aliveness``.
"""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from annotator.types import F32, U8

F64 = NDArray[np.float64]

MAX_PICTURE_CHANGE: Final = 0.05
"""Change (see ``inner_change``) under which faces are taken for one picture; chosen by ``benchmarks.aliveness``."""

LEAST_PICTURE_FACES: Final = 3
"""Faces from which a track may be taken for a picture: two may be alike by chance."""

MIN_FRAME_CHANGE: Final = 0.05
"""Change of the frame (see ``frame_change``) from which other things move; chosen by the same benchmark."""

_SIDE_PX: Final = 56  # faces of clips have no more detail: half of them are smaller in their frames
_BORDER_PX: Final = 7  # on which neighbouring things, hair and the frame's end are seen
_SMOOTHING_PX: Final = 0.7  # of a Gaussian: dithering is no change, and slopes must be smooth
_ROUNDS: Final = 2  # of approximation; a third changes posters by less than 0.001
_MOST_SHIFT_PX: Final = 4.0  # in a round; landmarks err by less
_MOST_STRETCH: Final = 0.2  # in a round, as a part of the face
_LEAST_GAIN: Final = 0.2  # of contrast that a motion is believed at
_LEAST_SPREAD: Final = 1.0  # of 255: the standard deviation of a face in which nothing is to be seen
_SEEN_CHANGE: Final = 12.0  # of 255: dithering and blocks change less of a frame that is made small
_FRAME_ROUNDS: Final = 8  # a frame is moved farther than a face is, and few are looked at
_LEAST_SHARED: Final = 0.3  # of a frame: two that have less in common cannot be compared
_WHOLLY: Final = 0.99  # of a pixel that is seen, up to rounding
_RIDGE: Final = 1e-4  # relative: keeps a picture without slopes solvable
_INNER: Final = slice(_BORDER_PX, _SIDE_PX - _BORDER_PX)
_WHITE: Final = np.ones((_SIDE_PX, _SIDE_PX), np.float32)


def is_picture(faces: U8, frames: U8) -> bool | None:
    """Say whether a track's faces are one picture, in frames that are not.

    Args:
        faces: u8 (K, 112, 112, 3), aligned RGB crops of one track, best first.
        frames: u8 (K, H, W, 3), for each face the frame that it is on, RGB, made small.

    Returns:
        False too for what cannot be told from somebody alive. None where there are too few faces to tell.

    """
    if len(faces) < 2:
        return None
    # Two faces tell of most people that they live, at a fourth of the time.
    for some in (faces[[0, -1]], faces):
        change = inner_change(some)
        if change is not None and change >= MAX_PICTURE_CHANGE:
            return False
    if len(faces) < LEAST_PICTURE_FACES:
        return None
    moved = frame_change(frames)
    return moved is not None and moved >= MIN_FRAME_CHANGE


def inner_change(faces: U8) -> float | None:
    """Measure how much a track's faces change inside.

    The first face is moved over each of the others (shift, turn, size, shear) and given its brightness and contrast, as
    near as least squares bring it. The change is what then differs: its standard deviation, as a part of that of the
    other face's luma.

    Args:
        faces: u8 (K, 112, 112, 3), aligned RGB crops of one track, best first.

    Returns:
        The largest change of any face against the first: 0 for faces that are one picture; noise alone makes some 0.02
        to 0.06. None for fewer than two faces, which cannot tell.

    """
    if len(faces) < 2:
        return None
    lumas = _lumas(faces)
    others = lumas[1:, _INNER, _INNER].reshape(len(faces) - 1, -1)
    spread = np.maximum(others.std(axis=1), _LEAST_SPREAD)
    rounds = _moved_over(lumas, _stay(len(others)), rounds=_ROUNDS)
    least = np.min([left.std(axis=1) for left, _ in rounds], axis=0)
    return float((least / spread).max())


def frame_change(frames: U8) -> float | None:
    """Measure how much of a frame changes otherwise than as one picture that is moved about.

    Args:
        frames: u8 (K, H, W, 3), RGB, of one shot.

    Returns:
        The largest part of any frame, in [0, 1], that differs from the first one moved over it, of what that one shows.
        None for fewer than two frames.

    """
    if len(frames) < 2:
        return None
    lumas = _lumas(frames)
    starts = (_stay(len(frames) - 1), _shifts(lumas))
    parts = [
        _part_changed(*one) for start in starts for one in _moved_over(lumas, start, rounds=_FRAME_ROUNDS, in_view=True)
    ]
    return float(np.min(parts, axis=0).max())


def _part_changed(left: F32, is_seen: NDArray[np.bool_]) -> F64:
    """Return f64 (P,): of the pixels that both show, the part that differs; all of it where they share too little."""
    seen = is_seen.sum(axis=1)
    changed = ((np.abs(left) > _SEEN_CHANGE) & is_seen).sum(axis=1)
    return np.where(seen > _LEAST_SHARED * is_seen.shape[1], changed / np.maximum(seen, 1), 1.0)


def _stay(count: int) -> F64:
    """Return f64 (P, 3, 3), motions that move nothing."""
    return np.repeat(np.eye(3)[None], count, axis=0)


def _shifts(lumas: F32) -> F64:
    """Return f64 (K - 1, 3, 3), the shifts of the first picture that the others are likest to: a camera may go far."""
    window = cv2.createHanningWindow((_SIDE_PX, _SIDE_PX), cv2.CV_32F)
    motions = _stay(len(lumas) - 1)
    motions[:, :2, 2] = [cv2.phaseCorrelate(other, lumas[0], window)[0] for other in lumas[1:]]
    return motions


def _moved_over(
    lumas: F32, motions: F64, *, rounds: int, in_view: bool = False
) -> Iterator[tuple[F32, NDArray[np.bool_]]]:
    """Move the first picture over each of the others, nearer in each round.

    Args:
        lumas: f32 (K, 56, 56).
        motions: f64 (K - 1, 3, 3), to begin with.
        rounds: how many.
        in_view: whether only what the first picture shows counts; faces show all, for they are moved by little.

    Yields:
        What differs then, f32 (K - 1, N), and which of it counts.

    """
    others = lumas[1:, _INNER, _INNER].reshape(len(motions), -1)
    is_seen = np.ones(others.shape, np.bool_)
    for _ in range(rounds):
        if in_view:
            is_seen = np.stack([_in_view(motion) for motion in motions])
        columns = _columns(np.stack([_moved(lumas[0], motion) for motion in motions]))
        factors = _solved(columns * is_seen[..., None], others * is_seen) if in_view else _solved(columns, others)
        yield others - (columns @ factors[..., None].astype(np.float32))[..., 0], is_seen
        motions = motions @ _motions(factors)


def _in_view(motion: F64) -> NDArray[np.bool_]:
    """Return bool (N,): whether the moved picture shows what is at a pixel."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(_WHITE, motion[:2], (_SIDE_PX, _SIDE_PX), flags=flags, borderValue=0)
    return np.asarray(shown[_INNER, _INNER].ravel() > _WHOLLY)


def _lumas(pictures: U8) -> F32:
    """Return f32 (K, 56, 56), each without its mean."""
    small = [
        cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        for one in pictures
    ]
    smooth = [cv2.GaussianBlur(luma.astype(np.float32), (0, 0), _SMOOTHING_PX) for luma in small]
    return np.stack([luma - luma.mean() for luma in smooth]).astype(np.float32)


def _moved(luma: F32, matrix: F64) -> F32:
    """Return a picture whose pixel x shows what the given one has at the matrix times x."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (_SIDE_PX, _SIDE_PX)
    return np.asarray(cv2.warpAffine(luma, matrix[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


_CENTRE: Final = (_SIDE_PX - 1) / 2
_AXIS: Final = ((np.arange(_SIDE_PX, dtype=np.float32) - _CENTRE) / _CENTRE)[_INNER]
_Y, _X = np.meshgrid(_AXIS, _AXIS, indexing="ij")


def _columns(moved: F32) -> F32:
    """Return what another face is to be a sum of: f32 (P, N, 8).

    One, the picture, and to the first order what it gains by a shift to the right and down, and by each of these
    growing to the right and down.
    """
    down, right = (np.asarray(one, np.float32) for one in np.gradient(moved, axis=(1, 2)))
    picture, right, down = (one[:, _INNER, _INNER] for one in (moved, right, down))
    parts = [np.ones_like(picture), picture, right, down, _X * right, _Y * right, _X * down, _Y * down]
    return np.stack([part.reshape(len(moved), -1) for part in parts], axis=2).astype(np.float32)


def _solved(columns: F32, others: F32) -> F64:
    """Return f64 (P, 8), the factors that come nearest."""
    products = (columns.transpose(0, 2, 1) @ columns).astype(np.float64)
    ridge = _RIDGE * np.einsum("pii->pi", products) + _RIDGE
    wanted = (columns.transpose(0, 2, 1) @ others[..., None]).astype(np.float64)
    return np.asarray(np.linalg.solve(products + ridge[..., None] * np.eye(products.shape[1]), wanted)[..., 0])


def _motions(factors: F64) -> F64:
    """Return the motions that factors mean, within bounds: f64 (P, 3, 3)."""
    gain = np.where(np.abs(factors[:, 1]) > _LEAST_GAIN, factors[:, 1], 1.0)[:, None]
    shift = np.clip(factors[:, 2:4] / gain, -_MOST_SHIFT_PX, _MOST_SHIFT_PX)
    stretch = np.clip(factors[:, 4:].reshape(-1, 2, 2) / gain[..., None] / _CENTRE, -_MOST_STRETCH, _MOST_STRETCH)
    motions = np.repeat(np.eye(3)[None], len(factors), axis=0)
    motions[:, :2, :2] += stretch
    motions[:, :2, 2] = shift - stretch @ np.full(2, _CENTRE)
    return motions
