"""Embed the best faces of tracks that have ended, beside the search for the next ones.

Faces of many media go to the embedder together, from a thread of its own, so that nothing waits for them: whoever links
faces goes on, and hands frames to the detector. What was given first comes back first.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol, Self

import numpy as np

from annotator.aliveness import is_picture
from annotator.decoding import Clip
from annotator.metering import SharedStage, StageMeter, metered
from annotator.recognition.crops import FaceCrop
from annotator.tracking import TrackDraft
from annotator.types import F32, U8

AHEAD: Final = 2
"""Groups of tracks that are given at a time: one with the embedder, and the next, so that it need not wait."""


class Embedder(Protocol):
    """Turns aligned faces into embeddings. Used from one thread at a time."""

    @property
    def network_id(self) -> str:
        """Names the embedding space."""

    @property
    def crop(self) -> FaceCrop:
        """How faces are cut for it."""

    def embed(self, faces: U8) -> F32:
        """Return f32 (N, D) of unit norm for u8 (N, S, S, 3) RGB crops of its kind."""


Drafts = Sequence[tuple[Clip, TrackDraft]]
"""Tracks that have ended, each with the clip that it belongs to."""


class EmbeddingRun:
    """The tracks that are with the embedder, of one ``annotate`` call."""

    def __init__(self, embedder: Embedder, *, networks: SharedStage, meter: StageMeter, keep_faces: bool) -> None:
        """Take what embeds.

        Args:
            embedder: turns faces into embeddings.
            networks: the stage that embedding is in.
            meter: is told when tracks are finished.
            keep_faces: whether tracks keep the crops of their best faces.

        """
        self._embedder = embedder
        self._networks = networks
        self._meter = meter
        self._keep_faces = keep_faces
        self._flight: deque[tuple[Drafts, Sequence[Clip], Future[tuple[F32, float]] | None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def is_busy(self) -> bool:
        """Whether something was given that was not taken yet."""
        return bool(self._flight)

    @property
    def has_room(self) -> bool:
        """Whether more may be given before something is taken."""
        return len(self._flight) < AHEAD

    def give(self, drafts: Drafts, ended: Sequence[Clip]) -> None:
        """Have tracks embedded.

        Args:
            drafts: the tracks.
            ended: clips that come back with them: these, or some given before, were their last tracks.

        """
        faces = [draft.best_inputs for _, draft in drafts]
        future = self._thread.submit(self._embedded, np.concatenate(faces)) if faces else None
        self._flight.append((drafts, ended, future))

    def take(self, *, wait: bool) -> Sequence[Clip]:
        """Give the tracks that are embedded to their clips, and return the clips that have all of theirs.

        Args:
            wait: whether to wait for those that were given first.

        """
        done: list[Clip] = []
        while self._flight:
            drafts, ended, future = self._flight[0]
            if future is not None:
                if not (wait or future.done()):
                    break
                self._finish(drafts, *future.result())
            self._flight.popleft()
            done += ended
            wait = False
        return done

    def _embedded(self, faces: U8) -> tuple[F32, float]:
        return self._networks.run(lambda: self._embedder.embed(faces))

    def _finish(self, drafts: Drafts, embeddings: F32, seconds: float) -> None:
        """Give tracks their embeddings, and their part of the networks' time."""
        used = 0
        for clip, draft in drafts:
            count = len(draft.best)
            with metered(self._meter, "link"):
                picture = is_picture(draft.best_faces, draft.best_thumbnails)
            track = draft.finish(embeddings[used : used + count], keep_faces=self._keep_faces, is_picture=picture)
            clip.tracks.append(track)
            clip.timings_s["embed"] += seconds * count / len(embeddings)
            used += count
