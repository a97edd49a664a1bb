"""Whether the faces of two clips may be the same people's.

Pictures are too small to tell who is in them: a meme's picture with another face in it looks like the meme. Embeddings
tell; where they speak against it, two clips are not one, however alike they look.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from annotator.types import F32, TrackEvidence

MIN_COSINE: Final = 0.35
"""Between mean embeddings: one face, made anew, has far more, two people's seldom so much."""

MIN_FACE_PX: Final = 32.0
MIN_QUALITY: Final = 0.3
"""What is smaller or more blurred says nothing of who it is."""


def faces_agree(one: Sequence[TrackEvidence], other: Sequence[TrackEvidence], *, is_whole: bool) -> bool:
    """Say whether tracks allow that two clips are one.

    Args:
        one: evidence of the tracks of the one, f16 (K, D) each; of one network.
        other: of the other.
        is_whole: whether each shows all of the other, in time and place: then every clear face of the one is in the
            other. Otherwise one pair is enough, for the others may be cut away.

    Returns:
        False where clear faces speak against it. Where the one or the other has none, nothing does.

    """
    mine, theirs = _clear_faces(one), _clear_faces(other)
    if not (len(mine) and len(theirs)):
        return True
    cosines = mine @ theirs.T
    if not is_whole:
        return bool(cosines.max() >= MIN_COSINE)
    # A face that is just clear enough in the one may be too poor in the other: whoever has fewer must be found.
    nearest = cosines.max(axis=1) if len(mine) <= len(theirs) else cosines.max(axis=0)
    return bool(nearest.min() >= MIN_COSINE)


def _clear_faces(tracks: Sequence[TrackEvidence]) -> F32:
    clear = [
        track.embeddings.astype(np.float32).mean(axis=0)
        for track in tracks
        if len(track) and float(track.face_px[0]) >= MIN_FACE_PX and float(track.quality[0]) >= MIN_QUALITY
    ]
    means = np.stack(clear) if clear else np.zeros((0, 1), np.float32)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6), np.float32)
