"""The two files that matter, out of ``resources.tar.gz`` or the folder that it was unpacked into.

The names in an archive are only compared, never used as paths, and nothing is unpacked but into a nameless file.
"""

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from annotator.errors import ConfigError, LocalDiskError, ModelError
from trainer.giphy.pickles import shown

CHECKPOINT: Final = "best_model_states.pkl"
LABELS: Final = "labels.csv"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        total_bytes: of the archive, unpacked.
        checkpoint_bytes: of the checkpoint: a ResNet-50 has 100 MB, with its optimiser's state 300 MB.
        labels_bytes: of the labels.
        members: files, folders, and headers that say more of them.

    """

    total_bytes: int = 2 * 1024**3
    checkpoint_bytes: int = 1024**3
    labels_bytes: int = 16 * 1024**2
    members: int = 1000


LIMITS: Final = Limits()

_BLOCK: Final = 512
_COPIED_BYTES: Final = 1024 * 1024
_MAX_HEADER_BYTES: Final = 64 * 1024
_HEADERS: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
"""Members that say something of the next one: nothing that is needed, so they are passed over."""


@dataclass(frozen=True, slots=True)
class Release:
    """What an archive holds.

    Attributes:
        checkpoint: open until the reading ends.
        labels: the bytes of ``labels.csv``; None if it has none.
        labels_path: what messages call the labels.

    """

    checkpoint: BinaryIO
    labels: bytes | None
    labels_path: Path


@contextmanager
def open_release(path: Path, *, scratch_dir: Path, limits: Limits = LIMITS) -> Iterator[Release]:
    """Open the release.

    Args:
        path: ``resources.tar.gz``, or the folder ``resources`` that it was unpacked into.
        scratch_dir: where the checkpoint is put meanwhile, without a name: a kill leaves nothing behind.
        limits: how much it may hold.

    Yields:
        The checkpoint and the labels.

    Raises:
        ConfigError: there is neither, or a folder without a checkpoint.
        ModelError: the archive is broken, hostile, or not the release.
        LocalDiskError: there is no room for the checkpoint.

    """
    if path.is_dir():
        with _folder_checkpoint(path).open("rb") as checkpoint:
            labels = path / "face_recognition" / LABELS
            yield Release(checkpoint, _read_labels(labels, limits) if labels.is_file() else None, labels)
        return
    if not path.is_file():
        raise ConfigError(f"there is no archive {path}: name GIPHY's resources.tar.gz, or the folder unpacked from it")
    with _scratch(scratch_dir) as checkpoint:
        labels_content = _unpack(path, checkpoint, limits)
        yield Release(checkpoint, labels_content, path / LABELS)


def _scratch(folder: Path) -> BinaryIO:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise LocalDiskError(f"{folder} cannot be written to ({error.strerror}): use --out") from error


def _folder_checkpoint(folder: Path) -> Path:
    path = folder / "face_recognition" / CHECKPOINT
    if not path.is_file():
        raise ConfigError(f"there is no {path}: name the folder resources that GIPHY's archive was unpacked into")
    return path


def _read_labels(path: Path, limits: Limits) -> bytes:
    with path.open("rb") as file:
        content = file.read(limits.labels_bytes + 1)
    if len(content) > limits.labels_bytes:
        raise ModelError(f"{path} is larger than {limits.labels_bytes} bytes: it is no list of labels")
    return content


def _unpack(path: Path, checkpoint: BinaryIO, limits: Limits) -> bytes | None:
    """Copy the checkpoint, and return the labels; everything else is passed over."""
    found: set[str] = set()
    labels: bytes | None = None
    try:
        with gzip.open(path, "rb") as stream:
            unpacked = _Unpacked(stream, limits.total_bytes)  # type: ignore[arg-type] # a GzipFile reads as a BinaryIO
            for member in _members(unpacked, limits.members):
                name = PurePosixPath(member.name).name
                if name not in (CHECKPOINT, LABELS) or member.isdir():
                    unpacked.skip(0 if member.isdir() else _padded(member.size))
                    continue
                if name in found:
                    raise ModelError(f"the archive has {name} twice: it is not the release")
                found.add(name)
                if name == LABELS:
                    labels = unpacked.take(member.size, limits.labels_bytes, name)
                else:
                    _copy(unpacked, member.size, checkpoint, limits.checkpoint_bytes)
                unpacked.skip(_padded(member.size) - member.size)
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise ModelError(f"{path} is no whole gzip archive ({shown(str(error))}): fetch it again") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if CHECKPOINT not in found:
        raise ModelError(f"{path} holds no {CHECKPOINT}: it is not GIPHY's release")
    return labels


class _Unpacked:
    """The unpacked bytes of an archive, counted: an archive that swells ends with an error."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left, self._limit = stream, limit, limit

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise ModelError(f"the archive unpacks to more than {self._limit} bytes: it is not the release")
        content = self._stream.read(size)
        self._left -= len(content)
        if len(content) != size:
            raise EOFError("it ends too early")
        return content

    def take(self, size: int, limit: int, name: str) -> bytes:
        if size > limit:
            raise ModelError(f"{name} of the archive has {size} bytes, over the limit of {limit}: refused")
        return self.read(size)

    def skip(self, size: int) -> None:
        if size > self._left:
            raise ModelError(f"the archive unpacks to more than {self._limit} bytes: it is not the release")
        while size > 0:
            size -= len(self.read(min(size, _COPIED_BYTES)))


def _members(unpacked: _Unpacked, limit: int) -> Iterator[tarfile.TarInfo]:
    """Yield the files and folders; who asks for the next one has read the content of the last."""
    for _ in range(limit):
        block = unpacked.read(_BLOCK)
        if not block.strip(b"\0"):
            return
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.size < 0:
            raise ModelError(f"the archive holds {shown(member.name)} of a size below zero: refused")
        if member.type in _HEADERS:
            unpacked.take(member.size, _MAX_HEADER_BYTES, "a header")
            unpacked.skip(_padded(member.size) - member.size)
            continue
        parts = PurePosixPath(member.name).parts
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise ModelError(f"the archive holds {shown(member.name)}, which is no plain file: refused")
        if ".." in parts or member.name.startswith("/"):
            raise ModelError(f"the archive holds {shown(member.name)}, a path that leads out of it: refused")
        yield member
    raise ModelError(f"the archive has more than {limit} members: it is not the release")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _copy(unpacked: _Unpacked, size: int, target: BinaryIO, limit: int) -> None:
    if size > limit:
        raise ModelError(f"{CHECKPOINT} of the archive has {size} bytes, over the limit of {limit}: refused")
    try:
        while size > 0:
            size -= target.write(unpacked.read(min(size, _COPIED_BYTES)))
        target.flush()
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise LocalDiskError(
            f"there is no room for the checkpoint ({error.strerror}): free some, or use --out"
        ) from error
