"""What the rows of a media, of a track and of a label take on Postgres, indexes included: the forecast's constants.

    python benchmarks/row_sizes.py

Saves the same media three times into databases of their own: without faces, with a track of an unknown person, with one
of a known person. The numbers are the differences. A track is seen on 20 frames and keeps five faces.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # results are those of the tests

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store
from annotator.types import MediaAnnotation, MediaRef, TrackLabel
from tests.store_values import ADA, annotation, evidence, known, track, unknown

FRAMES: Final = 20
FACES: Final = 5
DIMENSIONS: Final = 128
_SIZE: Final = (
    "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c"
    " JOIN pg_namespace s ON s.oid = c.relnamespace WHERE s.nspname = 'public' AND c.relkind = 'r'"
)


def outcomes(media: int, label: TrackLabel | None) -> Iterator[MediaAnnotation]:
    """Yield media of different contents, with a track where it has a label."""
    crops = np.zeros((FACES, 112, 112, 3), np.uint8)
    for number in range(media):
        key = f"gifs/2024/{number:09}.gif"
        ref = MediaRef(key, f"s3://archive/{key}", '"d41d8cd98f00b204e9800998ecf8427e"')
        if label is None:
            yield annotation(ref, content=number + 1)
            continue
        seen = evidence(number, faces=FACES, size=DIMENSIONS)
        one = replace(track(0, times=FRAMES, seed=number), evidence=seen, best_faces=crops)
        yield annotation(ref, content=number + 1, tracks=[one], labels=[label])


def measure(media: int, label: TrackLabel | None) -> float:
    """Return bytes a media, in a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresChild(Path(folder) / "postgres", free_port())
        try:
            with Store.open(server.url, upgrade=True) as store:
                network_id = store.register_network({"name": "sizes"})
                labelling_id = store.register_labelling(network_id, model="m@1", digest="1", photographs={ADA: 3})
                before = total(store)
                store.save(list(outcomes(media, label)), network_id=network_id, labelling_id=labelling_id)
                return (total(store) - before) / media
        finally:
            server.process.stop(timeout_s=15.0)


def total(store: Store) -> int:
    """Return the bytes of all tables with their indexes."""
    with store.reading() as connection:
        return int(connection.execute(text(_SIZE)).scalar_one())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=int, default=10_000)
    media = parser.parse_args().media
    empty, with_track, with_label = (measure(media, label) for label in (None, unknown(ADA), known(ADA)))
    print(f"media {empty:.0f} B, track {with_track - empty:.0f} B, label {with_label - with_track:.0f} B")


if __name__ == "__main__":
    main()
