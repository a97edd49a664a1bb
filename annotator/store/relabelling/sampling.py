"""A sample of an archive's tracks, from their stored embeddings: the same contents whenever it is asked for.

Which contents, their ids decide: a multiple of the golden ratio puts them evenly over the archive, whatever has come
in one after the other. A larger sample holds every smaller one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Connection, Engine, bindparam, text

from annotator.recognition.decision import TrackRatios
from annotator.recognition.evidence import EvidenceStack
from annotator.store.appearances import load_boxes
from annotator.store.connection import reading
from annotator.store.corrections.words import Ruling, rule, words_on
from annotator.store.identities import ids_of
from annotator.store.relabelling.reading import StoredTracks, cut_batches, read_tracks
from annotator.types import I64, Identity, TrackKey

I8 = NDArray[np.int8]

BATCH: Final = 2_000
"""Contents read at once."""

_STEPS: Final = 1 << 20
_MULTIPLE: Final = 648_055
"""The odd number next to ``_STEPS`` times the golden ratio's part below one: small enough that its product with an id
of a content fits into 64 bits."""

_COUNT: Final = text("SELECT count(*) FROM annotations WHERE network_id = :network")
_CHOSEN: Final = text(
    "SELECT content_id, faces FROM annotations WHERE network_id = :network AND content_id > :after"
    " AND (content_id * :multiple) % :steps < :below ORDER BY content_id LIMIT :size"
).bindparams(bindparam("multiple", _MULTIPLE, BigInteger), bindparam("steps", _STEPS, BigInteger))


class Ratios(Protocol):
    """What says how likely tracks are of its people (``annotator.recognition.decision.Identifier``)."""

    @property
    def identities(self) -> Sequence[Identity]:
        """Its people, by column of the gallery."""

    def ratios(self, stacks: Iterable[EvidenceStack]) -> TrackRatios:
        """Return the log ratios of those tracks that are good enough."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledTracks:
    """Tracks of a sample of an archive's contents.

    Attributes:
        contents: how many contents the network has annotated.
        sampled: how many of these were looked at, those without a face included.
        tracks: how many tracks these have.
        content_id: i64 (N,), of those tracks that are good enough, ascending.
        log_ratios: f64 (N,), of the nearest person of each.
        of_gallery: f64 (N,), of «it shows somebody of the gallery» to «it shows a stranger», likewise logarithms.
        is_named: bool (N,), which of them reach the threshold.
        is_of_gallery: i8 (N,), what people have said of whether they show somebody of the gallery: 1 is yes, -1 no, and
            of those with 0 nobody has said it.
        is_nearest: i8 (N,), likewise whether they show that nearest person.

    """

    contents: int
    sampled: int
    tracks: int
    content_id: I64
    log_ratios: NDArray[np.float64]
    of_gallery: NDArray[np.float64]
    is_named: NDArray[np.bool_]
    is_of_gallery: I8
    is_nearest: I8


