"""Whether a track shows a picture of somebody, in a clip in which other things move.

A poster, a photograph in a hand, a face on a screen that stands still: all their faces are one picture, shifted,
turned, seen from aside and lit differently. What is left when that is taken off is a camera's and a codec's noise. Of a
person much more is left, for a mouth moves, eyes do, and a head turns.

Where the whole frame is one picture, too, the clip is a photograph that somebody made a GIF of, perhaps with a caption:
people search for it by the name of whom it shows, and it is no picture *in* a clip.

How much is left in clips of people, on posters and of photographs shown as clips, and what else was tried and tells
less, prints ``python -m benchmarks.aliveness``.
"""

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
_RIDGE: Final = 1e-4  # relative: keeps a picture without slopes solvable
_INNER: Final = slice(_BORDER_PX, _SIDE_PX - _BORDER_PX)


def is_picture(faces: U8, frames: U8) -> bool | None:
    """Say whether a track's faces are one picture, in frames that are not.

    Args:
        faces: u8 (K, 112, 112, 3), aligned RGB crops of one track, best first.
        frames: u8 (K, H, W, 3), for each face the frame that it is on, RGB, made small.

    Returns:
        False too for what cannot be told from somebody alive. None where there are too few faces to tell.

    """
    change = inner_change(faces)
    if change is None:
        return None
    if change >= MAX_PICTURE_CHANGE:
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
    others, left = _left_over(_lumas(faces))
    spread = np.maximum(others.std(axis=1), _LEAST_SPREAD)
    return float((left.std(axis=1) / spread).max())


def frame_change(frames: U8) -> float | None:
    """Measure how much of a frame changes otherwise than as one picture that is moved about.

    Args:
        frames: u8 (K, H, W, 3), RGB, of one shot.

    Returns:
        The largest part of any frame, in [0, 1], that the first one moved over it does not show. None for fewer than
        two frames.

    """
    if len(frames) < 2:
        return None
    _, left = _left_over(_lumas(frames))
    return float((np.abs(left) > _SEEN_CHANGE).mean(axis=1).max())


def _left_over(lumas: F32) -> tuple[F32, F32]:
    """Move the first picture over each of the others; return these, and what then differs: f32 (K - 1, N) each."""
    others = lumas[1:, _INNER, _INNER].reshape(len(lumas) - 1, -1)
    least = others
    matrices = np.repeat(np.eye(3)[None], len(others), axis=0)
    for _ in range(_ROUNDS):
        columns = _columns(np.stack([_moved(lumas[0], matrix) for matrix in matrices]))
        factors = _solved(columns, others)
        left = others - (columns @ factors[..., None].astype(np.float32))[..., 0]
        least = np.where((left.std(axis=1) < least.std(axis=1))[:, None], left, least)
        matrices = matrices @ _motions(factors)
    return others, least


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
