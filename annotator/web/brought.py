"""Media that were brought from elsewhere, kept for a minute: players ask for one part of a file after the other."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.media.reader import MediaReader, scheme_of
from annotator.types import MediaRef

KEPT_BYTES: Final = 256 * 1024 * 1024
"""Of files that nobody uses just now."""

KEPT_S: Final = 60.0
_LOCKS: Final = 64
_Key = tuple[str, str | None]


@dataclass(slots=True, eq=False)
class _File:
    """A file, as long as it is there.

    Attributes:
        path: where it is.
        size_bytes: how large it is.
        close: makes it go.
        users: how many use it just now.
        until_s: of a monotonic clock; so long it is kept after the last of them.

    """

    path: Path
    size_bytes: int
    close: Callable[[], None]
    users: int = 0
    until_s: float = 0.0


class BroughtMedia:
    """Brings each media once for all who ask within a minute. Safe to use from several threads.

    Who asks has looked whether the media is there, and whether the visitor may see it. Files have no names: whatever
    ends this process, they are gone with it.
    """

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, kept_s: float = KEPT_S) -> None:
        """Keep nothing yet."""
        self._kept_bytes, self._kept_s = kept_bytes, kept_s
        self._files: OrderedDict[_Key, _File] = OrderedDict()  # who was used last is last
        self._lock = threading.Lock()
        self._bringing = [threading.Lock() for _ in range(_LOCKS)]
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def open(self, reader: MediaReader, media: MediaRef) -> Iterator[Path]:
        """Give the path of a media's file, which stays until it is closed.

        Args:
            reader: brings it, within its limits.
            media: which media. One of this machine is neither read nor kept.

        Raises:
            InputError: as of ``MediaReader.open``.
            TransientError: as of ``MediaReader.open``.

        """
        if scheme_of(media.uri) == "file":
            with reader.open_path(media) as path:
                yield path
            return
        key = (media.uri, media.etag)
        with self._bringing[hash(key) % _LOCKS]:  # who comes second finds what the first one has brought
            file = self._taken(key) or self._brought(reader, media, key)
        try:
            yield file.path
        finally:
            self._give_back(key, file)

    def forget(self) -> None:
        """Let go of all files that nobody uses."""
        with self._lock:
            self._drop(until_s=float("inf"))

    def _taken(self, key: _Key) -> _File | None:
        with self._lock:
            file = self._files.get(key)
            if file is not None:
                file.users += 1
            return file

    def _brought(self, reader: MediaReader, media: MediaRef, key: _Key) -> _File:
        with contextlib.ExitStack() as stack:
            local = stack.enter_context(reader.open(media))
            file = _File(local.path, local.size_bytes, stack.pop_all().close, users=1)
        with self._lock:
            self._files[key] = file
        return file

    def _give_back(self, key: _Key, file: _File) -> None:
        with self._lock:
            file.users -= 1
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
