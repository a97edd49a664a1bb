"""The work directory: where an experiment's photographs, labels, crops and results lie.

::

    workdir/
      example_experiment/             the name of experiments/example_experiment.py
        raw_dataset/Person1/*.jpg     whole photographs, a folder for each person
        labels.csv                    Label,Index
        train_dataset/ val_dataset/   faces cut out of them, by `trainer prepare`
        split.csv                     which photograph is on which side, for good
        dataset.csv left_out.csv      what each crop is; which photographs none comes from, and why
        crop.json                     how the crops are cut: what a fitted network must be shown, too
        prepared.db                   what was found on each photograph, so that it is looked at once
        set_aside/                    what `trainer doctor --fix` has moved out of raw_dataset
      face_detection/det1.npy …       optional (or face_recognition/): weights of MTCNN instead of the packaged ones
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.errors import AnnotatorError, ConfigError
from annotator.networks.mtcnn import read_det_weights
from annotator.recognition.photographs import PICTURE_SUFFIXES
from trainer.labels import LabelTable, inspect_label_table
from trainer.problems import Problem

MAX_NAME_LETTERS: Final = 64
"""Of a model's name."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._-]+")

DETECTION_FOLDERS: Final = ("face_detection", "face_recognition")
DETECTION_FILES: Final = {"pnet": "det1.npy", "rnet": "det2.npy", "onet": "det3.npy"}


@dataclass(frozen=True, slots=True)
class Experiment:
    """The places of one experiment.

    Attributes:
        name: of the experiment, and of its folder and file.
        workdir: holds the experiment's folder.

    """

    name: str
    workdir: Path

    @property
    def folder(self) -> Path:
        """Holds everything of the experiment."""
        return self.workdir / self.name

    @property
    def own_model_name(self) -> str | None:
        """Its name, in the letters that a model's name may have; None where none is left.

        >>> Experiment("My Experiment 2", Path()).own_model_name, Experiment("Ärzte", Path()).own_model_name
        ('my-experiment-2', 'rzte')
        >>> Experiment("日本", Path()).own_model_name is None
        True
        """
        return _NOT_IN_NAMES.sub("-", self.name.lower())[:MAX_NAME_LETTERS].strip("-._") or None

    @property
    def model_name(self) -> str:
        """What a bundle of its models is called where nobody has named it.

        Not enough to count versions of: every experiment whose name has none of those letters has the same.
        """
        return self.own_model_name or "model"

    @property
    def raw_dataset(self) -> Path:
        """Whole photographs, a folder for each person."""
        return self.folder / "raw_dataset"

    @property
    def labels_file(self) -> Path:
        """Which people are classes."""
        return self.folder / "labels.csv"

    @property
    def train_dataset(self) -> Path:
        """Faces to train on, a folder for each person."""
        return self.folder / "train_dataset"

    @property
    def val_dataset(self) -> Path:
        """Faces to evaluate on, a folder for each person."""
        return self.folder / "val_dataset"

    @property
    def split_file(self) -> Path:
        """Which photograph is on which side, for good."""
        return self.folder / "split.csv"

    @property
    def dataset_file(self) -> Path:
        """What each crop is, and where it came from."""
        return self.folder / "dataset.csv"

    @property
    def crop_file(self) -> Path:
        """How the crops are cut (JSON)."""
        return self.folder / "crop.json"

    @property
    def left_out_file(self) -> Path:
        """Which photographs no crop comes from, and why."""
        return self.folder / "left_out.csv"

    @property
    def findings_file(self) -> Path:
        """What was found on each photograph (SQLite)."""
        return self.folder / "prepared.db"

    @property
    def set_aside(self) -> Path:
        """What was moved out of the raw dataset."""
        return self.folder / "set_aside"

    def detection_weights(self) -> Path | None:
        """Return the folder with ``det1.npy``, ``det2.npy`` and ``det3.npy``; None for the packaged weights."""
        for name in DETECTION_FOLDERS:
            folder = self.workdir / name
            if any((folder / file).exists() for file in DETECTION_FILES.values()):
                return folder
        return None

    def people_folders(self) -> list[Path]:
        """Return the folders of people, sorted by name; hidden ones are left out. Empty without a raw dataset."""
        if not self.raw_dataset.is_dir():
            return []
        return sorted(path for path in self.raw_dataset.iterdir() if path.is_dir() and not path.name.startswith("."))


def open_experiment(name: str, workdir: Path) -> Experiment:
    """Return the places of an experiment that is there.

    Args:
        name: of the experiment; its file ``experiments/NAME.py`` may be given as well.
        workdir: the work directory.

    Raises:
        ConfigError: there is no such folder.

    """
    plain = Path(name).name.removesuffix(".py")
    if not workdir.is_dir():
        raise ConfigError(f"there is no work directory {workdir}: give --workdir DIR, or set WORKDIR")
    experiment = Experiment(plain, workdir)
    if not plain or not experiment.folder.is_dir():
        there = ", ".join(sorted(path.parent.name for path in workdir.glob("*/raw_dataset"))) or "none"
        raise ConfigError(
            f"there is no experiment {plain!r} in {workdir} (there: {there}): make the folder {experiment.folder} with "
            "raw_dataset/PERSON/*.jpg and labels.csv"
        )
    return experiment


def photograph_files(folder: Path) -> list[Path]:
    """Return the photographs of a person's folder, sorted by name; hidden files are left out."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )


def inspect_experiment(experiment: Experiment) -> tuple[LabelTable, tuple[Problem, ...]]:
    """Read the labels, and tell everything that keeps an experiment from being prepared, unread photographs aside."""
    labels, problems = inspect_label_table(experiment.labels_file)
    return labels, (*problems, *_folder_problems(experiment), *_weight_problems(experiment))


def _folder_problems(experiment: Experiment) -> Iterator[Problem]:
    folders = experiment.people_folders()
    if not folders:
        yield Problem(experiment.raw_dataset, "it holds no folder: put a folder of photographs there for each person")
    for folder in folders:
        if not photograph_files(folder):
            kinds = " ".join(PICTURE_SUFFIXES)
            yield Problem(folder, f"it holds no photograph ({kinds}): put some there, or remove the folder")


def _weight_problems(experiment: Experiment) -> Iterator[Problem]:
    folder = experiment.detection_weights()
    if folder is None:
        return
    for name, file in DETECTION_FILES.items():
        try:
            read_det_weights(name, folder)
        except ConfigError:
            yield Problem(folder / file, "it is not there: give all of det1.npy, det2.npy and det3.npy, or none")
        except AnnotatorError as error:
            yield Problem(folder / file, f"it cannot be used: {error}")
