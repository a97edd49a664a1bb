"""Contents that lack labels of what is shown, found a little at a time and labelled from their stored embeddings.

Workers that still run a former model label what they annotate with that one; a transaction that was under way while a
run passed by is seen by nobody either. Whoever calls again and again finds all of them, and no call takes long: the
newest contents are looked at each time, all others in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from annotator.store.connection import reading, writing
from annotator.store.registry import dialect_insert
from annotator.store.relabelling.batches import Names, label_contents
from annotator.store.relabelling.reading import cut_batches, read_window
from annotator.store.tables import active, annotations, labellings, store_settings

LOOKED_AT: Final = 20_000
"""Contents looked at in one turn, once among the newest and once among all others."""

LABELLED: Final = 2_000
"""Contents labelled in one turn."""

_PLACE: Final = "catch_up_after"  # the row of `store_settings` that says how far the round is


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a turn has found.

    Attributes:
        labelling_id: what is shown.
        network_id: whose tracks it labels.
        model: as users see it.
        digest: of all that decides its labels.
        contents: lists of contents without labels, each near one another, with their number of faces; may be empty.

    """

    labelling_id: int
    network_id: int
    model: str
    digest: str
    contents: tuple[Sequence[tuple[int, int]], ...]


def look(engine: Engine) -> Lacking | None:
    """Look whether some contents lack labels of what is shown, and note how far the round is; None if none was found.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    with reading(engine) as connection:
        shown = connection.execute(
            select(labellings).join(active, active.c.labelling_id == labellings.c.id)
        ).one_or_none()
        if shown is None:
            return None
        newest = select(func.max(annotations.c.content_id)).where(annotations.c.network_id == shown.network_id)
        tail = max(0, (connection.execute(newest).scalar_one() or 0) - LOOKED_AT)
        place = _place(connection, shown.id)
        windows = [
            read_window(connection, network_id=shown.network_id, labelling_id=shown.id, after=after, size=LOOKED_AT)
            for after in (tail, place)
        ]
    found = tuple(window.lacking for window in windows if window is not None and window.lacking)
    if not found:
        reached = windows[1].last if windows[1] is not None and windows[1].last < tail else 0
        if reached != place:
            with writing(engine) as connection:
                _move(connection, shown.id, reached)
        return None
    return Lacking(shown.id, shown.network_id, shown.model, shown.digest, found)


def label_some(engine: Engine, names: Names, lacking: Lacking) -> int:
    """Label some of what was found; return how many contents got their labels.

    Raises:
        StoreUnavailableError: the database does not answer.

    """
    batch = next(cut_batches(lacking.contents[0], contents=LABELLED))
    with writing(engine) as connection:
        sums = label_contents(
            connection, names, batch, network_id=lacking.network_id, labelling_id=lacking.labelling_id
        )
    return sums.contents


def _place(connection: Connection, labelling_id: int) -> int:
    noted = select(store_settings.c.value).where(store_settings.c.name == _PLACE)
    value = connection.execute(noted).scalar_one_or_none()
    of, _, after = (value or "").partition(":")
    return int(after) if of == str(labelling_id) else 0


def _move(connection: Connection, labelling_id: int, after: int) -> None:
    noted = dialect_insert(connection, store_settings).values(name=_PLACE, value=f"{labelling_id}:{after}")
    connection.execute(
        noted.on_conflict_do_update(index_elements=[store_settings.c.name], set_={"value": noted.excluded.value})
    )
