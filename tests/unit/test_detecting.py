"""Batches that are with the detector, ahead of linking: their order, errors, bounds."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest

from annotator.decoding import Clip, DecodingRun, PipelineParams
from annotator.detecting import DetectingRun, FoundFaces
from annotator.metering import Hunger, NoMeter, SharedStage, Stage, StageMeter
from annotator.tracking import TrackingParams, TrackLinker
from annotator.types import U8, ClipReport, FaceDetections, FrameBatch, MediaRef


def clip(name: str) -> Clip:
    return Clip(MediaRef(name, f"file:///{name}"), TrackLinker(TrackingParams()))


def batch(*pts_ms: int, level: int = 0, side: int = 8) -> FrameBatch:
    times = np.array(pts_ms, np.int64)
    images = np.full((len(times), side, side, 3), level, np.uint8)
    return FrameBatch(images, np.arange(len(times)), times, times, np.full(len(times), 100, np.int64))


class Decoded:
    """A run of decoding whose events are there already."""

    def __init__(self, *rounds: list[Any], meter: StageMeter | None = None) -> None:
        self.rounds = list(rounds)
        self.hunger = Hunger(meter or NoMeter())

    @property
    def is_finished(self) -> bool:
        return not self.rounds

    def take(self, *, wait: bool) -> list[Any]:
        del wait
        return self.rounds.pop(0) if self.rounds else []

    def hungry(self) -> AbstractContextManager[None]:
        return self.hunger.waiting()


class Detector:
    """Finds nobody; the last batches are done first, and level 9 is an error."""

    def __init__(self) -> None:
        self.clips: list[int] = []
        self.inside = self.most = 0
        self.lock = threading.Lock()
        self.second_is_done = threading.Event()

    def spec(self) -> dict[str, object]:
        return {}

    def detect(self, frames: Sequence[U8]) -> list[FaceDetections]:
        return [FaceDetections.empty() for _ in frames]

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        level = int(clips[0][0][0, 0, 0])
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.clips += [len(clip) for clip in clips]
        if level == 1:
            assert self.second_is_done.wait(10)
        if level == 2:
            self.second_is_done.set()
        with self.lock:
            self.inside -= 1
        if level == 9:
            raise ZeroDivisionError("a fault of ours")
        return [self.detect(clip) for clip in clips]


class Heard:
    """Knows who is in a stage, and says when somebody begins to be."""

    def __init__(self) -> None:
        self.inside: Counter[Stage] = Counter()
        self.starved, self.starved_no_more = threading.Event(), threading.Event()

    def set_threads(self, stage: Stage, count: int) -> None:
        """Nobody asks."""

    def begin(self, stage: Stage) -> None:
        self.inside[stage] += 1
        if stage == "starved":
            self.starved.set()

    def end(self, stage: Stage) -> None:
        self.inside[stage] -= 1
        if stage == "starved":
            self.starved_no_more.set()


class Asking(Detector):
    """Finds nobody; asks on each call."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__()
        self.ask = ask
        self.answers: list[object] = []

    def detect_clips(self, clips: Sequence[Sequence[U8]]) -> list[list[FaceDetections]]:
        self.answers.append(self.ask())
        return [self.detect(clip) for clip in clips]


def run(
    decoded: Decoded,
    detector: Detector,
    *,
    ahead: int = 3,
    max_bytes: int = 1 << 20,
    meter: StageMeter | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> DetectingRun:
    networks = SharedStage(meter or NoMeter(), "accelerator", clock=clock)
    return DetectingRun(decoded, detector, ahead=ahead, max_bytes=max_bytes, networks=networks)  # type: ignore[arg-type]


def test_what_is_found_comes_in_the_order_of_decoding_whichever_is_done_first() -> None:
    one, other = clip("one"), clip("other")
    decoded = Decoded([(one, batch(0, level=1))], [(other, batch(0, level=2)), one], [other])
    with run(decoded, Detector()) as detecting:
        events = []
        while not detecting.is_finished:
            events += detecting.take(wait=True)
        assert detecting.take(wait=False) == []
    assert [event.clip if isinstance(event, FoundFaces) else event for event in events] == [one, other, one, other]


def test_an_error_of_the_detector_is_raised_where_its_batch_would_come() -> None:
    decoded = Decoded([(clip("one"), batch(0))], [(clip("other"), batch(0, level=9))], [(clip("third"), batch(0))])
    with run(decoded, Detector()) as detecting:
        assert len(detecting.take(wait=True)) == 1
        with pytest.raises(ZeroDivisionError):
            detecting.take(wait=True)


def test_leaving_early_ends_the_threads() -> None:
    with run(Decoded(*[[(clip("one"), batch(0))] for _ in range(9)]), Detector()) as detecting:
        detecting.take(wait=True)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("look")]


