"""What is drawn: who is seen when, where and how in a made-up clip.

A scene is planned with numbers of a generator and drawn later (``annotator.accuracy.drawing``). Each appearance is made
of **one** photograph: faces of one real track resemble each other far more than photographs of one person do, and a
track made of several photographs would be too easy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

Kind = Literal["live", "poster", "cartoon"]
"""Whether a face is a person's, or a picture's that hangs in the background, or drawn."""

Format = Literal["gif", "mp4"]

SIZES_WH: Final = ((320, 240), (400, 226), (480, 270), (480, 360), (500, 282), (360, 450))
"""Of GIFs as people post them."""

MIN_FACE_PX: Final = 26.0
MAX_FACE_PX: Final = 150.0
"""Sides of the square that becomes the aligned face; the median of real clips is 59, a quarter is under 40."""

FPS_OF_MP4: Final = 25
GIF_DELAYS_MS: Final = (40, 50, 60, 70, 80, 100, 120)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a face is.

    Attributes:
        x: centre, as a part of the frame's width.
        y: centre, as a part of its height.
        face_px: side of the square that becomes the aligned face, in pixels of the frame.
        turn_deg: how far it is turned in the plane.

    """

    x: float
    y: float
    face_px: float
    turn_deg: float


@dataclass(frozen=True, slots=True)
class Appearance:
    """A face in a shot.

    Attributes:
        photograph: number of the photograph that it is made of.
        kind: what it is.
        first: where it is at the beginning of the shot.
        last: where at its end.
        is_mirrored: whether left and right are exchanged.

    """

    photograph: int
    kind: Kind
    first: Place
    last: Place
    is_mirrored: bool


