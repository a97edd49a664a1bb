"""What the annotator finds in drawn clips, beside what was drawn.

Clips go the whole way of any clip: decoded, searched, tracked, embedded. A track belongs to the face that was drawn
where it lies; who that is, and when it was seen, is known.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from annotator.accuracy.drawing import DrawnFrame, draw_clip
from annotator.accuracy.scenes import Kind, Scene
from annotator.errors import AnnotatorError
from annotator.pipeline import Annotator
from annotator.recognition.photographs import read_aligned
from annotator.types import FaceTrack, MediaAnnotation, MediaFailure, MediaRef, TrackEvidence

NEAR: Final = 0.35
"""How far the middle of a track's box may lie from that of a drawn face, in its sides."""

_CLIPS_AHEAD: Final = 16  # drawn, and not yet annotated

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face as it was drawn in one shot.

    Attributes:
        clip: name of the clip.
        shot: number of the shot.
        photograph: number of the photograph.
        kind: what it is.
        face_px: side of the square that becomes the aligned face, in the mean over its frames.
        span: when it is seen, half-open, in milliseconds.

    """

    clip: str
    shot: int
    photograph: int
    kind: Kind
    face_px: float
    span: Span


@dataclass(frozen=True, slots=True)
class SeenTrack:
    """A track that the annotator found.

    Attributes:
        clip: name of the clip.
        shot: that it lies in, as its first frame says.
        photograph: of the face that it lies on; None where nothing was drawn.
        kind: what that is; None likewise.
        evidence: what names it.
        spans: when it was seen, by the shares of the frames.

    """

    clip: str
    shot: int
    photograph: int | None
    kind: Kind | None
    evidence: TrackEvidence
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ShownClip:
    """What was drawn, and what was found.

    Attributes:
        scene: the clip.
        faces: that were drawn.
        tracks: that were found.

    """

    scene: Scene
    faces: tuple[SeenFace, ...]
    tracks: tuple[SeenTrack, ...]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A frame without its pixels: when it is shown, and where faces are."""

    start_ms: int
    end_ms: int
    shot: int
    faces: tuple[tuple[int, Kind, float, float, float], ...]  # photograph, kind, centre, side


def show_clips(
    scenes: Sequence[Scene], photographs: Mapping[int, Path], annotator: Annotator, executor: Executor
) -> Iterator[ShownClip]:
    """Draw clips and annotate them.

    Args:
        scenes: what is drawn.
        photographs: aligned crops by their numbers.
        annotator: looks at them.
        executor: draws in its processes, or threads.

    Yields:
        What was drawn and found, in the order in which clips are done.

    Raises:
        AnnotatorError: a clip could not be read.
        ConfigError: a photograph is no aligned crop.

    """
    with tempfile.TemporaryDirectory(prefix="drawn-") as name:
        folder, drawn = Path(name), {}
        by_name = {scene.name: scene for scene in scenes}

        def media() -> Iterator[MediaRef]:
            for scene, path, frames in _drawn_ahead(scenes, photographs, folder, executor):
                drawn[scene.name] = frames
                yield MediaRef(scene.name, path.as_uri())

        for outcome in annotator.annotate(media()):
            if isinstance(outcome, MediaFailure):
                raise AnnotatorError(f"the drawn clip {outcome.media.media_id} could not be read: {outcome.message}")
            if isinstance(outcome, MediaAnnotation):
                clip = outcome.media.media_id
                yield _shown(by_name[clip], drawn.pop(clip), outcome.tracks)
                for path in folder.glob(f"{clip}.*"):
                    path.unlink()


def _drawn_ahead(
    scenes: Iterable[Scene], photographs: Mapping[int, Path], folder: Path, executor: Executor
) -> Iterator[tuple[Scene, Path, list[_Drawn]]]:
    """Draw some clips ahead; yield them in order."""
    waiting = []
    for scene in scenes:
        needed = {one.photograph: photographs[one.photograph] for shot in scene.shots for one in shot.appearances}
        waiting.append((scene, executor.submit(_draw, scene, needed, folder)))
        if len(waiting) > _CLIPS_AHEAD:
            first, future = waiting.pop(0)
            yield first, *future.result()
    for scene, future in waiting:
        yield scene, *future.result()


def _draw(scene: Scene, photographs: Mapping[int, Path], folder: Path) -> tuple[Path, list[_Drawn]]:
    """Draw a clip, in a process of the executor."""
    crops = read_aligned(list(photographs.values()))
    path, frames = draw_clip(scene, dict(zip(photographs, crops, strict=True)), folder)
    return path, list(_without_pixels(frames))


def _without_pixels(frames: Sequence[DrawnFrame]) -> Iterator[_Drawn]:
    start_ms = 0
    for frame in frames:
        faces = []
        for face in frame.faces:
            left, top, right, bottom = face.box_xyxy
            one = face.appearance
            faces.append((one.photograph, one.kind, (left + right) / 2, (top + bottom) / 2, right - left))
        yield _Drawn(start_ms, start_ms + frame.shown_ms, frame.shot, tuple(faces))
        start_ms += frame.shown_ms


def _shown(scene: Scene, frames: Sequence[_Drawn], tracks: Sequence[FaceTrack]) -> ShownClip:
    """Say when each face is seen, and on which of them each track lies."""
    seen_tracks = []
    for track in tracks:
        owner = _under(track, frames)
        photograph, kind = (None, None) if owner is None else owner
        ends = (track.from_ms + track.shown_ms).tolist()
        spans = _joined(zip(track.from_ms.tolist(), ends, strict=True))
        shot = frames[int(track.frame_index[0])].shot
        seen_tracks.append(SeenTrack(scene.name, shot, photograph, kind, track.evidence, spans))
    return ShownClip(scene, tuple(_faces(scene.name, frames)), tuple(seen_tracks))


def _faces(clip: str, frames: Sequence[_Drawn]) -> Iterator[SeenFace]:
    for shot in sorted({frame.shot for frame in frames}):
        mine = [frame for frame in frames if frame.shot == shot]
        span = (mine[0].start_ms, mine[-1].end_ms)
        for number, (photograph, kind, *_) in enumerate(mine[0].faces):
            face_px = float(np.mean([frame.faces[number][4] for frame in mine]))
            yield SeenFace(clip, shot, photograph, kind, face_px, span)


def _under(track: FaceTrack, frames: Sequence[_Drawn]) -> tuple[int, Kind] | None:
    """Return the drawn face that a track lies on, on most of its frames."""
    votes: Counter[tuple[int, Kind] | None] = Counter()
    for number, box in zip(track.frame_index.tolist(), track.boxes_xyxy.tolist(), strict=True):
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        near = [
            (float(np.hypot(*(middle - (x, y)))) / side, (photograph, kind))
            for photograph, kind, x, y, side in frames[number].faces
        ]
        distance, owner = min(near, default=(np.inf, None))
        votes[owner if distance < NEAR else None] += 1
    return votes.most_common(1)[0][0]


def _joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans, ascending, with those joined that touch."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)
