"""What relabelling reads, in ranges of content ids: which contents lack labels, their evidence, their boxes."""

import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import BigInteger, Connection, SmallInteger, text

from annotator.recognition.evidence import EvidenceStack
from annotator.store.bulk import array_literal
from annotator.store.codec import decode_shares
from annotator.store.dialect import is_postgres
from annotator.types import I64, TrackKey

# Faces of a batch, unless a single content has more: one of films takes no more memory than one of GIFs.
_BATCH_FACES: Final = 100_000
_F16: Final = np.dtype("<f2")
# Of COPY's binary format: the header without its extension, and a row up to its first column of bytes.
_HEADER: Final = struct.Struct(">11sii")
_ROW: Final = struct.Struct(">hiqihi")
_COLUMNS: Final = struct.Struct(">h")
_LENGTH: Final = struct.Struct(">i")
_END: Final = -1  # stands where the next row would say how many columns it has

_EVIDENCE: Final = (
    "SELECT content_id, track_no, embeddings, face_px, quality FROM track_embeddings"
    " WHERE network_id = {network} AND content_id {which} ORDER BY content_id, track_no"
)
_SPARSE: Final = 4  # of a range of which fewer than one content in so many is wanted, each is looked up by itself
_BOXES: Final = """
SELECT t.content_id, t.track_no, t.boxes FROM unnest(%s::bigint[], %s::smallint[]) u(content_id, track_no)
JOIN tracks t ON t.content_id = u.content_id AND t.track_no = u.track_no
WHERE t.network_id = %s AND t.content_id BETWEEN %s AND %s
"""
_BOX: Final = "SELECT boxes FROM tracks WHERE network_id = ? AND content_id = ? AND track_no = ?"


@dataclass(frozen=True, slots=True)
class Window:
    """Annotated contents in a row.

    Attributes:
        last: the last of them.
        lacking: those without labels of the labelling, with their number of faces, in order of id.

    """

    last: int
    lacking: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class StoredTracks:
    """Tracks of some contents.

    Attributes:
        content_id: i64 (T,), ascending.
        track_no: i64 (T,), ascending within a content.
        stacks: the evidence of those that have faces; their ``place`` is the row of the two columns.

    """

    content_id: I64
    track_no: I64
    stacks: Sequence[EvidenceStack]

    def __len__(self) -> int:
        """Return the number of tracks, those without a face included."""
        return len(self.content_id)


def read_window(connection: Connection, *, network_id: int, labelling_id: int, after: int, size: int) -> Window | None:
    """Look at the next annotated contents; None where there are none.

    Args:
        connection: any.
        network_id: whose annotations.
        labelling_id: whose labels may be missing.
        after: the last content of the window before, 0 at first.
        size: how many contents are looked at.

    """
    annotated = connection.execute(
        text(
            "SELECT content_id, faces FROM annotations WHERE network_id = :n AND content_id > :after"
            " ORDER BY content_id LIMIT :size"
        ),
        {"n": network_id, "after": after, "size": size},
    ).all()
    if not annotated:
        return None
    last = int(annotated[-1][0])
    # Two ranges of two indexes: a join might sort or hash the whole archive.
    there = text(
        "SELECT content_id FROM labelled_contents WHERE labelling_id = :l AND content_id > :a AND content_id <= :z"
    )
    labelled = set(connection.execute(there, {"l": labelling_id, "a": after, "z": last}).scalars())
    return Window(last, [(int(one), int(faces)) for one, faces in annotated if one not in labelled])


def cut_batches(lacking: Sequence[tuple[int, int]], *, contents: int) -> Iterator[list[int]]:
    """Cut what lacks labels into batches of content ids: of at most so many contents, and not too many faces."""
    batch: list[int] = []
    faces = 0
    for content_id, its_faces in lacking:
        if batch and (len(batch) == contents or faces + its_faces > _BATCH_FACES):
            yield batch
            batch, faces = [], 0
        batch.append(content_id)
        faces += its_faces
    if batch:
        yield batch


