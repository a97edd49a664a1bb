"""The way of a clip: frames, faces, tracks, embeddings, names.

Decoding runs in a few threads (each waits for a child process), detection in a few more, embedding in one; the
caller's thread links faces and names tracks. Frames of many media share the batches of the detector, crops of many
media those of the embedder, and results go back to their media. A media that fails fails alone.

The stages are handed in (see ``annotator.build``): this module knows what they do, not how.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from annotator.decoding import Clip, DecodingRun, FrameSource, PipelineParams
from annotator.detecting import MAX_GAP_MS, DetectingRun, FaceDetector, FoundFaces
from annotator.embedding_run import Embedder, EmbeddingRun
from annotator.metering import NoMeter, SharedStage, StageMeter, metered
from annotator.quality import QualityParts, quality_parts, visible_share
from annotator.recognition.alignment import align_by, alignment_matrices, face_sizes_px
from annotator.recognition.calibration import Calibration
from annotator.recognition.crops import ALIGNED, FaceCrop, cut_faces
from annotator.recognition.decision import NamedTracks, Reasons
from annotator.recognition.evidence import EvidenceStack
from annotator.tracking import FrameFaces, TrackDraft, TrackingParams, in_order, join_fragments, looks, shot_thumbnails
from annotator.types import (
    U8,
    FaceDetections,
    FaceTrack,
    Identity,
    KnownMedia,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

logger = logging.getLogger(__name__)

Outcome = MediaAnnotation | MediaFailure | KnownMedia

Watch = Callable[[MediaRef, Sequence[FrameFaces], QualityParts], None]
"""Is told the faces of the next frames of a media, and what the qualities of all of them come from, in one row."""

_WARM_UP_PX = 128
_FRAMES_AT_ONCE = 16  # whose faces are measured together; no more, for a crowd's crops take memory


class TrackIdentifier(Protocol):
    """Says who tracks are."""

    @property
    def model(self) -> str:
        """The model version, e.g. ``"starter@1"``."""

    @property
    def digest(self) -> str:
        """Names all that can change a label, hexadecimal."""

    @property
    def photographs(self) -> Mapping[Identity, int]:
        """Whom it knows, and from how many photographs."""

    @property
    def identities(self) -> Sequence[Identity]:
        """Whom it knows, by column of what ``named`` returns."""

    @property
    def calibration(self) -> Calibration:
        """Thresholds and confidence."""

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        """Return one label per track."""

    def reasons(self, track: TrackEvidence, *, most: int) -> Reasons:
        """Return why a track gets the label that ``identify`` gives it, and so many of the nearest people."""

    def named(self, stacks: Iterable[EvidenceStack]) -> NamedTracks:
        """Return those of many tracks that ``identify`` calls known."""


class Annotator:
    """Annotates media. One instance runs one ``annotate`` at a time; it is not thread-safe."""

    def __init__(  # noqa: PLR0913 - the stages, by name
        self,
        *,
        source: FrameSource,
        detector: FaceDetector,
        embedder: Embedder,
        identifier: TrackIdentifier,
        embedding: Mapping[str, object] | None = None,
        tracking: TrackingParams | None = None,
        params: PipelineParams | None = None,
        meter: StageMeter | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Take the stages, who is told how busy they are, and who is told every face.

        ``embedding`` is what decides embeddings beside the network, where that is not as by default.
        """
        self._source = source
        self._detector = detector
        self._embedder = embedder
        self._embedding = dict(embedding or {})
        self._identifier = identifier
        self._tracking = tracking or TrackingParams()
        self._params = params or PipelineParams()
        self._meter = meter or NoMeter()
        self._watch = watch
        self._networks = SharedStage(self._meter, "accelerator")

    @property
    def model(self) -> str:
        """The model version that labels come from, e.g. ``"starter@1"``."""
        return self._identifier.model

    @property
    def identifier(self) -> TrackIdentifier:
        """What labels tracks."""
        return self._identifier

    @property
    def network_spec(self) -> dict[str, object]:
        """What owns tracks and embeddings: decoding, sampling, detection, linking and embedding."""
        tracking = {name: getattr(self._tracking, name) for name in self._tracking.__slots__}
        return {
            "decoder": self._source.spec(),
            "detector": {**self._detector.spec(), "max_gap_ms": MAX_GAP_MS},
            "tracking": tracking,
            "embedder": self._embedder.network_id,
            **({"embedding": self._embedding} if self._embedding else {}),
        }

    def warm_up(self) -> None:
        """Run the networks on an empty picture, so that the first media does not wait for their compilation."""
        self._detector.detect([np.zeros((_WARM_UP_PX, _WARM_UP_PX, 3), np.uint8)])
        side_px = self._embedder.crop.side_px
        self._embedder.embed(np.zeros((1, side_px, side_px, 3), np.uint8))

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        """Label stored evidence anew, as ``annotate`` would label it."""
        return self._identifier.identify(tracks)

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[Outcome]:
        """Annotate media; outcomes come as they are ready, one for each media.

        Args:
            media: may be endless and may block; it is read from the decoding threads, one at a time. One that blocks
                and has a method ``close`` is told by it when the run ends early.
            is_known: asked with the digest of each media's bytes (hexadecimal) before it is decoded, from the decoding
                threads; True yields a ``KnownMedia`` instead.

        Raises:
            ModelError: a network or bundle fails its checks.
            ConfigError: the settings cannot work.

        """
        run = DecodingRun(
            self._source,
            media,
            is_known=is_known,
            tracking=self._tracking,
            params=self._params,
            model=self.model,
            meter=self._meter,
        )
        with (
            run,
            DetectingRun(
                run,
                self._detector,
                ahead=self._params.detecting,
                max_bytes=self._params.detecting * self._params.max_batch_bytes,
                networks=self._networks,
            ) as detecting,
            EmbeddingRun(
                self._embedder,
                networks=self._networks,
                meter=self._meter,
                at_once=self._params.embed_batch,
                keep_faces=self._params.keep_faces,
            ) as embedding_run,
        ):
            try:
                yield from self._told(detecting, embedding_run)
            except Exception:
                yield from self._told_last(embedding_run)
                raise

    def _told(self, detecting: DetectingRun, embedding_run: EmbeddingRun) -> Iterator[Outcome]:
        """Link faces, have those of tracks that have ended embedded, and yield outcomes."""
        drafts: list[tuple[Clip, TrackDraft]] = []  # wait for the embedder
        ended: list[Clip] = []  # wait for the last of their drafts
        ended_s = 0.0  # when the first of them did
        has_told = False  # the first outcome is waited for by a person: its faces go before further frames
        while True:
            events = detecting.take(wait=not (drafts or ended or embedding_run.is_busy))
            drafts += self._link([event for event in events if isinstance(event, FoundFaces)])
            for event in events:
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Clip):
                    drafts += [(event, draft) for draft in event.linker.finish()]
                    ended_s = ended_s if ended else time.monotonic()
                    ended.append(event)
                elif isinstance(event, MediaFailure | KnownMedia):
                    yield event
            # A clip without a face waits for others too, but not for ever: beside a film, frames never stop.
            waiting = len(ended) + sum(len(draft.best) for _, draft in drafts)
            is_late = bool(ended) and time.monotonic() - ended_s >= self._params.max_wait_s
            is_full = waiting >= self._params.embed_batch
            is_idle = not events and not embedding_run.is_busy
            if is_full or is_late or (waiting and is_idle) or (ended and not has_told):
                embedding_run.give(drafts, ended)
                drafts, ended = [], []
            elif detecting.is_finished and not (waiting or embedding_run.is_busy):
                return
            goes_on = bool(events) and embedding_run.has_room and (has_told or not embedding_run.brings_clips)
            for annotation in self._finish(embedding_run.take(wait=not goes_on)):
                has_told = True
                yield annotation

    def _told_last(self, embedding_run: EmbeddingRun) -> Iterator[Outcome]:
        """Yield the outcomes of what is with the embedder when an error ends the run, which is the one to raise."""
        try:
            while embedding_run.is_busy:
                yield from self._finish(embedding_run.take(wait=True))
        except Exception:
            logger.exception("what was with the embedder when the run ended is not told")

    def _link(self, found: Sequence[FoundFaces]) -> list[tuple[Clip, TrackDraft]]:
        """Link faces into their clips' tracks; return the tracks that have ended."""
        with metered(self._meter, "link"):
            for one in found:
                one.clip.timings_s["detect"] += one.seconds
                _link(one, self._embedder.crop, self._watch)
        return [(one.clip, draft) for one in found for draft in one.clip.linker.take_closed()]

    def _finish(self, clips: Sequence[Clip]) -> Iterator[MediaAnnotation]:
        """Identify the tracks of clips that have ended, and yield their annotations."""
        if not clips:
            return
        start = time.perf_counter()
        with metered(self._meter, "link"):
            tracks_by_clip = [join_fragments(in_order(clip.tracks), params=self._tracking) for clip in clips]
            labels = iter(self._identifier.identify([track.evidence for tracks in tracks_by_clip for track in tracks]))
        identify_s = (time.perf_counter() - start) / len(clips)
        for clip, tracks in zip(clips, tracks_by_clip, strict=True):
            clip.timings_s["identify"] = identify_s
            yield self._annotation(clip, tracks, [next(labels) for _ in tracks])

    def _annotation(self, clip: Clip, tracks: Sequence[FaceTrack], labels: Sequence[TrackLabel]) -> MediaAnnotation:
        if clip.report is None:
            raise RuntimeError("a clip was finished before its end")
        return MediaAnnotation(
            media=clip.media,
            model=self.model,
            content_sha256=clip.content_sha256,
            clip=clip.report,
            frames_sampled=clip.frames_sampled,
            faces=clip.faces,
            tracks=tuple(tracks),
            labels=tuple(labels),
            timings_s=dict(clip.timings_s),
            fingerprint=clip.glimpses.fingerprint(),
        )


