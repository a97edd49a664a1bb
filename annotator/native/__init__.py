"""The compiled part, in C (``kernels.c``): above all what detection does with pixels and boxes between two networks.

Networks take four fifths of the time of detection; most of the rest is here, and two things that libraries compute
slowly or not at all: the first layer of a network, and products of whole numbers, for large galleries. The interpreter
is free meanwhile, so that threads do not wait for each other. Each function checks what it is given, for C checks
nothing. It is compiled when the package is installed.
"""

import ctypes
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ConfigError
from annotator.types import F32, I64, U8

I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
Flags = NDArray[np.bool_]

LIBRARY: Final = Path(__file__).with_name("kernels.so")
SOURCE: Final = Path(__file__).with_name("kernels.c")

PIECE_FIELDS: Final = (
    *("frame", "level", "level_height", "level_width"),
    *("y", "x", "height", "width"),
    *("canvas", "canvas_y", "canvas_x"),
)
"""Columns of a table of pieces, rectangles of levels that lie on canvases: number of the frame and of the level, the
size of the level, the rectangle in it, number of the canvas and where the rectangle lies there. In pixels."""

MOST_CELLS: Final = 512
"""Pixels in a row of a piece or of a crop."""

MOST_SIDE_PX: Final = 2**31 - 1
"""Of a frame or a level: C multiplies one by the other in 64 bits."""

FIRST_LAYER_DEPTHS: Final = range(9, 33)
"""Channels that the first layer of a network may have."""

FIRST_LAYER_POOLS: Final = (2, 3)
"""Sides of the windows of its pooling."""

MOST_WINDOW_PX: Final = (2**31 - 1) // 255
"""Pixels of which one mean is made: their sums are whole numbers of 31 bits."""

_REMEDY: Final = "install the package again, with `make setup` or `pip install .`; a C compiler must be there"
_LANES: Final = 8  # as in C, and the two below; C says so, too
_PAIR: Final = 2
_OTHERS: Final = 6
_TILES_AT_ONCE: Final = 1 << 10  # laid out
_WINDOW_PX: Final = 12  # of P-Net; every second pixel has one
_FRAME: Final = PIECE_FIELDS.index("frame")
_LEVEL_HEIGHT: Final = PIECE_FIELDS.index("level_height")
_HEIGHT, _WIDTH, _CANVAS, _CANVAS_Y, _CANVAS_X = (PIECE_FIELDS.index(name) for name in PIECE_FIELDS[-5:])


def _loaded() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(LIBRARY))
        digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"the compiled part of the annotator cannot be loaded ({error}): {_REMEDY}") from error
    if not hasattr(library, f"made_from_{digest}"):
        raise ConfigError(f"the compiled part of the annotator is of another version than the rest: {_REMEDY}")
    number, factor, pointer = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
    library.draw.argtypes = [pointer, number, pointer, number, pointer, number, number]
    library.cut.argtypes = [pointer, number, pointer, pointer, number, number, pointer]
    library.pick.argtypes = [pointer, number, number, number, pointer, number, factor, pointer]
    library.pick.restype = number
    library.suppress.argtypes = [*(pointer,) * 6, number, ctypes.c_float, ctypes.c_float, ctypes.c_int, pointer]
    library.suppress.restype = None
    library.has_avx2.argtypes = library.has_avx512.argtypes = []
    if hasattr(library, "first_layer"):  # on x86-64
        library.greatest.argtypes = [pointer, pointer, number, number, number, pointer, number, factor, pointer]
        library.greatest.restype = None
        library.first_layer.argtypes = [
            *(pointer, number, number, number, pointer, pointer, pointer),
            *(factor, factor, number, number, pointer),
        ]
    return library


_library: Final = _loaded()