def read_tracks(connection: Connection, network_id: int, content_ids: Collection[int]) -> StoredTracks:
    """Return the tracks of contents: the range from the first to the last one is read, unless they are far apart.

    Raises:
        ValueError: the columns of a track do not fit one another.

    """
    if not content_ids:
        return StoredTracks(np.zeros(0, np.int64), np.zeros(0, np.int64), ())
    wanted = content_ids if isinstance(content_ids, set | frozenset) else set(content_ids)
    first, last = int(min(wanted)), int(max(wanted))
    is_sparse = len(wanted) * _SPARSE < last - first + 1
    which = f"IN ({','.join(map(str, sorted(wanted)))})" if is_sparse else f"BETWEEN {first} AND {last}"
    keys: list[TrackKey] = []
    # By number of bytes: tracks with the same number of faces.
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    columns: dict[tuple[int, int], tuple[list[bytes], ...]] = defaultdict(lambda: ([], [], []))
    for content_id, track_no, embeddings, face_px, quality in _evidence_rows(connection, network_id, which):
        if content_id not in wanted:
            continue
        faces = len(face_px)
        if faces != len(quality) or len(embeddings) % max(faces, 1) or bool(embeddings) != bool(faces):
            raise ValueError(f"the stored evidence of track {track_no} of content {content_id} does not fit together")
        if faces:
            kind = faces, len(embeddings)
            places[kind].append(len(keys))
            columns[kind][0].append(embeddings)
            columns[kind][1].append(face_px)
            columns[kind][2].append(quality)
        keys.append((content_id, track_no))
    table = np.array(keys, np.int64).reshape(-1, 2)
    stacks = [_stack(kind[0] // _F16.itemsize, places[kind], columns[kind]) for kind in sorted(places)]
    return StoredTracks(table[:, 0], table[:, 1], stacks)


def read_shares(
    connection: Connection, network_id: int, keys: Sequence[TrackKey]
) -> dict[TrackKey, list[tuple[int, int]]]:
    """Return the shares of displayed time of tracks, as half-open spans of milliseconds.

    Args:
        connection: any.
        network_id: whose tracks.
        keys: which tracks, in ascending order.

    """
    if not keys:
        return {}
    if not is_postgres(connection):
        rows = ((key, connection.exec_driver_sql(_BOX, (network_id, *key)).scalar_one()) for key in keys)
        return {key: decode_shares(boxes) for key, boxes in rows}
    contents, numbers = zip(*keys, strict=True)
    columns = (array_literal(contents, BigInteger()), array_literal(numbers, SmallInteger()))
    found = connection.exec_driver_sql(_BOXES, (*columns, network_id, contents[0], contents[-1]))
    return {(content_id, track_no): decode_shares(bytes(boxes)) for content_id, track_no, boxes in found}


def _evidence_rows(connection: Connection, network_id: int, which: str) -> Iterator[Sequence[Any]]:
    statement = _EVIDENCE.format(network=int(network_id), which=which)
    if not is_postgres(connection):
        return iter(connection.exec_driver_sql(statement))
    # In COPY's binary form bytes travel as they are, not as text of twice the length.
    chunks = _Chunks()
    cursor: Any = connection.connection.cursor()
    cursor.copy_expert(f"COPY ({statement}) TO STDOUT (FORMAT binary)", chunks)
    cursor.close()
    return _parse(b"".join(chunks))


class _Chunks(list[bytes]):
    """What COPY writes into."""

    def write(self, data: bytes) -> None:
        self.append(data)


def _parse(data: bytes) -> Iterator[Sequence[Any]]:
    """Yield (content id, track number, embeddings, face sizes, qualities) of COPY's binary form."""
    _, _, extension = _HEADER.unpack_from(data, 0)
    place = _HEADER.size + extension
    while _COLUMNS.unpack_from(data, place)[0] != _END:
        _, _, content_id, _, track_no, length = _ROW.unpack_from(data, place)
        start = place + _ROW.size
        embeddings = data[start : start + length]
        start += length
        (length,) = _LENGTH.unpack_from(data, start)
        face_px = data[start + 4 : start + 4 + length]
        start += 4 + length
        (length,) = _LENGTH.unpack_from(data, start)
        quality = data[start + 4 : start + 4 + length]
        place = start + 4 + length
        yield content_id, track_no, embeddings, face_px, quality


def _stack(faces: int, places: Sequence[int], columns: Sequence[Sequence[bytes]]) -> EvidenceStack:
    shape = (len(places), faces)
    halves = [np.frombuffer(b"".join(column), _F16).astype(np.float16) for column in columns]
    return EvidenceStack(
        np.array(places, np.int64), halves[0].reshape(*shape, -1), halves[1].reshape(shape), halves[2].reshape(shape)
    )
