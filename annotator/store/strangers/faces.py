"""The faces by which a group can be known again: what is enrolled when a person says who it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Connection, select

from annotator.errors import StrangerError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import F64
from annotator.recognition.enrollment import MIN_ENROLLED_TRACK_PX
from annotator.recognition.evidence import pool_track, unit
from annotator.recognition.prototypes import MIN_AGREEMENT
from annotator.store.enrolled import digest_of_track
from annotator.store.labels import load_evidence
from annotator.store.strangers.decisions import members_of
from annotator.store.tables import contents, tracks
from annotator.types import F32, TrackEvidence, TrackKey, frozen_array

MOST_ENROLLED: Final = 10
"""Tracks of a group that stand for the person; more move the mean of ten hardly."""

_LOOKED_AT: Final = 100  # of the best tracks
_ASKED: Final = 500  # contents in one statement


@dataclass(frozen=True, slots=True, eq=False)
class BestTracks:
    """Tracks of a group, best first.

    Attributes:
        embeddings: f32 (n, D), unit norm, of each track's good faces together.
        face_px: f64 (n,), how large these are.
        digests: n digests that stand for photographs, hexadecimal: of the clip's bytes and the track.

    """

    embeddings: F32
    face_px: F64
    digests: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check and freeze."""
        count = len(self.digests)
        object.__setattr__(self, "embeddings", frozen_array("embeddings", self.embeddings, np.float32, (count, "D")))
        object.__setattr__(self, "face_px", frozen_array("face_px", self.face_px, np.float64, (count,)))

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.digests)


def best_tracks(connection: Connection, network_id: int, number: int, *, bundle: ModelBundle) -> BestTracks:
    """Return up to ten tracks of a group that show the person best: of different clips first, large and sharp.

    Tracks that are unlike the others are left out, and those whose faces are too small to know somebody by.

    Raises:
        StrangerError: none is left.

    """
    keys = _sharpest(connection, network_id, members_of(connection, network_id, number))
    evidence: dict[int, tuple[TrackEvidence, ...]] = {}
    for start in range(0, len(keys), _ASKED):
        ids = sorted({content_id for content_id, _ in keys[start : start + _ASKED]})
        evidence |= load_evidence(connection, network_id, ids)
    found = []
    for content_id, track_no in keys:
        track = evidence[content_id][track_no]
        usable = bundle.calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))
        if usable.any():
            found.append((content_id, track_no, *pool_track(track, usable)))
    if not found:
        raise StrangerError(f"stranger {number} has no faces any more: run `annotator strangers group`")
    largest_px = max(face_px for *_, face_px in found)
    found = [one for one in found if one[3] >= MIN_ENROLLED_TRACK_PX]
    if not found:
        raise StrangerError(
            f"the faces of stranger {number} are {largest_px:.0f} pixels large at most, and {MIN_ENROLLED_TRACK_PX:.0f}"
            " are needed: others would be taken for somebody known by smaller ones; give photographs instead, by"
            " `annotator enroll NAME PHOTO…`"
        )
    embeddings = unit(np.stack([embedding for *_, embedding, _ in found]))
    comparable = unit(bundle.comparable(embeddings) - bundle.mean.astype(np.float64))
    is_alike = comparable @ unit(comparable.sum(axis=0)) >= MIN_AGREEMENT
    chosen = [place for place in range(len(found)) if is_alike[place]][:MOST_ENROLLED]
    if not chosen:
        raise StrangerError(f"the tracks of stranger {number} are unlike one another: split the group")
    sha256 = dict(
        connection.execute(
            select(contents.c.id, contents.c.sha256).where(contents.c.id.in_([found[place][0] for place in chosen]))
        ).all()
    )
    return BestTracks(
        embeddings[chosen].astype(np.float32),
        np.array([found[place][3] for place in chosen]),
        tuple(digest_of_track(bytes(sha256[found[place][0]]), found[place][1]) for place in chosen),
    )


def _sharpest(connection: Connection, network_id: int, keys: Sequence[TrackKey]) -> list[TrackKey]:
    """Return the best tracks, best first: the best one of each clip before second ones."""
    quality: dict[TrackKey, float] = {}
    ids = sorted({content_id for content_id, _ in keys})
    for start in range(0, len(ids), _ASKED):
        rows = connection.execute(
            select(tracks.c.content_id, tracks.c.track_no, tracks.c.quality).where(
                tracks.c.network_id == network_id, tracks.c.content_id.in_(ids[start : start + _ASKED])
            )
        )
        quality |= {(content_id, track_no): best or 0.0 for content_id, track_no, best in rows}
    ordered = sorted((key for key in keys if key in quality), key=lambda key: (-quality[key], key))
    seen: set[int] = set()
    first: list[TrackKey] = []
    further: list[TrackKey] = []
    for key in ordered:
        (further if key[0] in seen else first).append(key)
        seen.add(key[0])
    return [*first, *further][:_LOOKED_AT]
