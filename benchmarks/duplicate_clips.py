"""Variants of clips, for `benchmarks/duplicates.py`: what people do to a clip before they post it again."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from annotator.accuracy.scenes import CAPTIONS
from annotator.media import DecodeLimits, FetchLimits, MediaReader, Sampling, sample_frames
from annotator.types import I64, U8, FrameBatch, MediaRef

MOST_FRAMES: Final = 60  # of a clip that is changed: longer ones are cut
MOST_WIDTH_PX: Final = 320  # wider ones are reduced before they are changed
MP4_FPS: Final = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """A moving picture in memory.

    Attributes:
        frames: u8 (N, H, W, 3), RGB.
        shown_ms: i64 (N,), how long each is shown.

    """

    frames: U8
    shown_ms: I64


Change = Callable[[Moving, np.random.Generator], Moving]


def read_clip(path: Path) -> Moving:
    """Return all frames of a clip that differ from the one before; the first few hundred, and not too large."""
    frames: list[U8] = []
    shown: list[int] = []
    for batch in sampled_frames(path, Sampling.all()):
        for image, shown_ms in zip(batch.images, batch.shown_ms.tolist(), strict=True):
            factor = min(1.0, MOST_WIDTH_PX / image.shape[1])
            frames.append(_resized(image, factor) if factor < 1 else image.copy())
            shown.append(max(shown_ms, 10))
            if len(frames) == MOST_FRAMES:
                return Moving(np.stack(frames), np.array(shown, np.int64))
    return Moving(np.stack(frames), np.array(shown, np.int64))


def sampled_frames(path: Path, sampling: Sampling) -> Iterator[FrameBatch]:
    """Decode a file and yield the frames of a policy."""
    limits = DecodeLimits()
    with MediaReader(fetch=FetchLimits(), decode=limits).open(MediaRef(path.name, path.as_uri())) as local:  # noqa: SIM117
        with sample_frames(local, sampling=sampling, limits=limits) as frames:
            yield from frames


def write_clip(clip: Moving, path: Path, random: np.random.Generator) -> None:
    """Write a clip as a GIF of few colours, or as an mp4 of a low bitrate, as the name says."""
    if path.suffix == ".gif":
        _write_gif(clip, path, int(random.choice([32, 64, 128, 256])))
    else:
        _write_mp4(clip, path, int(random.integers(20, 37)))


def _write_gif(clip: Moving, path: Path, colours: int) -> None:
    among = Image.fromarray(np.concatenate(clip.frames[:: max(1, len(clip.frames) // 6)]))
    palette = among.quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    pictures = [Image.fromarray(frame).quantize(palette=palette) for frame in clip.frames]
    delays = (10 * np.maximum(np.rint(clip.shown_ms / 10), 2)).astype(int).tolist()
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, loop=0, optimize=False)


def _write_mp4(clip: Moving, path: Path, crf: int) -> None:
    height, width = clip.frames.shape[1:3]
    ends = np.rint(np.cumsum(clip.shown_ms) * MP4_FPS / 1000).astype(int)
    times = np.diff(ends, prepend=0)
    if not times.any():
        times[0] = 1
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(MP4_FPS), "-i", "-"]
    target = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf)]
    command = [get_ffmpeg_exe(), "-v", "error", "-y", *source, *target, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, input=np.repeat(clip.frames, times, axis=0).tobytes(), check=True)


def _resized(image: U8, factor: float) -> U8:
    size_wh = tuple(max(16, round(side * factor)) for side in (image.shape[1], image.shape[0]))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size_wh, interpolation=way), np.uint8)


def resize(clip: Moving, random: np.random.Generator) -> Moving:
    """Reduce or enlarge to 0.5 to 1.5."""
    factor = float(random.uniform(0.5, 1.5))
    return Moving(np.stack([_resized(frame, factor) for frame in clip.frames]), clip.shown_ms)


def crop(clip: Moving, random: np.random.Generator) -> Moving:
    """Keep 80 % of each side, anywhere."""
    height, width = clip.frames.shape[1:3]
    top, left = int(random.uniform(0, 0.2) * height), int(random.uniform(0, 0.2) * width)
    return Moving(clip.frames[:, top : top + int(0.8 * height), left : left + int(0.8 * width)], clip.shown_ms)


def caption(clip: Moving, random: np.random.Generator) -> Moving:
    """Write a line over the lower or upper part, or on a white or black bar above or below."""
    frames, text = clip.frames, str(random.choice(CAPTIONS))
    height, width = frames.shape[1:3]
    is_above, kind = bool(random.random() < 0.5), str(random.choice(["over", "white bar", "black bar"]))
    if kind != "over":
        bar = np.full(
            (len(frames), int(random.uniform(0.15, 0.25) * height), width, 3), 255 * (kind[0] == "w"), np.uint8
        )
        frames = np.concatenate([bar, frames] if is_above else [frames, bar], axis=1)
        middle = bar.shape[1] / 2
    else:
        frames, middle = frames.copy(), 0.1 * height
    y = middle if is_above else frames.shape[1] - middle
    for frame in frames:
        _write_line(frame, text, y, 0.09 * height, is_dark=kind == "white bar")
    return Moving(frames, clip.shown_ms)


def _write_line(frame: U8, text: str, y: float, size_px: float, *, is_dark: bool) -> None:
    (wide, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    scale = min(size_px / 22, 0.95 * frame.shape[1] / wide)
    at = (int((frame.shape[1] - wide * scale) / 2), int(y + 11 * scale))
    strokes = [((0, 0, 0), 2)] if is_dark else [((0, 0, 0), 5), ((255, 255, 255), 2)]
    for colour, thick in strokes:
        cv2.putText(frame, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, colour, thick, cv2.LINE_AA)


def mirror(clip: Moving, random: np.random.Generator) -> Moving:  # noqa: ARG001 - all changes are called alike
    """Exchange left and right."""
    return Moving(np.ascontiguousarray(clip.frames[:, :, ::-1]), clip.shown_ms)


def speed(clip: Moving, random: np.random.Generator) -> Moving:
    """Show it 0.8 to 1.5 times as fast."""
    factor = float(random.uniform(0.8, 1.5))
    return Moving(clip.frames, np.maximum(np.rint(clip.shown_ms / factor), 10).astype(np.int64))


def trim(clip: Moving, random: np.random.Generator) -> Moving:
    """Keep half of it, any one."""
    half = max(1, len(clip.frames) // 2)
    first = int(random.integers(len(clip.frames) - half + 1))
    return Moving(clip.frames[first : first + half], clip.shown_ms[first : first + half])


def reencode(clip: Moving, random: np.random.Generator) -> Moving:  # noqa: ARG001 - writing does it
    """Leave all as it is: it is written anew in another form."""
    return clip


CHANGES: Final[Mapping[str, Change]] = {
    "re-encoded": reencode,
    "resized": resize,
    "cropped": crop,
    "captioned": caption,
    "mirrored": mirror,
    "other speed": speed,
    "trimmed": trim,
}
