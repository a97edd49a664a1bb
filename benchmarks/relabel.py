"""How long an archive takes to get the labels of another model, from stored embeddings.

    python benchmarks/relabel.py                      # 1,000,000 tracks against 2,306 people, two threads
    python benchmarks/relabel.py --kill               # and again, killed twice on the way: the rows must be the same
    python benchmarks/relabel.py --tracks 1e5 --workers 1
    python benchmarks/relabel.py --calibrate          # instead: how long `annotator calibrate` takes over it

It makes the archive first, in a temporary folder, with its own Postgres: half of the contents show nobody, the others
two people; a third of the tracks shows people of the model, who are those of the starter model and random ones. Then it
runs `annotator relabel` as a user does. Printed are the time that passes, the processor time of the program and that of
the database, and the program's largest memory. Linux only.
"""

import argparse
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, text

from annotator.build import STARTER_FOLDER
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, load_bundle, write_bundle
from annotator.recognition.revocation import RevocationList
from annotator.stack.child import free_port
from annotator.stack.postgres import PostgresChild
from annotator.store import Store, upgrade
from annotator.store.connection import open_engine, writing
from annotator.store.partitions import ensure_partitions
from annotator.types import Identity

PEOPLE = 2_306
FACES = 5
SIZE = 128
CHUNK = 20_000
TICK = os.sysconf("SC_CLK_TCK")
ROWS = {
    "labelled_contents": "content_id",
    "track_labels": "content_id, track_no, identity_id, confidence, score, runner_up_id, runner_up_score,"
    " runner_up_confidence, candidates",
    "content_labels_by": "content_id, identity_id, confidence, first_ms, last_ms, screen_ms",
}
# A row of `track_embeddings` in COPY's binary form: each value after its length in bytes.
ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(("network_length", ">i4"), ("network_id", ">i4")),
        *(("content_length", ">i4"), ("content_id", ">i8")),
        *(("track_length", ">i4"), ("track_no", ">i2")),
        *(("embeddings_length", ">i4"), ("embeddings", "<f2", (FACES, SIZE))),
        *(("face_px_length", ">i4"), ("face_px", "<f2", (FACES,))),
        *(("quality_length", ">i4"), ("quality", "<f2", (FACES,))),
    ]
)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run of the program took."""

    passed_s: float
    own_cpu_s: float
    database_cpu_s: float
    peak_mb: float


def main() -> None:
    """Make the archive, relabel it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=float, default=1e6)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill", action="store_true", help="once more, killed twice on the way")
    parser.add_argument("--calibrate", action="store_true", help="estimate the prior instead of relabelling")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = PostgresChild(folder / "postgres", free_port())
        try:
            measure(server, folder, chosen)
        finally:
            server.process.stop(timeout_s=15.0)


def measure(server: PostgresChild, folder: Path, chosen: argparse.Namespace) -> None:
    """Relabel a made-up archive, once undisturbed, and once with kills where that is asked for."""
    prototypes = make_bundle(folder / "model", chosen.people)
    upgrade(server.url)
    engine = open_engine(server.url)
    began_s = time.monotonic()
    fill(engine, prototypes, contents=int(chosen.tracks))
    print(f"archive of {int(chosen.tracks):,} tracks made in {time.monotonic() - began_s:.0f} s")
    program = str(Path(sys.executable).with_name("annotator"))
    of_archive = ["--json", "--model", str(folder / "model"), "--database", server.url]
    if chosen.calibrate:
        tell("calibrated", [run([program, "calibrate", *of_archive], server, folder)])
        engine.dispose()
        return
    command = [program, "relabel", *of_archive, "--workers", str(chosen.workers)]
    tell("undisturbed", [run(command, server, folder)])
    wanted = digests(engine)
    if chosen.kill:
        forget(engine)
        spent = [run(command, server, folder, kill_at=share) for share in kill_at(engine, int(chosen.tracks))]
        spent.append(run(command, server, folder))
        tell("killed twice", spent)
        print("the rows are the same" if digests(engine) == wanted else "THE ROWS DIFFER")
    engine.dispose()


def tell(title: str, spent: list[Spent]) -> None:
    """Print what some runs took together."""
    print(
        f"{title}: {sum(one.passed_s for one in spent):.1f} s passed; processor time: program"
        f" {sum(one.own_cpu_s for one in spent):.1f} s, database {sum(one.database_cpu_s for one in spent):.1f} s;"
        f" largest memory {max(one.peak_mb for one in spent):.0f} MB",
        flush=True,
    )