@dataclass(frozen=True, slots=True)
class Shot:
    """Some frames between two cuts.

    Attributes:
        frames: how many.
        appearances: whose faces are seen; later ones stand before earlier ones.
        seed: of the background and the noise.
        caption: a line of text over the lower part; empty for none.
        hides_faces: the caption lies over the lower half of the first face.
        motion_px: how far the camera moves while a frame is exposed, across and down.
        contrast: factor around the middle grey.
        brightness: added afterwards.

    """

    frames: int
    appearances: tuple[Appearance, ...]
    seed: int
    caption: str
    hides_faces: bool
    motion_px: tuple[float, float]
    contrast: float
    brightness: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A clip.

    Attributes:
        name: of the file, without its ending.
        format: of the file.
        size_wh: of the frames.
        delays_ms: how long each frame is shown.
        colours: of a GIF's palette.
        shots: in order.

    """

    name: str
    format: Format
    size_wh: tuple[int, int]
    delays_ms: tuple[int, ...]
    colours: int
    shots: tuple[Shot, ...]

    def tags(self) -> dict[str, bool]:
        """Return what the clip shows that may make it hard, for tables by what was drawn."""
        appearances = [one for shot in self.shots for one in shot.appearances]
        return {
            "several people": any(sum(one.kind == "live" for one in shot.appearances) > 1 for shot in self.shots),
            "cuts": len(self.shots) > 1,
            "motion blur": any(max(map(abs, shot.motion_px)) > 0 for shot in self.shots),
            "captions": any(shot.caption for shot in self.shots),
            "captions over faces": any(shot.hides_faces for shot in self.shots),
            "mirrored": any(one.is_mirrored for one in appearances),
            "posters": any(one.kind == "poster" for one in appearances),
            "cartoons": any(one.kind == "cartoon" for one in appearances),
            "few colours": self.format == "gif" and self.colours < 128,
        }


CAPTIONS: Final = (
    "WHEN YOU SEE IT",
    "wait, what?",
    "ME ON MONDAYS",
    "no. just no.",
    "THAT MOMENT WHEN",
    "i can't even",
    "OH MY GOD",
    "nailed it",
)


def plan_scene(name: str, photographs: Sequence[int], *, others: Sequence[int], seed: int) -> Scene:
    """Plan a clip.

    Args:
        name: of the clip.
        photographs: of the people who appear, each once at least; at most three.
        others: of faces for posters and cartoons; may be empty.
        seed: of all that is drawn by chance: equal ones make equal scenes.

    """
    random = np.random.default_rng(seed)
    size_wh = SIZES_WH[random.integers(len(SIZES_WH))]
    is_gif = bool(random.random() < 0.7)
    shots = tuple(_shot(group, others, size_wh, random) for group in _groups(photographs, random))
    frames = sum(shot.frames for shot in shots)
    delay_ms = int(random.choice(GIF_DELAYS_MS)) // (2 if random.random() < 0.15 else 1)  # sped up
    delays = tuple(10 * max(2, round(delay_ms * random.uniform(0.7, 1.4) / 10)) for _ in range(frames))
    return Scene(
        name=name,
        format="gif" if is_gif else "mp4",
        size_wh=size_wh,
        delays_ms=delays if is_gif else (1000 // FPS_OF_MP4,) * frames,
        colours=int(random.choice((32, 64, 128, 256, 256))),
        shots=shots,
    )


def _groups(photographs: Sequence[int], random: np.random.Generator) -> list[list[int]]:
    """Say who is seen in which shot: all in one, or one after another; a person may come back."""
    people = [int(one) for one in random.permutation(list(photographs))]
    if len(people) == 1:
        return [people] * (2 if random.random() < 0.2 else 1)
    if random.random() < 0.5:
        return [people[:2], *[[one] for one in people[2:]]]
    groups = [[one] for one in people]
    return [*groups, groups[0]] if random.random() < 0.3 else groups


def _shot(group: Sequence[int], others: Sequence[int], size_wh: tuple[int, int], random: np.random.Generator) -> Shot:
    appearances = []
    if others and random.random() < 0.15:
        appearances.append(_picture(int(random.choice(list(others))), size_wh, random))
    width = 1.0 / len(group)
    for number, photograph in enumerate(group):
        across = ((number + 0.35) * width, (number + 0.65) * width)
        appearances.append(_person(photograph, across, size_wh, random))
    has_caption = bool(random.random() < 0.25)
    is_blurred = random.random() < 0.25
    return Shot(
        frames=int(random.integers(10, 36)),
        appearances=tuple(appearances),
        seed=int(random.integers(2**31)),
        caption=str(random.choice(CAPTIONS)) if has_caption else "",
        hides_faces=has_caption and bool(random.random() < 0.25),
        motion_px=(float(random.uniform(-5, 5)), float(random.uniform(-3, 3))) if is_blurred else (0.0, 0.0),
        contrast=float(random.uniform(0.7, 1.2)),
        brightness=float(random.uniform(-25, 25)),
    )


def _picture(photograph: int, size_wh: tuple[int, int], random: np.random.Generator) -> Appearance:
    """Plan a poster or a cartoon: it hangs in the background and does not move."""
    kind: Kind = "poster" if random.random() < 0.6 else "cartoon"
    face_px = float(np.exp(random.uniform(np.log(MIN_FACE_PX), np.log(0.3 * size_wh[1]))))
    x, y, turn_deg = random.uniform(0.12, 0.3), random.uniform(0.2, 0.35), random.normal(0, 6)
    place = Place(float(x), float(y), face_px, float(turn_deg))
    return Appearance(photograph, kind, place, place, is_mirrored=False)


def _person(
    photograph: int, across: tuple[float, float], size_wh: tuple[int, int], random: np.random.Generator
) -> Appearance:
    """Plan a person who stays within a part of the width, nearer or farther at the end of the shot."""
    most_px = min(MAX_FACE_PX, 0.62 * min(size_wh[1], size_wh[0] * (across[1] - across[0]) / 0.3))
    face_px = float(np.exp(random.uniform(np.log(MIN_FACE_PX), np.log(most_px))))
    first = Place(
        x=float(random.uniform(*across)),
        y=float(random.uniform(0.38, 0.6)),
        face_px=face_px,
        turn_deg=float(random.normal(0, 6)),
    )
    zoom = float(np.exp(random.normal(0, 0.12)))
    last = Place(
        x=float(np.clip(first.x + random.normal(0, 0.03), *across)),
        y=float(np.clip(first.y + random.normal(0, 0.03), 0.35, 0.62)),
        face_px=float(np.clip(face_px * zoom, MIN_FACE_PX, most_px)),
        turn_deg=first.turn_deg + float(random.normal(0, 4)),
    )
    return Appearance(photograph, "live", first, last, is_mirrored=bool(random.random() < 0.1))
