"""What saving a media costs: processor time of the client and of the Postgres server.

    python benchmarks/saving.py                # 3,200 media, 32 in a transaction, Postgres
    python benchmarks/saving.py --sqlite
    python benchmarks/saving.py --profile      # where the client's time goes

Half of the media show nobody, the others one or two tracks with five embeddings; a third of the tracks are of known
people. The media are registered, as a listing leaves them. It starts its own Postgres in a
temporary folder. Linux only.
"""

import argparse
import contextlib
import cProfile
import pstats
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store
from annotator.store.connection import writing
from annotator.store.registry import register_media
from annotator.store.writes import write_outcomes
from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    MediaAnnotation,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

BATCH = 32
PEOPLE = [Identity(f"Person {number}", f"/m/{number:05}") for number in range(1230)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=100, help="transactions of 32 media")
    parser.add_argument("--sqlite", action="store_true", help="an SQLite file instead of Postgres")
    parser.add_argument("--profile", action="store_true", help="print where the client's time goes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, database(Path(folder), is_sqlite=chosen.sqlite) as url:
        measure(url, chosen.batches, is_profiled=chosen.profile)


@contextlib.contextmanager
def database(folder: Path, *, is_sqlite: bool) -> Iterator[str]:
    """Give the URL of an empty database."""
    if is_sqlite:
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    folder.chmod(0o755)
    server = PostgresChild(folder / "postgres", free_port())
    try:
        yield server.url
    finally:
        server.process.stop(timeout_s=15.0)


def measure(url: str, batches: int, *, is_profiled: bool) -> None:
    """Save made-up media and print the processor time of each."""
    with Store.open(url, upgrade=True) as store:
        network_id = store.register_network({"name": "benchmark"})
        labelling_id = store.register_labelling(
            network_id, model="benchmark@1", digest="1", photographs=dict.fromkeys(PEOPLE, 5)
        )
        random = np.random.default_rng(1)
        outcomes = [outcome(number, random) for number in range((batches + 5) * BATCH)]
        with store.writing() as connection:
            ids = register_media(connection, [one.media for one in outcomes])
        profile = cProfile.Profile()
        spent = {"client": 0.0, "server": 0.0}
        server = None
        for number in range(batches + 5):
            batch = outcomes[number * BATCH : (number + 1) * BATCH]
            if number == 5:  # the first ones make partitions and fill caches
                server = backend(store.engine)
            is_counted = number >= 5
            before = (time.process_time(), cpu_s(server))
            if is_counted and is_profiled:
                profile.enable()
            with writing(store.engine) as connection:
                write_outcomes(
                    connection,
                    batch,
                    network_id=network_id,
                    labelling_id=labelling_id,
                    media_ids={one.media.uri: ids[one.media.uri] for one in batch},
                )
            profile.disable()
            if is_counted:
                spent["client"] += time.process_time() - before[0]
                spent["server"] += cpu_s(server) - before[1]
        for who, seconds in spent.items():
            print(f"{who}: {1000 * seconds / (batches * BATCH):.3f} ms of processor time per media")
        if is_profiled:
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def backend(engine: Engine) -> int | None:
    """Return the process that serves the pooled connection to Postgres."""
    if engine.dialect.name == "sqlite":
        return None
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def cpu_s(pid: int | None) -> float:
    """Return the processor time that a process has spent, in seconds."""
    if pid is None:
        return 0.0
    nanoseconds = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
    return int(nanoseconds) / 1e9


def outcome(number: int, random: np.random.Generator) -> MediaAnnotation:
    """Return the annotation of a made-up media."""
    count = 0 if number % 2 else 1 + number // 2 % 2
    tracks = tuple(track(one, random) for one in range(count))
    return MediaAnnotation(
        media=MediaRef(f"{number}.gif", f"s3://bench/some/folder/{number:09}.gif", f'"{number:032x}"'),
        model="benchmark@1",
        content_sha256=random.bytes(32).hex(),
        clip=ClipReport(480, 270, 3000, 45, 45, None),
        frames_sampled=20,
        faces=12 * count,
        tracks=tracks,
        labels=tuple(label(random) for _ in tracks),
    )


def track(number: int, random: np.random.Generator) -> FaceTrack:
    """Return a track of twelve faces, five of which are embedded."""
    times = np.arange(12, dtype=np.int64) * 150
    vectors = random.normal(size=(5, 128))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return FaceTrack(
        track_no=number,
        shot_no=0,
        frame_index=times // 66,
        pts_ms=times,
        from_ms=times,
        shown_ms=np.full(12, 150, np.int64),
        boxes_xyxy=random.uniform(0, 300, (12, 4)).astype(np.float32),
        scores=random.uniform(0.9, 1, 12).astype(np.float32),
        quality=random.uniform(0, 1, 12).astype(np.float32),
        evidence=TrackEvidence(
            vectors.astype(np.float16),
            random.uniform(20, 200, 5).astype(np.float16),
            random.uniform(0, 1, 5).astype(np.float16),
        ),
        best_faces=np.zeros((5, 112, 112, 3), np.uint8),
    )


def label(random: np.random.Generator) -> TrackLabel:
    """Return a label with five candidates; one in three is of somebody known."""
    candidates = tuple(
        Candidate(PEOPLE[int(one)], 0.6 - 0.05 * place, 0.95 / (1 + place))
        for place, one in enumerate(random.choice(len(PEOPLE), 5, replace=False))
    )
    return TrackLabel("known" if random.random() < 1 / 3 else "unknown", candidates)


if __name__ == "__main__":
    main()
