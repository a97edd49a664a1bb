"""Retrainings as rows: what was begun, in which step it stands, how it ended. The row is the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, RowMapping, select, update

from annotator.store.columns import utc_now
from annotator.store.messages import clean_message
from annotator.store.tables import retrainings

Cause = Literal["schedule", "command"]
Outcome = Literal["promoted", "held", "failed", "nothing new"]
RETRAINING_LOCK: Final = "retraining"
"""Held by the process that is at it: one at a time."""

ENDS_WITH_RESULT: Final = ("promoted", "held")
"""Outcomes that are an answer to the photographs as they were: without news, the next run would answer the same."""

_NEWEST_FIRST: Final = retrainings.c.id.desc()
_COLUMNS: Final = tuple(column for column in retrainings.c if column.name != "is_open")


@dataclass(frozen=True, slots=True)
class Retraining:
    """One run.

    Attributes:
        id: counts up.
        experiment: whose photographs.
        cause: what has begun it.
        started_at: when.
        finished_at: None while it is under way, or was cut off and is to go on.
        step: the one in hand, or the last one; None before the first.
        tries: how often that step was begun.
        done: the steps that have ended, in order: ``{"step": …, "seconds": …}``.
        news: digests of what it is made from, by kind.
        model: what it makes, NAME@VERSION.
        outcome: how it ended.
        reason: why it was held or has failed, in one line.

    """

    id: int
    experiment: str
    cause: Cause
    started_at: datetime
    finished_at: datetime | None
    step: str | None
    tries: int
    done: list[dict[str, Any]]
    news: Mapping[str, str]
    model: str
    outcome: Outcome | None
    reason: str | None


def begin_retraining(
    connection: Connection, *, experiment: str, cause: Cause, news: Mapping[str, str], model: str
) -> Retraining:
    """Write the row of a new run.

    Raises:
        sqlalchemy.exc.IntegrityError: another one is under way.

    """
    row = {"experiment": experiment, "cause": cause, "news": dict(news), "model": model, "done": [], "tries": 0}
    inserted = retrainings.insert().values(started_at=utc_now(), is_open=1, **row).returning(*_COLUMNS)
    return _retraining(connection.execute(inserted).mappings().one())


def open_retraining(connection: Connection) -> Retraining | None:
    """Return the run that has not ended; there is one at most."""
    wanted = select(*_COLUMNS).where(retrainings.c.is_open == 1)
    row = connection.execute(wanted).mappings().one_or_none()
    return None if row is None else _retraining(row)


def begin_step(connection: Connection, run: Retraining, step: str) -> Retraining:
    """Say that a step begins, or begins again."""
    tries = run.tries + 1 if run.step == step else 1
    return _change(connection, run, step=step, tries=tries)


def give_back_try(connection: Connection, run: Retraining) -> Retraining:
    """Say that the step in hand could not even begin: that counts as no try."""
    return _change(connection, run, tries=run.tries - 1)


def end_step(connection: Connection, run: Retraining, *, seconds: float) -> Retraining:
    """Say that the step in hand is done."""
    return _change(connection, run, done=[*run.done, {"step": run.step, "seconds": round(seconds, 1)}])


def end_retraining(
    connection: Connection, run: Retraining, outcome: Outcome, *, reason: str | None = None
) -> Retraining:
    """Say how a run has ended."""
    told = None if reason is None else clean_message(reason)
    return _change(connection, run, finished_at=utc_now(), is_open=None, outcome=outcome, reason=told)


def last_retraining(connection: Connection, experiment: str, *, with_result: bool = False) -> Retraining | None:
    """Return the newest run of an experiment; ``with_result`` looks only at those that were promoted or held."""
    wanted = select(*_COLUMNS).where(retrainings.c.experiment == experiment)
    if with_result:
        wanted = wanted.where(retrainings.c.outcome.in_(ENDS_WITH_RESULT))
    row = connection.execute(wanted.order_by(_NEWEST_FIRST).limit(1)).mappings().one_or_none()
    return None if row is None else _retraining(row)


def list_retrainings(connection: Connection, *, limit: int, before_id: int | None = None) -> list[Retraining]:
    """Return the newest runs, the newest first; with ``before_id`` those before one: where the page before ended."""
    wanted = select(*_COLUMNS).order_by(_NEWEST_FIRST).limit(limit)
    if before_id is not None:
        wanted = wanted.where(retrainings.c.id < before_id)
    return [_retraining(row) for row in connection.execute(wanted).mappings()]


def what_was_new(connection: Connection, run: Retraining) -> tuple[str, ...]:
    """Return which kinds of data had changed since the last run before it that was promoted or held."""
    former = (
        select(*_COLUMNS)
        .where(retrainings.c.id < run.id, retrainings.c.experiment == run.experiment)
        .where(retrainings.c.outcome.in_(ENDS_WITH_RESULT))
        .order_by(_NEWEST_FIRST)
        .limit(1)
    )
    row = connection.execute(former).mappings().one_or_none()
    return fresh_kinds(run.news, None if row is None else _retraining(row))


def fresh_kinds(news: Mapping[str, str], former: Retraining | None) -> tuple[str, ...]:
    """Return the kinds of data of which a former run has seen something else, or nothing, in order."""
    return tuple(sorted(kind for kind in news if former is None or former.news.get(kind) != news[kind]))


def _change(connection: Connection, run: Retraining, **values: object) -> Retraining:
    changed = update(retrainings).where(retrainings.c.id == run.id).values(values).returning(*_COLUMNS)
    return _retraining(connection.execute(changed).mappings().one())


def _retraining(row: RowMapping) -> Retraining:
    return Retraining(**row)
