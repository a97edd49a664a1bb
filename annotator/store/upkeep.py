"""What is done again and again, and when it last went well: slow jobs of beat, following a bucket, the roll-up.

A worker that runs a job and a producer that follows a bucket are other processes than beat. Here they note what went
well, and beat's metrics and ``annotator status`` see what does not. All times are by the database's clock.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from annotator.store.backlog.listing import FOLLOW
from annotator.store.columns import age_s, utc_now
from annotator.store.registry import dialect_insert
from annotator.store.tables import active, roll_ups, runs, sources, store_settings

FOLLOWER_SILENT_S: Final = 900.0
"""A follower that has not got on for so long is taken for dead; it notes that it does every few seconds."""

# Names of rows of `store_settings`.
_JOB: Final = "went well: job "
_FOLLOWER: Final = "went well: follower of backlog "


@dataclass(frozen=True, slots=True)
class JobUpkeep:
    """A slow job of beat, whoever runs it.

    Attributes:
        name: of the job.
        age_s: how long ago it last went well.
        overdue_s: from when on that is too long ago.

    """

    name: str
    age_s: float
    overdue_s: float

    @property
    def is_overdue(self) -> bool:
        """Whether it should have gone well again long since."""
        return self.age_s > self.overdue_s


@dataclass(frozen=True, slots=True)
class FollowedUpkeep:
    """A backlog that follows its bucket, until it is stopped.

    Attributes:
        run_id: the backlog.
        uri: what is followed.
        age_s: how long ago whoever follows has last got on: listed, taken notifications, or seen that nothing is due.
        gone_refused: known media that its last listing lacked, more than may be gone: none was marked; else None.

    """

    run_id: int
    uri: str
    age_s: float
    gone_refused: int | None

    @property
    def is_silent(self) -> bool:
        """Whether nobody seems to follow any more."""
        return self.age_s > FOLLOWER_SILENT_S


@dataclass(frozen=True, slots=True)
class RollUpUpkeep:
    """The counts of the labelling that is shown.

    Attributes:
        age_s: how old the state is that they show.
        took_s: how long the last roll-up took; it is begun anew after twenty times as long.

    """

    age_s: float
    took_s: float


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What :func:`read_upkeep` has found.

    Attributes:
        jobs: slow jobs that have ever gone well, by name.
        followed: backlogs that follow their bucket, by number.

    """

    jobs: tuple[JobUpkeep, ...]
    followed: tuple[FollowedUpkeep, ...]


def note_job(connection: Connection, name: str, *, overdue_s: float) -> None:
    """Note that a slow job of beat has just gone well, or that there was nothing to do for it.

    Args:
        connection: in a writing transaction.
        name: of the job.
        overdue_s: from when on the next time is overdue.

    """
    _note(connection, f"{_JOB}{name}", overdue_s=overdue_s)


def note_follower(connection: Connection, run_id: int) -> None:
    """Note that whoever follows a bucket for a backlog has just got on.

    Args:
        connection: in a writing transaction.
        run_id: the backlog.

    """
    _note(connection, f"{_FOLLOWER}{run_id}")


def read_upkeep(connection: Connection) -> Upkeep:
    """Read what was noted: a handful of small rows."""
    now = connection.execute(select(utc_now())).scalar_one()
    noted = dict(_noted(connection, now))
    return Upkeep(jobs=tuple(_jobs(noted)), followed=_followed(connection, noted, now))


def read_roll_up(connection: Connection) -> RollUpUpkeep | None:
    """Say how old the counts are that the views show; None in a database that shows no labelling."""
    now = connection.execute(select(utc_now())).scalar_one()
    found = connection.execute(
        select(func.coalesce(roll_ups.c.as_of, active.c.switched_at).label("as_of"), roll_ups.c.took_ms).join_from(
            active, roll_ups, roll_ups.c.labelling_id == active.c.labelling_id, isouter=True
        )
    ).one_or_none()
    return None if found is None else RollUpUpkeep(age_s(now, found.as_of), (found.took_ms or 0) / 1000)


def _note(connection: Connection, name: str, **facts: float) -> None:
    now = connection.execute(select(utc_now())).scalar_one()
    row = dialect_insert(connection, store_settings).values(
        name=name, value=json.dumps({"at": now.isoformat(), **facts})
    )
    connection.execute(
        row.on_conflict_do_update(index_elements=[store_settings.c.name], set_={"value": row.excluded.value})
    )


def _noted(connection: Connection, now: datetime) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the names of rows, and their facts with the age in seconds."""
    ours = store_settings.c.name.startswith(_JOB) | store_settings.c.name.startswith(_FOLLOWER)
    for row in connection.execute(select(store_settings).where(ours).order_by(store_settings.c.name)):
        facts: dict[str, Any] = json.loads(row.value)
        yield row.name, facts | {"age_s": age_s(now, datetime.fromisoformat(facts.pop("at")))}


def _jobs(noted: dict[str, dict[str, float]]) -> Iterator[JobUpkeep]:
    for name, facts in noted.items():
        if name.startswith(_JOB):
            yield JobUpkeep(name.removeprefix(_JOB), facts["age_s"], facts["overdue_s"])


def _followed(connection: Connection, noted: dict[str, dict[str, float]], now: datetime) -> tuple[FollowedUpkeep, ...]:
    unfinished = (
        select(runs, (sources.c.uri + runs.c.prefix).label("uri"))
        .join_from(runs, sources, sources.c.id == runs.c.source_id)
        .where(runs.c.finished_at.is_(None), runs.c.stopped_at.is_(None))
        .order_by(runs.c.id)
    )
    rows: Sequence[Row[*tuple[Any, ...]]] = connection.execute(unfinished).all()
    return tuple(
        FollowedUpkeep(row.id, row.uri, _follower_age_s(row, noted, now), row.gone_refused)
        for row in rows
        if row.options.get(FOLLOW)
    )


def _follower_age_s(row: Row[*tuple[Any, ...]], noted: dict[str, dict[str, float]], now: datetime) -> float:
    facts = noted.get(f"{_FOLLOWER}{row.id}")
    # One that has never got on, or is of an earlier version, notes nothing.
    return age_s(now, row.listed_at or row.started_at) if facts is None else facts["age_s"]