class Frames:
    """Some frames, from which rectangles of any size are made by the plain mean over windows of whole pixels.

    Output pixel i of m over n input pixels is the mean of the inputs from ``floor(i n / m)`` to
    ``ceil((i + 1) n / m)``, exactly as PyTorch's ``interpolate(mode="area")`` has it; OpenCV's ``INTER_AREA`` weighs
    the edge pixels instead, and the networks' scores tell the difference.
    """

    def __init__(self, frames: Sequence[U8]) -> None:
        """Take the frames: each u8 (H, W, 3), RGB, at least 1 x 1, of any sizes."""
        for frame in frames:
            check_frame(frame)
        self._frames = [np.ascontiguousarray(frame) for frame in frames]  # held while C reads them
        self._table = _table([(frame.ctypes.data, *frame.shape[:2]) for frame in self._frames], 3)
        self._table.flags.writeable = False
        self.shapes_hw: I64 = self._table[:, 1:]
        """i64 (N, 2), heights and widths, read-only."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._frames)

    def draw(self, pieces: I64, *, out: F32) -> None:
        """Shrink frames into rectangles of canvases; what lies between them stays as it is.

        The row or column beyond an odd side is drawn, too, like the last one: where P-Net's pooling rounds up, nothing
        else may win there.

        Args:
            pieces: i64 (P, 11), columns as in ``PIECE_FIELDS``.
            out: f32 (N, H, W, 3), the canvases; gets RGB in 0-255.

        Raises:
            ValueError: a piece lies outside its level or its canvas, is of no frame, or shrinks it too much.

        """
        _check("pieces", pieces, np.int64, (None, len(PIECE_FIELDS)))
        _check("out", out, np.float32, (None, None, None, 3), is_written=True)
        frame, _, level_height, level_width, y, x, height, width, canvas, canvas_y, canvas_x = pieces.T
        fits = (
            _are_within(frame, 1, len(self))
            & _are_within(y, height, level_height)
            & _are_within(x, width, level_width)
            & _are_within(canvas, 1, len(out))
            & _are_within(canvas_y, height + height % 2, out.shape[1])
            & _are_within(canvas_x, width + width % 2, out.shape[2])
            & (width <= MOST_CELLS)
            & (np.maximum(level_height, level_width) <= MOST_SIDE_PX)
        )
        if not fits.all():
            raise ValueError(f"piece {int(np.argmin(fits))} lies outside its level or canvas")
        _check_windows(self.shapes_hw[frame], pieces[:, _LEVEL_HEIGHT : _LEVEL_HEIGHT + 2])
        size = (len(self), _address(pieces), len(pieces), _address(out), *out.shape[1:3])
        _done(_library.draw(_address(self._table), *size))

    def cut(self, frame_of: I64, boxes: I64, *, out: F32) -> None:
        """Cut boxes out of frames, and shrink or enlarge each to a square.

        Args:
            frame_of: i64 (N,), number of each box's frame.
            boxes: i64 (N, 4), x1, y1, x2, y2 in pixels, half-open, within their frames, none empty.
            out: f32 (N, side, side, 3); gets the crops, RGB in 0-255.

        Raises:
            ValueError: a box is empty or not within its frame, or shrunk too much.

        """
        _check("frame_of", frame_of, np.int64, (None,))
        _check("boxes", boxes, np.int64, (len(frame_of), 4))
        _check("out", out, np.float32, (len(frame_of), None, None, 3), is_written=True)
        side = out.shape[1]
        if side != out.shape[2] or not 0 < side <= MOST_CELLS or not _are_within(frame_of, 1, len(self)).all():
            raise ValueError(f"crops must be squares of at most {MOST_CELLS} pixels, of frames that are there")
        first, last = boxes[:, :2], boxes[:, 2:]
        if not ((first >= 0) & (first < last) & (last <= self.shapes_hw[frame_of, ::-1])).all():
            raise ValueError("a box is empty, or not within its frame")
        _check_windows(last - first, np.int64(side))
        given = (_address(frame_of), _address(boxes), len(boxes), side, _address(out))
        _done(_library.cut(_address(self._table), len(self), *given))

    def shrunk(self, height: int, width: int) -> F32:
        """Return all of them in one size, f32 (N, height, width, 3), RGB in 0-255; both sides even."""
        count = len(self)
        pieces = np.zeros((count, len(PIECE_FIELDS)), np.int64)
        pieces[:, _FRAME] = pieces[:, _CANVAS] = np.arange(count)
        for columns, side in ((("level_height", "height"), height), (("level_width", "width"), width)):
            pieces[:, [PIECE_FIELDS.index(name) for name in columns]] = side
        out = np.empty((count, height, width, 3), np.float32)
        self.draw(pieces, out=out)
        return out


def picked(outputs: F32, pieces: I64, *, least: float) -> I32:
    """Return P-Net's windows whose logit is high enough, without those that cross the border of a piece.

    Args:
        outputs: f32 (N, rows, columns, D), of windows of 12 x 12 pixels at every second pixel of N canvases; the last
            of D numbers is the logit.
        pieces: i64 (P, 11), of these canvases, columns as in ``PIECE_FIELDS``.
        least: lowest logit.

    Returns:
        i32 (K, 3): number of the piece, row and column on its canvas; by piece.

    Raises:
        ValueError: a piece lies outside its canvas.

    """
    _check("outputs", outputs, np.float32, (None, None, None, None))
    _check("pieces", pieces, np.int64, (None, len(PIECE_FIELDS)))
    height, width, canvas, canvas_y, canvas_x = (pieces[:, n] for n in (_HEIGHT, _WIDTH, _CANVAS, _CANVAS_Y, _CANVAS_X))
    count, rows, columns, depth = outputs.shape
    overlap = _WINDOW_PX - 2
    fits = (
        _are_within(canvas, 1, count)
        & _are_within(canvas_y, height + height % 2, 2 * rows + overlap)
        & _are_within(canvas_x, width + width % 2, 2 * columns + overlap)
        & (np.minimum(height, width) >= _WINDOW_PX - 1)  # an odd side has one more row of windows
    )
    if not fits.all() or depth == 0:
        raise ValueError("a piece lies outside its canvas, or is smaller than a window")
    windows = int(((height - overlap + 1) // 2 * ((width - overlap + 1) // 2)).sum())
    found = np.empty((windows, 3), np.int32)
    given = (_address(outputs), rows, columns, depth, _address(pieces), len(pieces), least, _address(found))
    return found[: _library.pick(*given)].copy()


def staying(boxes: F32, starts: I64, *, limit: float, last_pixel: float, is_of_smaller: bool) -> Flags:
    """Return which boxes stay when those that overlap a better one too much have gone, greedily, in each group.

    Args:
        boxes: f32 (N, 4), x1, y1, x2, y2; group by group, the best first.
        starts: i64 (G + 1,), where each group starts, and N.
        limit: two boxes that overlap by more do not both stay.
        last_pixel: 1 if the last pixel counts to a side, 0 if not.
        is_of_smaller: overlap is of the smaller box, not of the union.

    Raises:
        ValueError: there are other boxes than those of the groups, or groups do not lie side by side.

    """
    _check("starts", starts, np.int64, (None,))
    edges = np.require(boxes.T, np.float32, ["C", "A"])
    if edges.ndim != 2 or len(edges) != 4 or len(starts) == 0 or starts[0] != 0 or starts[-1] != len(boxes):
        raise ValueError("groups must be those of all boxes")
    x1, y1, x2, y2 = edges
    area = (x2 - x1 + np.float32(last_pixel)) * (y2 - y1 + np.float32(last_pixel))
    if (starts[1:] < starts[:-1]).any():
        raise ValueError("groups must lie side by side")
    stays = np.ones(len(boxes), np.bool_)
    given = (len(starts) - 1, limit, last_pixel, is_of_smaller, _address(stays))
    _library.suppress(*(_address(array) for array in (x1, y1, x2, y2, area, starts)), *given)
    return stays


class FirstLayer:
    """The first layer of a network that looks at pictures: a convolution of 3 x 3, its activation and its pooling.

    Three colours are too few for the kernels of libraries, which are made for dozens of channels: OpenVINO reaches a
    third of what the processor can. ``annotator.runtime.first_layer`` says where this one is used instead.

    Pixels are first scaled and shifted; the convolution has no padding, the activation multiplies what is below zero,
    channel by channel, and the pooling takes the greatest of windows in steps of two, of which the last ones end with
    the picture. What is no number becomes 0. Immutable; safe to use from several threads.

    Args:
        factors: f32 (3, 3, 3, depth): row, column, colour and channel.
        bias: f32 (depth,).
        slopes: f32 (depth,), what is below zero is multiplied by.
        scale: what a pixel is multiplied by.
        shift: what is added then.
        pool: side of the pooling's windows.

    Raises:
        ConfigError: this processor has no AVX2; see :meth:`is_there`.
        ValueError: a shape, or a pooling, that it is not made for.

    """

    __slots__ = ("_depth", "_pool", "_scale", "_shift", "_tables")

    def __init__(self, factors: F32, bias: F32, slopes: F32, *, scale: float, shift: float, pool: int) -> None:
        """Lay out the numbers as they are read."""
        depth = factors.shape[-1]
        shapes = [factors.shape, bias.shape, slopes.shape]
        if depth not in FIRST_LAYER_DEPTHS or shapes != [(3, 3, 3, depth), (depth,), (depth,)]:
            raise ValueError(f"a first layer has kernels of 3 x 3 x 3 and {FIRST_LAYER_DEPTHS} channels, got {shapes}")
        if pool not in FIRST_LAYER_POOLS:
            raise ValueError(f"the pooling's side is one of {FIRST_LAYER_POOLS}, got {pool}")
        if not self.is_there():
            raise ConfigError("first layers are compiled for processors with AVX2 only: use the network as it is")
        self._depth, self._pool = depth, pool
        wide = 16 if depth <= 16 else 32
        self._tables = [_widened(array, wide) for array in (factors.reshape(-1, depth), bias, slopes)]
        self._scale, self._shift = scale, shift

    @staticmethod
    def is_there() -> bool:
        """Say whether this processor can: it takes AVX2 with fused products."""
        return bool(_library.has_avx2())

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return the shape of the output for pictures of the shape (N, H, W, 3).

        Raises:
            ValueError: they have other than three colours, are too small, or have odd sides where the pooling's windows
                have three pixels: TensorFlow lets them begin before the picture then.

        """
        count, height, width, colours = shape
        if colours != 3 or height < 3 or width < 6:
            raise ValueError(f"pictures are at least 3 x 6 pixels of three colours, got {height} x {width} x {colours}")
        if self._pool == 3 and (height % 2 or width % 2):
            raise ValueError(f"pictures of {height} x {width} would be pooled from before their first pixel on")
        return count, (height - 1) // 2, (width - 1) // 2, self._depth

    def into(self, output: F32, pictures: F32) -> None:
        """Run it.

        Args:
            output: f32, of the shape that :meth:`shape_of` says; written.
            pictures: f32 (N, H, W, 3).

        """
        _check("pictures", pictures, np.float32, (None, None, None, 3))
        _check("output", output, np.float32, self.shape_of(pictures.shape), is_written=True)
        given = (_address(pictures), *pictures.shape[:3], *map(_address, self._tables))
        _done(_library.first_layer(*given, self._scale, self._shift, self._depth, self._pool, _address(output)))


