"""Which track is meant by a correction: the one that was seen at the same time and in the same place.

A correction keeps the boxes of the track that a person has looked at. Another network samples other frames and numbers
its tracks otherwise, but the face is where it was.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from annotator.recognition.calibration import F64
from annotator.store.codec import StoredBoxes
from annotator.types import I64

MIN_IOU: Final = 0.5
"""Least mean overlap, intersection over union, of the boxes of two tracks that may be one face."""


def find_track(meant: StoredBoxes, its_tracks: Mapping[int, StoredBoxes]) -> int | None:
    """Return the number of the track that overlaps most in time and place with what was looked at.

    Args:
        meant: where and when the face was seen.
        its_tracks: of the same content, by number.

    Returns:
        The number; None where no track shares time with it at a mean IoU of at least ``MIN_IOU``. Where a network has
        cut what was one track, that is one of the pieces: the others may be somebody else.

    """
    shared = {number: overlap(meant, boxes) for number, boxes in its_tracks.items()}
    best = max(shared, key=lambda number: (shared[number], -number), default=None)
    return best if best is not None and shared[best] > 0 else None


def find_pieces(meant: StoredBoxes, its_tracks: Mapping[int, StoredBoxes]) -> list[int]:
    """Return the numbers of all tracks that are of what was looked at, the one of :func:`find_track` first.

    Another piece is a track that lies in what was looked at: the mean IoU over all of its own time, 0 where it shares
    none, is at least ``MIN_IOU``. Empty where no track overlaps.
    """
    best = find_track(meant, its_tracks)
    if best is None:
        return []
    others = [
        number
        for number, boxes in its_tracks.items()
        if number != best and (shared := overlap(meant, boxes)) and shared >= MIN_IOU * _length_ms(boxes)
    ]
    return [best, *others]


def overlap(one: StoredBoxes, other: StoredBoxes) -> float:
    """Return how much two tracks of one content share: milliseconds of displayed time x mean IoU in that time.

    Boxes between two samples are interpolated, so that tracks of different samplings can be compared. It is 0 where the
    tracks share no time, or the mean IoU is below ``MIN_IOU``. A frame that is shown for no time counts as one
    millisecond: still pictures have tracks, too.
    """
    if not len(one.pts_ms) or not len(other.pts_ms):
        return 0.0
    (start, end), (from_ms, to_ms) = _span(one), _span(other)
    first, last = max(start, from_ms), min(end, to_ms)
    if first >= last:
        return 0.0
    # Where both were sampled before and after, nothing is assumed but a steady motion between samples.
    begin, finish = max(one.pts_ms[0], other.pts_ms[0]), min(one.pts_ms[-1], other.pts_ms[-1])
    sampled = np.union1d(one.pts_ms, other.pts_ms)
    times = sampled[(sampled >= begin) & (sampled <= finish)]
    times = times if len(times) else np.array([(first + last) // 2], np.int64)
    mean = float(_iou(_boxes_at(one, times), _boxes_at(other, times)).mean())
    return (last - first) * mean if mean >= MIN_IOU else 0.0


def _length_ms(track: StoredBoxes) -> int:
    start, end = _span(track)
    return end - start


def _span(track: StoredBoxes) -> tuple[int, int]:
    start = int(track.from_ms[0])
    return start, max(start + 1, int(track.from_ms[-1] + track.shown_ms[-1]))


def _boxes_at(track: StoredBoxes, times_ms: I64) -> F64:
    """Return f64 (T, 4), where the face was at these times; before its first and after its last sample it stays."""
    edges = track.boxes_xyxy.astype(np.float64).T
    return np.stack([np.interp(times_ms, track.pts_ms, edge) for edge in edges], axis=1)


def _iou(one: F64, other: F64) -> F64:
    """Return f64 (T,), intersection over union of boxes (T, 4) pair by pair, 0 for boxes without area."""
    corners = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    shared = np.prod(np.maximum(corners, 0.0), axis=1)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1) for boxes in (one, other)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0), np.float64)
