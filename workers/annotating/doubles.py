"""In-memory doubles of what a worker drives, for tests and for measuring the queue without networks."""

import hashlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator

from annotator.types import ClipReport, KnownMedia, MediaAnnotation, MediaFailure, MediaRef
from workers.annotating.engine import Outcome

_END = None


class FakeAnnotator:
    """Annotates nothing: every media has one frame and no face. The digest is that of its URI.

    Like the real one it reads the media from threads of its own, ahead of what it yields.

    Attributes:
        seen: URIs, in the order in which they were annotated.
        broken: what its networks raise on an empty picture; None where they work.

    """

    def __init__(self, *, media_s: float = 0.0, scripted: dict[str, Exception | MediaFailure] | None = None) -> None:
        """Set how it behaves.

        Args:
            media_s: how long a media takes.
            scripted: by URI, what to raise from ``annotate`` or to yield instead.

        """
        self._media_s = media_s
        self._scripted = dict(scripted or {})
        self._pause = threading.Event()
        self.seen: list[str] = []
        self.broken: Exception | None = None

    @property
    def model(self) -> str:
        """The model version."""
        return "fake@1"

    def warm_up(self) -> None:
        """Raise what :attr:`broken` says."""
        if self.broken is not None:
            raise self.broken

    def annotate(
        self, media: Iterable[MediaRef], *, is_known: Callable[[str], bool] | None = None
    ) -> Iterator[Outcome]:
        """Yield one outcome for each media."""
        ahead: queue.Queue[MediaRef | None] = queue.Queue(maxsize=2)
        reader = iter(media)

        def read() -> None:
            for one in reader:
                ahead.put(one)
            ahead.put(_END)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            while (one := ahead.get()) is not None:
                yield self._outcome(one, is_known)
        finally:
            close = getattr(reader, "close", None)
            if close is not None:
                close()

    def _outcome(self, one: MediaRef, is_known: Callable[[str], bool] | None) -> Outcome:
        self.seen.append(one.uri)
        self._pause.wait(self._media_s)
        scripted = self._scripted.get(one.uri)
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        sha256 = hashlib.sha256(one.uri.encode()).hexdigest()
        if is_known is not None and is_known(sha256):
            return KnownMedia(one, sha256)
        return MediaAnnotation(
            media=one,
            model=self.model,
            content_sha256=sha256,
            clip=ClipReport(1, 1, None, 1, 1, None),
            frames_sampled=1,
            faces=0,
            tracks=(),
            labels=(),
        )
