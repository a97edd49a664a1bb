"""What was measured, as tables and as pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image

from annotator.accuracy.intervals import wilson
from benchmarks.aliveness.tracks import FACES_PER_TRACK, KINDS, Kind, Track

CHANGES: Final = (0.04, 0.045, 0.05, 0.055, 0.06, 0.07, 0.08, 0.1)  # under which a face may count as a picture
FRAME_CHANGES: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # from which other things may count as moving
COSINES: Final = (0.9, 0.95, 0.97)
FLAT: Final = (0.3, 0.4, 0.5)
SMALL_FACE_PX: Final = 48
LIVING: Final = ("live", "every", "small")
"""Kinds of which nobody may be taken for a picture."""


def kinds_of(tracks: Sequence[Track]) -> dict[Kind, list[Track]]:
    """Return the tracks by kind."""
    by_kind = {kind: [one for one in tracks if one.kind == kind] for kind in KINDS}
    return {kind: mine for kind, mine in by_kind.items() if mine}


def share(count: int, total: int) -> str:
    """Return a share with its interval, in per cent."""
    interval = wilson(count, total)
    if interval is None:
        return f"{'-':>22}"
    low, value, high = (100 * one for one in (interval.low, interval.value, interval.high))
    return f"{value:5.1f} ({low:4.1f} to {high:5.1f})"


def show(
    tracks: Sequence[Track],
    name: str,
    measure: Callable[[Track], float],
    limits: Sequence[float],
    *,
    is_below: bool = False,
) -> None:
    """Print where the kinds lie in a measure, and which share of each is below, or above, limits."""
    values = {kind: np.array([measure(one) for one in mine]) for kind, mine in kinds_of(tracks).items()}
    print(f"\n{name}\n{'':9} tracks    least   10 %   50 %   90 %")
    for kind, mine in values.items():
        ends = np.quantile(mine, [0, 0.1, 0.5, 0.9])
        print(f"{kind:9} {len(mine):6}   " + " ".join(f"{end:6.3f}" for end in ends))
    print(
        f"\nper cent of tracks {'below' if is_below else 'above'}\n{'':9} " + " ".join(f"{one:^22}" for one in values)
    )
    for limit in limits:
        counts = [(int(((mine < limit) if is_below else (mine > limit)).sum()), len(mine)) for mine in values.values()]
        print(f"{limit:9} " + "  ".join(f"{share(*count):20}" for count in counts))


def show_choice(tracks: Sequence[Track]) -> None:
    """Print which limits one half of the clips chooses, and what they do to the other."""
    half = [one for one in tracks if one.is_for_choosing]
    living = np.array([one.change() for one in half if one.kind in LIVING])
    safe = [limit for limit in CHANGES if not (living < limit).any()]
    change = CHANGES[max(0, len(safe) - 2)]
    around = max(
        FRAME_CHANGES, key=lambda limit: _part_above(half, "poster", limit) - _part_above(half, "still", limit)
    )
    print(f"\none step below the highest limit that none of {len(living)} living tracks of one half is under: {change}")
    print(f"change of the frame that parts posters from stills best on that half: {around}")
    print("per cent of tracks of the other half that are on both sides of these, and that change inside less, alone")
    for kind, mine in kinds_of([one for one in tracks if not one.is_for_choosing]).items():
        below = [one for one in mine if one.change() < change]
        both = [one for one in below if one.change_around() >= around]
        print(f"{kind:9} {len(mine):4}   {share(len(both), len(mine))}   {share(len(below), len(mine))}")


def _part_above(tracks: Sequence[Track], kind: Kind, limit: float) -> float:
    return float(np.mean([one.change_around() >= limit for one in tracks if one.kind == kind]))


def show_marked(tracks: Sequence[Track]) -> None:
    """Print which share of the tracks is marked: of all, of those with a name, and by the size of the faces."""
    print("\nper cent of tracks that are marked by annotator.aliveness.is_picture")
    heads = ("all", "with a name", f"under {SMALL_FACE_PX} px", f"{SMALL_FACE_PX} px or more")
    print(f"{'':9} " + " ".join(f"{head:^29}" for head in heads))
    for kind, mine in kinds_of(tracks).items():
        marked = [(one, one.is_marked()) for one in mine]
        groups = (
            marked,
            [pair for pair in marked if pair[0].is_named],
            [pair for pair in marked if pair[0].face_px() < SMALL_FACE_PX],
            [pair for pair in marked if pair[0].face_px() >= SMALL_FACE_PX],
        )
        cells = [f"{share(sum(is_marked for _, is_marked in one), len(one)):22} of {len(one):3}" for one in groups]
        print(f"{kind:9} " + "  ".join(cells))


def draw_sheets(tracks: Sequence[Track], folder: Path) -> None:
    """Write the faces of each kind, a track a line with what it changes, those that change least first."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, of_kind in kinds_of(tracks).items():
        mine = sorted(of_kind, key=Track.change)
        sheet = np.zeros((56 * len(mine), (56 + 100) * FACES_PER_TRACK + 150, 3), np.uint8)
        for number, track in enumerate(mine):
            faces = np.concatenate([face[::2, ::2] for face in track.faces], axis=1)
            frames = np.concatenate([cv2.resize(frame, (100, 56)) for frame in track.frames], axis=1)
            line = sheet[56 * number : 56 * (number + 1)]
            line[:, : faces.shape[1]] = faces
            line[:, 56 * FACES_PER_TRACK :][:, : frames.shape[1]] = frames
            text = f"{track.change():.3f} {track.change_around():.3f}"
            at = ((56 + 100) * FACES_PER_TRACK + 5, 56 * number + 32)
            cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255))
        Image.fromarray(sheet).save(folder / f"{kind}.png")
