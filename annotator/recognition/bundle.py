"""A model bundle: a folder with the prototypes of people, their names and what a score is worth.

    manifest.json     what it is and the sha256 of every other file
    labels.csv        who the people are
    prototypes.npz    f32 prototypes (P, D), unit norm; i32 photo_counts (P,); f32 mean (D,)
    calibration.json  thresholds and confidence by face size
    credits.csv       where the photographs of each person came from
    revoked.json      people who must not be recognised, as salted hashes
    MODEL_CARD.md  LICENSE

A bundle may come from anywhere, so nothing in it is trusted: sizes are bounded before a file is read, digests are
checked before it is parsed, arrays are read without pickles and with the shapes that the labels imply.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from annotator.errors import ConfigError, ModelError
from annotator.recognition.alignment import FACE_SIDE_PX
from annotator.recognition.calibration import Calibration
from annotator.recognition.labels import read_labels, write_labels
from annotator.recognition.revocation import RevocationList, parse_revocation_list, read_revocation_list
from annotator.types import F32, Identity, frozen_array

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
LABELS: Final = "labels.csv"
PROTOTYPES: Final = "prototypes.npz"
CALIBRATION: Final = "calibration.json"
REVOKED: Final = "revoked.json"
CREDITS: Final = "credits.csv"
MODEL_CARD: Final = "MODEL_CARD.md"
LICENSE: Final = "LICENSE"

MAX_FILE_BYTES: Final[Mapping[str, int]] = {
    MANIFEST: 1024 * 1024,
    LABELS: 64 * 1024 * 1024,
    PROTOTYPES: 1024 * 1024 * 1024,
    CALIBRATION: 1024 * 1024,
    REVOKED: 16 * 1024 * 1024,
    CREDITS: 256 * 1024 * 1024,
    MODEL_CARD: 1024 * 1024,
    LICENSE: 1024 * 1024,
}
"""The files of a bundle, and how large each may be: room for a million people."""

MAX_EMBEDDING_SIZE: Final = 4096

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CROP: Final[Mapping[str, object]] = {
    "crop": "five landmarks to the ArcFace template",
    "input_size_px": FACE_SIDE_PX,
    "colour_order": "RGB",
}
"""The only kind of crop that this version makes; a bundle of another kind is refused."""

_UNIT_TOLERANCE: Final = 1e-3

Download = Callable[[str, Path, int], None]
"""Fetches a URI to a path, of at most so many bytes; raises an ``AnnotatorError`` if it cannot."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelBundle:
    """A checked bundle. Revoked people are not in it.

    Attributes:
        name: short, e.g. ``"starter"``.
        version: counts up.
        embedder: the network that made the prototypes, e.g. ``"sface-2021dec"``.
        identities: the people, in the order of the prototypes.
        prototypes: f32 (P, D), each person's mean embedding, unit norm.
        photo_counts: i32 (P,), how many photographs each rests on.
        mean: f32 (D,), mean of all prototypes when the bundle was built: the centre that scores are taken from.
        calibration: thresholds and confidence.
        digest: sha256 over all that decides a label, hexadecimal; two bundles with one digest label alike.
        manifest: the manifest, with metrics, licence and the digest of the data.

    """

    name: str
    version: int
    embedder: str
    identities: tuple[Identity, ...]
    prototypes: F32
    photo_counts: NDArray[np.int32]
    mean: F32
    calibration: Calibration
    digest: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check and freeze.

        Raises:
            ModelError: an array has the wrong shape, type or values.

        """
        size = self.mean.shape[0] if self.mean.ndim == 1 else 0
        try:
            prototypes = frozen_array("prototypes", self.prototypes, np.float32, (len(self.identities), size))
            counts = frozen_array("photo_counts", self.photo_counts, np.int32, (len(self.identities),))
            mean = frozen_array("mean", self.mean, np.float32, (size,))
        except TypeError as error:
            raise ModelError(f"the model bundle {self.name} is inconsistent: {error}") from error
        norms = np.linalg.norm(prototypes.astype(np.float64), axis=1)
        if not (np.isfinite(mean).all() and (np.abs(norms - 1.0) < _UNIT_TOLERANCE).all() and (counts > 0).all()):
            raise ModelError(
                f"the model bundle {self.name} has prototypes that are not of unit length, or no photographs"
            )
        for name, array in (("prototypes", prototypes), ("photo_counts", counts), ("mean", mean)):
            object.__setattr__(self, name, array)

    @property
    def model(self) -> str:
        """Name and version as users see them: ``"starter@1"``."""
        return f"{self.name}@{self.version}"


def load_bundle(path: Path, *, revocations: Path | None = None) -> ModelBundle:
    """Load and check a bundle from a folder.

    Args:
        path: the folder.
        revocations: a further revocation list, of the user (see ``annotator.recognition.revocation``).

    Raises:
        ConfigError: there is no bundle, or no such revocation list.
        ModelError: the bundle fails its checks.

    """
    if not (path / MANIFEST).is_file():
        raise ConfigError(f"there is no model bundle at {path}: it must be a folder with a {MANIFEST}")
    manifest = _read_manifest(_read_bounded(path / MANIFEST))
    content = {name: _checked_content(path / name, manifest) for name in (LABELS, PROTOTYPES, CALIBRATION, REVOKED)}
    people = read_labels(_text(content[LABELS], LABELS))
    arrays = _read_prototypes(content[PROTOTYPES], len(people), int(manifest["embedding_size"]))
    lists = [parse_revocation_list(_text(content[REVOKED], REVOKED), where=REVOKED)]
    lists += [read_revocation_list(revocations)] if revocations else []
    return _without_revoked(manifest, people, arrays, _parse_json(content[CALIBRATION], CALIBRATION), lists=lists)


def fetch_bundle(uri: str, *, download: Download, cache_dir: Path) -> Path:
    """Bring a remote bundle into a local folder; files that are there with the right digest are kept.

    Args:
        uri: of the bundle's folder, e.g. ``"s3://bucket/models/starter"``.
        download: fetches one file.
        cache_dir: folder for bundles; made if missing.

    Returns:
        The local folder, for :func:`load_bundle`.

    Raises:
        ModelError: the manifest, or a file against it, fails its checks.

    """
    uri = uri.rstrip("/")
    folder = cache_dir / hashlib.sha256(uri.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f"{MANIFEST}.part"
    download(f"{uri}/{MANIFEST}", scratch, MAX_FILE_BYTES[MANIFEST])
    manifest = _read_manifest(_read_bounded(scratch, limit=MAX_FILE_BYTES[MANIFEST]))
    for name, stated in manifest["files"].items():
        target = folder / name
        if target.is_file() and hashlib.sha256(_read_bounded(target)).hexdigest() == stated["sha256"]:
            continue
        part = folder / f"{name}.part"
        download(f"{uri}/{name}", part, int(stated["size_bytes"]))
        part.replace(target)
        _checked_content(target, manifest)
    scratch.replace(folder / MANIFEST)
    return folder


def write_bundle(folder: Path, bundle: ModelBundle, *, texts: Mapping[str, str], revoked: RevocationList) -> None:
    """Write a bundle, the manifest last. The same values give the same bytes.

    Args:
        folder: made if missing; a bundle in it is replaced.
        bundle: its ``manifest`` holds what the manifest says besides the required fields.
        texts: the credits, the model card and the licence, by file name.
        revoked: the revocation list that it carries.

    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    contents = {
        LABELS: write_labels(bundle.identities),
        CALIBRATION: json.dumps(bundle.calibration.to_json(), indent=1) + "\n",
        REVOKED: revoked.to_json(),
        **texts,
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    with (folder / PROTOTYPES).open("wb") as file:
        np.savez(file, prototypes=bundle.prototypes, photo_counts=bundle.photo_counts, mean=bundle.mean)
    files = {name: _stated(folder / name) for name in sorted([*contents, PROTOTYPES])}
    required = {
        "format": FORMAT,
        "name": bundle.name,
        "version": bundle.version,
        "embedder": bundle.embedder,
        "embedding_size": int(bundle.mean.shape[0]),
        **_CROP,
    }
    text = json.dumps({**required, **bundle.manifest, "files": files}, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="")


def _stated(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def _read_bounded(path: Path, *, limit: int | None = None) -> bytes:
    limit = MAX_FILE_BYTES[path.name] if limit is None else limit
    if not path.is_file():
        raise ModelError(f"the model bundle lacks {path.name}: install it again")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelError(f"{path.name} of the model bundle is larger than {limit} bytes: it is not trusted")
    return content


def _checked_content(path: Path, manifest: Mapping[str, Any]) -> bytes:
    """Read a file and compare it with what the manifest states."""
    stated = manifest["files"].get(path.name)
    if stated is None:
        raise ModelError(f"the manifest of the model bundle does not state {path.name}: build the bundle again")
    content = _read_bounded(path)
    if hashlib.sha256(content).hexdigest() != stated["sha256"]:
        raise ModelError(f"{path.name} of the model bundle is not what its manifest states: install the bundle again")
    return content


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(f"{name} of the model bundle is not UTF-8: build the bundle again") from error


def _parse_json(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_text(content, name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} of the model bundle is no JSON file: build the bundle again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{name} of the model bundle must hold one object: build the bundle again")
    return value


def _read_manifest(content: bytes) -> dict[str, Any]:
    manifest = _parse_json(content, MANIFEST)
    _check_stated_files(manifest.get("files"))
    if manifest.get("format") != FORMAT:
        raise ModelError(f"the model bundle has the format {manifest.get('format')!r}, this version reads {FORMAT}")
    if not _NAME.fullmatch(str(manifest.get("name"))):
        raise ModelError("the name of a model bundle must be short and of a-z, 0-9, dot, dash and underscore")
    for key, high in (("version", 10**9), ("embedding_size", MAX_EMBEDDING_SIZE)):
        value = manifest.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= high:
            raise ModelError(f"the manifest of the model bundle must state {key} as a number from 1 to {high}")
    if not isinstance(manifest.get("embedder"), str):
        raise ModelError("the manifest of the model bundle must state the embedder")
    odd = [key for key, value in _CROP.items() if manifest.get(key) != value]
    if odd:
        raise ModelError(f"the model bundle wants another kind of crop than this version makes ({', '.join(odd)})")
    return manifest


def _check_stated_files(files: object) -> None:
    if not isinstance(files, dict):
        raise ModelError("the manifest of the model bundle must state its files")
    for name, stated in files.items():
        size = stated.get("size_bytes") if isinstance(stated, dict) else None
        is_size = isinstance(size, int) and 0 <= size <= MAX_FILE_BYTES.get(name, -1)
        if name == MANIFEST or not is_size or not _SHA256.fullmatch(str(stated.get("sha256"))):
            raise ModelError(f"the manifest of the model bundle states {name[:80]!r}, which is no file of a bundle")


def _read_prototypes(content: bytes, people: int, size: int) -> dict[str, NDArray[Any]]:
    """Read the arrays; their headers are compared with the shapes expected before memory is taken for them."""
    expected = {
        "prototypes": (np.float32, (people, size)),
        "photo_counts": (np.int32, (people,)),
        "mean": (np.float32, (size,)),
    }
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name, (dtype, shape) in expected.items():
                with archive.open(f"{name}.npy") as member:
                    version = npy_format.read_magic(member)
                    header = npy_format.read_array_header_1_0(member) if version == (1, 0) else None
                if header != (shape, False, np.dtype(dtype)):
                    raise ModelError(f"{name} of the model bundle must be {np.dtype(dtype).name} {shape}")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            for name in expected:
                arrays[name] = np.asarray(archive[name])
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"{PROTOTYPES} of the model bundle cannot be read ({error}): install the bundle again"
        ) from error
    return arrays


def _without_revoked(
    manifest: Mapping[str, Any],
    people: tuple[Identity, ...],
    arrays: Mapping[str, NDArray[Any]],
    calibration: Mapping[str, Any],
    *,
    lists: list[RevocationList],
) -> ModelBundle:
    kept = [index for index, person in enumerate(people) if not any(item.covers(person) for item in lists)]
    identities = tuple(people[index] for index in kept)
    digest = hashlib.sha256()
    for name in (LABELS, PROTOTYPES, CALIBRATION):
        digest.update(manifest["files"][name]["sha256"].encode())
    digest.update(json.dumps([manifest["embedder"], kept if len(kept) < len(people) else None]).encode())
    return ModelBundle(
        name=manifest["name"],
        version=manifest["version"],
        embedder=manifest["embedder"],
        identities=identities,
        prototypes=arrays["prototypes"][kept],
        photo_counts=arrays["photo_counts"][kept],
        mean=arrays["mean"],
        calibration=Calibration.from_json(calibration),
        digest=digest.hexdigest(),
        manifest=manifest,
    )
