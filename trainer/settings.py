"""What can be set for the trainer by the environment and the file ``.env``, under the names of GIPHY's release."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from annotator.errors import ConfigError

ENV_FILE: Final = Path(".env")
DEFAULT_WORKDIR: Final = Path("workdir")
DEFAULT_TENSORBOARD_PORT: Final = 5055
Device = Literal["cpu", "gpu"]

_NAMES: Final = ("EXPERIMENT_FILENAME", "USE_GPU", "TENSORBOARD_PORT", "WORKDIR", "LOCAL_WORKDIR")
_YES: Final = ("true", "1", "yes", "on")
_NO: Final = ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """The settings of the trainer.

    Attributes:
        experiment: name of the experiment, of ``EXPERIMENT_FILENAME`` without folder and ``.py``; None if none is set.
        use_gpu: the one switch between CPU and GPU, ``USE_GPU``.
        tensorboard_port: where TensorBoard listens, ``TENSORBOARD_PORT``.
        workdir: the work directory: ``WORKDIR`` or, where no such folder is there and it is, ``LOCAL_WORKDIR``, which
            Compose mounts as ``WORKDIR``.

    """

    experiment: str | None
    use_gpu: bool
    tensorboard_port: int
    workdir: Path

    @property
    def device(self) -> Device:
        """The device that networks run on."""
        return "gpu" if self.use_gpu else "cpu"


def load_trainer_settings(
    *, workdir: Path | None = None, env_file: Path = ENV_FILE, environment: Mapping[str, str] | None = None
) -> TrainerSettings:
    """Read the settings.

    Args:
        workdir: of the command line; goes before all others.
        env_file: need not be there; the environment goes before it. An empty value counts as not given.
        environment: ``os.environ`` by default.

    Raises:
        ConfigError: a value cannot be.

    """
    given = _given(env_file, os.environ if environment is None else environment)
    experiment = given.get("EXPERIMENT_FILENAME")
    return TrainerSettings(
        experiment=Path(experiment).name.removesuffix(".py") if experiment else None,
        use_gpu=_switch("USE_GPU", given.get("USE_GPU", "false")),
        tensorboard_port=_port("TENSORBOARD_PORT", given.get("TENSORBOARD_PORT", str(DEFAULT_TENSORBOARD_PORT))),
        workdir=workdir or _workdir(given),
    )


def _given(env_file: Path, environment: Mapping[str, str]) -> dict[str, str]:
    try:
        is_there = env_file.is_file()
        read = DotEnvSettingsSource(BaseSettings, env_file=env_file, env_file_encoding="utf-8") if is_there else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{env_file} cannot be read: {error}") from error
    lines = read.env_vars if read else {}  # names in small letters
    given = {name: environment.get(name) or lines.get(name.lower()) for name in _NAMES}
    return {name: value.strip() for name, value in given.items() if value and value.strip()}


def _workdir(given: Mapping[str, str]) -> Path:
    inside, local = given.get("WORKDIR"), given.get("LOCAL_WORKDIR")
    workdir = Path(inside).expanduser() if inside else DEFAULT_WORKDIR
    if local and not workdir.is_dir() and Path(local).expanduser().is_dir():
        return Path(local).expanduser()
    return workdir


def _switch(name: str, value: str) -> bool:
    if value.lower() not in _YES + _NO:
        raise ConfigError(f"{name} is {value!r}: it must be true or false")
    return value.lower() in _YES


def _port(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
        raise ConfigError(f"{name} is {value!r}: it must be a port, 1 to 65535")
    return int(value)
