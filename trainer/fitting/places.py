"""What a fit writes into the folder of its experiment.

::

    EXPERIMENT/
      model/last.npz                  where the run stands; it goes on from here
      model/best.weights.h5           what has learnt of the best network so far, described by network.json
      model/crop.json                 how the crops are cut that it was fitted to
      model/best.keras                the whole of it, once the run has ended
      model/train.npz, val.npz        embeddings of a frozen front
      history.csv                     a line for each epoch
      logs/                           curves and projector of TensorBoard
      logs.log                        what is said, too
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError, LocalDiskError
from annotator.recognition.crops import ALIGNED, FaceCrop
from trainer.dataset.cutting import crop_text, read_crop_params
from trainer.dataset.files import write_whole
from trainer.fitting.input import crop_folders
from trainer.labels import person_key, read_label_table
from trainer.workdir import Experiment as Places

MODEL_FOLDER: Final = "model"
STATE_FILE: Final = "last.npz"
TRAIN_EMBEDDINGS: Final = "train.npz"
VAL_EMBEDDINGS: Final = "val.npz"
HISTORY_FILE: Final = "history.csv"
BOARD_FOLDER: Final = "logs"
EVENT_FILES: Final = "events.out.tfevents.*.fit"
LOG_FILE: Final = "logs.log"
CROP_FILE: Final = "crop.json"

_log: Final = logging.getLogger("trainer.fit")


def people_of(places: Places) -> tuple[str, ...]:
    """Return the folders of the people that are classes, by the index of their label.

    People without crops are no classes: the head has no gaps, whatever gaps the indices have. Without ``labels.csv``
    the folders are the classes, sorted.

    Raises:
        ConfigError: there are crops of fewer than two people.
        ProblemsError: ``labels.csv`` is wrong.

    """
    folders = crop_folders(places.train_dataset)
    if places.labels_file.exists():
        by_key = {person_key(folder): folder for folder in folders}
        labels = sorted(read_label_table(places.labels_file).labels, key=lambda label: label.index)
        people = tuple(by_key[key] for key in (person_key(label.text) for label in labels) if key in by_key)
        for folder in sorted(set(folders) - set(people)):
            _log.warning("%s has no label and is left out", places.train_dataset / folder)
    else:
        people = folders
    if len(people) < 2:
        raise ConfigError(
            f"there are crops of {len(people)} people in {places.train_dataset}, and two at least are needed: run "
            f"`trainer prepare {places.name}` first"
        )
    return people


def keep_crop(places: Places) -> None:
    """Note beside the network how the crops are cut that it was fitted to: they may be cut in another way later.

    Crops that were put there by hand count as aligned.

    Raises:
        LocalDiskError: there is no room.

    """
    is_prepared = places.crop_file.is_file()
    content = places.crop_file.read_bytes() if is_prepared else crop_text(ALIGNED).encode()
    write_whole(places.folder / MODEL_FOLDER / CROP_FILE, content)


def fitted_crop(places: Places) -> FaceCrop | None:
    """Return how the crops are cut that the network was fitted to; None where that was never noted.

    Raises:
        ConfigError: the note is not as it was written.

    """
    noted = places.folder / MODEL_FOLDER / CROP_FILE
    return read_crop_params(noted) if noted.is_file() else None


def forget_run(places: Places) -> None:
    """Remove the checkpoint and the curves of the run that is there; its best network stays until there is another."""
    (places.folder / MODEL_FOLDER / STATE_FILE).unlink(missing_ok=True)
    for path in (places.folder / BOARD_FOLDER).glob(EVENT_FILES):
        path.unlink()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Write what a fit says to a file, and to stderr."""
    try:
        to_file = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise LocalDiskError(f"{path} cannot be written: {error}") from error
    to_file.setFormatter(logging.Formatter("%(asctime)s:%(levelname)s: %(message)s"))
    to_terminal = logging.StreamHandler()
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    level, propagates = _log.level, _log.propagate
    _log.setLevel(logging.INFO)
    _log.propagate = False
    for handler in (to_file, to_terminal):
        _log.addHandler(handler)
    try:
        yield
    finally:
        for handler in (to_file, to_terminal):
            _log.removeHandler(handler)
        to_file.close()
        _log.setLevel(level)
        _log.propagate = propagates


@contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Keep SIGINT and SIGTERM in a list instead of ending the process; a second one ends it as always."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted  # signals are the main thread's
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: object) -> None:
        noted.append(number)
        for other, handler in before.items():
            signal.signal(other, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
