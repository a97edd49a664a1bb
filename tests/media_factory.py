"""Draws media with known truth: GIFs block by block, videos through ffmpeg.

Pillow merges equal frames and rewrites delays, so GIFs are written here by hand, without compression.
"""

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.media import DecodeLimits, LocalMedia, Sampling, sample_frames
from annotator.media.child import ffmpeg_path
from annotator.types import U8, ClipReport, FrameBatch, MediaRef

# 128 colours: codes of 8 bits, so that a code is a byte as long as the table is cleared in time.
PALETTE_BITS = 7
_CLEAR, _END = 128, 129
_CODES_PER_CLEAR = 100
WHITE, BLACK, RED, GREEN, BLUE = 0, 1, 2, 3, 4
_COLOURS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
PALETTE = np.array([*_COLOURS, *[(7 * k % 256, 29 * k % 256, 53 * k % 256) for k in range(5, 128)]], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class GifPart:
    """One image block.

    Attributes:
        colours: u8 (h, w), indices of the palette.
        delay_cs: its delay; None for no extension at all.
        at_xy: where it lies on the canvas.
        disposal: 0 to 3.
        transparent: index that is transparent, or None.
        has_own_palette: whether it carries the palette itself.

    """

    colours: U8
    delay_cs: int | None = 10
    at_xy: tuple[int, int] = (0, 0)
    disposal: int = 0
    transparent: int | None = None
    has_own_palette: bool = False


def flat(colour: int, width_px: int = 16, height_px: int = 12) -> U8:
    """Return indices of one colour, u8 (height, width)."""
    return np.full((height_px, width_px), colour, np.uint8)


def gif_bytes(parts: Sequence[GifPart], *, size_wh: tuple[int, int] = (16, 12), background: int = RED) -> bytes:
    """Write a GIF."""
    flags = 0xF0 | (PALETTE_BITS - 1)
    screen = b"GIF89a" + struct.pack("<HHBBB", *size_wh, flags, background, 0) + PALETTE.tobytes()
    return screen + b"".join(_gif_block(part) for part in parts) + b"\x3b"


def _gif_block(part: GifPart) -> bytes:
    control = b""
    if part.delay_cs is not None:
        packed = part.disposal << 2 | (part.transparent is not None)
        control = b"\x21\xf9\x04" + struct.pack("<BHB", packed, part.delay_cs, part.transparent or 0) + b"\0"
    height, width = part.colours.shape
    flags = 0x80 | (PALETTE_BITS - 1) if part.has_own_palette else 0
    descriptor = b"\x2c" + struct.pack("<HHHHB", *part.at_xy, width, height, flags)
    palette = PALETTE.tobytes() if part.has_own_palette else b""
    return control + descriptor + palette + bytes([PALETTE_BITS]) + _uncompressed(part.colours)


def _uncompressed(colours: U8) -> bytes:
    values = colours.tobytes()
    codes = b"".join(
        bytes([_CLEAR]) + values[start : start + _CODES_PER_CLEAR] for start in range(0, len(values), _CODES_PER_CLEAR)
    )
    codes += bytes([_END])
    blocks = [codes[start : start + 255] for start in range(0, len(codes), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def composed(parts: Sequence[GifPart], *, size_wh: tuple[int, int]) -> list[U8]:
    """Return the frames as a browser shows them on a white page, u8 (H, W, 3) each."""
    width, height = size_wh
    canvas = np.full((height, width, 3), 255, np.uint8)
    frames: list[U8] = []
    for part in parts:
        before = canvas.copy()
        x, y = part.at_xy
        region = canvas[y : y + part.colours.shape[0], x : x + part.colours.shape[1]]
        colours = part.colours[: region.shape[0], : region.shape[1]]
        is_drawn = colours != (256 if part.transparent is None else part.transparent)
        region[is_drawn] = PALETTE[colours][is_drawn]
        frames.append(canvas.copy())
        if part.disposal == 2:
            region[:] = 255
        elif part.disposal == 3:
            canvas = before
    return frames


def noise(count: int, *, size_wh: tuple[int, int] = (64, 48), seed: int = 0) -> U8:
    """Return frames that all differ: u8 (count, H, W, 3), each of few colours so that codecs keep them apart."""
    generator = np.random.default_rng(seed)
    width, height = size_wh
    blocks = generator.integers(0, 256, (count, height // 16, width // 16, 3), dtype=np.uint8)
    return blocks.repeat(16, axis=1).repeat(16, axis=2)


def write_video(
    path: Path, frames: U8, *, rate: str = "25", before: Sequence[str] = (), options: Sequence[str] = ()
) -> Path:
    """Encode frames (u8 (N, H, W, 3)), without loss unless the options say otherwise."""
    _, height, width, _ = frames.shape
    codec = options or ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv444p", "-g", "10")
    command = [
        *(ffmpeg_path(), "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{width}x{height}", "-r", rate, "-i", "pipe:0", *before, *codec, str(path)),
    ]
    subprocess.run(command, input=frames.tobytes(), check=True, timeout=60)
    return path


def read_media(
    path: Path, sampling: Sampling | None = None, limits: DecodeLimits | None = None
) -> tuple[FrameBatch, ClipReport]:
    """Return all samples of a media (by default every distinct frame) in one batch, and the report."""
    local = LocalMedia(MediaRef(path.name, path.as_uri()), path, 0, "")
    with sample_frames(local, sampling=sampling or Sampling.all(), limits=limits or DecodeLimits()) as frames:
        batches = list(frames)
        names = ("images", "frame_index", "pts_ms", "from_ms", "shown_ms")
        whole = FrameBatch(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in names))
        return whole, frames.report
