"""Labellings by the names that users see: ``starter@1``, ``starter@1+1a2b3c4d``."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from annotator.errors import ConfigError
from annotator.store.tables import active, labellings


@dataclass(frozen=True, slots=True)
class Labelling:
    """A row of ``labellings``.

    Attributes:
        labelling_id: its id.
        network_id: whose tracks it labels.
        model: as users see it.

    """

    labelling_id: int
    network_id: int
    model: str


def load_labelling(connection: Connection, labelling_id: int) -> Labelling:
    """Return a labelling by its id.

    Raises:
        ConfigError: there is none, or its labels were removed.

    """
    row = connection.execute(select(labellings).where(labellings.c.id == labelling_id)).one_or_none()
    if row is None:
        raise ConfigError(f"there is no labelling {labelling_id}: promote a model again")
    if row.retired_at is not None:
        raise ConfigError(
            f"the labels of {row.model} were removed, since nobody had used them for long:"
            f" `annotator relabel --model {row.model.partition('+')[0]}` makes them anew"
        )
    return _labelling(row)


def hold_labelling(connection: Connection, labelling_id: int) -> Labelling:
    """Return a labelling by its id, which is not retired before the transaction ends.

    Args:
        connection: in a transaction that writes.
        labelling_id: which.

    Raises:
        ConfigError: there is none, or its labels were removed.

    """
    held = select(labellings.c.id).where(labellings.c.id == labelling_id)
    connection.execute(held.with_for_update(read=True, key_share=True))
    return load_labelling(connection, labelling_id)


def load_active(connection: Connection) -> Labelling | None:
    """Return the active labelling, None in an empty database."""
    found = connection.execute(select(active.c.labelling_id)).scalar_one_or_none()
    return None if found is None else load_labelling(connection, found)


def find_labelling(connection: Connection, name: str) -> Labelling:
    """Return the newest labelling of a name, which may leave out the mark of enrolled people, and the version.

    One of the active network goes before those of others: the same model may have labelled other samplings.

    Raises:
        ConfigError: there is none; the message lists those that there are.

    """
    model = labellings.c.model
    is_meant = or_(
        model == name,
        model.startswith(f"{name}+", autoescape=True),
        model.startswith(f"{name}@", autoescape=True),
    )
    in_use = select(active.c.network_id).scalar_subquery()
    wanted = (
        select(labellings)
        .where(is_meant, labellings.c.retired_at.is_(None))
        .order_by((labellings.c.network_id == in_use).desc(), (model == name).desc(), labellings.c.id.desc())
    )
    row = connection.execute(wanted.limit(1)).one_or_none()
    if row is not None:
        return _labelling(row)
    known = connection.execute(select(model).where(labellings.c.retired_at.is_(None)).distinct().order_by(model))
    raise ConfigError(
        f"{name} has labelled nothing here; labellings are of {', '.join(known.scalars()) or 'no model yet'}:"
        f" `annotator relabel --model {name}` makes its labels"
    )


def retired_models(connection: Connection) -> frozenset[str]:
    """Return the models (without the mark of enrolled people) that have no labels left: all were removed."""
    rows = connection.execute(select(labellings.c.model, labellings.c.retired_at)).all()
    kept = {row.model.partition("+")[0] for row in rows if row.retired_at is None}
    return frozenset({row.model.partition("+")[0] for row in rows} - kept)


def _labelling(row: Any) -> Labelling:  # noqa: ANN401  (SQLAlchemy's row)
    return Labelling(row.id, row.network_id, row.model)
