"""Finds an experiment's file and runs it; ``python experiments/NAME.py`` and ``trainer fit NAME`` do the same."""

import runpy
import sys
from pathlib import Path
from typing import Final

from annotator.errors import AnnotatorError, ConfigError
from trainer.fit_experiment import Experiment

EXPERIMENTS_FOLDER: Final = Path("experiments")
VARIABLE: Final = "experiment"
"""What an experiment's file must define."""


def run_experiment_file(file: str) -> None:
    """Do what ``trainer fit FILE`` does, with the arguments of this process, and leave with its exit code."""
    from trainer.cli import run  # noqa: PLC0415 - the command line stands above this module

    sys.exit(run(["fit", file, *sys.argv[1:]]))


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
