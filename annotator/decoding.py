"""Decode media in a few threads, ahead of the networks.

Each thread waits for a child process, so a few of them keep the cores busy. They hand frames over through an inbox
that is bounded by bytes: a clip is never whole in memory, and the networks set the pace.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Protocol, Self

from annotator.duplicates.glimpses import Glimpses
from annotator.errors import AnnotatorError, ConfigError, InputError, ModelError, TransientError
from annotator.inbox import Inbox, InboxClosedError
from annotator.metering import Hunger, StageMeter, metered
from annotator.tracking import TrackingParams, TrackLinker
from annotator.types import ClipReport, FaceTrack, FrameBatch, KnownMedia, MediaFailure, MediaRef

logger = logging.getLogger(__name__)

MIN_EVENT_BYTES = 64 << 10
"""What a small event counts in the inbox: otherwise ends and known media would pile up without bound."""


class MediaFrames(Protocol):
    """The sampled frames of one open media."""

    @property
    def content_sha256(self) -> str:
        """Digest of the media's bytes, hexadecimal; known before the first frame."""

    def __iter__(self) -> Iterator[FrameBatch]:
        """Decode and yield the frames in order; raises ``InputError`` or ``TransientError``."""

    @property
    def report(self) -> ClipReport:
        """What decoding has shown; valid after the last frame."""


class FrameSource(Protocol):
    """Opens media for reading. Used from several threads at once."""

    def open(self, media: MediaRef) -> AbstractContextManager[MediaFrames]:
        """Fetch a media; raises ``InputError`` or ``TransientError``."""

    def spec(self) -> dict[str, object]:
        """What of decoding and sampling can change a result."""


@dataclass(frozen=True, slots=True)
class PipelineParams:
    """How much is in hand at once, and what is kept.

    None of it changes a row; on a GPU, none but by the rounding of float32.

    Attributes:
        decoders: media that are decoded at the same time.
        max_inbox_bytes: decoded frames that wait for the detector.
        max_batch_bytes: decoded frames that go to the detector together.
        detecting: such batches that are with the detector at a time.
        embed_batch: crops from which the embedder is not kept waiting for more, and how many go there at a time; two
            groups may be with it.
        max_wait_s: longest wait of a clip that has ended for a fuller batch.
        keep_faces: whether tracks keep the crops of their best faces, for whoever draws them.

    """

    decoders: int = 2
    max_inbox_bytes: int = 32 << 20
    max_batch_bytes: int = 8 << 20
    detecting: int = 2
    embed_batch: int = 64
    max_wait_s: float = 1.0
    keep_faces: bool = False


@dataclass(slots=True, eq=False)
class Clip:
    """A media on its way."""

    media: MediaRef
    linker: TrackLinker
    content_sha256: str = ""
    report: ClipReport | None = None
    frames_sampled: int = 0
    faces: int = 0
    tracks: list[FaceTrack] = field(default_factory=list)
    glimpses: Glimpses = field(default_factory=Glimpses)
    timings_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))


# What a decoding thread hands over: frames of a clip, its end, an outcome that needs no network, an error that stops
# everything, or None when the thread has ended.
Event = tuple[Clip, FrameBatch] | Clip | MediaFailure | KnownMedia | BaseException | None