def test_large_batches_are_searched_one_at_a_time() -> None:
    detector = Detector()
    decoded = Decoded(*[[(clip(str(number)), batch(0, side=100))] for number in range(6)])
    with run(decoded, detector, max_bytes=20_000) as detecting:
        while not detecting.is_finished:
            detecting.take(wait=True)
    assert detector.clips == [1] * 6
    assert detector.most == 1


def test_samples_far_apart_in_time_are_no_neighbours() -> None:
    detector = Detector()
    with run(Decoded([(clip("one"), batch(0, 900, 1900, 3000, 9000, 9100))]), detector) as detecting:
        (found,) = detecting.take(wait=True)
    assert isinstance(found, FoundFaces)
    assert len(found.faces) == 6
    assert detector.clips == [3, 1, 2]


def test_a_caller_that_is_not_waiting_does_not_make_the_networks_idle() -> None:
    heard = Heard()
    second_is_in, may_end = threading.Event(), threading.Event()
    lock = threading.Lock()
    calls: list[int] = []

    def ask() -> None:
        with lock:
            calls.append(1)
            is_second = len(calls) > 1
        if is_second:
            second_is_in.set()
            assert may_end.wait(10)
        else:
            assert second_is_in.wait(10)

    decoded = Decoded(*[[(clip(name), batch(0))] for name in ("one", "two")])
    with run(decoded, Asking(ask), ahead=2, meter=heard) as detecting:
        detecting.take(wait=True)
        assert heard.inside["accelerator"] == 1, "the caller links, the detector has the second batch"
        may_end.set()
        detecting.take(wait=True)
        assert heard.inside["accelerator"] == 0


def test_the_networks_starve_while_there_is_room_and_decoding_has_nothing_yet() -> None:
    heard = Heard()
    decoded = Decoded([(clip("one"), batch(0))], meter=heard)
    detector = Asking(lambda: heard.starved.wait(10))
    with decoded.hunger.media(), run(decoded, detector, ahead=2, meter=heard) as detecting:
        detecting.take(wait=True)
        assert detector.answers == [True], "while the detector has the one batch there is"
        assert heard.inside["starved"] == 0


class TwoFrames:
    """One media, whose first frame comes when the networks starve, and the second one when it may."""

    content_sha256 = "0"
    report = ClipReport(8, 8, 200, 2, 2, None)

    def __init__(self, starved: threading.Event) -> None:
        self.starved, self.may_go_on, self.may_end = starved, threading.Event(), threading.Event()

    @contextmanager
    def open(self, _: MediaRef) -> Iterator["TwoFrames"]:
        yield self

    def spec(self) -> dict[str, object]:
        return {}

    def __iter__(self) -> Iterator[FrameBatch]:
        assert self.starved.wait(10)
        self.starved.clear()
        yield batch(0)
        assert self.may_go_on.wait(10)
        yield batch(100)
        assert self.may_end.wait(10)


def test_the_networks_starve_no_more_once_frames_are_there_whatever_the_caller_waits_for() -> None:
    heard = Heard()
    frames = TwoFrames(heard.starved)

    def ask() -> bool:
        assert heard.starved.wait(10)
        heard.starved_no_more.clear()
        frames.may_go_on.set()
        return heard.starved_no_more.wait(2)

    detector = Asking(ask)
    decoding = DecodingRun(
        frames,
        [MediaRef("one", "file:///one")],
        is_known=None,
        tracking=TrackingParams(),
        params=PipelineParams(decoders=1),
        model="none@1",
        meter=heard,
    )
    with decoding, run(decoding, detector, ahead=2, meter=heard) as detecting:
        detecting.take(wait=True)
        frames.may_end.set()
        assert detector.answers == [True], "while the caller waits for the faces of the first frame"


@pytest.mark.parametrize(("ahead", "max_bytes"), [(1, 1 << 20), (2, 1)])
def test_the_networks_do_not_starve_while_there_is_no_room(ahead: int, max_bytes: int) -> None:
    heard = Heard()
    decoded = Decoded(*[[(clip(name), batch(0))] for name in ("one", "two")], meter=heard)
    with (
        decoded.hunger.media(),
        run(decoded, Detector(), ahead=ahead, max_bytes=max_bytes, meter=heard) as detecting,
    ):
        detecting.take(wait=True)
    assert not heard.starved.is_set()


def test_searches_side_by_side_share_the_time_that_they_take_together() -> None:
    now_s = [0.0]
    both_are_in, both_may_end = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def ask() -> None:
        if both_are_in.wait() == 0:
            now_s[0] += 6
        both_may_end.wait()

    one, other, third = clip("one"), clip("other"), clip("third")
    decoded = Decoded([(one, batch(0, 1)), (other, batch(0))], [(third, batch(0))])
    with run(decoded, Asking(ask), ahead=2, clock=lambda: now_s[0]) as detecting:
        found = detecting.take(wait=True) + detecting.take(wait=True)
    seconds = {event.clip.media.media_id: event.seconds for event in found if isinstance(event, FoundFaces)}
    assert seconds == pytest.approx({"one": 2, "other": 1, "third": 3})
