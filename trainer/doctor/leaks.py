"""Find what is on both sides of the split: in the lists, and among crops that somebody has put there by hand."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from annotator.recognition.photographs import PICTURE_SUFFIXES, read_picture
from trainer.checking import photograph_problem
from trainer.dataset.families import near_duplicates
from trainer.dataset.hashing import Appearance, appearance_of
from trainer.dataset.listing import Sample, read_samples
from trainer.doctor.findings import Finding, Picture
from trainer.workdir import Experiment

MAX_BITS_APART: Final = 4
"""Of the hashes of two crops: aligned faces of different people are nearer to each other than photographs are."""


def leaks(experiment: Experiment) -> Iterator[Finding]:
    """Yield crops of evaluation that look the same as one of training. None where nothing has been prepared.

    Raises:
        ConfigError: ``dataset.csv`` is not as it was written.

    """
    samples = read_samples(experiment) if experiment.dataset_file.is_file() else []
    by_family: dict[str, list[Sample]] = {}
    for sample in samples:
        by_family.setdefault(sample.family, []).append(sample)
    for family in by_family.values():
        train = [sample.crop for sample in family if sample.side == "train"]
        for sample in family:
            if sample.side == "val" and train:
                yield _leak(sample.crop, train[0])
    yield from _by_hand(experiment, {sample.crop for sample in samples})


def _by_hand(experiment: Experiment, known: set[str]) -> Iterator[Finding]:
    """Compare crops that no list has with those of the other side."""
    folder = experiment.folder
    sides = {side: _crops(side) for side in (experiment.train_dataset, experiment.val_dataset)}
    paths = [path for side in sides.values() for path in side]
    if all(str(path.relative_to(folder)) in known for path in paths):
        return
    readable = [path for path in paths if photograph_problem(path) is None]
    looks = [appearance_of(read_picture(path)) for path in readable]
    digests = [sha256(path.read_bytes()).digest() for path in readable]
    for first, second in near_duplicates(looks):
        one, other = readable[first], readable[second]
        names = [str(path.relative_to(folder)) for path in (one, other)]
        are_known = all(name in known for name in names)
        are_one_side = (one in sides[experiment.train_dataset]) == (other in sides[experiment.train_dataset])
        is_same = digests[first] == digests[second] or _is_near(looks[first], looks[second])
        if is_same and not are_known and not are_one_side:
            in_train = 0 if one in sides[experiment.train_dataset] else 1
            yield _leak(names[1 - in_train], names[in_train])


def _is_near(one: Appearance, other: Appearance) -> bool:
    apart = min((one.hash64 ^ other.hash64).bit_count(), (one.hash64 ^ other.mirrored64).bit_count())
    return apart <= MAX_BITS_APART


def _leak(val: str, train: str) -> Finding:
    what = f"{val} looks the same as {train}: evaluating on it says nothing; take one out"
    return Finding("leak", what, (), (Picture(val, val), Picture(train, train)), (val,))


def _crops(folder: Path) -> set[Path]:
    return {path for path in folder.glob("*/*") if path.suffix.lower() in PICTURE_SUFFIXES}
