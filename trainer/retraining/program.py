"""What ``trainer retrain`` does: settings, database and folders put together around a run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from annotator.build import open_library
from annotator.cli.database import open_store
from annotator.cli.output import out, remark
from annotator.errors import ConfigError
from annotator.promotion.golden import read_golden
from annotator.recognition.bundle_manifest import is_bundle_name
from annotator.recognition.crops import FaceCrop
from annotator.settings import Settings, load_settings
from annotator.store import Store
from annotator.store.connection import reading
from annotator.store.models import list_models
from annotator.store.retrainings import Cause, Retraining
from trainer.dataset.cutting import read_crop_params
from trainer.dataset.files import only_worker
from trainer.evaluation.probes import stranger_probes
from trainer.fitting.places import signals_noted
from trainer.fitting.program import experiment_file
from trainer.retraining.news import read_news
from trainer.retraining.running import FOLDER, Wanted, retrain
from trainer.retraining.steps import Plan
from trainer.workdir import Experiment

_log: Final = logging.getLogger("trainer.retrain")

End = Literal["promoted", "held", "failed", "nothing new", "interrupted"]


def retrain_by_name(places: Experiment, *, cause: Cause, only_news: bool, database: str | None) -> End:
    """Retrain an experiment, and say how it went.

    Raises:
        ConfigError: a setting cannot be, or there is no file that says how to fit.
        InputError: the list of golden clips is wrong.
        BusyError: another process retrains, or somebody else is at what a step does.
        StoreUnavailableError: the database does not answer.

    """
    settings = load_settings(database_url=database)
    file, name = experiment_file(places.name), model_name(settings, places)
    _check(places, settings)
    with open_store(settings) as store, only_worker(places.folder / FOLDER), signals_noted() as signals, _told():
        wanted = Wanted(
            experiment=places.name,
            cause=cause,
            read_news=lambda: _read_news(places, file, store),
            next_version=lambda: _next_version(name, settings, store),
            plan_of=lambda run: _plan(places, settings, run),
            name=name,
            only_news=only_news,
        )
        run = retrain(store.engine, wanted, is_stopping=lambda: bool(signals))
    return _say(run)


def model_name(settings: Settings, places: Experiment) -> str:
    """Return the name of the models of an experiment: that of the settings, else its own.

    Raises:
        ConfigError: no model can be called so.

    """
    name = settings.retraining.name or places.own_model_name
    if name is None:
        raise ConfigError(f"no model can be called like {places.name!r}: set ANNOTATOR_RETRAINING__NAME")
    if not is_bundle_name(name):
        raise ConfigError(
            f"ANNOTATOR_RETRAINING__NAME is {name!r}, which cannot be the name of a model: it is short, of a-z, 0-9, "
            "dot, dash, underscore"
        )
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
    name, _, version = run.model.rpartition("@")
    return Plan(
        experiment=run.experiment,
        workdir=places.workdir,
        name=name,
        version=int(version),
        folder=places.folder / FOLDER / str(run.id),
        strangers=chosen.strangers,
        crop=_crop(places),
        golden=None if chosen.golden is None or chosen.clips is None else (chosen.golden, chosen.clips),
        environment={"ANNOTATOR_DATABASE_URL": settings.database_url.get_secret_value()},
    )


def _check(places: Experiment, settings: Settings) -> None:
    """Tell what the last steps would find wrong, before hours of work.

    Raises:
        ConfigError: settings do not fit together, or to the experiment.
        InputError: the list of golden clips is wrong.

    """
    chosen = settings.retraining
    if (chosen.golden is None) != (chosen.clips is None):
        raise ConfigError("set both ANNOTATOR_RETRAINING__GOLDEN and ANNOTATOR_RETRAINING__CLIPS, or neither")
    if chosen.golden is not None and chosen.clips is not None:
        read_golden(chosen.golden, chosen.clips)
    elif settings.gate.needs_golden:
        raise ConfigError(
            "ANNOTATOR_GATE__NEEDS_GOLDEN wants golden clips, and without them each retraining would be held at its "
            "end: set ANNOTATOR_RETRAINING__GOLDEN and ANNOTATOR_RETRAINING__CLIPS"
        )
    if chosen.strangers is not None:
        _check_strangers(places, chosen.strangers)


def _check_strangers(places: Experiment, strangers: Path) -> None:
    if not strangers.is_dir():
        raise ConfigError(f"there is no folder {strangers}: ANNOTATOR_RETRAINING__STRANGERS must name one")
    stranger_probes(strangers)
    crop = _crop(places)
    if crop is not None and not crop.is_as_clips_give:
        raise ConfigError(
            f"ANNOTATOR_RETRAINING__STRANGERS holds aligned crops, and {places.name} is prepared with others "
            f"(«{crop.kind}»): leave it out, people who are left out stand for strangers then; or `trainer prepare`"
        )


def _crop(places: Experiment) -> FaceCrop | None:
    return read_crop_params(places.crop_file) if places.crop_file.is_file() else None


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
