"""Finds an experiment's file and runs it; ``python experiments/NAME.py`` and ``trainer fit NAME`` do the same."""

import runpy
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from annotator.cli.output import remark
from annotator.errors import AnnotatorError, ConfigError
from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import create_engine
from annotator.settings import load_settings
from trainer.experiment import Experiment
from trainer.fitting.places import BOARD_FOLDER
from trainer.settings import TrainerSettings
from trainer.workdir import Experiment as Places
from trainer.workdir import open_experiment

EXPERIMENTS_FOLDER: Final = Path("experiments")
VARIABLE: Final = "experiment"
"""What an experiment's file must define."""

_NO_TENSORFLOW: Final = "tensorboard.compat.notf"
"""TensorBoard does without TensorFlow where there is a module of this name, as where TensorFlow is not installed."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a user may choose for a run; see :class:`~trainer.fitting.fit.FitOptions`."""

    begin_from: Path | None = None
    is_fresh: bool = False
    threads: int | None = None
    has_xla: bool = False


def fit_by_name(name: str, settings: TrainerSettings, chosen: RunOptions) -> bool:
    """Fit an experiment by its name or its file, and say where the network is.

    Args:
        name: of the experiment, or its file ``NAME.py``.
        settings: say on which device, and where the work directory is.
        chosen: by the user.

    Returns:
        Whether the run is whole; false where it was interrupted.

    Raises:
        ConfigError: there is no such file or folder; for the others see :func:`trainer.fitting.fit.fit`.

    """
    from trainer.fitting.fit import FitOptions, fit  # noqa: PLC0415 - reading an experiment's file needs none of it

    file = experiment_file(name)
    options = FitOptions(device=settings.device, make_embedder=_embedder, **asdict(chosen))
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


def show_board(places: Places, *, host: str, port: int) -> None:
    """Serve TensorBoard, over the curves and centres of an experiment, until Ctrl-C or SIGTERM.

    Raises:
        ConfigError: TensorBoard is not installed, or cannot listen there.

    """
    if find_spec("tensorboard") is None:
        raise ConfigError("there is no TensorBoard: pip install 'celebrity-annotator[board]'")
    # Curves and projector need no TensorFlow, which TensorBoard would import first, for seconds, wherever it is found.
    sys.modules.setdefault(_NO_TENSORFLOW, ModuleType(_NO_TENSORFLOW))
    from tensorboard import program  # type: ignore[import-untyped] # noqa: PLC0415 - it may not be there

    folder = places.folder / BOARD_FOLDER
    remark(f"TensorBoard starts, with {folder}, on http://{host}:{port}")
    board = program.TensorBoard()
    board.configure(logdir=str(folder), host=host, port=port)
    try:
        code = board.main()
    except SystemExit as left:  # so the server within it leaves where an address is not to be had
        code = left.code
    if code not in {0, None}:  # it has said why
        raise ConfigError(f"TensorBoard cannot listen on {host}:{port}: choose another --port, or --host")


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
