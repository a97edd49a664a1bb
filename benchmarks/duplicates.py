"""Measure how surely clips that were made anew are found, and how long it takes among a million.

    python benchmarks/duplicates.py                          # quality on ../shared/data, then speed
    python benchmarks/duplicates.py --only quality --part development
    python benchmarks/duplicates.py --only speed --clips 1000000

Quality: real clips, and clips drawn of photographs, parted by their names; what is in `annotator/duplicates` was chosen
on the development part, and what is printed is of the test part. Of each clip variants are made (`duplicate_clips.py`):
each kind of change, and some pairs of two, written anew as a GIF of few colours or an mp4 of a low bitrate. Clips and
variants are annotated as any clip. Hard cases are clips that are none: of drawn clips the same person in another scene,
and the same scene with another person's face, its twin. The archive is all clips; each variant and each clip of the
archive is looked for among them: what is found must be the clip it was made of, and nothing else. Precision is printed
twice: of all, and as if no twins had been drawn. What was annotated is kept in --cache; a run goes on where it was
broken off.

Speed: an archive of made-up codes that spread as those of the clips do, eleven a clip, with the clips among them;
processor time of finding a clip's family, from its pictures to the last comparison.

Cost: processor time of what is taken for it while clips are annotated, beside that of annotating them.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from duplicate_clips import CHANGES, Moving, read_clip, sampled_frames, write_clip

from annotator.accuracy.drawing import draw_frames
from annotator.accuracy.intervals import wilson
from annotator.accuracy.scenes import Scene, plan_scene
from annotator.accuracy.subjects import part_of
from annotator.build import build_annotator
from annotator.duplicates.codes import KEPT, codes_of, window_waves
from annotator.duplicates.faces import faces_agree
from annotator.duplicates.glimpses import Glimpses
from annotator.duplicates.index import DuplicateIndex, kept_codes
from annotator.duplicates.matching import Sought, match_clips
from annotator.media import Sampling
from annotator.pipeline import Annotator
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.settings import load_settings
from annotator.tracking import shot_thumbnails
from annotator.types import U8, MediaAnnotation, MediaRef, TrackEvidence

ROOT = Path(__file__).resolve().parents[1]
ORIGINAL = "original"
TWIN = "/other face"
PAIRS_OF_REAL, PAIRS_OF_DRAWN, SINGLES_OF_DRAWN = 3, 1, 3
CODES_OF_A_CLIP = 11
ASKED_FOR_SPEED = 300
COST_CLIPS = 12
PICTURE_BYTES = 288


@dataclass(frozen=True, slots=True)
class Planned:
    """A clip that is to be made and changed.

    Attributes:
        name: of the clip; what stands before «/» it has in common with clips that resemble it.
        path: of a real one.
        scene: of a drawn one.
        photographs: of a drawn one.
        seed: of its variants.
        is_changed: whether variants are made.

    """

    name: str
    path: Path | None
    scene: Scene | None
    photographs: tuple[Path, ...]
    seed: int
    is_changed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """A clip as it was annotated: whose it is, what was changed, its pictures and its tracks."""

    name: str
    kind: str
    pictures: U8
    tracks: tuple[TrackEvidence, ...]


def plan(data: Path, part: str, *, drawn: int, hard: int) -> list[Planned]:
    """Plan the clips of a part, in an order drawn by lot."""
    random = np.random.default_rng(5 if part == "development" else 6)
    clips = [
        Planned(path.name, path, None, (), int(random.integers(2**31)), is_changed=True)
        for path in sorted((data / "clips").iterdir())
        if part_of(path.name) == part
    ]
    folders = [folder for folder in people_folders(data / "people" / "gallery") if part_of(folder.name) == part]
    people = [picture_files(folders[place])[0] for place in random.permutation(len(folders))]
    for number in range(drawn):
        name = f"drawn {number}"
        scenes = [
            plan_scene(f"{part}-{number}-{way}", [0], others=(), seed=int(random.integers(2**31))) for way in "ab"
        ]
        seed = int(random.integers(2**31))
        person, other = people[number % len(people)], people[-1 - number % len(people)]
        clips.append(Planned(name, None, scenes[0], (person,), seed, is_changed=True))
        if number < hard:
            clips.append(Planned(f"{name}{TWIN}", None, scenes[0], (other,), seed, is_changed=False))
            clips.append(Planned(f"{name}/other scene", None, scenes[1], (person,), seed, is_changed=False))
    return [clips[place] for place in np.random.default_rng(1).permutation(len(clips))]


def make(planned: Planned, folder: Path) -> Iterator[tuple[str, Path]]:
    """Make a clip and its variants; yield what was changed, and the file."""
    random = np.random.default_rng(planned.seed)
    if planned.path is not None:
        yield ORIGINAL, planned.path
        clip, form = read_clip(planned.path), planned.path.suffix
        chosen = [(kind,) for kind in CHANGES]
        pairs = PAIRS_OF_REAL
    else:
        if planned.scene is None:
            raise ValueError(f"{planned.name} is neither real nor drawn")
        photographs = {number: read_aligned([path])[0] for number, path in enumerate(planned.photographs)}
        frames = list(draw_frames(planned.scene, photographs))
        shown_ms = np.array([frame.shown_ms for frame in frames], np.int64)
        clip, form = Moving(np.stack([frame.image for frame in frames]), shown_ms), f".{planned.scene.format}"
        path = folder / f"original{form}"
        write_clip(clip, path, random)
        yield ORIGINAL, path
        kinds = list(CHANGES)
        chosen = [(kinds[place],) for place in random.permutation(len(kinds))[:SINGLES_OF_DRAWN]]
        pairs = PAIRS_OF_DRAWN
    both = list(combinations(list(CHANGES)[1:], 2))
    chosen += [both[place] for place in random.permutation(len(both))[:pairs]]
    for changes in chosen if planned.is_changed else ():
        changed = clip
        for kind in changes:
            changed = CHANGES[kind](changed, random)
        other = ".mp4" if form == ".gif" else ".gif"
        path = folder / f"{'-'.join(changes)}{other if random.random() < 0.5 else form}"
        write_clip(changed, path, random)
        yield " + ".join(changes), path


def annotated(planned: Planned, annotator: Annotator | None, cache: Path) -> list[Annotated]:
    """Make and annotate a clip and its variants, or take them from the cache."""
    kept = cache / f"{planned.name.replace('/', ', ')}-{planned.seed}.npz"
    if not kept.is_file():
        if annotator is None:
            raise ValueError(f"{planned.name} is not in the cache")
        with tempfile.TemporaryDirectory(prefix="variants-") as name:
            made = dict(make(planned, Path(name)))
            refs = [MediaRef(kind, path.as_uri()) for kind, path in made.items()]
            found = [one for one in annotator.annotate(refs) if isinstance(one, MediaAnnotation)]
        arrays = {}
        for number, one in enumerate(found):
            if one.fingerprint is None:
                raise ValueError("a clip has no fingerprint")
            arrays[f"{number} pictures {one.media.media_id}"] = one.fingerprint.pictures
            for track in one.tracks:
                for part in ("embeddings", "face_px", "quality"):
                    arrays[f"{number} track {track.track_no} {part}"] = getattr(track.evidence, part)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **arrays)
    with np.load(kept) as file:
        return list(_read(planned.name, dict(file)))


def _read(name: str, arrays: dict[str, np.ndarray]) -> Iterator[Annotated]:
    for key in [key for key in arrays if " pictures " in key]:
        number, _, kind = key.split(" ", 2)
        tracks = sorted({other.split(" ")[2] for other in arrays if other.startswith(f"{number} track ")}, key=int)
        parts = ("embeddings", "face_px", "quality")
        evidence = [TrackEvidence(*(arrays[f"{number} track {track} {part}"] for part in parts)) for track in tracks]
        yield Annotated(name, kind, arrays[key], tuple(evidence))


def index_of(archive: Sequence[Annotated]) -> DuplicateIndex:
    """Return the index of an archive."""
    index = DuplicateIndex()
    for number, one in enumerate(archive):
        codes = kept_codes(one.pictures)
        index.add(np.full(len(codes), number), codes)
    return index


def found_of(one: Annotated, archive: Sequence[Annotated], index: DuplicateIndex) -> list[tuple[str, bool]]:
    """Return the names of the clips of an archive that a clip looks one with, and whether faces agree."""
    found = []
    sought = Sought.of(one.pictures)
    for nearby in index.find(one.pictures):
        other = archive[nearby]
        match = match_clips(sought, other.pictures)
        if match is not None and match.is_one:
            found.append((other.name, faces_agree(one.tracks, other.tracks, is_whole=match.is_whole)))
    return found


def quality(clips: Sequence[Annotated]) -> None:
    """Print precision and recall, by kind of change."""
    archive = [one for one in clips if one.kind == ORIGINAL]
    variants = [one for one in clips if one.kind != ORIGINAL]
    index = index_of(archive)
    hard = sum("/" in one.name for one in archive)
    print(f"\n{len(archive)} clips, {hard} of them made to be taken for others, {len(variants)} variants")
    looks = [found_of(one, archive, index) for one in [*variants, *archive]]
    for with_faces in (False, True):
        names_of = [[name for name, agree in names if agree or not with_faces] for names in looks]
        found, among = names_of[: len(variants)], names_of[len(variants) :]
        right = [one.name in names for one, names in zip(variants, found, strict=True)]
        pairs = list(zip([*variants, *archive], [*found, *among], strict=True))
        wrong = [(one, name) for one, names in pairs for name in names if name != one.name]
        print(f"\n### {'With' if with_faces else 'Without'} what faces say\n")
        print("| | share | 95 % interval | of |\n|---|---|---|---|")
        apart = [name for one, name in wrong if not (one.name.endswith(TWIN) or name.endswith(TWIN))]
        _row("precision", sum(right), sum(right) + len(wrong))
        _row("precision, without twins", sum(right), sum(right) + len(apart))
        _row("recall", sum(right), len(right))
        kinds: dict[str, list[bool]] = defaultdict(list)
        for one, is_right in zip(variants, right, strict=True):
            kinds[one.kind if " + " not in one.kind else "two changes"].append(is_right)
        for kind in (*CHANGES, "two changes"):
            _row(f"recall, {kind}", sum(kinds[kind]), len(kinds[kind]))
        originals = {one.name: one for one in archive}
        silent = sum(not (_has_faces(one) and _has_faces(originals[name])) for one, name in wrong)
        print(f"\n{len(wrong)} taken for another, of which {silent} have no face in one of both")
        for one, name in wrong:
            print(f"taken for another: {one.name} ({one.kind}) for {name}", file=sys.stderr)
        for one in [one for one, is_right in zip(variants, right, strict=True) if not is_right and with_faces]:
            print(f"not found: {one.name} ({one.kind})", file=sys.stderr)


def _has_faces(one: Annotated) -> bool:
    return any(len(track) for track in one.tracks)


def _row(name: str, count: int, total: int) -> None:
    interval = wilson(count, total)
    if interval is not None:
        print(
            f"| {name} | {100 * count / total:.1f} | {100 * interval.low:.1f} to {100 * interval.high:.1f} | {total} |"
        )


def speed(clips: Sequence[Annotated], size: int) -> None:
    """Print how long the family of a clip takes to find among so many clips, and how many are found."""
    archive = [one for one in clips if one.kind == ORIGINAL]
    waves = np.concatenate([window_waves(one.pictures, KEPT).reshape(-1, 63) for one in archive])
    spread = np.linalg.cholesky(np.cov(waves.T) + 1e-3 * waves.var() * np.eye(63)).astype(np.float32)
    random = np.random.default_rng(0)
    owners, codes = [], []
    for first in range(0, size, 20_000):
        count = min(20_000, size - first)
        made = random.standard_normal((count * CODES_OF_A_CLIP, 63), np.float32) @ spread.T
        codes.append(codes_of(made + waves.mean(axis=0)))
        owners.append(np.repeat(np.arange(first, first + count), CODES_OF_A_CLIP) + len(archive))
    index = index_of(archive)
    start = time.process_time()
    index.add(np.concatenate(owners), np.concatenate(codes))
    print(
        f"\nput {len(index):,} codes of {size:,} clips in order: {time.process_time() - start:.1f} s of processor time"
    )
    variants = [one for one in clips if one.kind != ORIGINAL]
    asked = [variants[place] for place in random.permutation(len(variants))[:ASKED_FOR_SPEED]]
    index.find(asked[0].pictures)
    times, is_found = [], []
    for one in asked:
        start = time.process_time()
        names = found_of_any(one, archive, index)
        times.append(1e3 * (time.process_time() - start))
        is_found.append(one.name in names)
    print(
        f"family of a clip: {np.median(times):.1f} ms in the median, "
        f"{np.quantile(times, 0.95):.1f} ms at the 95th percentile"
    )
    print(f"found among them: {100 * np.mean(is_found):.1f} % of {len(asked)}")


def found_of_any(one: Annotated, archive: Sequence[Annotated], index: DuplicateIndex) -> list[str]:
    """Do as `found_of`; for what is made up some clip's pictures are compared, which takes as long."""
    names = []
    sought = Sought.of(one.pictures)
    for nearby in index.find(one.pictures):
        other = archive[nearby % len(archive)]
        match = match_clips(sought, other.pictures)
        if match is not None and match.is_one and nearby < len(archive):
            names.append(other.name)
    return names


