"""The model bundle that the import writes, and its checked reading.

Beside what every bundle has (``annotator.recognition.bundle``), it holds the release's class head, which the annotator
does not use: ``classes.npz`` with kernel (256, P), bias (P,) and centres (P, 256), float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.appearing import appearing_folder
from annotator.errors import ConfigError, ModelError
from annotator.networks.embedder_file import write_embedder_file
from annotator.recognition.building import credits_table
from annotator.recognition.bundle import CREDITS, LABELS, LICENSE, MANIFEST, MODEL_CARD, ModelBundle, write_bundle
from annotator.recognition.bundle import load_bundle as load_any_bundle
from annotator.recognition.bundle_files import CLASSES, NETWORK, checked_content, read_arrays, text_of
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.labels import parse_label, read_labels
from annotator.recognition.revocation import RevocationList
from annotator.types import F32, Identity
from trainer.giphy.assumptions import assumed_calibration, unit_centres
from trainer.giphy.faces import CROP, DETECTION
from trainer.giphy.mapping import ClassHead
from trainer.giphy.network import EMBEDDING_SIZE, SPEC

CONVENTIONS: Final[Mapping[str, object]] = {
    "class": "rank of the sorted label",
    "embedding": "output of the first dense layer",
    "known_score": "mean over faces of the highest softmax times the cosine to that class's centre",
    "min_face_px": DETECTION.min_face_px,
    "min_face_fraction": DETECTION.min_face_fraction,
    "detector_thresholds": list(DETECTION.thresholds),
    "pyramid_factor": DETECTION.pyramid_factor,
}
"""What the release means by its numbers; stands in the manifest."""

_LICENCE: Final = (
    "GIPHY's release (code under MPL-2.0) states no licence for its weights. They were made from photographs of "
    "people: a licence would be no consent to recognise them."
)

_CARD: Final = """# giphy@1

The network of GIPHY's open release (ResNet-50, 256 numbers, upright boxes of 224 pixels), and its {people} people.

A person's prototype is the centre that the release's centre loss drew the embeddings to. Neither photographs nor
strangers came with the release: **thresholds and confidence are assumptions**, told from how near the centres lie to
each other. Measure before you trust a name: `trainer evaluate --model FOLDER`.

{licence}
"""


@dataclass(frozen=True, slots=True, eq=False)
class ImportedModel:
    """What an import has made. Revoked people are not in it.

    Attributes:
        bundle: as the annotator loads it.
        network: the embedder.
        head: from embeddings to classes.

    """

    bundle: ModelBundle
    network: BundledNetwork
    head: ClassHead

    @property
    def identities(self) -> tuple[Identity, ...]:
        """The people, by class."""
        return self.bundle.identities

    @property
    def network_id(self) -> str:
        """Names the embedding space: embeddings of two networks are never compared."""
        return self.bundle.embedder


def write_folder(
    folder: Path, labels: tuple[str, ...], network: Mapping[str, F32], head: ClassHead, *, checkpoint_sha256: str
) -> None:
    """Write the bundle; it appears under its name when it is whole. The same values give the same bytes.

    Args:
        folder: must not be there, or be empty.
        labels: by class.
        network: the embedder's variables.
        head: from embeddings to classes.
        checkpoint_sha256: of the checkpoint that all this is from.

    Raises:
        ConfigError: the folder holds something.
        ModelError: the numbers are none.
        LocalDiskError: there is no room for it.

    """
    with appearing_folder(folder) as part:
        digest = write_embedder_file(part / NETWORK, SPEC, network)
        with (part / CLASSES).open("wb") as file:
            np.savez(file, allow_pickle=False, kernel=head.kernel, bias=head.bias, centres=head.centres)
        bundle = _bundle(labels, head, BundledNetwork(SPEC, CROP, part / NETWORK, digest), checkpoint_sha256)
        texts = {
            CREDITS: credits_table(bundle, dict.fromkeys((one.name for one in bundle.identities), "GIPHY's release")),
            MODEL_CARD: _CARD.format(people=f"{len(labels):,}", licence=_LICENCE),
            LICENSE: f"{_LICENCE}\n",
        }
        write_bundle(part, bundle, texts=texts, revoked=RevocationList(checkpoint_sha256[:32]), others=(CLASSES,))


def _bundle(labels: tuple[str, ...], head: ClassHead, network: BundledNetwork, checkpoint_sha256: str) -> ModelBundle:
    prototypes = unit_centres(head.centres)
    mean = prototypes.astype(np.float64).mean(axis=0).astype(np.float32)
    return ModelBundle(
        name="giphy",
        version=1,
        embedder=network.network_id,
        identities=tuple(parse_label(label) for label in labels),
        prototypes=prototypes,
        photo_counts=np.ones(len(labels), np.int32),  # how many there were is not told
        mean=mean,
        calibration=assumed_calibration(prototypes, mean),
        manifest={
            "people": len(labels),
            "conventions": dict(CONVENTIONS),
            "source": {"checkpoint_sha256": checkpoint_sha256},
            "licence": _LICENCE,
        },
        network=network,
    )


def load_folder(folder: Path) -> ImportedModel:
    """Read and check what an import has written; the network is only hashed.

    Raises:
        ConfigError: there is no such folder.
        ModelError: it fails its checks.

    """
    if not (folder / MANIFEST).is_file():
        raise ConfigError(f"there is no imported model at {folder}: make it with trainer import-giphy")
    bundle = load_any_bundle(folder)
    if bundle.network is None or bundle.network.spec != SPEC or bundle.network.crop != CROP:
        raise ModelError(f"{folder} holds no import of GIPHY's release: make it with trainer import-giphy")
    people = read_labels(text_of(checked_content(folder / LABELS, bundle.manifest), LABELS))
    head = _read_head(checked_content(folder / CLASSES, bundle.manifest), len(people))
    kept = set(bundle.identities)
    columns = [index for index, person in enumerate(people) if person in kept]
    return ImportedModel(
        bundle,
        bundle.network,
        ClassHead(head["kernel"][:, columns], head["bias"][columns], head["centres"][columns]),
    )


def _read_head(content: bytes, people: int) -> dict[str, Any]:
    return read_arrays(
        content,
        CLASSES,
        {
            "kernel": (np.float32, (EMBEDDING_SIZE, people)),
            "bias": (np.float32, (people,)),
            "centres": (np.float32, (people, EMBEDDING_SIZE)),
        },
    )
