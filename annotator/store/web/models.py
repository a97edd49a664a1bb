"""Models as the pages of Operation show them: which have labelled the archive, and how much of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select, text

from annotator.store.dialect import is_postgres
from annotator.store.ids import LARGEST_ID
from annotator.store.labellings import Labelling
from annotator.store.models import InstalledModel, list_models
from annotator.store.tables import active, annotations, labelled_contents, labellings, relabellings

MOST_COUNTED: Final = 100_000
"""Rows that are counted one by one; of more, an estimate is told."""

# SQLite has no estimate of its own: rows are counted in so many stretches of contents, spread over all of them.
_STRETCHES: Final = 50
_STRETCH: Final = 1_000


@dataclass(frozen=True, slots=True)
class ModelOfArchive:
    """A labelling that is not retired.

    Attributes:
        labelling: the labelling.
        created_at: when it was registered.
        is_shown: its names are shown everywhere.
        labelled: contents that have its labels.
        annotated: contents of its network.
        is_estimated: one of both is an estimate.
        is_being_labelled: a run that makes its labels has begun and not ended.
        manifest: of its model; None where that is not noted as installed, as of the starter model.

    """

    labelling: Labelling
    created_at: datetime
    is_shown: bool
    labelled: int
    annotated: int
    is_estimated: bool
    is_being_labelled: bool
    manifest: Mapping[str, Any] | None

    @property
    def share(self) -> float | None:
        """How much of what its network has annotated it has labelled; None where nothing is annotated."""
        return min(self.labelled / self.annotated, 1.0) if self.annotated else None


def models_of_archive(connection: Connection, *, labelling_id: int | None = None) -> list[ModelOfArchive]:
    """Return all labellings that are not retired, or one of them: the one that is shown first, then the newest."""
    if labelling_id is not None and labelling_id > LARGEST_ID:
        return []
    shown = connection.execute(select(active.c.labelling_id)).scalar_one_or_none()
    installed = {one.model: one for one in list_models(connection)}
    under_way = set(
        connection.execute(select(relabellings.c.labelling_id).where(relabellings.c.finished_at.is_(None))).scalars()
    )
    wanted = select(labellings).where(labellings.c.retired_at.is_(None)).order_by(labellings.c.id.desc())
    if labelling_id is not None:
        wanted = wanted.where(labellings.c.id == labelling_id)
    rows = connection.execute(wanted).all()
    annotated = {one: count_of(connection, annotations, one) for one in {row.network_id for row in rows}}
    found = []
    for row in rows:
        labelled, is_estimated = count_of(connection, labelled_contents, row.id)
        model: InstalledModel | None = installed.get(row.model.partition("+")[0])
        of_network, is_estimated_too = annotated[row.network_id]
        found.append(
            ModelOfArchive(
                labelling=Labelling(row.id, row.network_id, row.model),
                created_at=row.created_at,
                is_shown=row.id == shown,
                labelled=labelled,
                annotated=of_network,
                is_estimated=is_estimated or is_estimated_too,
                is_being_labelled=row.id in under_way,
                manifest=None if model is None else model.manifest,
            )
        )
    return sorted(found, key=lambda one: not one.is_shown)


def newest_labellings(connection: Connection) -> dict[str, int]:
    """Return the newest labelling of each model that has labels, by the model's name without the mark of its people."""
    wanted = select(labellings.c.model, labellings.c.id).where(labellings.c.retired_at.is_(None))
    found = connection.execute(wanted.order_by(labellings.c.id)).all()
    return {row.model.partition("+")[0]: row.id for row in found}


def models_without_labels(connection: Connection) -> list[InstalledModel]:
    """Return installed models that have labelled nothing here, by name and version."""
    known = newest_labellings(connection)
    return [one for one in list_models(connection) if one.model not in known]


def count_of(connection: Connection, table: Table, owner_id: int) -> tuple[int, bool]:
    """Return how many rows of a table are a network's or a labelling's, and whether that is an estimate.

    On Postgres the rows of each are in partitions of their own, whose sizes the planner knows. On SQLite stretches of
    contents are counted: where none are missing, the estimate is exact.
    """
    (owner,) = (column for column in (table.c.get("labelling_id"), table.c.get("network_id")) if column is not None)
    some = select(table.c.content_id).where(owner == owner_id).limit(MOST_COUNTED).subquery()
    counted = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    if counted < MOST_COUNTED:
        return counted, False
    if not is_postgres(connection):
        return max(counted, _by_stretches(connection, table, owner.name, owner_id)), True
    partition = f"{table.name}__{'l' if owner.name == 'labelling_id' else 'n'}{owner_id}"
    estimate = connection.execute(text(_ROWS), {"partition": partition}).scalar_one()
    return max(counted, round(estimate)), True


def _by_stretches(connection: Connection, table: Table, owner: str, owner_id: int) -> int:
    of_owner = table.c[owner] == owner_id
    # Each by itself, so that SQLite finds it at one end of the index.
    first = connection.execute(select(func.min(table.c.content_id)).where(of_owner)).scalar_one()
    last = connection.execute(select(func.max(table.c.content_id)).where(of_owner)).scalar_one()
    width = min(_STRETCH, max(1, (last - first + 1) // _STRETCHES))
    step = (last + 1 - width - first) / (_STRETCHES - 1)
    starts = [first + round(number * step) for number in range(_STRETCHES)]
    bound = {"starts": json.dumps(starts), "width": width, "owner": owner_id}
    counted = connection.execute(text(_STRETCHED.format(table=table.name, owner=owner)), bound).scalar_one()
    share: float = counted / (_STRETCHES * width)
    return round(share * int(last - first + 1))


_STRETCHED: Final = """
SELECT count(*) FROM json_each(:starts) s
JOIN {table} t ON t.{owner} = :owner AND t.content_id >= s.value AND t.content_id < s.value + :width
"""
_ROWS: Final = """
SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)
FROM pg_partition_tree(to_regclass(:partition)) p JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf
"""