class GreatestProducts:
    """Vectors of whole numbers in groups, of which the greatest product with another vector is found.

    Whole numbers of 16 bits are multiplied and added up exactly, twice as many at once as numbers of float32.
    Immutable; safe to use from several threads.

    Args:
        vectors: i16 (groups, members, K), of any numbers but -32,768.
        added: i32 (groups, members), what is added to the products. The sums must fit into 32 bits.
        unit: what the sums are multiplied by.

    Raises:
        ConfigError: this processor has no AVX2; see :meth:`is_there`.
        ValueError: there are none, or one has a number that is not allowed.

    """

    __slots__ = ("_added", "_shape", "_unit", "_vectors")

    def __init__(self, vectors: I16, added: I32, *, unit: float) -> None:
        """Lay out the numbers as they are read: pairs of two members of eight groups side by side."""
        if not self.is_there():
            raise ConfigError("products of whole numbers are compiled for processors with AVX2 only: use float32")
        vectors, added = np.ascontiguousarray(vectors), np.ascontiguousarray(added)
        _check("vectors", vectors, np.int16, (None, None, None))
        _check("added", added, np.int32, vectors.shape[:2])
        if not vectors.size:
            raise ValueError("there are no vectors")
        if int(vectors.min()) == np.iinfo(np.int16).min:
            raise ValueError("-32,768 is not among the numbers that can be multiplied in pairs")
        groups, members, size = self._shape = vectors.shape
        even = members + members % _PAIR, size + size % 2
        tiles = -(-groups // _LANES)
        self._vectors = np.empty((tiles, even[0] // _PAIR, even[1] // 2, _PAIR, _LANES, 2), np.int16)
        self._added = np.empty((tiles, even[0], _LANES), np.int32)
        for start in range(0, tiles, _TILES_AT_ONCE):  # what is laid out would take as much room once more
            part = slice(start, min(start + _TILES_AT_ONCE, tiles))
            # Where groups or members are too few for whole tiles, some stand twice: they change no greatest one.
            which = np.minimum(np.arange(part.start * _LANES, part.stop * _LANES), groups - 1)[:, None]
            who = np.minimum(np.arange(even[0]), members - 1)
            whole = np.zeros((len(which), *even), np.int16)
            whole[:, :, :size] = vectors[which, who]
            pairs = whole.reshape(-1, _LANES, even[0] // _PAIR, _PAIR, even[1] // 2, 2)
            self._vectors[part] = pairs.transpose(0, 2, 4, 3, 1, 5)
            self._added[part] = added[which, who].reshape(-1, _LANES, even[0]).transpose(0, 2, 1)
        self._unit = unit

    @staticmethod
    def is_there() -> bool:
        """Say whether this processor can: it takes AVX2."""
        return bool(_library.has_avx2())

    @staticmethod
    def is_quick() -> bool:
        """Say whether this processor can, and computes in float32 less quickly: AVX-512 has as many lanes for that."""
        return bool(_library.has_avx2()) and not _library.has_avx512()

    def __len__(self) -> int:
        """Return the number of tiles of eight groups, parts of which can be asked for."""
        return len(self._vectors)

    def into(self, output: F32, others: I16, *, tiles: slice) -> None:
        """Write the greatest product, with what is added, of each group of some tiles with other vectors.

        Args:
            output: f32 (groups, t), of all groups, in one piece; those of the tiles are written.
            others: i16 (t, K).
            tiles: which, of so many as ``len`` says, in steps of one.

        """
        groups, _, size = self._shape
        _check("others", others, np.int16, (None, size))
        _check("output", output, np.float32, (groups, len(others)), is_written=True)
        start, stop, step = tiles.indices(len(self))
        if step != 1:
            raise ValueError(f"tiles are taken one after the other, not in steps of {step}")
        stop = max(start, stop)
        count = max(len(others), _OTHERS)
        known = np.zeros((count, self._vectors.shape[2] * 2), np.int16)
        known[: len(others), :size] = others
        is_whole = stop * _LANES <= groups and count == len(others)
        mine = slice(start * _LANES, stop * _LANES)
        made = output[mine] if is_whole else np.empty((mine.stop - mine.start, count), np.float32)
        given = (_address(self._vectors[start:stop]), _address(self._added[start:stop]), stop - start)
        shape = (self._added.shape[1], known.shape[1])
        _library.greatest(*given, *shape, _address(known), count, self._unit, _address(made))
        if not is_whole:
            output[mine] = made[: len(output[mine]), : len(others)]


def check_frame(frame: U8) -> None:
    """Raise ``TypeError`` unless a frame is u8 (H, W, 3), at least 1 x 1."""
    is_fit = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    if not is_fit or not 0 < min(frame.shape) <= max(frame.shape) <= MOST_SIDE_PX:
        raise TypeError(f"a frame must be uint8 (H, W, 3), got {frame.dtype.name} {frame.shape}")


def _are_within(start: I64, length: I64 | int, limit: I64 | int) -> Flags:
    """Compare without adding: a sum that does not fit into 64 bits is no sum."""
    length, limit = np.asarray(length), np.asarray(limit)
    result: Flags = (start >= 0) & (length > 0) & (length <= limit) & (start <= limit - length)
    return result


def _check_windows(sizes: I64, cells: I64 | np.int64) -> None:
    """Raise ``ValueError`` if so much becomes so few cells, of rows and columns each, that sums do not fit."""
    most = np.minimum(sizes, -(-sizes // cells) + 1)
    if (most[:, 0] > MOST_WINDOW_PX // most[:, 1]).any():
        raise ValueError(f"a frame is shrunk too much: more than {MOST_WINDOW_PX:,} pixels to one")


def _widened(array: F32, wide: int) -> F32:
    """Return an array whose rows are filled up with zeros."""
    result = np.zeros((*array.shape[:-1], wide), np.float32)
    result[..., : array.shape[-1]] = array
    result.flags.writeable = False
    return result


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> I64:
    return np.array(rows, np.int64).reshape(-1, columns)


def _check(
    name: str,
    array: NDArray[np.generic],
    dtype: type[np.generic],
    shape: tuple[int | None, ...],
    *,
    is_written: bool = False,
) -> None:
    fits = array.ndim == len(shape) and all(
        wanted is None or wanted == side for wanted, side in zip(shape, array.shape, strict=False)
    )
    if array.dtype != dtype or not fits or not array.flags.c_contiguous or not array.flags.aligned:
        raise TypeError(f"{name}: {np.dtype(dtype).name} {shape}, contiguous, got {array.dtype.name} {array.shape}")
    if is_written and not array.flags.writeable:
        raise TypeError(f"{name} is read-only")


def _address(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)


def _done(code: int) -> None:
    if code != 0:
        raise MemoryError("there is no memory for a few lines of a picture")
