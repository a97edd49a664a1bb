"""The steps of a retraining, and the commands that they are.

Each step is a command that anybody can type, in a process of its own: it gives its memory back, may be killed at any
time, and is begun again by the next run. Each goes on where it was, or does the same once more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from annotator.recognition.crops import FaceCrop
from trainer.workdir import Experiment


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run works with.

    Attributes:
        experiment: its name.
        workdir: the work directory.
        name: of the model that is made.
        version: of the model that is made.
        folder: keeps the logs of the run and the new bundle.
        strangers: folder of aligned crops of people who are nobody of the experiment; None leaves people out instead.
        crop: how faces are cut: as the last `trainer prepare` has done it; None for its defaults.
        golden: which clips must stay as good as they are: a CSV of truth and the folder of the clips; None tries none.
        environment: variables that the commands get besides those of this process.

    """

    experiment: str
    workdir: Path
    name: str
    version: int
    folder: Path
    strangers: Path | None = None
    crop: FaceCrop | None = None
    golden: tuple[Path, Path] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"

    @property
    def bundle(self) -> Path:
        """Where the new bundle is written."""
        return self.folder / "bundle"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a run.

    Attributes:
        name: of the step; its log is ``NAME.log``.
        program: whose command it is.
        arguments: of the command; told whether the step was begun before and cut off.
        may_hold: it may end with :data:`~annotator.cli.entry.HELD`: what it found is for a person to decide.
        clears: a folder of this run that the command wants to make itself; what a former try has left there goes.

    """

    name: str
    program: Literal["trainer", "annotator"]
    arguments: Callable[[Plan, bool], list[str]]
    may_hold: bool = False
    clears: Callable[[Plan], Path] | None = None


def _of_experiment(command: str) -> Callable[[Plan, bool], list[str]]:
    return lambda plan, _: [command, plan.experiment, "--workdir", str(plan.workdir)]


def _corrections(plan: Plan, _: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    raw_dataset = Experiment(plan.experiment, plan.workdir).raw_dataset
    return ["corrections", "--export", str(raw_dataset), "--whole", "--missing-ok"]


def _prepare(plan: Plan, is_again: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    prepare = _of_experiment("prepare")(plan, is_again)
    if plan.crop is None:
        return prepare
    crop = plan.crop
    return [*prepare, "--crop", crop.kind, "--size", str(crop.side_px), "--margin", str(crop.margin)]


def _fit(plan: Plan, is_again: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    fit = [*_of_experiment("fit")(plan, is_again)]
    return fit if is_again else [*fit, "--fresh"]  # cut off, it goes on where its last checkpoint stands


def _evaluate(plan: Plan, is_again: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    return [*_of_experiment("evaluate")(plan, is_again), *_strangers(plan)]


def _export(plan: Plan, is_again: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    named = ["--name", plan.name, "--version", str(plan.version), "--output", str(plan.bundle)]
    return [*_of_experiment("export")(plan, is_again), *named, *_strangers(plan)]


def _strangers(plan: Plan) -> list[str]:
    return [] if plan.strangers is None else ["--strangers", str(plan.strangers)]


def _promote(plan: Plan, _: bool) -> list[str]:  # noqa: FBT001 - see Step.arguments
    promote = ["models", "promote", plan.model, "--html", str(plan.folder / "promotion.html")]
    if plan.golden is None:
        return promote
    truth, clips = plan.golden
    return [*promote, "--golden", str(truth), "--clips", str(clips)]


STEPS: Final = (
    Step("corrections", "annotator", _corrections),
    Step("prepare", "trainer", _prepare),
    Step("doctor", "trainer", _of_experiment("doctor"), may_hold=True),
    Step("fit", "trainer", _fit),
    Step("evaluate", "trainer", _evaluate),
    Step("export", "trainer", _export, clears=lambda plan: plan.bundle),
    Step("install", "annotator", lambda plan, _: ["models", "install", str(plan.bundle)]),
    Step("promote", "annotator", _promote, may_hold=True),
)
"""In the order in which they are taken."""
