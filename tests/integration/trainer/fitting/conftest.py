"""Drawn crops of three people, and a fit of them in this process."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotator.networks.sface import EMBEDDING_SIZE
from annotator.types import F32, U8
from trainer.experiment import Augmentation, Experiment, Network, Schedule
from trainer.fitting.fit import FitOptions, FitResult, fit
from trainer.workdir import Experiment as Places

PEOPLE = ("Ann_Lee", "Bob_Ray", "Zoe_Fox")
PHOTOGRAPHS = {"train_dataset": 7, "val_dataset": 2}


class ColourEmbedder:
    """Embeds a face by its colours on a coarse grid, in no time: how faces are embedded is not what is tested."""

    network_id = "sface-2021dec"

    def embed(self, faces: U8) -> F32:
        grids = np.stack([cv2.resize(face, (4, 4), interpolation=cv2.INTER_AREA).reshape(-1) for face in faces])
        mixing = np.random.default_rng(0).normal(size=(grids.shape[1], EMBEDDING_SIZE))
        vectors = (grids - 127.5) @ mixing
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@dataclass(frozen=True)
class Bench:
    """A place with crops where networks are fitted.

    Attributes:
        places: the experiment's folder.
        options: how it is fitted.

    """

    places: Places
    options: FitOptions = field(default_factory=lambda: FitOptions(make_embedder=ColourEmbedder))  # type: ignore[arg-type]

    def fit(self, experiment: Experiment, **options: Any) -> FitResult:
        return fit(self.places, experiment, replace(self.options, **options))

    def state(self) -> dict[str, F32]:
        """Everything that the last checkpoint holds."""
        with np.load(self.places.folder / "model" / "last.npz") as archive:
            return {name: archive[name] for name in archive.files}

    def forget(self) -> None:
        """Remove what a fit has written."""
        for folder in ("model", "logs"):
            shutil.rmtree(self.places.folder / folder)


def small_experiment(**changes: Any) -> Experiment:
    plain = Experiment(
        network=Network("sface-head", embedding_size=16),
        augmentation=Augmentation(rate=0.5, copies=1),
        schedule=Schedule(epochs=3, batch=8, learning_rate=0.01, log_every_steps=2, save_every_steps=2),
    )
    return replace(plain, **changes)


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn crops: each person has a colour, and noise."""
    folder = tmp_path_factory.mktemp("crops")
    generator = np.random.default_rng(0)
    for person, name in enumerate(PEOPLE):
        for side, count in PHOTOGRAPHS.items():
            (folder / side / name).mkdir(parents=True)
            for index in range(count):
                picture = generator.integers(0, 120, (112, 112, 3), np.uint8)
                picture[..., person] += 120
                cv2.imwrite(str(folder / side / name / f"{index}.png"), picture)
    return folder


@pytest.fixture
def bench(tmp_path: Path, crops: Path, sface_is_built_once: None) -> Bench:  # noqa: ARG001 - whole networks have it
    shutil.copytree(crops, tmp_path / "example")
    return Bench(Places("example", tmp_path))
