"""Fits the network of an experiment to the crops of its people; what it writes is in ``trainer/fitting/places.py``."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from annotator.errors import ConfigError, LocalDiskError
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime.halving import memory_errors_told
from trainer.dataset.files import only_worker
from trainer.experiment import Experiment
from trainer.fitting.device import default_threads, prepare_tensorflow
from trainer.fitting.features import embed_crops
from trainer.fitting.input import Crops, Feed, list_crops
from trainer.fitting.places import (
    LOG_FILE,
    MODEL_FOLDER,
    STATE_FILE,
    TRAIN_EMBEDDINGS,
    VAL_EMBEDDINGS,
    forget_run,
    logged_to,
    people_of,
    signals_noted,
)
from trainer.fitting.state import EpochResult, Progress, check_goes_on, load_state, read_progress
from trainer.settings import Device
from trainer.workdir import Experiment as Places

if TYPE_CHECKING:
    from trainer.fitting.step import Learner

_log: Final = logging.getLogger("trainer.fit")
_NO_ROOM: Final = "the device has no memory left: make batch of the schedule smaller, or let fewer programs use it"


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a run is done; none of it is part of the experiment.

    Attributes:
        device: ``"cpu"``, or ``"gpu"`` for all GPUs that are visible.
        threads: that an operation may use; all processors by default. A run that goes on keeps its number.
        has_xla: compile the step; for ``"sface-head"`` on one device only: under XLA the gradient of a pooling has no
            form that gives the same numbers twice.
        begin_from: weights to begin with, or None.
        is_fresh: forget the run that is there.
        make_embedder: makes the embedder of a frozen front; only ``"sface-head"`` needs it.
        is_enough: asked after each step with the number of steps of this process; true ends it as SIGTERM does.

    """

    device: Device = "cpu"
    threads: int | None = None
    has_xla: bool = False
    begin_from: Path | None = None
    is_fresh: bool = False
    make_embedder: Callable[[], FaceEmbedder] | None = None
    is_enough: Callable[[int], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class FitResult:
    """How a run has ended.

    Attributes:
        results: of the epochs.
        best: number of the best one, from 1.
        is_whole: false where it was interrupted; it can go on.
        folder: holds the fitted network.

    """

    results: tuple[EpochResult, ...]
    best: int
    is_whole: bool
    folder: Path


def fit(places: Places, experiment: Experiment, options: FitOptions) -> FitResult:
    """Fit a network, or go on with a run that was interrupted.

    Args:
        places: where crops are and results go.
        experiment: what is fitted.
        options: on which device, from which weights.

    Raises:
        ConfigError: there are no crops, settings do not fit together or to the run that is there, or no device.
        BusyError: another process fits this experiment.
        InputError: a crop cannot be read.
        ModelError: weights or checkpoint are not what they must be.
        LocalDiskError: the disk is full; the last checkpoint stays.
        DeviceMemoryError: network or batch do not fit into the device's memory.

    """
    folder = places.folder / MODEL_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalDiskError(f"{folder} cannot be written: {error}") from error
    with only_worker(places.folder), logged_to(places.folder / LOG_FILE), signals_noted() as signals:
        if options.is_fresh:
            forget_run(places)
        people = people_of(places)
        crops = tuple(
            list_crops(part, people, side_px=experiment.network.input_side_px, augmentation=experiment.augmentation)
            for part in (places.train_dataset, places.val_dataset)
        )
        _log.info("%d photographs of %d people to fit, %d to validate", len(crops[0]), len(people), len(crops[1]))
        with memory_errors_told(_NO_ROOM):
            return _fitted(places, experiment, options, people=people, crops=crops, signals=signals)


def _fitted(
    places: Places,
    experiment: Experiment,
    options: FitOptions,
    *,
    people: tuple[str, ...],
    crops: tuple[Crops, ...],
    signals: list[int],
) -> FitResult:
    folder = places.folder / MODEL_FOLDER
    before = read_progress(folder / STATE_FILE)
    threads = options.threads or (before.threads if before else default_threads())
    if before is not None and threads != before.threads:
        _log.warning("another number of threads: from here on the curve may differ in its last digits")
    strategy = prepare_tensorflow(options.device, threads=threads, seed=experiment.seed)
    replicas = strategy.num_replicas_in_sync
    if options.has_xla and (experiment.network.name != "sface-head" or replicas > 1):
        raise ConfigError(f"{experiment.network.name} on {replicas} devices cannot be compiled: leave --xla out")
    decisive = _decisive(places, experiment, people, crops[0]) | {"xla": options.has_xla, "replicas": replicas}
    if before is not None:
        check_goes_on(before, decisive, path=folder / STATE_FILE)
    from trainer.fitting.run import Run  # noqa: PLC0415 - imports Keras, for which the back end must be settled
    from trainer.fitting.step import Learner  # noqa: PLC0415 - as above

    progress = before or Progress(decisive, threads)
    learner = Learner(experiment, strategy, classes=len(people), has_xla=options.has_xla)
    feeds = _feeds(folder, experiment, options, crops=crops, replicas=replicas)
    _make_ready(learner, experiment, options, feeds[0], state=folder / STATE_FILE if before else None)
    run = Run(places, experiment, learner=learner, feeds=feeds, people=people, progress=progress)
    is_whole = run.go(lambda steps: bool(signals) or options.is_enough(steps))
    return FitResult(tuple(progress.results), progress.best, is_whole, folder)


def _make_ready(
    learner: "Learner", experiment: Experiment, options: FitOptions, train: Feed, *, state: Path | None
) -> None:
    """Set the weights to begin with, freeze layers, and load the checkpoint, if there is one."""
    from trainer.fitting.beginning import begin_from  # noqa: PLC0415 - as above
    from trainer.fitting.weights import freeze  # noqa: PLC0415 - as above

    if state is None and options.begin_from is not None:
        count = begin_from(options.begin_from, learner.built)
        _log.info("%d variables come from %s", count, options.begin_from)
    elif state is None and learner.built.has_frozen_front:
        learner.aim_head(train.samples)
    if experiment.frozen:
        _log.info("frozen: %s", ", ".join(freeze(learner.built, experiment.frozen)))
    learner.prepare()
    if state is not None:
        load_state(state, learner.variables())
        _log.info("going on from %s", state)


def _feeds(
    folder: Path, experiment: Experiment, options: FitOptions, *, crops: tuple[Crops, ...], replicas: int
) -> tuple[Feed, Feed]:
    train, val = crops
    samples: list[Any] = [train, val]
    if experiment.network.name == "sface-head":
        if options.make_embedder is None:
            raise ConfigError("sface-head needs an embedder: give make_embedder")
        embedder, seed = options.make_embedder(), experiment.seed
        copies = experiment.augmentation.copies
        samples = [
            embed_crops(train, embedder, copies=copies, seed=seed, cache=folder / TRAIN_EMBEDDINGS),
            embed_crops(val, embedder, copies=0, seed=seed, cache=folder / VAL_EMBEDDINGS),
        ]
    count = len(samples[0].labels)
    batch = min(experiment.schedule.batch, count) // replicas * replicas
    if batch == 0:
        raise ConfigError(f"a batch of {experiment.schedule.batch} cannot be shared by {replicas} GPUs: make it larger")
    return Feed(samples[0], batch, experiment.seed), Feed(samples[1], batch, experiment.seed)


def _decisive(places: Places, experiment: Experiment, people: tuple[str, ...], train: Crops) -> dict[str, Any]:
    """Return what must be the same when a run goes on."""
    names = "\n".join(f"{path.parent.name}/{path.name}" for path in train.files)
    digests = {
        "people": sha256("\n".join(people).encode()).hexdigest(),
        "photographs": sha256(names.encode()).hexdigest(),
    }
    crop = places.crop_file.read_text(encoding="utf-8") if places.crop_file.is_file() else ""
    return experiment.decisive() | digests | {"crop": crop}
