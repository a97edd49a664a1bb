"""Makes a model bundle of a fitted experiment."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from annotator.appearing import appearing_folder, check_new
from annotator.errors import ConfigError
from annotator.networks.embedder_file import write_embedder_file
from annotator.recognition.building import BuildParams
from annotator.recognition.bundle import CREDITS, LICENSE, MODEL_CARD, ModelBundle, load_bundle, write_bundle
from annotator.recognition.bundle_files import NETWORK
from annotator.recognition.bundle_manifest import is_bundle_name
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.calibration import SizePoint
from annotator.recognition.crops import FaceCrop
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.labels import parse_label
from annotator.recognition.photographs import FaceFinder, data_digest
from annotator.recognition.revocation import RevocationList
from annotator.runtime import Engine
from trainer.dataset.listing import read_samples
from trainer.export.calibrating import calibrated
from trainer.export.card import OWN_LICENCE, SFACE_LICENCE, card, credits_of
from trainer.export.faces import Strangers, crop_of, crops_of, embed_all, mean_of, read_faces, read_strangers, spread
from trainer.export.fitted import Fitted, read_fitted
from trainer.fitting.input import Crops
from trainer.fitting.places import MODEL_FOLDER
from trainer.labels import read_label_table
from trainer.workdir import Experiment


@dataclass(frozen=True, slots=True)
class ExportParams:
    """What can be chosen.

    Attributes:
        out: folder of the bundle; must not be there, or be empty.
        name: of the model.
        version: of the model.
        strangers: folder of pictures of people who are nobody of the labels, or None.
        licence: of the model, in a line.
        build: sizes and rates of the calibration.
        evaluation: what ``trainer evaluate`` has measured, for the manifest, or None.

    """

    out: Path
    name: str
    version: int = 1
    strangers: Path | None = None
    licence: str = "all rights reserved"
    build: BuildParams = field(default_factory=BuildParams)
    evaluation: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """The faces of an experiment: to make prototypes of, and to calibrate with."""

    labels: tuple[str, ...]
    train: Crops
    probes: Crops
    strangers: Strangers

    @property
    def chosen(self) -> list[int]:
        """Which of the probes are used."""
        return spread(len(self.probes))

    @property
    def are_seen(self) -> bool:
        """Whether it is calibrated with what was fitted to."""
        return self.probes is self.train


def export_bundle(
    places: Experiment, params: ExportParams, *, engine: Engine, detector: Callable[[], FaceFinder]
) -> ModelBundle:
    """Write the bundle of a fitted experiment; it appears when it is whole.

    Args:
        places: the experiment.
        params: what can be chosen.
        engine: embeds faces, in f32.
        detector: makes what finds faces; asked only where strangers come as whole photographs.

    Returns:
        The bundle, as it is read again.

    Raises:
        ConfigError: nothing is fitted, crops are missing or of the wrong kind, or the folder holds something.
        InputError: a picture cannot be read.
        ModelError: the fitted network is not what it must be.
        LocalDiskError: the disk is full.

    """
    if not is_bundle_name(params.name):
        raise ConfigError(
            f"{params.name!r} cannot be the name of a model: it is short, of a-z, 0-9, dot, dash, underscore"
        )
    check_new(params.out)
    fitted = read_fitted(places.folder / MODEL_FOLDER)
    crop = crop_of(places, is_head=fitted.is_head)
    shown = _shown(places, fitted.people, crop, read_strangers(params.strangers, crop, detector=detector))
    with appearing_folder(params.out) as part:
        network = _network(fitted, crop, part)
        embedder = FaceEmbedder(engine, network=network)
        draft = _draft(fitted, shown, network, embedder=embedder, params=params)
        calibration, metrics = calibrated(
            draft,
            read_faces(shown.probes, shown.chosen),
            shown.probes.labels[shown.chosen],
            strangers=shown.strangers.faces,
            embedder=embedder,
            params=params.build,
        )
        told = {
            "experiment": places.name,
            "fitted": fitted.network.name,
            "head": fitted.network.head,
            "metrics": metrics,
        }
        _write(part, replace(draft, calibration=calibration, manifest=told), places, shown, params=params)
    return load_bundle(params.out)


def _shown(places: Experiment, people: Sequence[str], crop: FaceCrop, strangers: Strangers) -> _Shown:
    train, val = (crops_of(folder, people, crop) for folder in (places.train_dataset, places.val_dataset))
    return _Shown(_labels(places, people), train, val if len(val) else train, strangers)


def _labels(places: Experiment, people: Sequence[str]) -> tuple[str, ...]:
    """Return the label of each person's folder; the folder's name where there is no ``labels.csv``."""
    if not places.labels_file.is_file():
        return tuple(people)
    table = read_label_table(places.labels_file)
    labels = [table.of_folder(folder) for folder in people]
    return tuple(folder if label is None else label.text for folder, label in zip(people, labels, strict=True))


def _network(fitted: Fitted, crop: FaceCrop, folder: Path) -> BundledNetwork | None:
    if fitted.is_head:
        return None
    path = folder / NETWORK
    return BundledNetwork(fitted.spec, crop, path, write_embedder_file(path, fitted.spec, fitted.weights))


def _draft(
    fitted: Fitted, shown: _Shown, network: BundledNetwork | None, *, embedder: FaceEmbedder, params: ExportParams
) -> ModelBundle:
    """Return the bundle, not yet calibrated: people are their mean embeddings, or the directions that they have."""
    people, train = len(shown.labels), shown.train
    projection, prototypes = fitted.projection, fitted.directions
    if prototypes is None:
        embeddings = embed_all(train, embedder).astype(np.float64)
        comparable = embeddings if projection is None else projection(embeddings)
        prototypes = mean_of(comparable.astype(np.float32), train.labels, people)
    counts = np.bincount(train.labels, minlength=people)
    return ModelBundle(
        name=params.name,
        version=params.version,
        embedder=embedder.network_id,
        identities=tuple(parse_label(label) for label in shown.labels),
        prototypes=prototypes,
        photo_counts=np.maximum(counts, 1).astype(np.int32),
        mean=prototypes.astype(np.float64).mean(axis=0).astype(np.float32),
        calibration=params.build.calibration((SizePoint(1.0, (0.0,) * len(params.build.rates), 1.0, 0.0),)),
        projection=projection,
        network=network,
    )


def _write(folder: Path, bundle: ModelBundle, places: Experiment, shown: _Shown, *, params: ExportParams) -> None:
    credit_text, data_licence = credits_of(places, bundle, shown.labels)
    data_sha256 = _data_digest(places, shown)
    manifest = {
        "licence": params.licence,
        "licence_of_weights": SFACE_LICENCE if bundle.network is None else OWN_LICENCE,
        "licence_of_data": data_licence,
        "people": len(bundle.identities),
        "photographs": len(shown.train),
        "data_sha256": data_sha256,
        "calibrated_with": {
            "photographs": len(shown.chosen),
            "were_fitted_to": shown.are_seen,
            "strangers": len(shown.strangers.paths),
        },
        **bundle.manifest,
    } | ({} if params.evaluation is None else {"evaluation": params.evaluation})
    described = replace(bundle, manifest=manifest)
    told = card(
        described, places.name, probes=len(shown.chosen), strangers=len(shown.strangers.paths), are_seen=shown.are_seen
    )
    texts = {CREDITS: credit_text, MODEL_CARD: told, LICENSE: f"{params.licence}\n"}
    write_bundle(folder, described, texts=texts, revoked=RevocationList(data_sha256[:32]))


def _data_digest(places: Experiment, shown: _Shown) -> str:
    """Return a sha256 over the photographs, by ``dataset.csv``; over the crops where that is not there; and strangers.

    Two exports of the same photographs on the same sides have the same digest, wherever they lie.
    """
    digest = hashlib.sha256()
    if places.dataset_file.is_file():
        for line in sorted(f"{one.side} {one.label} {one.sha256} {one.face}" for one in read_samples(places)):
            digest.update(f"{line}\n".encode())
    else:
        digest.update(data_digest([*shown.train.files, *shown.probes.files]).encode())
    digest.update(data_digest(shown.strangers.paths).encode())
    return digest.hexdigest()
