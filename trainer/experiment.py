"""What an experiment is: network, loss, augmentation, schedule, one obvious place for each.

All that a file in ``experiments/`` imports is here. Nothing here imports TensorFlow: such a file is read in no time.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from annotator.errors import ConfigError
from annotator.networks.embedders import MAX_EMBEDDING_SIZE
from annotator.recognition.crops import MAX_SIDE_PX, MIN_SIDE_PX
from trainer.augmentation import Augmentation

__all__ = [
    "ArcFace",
    "Augmentation",
    "CentreLoss",
    "CrossEntropy",
    "Experiment",
    "Loss",
    "Network",
    "Schedule",
    "run_experiment_file",
]

NetworkName = Literal["resnet50", "resnet50-half", "densenet121", "xception", "sface-head"]

NATURAL_SIDE_PX: Final[Mapping[str, int]] = {
    "resnet50": 224,
    "resnet50-half": 112,
    "densenet121": 224,
    "xception": 299,
    "sface-head": 112,
}
"""Sides of the crops that the networks were designed for."""

EMBEDDING_SIZE: Final = 256

MAX_SCALE: Final = 1000.0
"""Of a cosine head; beyond it the softmax is a step, and nothing is learnt."""


@dataclass(frozen=True, slots=True)
class Network:
    """Which network, and what stands on it.

    Attributes:
        name: ``"sface-head"`` trains a head over frozen SFace embeddings, in seconds: the recommended start. Its crops
            must be aligned; those of the others need not be.
        embedding_size: numbers of the bottleneck. None leaves the bottleneck out, for ``"sface-head"`` only: the
            embedding is then SFace's own.
        side_px: side of the crops that the network takes; what it was designed for by default.
        head: ``"linear"``, or ``"cosine"``: the cosine to a direction for each person, which ArcFace needs.
        scale: by which a cosine head multiplies; 30 for a few thousand people, 64 in the paper of ArcFace.

    """

    name: NetworkName = "sface-head"
    embedding_size: int | None = EMBEDDING_SIZE
    side_px: int | None = None
    head: Literal["linear", "cosine"] = "linear"
    scale: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what no network can be built from."""
        if self.name not in NATURAL_SIDE_PX:
            raise ConfigError(f"there is no network {self.name!r}: take one of {', '.join(NATURAL_SIDE_PX)}")
        if self.embedding_size is None and self.name != "sface-head":
            raise ConfigError(f"{self.name} needs an embedding_size, such as {EMBEDDING_SIZE}")
        if self.name == "sface-head" and self.side_px not in {None, NATURAL_SIDE_PX[self.name]}:
            raise ConfigError("SFace takes crops of 112 pixels: leave side_px out")
        if self.head not in {"linear", "cosine"}:
            raise ConfigError(f"there is no head {self.head!r}: take linear or cosine")
        if self.embedding_size is not None and not 1 <= self.embedding_size <= MAX_EMBEDDING_SIZE:
            raise ConfigError(f"embedding_size must lie between 1 and {MAX_EMBEDDING_SIZE}, got {self.embedding_size}")
        if not MIN_SIDE_PX <= self.input_side_px <= MAX_SIDE_PX:
            raise ConfigError(f"side_px must lie between {MIN_SIDE_PX} and {MAX_SIDE_PX}, got {self.side_px}")
        if not 0 < self.scale <= MAX_SCALE:
            raise ConfigError(f"scale of a cosine head must be over 0 and at most {MAX_SCALE:g}, got {self.scale}")

    @property
    def input_side_px(self) -> int:
        """Side of the crops that the network takes."""
        return self.side_px or NATURAL_SIDE_PX[self.name]


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Cross-entropy over the people."""


@dataclass(frozen=True, slots=True)
class CentreLoss:
    """Cross-entropy, and embeddings drawn towards the centre of their person.

    Attributes:
        weight: of the centre part.
        centres: ``"trained"`` as parameters, or ``"running"``: moved after each batch towards its embeddings.
        rate: of that movement.

    """

    weight: float = 0.001
    centres: Literal["trained", "running"] = "trained"
    rate: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.centres not in {"trained", "running"}:
            raise ConfigError(f"there are no centres {self.centres!r}: take trained or running")
        if not 0 <= self.weight < math.inf or not 0 < self.rate <= 1:
            raise ConfigError(
                f"weight must be at least 0, and rate over 0 and at most 1: got {self.weight} and {self.rate}"
            )


@dataclass(frozen=True, slots=True)
class ArcFace:
    """Cross-entropy with an angle added to the right person's; needs a cosine head.

    Attributes:
        margin_rad: the angle, radians.

    """

    margin_rad: float = 0.5

    def __post_init__(self) -> None:
        """Refuse angles that cannot be."""
        if not 0 <= self.margin_rad < math.pi / 2:
            raise ConfigError(f"margin_rad must be at least 0 and under a right angle, got {self.margin_rad}")


Loss = CrossEntropy | CentreLoss | ArcFace


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        epochs: at most so many.
        batch: photographs in a step, over all GPUs together.
        learning_rate: of Adam, in the first epochs.
        halve_every_epochs: after so many epochs the rate is halved, again and again; None leaves it.
        patience_epochs: end after so many epochs without a better top-1 of the validation photographs; None never does.
        save_every_steps: a checkpoint is written so often, and after each epoch.
        log_every_steps: a line of the log and points of the curves.

    """

    epochs: int = 100
    batch: int = 64
    learning_rate: float = 1e-3
    halve_every_epochs: int | None = 4
    patience_epochs: int | None = None
    save_every_steps: int = 2000
    log_every_steps: int = 100

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be."""
        counts = {name: getattr(self, name) for name in ("epochs", "batch", "save_every_steps", "log_every_steps")}
        for name, count in counts.items():
            if count < 1:
                raise ConfigError(f"{name} of the schedule must be at least 1, got {count}")
        if not 0 < self.learning_rate < 10:
            raise ConfigError(f"learning_rate must lie between 0 and 10, got {self.learning_rate}")
        if self.halve_every_epochs is not None and self.halve_every_epochs < 1:
            raise ConfigError("halve_every_epochs must be at least 1, or None")

    def rate_of(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0.

        >>> Schedule(learning_rate=0.001, halve_every_epochs=4).rate_of(9)
        0.00025
        """
        if self.halve_every_epochs is None:
            return self.learning_rate
        return float(self.learning_rate * 0.5 ** (epoch // self.halve_every_epochs))


@dataclass(frozen=True, slots=True)
class Experiment:
    """All that decides the result, beside the photographs.

    Attributes:
        network: which one.
        loss: what is made small.
        augmentation: of the training photographs only.
        schedule: how long and how fast.
        precision: of the arithmetic; ``"bfloat16"`` and ``"float16"`` are mixed: weights stay float32.
        frozen: names of layers that stay as they are, with ``*`` for any letters.
        seed: the same seed gives the same run.

    """

    network: Network = field(default_factory=Network)
    loss: Loss = field(default_factory=CentreLoss)
    augmentation: Augmentation = field(default_factory=Augmentation)
    schedule: Schedule = field(default_factory=Schedule)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    frozen: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        if self.precision not in {"float32", "bfloat16", "float16"}:
            raise ConfigError(f"there is no precision {self.precision!r}: take float32, bfloat16 or float16")
        if isinstance(self.loss, ArcFace) and self.network.head != "cosine":
            raise ConfigError("ArcFace needs a cosine head: Network(…, head='cosine')")

    def decisive(self) -> dict[str, Any]:
        """Return what must be the same when a run goes on: all but how long, and how often is logged and saved."""
        free = {"epochs", "patience_epochs", "save_every_steps", "log_every_steps"}
        settings = asdict(self)
        settings["schedule"] = {name: value for name, value in settings["schedule"].items() if name not in free}
        settings["loss"]["kind"] = type(self.loss).__name__
        return settings


def run_experiment_file(file: str) -> None:
    """Do what ``trainer fit FILE`` does, with the arguments of this process, and leave with its exit code."""
    from trainer.cli import run  # noqa: PLC0415 - the command line stands above this module

    sys.exit(run(["fit", file, *sys.argv[1:]]))
