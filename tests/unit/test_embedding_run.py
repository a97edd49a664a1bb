"""Tracks that are with the embedder: their order, their errors, what is waited for."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest

from annotator.decoding import Clip
from annotator.embedding_run import AHEAD, EmbeddingRun
from annotator.metering import NoMeter, SharedStage
from annotator.recognition.crops import ALIGNED
from annotator.tracking import FrameFaces, TrackDraft, TrackingParams, TrackLinker
from annotator.types import F32, U8, MediaRef

WAIT_S = 10


class HeldEmbedder:
    """Embeds a face as its level, once it may; level 9 is an error."""

    network_id = "level"
    crop = ALIGNED

    def __init__(self) -> None:
        self.may = threading.Event()
        self.has_begun = threading.Event()
        self.counts: list[int] = []

    def embed(self, faces: U8) -> F32:
        self.has_begun.set()
        assert self.may.wait(WAIT_S)
        self.counts.append(len(faces))
        levels = faces[:, 0, 0, :2].astype(np.float32)
        if (levels == 9).any():
            raise ZeroDivisionError("a fault of ours")
        return levels


def clip(name: str) -> Clip:
    return Clip(MediaRef(name, f"file:///{name}"), TrackLinker(TrackingParams()))


def drafts(of: Clip, *levels: int) -> list[tuple[Clip, TrackDraft]]:
    """Return a track with a face for each level."""
    return [(of, draft) for level in levels for draft in _tracks(level)]


def _tracks(level: int) -> Sequence[TrackDraft]:
    linker = TrackLinker(TrackingParams())
    crops = np.full((1, 112, 112, 3), level, np.uint8)
    one = np.ones(1, np.float32)
    linker.add(
        FrameFaces(
            frame_index=0,
            pts_ms=0,
            from_ms=0,
            shown_ms=100,
            thumbnail=np.zeros((36, 64, 3), np.uint8),
            boxes_xyxy=np.array([[10, 10, 60, 60]], np.float32),
            scores=one,
            quality=one,
            face_px=one * 50,
            crops=crops,
            looks=np.zeros((1, 588), np.float32),
        )
    )
    return linker.finish()


@contextmanager
def run(embedder: HeldEmbedder, *, at_once: int = 64) -> Iterator[EmbeddingRun]:
    meter = NoMeter()
    networks = SharedStage(meter, "accelerator")
    with EmbeddingRun(embedder, networks=networks, meter=meter, at_once=at_once, keep_faces=False) as embedding:
        try:
            yield embedding
        finally:
            embedder.may.set()


def test_tracks_come_back_to_their_clips_in_the_order_in_which_they_were_given() -> None:
    first, second, embedder = clip("first"), clip("second"), HeldEmbedder()
    with run(embedder) as embedding:
        embedding.give([*drafts(first, 1, 2), *drafts(second, 3)], [first])
        embedding.give(drafts(second, 4), [second])
        assert not embedding.has_room
        embedder.may.set()
        assert list(embedding.take(wait=True))[:1] == [first]
        while embedding.is_busy:
            assert list(embedding.take(wait=True)) in ([second], [])
    assert [int(track.evidence.embeddings[0, 0]) for track in first.tracks] == [1, 2]
    assert [int(track.evidence.embeddings[0, 0]) for track in second.tracks] == [3, 4]
    assert embedder.counts == [3, 1]
    assert first.timings_s["embed"] > 0


def test_no_more_is_given_than_may_wait() -> None:
    embedder, empty = HeldEmbedder(), clip("empty")
    with run(embedder) as embedding:
        for _ in range(AHEAD):
            assert embedding.has_room
            embedding.give([], [empty])  # is no work
            embedding.give(drafts(clip("full"), 1), [])
        assert not embedding.has_room
        with pytest.raises(RuntimeError, match="more was given"):
            embedding.give(drafts(clip("full"), 1), [])


def test_many_faces_go_to_the_embedder_in_parts() -> None:
    one, embedder = clip("one"), HeldEmbedder()
    embedder.may.set()
    with run(embedder, at_once=2) as embedding:
        embedding.give(drafts(one, 1, 2, 3, 4, 5), [one])
        assert list(embedding.take(wait=True)) == [one]
    assert embedder.counts == [2, 2, 1]
    assert [int(track.evidence.embeddings[0, 0]) for track in one.tracks] == [1, 2, 3, 4, 5]


def test_nobody_waits_who_does_not_ask_to() -> None:
    one, embedder = clip("one"), HeldEmbedder()
    with run(embedder) as embedding:
        assert list(embedding.take(wait=True)) == [], "nothing was given"
        embedding.give(drafts(one, 1), [one])
        assert embedder.has_begun.wait(WAIT_S)
        assert list(embedding.take(wait=False)) == []
        assert embedding.is_busy
        embedder.may.set()
        assert list(embedding.take(wait=True)) == [one]
        assert not embedding.is_busy


def test_a_clip_without_a_face_waits_for_those_that_were_given_before_it() -> None:
    full, empty, embedder = clip("full"), clip("empty"), HeldEmbedder()
    with run(embedder) as embedding:
        embedding.give([], [empty])
        assert list(embedding.take(wait=False)) == [empty], "there is nothing to embed"
        embedding.give(drafts(full, 1), [full])
        embedding.give([], [empty])
        assert embedder.has_begun.wait(WAIT_S)
        assert list(embedding.take(wait=False)) == []
        embedder.may.set()
        assert list(embedding.take(wait=True)) == [full, empty]


def test_an_error_of_the_embedder_is_raised_where_its_tracks_are_taken() -> None:
    one, other, embedder = clip("one"), clip("other"), HeldEmbedder()
    with run(embedder) as embedding:
        embedding.give(drafts(one, 1), [one])
        embedding.give(drafts(other, 9), [other])
        embedder.may.set()
        assert list(embedding.take(wait=True)) == [one], "what came before it is not lost"
        with pytest.raises(ZeroDivisionError):
            embedding.take(wait=True)


def test_a_clip_does_not_come_back_without_the_tracks_that_failed() -> None:
    one, embedder = clip("one"), HeldEmbedder()
    embedder.may.set()
    with run(embedder) as embedding:
        embedding.give(drafts(one, 9), [])
        embedding.give(drafts(one, 1), [one])
        with pytest.raises(ZeroDivisionError):
            embedding.take(wait=True)
        assert list(embedding.take(wait=True)) == []
        assert not embedding.is_busy


def test_who_leaves_waits_only_for_the_faces_that_are_with_the_embedder() -> None:
    embedder, meter = HeldEmbedder(), NoMeter()
    networks = SharedStage(meter, "accelerator")
    with EmbeddingRun(embedder, networks=networks, meter=meter, at_once=1, keep_faces=False) as embedding:
        embedding.give(drafts(clip("one"), 1, 2, 3), [])
        last = embedding._groups[0].parts[-1]  # nothing else tells that it will never begin
        assert embedder.has_begun.wait(WAIT_S)
        last.add_done_callback(lambda _: embedder.may.set())
    assert last.cancelled()
    assert embedder.counts == [1]