def cost(data: Path, annotator: Annotator) -> None:
    """Print which part of annotating goes into fingerprints."""
    paths = sorted((data / "clips").iterdir())[:COST_CLIPS]
    refs = [MediaRef(path.name, path.as_uri()) for path in paths]
    list(annotator.annotate(refs[:2]))
    start = _spent_s()
    done = sum(isinstance(one, MediaAnnotation) for one in annotator.annotate(refs))
    whole_s = _spent_s() - start
    seen = []
    for path in paths:
        batches = list(sampled_frames(path, Sampling.even()))
        images = [image for batch in batches for image in batch.images]
        seen.append((shot_thumbnails(images), np.concatenate([batch.pts_ms for batch in batches]).tolist()))
    start = time.process_time()
    sizes = []
    for thumbnails, pts_ms in seen:
        glimpses = Glimpses()
        for thumbnail, at_ms in zip(thumbnails, pts_ms, strict=True):
            glimpses.add(thumbnail, at_ms)
        pictures = glimpses.fingerprint().pictures
        sizes.append(len(pictures) * PICTURE_BYTES + 8 * len(kept_codes(pictures)))
    part_s = time.process_time() - start
    print(
        f"\nfingerprints: {1e3 * part_s / done:.1f} ms of processor time a clip, codes included, of {done} real clips;"
    )
    print(
        f"{100 * part_s / whole_s:.2f} % of annotating them ({1e3 * whole_s / done:.0f} ms a clip, decoders included)"
    )
    print(f"stored: {np.mean(sizes):.0f} bytes a clip in the mean, {max(sizes)} at most")


