"""The map: people and sampled faces as points, and whom each person resembles most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.calibration import F64
from annotator.recognition.gallery import Gallery
from annotator.space.axes import AXES, principal_axes
from annotator.space.directions import most_alike, people_directions
from annotator.space.sample import SampledFaces
from annotator.types import F32, I64, frozen_array

ALIKE: Final = 8
"""How many of the most alike are kept of each person: the point nearest in three dimensions may be somebody else."""


@dataclass(frozen=True, slots=True, eq=False)
class SpaceMap:
    """Points of people and of tracks. It holds no name: ids of identities, which a database has names of, or no longer.

    Attributes:
        model: the labelling that it is of, as users see it.
        made_at: when.
        explained: f64 (3,), the share of what distinguishes people that each axis has.
        identity_id: i64 (P,), who.
        photographs: i64 (P,), that a person's point rests on.
        people_xyz: f32 (P, 3), in [-1, 1].
        alike: i32 (P, A), places of those whom each person resembles most, best first, in all dimensions.
        alike_cosine: f32 (P, A).
        named_xyz: f32 (N, 3), of sampled tracks with a name; those far out may lie beyond 1.
        named_id: i64 (N,), who that is.
        unnamed_xyz: f32 (U, 3), of sampled tracks without one.

    """

    model: str
    made_at: datetime
    explained: F64
    identity_id: I64
    photographs: I64
    people_xyz: F32
    alike: NDArray[np.int32]
    alike_cosine: F32
    named_xyz: F32
    named_id: I64
    unnamed_xyz: F32

    def __post_init__(self) -> None:
        """Check and freeze.

        Raises:
            TypeError: an array has another shape or type.

        """
        people, named = len(self.identity_id), len(self.named_id)
        shapes: Mapping[str, tuple[type[np.generic], tuple[int | str, ...]]] = {
            "explained": (np.float64, (AXES,)),
            "identity_id": (np.int64, (people,)),
            "photographs": (np.int64, (people,)),
            "people_xyz": (np.float32, (people, AXES)),
            "alike": (np.int32, (people, "A")),
            "alike_cosine": (np.float32, (people, self.alike.shape[-1])),
            "named_xyz": (np.float32, (named, AXES)),
            "named_id": (np.int64, (named,)),
            "unnamed_xyz": (np.float32, ("U", AXES)),
        }
        for name, (dtype, shape) in shapes.items():
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), dtype, shape))


def make_map(
    gallery: Gallery, faces: SampledFaces, *, identity_ids: Sequence[int], model: str, made_at: datetime
) -> SpaceMap:
    """Place people along the axes on which they differ most, and faces along the same ones.

    Args:
        gallery: the people.
        faces: sampled tracks.
        identity_ids: of the people, in the gallery's order.
        model: the labelling, as users see it.
        made_at: the time.

    Raises:
        ValueError: the gallery is empty.

    """
    directions = people_directions(gallery)
    axes = principal_axes(directions)
    people = axes(directions)
    scale = 1.0 / max(float(np.abs(people).max()), np.finfo(np.float64).tiny)
    places = (axes(faces.directions) * scale).astype(np.float32)
    is_named = np.array([one is not None for one in faces.identity_id], np.bool_)
    alike, cosines = most_alike(directions, ALIKE)
    return SpaceMap(
        model=model,
        made_at=made_at,
        explained=axes.explained,
        identity_id=np.array(identity_ids, np.int64),
        photographs=gallery.photo_counts,
        people_xyz=(people * scale).astype(np.float32),
        alike=alike,
        alike_cosine=cosines,
        named_xyz=places[is_named],
        named_id=np.array([one for one in faces.identity_id if one is not None], np.int64),
        unnamed_xyz=places[~is_named],
    )
