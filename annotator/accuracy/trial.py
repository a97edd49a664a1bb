"""Drawn clips of the people of one part, beside a gallery: what is planned, and what is said of what was found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from annotator.accuracy.judging import judge_in_folds
from annotator.accuracy.measures import Flags, JudgedTracks
from annotator.accuracy.scenes import Scene, plan_scene
from annotator.accuracy.subjects import HeldOut, Part, Subject
from annotator.accuracy.tracks import SeenTrack, ShownClip

_OTHERS: Final = 3  # faces that posters and cartoons of one clip may show
_PEOPLE_A_CLIP: Final = (1, 1, 2, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Drawn clips of the people of one part, and what is said of them.

    Attributes:
        held: the gallery and the photographs.
        clips: that were drawn and annotated.
        tracks: all that were found.
        folds: tracks named by galleries that lack a fifth of the people each, so that everybody is a stranger once.

    """

    held: HeldOut
    clips: Sequence[ShownClip]
    tracks: Sequence[SeenTrack] = field(init=False)
    folds: JudgedTracks = field(init=False)

    def __post_init__(self) -> None:
        """Name everybody."""
        put = object.__setattr__
        put(self, "tracks", [track for clip in self.clips for track in clip.tracks])
        put(self, "folds", judge_in_folds(self.tracks, self.held.subjects, self.held.bundle))

    def subject(self, track: SeenTrack) -> Subject:
        """Return who is on a track that lies on a photograph."""
        if track.photograph is None:
            raise ValueError("nothing was drawn there")
        return self.held.subjects[track.photograph]

    def which(self, judged: JudgedTracks, is_meant: Callable[[SeenTrack], bool]) -> Flags:
        """Return bool (N,), which judged tracks are meant."""
        flags = np.array([is_meant(track) for track in self.tracks], np.bool_)
        return np.asarray(flags[judged.tracks], np.bool_)


def plan_clips(held: HeldOut, part: Part, *, sources: Sequence[str], seed: int, most: int | None = None) -> list[Scene]:
    """Plan clips that show each photograph of the people of one part once, among others of them.

    Args:
        held: the photographs.
        part: of the people.
        sources: of the photographs.
        seed: of all that is left to chance.
        most: how many clips; all by default.

    """
    numbers = held.numbers(part, sources=sources)
    random = np.random.default_rng(seed)
    rest = [numbers[place] for place in random.permutation(len(numbers))]
    scenes: list[Scene] = []
    while rest and (most is None or len(scenes) < most):
        count = int(random.choice(_PEOPLE_A_CLIP))
        group, rest = rest[:count], rest[count:]
        others = random.choice(numbers, min(_OTHERS, len(numbers)), replace=False).tolist()
        name = f"{part}-{seed}-{len(scenes):05d}"
        scenes.append(plan_scene(name, group, others=others, seed=int(random.integers(2**31))))
    return scenes


def size_of(track: SeenTrack) -> float:
    """Return the largest side of a track's faces, in pixels of the clip; 0 without faces."""
    return float(track.evidence.face_px.max()) if len(track.evidence) else 0.0


def quality_of(track: SeenTrack) -> float:
    """Return the quality of a track's best face; 0 without faces."""
    return float(track.evidence.quality.max()) if len(track.evidence) else 0.0
