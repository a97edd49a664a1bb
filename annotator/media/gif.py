"""Our own look at the blocks of a GIF, before a decoder sees it.

A GIF of a few dozen bytes may declare a huge canvas, or frames far outside it, and a decoder answers in its own way or
not at all. The walk reads block headers only; it unpacks nothing and allocates nothing that the file asks for.

Source: GIF89a specification (CompuServe, 1990). Delays as browsers show them: 0 and 1 cs become 10 cs.
"""

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media.limits import MIB
from annotator.media.machine import on_this_disk, temporary_file, within_its_limits

# Browsers show delays up to 1 cs as 10 cs.
MIN_DELAY_CS = 2
DEFAULT_DELAY_CS = 10
# A copy that is longer lies on the disk: memory is what decoders and networks share.
MAX_MEMORY_BYTES = 64 * MIB
# What a copy may have more than its GIF: a global palette (768 bytes) once more for 170,000 frames.
MAX_GROWTH_BYTES = 128 * MIB

_DISPOSE_TO_BACKGROUND = 2
_EMPTY_CONTROL = b"\x21\xf9\x04\0\0\0\0\0"
_WHITE_PALETTE = b"\xff" * 6
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class GifFrame:
    """One image block: where its descriptor stands, its rectangle and what the control extension before it says."""

    descriptor_at: int
    x: int
    y: int
    width_px: int
    height_px: int
    flags: int
    delay_cs: int
    disposal: int
    has_control: bool

    @property
    def has_palette(self) -> bool:
        """Whether the frame has a colour table of its own."""
        return bool(self.flags & 0x80)

    @property
    def shown_ms(self) -> int:
        """How long a browser shows it."""
        return 10 * (self.delay_cs if self.delay_cs >= MIN_DELAY_CS else DEFAULT_DELAY_CS)


@dataclass(frozen=True, slots=True)
class GifOutline:
    """The outline of a GIF.

    Attributes:
        width_px: width of the canvas.
        height_px: height of the canvas.
        flags: the packed field of the screen descriptor.
        palette: the global colour table, empty where there is none.
        frames: the image blocks, in order; the last may be cut.
        damage: what is broken, in words, else None.

    """

    width_px: int
    height_px: int
    flags: int
    palette: bytes
    frames: tuple[GifFrame, ...]
    damage: str | None

    @property
    def needs_rewriting(self) -> bool:
        """Whether ffmpeg would show it otherwise than browsers do.

        That is where the canvas shows through (browsers show nothing there, ffmpeg the background colour), and where a
        frame without a control extension follows one with (for browsers it has no delay, for ffmpeg that of the other).
        """
        if not self.frames or not (self.palette or all(frame.has_palette for frame in self.frames)):
            return False
        first = self.frames[0]
        covers = first.x == first.y == 0 and first.width_px >= self.width_px and first.height_px >= self.height_px
        disposes = any(frame.disposal == _DISPOSE_TO_BACKGROUND for frame in self.frames)
        return not covers or disposes or len({frame.has_control for frame in self.frames}) > 1


def check_gif(outline: GifOutline, *, name: str, max_pixels: int, max_frames: int) -> None:
    """Refuse what no decoder should be asked to open.

    Raises:
        UndecodableMediaError: a canvas without area, or no frame at all.
        MediaTooLargeError: canvas or frames reach over too many pixels, or there are too many frames.

    """
    right = max([outline.width_px, *(frame.x + frame.width_px for frame in outline.frames)])
    bottom = max([outline.height_px, *(frame.y + frame.height_px for frame in outline.frames)])
    if outline.width_px == 0 or outline.height_px == 0:
        raise UndecodableMediaError(
            f"{name} declares a canvas of {outline.width_px} x {outline.height_px} pixels; export it anew."
        )
    if right * bottom > max_pixels:
        raise MediaTooLargeError(
            f"{name} reaches over {right} x {bottom} pixels, the limit is {max_pixels}; make it smaller or raise "
            "the limit."
        )
    if not outline.frames:
        raise UndecodableMediaError(f"{name} has no frame{_because(outline.damage)}; fetch it anew.")
    if len(outline.frames) > max_frames:
        raise MediaTooLargeError(f"{name} has more than {max_frames} frames; cut it or raise the limit.")


def _because(damage: str | None) -> str:
    return f" ({damage})" if damage else ""


class _CutError(Exception):
    """The file ends within a block."""


