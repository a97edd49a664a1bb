"""The manifest of a model bundle: what it is, and the sha256 and size of every other file."""

import re
from collections.abc import Mapping
from typing import Any, Final

from annotator.errors import ModelError
from annotator.networks.embedders import MAX_EMBEDDING_SIZE
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.bundle_files import MANIFEST, MAX_FILE_BYTES, NETWORK, PROJECTION, json_of

FORMATS: Final = (1, 2)
"""2 may carry a projection, a network, or both; what carries neither is written as 1, which older versions read."""

ALIGNED_CROP: Final[Mapping[str, object]] = {
    "crop": "five landmarks to the ArcFace template",
    "input_size_px": FACE_SIDE_PX,
    "colour_order": "RGB",
}
"""What SFace takes. A bundle with a network of its own says of that how faces are cut for it."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def read_manifest(content: bytes) -> dict[str, Any]:
    """Read and check a manifest; what it says of a network is checked where that is made of it.

    Raises:
        ModelError: it is none, or says something odd.

    """
    manifest = json_of(content, MANIFEST)
    files = _check_stated_files(manifest.get("files"))
    form = manifest.get("format")
    if form not in FORMATS or isinstance(form, bool):
        known = " and ".join(str(one) for one in FORMATS)
        raise ModelError(f"the model bundle has the format {form!r}, this version reads {known}")
    if not is_bundle_name(manifest.get("name")):
        raise ModelError("the name of a model bundle must be short and of a-z, 0-9, dot, dash and underscore")
    _check_number(manifest, "version", 10**9)
    _check_number(manifest, "embedding_size", MAX_EMBEDDING_SIZE)
    if not isinstance(manifest.get("embedder"), str):
        raise ModelError("the manifest of the model bundle must state the embedder")
    for name, key in ((PROJECTION, "projected_size"), (NETWORK, "network")):
        if (name in files) != (key in manifest) or (name in files and form == 1):
            raise ModelError(f"the manifest of the model bundle must state both {name} and {key}, in format 2, or none")
    if PROJECTION in files:
        _check_number(manifest, "projected_size", MAX_EMBEDDING_SIZE)
    odd = [key for key, value in ALIGNED_CROP.items() if NETWORK not in files and manifest.get(key) != value]
    if odd:
        raise ModelError(f"the model bundle wants another kind of crop than this version makes ({', '.join(odd)})")
    return manifest


def is_bundle_name(name: object) -> bool:
    """Return whether a bundle can be called so."""
    return _NAME.fullmatch(str(name)) is not None and isinstance(name, str)


def _check_number(manifest: Mapping[str, Any], key: str, high: int) -> None:
    value = manifest.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= high:
        raise ModelError(f"the manifest of the model bundle must state {key} as a number from 1 to {high}")


def _check_stated_files(files: object) -> Mapping[str, Any]:
    if not isinstance(files, dict):
        raise ModelError("the manifest of the model bundle must state its files")
    for name, stated in files.items():
        size = stated.get("size_bytes") if isinstance(stated, dict) else None
        is_size = isinstance(size, int) and 0 <= size <= MAX_FILE_BYTES.get(name, -1)
        if name == MANIFEST or not is_size or not _SHA256.fullmatch(str(stated.get("sha256"))):
            raise ModelError(f"the manifest of the model bundle states {name[:80]!r}, which is no file of a bundle")
    return files
