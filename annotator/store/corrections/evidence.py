"""Tracks that are somebody by a person's word become evidence of that person, as photographs that are enrolled do."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, select

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.enrollment import MIN_ENROLLED_TRACK_PX
from annotator.recognition.evidence import pool_track, unit
from annotator.store.corrections.listing import Correction
from annotator.store.enrolled import add_enrolled, digest_of_boxes
from annotator.store.labels import load_evidence
from annotator.store.registry import batched
from annotator.store.tables import contents, enrolled_faces
from annotator.types import F32, Identity, TrackEvidence

_AT_ONCE: Final = 500  # contents whose evidence is in memory


@dataclass(frozen=True, slots=True)
class EnrolledTracks:
    """What enrolling corrected tracks came to.

    Attributes:
        people: who has new evidence, by name.
        added: tracks that are evidence now and were not before.
        too_poor: tracks whose faces are too small or too blurred to know somebody by.

    """

    people: tuple[str, ...]
    added: int
    too_poor: int


def enroll_corrected(
    connection: Connection, standing: Sequence[Correction], *, network_id: int, embedder: str, bundle: ModelBundle
) -> EnrolledTracks:
    """Enroll tracks, one embedding each: that of its good faces together. What is enrolled already stays as it is.

    Args:
        connection: in a transaction that writes.
        standing: words «is» that hold; those that find no track are left out.
        network_id: whose embeddings are taken: of what is shown.
        embedder: of that network.
        bundle: says which faces are good enough.

    """
    there = set(
        connection.execute(select(enrolled_faces.c.photo_sha256).where(enrolled_faces.c.embedder == embedder)).scalars()
    )
    known = {bytes(one).hex() for one in there}
    found: dict[Identity, dict[str, F32]] = defaultdict(dict)
    too_poor = 0
    for some in batched([one for one in standing if one.track_no is not None], _AT_ONCE):
        ids = sorted({one.content_id for one in some})
        sha256 = dict(connection.execute(select(contents.c.id, contents.c.sha256).where(contents.c.id.in_(ids))).all())
        evidence = load_evidence(connection, network_id, ids)
        for one in some:
            embedding = _embedding(evidence[one.content_id][one.track_no or 0], bundle)
            photo = digest_of_boxes(bytes(sha256[one.content_id]), one.boxes)
            if embedding is None:
                too_poor += 1
            elif photo not in known:
                found[one.identity][photo] = embedding
    for identity, photos in found.items():
        add_enrolled(
            connection,
            identity,
            embedder=embedder,
            embeddings=np.stack(list(photos.values())),
            photo_sha256=list(photos),
        )
    people = tuple(sorted(identity.name for identity in found))
    return EnrolledTracks(people, sum(map(len, found.values())), too_poor)


def _embedding(track: TrackEvidence, bundle: ModelBundle) -> F32 | None:
    """Return f32 (D,), unit norm, of a track's good faces together; None where none is good, or they are too small."""
    usable = bundle.calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))
    if not usable.any():
        return None
    embedding, face_px = pool_track(track, usable)
    return unit(embedding).astype(np.float32) if face_px >= MIN_ENROLLED_TRACK_PX else None
