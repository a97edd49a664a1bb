"""A model bundle: a folder with the prototypes of people, their names and what a score is worth.

    manifest.json     what it is and the sha256 of every other file
    labels.csv        who the people are
    prototypes.npz    f32 prototypes (P, E), unit norm; i32 photo_counts (P,); f32 mean (E,)
    projection.npz    f32 weights (D, E) and bias (E,) of a head over the embedder; not in every bundle: then D = E
    network.npz       the weights of an embedder of its own; without, it is SFace
    classes.npz       the class head of the network, which the annotator does not use; only in GIPHY's
    calibration.json  thresholds and confidence by face size
    credits.csv       where the photographs of each person came from
    revoked.json      people who must not be recognised, as salted hashes
    MODEL_CARD.md  LICENSE

A bundle may come from anywhere, so nothing in it is trusted: sizes are bounded before a file is read, digests are
checked before it is parsed, arrays are read without pickles and with the shapes that the labels imply.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ConfigError, ModelError
from annotator.networks.expected_arrays import Header
from annotator.recognition.bundle_files import (
    CALIBRATION,
    CLASSES,
    CREDITS,
    LABELS,
    LICENSE,
    MANIFEST,
    MAX_FILE_BYTES,
    MODEL_CARD,
    NETWORK,
    PROJECTION,
    PROTOTYPES,
    REVOKED,
    checked_content,
    file_digest,
    json_of,
    not_as_stated,
    read_arrays,
    read_bounded,
    stated,
    stated_digest,
    text_of,
)
from annotator.recognition.bundle_manifest import ALIGNED_CROP, read_manifest
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.calibration import F64, Calibration
from annotator.recognition.labels import read_labels, write_labels
from annotator.recognition.prior import KnownTracks
from annotator.recognition.projection import Projection
from annotator.recognition.revocation import RevocationList, parse_revocation_list, read_revocation_list
from annotator.types import F32, I64, Identity, frozen_array

__all__ = [
    "CALIBRATION",
    "CREDITS",
    "LABELS",
    "LICENSE",
    "MANIFEST",
    "MAX_FILE_BYTES",
    "MODEL_CARD",
    "PROTOTYPES",
    "REVOKED",
    "Download",
    "ModelBundle",
    "fetch_bundle",
    "load_bundle",
    "write_bundle",
]

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
        prototypes: f32 (P, E), each person's mean embedding or direction, unit norm.
        photo_counts: i32 (P,), how many photographs each rests on.
        mean: f32 (E,), mean of all prototypes when the bundle was built: the centre that scores are taken from.
        calibration: thresholds and confidence.
        digest: sha256 over all that decides a label, hexadecimal; two bundles with one digest label alike.
        manifest: the manifest, with metrics, licence and the digest of the data.
        projection: what makes embeddings comparable with the prototypes; None where they are as they come.
        network: the embedder that the bundle carries; None for SFace.

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
    projection: Projection | None = None
    network: BundledNetwork | None = None

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
        if self.calibration.clip_centre and len(self.calibration.clip_centre) != size:
            raise ModelError(f"the calibration of the model bundle {self.name} has a centre of another length")
        if self.projection is not None and self.projection.bias.shape != mean.shape:
            raise ModelError(f"the projection of the model bundle {self.name} does not lead to its prototypes")
        if self.network is not None and self.network.network_id != self.embedder:
            raise ModelError(
                f"the model bundle {self.name} carries {self.network.network_id} and says that it is {self.embedder}"
            )
        if self.network is not None and self.network.spec.embedding_size != self.embedding_size:
            raise ModelError(f"the network of the model bundle {self.name} does not lead to its prototypes")

    @property
    def embedding_size(self) -> int:
        """Numbers of an embedding, D, as the embedder makes it and the database keeps it."""
        return int(self.mean.shape[0] if self.projection is None else self.projection.weights.shape[0])

    def comparable(self, embeddings: F64) -> F64:
        """Bring embeddings to where the prototypes are.

        Args:
            embeddings: f64 (N, D), of unit length.

        Returns:
            f64 (N, E), of unit length; the very same where there is no projection.

        """
        return embeddings if self.projection is None else self.projection(embeddings)

    @property
    def model(self) -> str:
        """Name and version as users see them: ``"starter@1"``."""
        return f"{self.name}@{self.version}"

    @property
    def known_tracks(self) -> KnownTracks | None:
        """What the manifest says of tracks of the gallery's people; None in bundles that do not know it.

        It decides no label, so it is no part of the digest.

        Raises:
            ModelError: it cannot be read.

        """
        calibrated = self.manifest.get("calibrated")
        told = calibrated.get("known_tracks") if isinstance(calibrated, Mapping) else None
        return None if told is None else KnownTracks.from_json(told)

    def with_only(self, places: I64) -> "ModelBundle":
        """Return the bundle without all but some people, i64 (n,), as when the others are revoked.

        Its centre stays, and so do the thresholds: the cohort is as large a share of the people as before.
        """
        return replace(
            self,
            identities=tuple(self.identities[place] for place in places.tolist()),
            prototypes=self.prototypes[places],
            photo_counts=self.photo_counts[places],
            calibration=self.calibration.for_some(len(places), len(self.identities)),
        )

    def as_if_only(self, places: I64) -> "ModelBundle":
        """Return the bundle as if only some people, i64 (n,), had ever been in it, for others who shall be strangers.

        Their photographs are not in its centre either. Of a dozen people and fewer the centre is made of little else
        than themselves; scores then say less than they seem to.
        """
        kept = self.with_only(places)
        return replace(kept, mean=kept.prototypes.astype(np.float64).mean(axis=0).astype(np.float32))


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
    manifest = read_manifest(read_bounded(path / MANIFEST))
    content = {name: checked_content(path / name, manifest) for name in (LABELS, PROTOTYPES, CALIBRATION, REVOKED)}
    people = read_labels(text_of(content[LABELS], LABELS))
    projection = _read_projection(path, manifest)
    arrays = read_arrays(content[PROTOTYPES], PROTOTYPES, _prototype_headers(len(people), manifest))
    lists = [parse_revocation_list(text_of(content[REVOKED], REVOKED), where=REVOKED)]
    lists += [read_revocation_list(revocations)] if revocations else []
    kept = [index for index, person in enumerate(people) if not any(item.covers(person) for item in lists)]
    whole = ModelBundle(
        name=manifest["name"],
        version=manifest["version"],
        embedder=manifest["embedder"],
        identities=tuple(people),
        prototypes=arrays["prototypes"],
        photo_counts=arrays["photo_counts"],
        mean=arrays["mean"],
        calibration=Calibration.from_json(json_of(content[CALIBRATION], CALIBRATION)),
        digest=_digest(manifest, kept if len(kept) < len(people) else None),
        manifest=manifest,
        projection=projection,
        network=_read_network(path, manifest),
    )
    return whole if len(kept) == len(people) else whole.with_only(np.array(kept, np.int64))


def _prototype_headers(people: int, manifest: Mapping[str, Any]) -> dict[str, Header]:
    size = int(manifest.get("projected_size", manifest["embedding_size"]))
    return {
        "prototypes": (np.float32, (people, size)),
        "photo_counts": (np.int32, (people,)),
        "mean": (np.float32, (size,)),
    }


def _read_projection(path: Path, manifest: Mapping[str, Any]) -> Projection | None:
    if PROJECTION not in manifest["files"]:
        return None
    size, projected_size = int(manifest["embedding_size"]), int(manifest["projected_size"])
    headers: dict[str, Header] = {
        "weights": (np.float32, (size, projected_size)),
        "bias": (np.float32, (projected_size,)),
    }
    arrays = read_arrays(checked_content(path / PROJECTION, manifest), PROJECTION, headers)
    return Projection(arrays["weights"], arrays["bias"])


def _read_network(path: Path, manifest: Mapping[str, Any]) -> BundledNetwork | None:
    """Return what the bundle says of its network; the weights are only hashed, and read when the network is made."""
    if NETWORK not in manifest["files"]:
        return None
    sha256 = stated_digest(NETWORK, manifest)
    if file_digest(path / NETWORK) != sha256:
        raise ModelError(not_as_stated(NETWORK))
    return BundledNetwork.from_json(manifest["network"], path=path / NETWORK, sha256=sha256)


def _digest(manifest: Mapping[str, Any], kept: list[int] | None) -> str:
    """Return the digest of what decides a label; ``kept`` are the people who stay where some are revoked."""
    digest = hashlib.sha256()
    for name in (LABELS, PROTOTYPES, CALIBRATION, PROJECTION):
        if name in manifest["files"]:
            digest.update(stated_digest(name, manifest).encode())
    digest.update(json.dumps([manifest["embedder"], kept]).encode())
    return digest.hexdigest()


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
    manifest = read_manifest(read_bounded(scratch, limit=MAX_FILE_BYTES[MANIFEST]))
    for name, about in manifest["files"].items():
        target = folder / name
        if target.is_file() and file_digest(target) == about["sha256"]:
            continue
        part = folder / f"{name}.part"
        download(f"{uri}/{name}", part, int(about["size_bytes"]))
        part.replace(target)
        if file_digest(target) != about["sha256"]:
            raise ModelError(not_as_stated(name))
    scratch.replace(folder / MANIFEST)
    return folder


def write_bundle(
    folder: Path,
    bundle: ModelBundle,
    *,
    texts: Mapping[str, str],
    revoked: RevocationList,
    others: Sequence[str] = (),
) -> None:
    """Write a bundle, the manifest last. The same values give the same bytes.

    Args:
        folder: made if missing; a bundle in it is replaced.
        bundle: its ``manifest`` holds what the manifest says besides the required fields. The weights of its network
            lie in the folder already, as ``network.npz``.
        texts: the credits, the model card and the licence, by file name.
        revoked: the revocation list that it carries.
        others: names of further files that lie in the folder already and belong to the bundle.

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
    _save(folder / PROTOTYPES, prototypes=bundle.prototypes, photo_counts=bundle.photo_counts, mean=bundle.mean)
    names = {*contents, PROTOTYPES, *others}
    if bundle.projection is not None:
        _save(folder / PROJECTION, weights=bundle.projection.weights, bias=bundle.projection.bias)
        names.add(PROJECTION)
    names |= {NETWORK} if bundle.network is not None else set()
    for name in {PROJECTION, NETWORK, CLASSES} - names:
        (folder / name).unlink(missing_ok=True)
    files = {name: stated(folder / name) for name in sorted(names)}
    text = json.dumps({**_required(bundle), **bundle.manifest, "files": files}, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="")


def _required(bundle: ModelBundle) -> dict[str, Any]:
    """Return the fields that the manifest of every bundle has, and those of its projection and network."""
    fields = {
        "format": 1 if bundle.projection is None and bundle.network is None else 2,
        "name": bundle.name,
        "version": bundle.version,
        "embedder": bundle.embedder,
        "embedding_size": bundle.embedding_size,
    }
    if bundle.projection is not None:
        fields["projected_size"] = int(bundle.mean.shape[0])
    return fields | (dict(ALIGNED_CROP) if bundle.network is None else {"network": bundle.network.to_json()})


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
