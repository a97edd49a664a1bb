"""Folders that a takedown was told to sweep: kept with it until it is finished, for whoever goes on.

Their paths may have the name of the person: they are shown to nobody, and go when it is finished.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_to_bytes, urlsplit


@dataclass(frozen=True, slots=True)
class NamedFolder:
    """A folder, and on which machine it was named.

    Attributes:
        path: absolute.
        machine: its name.

    """

    path: Path
    machine: str

    @classmethod
    def here(cls, path: Path) -> Self:
        """Return a folder of this machine."""
        return cls(path.resolve(), socket.gethostname())

    @property
    def is_of_this_machine(self) -> bool:
        """It was named on this machine."""
        return self.machine == socket.gethostname()


def folders_of(row: Any) -> tuple[NamedFolder, ...]:  # noqa: ANN401 - a row
    """Return the folders of a takedown's row, in the order in which they were named."""
    return tuple(NamedFolder(_path_at(address), machine) for address, machine in row.folders or ())


def more_folders(kept: Sequence[NamedFolder], named: Sequence[Path]) -> tuple[NamedFolder, ...]:
    """Return folders that are kept, and after them those that are named now; each once."""
    return tuple(dict.fromkeys([*kept, *map(NamedFolder.here, named)]))


def as_json(folders: Sequence[NamedFolder]) -> list[list[str]]:
    """Return folders as ``takedowns.folders`` has them: as addresses, since a path may hold what no JSON may."""
    return [[one.path.as_uri(), one.machine] for one in folders]


def _path_at(address: str) -> Path:
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(address).path)))
