"""The files of a model bundle, and their distrustful reading.

Sizes are bounded before a file is read, digests are checked before it is parsed, arrays are read by
``annotator.networks.expected_arrays``.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from annotator.errors import ModelError
from annotator.networks.embedder_file import MAX_NETWORK_BYTES
from annotator.networks.expected_arrays import Header, read_expected

MANIFEST: Final = "manifest.json"
LABELS: Final = "labels.csv"
PROTOTYPES: Final = "prototypes.npz"
PROJECTION: Final = "projection.npz"
NETWORK: Final = "network.npz"
CLASSES: Final = "classes.npz"
CALIBRATION: Final = "calibration.json"
REVOKED: Final = "revoked.json"
CREDITS: Final = "credits.csv"
MODEL_CARD: Final = "MODEL_CARD.md"
LICENSE: Final = "LICENSE"

MAX_FILE_BYTES: Final[Mapping[str, int]] = {
    MANIFEST: 1024 * 1024,
    LABELS: 64 * 1024 * 1024,
    PROTOTYPES: 1024 * 1024 * 1024,
    PROJECTION: 80 * 1024 * 1024,
    NETWORK: MAX_NETWORK_BYTES,
    CLASSES: 1024 * 1024 * 1024,
    CALIBRATION: 1024 * 1024,
    REVOKED: 16 * 1024 * 1024,
    CREDITS: 256 * 1024 * 1024,
    MODEL_CARD: 1024 * 1024,
    LICENSE: 1024 * 1024,
}
"""The files of a bundle, and how large each may be: room for a million people."""

_HASHED_BYTES: Final = 1024 * 1024


def stated(path: Path) -> dict[str, object]:
    """Return what the manifest states of a file: its sha256 and its size."""
    return {"sha256": file_digest(path), "size_bytes": path.stat().st_size}


def file_digest(path: Path) -> str:
    """Return the sha256 of a file of a bundle.

    Raises:
        ModelError: it is not there, or larger than such a file may be.

    """
    limit = MAX_FILE_BYTES[path.name]
    _check_there(path)
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(_HASHED_BYTES):
            size_bytes += len(part)
            if size_bytes > limit:
                raise ModelError(_too_large(path.name, limit))
            digest.update(part)
    return digest.hexdigest()


def read_bounded(path: Path, *, limit: int | None = None) -> bytes:
    """Read a file of a bundle.

    Raises:
        ModelError: it is not there, or larger than the limit, by default that of its name.

    """
    limit = MAX_FILE_BYTES[path.name] if limit is None else limit
    _check_there(path)
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelError(_too_large(path.name, limit))
    return content


def stated_digest(name: str, manifest: Mapping[str, Any]) -> str:
    """Return the sha256 that the manifest states of a file.

    Raises:
        ModelError: it does not state the file.

    """
    found = manifest["files"].get(name)
    if found is None:
        raise ModelError(f"the manifest of the model bundle does not state {name}: build the bundle again")
    return str(found["sha256"])


def checked_content(path: Path, manifest: Mapping[str, Any]) -> bytes:
    """Read a file and compare it with what the manifest states.

    Raises:
        ModelError: it is not there, too large, or another one.

    """
    wanted = stated_digest(path.name, manifest)
    content = read_bounded(path)
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ModelError(not_as_stated(path.name))
    return content


def not_as_stated(name: str) -> str:
    """Return what is said of a file that differs from the manifest."""
    return f"{name} of the model bundle is not what its manifest states: install the bundle again"


def text_of(content: bytes, name: str) -> str:
    """Return a file's text.

    Raises:
        ModelError: it is not UTF-8.

    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"{name} of the model bundle is not UTF-8: build the bundle again") from error


def json_of(content: bytes, name: str) -> dict[str, Any]:
    """Return a file's JSON object.

    Raises:
        ModelError: it is none.

    """
    try:
        value = json.loads(text_of(content, name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} of the model bundle is no JSON file: build the bundle again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{name} of the model bundle must hold one object: build the bundle again")
    return value


def read_arrays(content: bytes, name: str, expected: Mapping[str, Header]) -> dict[str, NDArray[Any]]:
    """Read arrays of a file of the bundle, as they are expected to be.

    Args:
        content: of an ``.npz`` file.
        name: of the file, for messages.
        expected: dtype and shape of each array.

    Returns:
        The arrays, read-only.

    Raises:
        ModelError: an array is missing, cut off or of another kind.

    """
    unreadable = f"{name} of the model bundle cannot be read"
    return read_expected(io.BytesIO(content), expected, whole="the model bundle", unreadable=unreadable)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"the model bundle lacks {path.name}: install it again")


def _too_large(name: str, limit: int) -> str:
    return f"{name} of the model bundle is larger than {limit} bytes: it is not trusted"
