"""Link the faces of sampled frames into tracks.

A track is one face followed through one shot. Two faces on neighbouring samples are linked when they overlap and look
alike, or when one has moved and looks very much alike; a face that is missed for a few samples keeps its track open.
Looks are compared on the aligned crops, without a network: embedding is the dearest step and comes after linking.

Not every shot boundary can be told from motion, nor two people at one place by their looks. Where the picture has
changed so much that a boundary may lie there, every face begins a new track. Fragments of one shot that prove to be the
same person by their embeddings are joined afterwards (``join_fragments``).
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cv2
import numpy as np

from annotator.assignment import least_cost_pairs
from annotator.native import Frames
from annotator.types import F32, U8, FaceTrack, TrackEvidence


@dataclass(frozen=True, slots=True)
class TrackingParams:
    """When faces are linked, and what of a track is kept.

    Attributes:
        min_iou: overlap from which two boxes are neighbours.
        max_shift: how far, in box sides, a face may have moved between samples if it looks very much alike.
        min_likeness: likeness (see ``likeness``) that overlapping faces need.
        min_shifted_likeness: likeness that faces that have moved need.
        max_gap_samples: samples for which a face may be missing within a shot.
        max_cut_correlation: correlation of two samples' brightness under which a shot boundary lies between them. In
            real clips boundaries measured -0.3 to 0.36, samples of one shot over 0.3 but for the wildest motion. A
            boundary too many only splits a track; one that is missed leaves it to looks which faces are linked.
        max_doubt_correlation: correlation under which a boundary may lie there, and no face is linked. Shots with
            backgrounds that resemble each other by chance have it, but wild motion, too.
        min_cut_change: mean change of the pixels, of 1, that must come with either: noise on a black picture has no
            correlation.
        faces_per_track: K, how many of a track's best faces are embedded.
        min_join_cosine: cosine between mean embeddings from which fragments of one shot are joined.

    """

    min_iou: float = 0.25
    max_shift: float = 1.0
    min_likeness: float = 0.2
    min_shifted_likeness: float = 0.55
    max_gap_samples: int = 3
    max_cut_correlation: float = 0.3
    max_doubt_correlation: float = 0.7
    min_cut_change: float = 0.05
    faces_per_track: int = 5
    min_join_cosine: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FrameFaces:
    """The faces of one sampled frame with all that linking needs.

    Attributes:
        frame_index: 0-based index of the frame in the source.
        pts_ms: when the frame appears.
        from_ms: start of its share of displayed time.
        shown_ms: length of its share.
        thumbnail: u8 (36, 64, 3), see ``shot_thumbnails``.
        boxes_xyxy: f32 (F, 4).
        scores: f32 (F,).
        quality: f32 (F,).
        face_px: f32 (F,).
        crops: u8 (F, 112, 112, 3), aligned RGB crops.
        looks: f32 (F, 588), see ``looks``.
        inputs: u8 (F, S, S, 3), the same faces as the embedder takes them; None where it takes the aligned crops.

    """

    frame_index: int
    pts_ms: int
    from_ms: int
    shown_ms: int
    thumbnail: U8
    boxes_xyxy: F32
    scores: F32
    quality: F32
    face_px: F32
    crops: U8
    looks: F32
    inputs: U8 | None = None


NO_FACES = np.zeros((0, 112, 112, 3), np.uint8)


class _KeptFace(NamedTuple):
    """One of the best faces of a track; the first two order them, and no two of a track have both alike."""

    quality: float
    minus_sample_no: int
    face_px: float
    crop: U8
    taken: U8  # by the embedder
    thumbnail: U8


@dataclass(slots=True, eq=False)
class TrackDraft:
    """A track that is being followed; it becomes a ``FaceTrack`` when its best faces are embedded."""

    shot_no: int
    seen_at: list[int] = field(default_factory=list)
    frame_index: list[int] = field(default_factory=list)
    pts_ms: list[int] = field(default_factory=list)
    from_ms: list[int] = field(default_factory=list)
    shown_ms: list[int] = field(default_factory=list)
    boxes_xyxy: list[F32] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)
    last_look: F32 | None = None
    best: list["_KeptFace"] = field(default_factory=list)  # a heap whose smallest entry is the worst face kept

    @property
    def best_faces(self) -> U8:
        """Return u8 (K, 112, 112, 3), the best crops, best first."""
        return np.stack([face.crop for face in self._ranked()])

    @property
    def best_inputs(self) -> U8:
        """Return u8 (K, S, S, 3), the same faces as the embedder takes them."""
        return np.stack([face.taken for face in self._ranked()])

    @property
    def best_thumbnails(self) -> U8:
        """Return u8 (K, 36, 64, 3), for each of these faces the thumbnail of the frame that it is on."""
        return np.stack([face.thumbnail for face in self._ranked()])

    def _ranked(self) -> list["_KeptFace"]:
        return sorted(self.best, key=lambda face: face[:2], reverse=True)

    def add(self, faces: FrameFaces, index: int, *, sample_no: int, keep: int) -> None:
        """Append face ``index`` of a frame."""
        self.seen_at.append(sample_no)
        self.frame_index.append(faces.frame_index)
        self.pts_ms.append(faces.pts_ms)
        self.from_ms.append(faces.from_ms)
        self.shown_ms.append(faces.shown_ms)
        self.boxes_xyxy.append(faces.boxes_xyxy[index])
        self.scores.append(float(faces.scores[index]))
        self.quality.append(float(faces.quality[index]))
        self.last_look = faces.looks[index]
        crop = faces.crops[index]
        taken = crop if faces.inputs is None else faces.inputs[index]
        quality, face_px = float(faces.quality[index]), float(faces.face_px[index])
        entry = _KeptFace(quality, -sample_no, face_px, crop, taken, faces.thumbnail)
        if len(self.best) < keep:
            heapq.heappush(self.best, entry)
        elif entry[:2] > self.best[0][:2]:
            heapq.heapreplace(self.best, entry)

    def finish(self, embeddings: F32, *, keep_faces: bool, is_picture: bool | None = None) -> FaceTrack:
        """Return the track, not numbered yet, with the embeddings of its best faces.

        Args:
            embeddings: f32 (K, D), in the order of ``best_faces``; they are rounded to float16, the stored precision,
                so that the decision sees exactly what is stored.
            keep_faces: whether the track keeps the crops.
            is_picture: see ``FaceTrack``.

        """
        ranked = self._ranked()
        evidence = TrackEvidence(
            embeddings=embeddings.astype(np.float16),
            face_px=np.array([face.face_px for face in ranked], np.float16),
            quality=np.array([face.quality for face in ranked], np.float16),
        )
        return FaceTrack(
            track_no=0,
            shot_no=self.shot_no,
            frame_index=np.array(self.frame_index, np.int64),
            pts_ms=np.array(self.pts_ms, np.int64),
            from_ms=np.array(self.from_ms, np.int64),
            shown_ms=np.array(self.shown_ms, np.int64),
            boxes_xyxy=np.array(self.boxes_xyxy, np.float32),
            scores=np.array(self.scores, np.float32),
            quality=np.array(self.quality, np.float32),
            evidence=evidence,
            best_faces=self.best_faces if keep_faces else NO_FACES,
            is_picture=is_picture,
        )


def shot_thumbnails(images: Sequence[U8]) -> U8:
    """Shrink frames to what shot boundaries are looked for in.

    Args:
        images: each u8 (H, W, 3), RGB.

    Returns:
        u8 (N, 36, 64, 3), RGB.

    """
    return np.rint(Frames(images).shrunk(36, 64)).astype(np.uint8)


def is_cut(before: U8, after: U8, *, params: TrackingParams) -> bool:
    """Tell whether a shot boundary lies between two samples.

    Samples may be half a second apart, so motion must not count: thumbnails are blurred and compared as a whole, and
    by correlation, so that a change of light does not count either.

    Args:
        before: u8 (36, 64, 3), thumbnail of the earlier sample.
        after: u8 (36, 64, 3), thumbnail of the later one.
        params: thresholds.

    """
    return _correlation(before, after, params=params) < params.max_cut_correlation


def _correlation(before: U8, after: U8, *, params: TrackingParams) -> float:
    """Return how two thumbnails correlate, in [-1, 1]; 1 where hardly anything has changed."""
    change = cv2.norm(before, after, cv2.NORM_L1) / before.size / 255.0
    if change < params.min_cut_change:
        return 1.0
    first, second = (_blurred_luma(thumbnail) for thumbnail in (before, after))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    # A picture of one colour correlates with nothing; that it has changed is all that can be said.
    return float((first * second).sum()) / norm if norm > _FLAT_NORM else 0.0


_FLAT_NORM = 1e-3


def _blurred_luma(thumbnail: U8) -> F32:
    luma = cv2.GaussianBlur(cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY).astype(np.float32), (5, 5), 0)
    return np.asarray(luma - luma.mean(), np.float32)


def looks(crops: U8) -> F32:
    """Describe aligned faces coarsely: 14 x 14 colour pixels without their mean, unit norm.

    Args:
        crops: u8 (F, 112, 112, 3).

    Returns:
        f32 (F, 588); the product of two rows is their likeness in [-1, 1].

    """
    small = Frames(list(crops)).shrunk(14, 14)
    centred = (small - small.mean(axis=(1, 2), keepdims=True)).reshape(len(crops), 14 * 14 * 3)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6), np.float32)


def pairwise_iou(first_xyxy: F32, second_xyxy: F32) -> F32:
    """Return the intersection over union of every pair of boxes.

    Args:
        first_xyxy: f32 (A, 4).
        second_xyxy: f32 (B, 4).

    Returns:
        f32 (A, B), in [0, 1]; 0 where both boxes are empty.

    """
    corner_min = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    corner_max = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    overlap = _areas(corner_max - corner_min)
    areas = [_areas(boxes[:, 2:] - boxes[:, :2]) for boxes in (first_xyxy, second_xyxy)]
    union = areas[0][:, None] + areas[1][None] - overlap
    return np.asarray(np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0), np.float32)


def _areas(sides: F32) -> F32:
    sides = np.maximum(sides, 0)
    return sides[..., 0] * sides[..., 1]


class TrackLinker:
    """Follows the faces of one media; use a new one for each."""

    def __init__(self, params: TrackingParams) -> None:
        """Start before the first frame."""
        self._params = params
        self._open: list[TrackDraft] = []
        self._closed: list[TrackDraft] = []
        self._last_thumbnail: U8 | None = None
        self._shot_no = 0
        self._sample_no = -1

    def add(self, faces: FrameFaces) -> None:
        """Link the faces of the next sampled frame; frames come in order of presentation."""
        self._sample_no += 1
        self._look_for_boundary(faces.thumbnail)
        self._close_lost()
        linked = self._assign(faces)
        for index in range(len(faces.scores)):
            track = linked.get(index)
            if track is None:
                track = TrackDraft(self._shot_no)
                self._open.append(track)
            track.add(faces, index, sample_no=self._sample_no, keep=self._params.faces_per_track)

    def take_closed(self) -> list[TrackDraft]:
        """Return the tracks that have ended since the last call, so that nobody need hold the crops of a long film."""
        closed, self._closed = self._closed, []
        return closed

    def finish(self) -> list[TrackDraft]:
        """End all tracks and return those that were not taken yet."""
        self._closed += self._open
        self._open = []
        return self.take_closed()

    def _look_for_boundary(self, thumbnail: U8) -> None:
        """End all tracks at a shot boundary, and where there may be one; these lie in the same shot."""
        before, self._last_thumbnail = self._last_thumbnail, thumbnail
        if before is None:
            return
        correlation = _correlation(before, thumbnail, params=self._params)
        if correlation < self._params.max_doubt_correlation:
            self._closed += self._open
            self._open = []
        if correlation < self._params.max_cut_correlation:
            self._shot_no += 1

    def _close_lost(self) -> None:
        oldest = self._sample_no - 1 - self._params.max_gap_samples
        self._closed += [track for track in self._open if track.seen_at[-1] < oldest]
        self._open = [track for track in self._open if track.seen_at[-1] >= oldest]

    def _assign(self, faces: FrameFaces) -> dict[int, TrackDraft]:
        if not self._open or not len(faces.scores):
            return {}
        boxes = np.array([track.boxes_xyxy[-1] for track in self._open], np.float32)
        iou = pairwise_iou(boxes, faces.boxes_xyxy)
        shift, ratio = _shift_and_ratio(boxes, faces.boxes_xyxy)
        likeness = np.array([track.last_look for track in self._open]) @ faces.looks.T
        overlaps = iou >= self._params.min_iou
        has_moved = (shift <= self._params.max_shift) & (ratio <= 2.0)
        may_link = (overlaps & (likeness >= self._params.min_likeness)) | (
            has_moved & (likeness >= self._params.min_shifted_likeness)
        )
        gain = np.where(may_link, iou + np.maximum(likeness, 0) + 1e-3, 0.0)
        rows, columns = least_cost_pairs(-gain)
        return {
            int(column): self._open[row] for row, column in zip(rows, columns, strict=True) if may_link[row, column]
        }


def _shift_and_ratio(before_xyxy: F32, after_xyxy: F32) -> tuple[F32, F32]:
    """Return for every pair how far the centre has moved, in box sides, and how the sides have changed (>= 1)."""
    sides = [np.sqrt(np.clip((b[:, 2:] - b[:, :2]).prod(axis=1), 1.0, None)) for b in (before_xyxy, after_xyxy)]
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (before_xyxy, after_xyxy)]
    larger = np.maximum(sides[0][:, None], sides[1][None])
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    ratio = larger / np.minimum(sides[0][:, None], sides[1][None])
    return (distance / larger).astype(np.float32), ratio.astype(np.float32)


def in_order(tracks: Iterable[FaceTrack]) -> list[FaceTrack]:
    """Return the tracks of one media in order of first appearance, numbered; of one frame, best score first."""
    ordered = sorted(tracks, key=lambda track: (track.frame_index[0], -track.scores[0], *track.boxes_xyxy[0]))
    return _numbered(ordered)


def _numbered(tracks: Sequence[FaceTrack]) -> list[FaceTrack]:
    return [
        track if track.track_no == track_no else replace(track, track_no=track_no)
        for track_no, track in enumerate(tracks)
    ]


def join_fragments(tracks: Sequence[FaceTrack], *, params: TrackingParams) -> list[FaceTrack]:
    """Join tracks of one shot that are the same person by their embeddings and never seen on one frame.

    Args:
        tracks: of one media, in order of first appearance.
        params: ``min_join_cosine`` and ``faces_per_track`` are used.

    Returns:
        The tracks, fewer or the same, numbered anew in order of first appearance.

    """
    groups: list[_Fragments] = []
    means = np.zeros((len(tracks), tracks[0].evidence.embeddings.shape[1] if tracks else 0), np.float32)
    for track in tracks:
        alike = np.flatnonzero(means[: len(groups)] @ _mean_embedding(track.evidence) >= params.min_join_cosine)
        home = next((index for index in alike.tolist() if groups[index].may_take(track)), len(groups))
        if home == len(groups):
            groups.append(_Fragments())
        groups[home].take(track, keep=params.faces_per_track)
        means[home] = _mean_embedding(groups[home].evidence)
    return _numbered([group.joined() for group in groups])


@dataclass(slots=True, eq=False)
class _Fragments:
    """Tracks of one person in one shot; joined at the end, for a flickering film has thousands."""

    members: list[FaceTrack] = field(default_factory=list)
    frames: set[int] = field(default_factory=set)
    best_faces: U8 = field(default_factory=lambda: NO_FACES)

    evidence: TrackEvidence = field(init=False)

    def may_take(self, track: FaceTrack) -> bool:
        return self.members[0].shot_no == track.shot_no and self.frames.isdisjoint(track.frame_index.tolist())

    def take(self, track: FaceTrack, *, keep: int) -> None:
        """Add a track; of all faces the best stay."""
        if not self.members:
            self.evidence, self.best_faces = track.evidence, track.best_faces
        else:
            pair = (self.evidence, track.evidence)
            best = np.argsort(-np.concatenate([one.quality for one in pair]), kind="stable")[:keep]
            names = ("embeddings", "face_px", "quality")
            self.evidence = TrackEvidence(
                **{name: np.concatenate([getattr(one, name) for one in pair])[best] for name in names}
            )
            crops = np.concatenate([self.best_faces, track.best_faces])
            self.best_faces = crops[best] if len(crops) else NO_FACES
        self.members.append(track)
        self.frames.update(track.frame_index.tolist())

    def joined(self) -> FaceTrack:
        """Return them as one track."""
        if len(self.members) == 1:
            return self.members[0]
        order = np.argsort(np.concatenate([one.frame_index for one in self.members]), kind="stable")
        whole: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in self.members])[order]
            for name in ("frame_index", "pts_ms", "from_ms", "shown_ms", "boxes_xyxy", "scores", "quality")
        }
        # One that lives tells for all, and one that cannot tell says nothing.
        told = [one.is_picture for one in self.members if one.is_picture is not None]
        return replace(
            self.members[0],
            **whole,
            evidence=self.evidence,
            best_faces=self.best_faces,
            is_picture=all(told) if told else None,
        )


def _mean_embedding(evidence: TrackEvidence) -> F32:
    mean = evidence.embeddings.astype(np.float32).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-6), np.float32)
