"""Where a map is kept: a file of the cache for each labelling of a database, whole or not there."""

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from annotator.appearing import appearing_file
from annotator.space.placing import SpaceMap
from annotator.store.tables import labellings

FOLDER: Final = "space"
_FORMAT: Final = 1
_ARRAYS: Final = (
    "explained",
    "identity_id",
    "photographs",
    "people_xyz",
    "alike",
    "alike_cosine",
    "named_xyz",
    "named_id",
    "unnamed_xyz",
)


def map_path(cache_dir: Path, connection: Connection, labelling_id: int) -> Path:
    """Return where the map of a labelling is kept: by the digest of its model, and which database's it is.

    Args:
        cache_dir: of the settings.
        connection: to the database.
        labelling_id: must be there.

    """
    columns = (labellings.c.digest, labellings.c.created_at)
    row = connection.execute(select(*columns).where(labellings.c.id == labelling_id)).one()
    key = hashlib.sha256(f"{_FORMAT} {labelling_id} {row.digest} {row.created_at.isoformat()}".encode()).hexdigest()
    return cache_dir / FOLDER / f"{key[:24]}.npz"


def write_map(path: Path, space: SpaceMap) -> None:
    """Write a map; whoever reads meanwhile reads the one before.

    Raises:
        LocalDiskError: it cannot be written there.

    """
    arrays: dict[str, Any] = {name: getattr(space, name) for name in _ARRAYS}
    with appearing_file(path, remedy="set ANNOTATOR_CACHE_DIR to another folder") as file:
        np.savez(
            file,
            allow_pickle=False,
            **arrays,
            model=np.array(space.model),
            made_at=np.array(space.made_at.astimezone(UTC).isoformat()),
        )


def read_time(path: Path) -> datetime | None:
    """Return when the map of a file was made, without reading the rest; None as of ``read_map``."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return datetime.fromisoformat(str(file["made_at"]))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None


def read_map(path: Path) -> SpaceMap | None:
    """Return the map of a file; None where there is none, or none that this program can read: it can be made again."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:  # closed also where it is cut off
            return SpaceMap(
                model=str(file["model"]),
                made_at=datetime.fromisoformat(str(file["made_at"])),
                **{name: file[name] for name in _ARRAYS},
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None
