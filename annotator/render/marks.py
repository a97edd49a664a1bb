"""Which boxes a frame carries: those of the sampled frames, and between them."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annotator.render.drawing import TRACK_COLOURS, UNKNOWN_COLOUR, Colour, FaceMark
from annotator.results import confidence_in_words
from annotator.types import FaceTrack, TrackLabel

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2, in pixels of the frame; may reach beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnTrack:
    """A track with the text and the colour that it is drawn with."""

    track: FaceTrack
    text: str
    colour: Colour


def drawn_tracks(tracks: Sequence[FaceTrack], labels: Sequence[TrackLabel]) -> list[DrawnTrack]:
    """Give each track its text and its colour: one colour a person, grey for unknown ones.

    The text of a track that shows a picture in the clip says so.
    """
    colour_by_name: dict[str, Colour] = {}
    drawn = []
    for track, label in zip(tracks, labels, strict=True):
        where = ", on a picture" if track.is_picture else ""
        if label.identity is None or label.confidence is None:
            drawn.append(DrawnTrack(track, f"unknown{where}", UNKNOWN_COLOUR))
            continue
        name = label.identity.name
        colour = colour_by_name.setdefault(name, TRACK_COLOURS[len(colour_by_name) % len(TRACK_COLOURS)])
        drawn.append(DrawnTrack(track, f"{name} {confidence_in_words(label.confidence)}{where}", colour))
    return drawn


def marks_at(pts_ms: int, tracks: Sequence[DrawnTrack], *, cuts_ms: Sequence[int] = ()) -> list[FaceMark]:
    """Return the marks of one frame.

    Between two sampled frames of a track its box moves evenly. Before the first and after the last one it stands still
    for the frame's share of displayed time, but never beyond a shot boundary.

    Args:
        pts_ms: when the frame appears.
        tracks: of the whole media.
        cuts_ms: when the frames appear that begin a new shot, ascending.

    """
    marks = []
    for drawn in tracks:
        box = box_at(pts_ms, drawn.track, cuts_ms)
        if box is not None:
            marks.append(FaceMark(box, drawn.text, drawn.colour))
    return marks


def box_at(pts_ms: int, track: FaceTrack, cuts_ms: Sequence[int], *, held_ms: int = 0) -> Box | None:
    """Return where the face of a track is on a frame, None where it is not there.

    Args:
        pts_ms: when the frame appears.
        track: of the same media.
        cuts_ms: when the frames appear that begin a new shot, ascending.
        held_ms: how long, beyond its share of displayed time, the box stands still before the first sampled frame that
            shows the face, and after the last one.

    """
    first, last = int(track.pts_ms[0]), int(track.pts_ms[-1])
    if not first <= pts_ms <= last:
        near = first if pts_ms < first else last
        is_shown = track.start_ms - held_ms <= pts_ms < track.end_ms + held_ms
        if not is_shown or _has_cut(min(pts_ms, near), max(pts_ms, near), cuts_ms):
            return None
    corners = (np.interp(pts_ms, track.pts_ms, track.boxes_xyxy[:, corner]) for corner in range(4))
    x1, y1, x2, y2 = (float(corner) for corner in corners)
    return x1, y1, x2, y2


def _has_cut(after_ms: int, until_ms: int, cuts_ms: Sequence[int]) -> bool:
    return bisect.bisect_right(cuts_ms, after_ms) < bisect.bisect_right(cuts_ms, until_ms)
