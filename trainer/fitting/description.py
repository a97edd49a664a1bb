"""The description of a fitted network, which is read without Keras: what is wrong with it is told at once."""

import json
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError, ModelError
from trainer.experiment import Network

NETWORK_FILE: Final = "network.json"

MAX_DESCRIPTION_BYTES: Final = 64 * 1024**2


def read_description(folder: Path) -> tuple[Network, tuple[str, ...]]:
    """Return the description of a fitted network and the names of its classes.

    Raises:
        ConfigError: there is none.
        ModelError: the file is not what it must be.

    """
    path = folder / NETWORK_FILE
    if not path.is_file():
        raise ConfigError(f"there is no fitted network in {folder}: run `trainer fit` first")
    try:
        if path.stat().st_size > MAX_DESCRIPTION_BYTES:
            raise ModelError(f"{path} is too large to describe a network: fit it again")
        described = json.loads(path.read_text(encoding="utf-8"))
        people = tuple(described["people"])
        if not people or not all(isinstance(name, str) for name in people):
            raise ModelError(f"{path} names no people: fit the network again")
        return Network(**described["network"]), people
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} describes no network ({type(error).__name__}): fit it again") from error
