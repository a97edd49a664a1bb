"""Media go through the pipeline together and come out one by one."""

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from annotator.decoding import PipelineParams
from annotator.errors import ModelError, SourceUnavailableError, UndecodableMediaError
from annotator.metering import Stage
from annotator.pipeline import Annotator, Outcome
from annotator.recognition.crops import ALIGNED
from annotator.types import (
    F32,
    U8,
    Candidate,
    ClipReport,
    FaceDetections,
    FrameBatch,
    Identity,
    KnownMedia,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

RED, BLUE = Identity("Red"), Identity("Blue")


def frames_of(colour: str, *, samples: int, per_batch: int) -> Iterator[FrameBatch]:
    """Yield frames of one colour; the detector double sees a face in each."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[..., 0 if colour == "red" else 2] = 200
    for start in range(0, samples, per_batch):
        index = np.arange(start, min(start + per_batch, samples), dtype=np.int64)
        yield FrameBatch(
            images=np.stack([picture] * len(index)),
            frame_index=index,
            pts_ms=index * 100,
            from_ms=index * 100,
            shown_ms=np.full(len(index), 100, np.int64),
        )


@dataclass
class ScriptedFrames:
    content_sha256: str
    batches: Callable[[], Iterator[FrameBatch]]
    samples: int

    def __iter__(self) -> Iterator[FrameBatch]:
        return self.batches()

    @property
    def report(self) -> ClipReport:
        return ClipReport(80, 60, self.samples * 100, self.samples, self.samples, None)


@dataclass
class ScriptedSource:
    """Media whose ids say what happens: ``red-3`` has three red frames, ``broken``, ``cut-2``, ``bug``, …."""

    opened: list[str] = field(default_factory=list)

    def spec(self) -> dict[str, object]:
        return {"scripted": 1}

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[ScriptedFrames]:
        kind, _, rest = media.media_id.partition("-")
        self.opened.append(media.media_id)
        if kind == "broken":
            raise UndecodableMediaError("no media")
        if kind == "away":
            raise SourceUnavailableError("try again")
        if kind == "bug":
            raise ZeroDivisionError("a fault of ours")
        if kind == "stop":
            raise ModelError("the weights are wrong")
        samples = int(rest.partition("-")[0])

        def batches() -> Iterator[FrameBatch]:
            yield from frames_of("red" if kind == "cut" else kind, samples=samples, per_batch=2)
            if kind == "cut":
                raise UndecodableMediaError("cut in the middle")

        yield ScriptedFrames(f"sha-of-{media.media_id}", batches, samples)


@dataclass
class OneFaceDetector:
    calls: list[int] = field(default_factory=list)

    def spec(self) -> dict[str, object]:
        return {"faces": 1}

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        self.calls.append(len(frames))
        landmarks = np.array([[[30, 25], [45, 25], [37, 33], [31, 41], [44, 41]]], np.float32)
        face = FaceDetections(np.array([[20, 10, 55, 50]], np.float32), np.array([0.99], np.float32), landmarks)
        return [face for _ in frames]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        faces = iter(self.detect([frame for clip in clips for frame in clip]))
        return [[next(faces) for _ in clip] for clip in clips]


class ColourEmbedder:
    network_id = "colour"
    crop = ALIGNED

    def embed(self, faces: U8) -> F32:
        means = faces.reshape(len(faces), -1, 3).mean(axis=1, dtype=np.float32)
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)


class ColourIdentifier:
    model = "colours@1"

    def identify(self, tracks: Sequence[TrackEvidence]) -> list[TrackLabel]:
        people = [RED if track.embeddings[0, 0] > track.embeddings[0, 2] else BLUE for track in tracks]
        return [TrackLabel("known", (Candidate(person, 0.9, 0.95),)) for person in people]


def annotator(params: PipelineParams | None = None, **stages: object) -> Annotator:
    parts = {
        "source": ScriptedSource(),
        "detector": OneFaceDetector(),
        "embedder": ColourEmbedder(),
        "identifier": ColourIdentifier(),
    } | stages
    return Annotator(**parts, params=params)  # type: ignore[arg-type]


def media(*ids: str) -> list[MediaRef]:
    return [MediaRef(media_id, f"file:///{media_id}") for media_id in ids]


def by_id(outcomes: Iterator[Outcome]) -> dict[str, Outcome]:
    found = {outcome.media.media_id: outcome for outcome in outcomes}
    return dict(sorted(found.items()))


def test_each_media_gets_its_own_faces_back() -> None:
    outcomes = by_id(annotator().annotate(media("red-5", "blue-4", "red-1")))
    assert list(outcomes) == ["blue-4", "red-1", "red-5"]
    for media_id, outcome in outcomes.items():
        assert isinstance(outcome, MediaAnnotation)
        (track,), (label,) = outcome.tracks, outcome.labels
        assert outcome.frames_sampled == outcome.faces == len(track.pts_ms) == int(media_id[-1])
        assert label.identity == (RED if media_id.startswith("red") else BLUE)
        assert outcome.content_sha256 == f"sha-of-{media_id}"
        assert set(outcome.timings_s) >= {"decode", "detect", "embed", "identify"}


def test_frames_of_many_media_share_the_detector_batches() -> None:
    detector = OneFaceDetector()
    all_decoded = PipelineParams(decoders=1, detecting=1, max_inbox_bytes=1 << 30, max_batch_bytes=1 << 30)
    hold = threading.Event()

    def refs() -> Iterator[MediaRef]:
        yield from media(*[f"red-{count}-{number}" for number in range(10) for count in (1, 2)])
        hold.set()

    class PatientDetector(OneFaceDetector):
        def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
            assert hold.wait(10)
            detector.calls.append(len(frames))
            return super().detect(frames)

    outcomes = list(annotator(all_decoded, detector=PatientDetector()).annotate(refs()))
    assert len(outcomes) == 20
    assert sum(detector.calls) == 30
    assert len(detector.calls) <= 2


@pytest.mark.parametrize(
    ("bad", "reason", "is_transient"),
    [
        ("broken", "undecodable", False),
        ("cut-4", "undecodable", False),
        ("away", "source_unavailable", True),
        ("bug", "internal", True),
    ],
)
def test_a_media_that_fails_fails_alone(bad: str, reason: str, is_transient: bool) -> None:  # noqa: FBT001 - parameter of the table
    outcomes = by_id(annotator().annotate(media("red-3", bad, "blue-3")))
    failure = outcomes.pop(bad)
    assert isinstance(failure, MediaFailure)
    assert (failure.reason, failure.is_transient, failure.model) == (reason, is_transient, "colours@1")
    assert all(isinstance(outcome, MediaAnnotation) for outcome in outcomes.values())
    assert len(outcomes) == 2


def test_wrong_weights_stop_everything() -> None:
    with pytest.raises(ModelError, match="weights"):
        list(annotator().annotate(media("red-3", "stop", "blue-3")))


def test_an_error_of_the_list_of_media_reaches_the_caller() -> None:
    def refs() -> Iterator[MediaRef]:
        yield from media("red-1")
        raise OSError("the list broke off")

    with pytest.raises(OSError, match="broke off"):
        list(annotator().annotate(refs()))


def test_known_content_is_not_decoded() -> None:
    detector = OneFaceDetector()
    outcomes = by_id(
        annotator(detector=detector).annotate(media("red-3", "blue-2"), is_known=lambda sha: sha == "sha-of-red-3")
    )
    assert outcomes["red-3"] == KnownMedia(media("red-3")[0], "sha-of-red-3")
    assert isinstance(outcomes["blue-2"], MediaAnnotation)
    assert sum(detector.calls) == 2


def test_the_caller_may_leave_an_endless_list_early() -> None:
    source, before = ScriptedSource(), threading.active_count()
    endless = (MediaRef(f"red-2-{number}", "file:///x") for number in itertools.count())
    outcomes = annotator(PipelineParams(max_inbox_bytes=1 << 20, max_batch_bytes=1 << 20), source=source).annotate(
        endless
    )
    assert isinstance(next(outcomes), MediaAnnotation)
    outcomes.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before
    assert len(source.opened) < 1000


def test_how_much_is_in_hand_changes_no_result() -> None:
    ids = [f"{colour}-{count}-{number}" for number in range(4) for colour in ("red", "blue") for count in (1, 5)]

    def results(params: PipelineParams) -> list[tuple[str, list[int], list[float]]]:
        outcomes = by_id(annotator(params).annotate(media(*ids)))
        return [
            (media_id, outcome.tracks[0].pts_ms.tolist(), outcome.tracks[0].evidence.embeddings.ravel().tolist())
            for media_id, outcome in outcomes.items()
            if isinstance(outcome, MediaAnnotation)
        ]

    one_by_one = results(PipelineParams(decoders=1, max_inbox_bytes=1, max_batch_bytes=1, embed_batch=1))
    assert len(one_by_one) == len(ids)
    assert one_by_one == results(PipelineParams(decoders=4))


def test_nothing_in_gives_nothing_out() -> None:
    assert list(annotator().annotate([])) == []


def test_the_network_is_named_by_all_that_can_change_a_track() -> None:
    spec = annotator().network_spec
    assert spec["embedder"] == "colour"
    assert set(spec) == {"decoder", "detector", "tracking", "embedder"}


def test_what_decides_embeddings_beside_the_network_makes_another_network() -> None:
    spec = annotator(embedding={"precision": "f32"}).network_spec
    assert spec == {**annotator().network_spec, "embedding": {"precision": "f32"}}


class HeardStages:
    """Counts who is in each stage, by the thread that says so."""

    def __init__(self) -> None:
        self.threads: dict[Stage, int] = {}
        self.inside: Counter[Stage] = Counter()
        self.begun: Counter[Stage] = Counter()
        self.by_thread: dict[Stage, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def set_threads(self, stage: Stage, count: int) -> None:
        self.threads[stage] = count

    def begin(self, stage: Stage) -> None:
        with self._lock:
            self.inside[stage] += 1
            self.begun[stage] += 1
            self.by_thread[stage].add(threading.current_thread().name.rstrip("-_0123456789"))

    def end(self, stage: Stage) -> None:
        with self._lock:
            self.inside[stage] -= 1


def test_every_stage_is_told_by_the_thread_that_is_in_it_and_ends_also_on_errors() -> None:
    heard = HeardStages()
    ids = media("red-3", "broken", "cut-2", "away", "bug", "blue-4")
    list(annotator(PipelineParams(decoders=3), meter=heard).annotate(ids))
    assert heard.threads == {"fetch": 3, "decode": 3}
    assert heard.begun["fetch"] == len(ids)
    assert heard.begun["decode"] >= 3 + 2 + 3, "two frames a batch, and the look that finds the end"
    assert heard.begun["accelerator"] >= 2
    assert {stage: names for stage, names in heard.by_thread.items() if stage != "starved"} == {
        "fetch": {"decode"},
        "decode": {"decode"},
        "accelerator": {"look", "embedding"},
        "link": {"MainThread"},
    }
    assert not any(heard.inside.values())


def test_frames_are_searched_while_faces_are_embedded() -> None:
    all_are_decoded, second_is_embedded, is_searched = threading.Event(), threading.Event(), threading.Event()

    def refs() -> Iterator[MediaRef]:
        yield from media("red-3-0", "blue-3-1", "red-3-2")
        all_are_decoded.set()

    class HeldDetector(OneFaceDetector):
        def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
            assert all_are_decoded.wait(10)
            if sum(self.calls) >= 2 * 3:
                assert second_is_embedded.wait(10)
                is_searched.set()
            return super().detect(frames)

    class HeldEmbedder(ColourEmbedder):
        def embed(self, faces: U8) -> F32:
            if faces[..., 2].any():  # not those of the first clip, which are waited for
                second_is_embedded.set()
                assert is_searched.wait(10), "frames of the third clip"
            return super().embed(faces)

    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1, embed_batch=1)
    run = annotator(params, detector=HeldDetector(), embedder=HeldEmbedder())
    assert [one.media.media_id for one in run.annotate(refs())] == ["red-3-0", "blue-3-1", "red-3-2"]


class Queue:
    """A list of media that blocks behind the last one, as an empty queue does, until it is closed."""

    def __init__(self, *ids: str) -> None:
        self._media = iter(media(*ids))
        self.is_closed = threading.Event()
        self.has_waited_in_vain = False

    def __iter__(self) -> Iterator[MediaRef]:
        return self

    def __next__(self) -> MediaRef:
        found = next(self._media, None)
        if found is None:
            self.has_waited_in_vain = not self.is_closed.wait(10)
            raise StopIteration
        return found

    def close(self) -> None:
        self.is_closed.set()


class LitDetector(OneFaceDetector):
    """Sees nobody in the frames of media that are neither red nor blue."""

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        faces = super().detect(frames)
        return [
            face if frame[..., 0].any() else FaceDetections.empty() for frame, face in zip(frames, faces, strict=True)
        ]


class SlowEmbedder(ColourEmbedder):
    def embed(self, faces: U8) -> F32:
        threading.Event().wait(0.05)
        return super().embed(faces)


@pytest.mark.parametrize("embed_batch", [1, 64])
def test_what_is_done_is_told_while_the_list_of_media_is_waited_for(embed_batch: int) -> None:
    queue = Queue("red-3", "none-1", "red-3-1", "red-3-2", "none-2")
    run = annotator(PipelineParams(embed_batch=embed_batch), detector=LitDetector(), embedder=SlowEmbedder())
    outcomes = run.annotate(queue)
    assert len([next(outcomes) for _ in range(5)]) == 5
    assert not queue.has_waited_in_vain
    outcomes.close()  # type: ignore[attr-defined]
    assert queue.is_closed.is_set()


def test_nothing_is_searched_while_the_first_outcome_is_waited_for() -> None:
    detector = OneFaceDetector()
    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1)
    outcomes = annotator(params, detector=detector).annotate(media("red-3-0", "red-3-1", "red-3-2"))
    assert next(outcomes).media.media_id == "red-3-0"
    assert sum(detector.calls) == 3
    outcomes.close()  # type: ignore[attr-defined]


def test_a_slow_embedder_is_waited_for() -> None:
    ids = [f"red-1-{number}" for number in range(8)]
    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1, embed_batch=1)
    outcomes = list(annotator(params, embedder=SlowEmbedder()).annotate(media(*ids)))
    assert sorted(one.media.media_id for one in outcomes) == sorted(ids)


def test_what_is_embedded_is_told_before_the_error_of_something_else() -> None:
    class BreakingDetector(OneFaceDetector):
        def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
            if sum(self.calls) == 3 * 3:
                raise ZeroDivisionError("a fault of ours")
            return super().detect(frames)

    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1, embed_batch=1)
    run = annotator(params, detector=BreakingDetector(), embedder=SlowEmbedder())
    told: list[str] = []
    with pytest.raises(ZeroDivisionError):
        told += (one.media.media_id for one in run.annotate(media("red-3-0", "blue-3-1", "red-3-2", "red-3-3")))
    assert told == ["red-3-0", "blue-3-1", "red-3-2"]


def test_the_first_error_is_raised_and_the_one_behind_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    has_failed = threading.Event()

    class BreakingDetector(OneFaceDetector):
        def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
            if sum(self.calls) == 2 * 3:
                has_failed.set()
                raise ZeroDivisionError("the first")
            return super().detect(frames)

    class BreakingEmbedder(ColourEmbedder):
        def embed(self, faces: U8) -> F32:
            if faces[..., 2].any():  # the second clip
                assert has_failed.wait(10)
                raise ModelError("the one behind it")
            return super().embed(faces)

    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1, embed_batch=64, max_wait_s=0)
    run = annotator(params, detector=BreakingDetector(), embedder=BreakingEmbedder())
    with pytest.raises(ZeroDivisionError, match="the first"):
        list(run.annotate(media("red-3-0", "blue-3-1", "red-3-2")))
    assert "the one behind it" in caplog.text


def test_no_clip_is_told_without_the_tracks_that_failed() -> None:
    class FailingOnceEmbedder(SlowEmbedder):
        calls = 0

        def embed(self, faces: U8) -> F32:
            self.calls += 1
            embeddings = super().embed(faces)  # meanwhile the clip ends
            if self.calls == 1:
                raise ZeroDivisionError("a fault of ours")
            return embeddings

    # Its first track ends before the clip does, and goes to the embedder alone.
    params = PipelineParams(decoders=1, detecting=1, max_batch_bytes=1, embed_batch=1)
    told: list[Outcome] = []
    with pytest.raises(ZeroDivisionError):
        told += annotator(params, embedder=FailingOnceEmbedder()).annotate(media("red-6"))
    assert told == []


def test_an_error_of_the_embedder_reaches_the_caller() -> None:
    class WrongEmbedder(ColourEmbedder):
        def embed(self, faces: U8) -> F32:
            raise ModelError(f"the weights are wrong for {len(faces)} faces")

    with pytest.raises(ModelError, match="weights"):
        list(annotator(embedder=WrongEmbedder()).annotate(media("red-3", "blue-3")))


def test_a_decoder_that_waits_for_room_is_not_busy() -> None:
    heard = HeardStages()
    seen: list[int] = []

    class LookingDetector(OneFaceDetector):
        def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
            # Room for one batch: once the decoder has handed over the next one, it can only wait.
            deadline = time.monotonic() + 10
            while heard.inside["decode"] and time.monotonic() < deadline:
                time.sleep(0.001)
            seen.append(heard.inside["decode"])
            return super().detect(frames)

    params = PipelineParams(decoders=1, max_inbox_bytes=1, max_batch_bytes=1)
    list(annotator(params, detector=LookingDetector(), meter=heard).annotate(media("red-8")))
    assert seen
    assert set(seen) == {0}


def test_fetching_and_decoding_have_times_of_their_own() -> None:
    (outcome,) = annotator().annotate(media("red-3"))
    assert isinstance(outcome, MediaAnnotation)
    assert {"fetch", "decode", "detect", "link", "embed", "identify"} == set(outcome.timings_s)


class EndlessFilm(ScriptedSource):
    """The media ``film`` shows an empty scene until it is told to stop, or for much longer than a clip may wait."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = threading.Event()

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[ScriptedFrames]:
        if media.media_id != "film":
            with super().open(media) as frames:
                yield frames
            return

        def batches() -> Iterator[FrameBatch]:
            for start in itertools.takewhile(lambda _: not self.ends.is_set(), range(1_000)):
                (batch,) = frames_of("none", samples=1, per_batch=1)
                index = batch.frame_index + start
                yield FrameBatch(batch.images, index, index * 100, index * 100, batch.shown_ms)

        yield ScriptedFrames("sha-of-film", batches, 1_000)


class PatientDetector(OneFaceDetector):
    """Finds nobody, and takes long enough for frames to come meanwhile."""

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        self.calls.append(len(frames))
        time.sleep(0.01)
        return [FaceDetections.empty() for _ in frames]


def test_clips_come_out_while_frames_of_a_film_never_stop() -> None:
    source = EndlessFilm()
    params = PipelineParams(max_wait_s=0.05, max_inbox_bytes=4 << 16, max_batch_bytes=1)
    run = annotator(params, source=source, detector=PatientDetector())
    told: list[Outcome] = []
    for outcome in run.annotate(media("film", "red-1", "red-2", "red-3")):
        told.append(outcome)
        if len(told) == 3:
            source.ends.set()
    film = told.pop()
    assert isinstance(film, MediaAnnotation)
    assert film.frames_sampled < 1_000, "it was still running when the clips came out"
    assert [one.media.media_id for one in told] == ["red-1", "red-2", "red-3"]


class NoisyFrames(ScriptedSource):
    """One media of 40 frames that all differ, in batches of some size."""

    def __init__(self, per_batch: int) -> None:
        super().__init__()
        self._per_batch = per_batch

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[ScriptedFrames]:
        images = np.random.default_rng(7).integers(0, 256, (40, 60, 80, 3), np.uint8)
        images[:, 0, 0, 0] = np.arange(40)

        def batches() -> Iterator[FrameBatch]:
            for start in range(0, 40, self._per_batch):
                index = np.arange(start, min(start + self._per_batch, 40), dtype=np.int64)
                yield FrameBatch(images[index], index, index * 100, index * 100, np.full(len(index), 100, np.int64))

        yield ScriptedFrames(f"sha-of-{media.media_id}", batches, 40)


class PicturesAndPeople(ScriptedSource):
    """Seven frames of noise: ``poster`` has somebody who walks past, ``person`` also a face that changes."""

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[ScriptedFrames]:
        random = np.random.default_rng(8)
        scene = cv2.resize(random.integers(0, 256, (15, 20, 3), np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
        images = np.stack([scene] * 7)
        for number, image in enumerate(images):
            image[0, 0, 0] = number  # frames are distinct
            if media.media_id != "photograph":
                image[46:, 6 * number : 6 * number + 30] = (20, 10, 5)
            if media.media_id == "person":
                image[38 : 39 + number, 32:44] = (250, 240, 245)
        index = np.arange(7, dtype=np.int64)
        batch = FrameBatch(images, index, index * 100, index * 100, np.full(7, 100, np.int64))
        yield ScriptedFrames(f"sha-of-{media.media_id}", lambda: iter([batch]), 7)


@pytest.mark.parametrize(("name", "expected"), [("poster", True), ("person", False), ("photograph", False)])
def test_a_track_says_whether_it_shows_a_picture_in_the_clip(name: str, *, expected: bool) -> None:
    (outcome,) = annotator(source=PicturesAndPeople()).annotate(media(name))
    assert isinstance(outcome, MediaAnnotation)
    assert [track.is_picture for track in outcome.tracks] == [expected]


def test_a_still_picture_cannot_tell() -> None:
    (outcome,) = annotator().annotate(media("red-1"))
    assert isinstance(outcome, MediaAnnotation)
    assert [track.is_picture for track in outcome.tracks] == [None]


class FewFacesDetector(OneFaceDetector):
    """Sees none, one or two faces, by the number that is written into a frame's first pixel."""

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        (one,) = super().detect(frames[:1])
        counts = [int(frame[0, 0, 0]) % 3 for frame in frames]
        moves = [np.arange(count, dtype=np.float32)[:, None] * 13 for count in counts]
        return [
            FaceDetections(one.boxes_xyxy + move, np.repeat(one.scores, len(move)), one.landmarks_xy + move[..., None])
            for move in moves
        ]


def test_how_frames_are_batched_changes_no_track() -> None:
    def told(per_batch: int) -> MediaAnnotation:
        stages = {"source": NoisyFrames(per_batch), "detector": FewFacesDetector()}
        (outcome,) = annotator(PipelineParams(keep_faces=True), **stages).annotate([MediaRef("noise", "noise")])
        assert isinstance(outcome, MediaAnnotation)
        return outcome

    alone, together = told(1), told(40)
    assert alone.faces == together.faces == 39
    for first, second in zip(alone.tracks, together.tracks, strict=True):
        for name in ("frame_index", "pts_ms", "from_ms", "shown_ms", "boxes_xyxy", "scores", "quality", "best_faces"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        np.testing.assert_array_equal(first.evidence.face_px, second.evidence.face_px)
