"""The folder that the import writes, and its checked reading.

    manifest.json  what it is, how faces are cut for it, and the sha256 and size of every other file
    labels.csv     Label,Index: the people by class, in the form of a model bundle
    network.npz    the embedder's variables, named ``layer.variable``, float32
    classes.npz    kernel (256, P), bias (P,), centres (P, 256), float32

It is made like a model bundle (``docs/model-bundle.md``), and read with the same distrust: sizes are bounded before a
file is read, digests checked before it is parsed, arrays read without pickles and only in the shapes expected.
"""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy_format

from annotator.errors import ConfigError, LocalDiskError, ModelError
from annotator.recognition.labels import parse_label, read_labels, write_labels
from annotator.types import F32, Identity
from trainer.giphy.faces import DETECTION, MARGIN
from trainer.giphy.mapping import ClassHead, variable_shapes
from trainer.giphy.network import EMBEDDING_SIZE, FACE_SIDE_PX

FORMAT: Final = "giphy-import 1"
MANIFEST: Final = "manifest.json"
LABELS: Final = "labels.csv"
NETWORK: Final = "network.npz"
CLASSES: Final = "classes.npz"

MAX_FILE_BYTES: Final[Mapping[str, int]] = {
    MANIFEST: 1024**2,
    LABELS: 16 * 1024**2,
    NETWORK: 128 * 1024**2,
    CLASSES: 1024**3,
}

CONVENTIONS: Final[Mapping[str, object]] = {
    "class": "rank of the sorted label",
    "crop": "box of MTCNN, not aligned, with a margin, stretched bilinearly",
    "crop_margin_each_side": MARGIN / 2,
    "input_size_px": FACE_SIDE_PX,
    "colour_order": "RGB",
    "normalisation": "divided by 255 in the network; no mean, no deviation",
    "embedding": "output of the first dense layer, not of unit length",
    "embedding_size": EMBEDDING_SIZE,
    "known_score": "mean over faces of the highest softmax times the cosine to that class's centre",
    "min_face_px": DETECTION.min_face_px,
    "min_face_fraction": DETECTION.min_face_fraction,
    "detector_thresholds": list(DETECTION.thresholds),
    "pyramid_factor": DETECTION.pyramid_factor,
}
"""What a face must be for this network, and what its answers mean; stands in the manifest."""

_LICENCE: Final = (
    "GIPHY's release (code under MPL-2.0) states no licence for its weights. They were made from photographs of "
    "people: a licence would be no consent to recognise them."
)
_SEPARATOR: Final = "."
"""Stands for the slash in the names of variables: in a zip a slash would be a folder."""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModel:
    """What an import has made.

    Attributes:
        identities: the people, by class.
        head: from embeddings to classes.
        network: path of the embedder's variables; :func:`read_network_file` reads them.
        network_digest: sha256 of that file.
        manifest: as written.

    """

    identities: tuple[Identity, ...]
    head: ClassHead
    network: Path
    network_digest: str
    manifest: Mapping[str, Any]

    @property
    def network_id(self) -> str:
        """Names the embedding space: embeddings of two networks are never compared."""
        return f"giphy-resnet50-{self.network_digest[:12]}"


