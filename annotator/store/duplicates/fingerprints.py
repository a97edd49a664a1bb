"""What contents are known by when they come again, as rows: written with the first annotation, read to compare."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from sqlalchemy import Connection, select

from annotator.duplicates.codes import U64
from annotator.duplicates.index import DuplicateIndex, kept_codes
from annotator.duplicates.pictures import pack, unpack
from annotator.store.registry import insert_missing
from annotator.store.tables import fingerprints
from annotator.types import U8, MediaAnnotation

_PTS: Final = "<i4"
_CODE: Final = "<u8"
_AT_ONCE: Final = 50_000  # contents whose codes are in memory as bytes


def write_fingerprints(connection: Connection, annotated: Mapping[int, MediaAnnotation], new: Collection[int]) -> None:
    """Write what new contents are known by; what is there, of another network, stays.

    Args:
        connection: in a transaction that writes.
        annotated: by content.
        new: which of them are new.

    """
    rows = []
    for content_id in sorted(new):
        fingerprint = annotated[content_id].fingerprint
        if fingerprint is not None and len(fingerprint.pictures):
            rows.append(
                {
                    "content_id": content_id,
                    "pictures": pack(fingerprint.pictures),
                    "pts_ms": fingerprint.pts_ms.astype(_PTS).tobytes(),
                    "codes": kept_codes(fingerprint.pictures).astype(_CODE).tobytes(),
                }
            )
    if rows:
        connection.execute(insert_missing(connection, fingerprints), rows)


def load_index(connection: Connection) -> DuplicateIndex:
    """Return the index of all contents that were compared: 13 MB for each 100,000 of them."""
    index = DuplicateIndex()
    table = fingerprints.c
    wanted = select(table.content_id, table.codes).where(table.compared_at.is_not(None)).order_by(table.content_id)
    rows = connection.execution_options(yield_per=_AT_ONCE).execute(wanted)
    for some in rows.partitions():
        codes = [read_codes(bytes(row.codes)) for row in some]
        lengths = [len(one) for one in codes]
        index.add(np.repeat(np.array([row.content_id for row in some], np.int64), lengths), np.concatenate(codes))
    return index


def load_pictures(connection: Connection, content_ids: Collection[int]) -> dict[int, U8]:
    """Return the pictures of contents, u8 (K, 18, 32); without those that have none."""
    table = fingerprints.c
    wanted = select(table.content_id, table.pictures).where(table.content_id.in_(sorted(content_ids)))
    return {row.content_id: unpack(bytes(row.pictures)) for row in connection.execute(wanted)}


def read_codes(stored: bytes) -> U64:
    """Return u64 (C,), the codes of a row."""
    return np.frombuffer(stored, _CODE).astype(np.uint64)
