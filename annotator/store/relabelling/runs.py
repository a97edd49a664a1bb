"""Rows of ``relabellings``: a run is what one labelling needs until the whole archive has its labels.

A process that is killed leaves its run open; the next one goes on with it. What a batch adds to the sums is written in
the transaction of its labels, so the sums are right whenever they are read.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, insert, select, text, update

from annotator.store.columns import utc_now
from annotator.store.labels import network_of
from annotator.store.registry import active_labelling, active_network
from annotator.store.tables import annotations, labelled_contents, relabellings

_SUMS: Final = ("contents", "tracks", "labels", "tracks_added", "tracks_dropped", "tracks_flipped")


@dataclass(frozen=True, slots=True)
class Sums:
    """What some contents came to.

    Attributes:
        contents: contents that got their labels.
        tracks: tracks of these.
        labels: tracks that have a name.
        tracks_added: of these, tracks that had no name.
        tracks_dropped: tracks that had a name and have none now.
        tracks_flipped: tracks that had another name.

    """

    contents: int = 0
    tracks: int = 0
    labels: int = 0
    tracks_added: int = 0
    tracks_dropped: int = 0
    tracks_flipped: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A row of ``relabellings``.

    Attributes:
        run_id: its id.
        labelling_id: whose labels it makes.
        network_id: whose tracks are labelled.
        from_labelling_id: the labelling that changes are counted against; None where there is none over the network.
        after_content_id: up to here all contents have labels.
        last_content_id: the newest content when it began.
        finished_at: when it came to its end; None while it has not.
        sums: of all that it has done, also before it was interrupted.

    """

    run_id: int
    labelling_id: int
    network_id: int
    from_labelling_id: int | None
    after_content_id: int
    last_content_id: int
    finished_at: datetime | None
    sums: Sums


def is_complete(connection: Connection, network_id: int, labelling_id: int) -> bool:
    """Say whether each annotated content of the network has labels of the labelling."""
    annotated = select(func.count()).where(annotations.c.network_id == network_id)
    labelled = select(func.count()).where(labelled_contents.c.labelling_id == labelling_id)
    return bool(connection.execute(labelled).scalar_one() >= connection.execute(annotated).scalar_one())


def begin(connection: Connection, labelling_id: int) -> Run | None:
    """Return the labelling's open run, or a new one; None where nothing is open and nothing lacks labels.

    Args:
        connection: in a transaction that writes.
        labelling_id: whose.

    Raises:
        ValueError: there is no such labelling.

    """
    network_id = network_of(connection, labelling_id)
    is_open = (relabellings.c.labelling_id == labelling_id, relabellings.c.finished_at.is_(None))
    found = connection.execute(select(relabellings.c.id).where(*is_open)).scalar_one_or_none()
    if found is None and is_complete(connection, network_id, labelling_id):
        return None
    return load_run(connection, _make(connection, network_id, labelling_id) if found is None else found)


def _make(connection: Connection, network_id: int, labelling_id: int) -> int:
    shown = active_labelling(connection) if active_network(connection) == network_id else None
    newest = select(func.max(annotations.c.content_id)).where(annotations.c.network_id == network_id)
    made = insert(relabellings).values(
        labelling_id=labelling_id,
        from_labelling_id=None if shown == labelling_id else shown,
        started_at=utc_now(),
        first_content_id=0,
        after_content_id=0,
        last_content_id=connection.execute(newest).scalar_one() or 0,
    )
    return int(connection.execute(made.returning(relabellings.c.id)).scalar_one())


def load_run(connection: Connection, run_id: int) -> Run:
    """Return a run."""
    row = connection.execute(select(relabellings).where(relabellings.c.id == run_id)).one()
    return Run(
        row.id,
        row.labelling_id,
        network_of(connection, row.labelling_id),
        row.from_labelling_id,
        row.after_content_id,
        row.last_content_id,
        row.finished_at,
        Sums(*(getattr(row, name) for name in _SUMS)),
    )


def add_sums(connection: Connection, run_id: int, sums: Sums) -> None:
    """Add what a batch came to: last in its transaction, since all batches wait for this row."""
    added = ", ".join(f"{name} = {name} + :{name}" for name in _SUMS)
    values = {name: getattr(sums, name) for name in _SUMS}
    connection.execute(text(f"UPDATE relabellings SET {added} WHERE id = :id"), values | {"id": run_id})  # noqa: S608  (constants)


def move_on(connection: Connection, run_id: int, after_content_id: int) -> None:
    """Note up to which content all have labels."""
    is_further = (relabellings.c.id == run_id, relabellings.c.after_content_id < after_content_id)
    connection.execute(update(relabellings).where(*is_further).values(after_content_id=after_content_id))


def finish(connection: Connection, run_id: int) -> None:
    """Note that a run has come to its end."""
    is_open = (relabellings.c.id == run_id, relabellings.c.finished_at.is_(None))
    connection.execute(update(relabellings).where(*is_open).values(finished_at=utc_now()))
