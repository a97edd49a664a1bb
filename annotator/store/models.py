"""Installed models: the rows that say which content a name and version stand for, on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from annotator.errors import ConfigError
from annotator.store.columns import utc_now
from annotator.store.registry import insert_missing
from annotator.store.tables import models

LOCK: Final = "models"
"""Held while models are installed or promoted: one at a time."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A row of ``models``.

    Attributes:
        name: of the model.
        version: counts up.
        digest: sha256 over the manifest, which states the digest of every file.
        uri: where its bundle is.
        manifest: as it was installed.
        installed_at: when.

    """

    name: str
    version: int
    digest: str
    uri: str
    manifest: Mapping[str, Any]
    installed_at: datetime

    @property
    def model(self) -> str:
        """Name and version as users see them."""
        return f"{self.name}@{self.version}"


def note_model(connection: Connection, *, digest: str, uri: str, manifest: Mapping[str, Any]) -> bool:
    """Note an installed model; one that is noted already stays as it is.

    Args:
        connection: in a transaction that writes.
        digest: of the manifest.
        uri: where the bundle is.
        manifest: states name and version.

    Returns:
        Whether it is new.

    Raises:
        ConfigError: another content is noted under its name and version.

    """
    name, version = str(manifest["name"]), int(manifest["version"])
    row = {"name": name, "version": str(version), "digest": digest, "uri": uri, "manifest": dict(manifest)}
    added = connection.execute(insert_missing(connection, models).values(**row, installed_at=utc_now()))
    noted = find_model(connection, name, version)
    if noted is None or noted.digest != digest:
        raise ConfigError(
            f"{name}@{version} is installed already, with another content: give the new one a higher version"
        )
    return bool(added.rowcount)


def find_model(connection: Connection, name: str, version: int) -> InstalledModel | None:
    """Return an installed model, None where there is none."""
    row = connection.execute(
        select(models).where(models.c.name == name, models.c.version == str(version))
    ).one_or_none()
    return None if row is None else _installed(row)


def list_models(connection: Connection) -> list[InstalledModel]:
    """Return the installed models, by name and version."""
    found = [_installed(row) for row in connection.execute(select(models))]
    return sorted(found, key=lambda one: (one.name, one.version))


def _installed(row: Any) -> InstalledModel:  # noqa: ANN401  (SQLAlchemy's row)
    return InstalledModel(row.name, int(row.version), row.digest, row.uri, row.manifest, row.installed_at)
