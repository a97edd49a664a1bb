"""Embed the best faces of tracks that have ended, while the next frames are searched.

Faces of many media go to the embedder together, from a thread of its own. Whoever links faces goes on meanwhile and
hands frames to the detector, for as long as there are any. What was given first comes back first.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np

from annotator.aliveness import is_picture
from annotator.decoding import Clip
from annotator.metering import SharedStage, StageMeter, metered
from annotator.recognition.crops import FaceCrop
from annotator.tracking import TrackDraft
from annotator.types import F32, U8

AHEAD: Final = 2
"""Groups with faces that may be given before one is taken: one with the embedder and the next, which does not wait."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Tracks that were given together, the clips that come back with them, and their faces' embeddings in parts."""

    drafts: Sequence[tuple[Clip, TrackDraft]]
    ended: Sequence[Clip]
    parts: Sequence[Future[tuple[F32, float]]]

    @property
    def is_done(self) -> bool:
        return all(part.done() for part in self.parts)

    @property
    def has_failed(self) -> bool:
        return self.is_done and any(part.exception() is not None for part in self.parts)


class EmbeddingRun:
    """The tracks that are with the embedder, of one ``annotate`` call."""

    def __init__(
        self, embedder: Embedder, *, networks: SharedStage, meter: StageMeter, at_once: int, keep_faces: bool
    ) -> None:
        """Take what embeds.

        Args:
            embedder: turns faces into embeddings.
            networks: the stage that embedding is in.
            meter: is told when tracks are finished.
            at_once: faces that go to the embedder together at most; whoever leaves the run waits for no more of them.
            keep_faces: whether tracks keep the crops of their best faces.

        """
        self._embedder = embedder
        self._networks = networks
        self._meter = meter
        self._at_once = at_once
        self._keep_faces = keep_faces
        self._groups: deque[_Group] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def is_busy(self) -> bool:
        """Whether something was given that was not taken yet."""
        return bool(self._groups)

    @property
    def brings_clips(self) -> bool:
        """Whether clips will come back that were not taken yet."""
        return any(group.ended for group in self._groups)

    @property
    def has_room(self) -> bool:
        """Whether more may be given before something is taken."""
        return sum(bool(group.parts) for group in self._groups) < AHEAD

    def give(self, drafts: Sequence[tuple[Clip, TrackDraft]], ended: Sequence[Clip]) -> None:
        """Have tracks embedded.

        Args:
            drafts: tracks that have ended, each with its clip.
            ended: clips that come back with them: their last tracks are these, or some that were given before.

        Raises:
            RuntimeError: there is no room: :meth:`take` first.

        """
        if not self.has_room:
            raise RuntimeError("more was given to the embedder than may wait for it")
        crops = [draft.best_inputs for _, draft in drafts]
        faces = np.concatenate(crops) if crops else np.zeros(0, np.uint8)
        starts = range(0, len(faces), self._at_once)
        parts = [self._thread.submit(self._embedded, faces[start : start + self._at_once]) for start in starts]
        self._groups.append(_Group(drafts, ended, parts))

    def take(self, *, wait: bool) -> Sequence[Clip]:
        """Give the tracks that are embedded to their clips, and return the clips that have all of theirs.

        What the embedder raises is raised here, once what came before it was returned; what was given after it never
        comes back, for its clips may lack the tracks that failed.

        Args:
            wait: whether to wait for those that were given first.

        """
        clips: list[Clip] = []
        while self._groups and (wait or self._groups[0].is_done) and not (clips and self._groups[0].has_failed):
            group, wait = self._groups.popleft(), False
            try:
                self._finish(group)
            except Exception:
                self._groups.clear()
                raise
            clips += group.ended
        return clips

    def _embedded(self, faces: U8) -> tuple[F32, float]:
        return self._networks.run(lambda: self._embedder.embed(faces))

    def _finish(self, group: _Group) -> None:
        """Give tracks their embeddings, and their part of the networks' time."""
        if not group.parts:
            return
        parts = [part.result() for part in group.parts]
        embeddings, seconds = np.concatenate([part for part, _ in parts]), sum(took for _, took in parts)
        used = 0
        for clip, draft in group.drafts:
            count = len(draft.best)
            with metered(self._meter, "link"):
                picture = is_picture(draft.best_faces, draft.best_thumbnails)
            track = draft.finish(embeddings[used : used + count], keep_faces=self._keep_faces, is_picture=picture)
            clip.tracks.append(track)
            clip.timings_s["embed"] += seconds * count / len(embeddings)
            used += count
