"""A media that lies in a file, and what brings it there. Knows nothing of networks and buckets."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from annotator.types import MediaRef


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """A media that lies in a file.

    Attributes:
        ref: which media.
        path: the file; a fetched one is gone when the block of :meth:`MediaOpener.open` is left, and only this
            process finds it.
        size_bytes: its length.
        sha256: digest of its bytes, in hexadecimal.

    """

    ref: MediaRef
    path: Path
    size_bytes: int
    sha256: str


class MediaOpener(Protocol):
    """What the pipeline needs to know of a reader."""

    def open(self, media: MediaRef) -> AbstractContextManager[LocalMedia]:
        """Bring a media to a file for the time of a block.

        Raises:
            InputError: it cannot be had.
            TransientError: it cannot be had now.

        """