def count_contents(engine: Engine, network_id: int) -> int:
    """Return how many contents a network has annotated.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        return int(connection.execute(_COUNT, {"network": network_id}).scalar_one())


def sample_tracks(
    engine: Engine, names: Ratios, network_id: int, *, most: int, on_batch: Callable[[int], None] | None = None
) -> SampledTracks:
    """Score the tracks of a sample of contents.

    Args:
        engine: of the database; nothing is written.
        names: gives log ratios; of the network's embedder.
        network_id: whose tracks.
        most: contents of the sample, about; all of the archive's where it has no more.
        on_batch: told of each batch, how many contents it had.

    Raises:
        StoreUnavailableError: the database does not answer.
        ValueError: stored evidence cannot be read.

    """
    contents = count_contents(engine, network_id)
    found = [_Batch.empty()]
    sampled = tracks = 0
    with reading(engine) as connection:
        ids = ids_of(connection, {one.name for one in names.identities})
    gallery = np.array([ids.get(one.name, 0) for one in names.identities], np.int64)
    for content_ids, stored in sampled_batches(engine, network_id, most=most):
        ratios = names.ratios(stored.stacks)
        with reading(engine) as connection:
            rulings = _rulings(connection, network_id, content_ids)
        found.append(_batch(stored, ratios, rulings, gallery))
        sampled, tracks = sampled + len(content_ids), tracks + len(stored)
        if on_batch is not None:
            on_batch(len(content_ids))
    return SampledTracks(
        contents, sampled, tracks, *(np.concatenate([getattr(one, name) for one in found]) for name in _Batch.__slots__)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """The columns of :class:`SampledTracks`, in its order."""

    content_id: I64
    log_ratios: NDArray[np.float64]
    of_gallery: NDArray[np.float64]
    is_named: NDArray[np.bool_]
    is_of_gallery: I8
    is_nearest: I8

    @classmethod
    def empty(cls) -> "_Batch":
        nothing = np.zeros(0, np.int8)
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0, np.bool_), nothing, nothing)


def _batch(stored: StoredTracks, ratios: TrackRatios, rulings: Mapping[TrackKey, Ruling], gallery: I64) -> _Batch:
    """Return the columns of some tracks, with what was said of them.

    Args:
        stored: the tracks.
        ratios: of those that are good enough.
        rulings: what people have said.
        gallery: i64 (G,), ids of people by column of the gallery; 0 is somebody whom the database does not know.

    """
    content_id = stored.content_id[ratios.place]
    keys = zip(content_id.tolist(), stored.track_no[ratios.place].tolist(), strict=True)
    people = set(gallery.tolist())
    is_of_gallery, is_nearest = np.zeros((2, len(ratios)), np.int8)
    for row, key in enumerate(keys):
        if (ruling := rulings.get(key)) is not None:
            nearest = int(gallery[ratios.nearest[row]])
            if ruling.is_person is not None:
                is_of_gallery[row] = 1 if ruling.is_person in people else -1
                is_nearest[row] = 1 if ruling.is_person == nearest else -1
            elif nearest in ruling.are_not:
                # Whoever is not the nearest person is hardly ever another one of the gallery.
                is_of_gallery[row] = is_nearest[row] = -1
    return _Batch(content_id, ratios.log_ratios, ratios.of_gallery, ratios.is_named, is_of_gallery, is_nearest)


def _rulings(connection: Connection, network_id: int, content_ids: Sequence[int]) -> dict[TrackKey, Ruling]:
    """Return what people have said of tracks of contents; of most contents nobody has said anything."""
    words = words_on(connection, content_ids)
    boxes = load_boxes(connection, network_id, sorted(words)) if words else {}
    return {
        (content_id, track_no): ruling
        for content_id, its_words in words.items()
        for track_no, ruling in rule(its_words, boxes.get(content_id, {})).items()
    }


def sampled_batches(engine: Engine, network_id: int, *, most: int) -> Iterator[tuple[list[int], StoredTracks]]:
    """Yield a sample of contents in batches, with their tracks; arguments and errors as of :func:`sample_tracks`."""
    contents = count_contents(engine, network_id)
    below = _STEPS if contents <= most else max(1, most * _STEPS // contents)
    after = 0
    while True:
        with reading(engine) as connection:
            chosen = _chosen(connection, network_id, after=after, below=below)
            for batch in cut_batches(chosen, contents=BATCH):
                yield batch, read_tracks(connection, network_id, batch)
        if not chosen:
            return
        after = chosen[-1][0]


def _chosen(connection: Connection, network_id: int, *, after: int, below: int) -> list[tuple[int, int]]:
    """Return the next contents of the sample, with their numbers of faces."""
    bounds = {"network": network_id, "after": after, "below": below, "size": BATCH}
    return [(int(one), int(faces)) for one, faces in connection.execute(_CHOSEN, bounds)]