def run(command: list[str], server: PostgresChild, folder: Path, *, kill_at: int | None = None) -> Spent:
    """Run the program; kill it once so many contents have labels."""
    before_s = postgres_cpu_s(server)
    began_s = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    with (folder / "told").open("w+") as told:
        program = subprocess.Popen(command, stdout=told, cwd=folder, env=environment)
        if kill_at is not None:
            wait_for(open_engine(server.url), kill_at)
            program.send_signal(signal.SIGKILL)
        _, status, used = os.wait4(program.pid, 0)
        passed_s = time.monotonic() - began_s
        told.seek(0)
        lines = told.readlines()
    if kill_at is None:
        if status:
            raise SystemExit(f"annotator {command[1]} has failed: {status}")
        print("  ", json.loads(lines[-1]))
    return Spent(passed_s, used.ru_utime + used.ru_stime, postgres_cpu_s(server) - before_s, used.ru_maxrss / 1024)


def kill_at(engine: Engine, contents: int) -> Iterator[int]:
    """Yield after how many contents to kill: two places at random, the second one after the first."""
    chosen = random.Random(time.time_ns())  # noqa: S311 - no secret
    yield chosen.randrange(contents // 10, contents // 2)
    yield chosen.randrange(labelled(engine) + contents // 20, contents * 9 // 10)


def wait_for(engine: Engine, contents: int) -> None:
    """Wait until so many contents have labels."""
    while labelled(engine) < contents:
        time.sleep(0.05)
    engine.dispose()


def labelled(engine: Engine) -> int:
    """Return how many contents the newest run has labelled."""
    with engine.connect() as connection:
        return connection.execute(text("SELECT contents FROM relabellings ORDER BY id DESC LIMIT 1")).scalar() or 0


def postgres_cpu_s(server: PostgresChild) -> float:
    """Return the processor time of a server: its living processes, and those that have ended."""
    first = (server.folder / "data" / "postmaster.pid").read_text().splitlines()[0]
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if path.parent.name == first:
            ticks += sum(map(int, fields[11:15]))
        elif fields[1] == first:
            ticks += sum(map(int, fields[11:13]))
    return ticks / TICK


def make_bundle(folder: Path, people: int) -> np.ndarray:
    """Write a model of so many people: those of the starter model, and random ones that are spread alike."""
    starter = load_bundle(STARTER_FOLDER)
    known = starter.prototypes[:people].astype(np.float64)
    mean = known.mean(axis=0)
    spread = np.linalg.norm(known - mean, axis=1).mean()
    others = mean + spread * unit(np.random.default_rng(0).normal(0, 1, (people - len(known), SIZE)))
    prototypes = unit(np.concatenate([known, others])).astype(np.float32)
    bundle = replace(
        starter,
        name="made-up",
        manifest={**starter.manifest, "name": "made-up", "version": 1},
        identities=tuple(Identity(f"Person {number}", f"/m/{number}") for number in range(people)),
        prototypes=prototypes,
        photo_counts=np.full(people, 10, np.int32),
        mean=prototypes.mean(axis=0),
    )
    texts = dict.fromkeys((MODEL_CARD, LICENSE, CREDITS), "made up\n")
    write_bundle(folder, bundle, texts=texts, revoked=RevocationList("00" * 16))
    return prototypes


def fill(engine: Engine, prototypes: np.ndarray, *, contents: int) -> None:
    """Fill an empty database: as many tracks as contents, two in every other one; a former model has named a third."""
    store = Store(engine)
    embedder = load_bundle(STARTER_FOLDER).embedder
    network_id = store.register_network({"embedder": embedder})
    people = {Identity(f"Person {number}", f"/m/{number}"): 10 for number in range(len(prototypes))}
    former = store.register_labelling(network_id, model="made-up@0", digest="former", photographs=people)
    shares = np.arange(FACES, dtype="<i4") * 100
    times = np.concatenate([shares, shares, shares, np.full(FACES, 100, "<i4")])
    boxes = b"\x01" + times.astype("<i4").tobytes() + bytes(20 * FACES)
    values: dict[str, Any] = {"n": network_id, "l": former, "contents": contents, "people": len(people), "boxes": boxes}
    numbers = "FROM generate_series(1, CAST(:contents AS bigint)) c"
    two = f"{numbers}, generate_series(0, 1) t WHERE c % 2 = 0"
    with writing(engine) as connection:
        connection.execute(text(f"INSERT INTO contents (id, sha256) SELECT c, sha256(int8send(c)) {numbers}"), values)
        connection.execute(text("SELECT setval('contents_id_seq', :contents)"), values)
        ensure_partitions(connection, network_ids=[network_id], labelling_ids=[former])
        for statement in (
            (
                "INSERT INTO annotations (network_id, content_id, width_px, height_px, duration_ms, frames_decoded,"
                f" frames_distinct, frames_sampled, faces, annotated_at) SELECT :n, c, 480, 270, 3000, 45, 45, 20,"
                f" CASE WHEN c % 2 = 0 THEN 10 ELSE 0 END, now() {numbers}"
            ),
            (
                "INSERT INTO tracks (network_id, content_id, track_no, shot_no, first_ms, last_ms, screen_ms, faces,"
                f" face_px, quality, boxes) SELECT :n, c, t, 0, 0, 500, 500, {FACES}, 90, 0.8, :boxes {two}"
            ),
            f"INSERT INTO labelled_contents (labelling_id, content_id, labelled_at) SELECT :l, c, now() {numbers}",
            (
                "INSERT INTO track_labels (labelling_id, content_id, track_no, identity_id, confidence, score)"
                f" SELECT :l, c, 0, 1 + c % :people, 0.9, 0.6 {numbers} WHERE c % 3 = 0 AND c % 2 = 0"
            ),
        ):
            connection.execute(text(statement), values)
        for start in range(1, contents + 1, CHUNK):
            copy_embeddings(connection, network_id, prototypes, range(start, min(start + CHUNK, contents + 1)))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def copy_embeddings(connection: Any, network_id: int, prototypes: np.ndarray, contents: range) -> None:  # noqa: ANN401
    """Copy the embeddings of two tracks for each even content: a third of them shows people of the model."""
    ids = np.repeat([one for one in contents if one % 2 == 0], 2)
    rng = np.random.default_rng(contents.start)
    shown = prototypes[rng.integers(len(prototypes), size=len(ids))].astype(np.float64)
    strangers = prototypes.mean(axis=0) + 0.9 * unit(rng.normal(0, 1, (len(ids), SIZE)))
    centres = np.where(rng.random(len(ids))[:, None] < 1 / 3, shown, strangers)
    faces = rng.standard_normal((len(ids), FACES, SIZE), np.float32) * np.float32(0.05) + centres[:, None]
    rows = np.zeros(len(ids), ROW)
    rows["columns"] = 6
    rows["network_id"], rows["content_id"], rows["track_no"] = network_id, ids, np.arange(len(ids)) % 2
    rows["embeddings"] = unit(faces)
    rows["face_px"] = rng.uniform(24, 150, (len(ids), FACES))
    rows["quality"] = rng.uniform(0.3, 1, (len(ids), FACES))
    for name in ("network", "content", "track", "embeddings", "face_px", "quality"):
        column = name if name in ROW.names else f"{name}_id" if name != "track" else "track_no"
        rows[f"{name}_length"] = ROW[column].itemsize
    data = b"PGCOPY\n\xff\r\n\x00" + bytes(8) + rows.tobytes() + b"\xff\xff"
    cursor = connection.connection.cursor()
    cursor.copy_expert("COPY track_embeddings FROM STDIN (FORMAT binary)", io.BytesIO(data))


def digests(engine: Engine) -> dict[str, Any]:
    """Return number and digest of the rows of the newest labelling, without the time of writing."""
    with engine.connect() as connection:
        newest = connection.execute(text("SELECT max(id) FROM labellings")).scalar_one()
        return {
            table: tuple(
                connection.execute(
                    text(
                        f"SELECT count(*), sum(hashtextextended(CAST(ROW({columns}) AS text), 0)) FROM {table}"  # noqa: S608
                        " WHERE labelling_id = :l"
                    ),
                    {"l": newest},
                ).one()
            )
            for table, columns in ROWS.items()
        }


def forget(engine: Engine) -> None:
    """Take the labels of the newest labelling away again."""
    with writing(engine) as connection:
        for table in ROWS:
            connection.execute(text(f"TRUNCATE {table}__l2"))
        connection.execute(text("DELETE FROM relabellings"))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors at unit length."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


if __name__ == "__main__":
    main()