def _spent_s() -> float:
    """Return the processor time of this process and of the decoders that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "annotator-duplicates")
    parser.add_argument("--part", choices=["development", "test"], default="test")
    parser.add_argument("--drawn", type=int, default=100, help="clips drawn of photographs")
    parser.add_argument("--hard", type=int, default=50, help="of how many of them others are made that resemble them")
    parser.add_argument("--only", choices=["quality", "speed", "cost"])
    parser.add_argument("--clips", type=int, default=1_000_000, help="in the archive that time is measured in")
    parser.add_argument("--kept-only", action="store_true", help="of clips that are in the cache already")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    planned = plan(options.data, options.part, drawn=options.drawn, hard=options.hard)
    annotator = None if options.kept_only else build_annotator(load_settings())
    cache = options.cache / options.part
    if annotator is not None and options.only in {None, "cost"}:
        cost(options.data, annotator)
    if options.only == "cost":
        return
    if options.kept_only:
        there = {path.name for path in cache.glob("*.npz")}
        planned = [one for one in planned if f"{one.name.replace('/', ', ')}-{one.seed}.npz" in there]
    clips: list[Annotated] = []
    for number, one in enumerate(planned):
        clips += annotated(one, annotator, cache)
        print(f"{number + 1} of {len(planned)} clips", end="\r", file=sys.stderr, flush=True)
    if options.only != "speed":
        quality(clips)
    if options.only != "quality":
        speed(clips, options.clips)


if __name__ == "__main__":
    main()
