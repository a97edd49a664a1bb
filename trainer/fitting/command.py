"""Finds an experiment's file and runs it; ``python experiments/NAME.py`` and ``trainer fit NAME`` do the same."""

import runpy
from pathlib import Path
from typing import Final

from annotator.cli.output import remark
from annotator.errors import AnnotatorError, ConfigError
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import create_engine
from annotator.settings import load_settings
from trainer.experiment import Experiment
from trainer.settings import TrainerSettings
from trainer.workdir import open_experiment

EXPERIMENTS_FOLDER: Final = Path("experiments")
VARIABLE: Final = "experiment"
"""What an experiment's file must define."""


def fit_by_name(
    name: str,
    settings: TrainerSettings,
    *,
    begin_from: Path | None,
    is_fresh: bool,
    threads: int | None,
    has_xla: bool | None,
) -> bool:
    """Fit an experiment by its name or its file, and print where the network is.

    Args:
        name: of the experiment, or its file ``NAME.py``.
        settings: say on which device, and where the work directory is.
        begin_from: see :class:`~trainer.fitting.fit.FitOptions`, as for the others.
        is_fresh: forget the run that is there.
        threads: that an operation may use.
        has_xla: compile the step.

    Returns:
        Whether the run is whole; false where it was interrupted.

    """
    from trainer.fitting.fit import FitOptions, fit  # noqa: PLC0415 - reading an experiment's file needs none of it

    file = experiment_file(name)
    options = FitOptions(
        device=settings.device,
        threads=threads,
        has_xla=has_xla,
        begin_from=begin_from,
        is_fresh=is_fresh,
        make_embedder=_embedder,
    )
    result = fit(open_experiment(file.stem, settings.workdir), load_experiment(file), options)
    if result.is_whole:
        best = result.results[result.best - 1]
        top1 = (
            "" if best.val_top1 is None else f", top-1 {best.val_top1:.3f} and top-5 {best.val_top5:.3f} in validation"
        )
        remark(f"epoch {best.epoch} of {len(result.results)} was the best{top1}; its network is in {result.folder}")
    return result.is_whole


def _embedder() -> FaceEmbedder:
    settings = load_settings()
    engine = create_engine("cpu", threads=settings.threads, cache_dir=settings.cache_dir / "networks")
    return FaceEmbedder(engine)


def experiment_file(name: str, folder: Path = EXPERIMENTS_FOLDER) -> Path:
    """Return the file of an experiment, which may be given itself.

    Raises:
        ConfigError: there is none.

    """
    path = Path(name) if name.endswith(".py") else folder / f"{name}.py"
    if not path.is_file():
        path = folder / Path(name).name
    if not path.is_file():
        raise ConfigError(
            f"there is no file {folder / Path(name).name.removesuffix('.py')}.py that says how to fit: copy "
            "experiments/example_experiment.py"
        )
    return path


def load_experiment(path: Path) -> Experiment:
    """Run an experiment's file and return what it defines.

    Raises:
        ConfigError: it cannot be run, or defines no ``experiment``.

    """
    try:
        defined = runpy.run_path(str(path), run_name="experiment").get(VARIABLE)
    except AnnotatorError:
        raise
    except Exception as error:  # whatever the file does wrong
        raise ConfigError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    if not isinstance(defined, Experiment):
        raise ConfigError(f"{path} must define {VARIABLE} = Experiment(…): see experiments/example_experiment.py")
    return defined
