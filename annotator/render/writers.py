"""Write a moving picture frame by frame: GIF with exact delays, mp4 through ffmpeg, PNG for a still.

None holds more than one frame. Each writes beside its target and moves the finished file there: a broken run leaves no
half picture.
"""

import io
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, Protocol

from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from annotator.errors import AnnotatorError
from annotator.types import U8

GIF_TICK_MS: Final = 10
MIN_FPS: Final = 1.0
MAX_FPS: Final = 60.0
FFMPEG_STOP_S: Final = 60.0
_GIF_TRAILER: Final = b"\x3b"
_LOOP_FOREVER: Final = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


class RenderError(AnnotatorError):
    """A picture could not be written."""

    reason = "render"


class FrameWriter(Protocol):
    """Takes the frames of a moving picture in order."""

    def add(self, image: U8, *, shown_ms: int) -> None:
        """Add a frame.

        Args:
            image: u8 (H, W, 3), RGB; all frames of one size.
            shown_ms: how long it is displayed.

        """


@contextmanager
def _finished_file(path: Path) -> Iterator[Path]:
    """Yield a name beside the target; move the file there if all went well, else remove it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as error:
        raise RenderError(f"{path.parent} cannot be written to ({error.strerror}): name another folder") from error
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class _StillWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_written = False

    def add(self, image: U8, *, shown_ms: int) -> None:  # noqa: ARG002 - a still is shown for ever
        if not self._is_written:
            Image.fromarray(image).save(self._path, format="PNG")
            self._is_written = True


class _GifWriter:
    """Joins single-frame GIFs of Pillow's, each with a palette of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._elapsed_ms = 0
        self._elapsed_ticks = 0

    def add(self, image: U8, *, shown_ms: int) -> None:
        if not self._elapsed_ticks:
            height, width = image.shape[:2]
            self._file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0) + _LOOP_FOREVER)
        self._elapsed_ms += shown_ms
        # Rounding the running time, not each delay: the clip keeps its length.
        ticks = max(1, round(self._elapsed_ms / GIF_TICK_MS) - self._elapsed_ticks)
        self._elapsed_ticks += ticks
        palette, pixels = _gif_palette_and_pixels(Image.fromarray(image))
        height, width = image.shape[:2]
        size_code = (len(palette) // 3).bit_length() - 2
        self._file.write(b"\x21\xf9\x04\x04" + struct.pack("<H", min(ticks, 0xFFFF)) + b"\x00\x00")
        self._file.write(b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0x80 | size_code) + palette + pixels)

    def close(self) -> None:
        self._file.write(_GIF_TRAILER)


def _gif_palette_and_pixels(image: Image.Image) -> tuple[bytes, bytes]:
    """Let Pillow make a GIF of one frame and take its colour table and its compressed pixels."""
    buffer = io.BytesIO()
    # Measured at 480 x 270: 4 ms a frame, where the median cut takes 115 ms for little.
    image.quantize(256, method=Image.Quantize.FASTOCTREE).save(buffer, format="GIF", optimize=False, interlace=0)
    content = buffer.getvalue()
    table_bytes = 3 * (2 << (content[10] & 7))
    palette = content[13 : 13 + table_bytes]
    at = 13 + table_bytes
    while content[at] == 0x21:  # extensions: label, then sub-blocks up to an empty one
        at += 2
        while content[at]:
            at += 1 + content[at]
        at += 1
    return palette, content[at + 10 : -1]


@contextmanager
def write_gif(path: Path) -> Iterator[FrameWriter]:
    """Write a GIF whose frames have their own delays, in hundredths of a second.

    Raises:
        RenderError: the folder cannot be written to.

    """
    with _finished_file(path) as unfinished, unfinished.open("wb") as file:
        writer = _GifWriter(file)
        yield writer
        writer.close()


@contextmanager
def write_still(path: Path) -> Iterator[FrameWriter]:
    """Write the first frame as PNG.

    Raises:
        RenderError: the folder cannot be written to.

    """
    with _finished_file(path) as unfinished:
        yield _StillWriter(unfinished)


class _Mp4Writer:
    """Feeds ffmpeg an even rate; a frame is repeated for as long as it is displayed."""

    def __init__(self, path: Path, *, fps: float, log: IO[bytes]) -> None:
        self._path = path
        self._fps = min(MAX_FPS, max(MIN_FPS, fps))
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self._elapsed_ms = 0
        self._written = 0

    def add(self, image: U8, *, shown_ms: int) -> None:
        if self._child is None:
            self._child = self._start(image.shape[1], image.shape[0])
        self._elapsed_ms += shown_ms
        times = round(self._elapsed_ms * self._fps / 1000) - self._written
        self._written += times
        if self._child.stdin is None:
            raise RenderError("ffmpeg takes no frames")
        content = image.tobytes()
        try:
            for _ in range(times):
                self._child.stdin.write(content)
        except BrokenPipeError as error:
            raise RenderError(f"{self._path.name} could not be written: {self._said()}") from error

    def close(self) -> None:
        if self._child is None:
            return
        self._child.communicate(timeout=FFMPEG_STOP_S)
        if self._child.returncode:
            raise RenderError(f"{self._path.name} could not be written: {self._said()}")

    def kill(self) -> None:
        """End the child, if it is still there, and its pipe."""
        if self._child is None:
            return
        self._child.kill()
        if self._child.stdin is not None:
            with suppress(OSError):  # what it did not take is lost with it
                self._child.stdin.close()
        self._child.wait()

    def _start(self, width: int, height: int) -> "subprocess.Popen[bytes]":
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{self._fps:.4f}", "-i", "-"]
        even_sides = "pad=ceil(iw/2)*2:ceil(ih/2)*2"  # yuv420p halves both
        target = ["-vf", even_sides, "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
        command = [get_ffmpeg_exe(), "-v", "error", "-y", *source, *target, "-movflags", "+faststart", str(self._path)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._log)

    def _said(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "ffmpeg ended without a word"


@contextmanager
def write_mp4(path: Path, *, fps: float) -> Iterator[FrameWriter]:
    """Write an mp4 (H.264, no sound).

    Raises:
        RenderError: ffmpeg failed, with its last line; or the folder cannot be written to.

    """
    with _finished_file(path) as unfinished, tempfile.TemporaryFile() as log:
        writer = _Mp4Writer(unfinished, fps=fps, log=log)
        try:
            yield writer
            writer.close()
        finally:
            writer.kill()
