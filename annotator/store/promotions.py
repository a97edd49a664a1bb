"""Which labelling is shown, since when, by whom and why: every switch has a row of ``promotions``, in its transaction.

The row of ``active`` is the truth. Who switches says which labelling was shown when he decided; if that is no longer
so, nothing happens. A refusal of the gate has a row, too, and switches nothing.
"""

import getpass
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, null, select, update

from annotator.errors import ChangedMeanwhileError, ConfigError
from annotator.store.columns import utc_now
from annotator.store.labellings import Labelling, hold_labelling, load_labelling
from annotator.store.tables import active, labellings, promotions

Kind = Literal["promotion", "rollback", "update"]
"""How a labelling came to be shown: through the gate, by taking that back, or since people were added or corrected."""

REFUSAL: Final = "refusal"


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a labelling is switched, or not.

    Attributes:
        report: of the gate, as JSON.
        forced: why it is promoted though the gate refused.
        added: tracks that get a name.
        dropped: tracks that lose theirs.
        flipped: tracks that get another one.
        done_by: who has decided; None is the user of this machine.

    """

    report: Mapping[str, Any] | None = None
    forced: str | None = None
    added: int | None = None
    dropped: int | None = None
    flipped: int | None = None
    done_by: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the history: what was shown instead of what, or what the gate has refused.

    Attributes:
        kind: ``"promotion"``, ``"rollback"``, ``"update"`` or ``"refusal"``.
        labelling_id: of the model.
        model: as users see it.
        former: what was shown before; None where that was nothing.
        happened_at: when.
        done_by: who has decided.
        reasons: what was noted.

    """

    kind: str
    labelling_id: int
    model: str
    former: str | None
    happened_at: datetime
    done_by: str
    reasons: Reasons


def switch(
    connection: Connection, labelling_id: int, *, kind: Kind, expected: int | None, reasons: Reasons | None = None
) -> bool:
    """Point views and searches at a labelling, and note it; both happen, or neither.

    Args:
        connection: in a transaction that writes.
        labelling_id: which labelling.
        kind: why.
        expected: the labelling that was shown when this was decided.
        reasons: what is noted.

    Returns:
        False where it is shown already.

    Raises:
        ConfigError: there is no such labelling, or its labels were removed.
        ChangedMeanwhileError: another labelling than the expected one is shown by now.

    """
    wanted = hold_labelling(connection, labelling_id)
    shown = connection.execute(select(active.c.labelling_id).with_for_update()).scalar_one_or_none()
    if shown == labelling_id:
        return False
    if shown != expected:
        raise ChangedMeanwhileError("another model was promoted meanwhile: look at what is shown now, and decide again")
    connection.execute(
        update(active).values(labelling_id=labelling_id, network_id=wanted.network_id, switched_at=utc_now())
    )
    _note(connection, kind, labelling_id, shown=shown, reasons=reasons)
    return True


def note_first(connection: Connection, labelling_id: int, *, reasons: Reasons) -> None:
    """Note the labelling that an empty archive shows first; registering it, in this transaction, has let it be shown.

    Raises:
        ChangedMeanwhileError: another one is shown by now.

    """
    shown = connection.execute(select(active.c.labelling_id).with_for_update()).scalar_one_or_none()
    if shown != labelling_id:
        raise ChangedMeanwhileError("another model was shown meanwhile: look at what is shown now, and decide again")
    _note(connection, "promotion", labelling_id, shown=None, reasons=reasons)


def switch_whatever_is_shown(connection: Connection, labelling_id: int) -> None:
    """Point views and searches at a labelling that follows from the one that is shown: people were added or corrected.

    Raises:
        ConfigError: there is no such labelling.

    """
    shown = connection.execute(select(active.c.labelling_id).with_for_update()).scalar_one_or_none()
    switch(connection, labelling_id, kind="update", expected=shown)


def note_refusal(connection: Connection, labelling_id: int, *, shown: int | None, reasons: Reasons) -> None:
    """Note that the gate has refused a labelling."""
    _note(connection, REFUSAL, labelling_id, shown=shown, reasons=reasons)


def former_labelling(connection: Connection) -> Labelling:
    """Return the labelling that was shown before the one that is: what a rollback goes back to.

    Raises:
        ConfigError: nothing was promoted yet, or the labels of the former one were removed.

    """
    former = former_id(connection)
    if former is None:
        raise ConfigError("there is nothing to go back to: what is shown has been shown from the start")
    return load_labelling(connection, former)


def former_id(connection: Connection) -> int | None:
    """Return the id of the same; None where there is nothing to go back to."""
    history = promotions.c
    came = (
        select(history.from_labelling_id)
        .join_from(promotions, active, active.c.labelling_id == history.labelling_id)
        .where(history.kind.in_(("promotion", "update")), history.from_labelling_id.is_not(None))
        .order_by(history.id.desc())
        .limit(1)
    )
    return connection.execute(came).scalar_one_or_none()


def is_promoted(connection: Connection, model: str) -> bool:
    """Say whether what is shown came through the gate as this model: then other versions must, too.

    Args:
        connection: any.
        model: name and version, without the mark of enrolled people.

    """
    came = (
        select(promotions.c.id)
        .join_from(promotions, labellings, labellings.c.id == promotions.c.labelling_id)
        .where(promotions.c.kind != REFUSAL, promotions.c.kind != "update")
        .where((labellings.c.model == model) | labellings.c.model.startswith(f"{model}+", autoescape=True))
        .limit(1)
    )
    return connection.execute(came).first() is not None


def list_steps(connection: Connection, *, limit: int, labelling_id: int | None = None) -> list[Step]:
    """Return the history, the newest step first.

    Args:
        connection: any.
        limit: at most so many.
        labelling_id: only those of one labelling, with the reports of the gate, which are left out elsewhere.

    """
    of, former, happened = labellings.alias("of"), labellings.alias("former"), promotions.c
    wanted = (
        select(
            *(column for column in happened if column is not happened.report),
            (null() if labelling_id is None else happened.report).label("report"),
            of.c.model.label("model"),
            former.c.model.label("former"),
        )
        .join_from(promotions, of, of.c.id == happened.labelling_id)
        .join(former, former.c.id == happened.from_labelling_id, isouter=True)
        .order_by(happened.id.desc())
        .limit(limit)
    )
    if labelling_id is not None:
        wanted = wanted.where(happened.labelling_id == labelling_id)
    return [
        Step(
            kind=row.kind,
            labelling_id=row.labelling_id,
            model=row.model,
            former=row.former,
            happened_at=row.happened_at,
            done_by=row.done_by,
            reasons=Reasons(
                row.report, row.forced_reason, row.tracks_added, row.tracks_dropped, row.tracks_flipped, row.done_by
            ),
        )
        for row in connection.execute(wanted)
    ]


def _note(connection: Connection, kind: str, labelling_id: int, *, shown: int | None, reasons: Reasons | None) -> None:
    told = reasons or Reasons()
    connection.execute(
        insert(promotions).values(
            kind=kind,
            labelling_id=labelling_id,
            from_labelling_id=shown,
            happened_at=utc_now(),
            done_by=told.done_by or who_is_this(),
            forced_reason=told.forced,
            tracks_added=told.added,
            tracks_dropped=told.dropped,
            tracks_flipped=told.flipped,
            report=None if told.report is None else dict(told.report),
        )
    )


def who_is_this() -> str:
    """Return user and machine, as they are noted beside what somebody has decided."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
