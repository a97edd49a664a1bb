"""What the services have answered, kept on disk: nothing is asked twice, and a run that was broken off goes on."""

import threading
import time
from hashlib import sha256
from pathlib import Path

from annotator.errors import LocalDiskError
from trainer.dataset.files import write_whole


class DiskCache:
    """Answers by their address. Several threads may use it; a file is there whole or not at all."""

    def __init__(self, folder: Path, *, max_age_s: float) -> None:
        """Take the folder.

        Args:
            folder: is made where it is missing.
            max_age_s: older answers are asked again; pictures never change under one address and are kept.

        """
        self._folder = folder
        self._max_age_s = max_age_s
        self._one_writes = threading.Lock()

    def path(self, key: str) -> Path:
        """Return where an answer is kept."""
        digest = sha256(key.encode()).hexdigest()
        return self._folder / digest[:2] / digest

    def read(self, key: str, *, is_lasting: bool = False) -> bytes | None:
        """Return an answer, None where it is not there or too old.

        Args:
            key: its address.
            is_lasting: whether it is good at any age.

        """
        path = self.path(key)
        try:
            if not is_lasting and time.time() - path.stat().st_mtime > self._max_age_s:
                return None
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalDiskError(f"{path} cannot be read ({error}); check the disk.") from error

    def write(self, key: str, body: bytes) -> Path:
        """Keep an answer.

        Raises:
            LocalDiskError: the disk is full or refuses.

        """
        path = self.path(key)
        with self._one_writes:
            write_whole(path, body)
        return path
