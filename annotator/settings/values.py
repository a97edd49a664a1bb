"""Kinds of values that settings have."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from annotator.masking import mask_url

APP_FOLDER = "celebrity-annotator"

MIB = 1024 * 1024
HOUR_S = 3600


class SecretUrl(SecretStr):
    """A URL that may carry a password, which shows as ``***``; ``get_secret_value()`` gives all of it."""

    def _display(self) -> str:
        return mask_url(self._secret_value)


def _expanded(path: Path) -> Path:
    return path.expanduser()


def xdg_folder(variable: str, fallback: str) -> Path:
    """Return the folder of this program: where a variable of the XDG rules says, else below the home folder."""
    return Path(os.environ.get(variable) or Path.home() / fallback) / APP_FOLDER


def listed(value: object) -> object:
    """Read a list that is written with commas; what is none stays as it is."""
    return tuple(one.strip() for one in value.split(",") if one.strip()) if isinstance(value, str) else value


Folder = Annotated[Path, AfterValidator(_expanded)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Days = Annotated[float, Field(ge=1)]
