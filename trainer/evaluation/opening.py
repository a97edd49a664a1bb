"""Opens what is to be evaluated: a model bundle, or the fitted network of an experiment."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from annotator.build import open_bundle
from annotator.cli.output import err
from annotator.errors import ConfigError
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.recognition.gallery import Gallery
from annotator.settings import load_settings
from annotator.types import F32, I64, U8
from trainer.augmentation import Augmentation
from trainer.dataset.cutting import read_crop_params
from trainer.evaluation.embedding import shared_embedder
from trainer.evaluation.recognisers import GalleryRecogniser, HeadRecogniser, Kind, Recogniser, gallery_of
from trainer.fitting.description import read_description
from trainer.fitting.device import default_threads, prepare_tensorflow
from trainer.fitting.input import list_crops, read_crop
from trainer.fitting.places import MODEL_FOLDER, fitted_crop
from trainer.labels import person_key
from trainer.settings import Device
from trainer.workdir import Experiment

BATCH: Final = 128
"""Crops in memory at a time."""

# Beyond it a network gets no faster, and a ResNet-50 takes 13 MB more for each crop of 112 pixels.
_GRAPH_BATCH: Final = 32
_OUTPUTS: Final = ("embedding", "logits")
_MIN_NORM: Final = 1e-12


def open_model(model: str, *, device: Device) -> GalleryRecogniser:
    """Open a bundle: ``"starter"``, a folder, an installed name or ``s3://…``, without the people who are revoked.

    Raises:
        ConfigError: there is no such bundle, or no such device.
        ModelError: it fails its checks.

    """
    with err().status("loading the model"):
        settings = load_settings(model=model, device=device)
        bundle = open_bundle(settings)
        embedder = shared_embedder(device, bundle.network)
        Gallery.from_bundle(bundle).check_embedder(embedder.network_id)
    return GalleryRecogniser(bundle.model, "model", bundle, embedder.embed, embedder.crop)


def open_fitted(experiment: Experiment, kind: Kind, *, device: Device) -> Recogniser:
    """Open the best network of an experiment's fit.

    Args:
        experiment: its places.
        kind: ``"prototypes"``: mean embeddings of the training side and the annotator's rule; or ``"head"``.
        device: what TensorFlow runs on.

    Raises:
        ConfigError: nothing is fitted, a person has no crops to train on any more, or the device is not there.
        ModelError: a file of the network is not what it must be.

    """
    folder = experiment.folder / MODEL_FOLDER
    with err().status("loading the network"):
        network, folders = read_description(folder)
        prepare_tensorflow(device, threads=_threads(), seed=0)
        run = _runner(folder, device=device)
    people = tuple(person_key(name) for name in folders)
    crop = replace(fitted_crop(experiment) or experiment_crop(experiment), side_px=network.input_side_px)
    if kind == "head":
        is_cosine = network.head == "cosine"
        scale = network.scale if is_cosine else 1.0
        return HeadRecogniser(
            f"{experiment.name}, class head", people, lambda crops: run(crops)["logits"] / scale, crop, is_cosine
        )

    def embed(crops: U8) -> F32:
        return _unit(run(crops)["embedding"])

    embeddings, person = _training_side(experiment, folders, crop.side_px, embed)
    bundle = gallery_of(embeddings, person, people, network=f"{experiment.name}:{network.name}")
    return GalleryRecogniser(experiment.name, "prototypes", bundle, embed, crop)


def experiment_crop(experiment: Experiment) -> FaceCrop:
    """Return how an experiment's crops are cut; crops that were put there by hand count as aligned."""
    return read_crop_params(experiment.crop_file) if experiment.crop_file.is_file() else ALIGNED


def _threads() -> int:
    """Return how many threads TensorFlow may use: as many as it has already, where it runs in this process."""
    tensorflow = sys.modules.get("tensorflow")
    running = int(tensorflow.config.threading.get_intra_op_parallelism_threads()) if tensorflow else 0
    return running or default_threads()


def _runner(folder: Path, *, device: Device) -> Callable[[U8], dict[str, F32]]:
    """Return what gives ``embedding`` and ``logits`` for crops."""
    from trainer.fitting.weights import load_fitted  # noqa: PLC0415 - imports Keras, which is now made ready

    built, _, _ = load_fitted(folder)
    if not built.has_frozen_front:
        whole = _compiled(built.whole)
        return lambda crops: whole(crops.astype(np.float32))
    # A frozen front runs as it does in production: these are the embeddings that the archive keeps.
    embedder, learning = shared_embedder(device), _compiled(built.learning)
    return lambda crops: learning(embedder.embed(crops)[:, None, None, :])


def _compiled(model: Any) -> Callable[[F32], dict[str, F32]]:  # noqa: ANN401 - a Keras model
    """Return what runs a model as one graph: called as it is, Keras keeps what each layer puts out until the last."""
    import tensorflow as tf  # noqa: PLC0415 - imported where a network runs

    taken = tf.TensorSpec(model.inputs[0].shape, tf.float32)
    run = tf.function(lambda inputs: model(inputs, training=False), input_signature=[taken])

    def run_all(inputs: F32) -> dict[str, F32]:
        parts = [run(inputs[start : start + _GRAPH_BATCH]) for start in range(0, len(inputs), _GRAPH_BATCH)]
        return {name: np.concatenate([np.asarray(one[name], np.float32) for one in parts]) for name in _OUTPUTS}

    return run_all


def _training_side(
    experiment: Experiment, folders: tuple[str, ...], side_px: int, embed: Callable[[U8], F32]
) -> tuple[F32, I64]:
    crops = list_crops(experiment.train_dataset, folders, side_px=side_px, augmentation=Augmentation())
    missing = sorted(set(range(len(folders))) - set(crops.labels.tolist()))
    if missing:
        names = ", ".join(folders[place] for place in missing[:5])
        raise ConfigError(
            f"{len(missing)} people of the network have no crops to train on any more ({names}): fit anew"
        )
    batches = [crops.files[start : start + BATCH] for start in range(0, len(crops), BATCH)]
    parts = [embed(np.stack([read_crop(path, side_px) for path in batch])) for batch in batches]
    return np.concatenate(parts), crops.labels


def _unit(vectors: F32) -> F32:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _MIN_NORM), np.float32)
