"""``dataset.csv``: what each crop of an experiment is. What fits and evaluates reads it."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from annotator.errors import ConfigError
from trainer.dataset.splitting import Side
from trainer.tables import table_text
from trainer.workdir import Experiment


@dataclass(frozen=True, slots=True)
class Sample:
    """One crop.

    Attributes:
        crop: its path within the experiment's folder.
        side: ``"train"`` or ``"val"``.
        label: text of the person's label in ``labels.csv``.
        index: of the label.
        photograph: path of the photograph within the raw dataset.
        sha256: of the photograph.
        family: the lowest sha256 of the photographs that look the same, shortened; never on both sides.
        face: number of the face on the photograph, 0 is the largest.
        face_px: side in pixels of the photograph of the square that an aligned face is cut from.
        agreement: cosine of the face to the mean of the person's other faces; None where there are no others.

    """

    crop: str
    side: Side
    label: str
    index: int
    photograph: str
    sha256: str
    family: str
    face: int
    face_px: float
    agreement: float | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photograph that no crop comes from.

    Attributes:
        photograph: its path within the raw dataset.
        why: ``"no clear face"``, ``"no face like the person's others"`` or ``"repeated"``.

    """

    photograph: str
    why: str


def read_samples(experiment: Experiment, *, side: Side | None = None) -> list[Sample]:
    """Read what `trainer prepare` has made, in the order of the file: by label, then photograph.

    Args:
        experiment: the places.
        side: only these.

    Raises:
        ConfigError: it has not run, or the file is not as it was written.

    """
    path = experiment.dataset_file
    if not path.is_file():
        raise ConfigError(f"there is no {path}: run `trainer prepare {experiment.name}` first")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            samples = [_sample(row) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path} is not as it was written ({error}): run `trainer prepare` again") from error
    return [sample for sample in samples if side is None or sample.side == side]


def samples_text(samples: Iterable[Sample]) -> str:
    """Return the text of ``dataset.csv``."""
    return table_text([field.name for field in fields(Sample)], map(astuple, samples))


def left_out_text(left_out: Iterable[LeftOut]) -> str:
    """Return the text of ``left_out.csv``."""
    return table_text([field.name for field in fields(LeftOut)], map(astuple, left_out))


def _sample(row: dict[str, str]) -> Sample:
    if row["side"] not in ("train", "val"):
        raise ValueError(f"side {row['side']!r}")
    return Sample(
        crop=row["crop"],
        side="val" if row["side"] == "val" else "train",
        label=row["label"],
        index=int(row["index"]),
        photograph=row["photograph"],
        sha256=row["sha256"],
        family=row["family"],
        face=int(row["face"]),
        face_px=float(row["face_px"]),
        agreement=float(row["agreement"]) if row["agreement"] else None,
    )
