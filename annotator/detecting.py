"""Look for faces ahead of linking, so that the networks need not wait while faces are aligned, linked and named.

Batches of frames go to the detector a few at a time, each from a thread of its own, and come back in their order.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol, Self

import numpy as np

from annotator.decoding import Clip, DecodingRun
from annotator.decoding import Event as DecodedEvent
from annotator.metering import SharedStage
from annotator.types import U8, FaceDetections, FrameBatch, KnownMedia, MediaFailure


class FaceDetector(Protocol):
    """Finds faces. Used from several threads at once."""

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        """Return the faces of each frame; frames of any sizes, same order and length out."""

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        """Return the faces of each frame of some clips, whose frames follow each other in time.

        A clip gets the same, whatever else comes with it; on a GPU up to the rounding of float32.
        """

    def spec(self) -> dict[str, object]:
        """What of it can change a result."""


MAX_GAP_MS: Final = 1000
"""Samples further apart do not show what is between them: each is searched on its own."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFaces:
    """The faces of a clip's next frames.

    Attributes:
        clip: that they belong to.
        batch: the frames.
        faces: of each frame.
        seconds: their part of the networks' time.

    """

    clip: Clip
    batch: FrameBatch
    faces: Sequence[FaceDetections]
    seconds: float


# What decoding hands over, with faces instead of frames.
Event = FoundFaces | Clip | MediaFailure | KnownMedia | BaseException


class DetectingRun:
    """The batches that are with the detector, of one ``annotate`` call."""

    def __init__(
        self, decoding: DecodingRun, detector: FaceDetector, *, ahead: int, max_bytes: int, networks: SharedStage
    ) -> None:
        """Take where frames come from.

        Args:
            decoding: the run that decodes.
            detector: finds the faces.
            ahead: batches that are with it at a time, at most.
            max_bytes: of frames that are with it from which on no further batch joins them: large pictures, of which
                each takes many times its own memory, are searched one at a time.
            networks: the stage that searches are in.

        """
        self._decoding = decoding
        self._detector = detector
        self._ahead = ahead
        self._networks = networks
        self._flight: deque[tuple[Future[list[Event]], int]] = deque()
        self._max_bytes = max_bytes
        self._threads = ThreadPoolExecutor(ahead, thread_name_prefix="look")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def is_finished(self) -> bool:
        """Whether decoding is, and everything has been taken."""
        return self._decoding.is_finished and not self._flight

    def take(self, *, wait: bool) -> list[Event]:
        """Return the next events, in their order; none only where nothing is there and none is waited for.

        Args:
            wait: whether to wait for decoding where the detector has nothing.

        """
        while self._has_room:
            events = self._decoding.take(wait=wait and not self._flight)
            if not events:
                break
            size = sum(event[1].images.nbytes for event in events if isinstance(event, tuple))
            self._flight.append((self._threads.submit(self._found, events), size))
        if not self._flight:
            return []
        # Frames that come from now on wait for the next call: decoding was late already.
        with self._decoding.hungry() if self._has_room else nullcontext():
            return self._flight.popleft()[0].result()

    @property
    def _has_room(self) -> bool:
        """Whether a further batch may join those that are with the detector."""
        return len(self._flight) < self._ahead and sum(size for _, size in self._flight) < self._max_bytes

    def _found(self, events: Sequence[DecodedEvent]) -> list[Event]:
        """Put the faces in the frames' place."""
        runs = [run for event in events if isinstance(event, tuple) for run in neighbouring_frames(event[1])]
        found_in_runs, seconds = self._networks.run(lambda: self._detector.detect_clips(runs)) if runs else ([], 0.0)
        faces = iter([of_frame for run in found_in_runs for of_frame in run])
        frame_s = seconds / max(sum(len(run) for run in runs), 1)
        found: list[Event] = []
        for event in events:
            if isinstance(event, tuple):
                clip, batch = event
                found.append(FoundFaces(clip, batch, [next(faces) for _ in range(len(batch))], frame_s * len(batch)))
            elif event is not None:
                found.append(event)
        return found


def neighbouring_frames(batch: FrameBatch) -> list[list[U8]]:
    """Cut the frames of a batch where they are far apart in time; each run is searched as a clip of its own.

    Returns:
        The runs, in the order of time: each one or more frames, u8 (H, W, 3).

    """
    gaps = np.flatnonzero(np.diff(batch.pts_ms) > MAX_GAP_MS) + 1
    bounds = [0, *gaps.tolist(), len(batch)]
    return [list(batch.images[start:end]) for start, end in pairwise(bounds)]
