"""Measure how well tracks of people whom nobody knows are grouped, and how long a million of them take.

    python benchmarks/strangers.py                     # quality, on ../shared/data/people, then speed
    python benchmarks/strangers.py --only quality      # 20 minutes on two cores, most of it embedding; kept in --cache
    python benchmarks/strangers.py --only speed --tracks 100000
    python benchmarks/strangers.py --only rows         # the same from an SQLite database, and 1,000 tracks more

Quality: people of the gallery and strangers are drawn by lot into three parts. One part plays the people whom the model
knows: its mean is the centre. The constants of `annotator/grouping` were chosen on another part (--part chosen shows
it), and what is printed is of the third. Each photograph becomes a track, as small and as damaged as faces in clips
are; so the tracks of a person come from different photographs, up to eight, and a stranger of LFW has one. B-cubed
precision, recall and F in per cent, with 95 % intervals over people drawn again; by how much F differs between three
orders of arrival.

Speed: made-up points. A quarter of the tracks show somebody who is seen once; of the others, so many that a few people
have thousands and most two or three (Zipf's law), two tracks of a person have a cosine of 0.5. With --only rows, rows
of clips with two tracks each, and what is measured is a run of `annotator strangers group`: over all, over what is new.
"""

import argparse
import resource
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import numpy as np
from numpy.typing import NDArray

from annotator.accuracy.intervals import bootstrap, interval_of
from annotator.grouping.agreement import b_cubed, harmonic
from annotator.grouping.grouping import Grouping
from annotator.grouping.points import I16, on_grid, to_points
from annotator.grouping.table import GroupTable
from annotator.quality import face_quality
from annotator.recognition.alignment import ARCFACE_TEMPLATE_XY
from annotator.recognition.bundle import ModelBundle, load_bundle
from annotator.recognition.degradation import Degradation, degrade_faces
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.evidence import EvidenceStack, unit
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.runtime import create_engine
from annotator.starter import STARTER_BUNDLE
from annotator.store import Store
from annotator.store.bulk import insert_rows
from annotator.store.codec import StoredBoxes, encode_boxes
from annotator.store.strangers.running import group_strangers

ROOT = Path(__file__).resolve().parents[1]
SIZES_PX = (112, 64, 48, 32)
SHARES = (0.25, 0.33, 0.30, 0.12)
"""Of these sizes in an archive of mixed ones: half of the tracks of real clips are under 59 pixels."""

MOST_PHOTOGRAPHS = 8
VARIANTS = 2
KNOWN, CHOSEN, HELD_OUT = 2, 0, 1
FEW_PEOPLE = (30, 100, 300)
MADE_UP = 20_000
ORDERS = 3
EMBEDDING_SIZE = 128
SPREAD_PEOPLE = 20_000  # most tracks of one made-up person
ADDED = 1_000  # tracks that come later
BESIDE = 2  # tracks of a clip
FACE_PX = 80.0


@dataclass(frozen=True, slots=True, eq=False)
class Photographs:
    """Aligned photographs, up to eight of a person.

    Attributes:
        paths: the files.
        names: (N,), whom each shows.

    """

    paths: Sequence[Path]
    names: NDArray[np.str_]


def find_photographs(people: Path, part: int) -> Photographs:
    """Return the photographs of one part of the gallery and of the strangers, in order of name."""
    found = [(path, folder.name) for folder in people_folders(people / "gallery") for path in picture_files(folder)]
    found += [(path, f"stranger/{path.stem}") for path in picture_files(people / "strangers")]
    _, person = np.unique([name for _, name in found], return_inverse=True)
    parts = np.random.default_rng(7).permutation(person.max() + 1) % 3
    seen: Counter[str] = Counter()
    kept = []
    for place, (_, name) in enumerate(found):
        seen[name] += 1
        if seen[name] <= MOST_PHOTOGRAPHS and parts[person[place]] == part:
            kept.append(place)
    return Photographs([found[place][0] for place in kept], np.array([found[place][1] for place in kept]))


