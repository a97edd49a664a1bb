"""What was drawn and found, kept in files, a part at a time: drawing and annotating takes minutes, judging seconds.

A part is known by all that decides it: the plan of its clips, the bytes of their photographs, the networks with what
they are asked for, and the program that draws, decodes, searches and follows faces. So a run that was interrupted goes
on where it was, and nothing is taken over that would come out otherwise now.
"""

import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import PIL

from annotator.accuracy.scenes import Scene
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip, show_clips
from annotator.appearing import appearing_file
from annotator.errors import ConfigError, LocalDiskError
from annotator.pipeline import Annotator
from annotator.types import TrackEvidence

CLIPS_A_PART: Final = 8
"""Clips that are kept together: an interruption loses those of one or two parts that are not whole."""

_PROGRAM: Final = (
    "accuracy/drawing.py",
    "accuracy/scenes.py",
    "accuracy/tracks.py",
    "assignment.py",
    "decoding.py",
    "detecting.py",
    "detection",
    "embedding_run.py",
    "media",
    "native",
    "networks",
    "pipeline.py",
    "quality.py",
    "recognition/alignment.py",
    "recognition/crops.py",
    "recognition/embedding.py",
    "render/writers.py",
    "runtime",
    "tracking.py",
)
"""What decides what is drawn and found, files and folders of the package."""

_SOURCES: Final = (".py", ".c", ".h")
_DIGITS: Final = 32


class KeptClips:
    """A folder of clips that were drawn and annotated.

    Attributes:
        folder: made if missing.
        is_fresh: draw everything anew, and replace what is kept.

    """

    def __init__(self, folder: Path, *, is_fresh: bool = False) -> None:
        """Take a folder.

        Raises:
            LocalDiskError: it cannot be made.

        """
        self.folder = folder
        self.is_fresh = is_fresh
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalDiskError(f"the folder {folder} cannot be made: {error}") from error

    def show(
        self,
        scenes: Sequence[Scene],
        photographs: Mapping[int, Path],
        annotator: Annotator,
        *,
        advance: Callable[[int], object] = lambda _: None,
    ) -> list[ShownClip]:
        """Return planned clips as they were drawn and found; draw and annotate those that are not kept.

        Args:
            scenes: what is drawn.
            photographs: aligned crops by their numbers.
            annotator: looks at them.
            advance: told how many clips more are there; first of all those that were kept.

        Raises:
            AnnotatorError: a clip could not be read.
            ConfigError: a photograph is not there or no aligned crop, or what was kept is damaged.
            LocalDiskError: a part cannot be written.

        """
        parts = [scenes[start : start + CLIPS_A_PART] for start in range(0, len(scenes), CLIPS_A_PART)]
        read = {number: _file_digest(photographs[number]) for number in sorted(_photographs_of(scenes))}
        paths = [self.folder / f"clips-{part_digest(part, read, annotator.network_spec)}.npz" for part in parts]
        missing = [number for number, path in enumerate(paths) if self.is_fresh or not path.exists()]
        advance(len(scenes) - sum(len(parts[number]) for number in missing))
        number_of = {scene.name: number for number in missing for scene in parts[number]}
        waiting: dict[int, list[ShownClip]] = {number: [] for number in missing}
        with _drawing_processes() as executor:
            asked = [scene for number in missing for scene in parts[number]]
            for clip in show_clips(asked, photographs, annotator, executor) if asked else ():
                number = number_of[clip.scene.name]
                waiting[number].append(clip)
                if len(waiting[number]) == len(parts[number]):
                    keep_clips(paths[number], waiting.pop(number))
                advance(1)
        return [clip for path, part in zip(paths, parts, strict=True) for clip in kept_clips(path, part)]


def part_digest(
    scenes: Sequence[Scene], photograph_digests: Mapping[int, str], network_spec: Mapping[str, object]
) -> str:
    """Return what names the clips of some scenes, hexadecimal: the digest of all that decides them.

    Args:
        scenes: what is drawn.
        photograph_digests: of the bytes of the photographs, by their numbers; those that are not drawn do not count.
        network_spec: ``Annotator.network_spec``.

    """
    photographs = {number: photograph_digests[number] for number in sorted(_photographs_of(scenes))}
    plan = [repr(scene) for scene in scenes]
    libraries = [cv2.__version__, np.__version__, PIL.__version__]
    decides = [plan, list(photographs.items()), network_spec, program_digest(), libraries]
    return sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:_DIGITS]


