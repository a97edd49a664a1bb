"""``celery -A prepared_app``: the worker program with an annotator that returns prepared results after a set time.

Everything of the queue and the store is the real thing; only decoding and the networks are left out. Half of the
contents have no face, a third one track, the rest two; every third track is somebody known.
"""

import hashlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from annotator.settings import Settings, load_settings
from annotator.store.known import KnownContents
from annotator.store.store import Store
from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    KnownMedia,
    MediaAnnotation,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)
from workers.annotating.engine import Outcome
from workers.annotating.results import StoreRows
from workers.app import create_app
from workers.boot import Parts, prepare_worker

SPEC = {"name": "prepared"}
PEOPLE = tuple(Identity(f"Person {number:03d}") for number in range(300))
EMBEDDING = 128
FACES_PER_TRACK = 5
DETECTIONS_PER_TRACK = 12
_READERS = 2
_AHEAD = 32
_VARIANTS = 512
_TELL_EVERY = 500


class PreparedAnnotator:
    """Returns results that were made beforehand; a media's URI decides which, and is its content.

    It tells the processor time that its own code takes, in the worker and beside everything else, so that what is left
    is the queue's and the store's.
    """

    model = "prepared@1"

    def __init__(self, media_s: float, *, told: Path | None = None) -> None:
        """Make the results.

        Args:
            media_s: each media takes so many seconds of the engine's time.
            told: file of the processor time, in seconds, that it has spent itself.

        """
        self._media_s = media_s
        self._told = told
        self._spent_s = [0.0] * (1 + _READERS)  # the engine's thread, and those that read
        self._results = [_result(number) for number in range(_VARIANTS)]

    def warm_up(self) -> None:
        """Do nothing: there are no networks."""

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[Outcome]:
        """Yield one outcome for each media; contents are looked up from reading threads, as the real one does."""
        ahead: queue.SimpleQueue[MediaRef | KnownMedia | None] = queue.SimpleQueue()
        lock = threading.Lock()
        reader = iter(media)

        def read(thread: int) -> None:
            while True:
                with lock:
                    one = next(reader, None)
                if one is None:
                    break
                began_s = time.thread_time()
                sha256 = _digest(one)
                while ahead.qsize() >= _AHEAD:  # a queue with a limit costs twice as much as all that this does
                    time.sleep(_AHEAD / 4 * self._media_s)
                self._spent_s[thread] += time.thread_time() - began_s
                is_old = is_known is not None and is_known(sha256)
                began_s = time.thread_time()
                ahead.put(KnownMedia(one, sha256) if is_old else one)
                self._spent_s[thread] += time.thread_time() - began_s
            ahead.put(None)

        for thread in range(1, _READERS + 1):
            threading.Thread(target=read, args=(thread,), daemon=True).start()
        ended = count = 0
        due_s = time.monotonic()
        began_s = time.thread_time()
        while ended < _READERS:
            one = ahead.get()
            if one is None:
                ended += 1
                continue
            outcome: Outcome = one if isinstance(one, KnownMedia) else self._annotation(one)
            if not isinstance(one, KnownMedia):
                due_s = max(due_s + self._media_s, time.monotonic() - 10 * self._media_s)
                time.sleep(max(0.0, due_s - time.monotonic()))
            count += 1
            if self._told is not None and count % _TELL_EVERY == 0:
                self._tell(self._told)
            self._spent_s[0] += time.thread_time() - began_s
            yield outcome
            began_s = time.thread_time()

    def _tell(self, told: Path) -> None:
        part = told.with_suffix(".part")
        part.write_text(str(sum(self._spent_s)))
        part.replace(told)  # whoever reads it reads all of it

    def _annotation(self, one: MediaRef) -> MediaAnnotation:
        sha256 = _digest(one)
        tracks, labels = self._results[int(sha256[:8], 16) % _VARIANTS]
        return MediaAnnotation(
            media=one,
            model=self.model,
            content_sha256=sha256,
            clip=ClipReport(480, 270, 3200, 32, 30, None),
            frames_sampled=20,
            faces=sum(len(track.pts_ms) for track in tracks),
            tracks=tracks,
            labels=labels,
        )


def _digest(one: MediaRef) -> str:
    return hashlib.sha256(one.uri.encode()).hexdigest()


def _result(number: int) -> tuple[tuple[FaceTrack, ...], tuple[TrackLabel, ...]]:
    count = 0 if number % 6 < 3 else 1 if number % 6 < 5 else 2
    tracks = tuple(_track(place, seed=number * 2 + place) for place in range(count))
    return tracks, tuple(_label(number * 2 + place) for place in range(count))


def _track(number: int, *, seed: int) -> FaceTrack:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(FACES_PER_TRACK, EMBEDDING))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = np.arange(DETECTIONS_PER_TRACK, dtype=np.int64)
    return FaceTrack(
        track_no=number,
        shot_no=0,
        frame_index=index * 2,
        pts_ms=index * 160,
        from_ms=index * 160,
        shown_ms=np.full(len(index), 160, np.int64),
        boxes_xyxy=random.uniform(0, 400, (len(index), 4)).astype(np.float32),
        scores=random.uniform(0.9, 1, len(index)).astype(np.float32),
        quality=random.uniform(0, 1, len(index)).astype(np.float32),
        evidence=TrackEvidence(
            vectors.astype(np.float16),
            random.uniform(20, 200, FACES_PER_TRACK).astype(np.float16),
            random.uniform(0, 1, FACES_PER_TRACK).astype(np.float16),
        ),
        best_faces=np.zeros((0, 112, 112, 3), np.uint8),
    )


def _label(number: int) -> TrackLabel:
    first, second, third = (PEOPLE[(number * step) % len(PEOPLE)] for step in (1, 7, 11))
    candidates = (Candidate(first, 0.6, 0.95), Candidate(second, 0.3, 0.02), Candidate(third, 0.2, 0.01))
    return TrackLabel("known" if number % 3 == 0 else "unknown", candidates)


def register(store: Store) -> tuple[int, int]:
    """Return the ids of the network and the labelling of the prepared results."""
    network_id = store.register_network(SPEC)
    photographs = dict.fromkeys(PEOPLE, 1)
    labelling_id = store.register_labelling(network_id, model="prepared@1", digest="0", photographs=photographs)
    return network_id, labelling_id


def build(_: Settings, store: Store) -> Parts:
    """Build the worker's parts."""
    network_id, labelling_id = register(store)
    rows = StoreRows(network_id=network_id, labelling_id=labelling_id, identify=lambda _: [])
    folder = os.environ.get("PREPARED_FOLDER")
    told = None if folder is None else Path(folder) / f"{os.getpid()}.spent"
    annotator = PreparedAnnotator(float(os.environ.get("PREPARED_MEDIA_S", "0.002")), told=told)
    return Parts(annotator, rows, KnownContents(store.engine, network_id))


if os.environ.get("ANNOTATOR_BROKER_URL"):
    app = create_app(load_settings())
    app.set_default()
    if "worker" in sys.argv:
        prepare_worker(app, build)
