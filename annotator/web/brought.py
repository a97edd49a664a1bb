"""Media that were brought from elsewhere, kept for a minute: players ask for one part of a file after the other."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from annotator.errors import AnnotatorError, SourceUnavailableError
from annotator.media.local import LocalMedia
from annotator.media.reader import MediaReader, scheme_of
from annotator.types import MediaRef
from annotator.web.turns import Turns

KEPT_BYTES: Final = 256 * 1024 * 1024
"""Of files that nobody uses just now."""

USED_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of files that are being sent just now: with more of them nothing else is brought."""

KEPT_S: Final = 60.0
_Key = tuple[str, str | None]


@dataclass(slots=True, eq=False)
class _File:
    """A file as long as it is there, or why there is none.

    Attributes:
        local: the file.
        error: why it could not be brought.
        close: makes the file go.
        users: how many use it just now.
        until_s: of a monotonic clock; so long it is kept after the last of them.

    """

    local: LocalMedia | None
    error: AnnotatorError | None
    close: Callable[[], None]
    users: int = 1
    until_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        return 0 if self.local is None else self.local.size_bytes


class KeepingReader(MediaReader):
    """Opens media as another reader does, and keeps what it has brought from elsewhere for a minute.

    Who asks within that time gets the same file, or the same error. Who asks has looked whether the media is there, and
    whether the visitor may see it. Files have no names: whatever ends this process, they are gone with it. Safe to use
    from several threads.
    """

    def __init__(
        self, reader: MediaReader, *, kept_bytes: int = KEPT_BYTES, used_bytes: int = USED_BYTES, kept_s: float = KEPT_S
    ) -> None:
        """Keep nothing yet."""
        self.fetch, self.decode = reader.fetch, reader.decode
        self._reader = reader
        self._kept_bytes, self._used_bytes, self._kept_s = kept_bytes, used_bytes, kept_s
        self._files: OrderedDict[_Key, _File] = OrderedDict()  # who was used last is last
        self._lock = threading.Lock()
        self._bringing: Turns[_Key] = Turns()
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def open(self, media: MediaRef, *, time_limit_s: Callable[[int], float] | None = None) -> Iterator[LocalMedia]:
        """Bring a media to a file, or give the one that was brought a moment ago; errors as of ``MediaReader.open``.

        Raises:
            SourceUnavailableError: also where too much is being sent just now.

        """
        if scheme_of(media.uri) == "file":
            with self._reader.open(media, time_limit_s=time_limit_s) as local:
                yield local
            return
        key = (media.uri, media.etag)
        with self._bringing.of(key):  # who comes second finds what the first one has brought
            file = self._taken(key) or self._brought(media, key, time_limit_s)
        try:
            if file.local is None:
                assert file.error is not None  # noqa: S101 - one of both is there
                raise file.error.with_traceback(None)
            yield file.local
        finally:
            self._give_back(key, file)

    def forget(self) -> None:
        """Let go of all files that nobody uses."""
        with self._lock:
            self._drop(until_s=float("inf"))

    def _taken(self, key: _Key) -> _File | None:
        with self._lock:
            file = self._files.get(key)
            if file is not None and not file.users and file.until_s <= time.monotonic():
                return None
            if file is not None:
                file.users += 1
            return file

    def _brought(self, media: MediaRef, key: _Key, time_limit_s: Callable[[int], float] | None) -> _File:
        with self._lock:
            used = sum(file.size_bytes for file in self._files.values() if file.users)
        if used > self._used_bytes:
            raise SourceUnavailableError("Too many media are being sent just now: try again in a minute.")
        with contextlib.ExitStack() as stack:
            try:
                local = stack.enter_context(self._reader.open(media, time_limit_s=time_limit_s))
                file = _File(local, None, stack.pop_all().close)
            except AnnotatorError as error:
                file = _File(None, error, lambda: None)
        with self._lock:
            former = self._files.pop(key, None)
            if former is not None:  # of before its time was over, which nobody has used since
                former.close()
            self._files[key] = file
        return file

    def _give_back(self, key: _Key, file: _File) -> None:
        with self._lock:
            file.users -= 1
            if not file.users:
                # The time of an error begins once: who asks again and again must not make it last.
                if file.error is None or not file.until_s:
                    file.until_s = time.monotonic() + self._kept_s
                self._files.move_to_end(key)
            self._drop(until_s=time.monotonic())
            self._wait_for_next()

    def _drop(self, *, until_s: float) -> None:
        """Let go of what has been kept long enough, and of what was used longest ago where all are too much."""
        unused = [(key, file) for key, file in self._files.items() if not file.users]
        too_much = sum(file.size_bytes for _, file in unused) - self._kept_bytes
        for key, file in unused:
            if too_much > 0 or file.until_s <= until_s:
                del self._files[key]
                file.close()
                too_much -= file.size_bytes

    def _wait_for_next(self) -> None:
        if self._timer is None and self._files:
            self._timer = threading.Timer(self._kept_s, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def _on_time(self) -> None:
        with self._lock:
            self._timer = None
            self._drop(until_s=time.monotonic())
            self._wait_for_next()
