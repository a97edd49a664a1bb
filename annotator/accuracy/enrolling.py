"""How often strangers are taken for people who were enrolled by a track of a clip, by how large its faces are."""

from typing import Final

import numpy as np

from annotator.accuracy.intervals import wilson
from annotator.accuracy.rows import Row
from annotator.accuracy.trial import Trial
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.decision import Identifier
from annotator.recognition.enrollment import MIN_ENROLLED_TRACK_PX
from annotator.recognition.evidence import pool_track, unit
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.types import Identity, TrackEvidence

_ANY_SIZE: Final = 0.0


def enrolled_rows(development: Trial, test: Trial) -> list[Row]:
    """Return which share of strangers' tracks get the name of somebody who was enrolled by one track.

    Args:
        development: each stranger of it is enrolled, by the first track with a usable face.
        test: whose strangers are named, at the model's own threshold.

    """
    bundle = test.held.bundle
    tracks = dict(reversed(_strangers(development)))  # the first one of each
    strangers = [evidence for _, evidence in _strangers(test)]
    rows = []
    for least_px in (_ANY_SIZE, MIN_ENROLLED_TRACK_PX):
        people = [_enrolled(name, evidence, bundle, least_px=least_px) for name, evidence in sorted(tracks.items())]
        enrolled = [person for person in people if person is not None]
        names = {person.identity for person in enrolled}
        labels = Identifier(Gallery.from_bundle(bundle, enrolled=enrolled)).identify(strangers)
        hits = sum(label.identity in names for label in labels)
        sizes = f"faces from {least_px:g} px" if least_px else "faces of any size"
        rows.append(Row(f"{len(enrolled):,} people, {sizes}", len(strangers), {"share": wilson(hits, len(strangers))}))
    return rows


def _strangers(trial: Trial) -> list[tuple[str, TrackEvidence]]:
    """Return the tracks of living strangers whom no gallery knows, with who they are."""
    calibration = trial.held.bundle.calibration
    live = [track for track in trial.tracks if track.kind == "live" and track.photograph is not None]
    return [
        (trial.subject(track).key, track.evidence)
        for track in live
        if trial.subject(track).person is None
        and calibration.usable_faces(
            track.evidence.face_px.astype(np.float32), track.evidence.quality.astype(np.float32)
        ).any()
    ]


def _enrolled(name: str, track: TrackEvidence, bundle: ModelBundle, *, least_px: float) -> EnrolledPerson | None:
    is_usable = bundle.calibration.usable_faces(track.face_px.astype(np.float32), track.quality.astype(np.float32))
    embedding, face_px = pool_track(track, is_usable)
    if face_px < least_px:
        return None
    return EnrolledPerson(Identity(name), unit(embedding)[None].astype(np.float32), bundle.embedder)