def known_part(bundle: ModelBundle, people: Path) -> ModelBundle:
    """Return the bundle as if only the people of the first part had ever been in it."""
    found = [folder.name for folder in people_folders(people / "gallery")]
    strangers = [f"stranger/{path.stem}" for path in picture_files(people / "strangers")]
    names = np.unique([*found, *strangers])
    parts = np.random.default_rng(7).permutation(len(names)) % 3
    known = {plain(name) for name, part in zip(names.tolist(), parts.tolist(), strict=True) if part == KNOWN}
    return bundle.as_if_only(np.flatnonzero([plain(one.name) in known for one in bundle.identities]))


def plain(name: str) -> str:
    """Return a name as folders and labels have in common."""
    return name.replace("_", " ").replace(".", "").casefold()


def tracks_at(photographs: Photographs, face_px: int, *, embedder: FaceEmbedder, kept: Path) -> EvidenceStack:
    """Return a track of each photograph, from the cache where it was made before."""
    if not kept.is_file():
        faces = read_aligned(photographs.paths)
        ones = np.ones(len(faces), np.float32)
        landmarks_xy = np.repeat(ARCFACE_TEMPLATE_XY[None], len(faces), axis=0)
        embeddings, quality = [], []
        for seed in range(100, 100 + VARIANTS):
            degraded = degrade_faces(faces, degradation=Degradation(face_px), seed=seed)
            embeddings.append(embedder.embed(degraded).astype(np.float16))
            quality.append(face_quality(degraded, face_px=ones * face_px, landmarks_xy=landmarks_xy, scores=ones))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, embeddings=np.stack(embeddings, 1), quality=np.stack(quality, 1).astype(np.float16))
    with np.load(kept) as arrays:
        return EvidenceStack(
            np.arange(len(photographs.paths)),
            arrays["embeddings"],
            np.full(arrays["quality"].shape, face_px, np.float16),
            arrays["quality"],
        )


def mixed(stacks: Sequence[EvidenceStack]) -> EvidenceStack:
    """Return tracks of one size each, drawn by lot."""
    drawn = np.random.default_rng(5).choice(len(stacks), len(stacks[0]), p=SHARES)
    rows = np.arange(len(drawn))
    columns = [np.stack([getattr(one, name) for one in stacks])[drawn, rows] for name in ("embeddings", "face_px")]
    return EvidenceStack(rows, *columns, np.stack([one.quality for one in stacks])[drawn, rows])


def grouped(vectors: I16, *, at_once: int | None = None) -> NDArray[np.int64]:
    """Return the groups of points, in order of arrival."""
    grouping = Grouping(GroupTable(vectors.shape[1]), seen_together=lambda *_: False)
    keys = [(place, 0) for place in range(len(vectors))]
    rows: list[int] = []
    size = at_once or max(1, len(vectors))
    for start in range(0, len(vectors), size):
        rows += grouping.add(keys[start : start + size], vectors[start : start + size])
    return np.array([grouping.number_now(row) for row in rows])


def in_words(names: NDArray[np.str_], vectors: I16) -> str:
    """Group points in a few orders of arrival, and return how well that went.

    The interval is of the mean over tracks with people drawn again; groups stay as they are.
    """
    _, people = np.unique(names, return_inverse=True)
    values, replicates = [], []
    for seed in range(ORDERS):
        order = np.random.default_rng(seed).permutation(len(names))
        groups = np.empty(len(names), np.int64)
        groups[order] = grouped(vectors[order])
        value, drawn = bootstrap(names.tolist(), partial(_means, b_cubed(people, groups)))
        values.append(value)
        replicates.append(drawn)
    value = np.mean(values, axis=0)
    intervals = [interval_of(one, drawn) for one, drawn in zip(value, np.mean(replicates, axis=0).T, strict=True)]
    told = [f"{100 * one.value:5.1f} ({100 * one.low:.1f} to {100 * one.high:.1f})" for one in intervals if one]
    spread = 100 * float(np.ptp(np.array(values)[:, 2]))
    return "  ".join(f"{one:19}" for one in told) + f"  {spread:.1f}"


