"""Draws the clips of all parts and annotates them, or takes them from where they were kept."""

import csv
import hashlib
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from annotator.accuracy.kept import KeptClips
from annotator.accuracy.subjects import PARTS, STRANGERS, HeldOut, Part, hold_out
from annotator.accuracy.trial import Trial, plan_clips
from annotator.build import build_annotator, build_detector, build_engine
from annotator.recognition.bundle import CREDITS
from annotator.recognition.collection import BuildSources, collect_pictures
from annotator.recognition.crops import FaceCrop
from annotator.recognition.embedding import FaceEmbedder
from annotator.settings import Settings
from annotator.starter import STARTER_BUNDLE, load_starter, starter_sources
from annotator.types import F32, U8

OTHER_SOURCES: Final = ("glint24", "sports5")
"""Photographs of another source than the gallery's: all are drawn, none is in the gallery."""

OTHERS_COME_FROM: Final = "ElisonSherton/Face-Applications"
"""Where those of ``glint24`` do. Six of its people the gallery knows by other photographs of this very source alone:
they are found far more often than the others, and are drawn, but not counted."""

OWN_SOURCES: Final = ("gallery", "known", STRANGERS)
SEED: Final = 7


@dataclass(frozen=True, slots=True)
class KeptEmbeddings:
    """An embedder that keeps what it has made in a folder."""

    embedder: FaceEmbedder
    folder: Path

    @property
    def network_id(self) -> str:
        """Of the network."""
        return self.embedder.network_id

    @property
    def precision(self) -> str:
        """That it runs in."""
        return self.embedder.precision

    @property
    def crop(self) -> FaceCrop:
        """How faces are cut."""
        return self.embedder.crop

    def embed(self, crops: U8) -> F32:
        """Return f32 (N, D) of u8 (N, S, S, 3)."""
        digest = hashlib.sha256(self.network_id.encode())
        digest.update(crops.tobytes())
        path = self.folder / f"embeddings-{digest.hexdigest()[:16]}.npy"
        if not path.exists():
            beside = path.with_suffix(".part.npy")
            np.save(beside, self.embedder.embed(crops))
            beside.replace(path)
        return np.asarray(np.load(path, allow_pickle=False), np.float32)


def held_out(data: Path, settings: Settings, folder: Path) -> HeldOut:
    """Return the starter model's gallery without some photographs, and these.

    Args:
        data: the folder with ``people/``.
        settings: for the networks.
        folder: keeps crops and embeddings.

    """
    engine = build_engine(settings)
    embedder = KeptEmbeddings(FaceEmbedder(engine, precision="f32"), folder)
    sources = starter_sources(data)
    people = data / "people"
    pictures = collect_pictures(
        _with_others(sources, people), embedder=embedder, detector=build_detector(settings, engine)
    )
    crops = folder / "crops"
    crops.mkdir(exist_ok=True)
    return hold_out(
        pictures, sources.strangers_dir, others=OTHER_SOURCES, bundle=load_starter(), embedder=embedder, folder=crops
    )


def _with_others(sources: BuildSources, people: Path) -> BuildSources:
    return replace(
        sources,
        gallery_dirs=(*sources.gallery_dirs, people / "glint24"),
        known_dirs=(*sources.known_dirs, people / "sports5"),
    )


def trials(held: HeldOut, settings: Settings, kept: KeptClips, *, most: int | None) -> dict[str, Trial]:
    """Return what is found in the drawn clips: of development people, of test people, and of other sources.

    Args:
        held: what is drawn.
        settings: for the annotator.
        kept: what was drawn and found already.
        most: how many clips of each; all by default.

    """
    planned = {str(part): plan_clips(held, part, sources=OWN_SOURCES, seed=SEED, most=most) for part in PARTS}
    other: Part = "test"
    planned["other sources"] = plan_clips(held, other, sources=(*OTHER_SOURCES,), seed=SEED + 1, most=most)
    annotator = build_annotator(settings)
    found = {}
    for name, scenes in planned.items():
        with _told(name, len(scenes)) as advance:
            found[name] = Trial(held, kept.show(scenes, held.photographs, annotator, advance=advance))
    return found | {"other sources": without(found["other sources"], known_by_that_source_alone())}


def known_by_that_source_alone() -> frozenset[str]:
    """Return whom the gallery knows by photographs of the source of ``glint24``, and by no others."""
    with (STARTER_BUNDLE / CREDITS).open(encoding="utf-8", newline="") as file:
        return frozenset(row["name"] for row in csv.DictReader(file) if row["sources"] == OTHERS_COME_FROM)


def without(trial: Trial, people: Collection[str]) -> Trial:
    """Return a trial of which the faces of some people do not count, although they are in its clips."""

    def is_meant(photograph: int | None) -> bool:
        return photograph is None or trial.held.subjects[photograph].key not in people

    clips = [
        replace(
            clip,
            faces=tuple(face for face in clip.faces if is_meant(face.photograph)),
            tracks=tuple(track for track in clip.tracks if is_meant(track.photograph)),
        )
        for clip in trial.clips
    ]
    return Trial(trial.held, clips)


@contextmanager
def _told(name: str, count: int) -> Iterator[Callable[[int], None]]:
    """Say how far it is, now and then."""
    began_s, done = time.monotonic(), 0

    def advance(clips: int) -> None:
        nonlocal done
        done += clips
        if clips > 1 or done % 100 == 0:
            print(f"  {name}: {done} of {count} clips", flush=True)

    yield advance
    print(f"  {count} clips in {time.monotonic() - began_s:.0f} s", flush=True)
