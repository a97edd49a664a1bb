"""Whether the faces of two clips may be the same people's.

Pictures are too small to tell who is in them: a meme's picture with another face in it looks like the meme. Embeddings
tell; where they speak against it, two clips are not one, however alike they look.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from annotator.types import F32, TrackEvidence

MIN_COSINE: Final = 0.41
"""Between the two most alike faces of two tracks: one face, made anew, has more, of two people one pair in a hundred.
Chosen on development clips (`benchmarks/duplicates.py`). Means of tracks tell less: made anew, a clip is sampled at
other moments, and other faces of a head that turns are its best."""

MIN_FACE_PX: Final = 32.0
MIN_QUALITY: Final = 0.3
"""From which a face is clear. What is smaller or more blurred counts only where a clip has nothing better."""


def faces_agree(one: Sequence[TrackEvidence], other: Sequence[TrackEvidence], *, is_whole: bool) -> bool:
    """Say whether tracks allow that two clips are one.

    Args:
        one: evidence of the tracks of the one, f16 (K, D) each; of one network.
        other: of the other.
        is_whole: whether each shows all of the other, in time and place: then most clear faces of the one are in the
            other. Otherwise one pair is enough, for the others may be cut away.

    Returns:
        False where faces speak against it. Where the one or the other has none, nothing does.

    """
    mine, theirs = (_tracks_with_faces(tracks, clear=True) for tracks in (one, other))
    is_clear = bool(mine and theirs)
    if not is_clear:
        mine, theirs = (_tracks_with_faces(tracks, clear=False) for tracks in (one, other))
    if not (mine and theirs):
        return True
    cosines = _cosines(mine, theirs)
    # Small faces come and go with every change of a clip: one that is in both is enough.
    if not (is_whole and is_clear):
        return bool(cosines.max() >= MIN_COSINE)
    # A face that is just clear enough in the one may be too poor in the other: those of whoever has fewer are sought.
    # A track that breaks off where its face turns away may be nobody's in the other: most must be found, not all.
    nearest = cosines.max(axis=1) if len(mine) <= len(theirs) else cosines.max(axis=0)
    return bool((nearest >= MIN_COSINE).mean() > 0.5)


def _cosines(one: Sequence[TrackEvidence], other: Sequence[TrackEvidence]) -> F32:
    """Return f32 (T, U): of each two tracks, the cosine of their most alike faces."""
    mine, theirs = (
        np.concatenate([track.embeddings for track in tracks]).astype(np.float32) for tracks in (one, other)
    )
    my_starts, their_starts = (np.cumsum([0, *map(len, tracks[:-1])]) for tracks in (one, other))
    of_my_tracks = np.maximum.reduceat(mine @ theirs.T, my_starts, axis=0)
    return np.asarray(np.maximum.reduceat(of_my_tracks, their_starts, axis=1), np.float32)


def _tracks_with_faces(tracks: Sequence[TrackEvidence], *, clear: bool) -> list[TrackEvidence]:
    """Return the tracks that have embeddings, all or the clear ones."""
    return [track for track in tracks if len(track) and (not clear or _is_clear(track))]


def _is_clear(track: TrackEvidence) -> bool:
    return float(track.face_px[0]) >= MIN_FACE_PX and float(track.quality[0]) >= MIN_QUALITY
