"""Write one annotated media again, with what was found on it."""

import statistics
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.decoding import FrameSource
from annotator.render.drawing import draw_marks, readable_scale
from annotator.render.marks import drawn_tracks, marks_at
from annotator.render.redaction import NOTHING_HIDDEN, FaceHider, Redaction, shown_and_hidden
from annotator.render.sheet import contact_sheet
from annotator.render.writers import FrameWriter, write_gif, write_mp4, write_still
from annotator.tracking import TrackingParams, is_cut, shot_thumbnails
from annotator.types import U8, MediaAnnotation, MediaRef

GIF_LIKE: Final = frozenset({".gif", ".webp", ".png", ".apng"})
LAST_FRAME_MS: Final = 100  # where the media does not tell how long its last frame is displayed


@dataclass(frozen=True, slots=True)
class _Timeline:
    """When frames appear, and which of them begin a new shot."""

    pts_ms: tuple[int, ...]
    cuts_ms: tuple[int, ...]
    end_ms: int

    def shown_ms(self, number: int) -> int:
        following = self.pts_ms[number + 1] if number + 1 < len(self.pts_ms) else self.end_ms
        return max(1, following - self.pts_ms[number])

    @property
    def fps(self) -> float:
        steps = [after - before for before, after in zip(self.pts_ms, self.pts_ms[1:], strict=False)]
        return 1000 / max(1.0, statistics.median(steps)) if steps else 1.0


def render_media(
    annotation: MediaAnnotation, *, source: FrameSource, target: Path, redaction: Redaction = NOTHING_HIDDEN
) -> Path:
    """Write a media with boxes, names and confidence, and its contact sheet.

    Faces that are to be hidden are hidden on both, and have neither box nor name. The media is decoded twice: for its
    shot boundaries, then for its frames; one frame is held at a time.

    Args:
        annotation: a fresh one: rows keep no faces.
        source: opens media and yields **every** distinct frame.
        target: path of the pictures, with the name of the media; an ending that says what was written is added where
            it differs. Folders are made, older pictures replaced.
        redaction: whose faces are hidden.

    Returns:
        Where the media is, again, with boxes and names; the contact sheet lies beside ``target``.

    Raises:
        InputError: the media can no longer be decoded.
        TransientError: the media could not be fetched again.
        RenderError: a picture cannot be written.

    """
    timeline = _read_timeline(annotation, source)
    path, writing = _writer(target, timeline)
    drawn = drawn_tracks(annotation.tracks, annotation.labels)
    tracks, hidden = shown_and_hidden(drawn, annotation.labels, redaction)
    hider = FaceHider(hidden, timeline.cuts_ms)
    scale = readable_scale(annotation.clip.width_px, annotation.clip.height_px)
    with writing as writer:
        for number, (pts_ms, image) in enumerate(_frames(annotation.media, source)):
            marks = marks_at(pts_ms, tracks, cuts_ms=timeline.cuts_ms)
            writer.add(draw_marks(hider.hide(image, pts_ms), marks, scale=scale), shown_ms=timeline.shown_ms(number))
    sheet = target.with_name(f"{target.name}.faces.png")
    with write_still(sheet) as writer:
        writer.add(contact_sheet(annotation, redaction=redaction), shown_ms=0)
    return path


def _read_timeline(annotation: MediaAnnotation, source: FrameSource) -> _Timeline:
    params = TrackingParams()
    pts_ms: list[int] = []
    cuts_ms: list[int] = []
    before: U8 | None = None
    for frame_pts_ms, image in _frames(annotation.media, source):
        thumbnail = shot_thumbnails([image])[0]
        if before is not None and is_cut(before, thumbnail, params=params):
            cuts_ms.append(frame_pts_ms)
        before = thumbnail
        pts_ms.append(frame_pts_ms)
    end_ms = annotation.clip.duration_ms or (pts_ms[-1] if pts_ms else 0) + LAST_FRAME_MS
    return _Timeline(tuple(pts_ms), tuple(cuts_ms), end_ms)


def _frames(media: MediaRef, source: FrameSource) -> Iterator[tuple[int, U8]]:
    with source.open(media) as frames:
        for batch in frames:
            yield from zip(batch.pts_ms.tolist(), batch.images, strict=True)


def _writer(target: Path, timeline: _Timeline) -> tuple[Path, AbstractContextManager[FrameWriter]]:
    """Choose what is written: PNG for a still, GIF for what is like one, else mp4."""
    suffix = target.suffix.lower()
    if len(timeline.pts_ms) == 1:
        path = _with_suffix(target, ".png")
        return path, write_still(path)
    if suffix in GIF_LIKE:
        path = _with_suffix(target, ".gif")
        return path, write_gif(path)
    path = _with_suffix(target, ".mp4")
    return path, write_mp4(path, fps=timeline.fps)


def _with_suffix(target: Path, suffix: str) -> Path:
    return target if target.suffix.lower() == suffix else target.with_name(target.name + suffix)