def _link(found: FoundFaces, crop: FaceCrop, watch: Watch | None) -> None:
    """Link the faces of a batch of frames into the tracks of their clip."""
    start = time.perf_counter()
    clip = found.clip
    all_frames = range(len(found.faces))
    for start_no in all_frames[::_FRAMES_AT_ONCE]:
        frames, parts = _frame_faces(found, all_frames[start_no : start_no + _FRAMES_AT_ONCE], crop)
        for faces in frames:
            clip.glimpses.add(faces.thumbnail, faces.pts_ms)
            clip.linker.add(faces)
            clip.faces += len(faces.scores)
        if watch is not None:
            watch(clip.media, frames, parts)
    clip.frames_sampled += len(found.batch)
    clip.timings_s["link"] += time.perf_counter() - start


def _frame_faces(found: FoundFaces, numbers: range, crop: FaceCrop) -> tuple[list[FrameFaces], QualityParts]:
    """Align and measure the faces of some frames of a batch; return also what their qualities come from.

    Most frames have one face or none, for which a call of NumPy costs more than its work: all are measured at once.
    """
    batch, by_frame = found.batch, [found.faces[number] for number in numbers]
    images = list(batch.images[numbers.start : numbers.stop])
    all_faces = _joined(by_frame)
    matrices = alignment_matrices(all_faces.landmarks_xy)
    parts = [slice(*ends) for ends in pairwise([0, *accumulate(map(len, by_frame))])]
    # Each frame has crops of its own: a track that holds one does not hold those of the other frames.
    crops = [align_by(image, matrices[part]) for image, part in zip(images, parts, strict=True)]
    all_crops = np.concatenate(crops)
    face_px, face_looks, thumbnails = face_sizes_px(matrices), looks(all_crops), shot_thumbnails(images)
    measured = quality_parts(
        all_crops,
        face_px=face_px,
        landmarks_xy=all_faces.landmarks_xy,
        scores=all_faces.scores,
        visible=visible_share(all_faces.boxes_xyxy, width_px=images[0].shape[1], height_px=images[0].shape[0]),
    )
    quality = measured.quality
    frames = [
        FrameFaces(
            frame_index=int(batch.frame_index[number]),
            pts_ms=int(batch.pts_ms[number]),
            from_ms=int(batch.from_ms[number]),
            shown_ms=int(batch.shown_ms[number]),
            thumbnail=thumbnails[index].copy(),  # a track that holds one does not hold those of the other frames
            boxes_xyxy=by_frame[index].boxes_xyxy,
            scores=by_frame[index].scores,
            quality=quality[part],
            face_px=face_px[part],
            crops=crops[index],
            looks=face_looks[part],
            inputs=None if crop == ALIGNED else _inputs(images[index], by_frame[index], crop),
        )
        for index, (number, part) in enumerate(zip(numbers, parts, strict=True))
    ]
    return frames, measured


def _joined(frames: Sequence[FaceDetections]) -> FaceDetections:
    """Return the faces of some frames as if they were of one."""
    names = ("boxes_xyxy", "scores", "landmarks_xy")
    return FaceDetections(**{name: np.concatenate([getattr(faces, name) for faces in frames]) for name in names})


def _inputs(image: U8, faces: FaceDetections, crop: FaceCrop) -> U8:
    return cut_faces(image, faces.boxes_xyxy, faces.landmarks_xy, crop)
