"""What ``trainer retrain`` does: settings, database and folders put together around a run."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from annotator.build import open_library
from annotator.cli.database import open_store
from annotator.cli.output import out, remark
from annotator.errors import ConfigError
from annotator.settings import Settings, load_settings
from annotator.store import Store
from annotator.store.connection import reading
from annotator.store.models import list_models
from annotator.store.retrainings import Cause, Retraining
from trainer.dataset.cutting import read_crop_params
from trainer.dataset.files import only_worker
from trainer.fitting.places import signals_noted
from trainer.fitting.program import experiment_file
from trainer.retraining.news import read_news
from trainer.retraining.running import FOLDER, Wanted, retrain
from trainer.retraining.steps import Plan
from trainer.workdir import Experiment

_log: Final = logging.getLogger("trainer.retrain")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9._-]+")

End = Literal["promoted", "held", "failed", "nothing new", "interrupted"]


def retrain_by_name(places: Experiment, *, cause: Cause, only_news: bool, database: str | None) -> End:
    """Retrain an experiment, and say how it went.

    Raises:
        ConfigError: a setting cannot be, or there is no file that says how to fit.
        BusyError: another process retrains, or somebody else is at what a step does.
        StoreUnavailableError: the database does not answer.

    """
    settings = load_settings(database_url=database)
    file = experiment_file(places.name)
    with open_store(settings) as store, only_worker(places.folder / FOLDER), signals_noted() as signals, _told():
        wanted = Wanted(
            experiment=places.name,
            cause=cause,
            read_news=lambda: _read_news(places, file, store),
            next_version=lambda: _next_version(model_name(settings, places.name), settings, store),
            plan_of=lambda run: _plan(places, settings, run),
            name=model_name(settings, places.name),
            only_news=only_news,
        )
        run = retrain(store.engine, wanted, is_stopping=lambda: bool(signals))
    return _say(run)


def model_name(settings: Settings, experiment: str) -> str:
    """Return the name of the models of an experiment: that of the settings, else its own."""
    name = settings.retraining.name or _NOT_IN_NAMES.sub("-", experiment.lower()).strip("-._")
    if not name:
        raise ConfigError("give the model a name: set ANNOTATOR_RETRAINING__NAME")
    return name


def _read_news(places: Experiment, file: Path, store: Store) -> dict[str, str]:
    with reading(store.engine) as connection:
        return read_news(places, file, connection)


def _next_version(name: str, settings: Settings, store: Store) -> int:
    """Return the version after the highest that the database or the library knows."""
    with reading(store.engine) as connection:
        noted = [one.version for one in list_models(connection) if one.name == name]
    kept = [folder.name.rpartition("@") for folder in open_library(settings).folders()]
    return max([0, *noted, *(int(version) for one, _, version in kept if one == name and version.isdigit())]) + 1


def _plan(places: Experiment, settings: Settings, run: Retraining) -> Plan:
    if run.experiment != places.name:
        raise ConfigError(
            f"retraining {run.id} of {run.experiment} was cut off and goes first: `trainer retrain {run.experiment}`"
        )
    chosen = settings.retraining
    if (chosen.golden is None) != (chosen.clips is None):
        raise ConfigError("set both ANNOTATOR_RETRAINING__GOLDEN and ANNOTATOR_RETRAINING__CLIPS, or neither")
    crop = read_crop_params(places.crop_file) if places.crop_file.is_file() else None
    if chosen.strangers is not None and crop is not None and not crop.is_as_clips_give:
        raise ConfigError(
            f"ANNOTATOR_RETRAINING__STRANGERS holds aligned crops, and {places.name} is prepared with others "
            f"(«{crop.kind}»): leave it out, people who are left out stand for strangers then; or `trainer prepare`"
        )
    name, _, version = run.model.rpartition("@")
    return Plan(
        experiment=run.experiment,
        workdir=places.workdir,
        name=name,
        version=int(version),
        folder=places.folder / FOLDER / str(run.id),
        strangers=chosen.strangers,
        crop=crop,
        golden=None if chosen.golden is None or chosen.clips is None else (chosen.golden, chosen.clips),
        environment={"ANNOTATOR_DATABASE_URL": settings.database_url.get_secret_value()},
    )


def _say(run: Retraining) -> End:
    if run.outcome is None:
        remark(f"retraining {run.id} was interrupted in {run.step}: retrain again to go on")
        return "interrupted"
    if run.outcome == "promoted":
        out().print(f"{run.model} is promoted (retraining {run.id})", markup=False, soft_wrap=True)
    else:
        remark(f"retraining {run.id}: {run.outcome}{f': {run.reason}' if run.reason else ''}")
    return run.outcome


@contextmanager
def _told() -> Iterator[None]:
    """Say on stderr how it goes on."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    before = _log.level, _log.propagate
    _log.setLevel(logging.INFO)
    _log.propagate = False
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(before[0])
        _log.propagate = before[1]