def _means(agreement: tuple[NDArray[np.float64], ...], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    precision, recall = (float(np.average(one, weights=weights)) for one in agreement)
    return np.array([precision, recall, harmonic(precision, recall)])


def measure_quality(bundle: ModelBundle, people: Path, *, part: int, cache: Path) -> None:
    """Print B-cubed figures by size of the faces, by number of people, and amid made-up strangers."""
    photographs = find_photographs(people, part)
    embedder = FaceEmbedder(create_engine("cpu", threads=None, cache_dir=cache), precision="f32")
    known = known_part(bundle, people)
    stacks = [
        tracks_at(photographs, size, embedder=embedder, kept=cache / f"strangers-{part}-{size}px.npz")
        for size in SIZES_PX
    ]
    count = len(np.unique(photographs.names))
    print(f"{len(photographs.names)} tracks of {count} people; the centre is of {len(known.identities)} others")
    print(f"{'':28}precision            recall               F                    between orders")
    sized = [(f"{size} px", stack) for size, stack in zip(SIZES_PX, stacks, strict=True)]
    for title, stack in [*sized, ("mixed", mixed(stacks))]:
        points = to_points([stack], bundle=known)
        share = 100 * len(points) / len(stack)
        told = in_words(photographs.names[points.place], points.vectors)
        print(f"{title:6} {share:5.1f} % not too poor  {told}", flush=True)
    points = to_points([stacks[SIZES_PX.index(64)]], bundle=known)
    names, vectors = photographs.names[points.place], points.vectors
    for few in FEW_PEOPLE:
        chosen = np.isin(names, np.random.default_rng(few).choice(np.unique(names), few, replace=False))
        print(f"64 px, {few:3} people          {in_words(names[chosen], vectors[chosen])}", flush=True)
    print(f"64 px, amid {MADE_UP:,} made-up strangers: {amid_made_up(names, vectors)}", flush=True)


def amid_made_up(names: NDArray[np.str_], vectors: I16) -> str:
    """Group tracks amid made-up strangers, and return precision, recall and F of the tracks alone.

    They are drawn with the covariance of the people, which makes fewer look-alikes than there are in the world.
    """
    random = np.random.default_rng(3)
    _, first = np.unique(names, return_index=True)
    covariance = np.cov(vectors[first].T.astype(np.float64)) + 1e-3 * np.eye(vectors.shape[1])
    drawn = random.normal(size=(MADE_UP, vectors.shape[1])) @ np.linalg.cholesky(covariance).T
    together = np.concatenate([vectors, on_grid(unit(drawn))])
    _, person = np.unique(names, return_inverse=True)
    people = np.concatenate([person, len(names) + np.arange(MADE_UP)])
    order = random.permutation(len(together))
    groups = np.empty(len(together), np.int64)
    groups[order] = grouped(together[order])
    precision, recall = (float(one[: len(names)].mean()) for one in b_cubed(people, groups))
    both = harmonic(precision, recall)
    return f"precision {100 * precision:.1f}, recall {100 * recall:.1f}, F {100 * both:.1f}"


def made_up_points(count: int) -> tuple[NDArray[np.int64], I16]:
    """Return whom so many made-up tracks show, and their points."""
    random = np.random.default_rng(0)
    sizes: list[int] = []
    left = count * 3 // 4
    while left > 0:
        sizes.append(min(int(random.zipf(2.0)), SPREAD_PEOPLE, left))
        left -= sizes[-1]
    sizes += [1] * (count - sum(sizes))
    people = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    directions = unit(random.normal(size=(len(sizes), EMBEDDING_SIZE)))
    vectors = np.empty((count, EMBEDDING_SIZE), np.int16)
    for start, some in _parts(people, 1 << 16):
        noise = unit(random.normal(size=(len(some), EMBEDDING_SIZE)))
        vectors[start : start + len(some)] = on_grid(unit(directions[some] + noise))
    return people, vectors


def _parts(values: NDArray[np.int64], size: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for start in range(0, len(values), size):
        yield start, values[start : start + size]


def measure_speed(count: int) -> None:
    """Print how long made-up tracks take, and how much memory."""
    people, vectors = made_up_points(count)
    before, started, used = _memory_mib(), time.perf_counter(), time.process_time()
    groups = grouped(vectors, at_once=20_000)
    took, processor = time.perf_counter() - started, time.process_time() - used
    agreement = harmonic(*(float(one.mean()) for one in b_cubed(people, groups)))
    print(
        f"{count:,} made-up tracks of {people.max() + 1:,} people: {took:.0f} s, {processor:.0f} s of processor time, "
        f"at most {_most_memory_mib() - before:.0f} MiB more; {len(np.unique(groups)):,} groups,"
        f" F {100 * agreement:.1f}"
    )


def measure_rows(count: int, bundle: ModelBundle) -> None:
    """Print how long the rows of made-up tracks take in a database, and then some more of them."""
    centred = replace(bundle, mean=np.zeros_like(bundle.mean))  # made-up points are
    _, vectors = made_up_points(count + ADDED)
    with TemporaryDirectory() as folder, Store.open(Path(folder) / "strangers.db") as store:
        network_id = store.register_network({"name": "made up"})
        for first, last in ((0, count), (count, count + ADDED), (count + ADDED, count + ADDED)):
            for start in range(first, last, 1 << 15):
                write_tracks(store, network_id, vectors[start : min(start + (1 << 15), last)], first=start)
            started, used = time.perf_counter(), time.process_time()
            done = group_strangers(store.engine, centred, network_id)
            took, processor = time.perf_counter() - started, time.process_time() - used
            print(
                f"{done.tracks:,} new tracks beside {first:,}: {took:.1f} s, {processor:.1f} s of processor time,"
                f" {done.founded:,} new groups; at most {_most_memory_mib():.0f} MiB",
                flush=True,
            )


def write_tracks(store: Store, network_id: int, vectors: I16, *, first: int) -> None:
    """Write made-up tracks as rows: clips of two tracks, which no frame shows together."""
    places = np.arange(first, first + len(vectors))
    content_ids, track_nos = (places // BESIDE + 1).tolist(), (places % BESIDE).tolist()
    embeddings = unit(vectors.astype(np.float64)).astype("<f2")
    sharp = np.array([1.0], "<f2").tobytes()
    of_track = {"content_id": content_ids, "track_no": track_nos}
    times = {"first_ms": 0, "last_ms": 100, "screen_ms": 100}
    faces = {"faces": 1, "face_px": FACE_PX, "quality": 1.0}
    clip = {"width_px": 200, "height_px": 200, "frames_decoded": 2, "frames_distinct": 2, "frames_sampled": 2}
    same = {"network_id": network_id}
    with store.writing() as connection:
        seen = {"content_id": sorted(set(content_ids))}
        insert_rows(connection, "annotations", seen, same=same | clip | {"faces": BESIDE}, now=["annotated_at"])
        boxes = [_boxes(number) for number in track_nos]
        insert_rows(connection, "tracks", of_track | {"boxes": boxes}, same=same | times | faces | {"shot_no": 0})
        evidence = {"embeddings": [one.tobytes() for one in embeddings]}
        sizes = {"face_px": np.array([FACE_PX], "<f2").tobytes(), "quality": sharp}
        insert_rows(connection, "track_embeddings", of_track | evidence, same=same | sizes)


def _boxes(frame: int) -> bytes:
    """Return the row's form of one box on one frame."""
    times = np.array([frame], np.int64)
    ones = np.ones(1, np.float32)
    box = np.array([[10, 10, 90, 90]], np.float32)
    return encode_boxes(StoredBoxes(times, 100 * times, 100 * times, 100 + times, box, ones, ones))


def _memory_mib() -> float:
    """Return the memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / (1 << 20)


def _most_memory_mib() -> float:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", nargs="?", type=Path, default=ROOT / ".." / "shared" / "data" / "people")
    parser.add_argument("--only", choices=("quality", "speed", "rows"))
    parser.add_argument("--part", choices=("held-out", "chosen"), default="held-out")
    parser.add_argument("--tracks", type=int, default=1_000_000, help="of the measurements of speed")
    parser.add_argument("--model", type=Path, default=STARTER_BUNDLE)
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "annotator-strangers")
    arguments = parser.parse_args()
    if arguments.only in {None, "quality"}:
        part = HELD_OUT if arguments.part == "held-out" else CHOSEN
        measure_quality(load_bundle(arguments.model), arguments.people, part=part, cache=arguments.cache)
    if arguments.only in {None, "speed"}:
        measure_speed(arguments.tracks)
    if arguments.only == "rows":
        measure_rows(arguments.tracks, load_bundle(arguments.model))


if __name__ == "__main__":
    main()
