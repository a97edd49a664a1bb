"""Tracks as points of a grid of whole numbers, on which similarities are exact.

A vector of unit length, or less, is rounded to steps of 1/2048. The product of two such points, and every part of its
sum, is a whole number under 2**24, and float32 holds each of those: so a similarity is the same in whatever order a
processor sums it up, on one track or a thousand at once, on any machine. Groups then depend on nothing but the tracks
and their order.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import F64
from annotator.recognition.evidence import EvidenceStack, pool_stack, unit
from annotator.types import F32, I64, frozen_array

I16 = NDArray[np.int16]

STEPS: Final = 2048
"""Of a unit vector's length. It moves a similarity by 0.0003 at most: less than an embedding's float16 does."""

ONE: Final = STEPS * STEPS
"""The similarity of a point to itself, nearly."""

SHARP_FACE_PX: Final = 64.0
"""Side from which a face says all that it can. A track of smaller ones is a shorter point: it must be more like a group
to join it, and moves the group's centre less."""

SHORTER_BY: Final = 0.1
"""By how much a point is shorter where the face is half as large. On the people on whom thresholds were chosen
(``benchmarks/strangers.py --part chosen``) F is hardly less with it, and fewer groups mix people."""

RULE: Final = "one by one 1"
"""Names the rule in its digest: raise the number when groups change for the same tracks."""

_POOLED_AT_ONCE: Final = 4096  # tracks: some megabytes


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Tracks whose faces are good enough to say something.

    Attributes:
        place: i64 (N,), where each stands among the tracks that were given, ascending.
        vectors: i16 (N, E), on the grid; shorter where faces are small.

    """

    place: I64
    vectors: I16

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "place", frozen_array("place", self.place, np.int64, ("N",)))
        shape = (len(self.place), "E")
        object.__setattr__(self, "vectors", frozen_array("vectors", self.vectors, np.int16, shape))

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.place)


def rule_of(bundle: ModelBundle) -> str:
    """Return a digest of all that decides about groups but the tracks, hexadecimal: whatever it changes, groups do."""
    projection = bundle.projection
    gate = bundle.calibration
    digest = hashlib.sha256(f"{RULE} {STEPS} {gate.min_face_px} {gate.sharp_below_px} {gate.min_quality}".encode())
    for array in (bundle.mean, *((projection.weights, projection.bias) if projection is not None else ())):
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def to_points(stacks: Sequence[EvidenceStack], *, bundle: ModelBundle) -> Points:
    """Reduce tracks to points, as identification does: pooled, through the projection, centred.

    Args:
        stacks: the tracks' evidence, of the bundle's embedder; each place once.
        bundle: gives gate, projection and centre.

    Returns:
        Those tracks that have a face which is large and sharp enough; embeddings that are not finite are left out.

    """
    size = len(bundle.mean)
    places, vectors = [np.zeros(0, np.int64)], [np.zeros((0, size), np.int16)]
    for stack in stacks:
        for part in stack.parts(_POOLED_AT_ONCE):
            is_usable = bundle.calibration.usable_faces(
                part.face_px.astype(np.float32), part.quality.astype(np.float32)
            )
            pooled, face_px = pool_stack(part, is_usable)
            kept = is_usable.any(axis=1) & np.isfinite(pooled).all(axis=1)
            places.append(part.place[kept])
            vectors.append(on_grid(_centred(pooled[kept], bundle) * _lengths(face_px[kept])[:, None]))
    place = np.concatenate(places)
    order = np.argsort(place, kind="stable")
    return Points(place[order], np.concatenate(vectors)[order])


def on_grid(vectors: F64) -> I16:
    """Return i16 (N, E), the grid's points nearest to vectors f64 (N, E) of unit length at most."""
    return np.rint(vectors * STEPS).astype(np.int16)


def centre_of(total: NDArray[np.int32]) -> F32:
    """Return the grid's point in the direction of a sum of points.

    Args:
        total: i32 (..., E): one sum, or many.

    Returns:
        f32 (..., E), whole numbers; zeros for a sum of no length.

    """
    exact = total.astype(np.float64)
    # So few points are summed up (threshold.MOST_SUMMED) that this is a whole number under 2**53, exact in any order.
    length = np.sqrt(np.vecdot(exact, exact))[..., None]
    return np.asarray(np.rint(exact * (STEPS / np.maximum(length, 1.0))), np.float32)


def _lengths(face_px: F64) -> F64:
    """Return the lengths of the points of tracks with faces of these sizes, f64 (N,)."""
    halvings = np.clip(np.log2(SHARP_FACE_PX / face_px), 0.0, 1.0)
    return np.asarray(1.0 - SHORTER_BY * halvings, np.float64)


def _centred(pooled: F64, bundle: ModelBundle) -> F64:
    comparable = bundle.comparable(unit(pooled))
    return unit(comparable - bundle.mean.astype(np.float64))
