"""A sample of an archive's tracks as embeddings, with the names that they have: the same whenever it is taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, select

from annotator.recognition.calibration import F64
from annotator.recognition.gallery import Gallery
from annotator.space.directions import track_directions
from annotator.store.connection import reading
from annotator.store.labellings import Labelling
from annotator.store.relabelling.sampling import sampled_batches
from annotator.store.tables import identities, track_labels
from annotator.types import I64, frozen_array

_CONTENTS_PER_TRACK: Final = 2
"""Contents that are looked at for each track that is wanted: many clips show nobody."""
_LOOKED_UP: Final = 500
"""Contents whose labels are asked for at once."""
_MULTIPLE: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 times the golden ratio's part below one, odd: its products are spread evenly."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledFaces:
    """Tracks of an archive, each one embedding.

    Attributes:
        content_id: i64 (F,).
        track_no: i64 (F,); both ascend together.
        directions: f64 (F, E), as of ``track_directions``.
        identity_id: of each, who it is; None for a track without a name.

    """

    content_id: I64
    track_no: I64
    directions: F64
    identity_id: Sequence[int | None]

    def __post_init__(self) -> None:
        """Check and freeze.

        Raises:
            TypeError: an array has another shape or type.

        """
        count = len(self.identity_id)
        for name in ("content_id", "track_no"):
            object.__setattr__(self, name, frozen_array(name, getattr(self, name), np.int64, (count,)))
        object.__setattr__(self, "directions", frozen_array("directions", self.directions, np.float64, (count, "E")))

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.identity_id)


def sample_faces(
    engine: Engine,
    gallery: Gallery,
    labelling: Labelling,
    *,
    most: int,
    on_batch: Callable[[int], None] | None = None,
) -> SampledFaces:
    """Take a sample of tracks that have a face.

    Which ones, their ids decide: a number made of them is among the smallest.

    Args:
        engine: of the database; nothing is written.
        gallery: of the network's embedder.
        labelling: gives names.
        most: how many tracks, at most.
        on_batch: told of each batch, how many contents it had.

    Raises:
        StoreUnavailableError: the database does not answer.
        ValueError: stored evidence cannot be read.

    """
    keys = np.zeros((0, 2), np.int64)
    directions = np.zeros((0, gallery.prototypes.shape[1]))
    for content_ids, stored in sampled_batches(engine, labelling.network_id, most=_CONTENTS_PER_TRACK * most):
        found_keys, found = [], []
        for stack in stored.stacks:
            found_keys.append(np.stack([stored.content_id[stack.place], stored.track_no[stack.place]], axis=1))
            found.append(track_directions(gallery, stack))
        keys, directions = np.concatenate([keys, *found_keys]), np.concatenate([directions, *found])
        if len(keys) > most:
            kept = np.argsort(_order(keys), kind="stable")[:most]
            keys, directions = keys[kept], directions[kept]
        if on_batch is not None:
            on_batch(len(content_ids))
    in_order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys, directions = keys[in_order], directions[in_order]
    with reading(engine) as connection:
        names = _names(connection, labelling.labelling_id, keys)
    who = [names.get((content, track)) for content, track in keys.tolist()]
    return SampledFaces(np.ascontiguousarray(keys[:, 0]), np.ascontiguousarray(keys[:, 1]), directions, who)


def _order(keys: I64) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return u64 (N,), a number for each (content, track) that tells nothing of when it came in."""
    mixed = (keys[:, 0].astype(np.uint64) << np.uint64(15)) + keys[:, 1].astype(np.uint64)
    mixed = mixed * _MULTIPLE
    return np.asarray((mixed ^ (mixed >> np.uint64(32))) * _MULTIPLE, np.uint64)


def _names(connection: Connection, labelling_id: int, keys: I64) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    columns = (track_labels.c.content_id, track_labels.c.track_no, identities.c.survivor_id)
    labelled = (
        select(*columns)
        .join(identities, identities.c.id == track_labels.c.identity_id)
        .where(track_labels.c.labelling_id == labelling_id)
    )
    contents = sorted(set(keys[:, 0].tolist()))
    for start in range(0, len(contents), _LOOKED_UP):
        part = contents[start : start + _LOOKED_UP]
        rows = connection.execute(labelled.where(track_labels.c.content_id.in_(part)))
        found |= {(int(content), int(track)): int(who) for content, track, who in rows}
    return found