class _Blocks:
    """Reads blocks; knows nothing of what they mean.

    Most of a GIF is sub-blocks of at most 255 bytes, so the file is read in large chunks and walked by index. It is not
    mapped into memory: a file that somebody cuts meanwhile would end the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._chunk = b""
        self._chunk_at = 0  # where the chunk stands in the file
        self._at = 0  # where the next byte stands in the chunk; beyond its end where more is to be skipped

    def take(self, count: int) -> bytes:
        """Return the next bytes; there are far fewer than a chunk has."""
        if self._at + count > len(self._chunk):
            self._read_on()
        taken = self._chunk[self._at : self._at + count]
        if len(taken) < count:
            raise _CutError
        self._at += count
        return taken

    def position(self) -> int:
        """Return where the next byte stands in the file."""
        return self._chunk_at + self._at

    def skip_sub_blocks(self) -> None:
        """Skip sub-blocks by their length bytes up to the empty one."""
        while True:
            chunk, at = self._chunk, self._at
            try:
                while length := chunk[at]:
                    at += length + 1
            except IndexError:
                self._at = at
                self._read_on()
            else:
                self._at = at + 1
                return

    def _read_on(self) -> None:
        """Read the chunk that begins with the next byte."""
        self._chunk_at, self._at = self.position(), 0
        self._file.seek(self._chunk_at)
        self._chunk = self._file.read(_CHUNK_BYTES)
        if not self._chunk:
            raise _CutError


def walk_gif(file: BinaryIO, *, max_frames: int) -> GifOutline:
    """Read the outline of a GIF; a damaged one is read up to the damage.

    Args:
        file: seekable; where it stands afterwards is not told.
        max_frames: the walk ends after one frame more.

    Raises:
        UndecodableMediaError: not even the header is whole.

    """
    blocks = _Blocks(file)
    try:
        _, width_px, height_px, flags, _, _ = struct.unpack("<6sHHBBB", blocks.take(13))
        palette = blocks.take(_palette_bytes(flags))
    except _CutError:
        raise UndecodableMediaError("The GIF ends within its header; fetch it anew.") from None
    frames: list[GifFrame] = []
    damage = _walk_blocks(blocks, frames, max_frames)
    return GifOutline(width_px, height_px, flags, palette, tuple(frames), damage)


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _walk_blocks(blocks: _Blocks, frames: list[GifFrame], max_frames: int) -> str | None:
    """Append the frames and return what is broken."""
    control: tuple[int, int] | None = None
    try:
        while len(frames) <= max_frames:
            marker = blocks.take(1)
            if marker == b"\x3b":
                return None
            if marker == b"\x21":
                control = _read_extension(blocks) or control
            elif marker == b"\x2c":
                at = blocks.position() - 1
                x, y, width_px, height_px, flags = struct.unpack("<HHHHB", blocks.take(9))
                frames.append(GifFrame(at, x, y, width_px, height_px, flags, *(control or (0, 0)), control is not None))
                blocks.take(_palette_bytes(flags) + 1)
                blocks.skip_sub_blocks()
                control = None
            elif marker != b"\0":  # Stray zeros between blocks are common and harmless.
                return f"a foreign byte after frame {len(frames)}"
    except _CutError:
        return f"the file ends too early, at frame {len(frames)}"
    return None


def _read_extension(blocks: _Blocks) -> tuple[int, int] | None:
    """Read an extension; return delay and disposal of the next frame if it is the one that tells them."""
    label = blocks.take(1)
    if label != b"\xf9":
        blocks.skip_sub_blocks()
        return None
    length = blocks.take(1)[0]
    body = blocks.take(length)
    if length:
        blocks.skip_sub_blocks()
    if length < 4:
        return None
    packed, delay_cs = struct.unpack("<BH", body[:3])
    return delay_cs, (packed >> 2) & 7


@contextlib.contextmanager
def rewritten(file: BinaryIO, outline: GifOutline, *, name: str) -> Iterator[IO[bytes]]:
    """Copy a GIF such that ffmpeg shows it as browsers do; no pixel of any frame changes.

    ffmpeg disposes to the background colour of the global palette, browsers to transparency, which we show as white:
    the copy has a global palette of two whites, and each frame that used the old one gets it as its own. A frame
    without a control extension gets an empty one.

    Args:
        file: the GIF.
        outline: its outline.
        name: what messages call it.

    Yields:
        The copy, in a file without a name: in memory where it is small, else on the disk. It is gone afterwards.

    Raises:
        MediaTooLargeError: the palettes of its frames would make the copy far longer than the GIF.
        LocalDiskError: the disk has no room for the copy.
        MachineLimitError: no file can be opened.

    """
    growth = _growth_bytes(outline)
    if growth > MAX_GROWTH_BYTES:
        raise MediaTooLargeError(
            f"{name} has so many frames without a palette of their own that {growth} bytes would have to be added, the "
            f"limit is {MAX_GROWTH_BYTES}; cut it."
        )
    in_memory = file.seek(0, os.SEEK_END) + growth <= MAX_MEMORY_BYTES
    with _memory_file() if in_memory else temporary_file() as out:
        with on_this_disk():
            _rewrite(file, outline, out)
            out.flush()
        yield out


@contextlib.contextmanager
def _memory_file() -> Iterator[IO[bytes]]:
    with within_its_limits():
        file = os.fdopen(os.memfd_create("gif"), "w+b")
    with file:
        yield file


def _growth_bytes(outline: GifOutline) -> int:
    """Return how many bytes the copy has more than the GIF; damage may make them fewer."""
    controls = sum(len(_EMPTY_CONTROL) for frame in outline.frames if not frame.has_control)
    palettes = sum(len(outline.palette) for frame in outline.frames if not frame.has_palette)
    return controls + palettes + len(_WHITE_PALETTE) - len(outline.palette)


def _rewrite(file: BinaryIO, outline: GifOutline, out: IO[bytes]) -> None:
    file.seek(0)
    screen = bytearray(file.read(13))
    screen[10] = (outline.flags & 0x78) | 0x80  # a global table of two colours
    screen[11] = 0  # the first of which is the background
    out.write(screen + _WHITE_PALETTE)
    file.seek(len(outline.palette), 1)
    for frame in outline.frames:
        out.write(file.read(frame.descriptor_at - file.tell()))
        descriptor = bytearray(file.read(10))
        out.write(b"" if frame.has_control else _EMPTY_CONTROL)
        if not frame.has_palette and outline.palette and len(descriptor) == 10:
            descriptor[9] = (frame.flags & 0x60) | 0x80 | (outline.flags & 7)
            out.write(descriptor + outline.palette)
        else:
            out.write(descriptor)
    while chunk := file.read(1 << 20):
        out.write(chunk)