class DecodingRun:
    """The decoding threads of one ``annotate`` call and the inbox that they fill."""

    def __init__(  # noqa: PLR0913 - what a run is made of; made in one place only
        self,
        source: FrameSource,
        media: Iterable[MediaRef],
        *,
        is_known: Callable[[str], bool] | None,
        tracking: TrackingParams,
        params: PipelineParams,
        model: str,
        meter: StageMeter,
    ) -> None:
        """Take what to decode; entering the context starts the threads.

        Args:
            source: opens media.
            media: see ``Annotator.annotate``.
            is_known: see ``Annotator.annotate``.
            tracking: for the linker that each clip gets.
            params: how much is in hand at once.
            model: the model version that failures are reported under.
            meter: is told when media are fetched and decoded, and when the networks wait for them.

        """
        self._source = source
        self._media = iter(media)
        self._media_lock = threading.Lock()
        self._is_known = is_known
        self._tracking = tracking
        self._params = params
        self._model = model
        self._meter = meter
        self._hunger = Hunger(meter)
        self._inbox: Inbox[Event] = Inbox(params.max_inbox_bytes)
        self._threads = [
            threading.Thread(target=self._run, name=f"decode-{number}", daemon=True)
            for number in range(params.decoders)
        ]
        self._running = len(self._threads)
        for stage in ("fetch", "decode"):
            meter.set_threads(stage, params.decoders)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.close()
        # An iterator that blocks (a queue) must let go of the thread that waits in it.
        close = getattr(self._media, "close", None)
        if close is not None and not isinstance(self._media, Generator):
            close()
        for thread in self._threads:
            thread.join()

    @property
    def is_finished(self) -> bool:
        """Whether every thread has ended and its end has been taken."""
        return self._running == 0

    def take(self, *, wait: bool) -> list[Event]:
        """Return what the threads have handed over, without the marks of their ends."""
        if self.is_finished:
            return []
        with self._hunger.waiting():
            events = self._inbox.take(max_bytes=self._params.max_batch_bytes, wait=wait)
        self._hunger.taken(len(events))
        self._running -= sum(event is None for event in events)
        return [event for event in events if event is not None]

    def hungry(self) -> AbstractContextManager[None]:
        """Be in this context while there is room for frames, and something else is waited for.

        What the threads hand over meanwhile ends the hunger: it waits for the caller, not the caller for it.
        """
        return self._hunger.waiting()

    def _put(self, event: Event, size_bytes: int = 0) -> None:
        self._inbox.put(event, size_bytes)
        self._hunger.come()

    def _run(self) -> None:
        try:
            while (media := self._next_media()) is not None:
                with self._hunger.media():
                    self._decode(media)
            self._put(None)
        except InboxClosedError:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the caller, which raises it
            self._hand_over(error)

    def _hand_over(self, error: BaseException) -> None:
        try:
            self._put(error)
        except InboxClosedError:
            logger.debug("an error after the end: %s", error)

    def _next_media(self) -> MediaRef | None:
        with self._media_lock:
            return next(self._media, None)

    def _decode(self, media: MediaRef) -> None:
        """Hand over the frames of one media and its end; its own failure is an outcome, not an error."""
        try:
            self._decode_frames(media)
        except (ModelError, ConfigError, InboxClosedError):
            raise
        except AnnotatorError as error:
            self._put(_failure(media, error, self._model), MIN_EVENT_BYTES)
        except Exception as error:
            # A fault of ours, not of the media; it must not take its siblings along.
            logger.exception("decoding %s failed", media.uri)
            self._put(
                MediaFailure(
                    media, self._model, "internal", f"an unexpected {type(error).__name__}: {error}", is_transient=True
                )
            )

    def _decode_frames(self, media: MediaRef) -> None:
        clip = Clip(media, TrackLinker(self._tracking))
        start = time.perf_counter()
        with ExitStack() as stack:
            with metered(self._meter, "fetch"):
                frames = stack.enter_context(self._source.open(media))
            clip.timings_s["fetch"] = time.perf_counter() - start
            clip.content_sha256 = frames.content_sha256
            if self._is_known is not None and self._is_known(frames.content_sha256):
                self._put(KnownMedia(media, frames.content_sha256), MIN_EVENT_BYTES)
                return
            batches = iter(frames)
            while (batch := self._next_batch(batches, clip)) is not None:
                self._put((clip, batch), max(batch.images.nbytes, MIN_EVENT_BYTES))
            clip.report = frames.report
        self._put(clip, MIN_EVENT_BYTES)

    def _next_batch(self, batches: Iterator[FrameBatch], clip: Clip) -> FrameBatch | None:
        start = time.perf_counter()
        with metered(self._meter, "decode"):
            batch = next(batches, None)
        clip.timings_s["decode"] += time.perf_counter() - start
        return batch


def _failure(media: MediaRef, error: AnnotatorError, model: str) -> MediaFailure:
    is_transient = isinstance(error, TransientError) or not isinstance(error, InputError)
    return MediaFailure(media, model, error.reason, str(error), is_transient=is_transient)
