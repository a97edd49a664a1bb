"""The evidence of many tracks as arrays, and what each track's faces come to.

Tracks with the same number of faces stand together, so that no Python runs for a single one of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64
from annotator.types import F16, I64, TrackEvidence, frozen_array

QUALITY_EXPONENT: Final = 4
"""Weight of a face = quality ** 4, that is size x sharpness x pose x detector score. On made-up tracks of one person at
64 and 32 pixels it finds 91.8 % at a false positive rate of 0.3 %, equal weights 87.8 %."""

_MIN_WEIGHT: Final = 1e-6
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class EvidenceStack:
    """Tracks that have the same number K of faces, at least one.

    Attributes:
        place: i64 (N,), where each track stands among those that are asked about.
        embeddings: f16 (N, K, D), as of ``TrackEvidence``.
        face_px: f16 (N, K).
        quality: f16 (N, K).

    """

    place: I64
    embeddings: F16
    face_px: F16
    quality: F16

    def __post_init__(self) -> None:
        """Check and freeze."""
        count = len(self.place)
        faces = self.face_px.shape[-1]
        if not faces:
            msg = "an EvidenceStack needs tracks with faces: those without any have nothing to say"
            raise ValueError(msg)
        shapes: dict[str, tuple[int | str, ...]] = {"embeddings": (count, faces, "D")}
        shapes |= dict.fromkeys(("face_px", "quality"), (count, faces))
        for name, shape in shapes.items():
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.float16, shape))
        object.__setattr__(self, "place", frozen_array("place", self.place, np.int64, ("N",)))

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.place)

    def parts(self, size: int) -> Iterator["EvidenceStack"]:
        """Cut it into stacks of at most ``size`` tracks."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield EvidenceStack(self.place[part], self.embeddings[part], self.face_px[part], self.quality[part])


def stack_tracks(tracks: Sequence[TrackEvidence]) -> list[EvidenceStack]:
    """Return tracks as stacks, by number of faces; ``place`` is the index. Tracks without a face are left out."""
    by_faces: dict[int, list[int]] = defaultdict(list)
    for index, track in enumerate(tracks):
        if len(track):
            by_faces[len(track)].append(index)
    return [
        EvidenceStack(
            np.array(places, np.int64),
            np.stack([tracks[place].embeddings for place in places]),
            np.stack([tracks[place].face_px for place in places]),
            np.stack([tracks[place].quality for place in places]),
        )
        for _, places in sorted(by_faces.items())
    ]


def pool_stack(stack: EvidenceStack, is_usable: NDArray[np.bool_]) -> tuple[F64, F64]:
    """Reduce each track to one embedding.

    Args:
        stack: the tracks.
        is_usable: (N, K), which faces are good enough. Where none of a track is, all of them are used: the candidates
            may still interest somebody.

    Returns:
        f64 (N, D), the quality-weighted means of the unit embeddings, and f64 (N,), the likewise weighted means of the
        faces' sizes in pixels.

    """
    weights = face_weights(stack, is_usable)
    embeddings = unit(stack.embeddings.astype(np.float64))
    embeddings *= weights[:, :, None]
    return _sum_of_faces(embeddings), _sum_of_faces(stack.face_px.astype(np.float64) * weights)


def face_weights(stack: EvidenceStack, is_usable: NDArray[np.bool_]) -> F64:
    """Return f64 (N, K), what each face weighs in its track's mean, of 1 in all; arguments as of :func:`pool_stack`."""
    is_chosen = is_usable | ~is_usable.any(axis=1, keepdims=True)
    weights = np.where(is_chosen, np.maximum(stack.quality.astype(np.float64) ** QUALITY_EXPONENT, _MIN_WEIGHT), 0.0)
    weights /= _sum_of_faces(weights)[:, None]
    return np.asarray(weights, np.float64)


def pool_track(track: TrackEvidence, usable: NDArray[np.bool_]) -> tuple[F64, float]:
    """Reduce one track with at least one face; as :func:`pool_stack`, f64 (D,) and a size."""
    embeddings, sizes = pool_stack(stack_tracks([track])[0], usable[None])
    return embeddings[0], float(sizes[0])


def unit(vectors: F64) -> F64:
    """Return f64 (…, D) vectors at unit length; those of no length stay as they are."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _TINY), np.float64)


def _sum_of_faces(values: F64) -> F64:
    """Sum (N, K, …) over the faces, one after the other: the order cannot depend on how many tracks there are."""
    total = values[:, 0].copy()
    for face in range(1, values.shape[1]):
        total += values[:, face]
    return total
