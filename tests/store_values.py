"""Made-up results for tests of the store: deterministic, of any shape."""

from collections.abc import Sequence

import numpy as np

from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

ADA = Identity("Ada Lovelace", "/m/0ada")
BEN = Identity("Bén Brown")
CAT = Identity("Catherine Clark", "/m/0cat")
PEOPLE = (ADA, BEN, CAT)
SPEC = {"decoder": {"version": 1}, "embedder": "test"}


def ref(name: str = "a.gif", *, etag: str | None = "1") -> MediaRef:
    return MediaRef(name, f"s3://gifs/{name}", etag)


def digest(number: int) -> str:
    return f"{number:064x}"


def evidence(seed: int, *, faces: int = 2, size: int = 8) -> TrackEvidence:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(faces, size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return TrackEvidence(
        vectors.astype(np.float16),
        random.uniform(20, 200, faces).astype(np.float16),
        random.uniform(0, 1, faces).astype(np.float16),
    )


def track(
    number: int, *, start_ms: int = 0, times: int = 3, step_ms: int = 100, seed: int | None = None, faces: int = 2
) -> FaceTrack:
    index = np.arange(times, dtype=np.int64)
    random = np.random.default_rng(number if seed is None else seed)
    return FaceTrack(
        track_no=number,
        shot_no=0,
        frame_index=index * 2,
        pts_ms=start_ms + index * step_ms,
        from_ms=start_ms + index * step_ms,
        shown_ms=np.full(times, step_ms, np.int64),
        boxes_xyxy=random.uniform(0, 300, (times, 4)).astype(np.float32),
        scores=random.uniform(0.9, 1, times).astype(np.float32),
        quality=random.uniform(0, 1, times).astype(np.float32),
        evidence=evidence(number if seed is None else seed, faces=faces),
        best_faces=np.zeros((faces, 112, 112, 3), np.uint8),
    )


def known(*people: Identity, confidence: float = 0.97) -> TrackLabel:
    return TrackLabel(
        "known",
        tuple(
            Candidate(identity, 0.61 - 0.1 * place, confidence / (1 + place)) for place, identity in enumerate(people)
        ),
    )


def unknown(*people: Identity) -> TrackLabel:
    return TrackLabel("unknown", known(*people, confidence=0.01).candidates)


def annotation(
    media: MediaRef,
    *,
    content: int = 1,
    tracks: Sequence[FaceTrack] = (),
    labels: Sequence[TrackLabel] = (),
    damage: str | None = None,
) -> MediaAnnotation:
    return MediaAnnotation(
        media=media,
        model="test@1",
        content_sha256=digest(content),
        clip=ClipReport(320, 240, 1500, 15, 14, damage),
        frames_sampled=10,
        faces=sum(len(one.pts_ms) for one in tracks),
        tracks=tuple(tracks),
        labels=tuple(labels),
    )


def failure(media: MediaRef, *, reason: str = "undecodable", message: str = "It is no media.") -> MediaFailure:
    return MediaFailure(media=media, model="test@1", reason=reason, message=message, is_transient=False)