@cache
def program_digest() -> str:
    """Return the digest, hexadecimal, of the program that draws, decodes, searches and follows faces."""
    package = Path(__file__).parents[1]
    digest = sha256()
    for name in _PROGRAM:
        place = package / name
        files = sorted(path for path in place.rglob("*") if path.suffix in _SOURCES) if place.is_dir() else [place]
        for path in files:
            digest.update(f"{path.relative_to(package)} ".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _photographs_of(scenes: Iterable[Scene]) -> set[int]:
    return {one.photograph for scene in scenes for shot in scene.shots for one in shot.appearances}


def _file_digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"the photograph {path} cannot be read: {error}") from error


@contextmanager
def _drawing_processes() -> Iterator[Executor]:
    """Start what draws. An interruption is the caller's: the processes finish the clips at hand and take no other."""
    executor = ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn"), initializer=_leave_interrupts)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def keep_clips(path: Path, clips: Sequence[ShownClip]) -> None:
    """Write clips to a file, in one step.

    Args:
        path: of the file, ``.npz``; replaced.
        clips: without their scenes, which are planned again.

    Raises:
        LocalDiskError: it cannot be written.

    """
    tracks = [track for clip in clips for track in clip.tracks]
    told = [
        {
            "name": clip.scene.name,
            "faces": [asdict(face) for face in clip.faces],
            "tracks": [
                {"shot": one.shot, "photograph": one.photograph, "kind": one.kind, "spans": one.spans}
                for one in clip.tracks
            ],
        }
        for clip in clips
    ]
    evidence = [track.evidence for track in tracks]
    sizes = {len(one.embeddings[0]) for one in evidence if len(one)}
    width = sizes.pop() if sizes else 0
    arrays: dict[str, Any] = {
        "told": np.frombuffer(json.dumps(told).encode(), np.uint8),
        "counts": np.array([len(one) for one in evidence], np.int64),
        "embeddings": np.concatenate(
            [np.zeros((0, width), np.float16), *(one.embeddings.reshape(-1, width) for one in evidence)]
        ),
        "face_px": np.concatenate([np.zeros(0, np.float16), *(one.face_px for one in evidence)]),
        "quality": np.concatenate([np.zeros(0, np.float16), *(one.quality for one in evidence)]),
    }
    with appearing_file(path) as file:  # two runs may be at the same part
        np.savez(file, **arrays)


def kept_clips(path: Path, scenes: Sequence[Scene]) -> list[ShownClip]:
    """Read clips from a file, in the order of the scenes.

    Args:
        path: of the file.
        scenes: what was drawn, planned again.

    Raises:
        ConfigError: the file is damaged, or has other clips.

    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            told = {one["name"]: one for one in json.loads(file["told"].tobytes())}
            ends = np.cumsum(file["counts"])[:-1]
            parts = [np.split(file[name], ends) for name in ("embeddings", "face_px", "quality")]
        evidence = iter([TrackEvidence(*one) for one in zip(*parts, strict=True)])
        found = {
            name: (
                tuple(_face(face) for face in one["faces"]),
                tuple(_track(name, track, next(evidence)) for track in one["tracks"]),
            )
            for name, one in told.items()
        }
        return [ShownClip(scene, *found[scene.name]) for scene in scenes]
    except (ValueError, KeyError, TypeError, OSError, EOFError, StopIteration, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} has not the clips that are asked for ({error}): remove it, or draw anew by --fresh"
        ) from error


def _face(told: dict[str, Any]) -> SeenFace:
    return SeenFace(**{**told, "span": tuple(told["span"])})


def _track(clip: str, told: dict[str, Any], evidence: TrackEvidence) -> SeenTrack:
    spans = tuple((start, end) for start, end in told["spans"])
    return SeenTrack(clip, told["shot"], told["photograph"], told["kind"], evidence, spans)