def write_folder(
    folder: Path, labels: tuple[str, ...], network: Mapping[str, F32], head: ClassHead, *, checkpoint_sha256: str
) -> None:
    """Write the folder; it appears under its name when it is whole.

    Args:
        folder: must not be there, or be empty.
        labels: by class.
        network: the embedder's variables.
        head: from embeddings to classes.
        checkpoint_sha256: of the checkpoint that all this is from.

    Raises:
        ConfigError: the folder holds something.
        LocalDiskError: there is no room for it.

    """
    check_new(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise LocalDiskError(f"{folder.parent} cannot be written to: {error.strerror}") from error
    try:
        identities = tuple(parse_label(label) for label in labels)
        (part / LABELS).write_text(write_labels(identities), encoding="utf-8", newline="")
        _save(part / NETWORK, {name.replace("/", _SEPARATOR): array for name, array in network.items()})
        _save(part / CLASSES, {"kernel": head.kernel, "bias": head.bias, "centres": head.centres})
        files = {name: _stated(part / name) for name in (LABELS, NETWORK, CLASSES)}
        manifest = {
            "format": FORMAT,
            "name": "giphy",
            "embedder": f"giphy-resnet50-{files[NETWORK]['sha256'][:12]}",
            "people": len(labels),
            **CONVENTIONS,
            "source": {"checkpoint_sha256": checkpoint_sha256},
            "licence": _LICENCE,
            "files": files,
        }
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (part / MANIFEST).write_text(text, encoding="utf-8", newline="")
        part.chmod(0o755)  # a temporary folder is made for its owner only
        part.rename(folder)
    except OSError as error:
        raise LocalDiskError(f"{folder} cannot be written: {error.strerror}; free some room, or use --out") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new(folder: Path) -> None:
    """Check that an import may write a folder.

    Raises:
        ConfigError: it holds something.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already: name another folder by --out, or remove it")


def load_folder(folder: Path) -> ImportedModel:
    """Read and check what an import has written; the network is only hashed.

    Raises:
        ConfigError: there is no such folder.
        ModelError: it fails its checks.

    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"there is no imported model at {folder}: make it with trainer import-giphy")
    manifest = _manifest(_read(folder / MANIFEST))
    content = {name: _checked(folder / name, manifest) for name in (LABELS, NETWORK, CLASSES)}
    try:
        identities = read_labels(content[LABELS].decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ModelError(f"{LABELS} of the imported model is not UTF-8: import it again") from error
    people = len(identities)
    shapes = {"kernel": (EMBEDDING_SIZE, people), "bias": (people,), "centres": (people, EMBEDDING_SIZE)}
    arrays = _arrays(folder / CLASSES, shapes)
    return ImportedModel(
        identities=identities,
        head=ClassHead(arrays["kernel"], arrays["bias"], arrays["centres"]),
        network=folder / NETWORK,
        network_digest=manifest["files"][NETWORK]["sha256"],
        manifest=manifest,
    )


def read_network_file(path: Path) -> dict[str, F32]:
    """Read the embedder's variables, by ``layer/variable``.

    Raises:
        ModelError: the file is not what an import writes.

    """
    shapes = {name.replace("/", _SEPARATOR): shape for name, shape in variable_shapes().items()}
    return {name.replace(_SEPARATOR, "/"): array for name, array in _arrays(path, shapes).items()}


def _save(path: Path, arrays: Mapping[str, F32]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type] # its typing takes the names for its own options


def _stated(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def _read(path: Path) -> bytes:
    limit = MAX_FILE_BYTES[path.name]
    if not path.is_file():
        raise ModelError(f"the imported model lacks {path.name}: import it again")
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ModelError(f"{path.name} of the imported model is larger than {limit} bytes: it is not trusted")
    return content


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{MANIFEST} of the imported model is no JSON file: import it again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ModelError(f"the imported model is not of the format {FORMAT}: import it again")
    odd = [name for name, value in CONVENTIONS.items() if manifest.get(name) != value]
    if odd:
        raise ModelError(f"the imported model wants other faces than this version makes ({odd[0]}): import it again")
    return manifest


def _checked(path: Path, manifest: Mapping[str, Any]) -> bytes:
    files = manifest.get("files")
    stated = files.get(path.name) if isinstance(files, dict) else None
    content = _read(path)
    if not isinstance(stated, dict) or hashlib.sha256(content).hexdigest() != stated.get("sha256"):
        raise ModelError(f"{path.name} of the imported model is not what its manifest states: import it again")
    return content


def _arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, F32]:
    """Read float32 arrays; their headers are compared with what is expected before memory is taken for them."""
    arrays: dict[str, F32] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name, shape in shapes.items():
                with archive.open(f"{name}.npy") as member:
                    version = npy_format.read_magic(member)
                    header = npy_format.read_array_header_1_0(member) if version == (1, 0) else None
                    if header is None or header[0] != shape or header[1] or header[2] != np.float32:
                        raise ModelError(f"{name} of the imported model must be float32 {shape}: import it again")
                    size = int(np.prod(shape)) * np.dtype(np.float32).itemsize
                    arrays[name] = np.frombuffer(member.read(size), np.float32).reshape(shape)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path.name} of the imported model cannot be read ({error}): import it again") from error
    return arrays
