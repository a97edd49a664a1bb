"""How far the groups of a network are, as a row: whoever reads it needs nothing that groups.

Every transaction that changes groups counts itself in ``groupings.changes``, and only if it has seen the last one: two
processes that hold the same groups in memory cannot both write, on SQLite neither.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from annotator.errors import GroupingTakenError
from annotator.store.columns import utc_now
from annotator.store.tables import groupings


@dataclass(frozen=True, slots=True)
class State:
    """A row of ``groupings``.

    Attributes:
        network_id: whose tracks are grouped.
        rule: digest of all that decides about groups but the tracks (``annotator.grouping.points.rule_of``).
        founded: groups that were ever founded under the rule.
        next_no: number of the next group.
        changes: how many transactions have changed the groups.

    """

    network_id: int
    rule: str
    founded: int = 0
    next_no: int = 1
    changes: int = 0


def load_state(connection: Connection, network_id: int) -> State | None:
    """Return how far the groups of a network are; None where there were never any."""
    row = connection.execute(select(groupings).where(groupings.c.network_id == network_id)).one_or_none()
    return None if row is None else State(row.network_id, row.rule, row.founded, row.next_no, row.changes)


def begin_state(connection: Connection, network_id: int, rule: str) -> State:
    """Make the row of a network whose tracks were never grouped."""
    state = State(network_id, rule)
    connection.execute(
        insert(groupings).values(network_id=network_id, rule=rule, founded=0, next_no=state.next_no, changes=0)
    )
    return state


def move_on(connection: Connection, state: State, **changed: Any) -> State:  # noqa: ANN401  (fields of the state)
    """Count a change, and write what else has changed.

    Raises:
        GroupingTakenError: somebody else has changed the groups since this state was read.

    """
    after = replace(state, changes=state.changes + 1, **changed)
    values = {name: getattr(after, name) for name in ("rule", "founded", "next_no", "changes")}
    same = (groupings.c.network_id == state.network_id, groupings.c.changes == state.changes)
    if connection.execute(update(groupings).where(*same).values(**values)).rowcount != 1:
        raise GroupingTakenError(
            "another process has changed the groups of strangers meanwhile: wait for it, and call this again"
        )
    return after


def finish(connection: Connection, network_id: int) -> None:
    """Note that a run has come to its end."""
    connection.execute(update(groupings).where(groupings.c.network_id == network_id).values(grouped_at=utc_now()))
