"""What visitors have asked to be annotated: who takes it in hand, how far it is, and what has become of it.

A row is the truth. Whoever takes a job writes down its session and says again and again that it lives; a job whose
session is silent is taken by the next one. What a session says of a job counts only while the row names it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, text, update

from annotator.store.dialect import given_ids, ids_param, is_postgres
from annotator.store.ids import LARGEST_BIG_ID
from annotator.store.messages import clean_message
from annotator.store.tables import web_jobs

State = Literal["waiting", "running", "done", "failed"]
Stage = Literal["starting", "fetching", "decoding", "looking", "saving"]

# A session that has said nothing for so long is lost; it says something every second.
SILENT_AFTER: Final = timedelta(seconds=30)
# A job that was in hand when so many sessions were lost is what they are lost by.
MOST_TRIES: Final = 2
# What became a media is kept: it says what the media was called by whoever gave it.
_KEPT_WITHOUT_MEDIA: Final = timedelta(days=30)
_STOPPED: Final = "stopped"
_STOPPED_WORDS: Final = "It was stopped before it began."
_LOST: Final = "crashed"
_LOST_WORDS: Final = "The program that annotates ended twice while it had this in hand; its log may say why."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something that is to be annotated.

    Attributes:
        uri: where it is.
        name: what the visitor calls it: the name of the file, or the address.
        failure: why it cannot be annotated, as a short reason and a sentence, where that is known already.

    """

    uri: str
    name: str
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Something that a visitor has asked to be annotated.

    Attributes:
        job_id: ascends with time.
        owner: who has asked, as the record has it.
        uri: where it is.
        name: what the visitor calls it.
        state: ``waiting``, ``running``, ``done`` or ``failed``.
        stage: of one that runs: what is done to it now; None before and after.
        frames: in which faces were looked for so far.
        ahead: how many are done before it; 0 for one that waits no more.
        created_at: when it was asked for.
        finished_at: when it was done, or failed.
        media_id: what it became; None until it is done, and where it failed before it was read.
        reason: short and stable, where it failed.
        message: a sentence, where it failed, or must wait for something that nobody here has given.
        tries: how many sessions have taken it and not given it back as if they had not.
        people: who is in it, surest first, with confidence, where it is done.

    """

    job_id: int
    owner: str
    uri: str
    name: str
    state: State
    stage: Stage | None
    frames: int
    ahead: int
    created_at: datetime
    finished_at: datetime | None
    media_id: int | None
    reason: str | None
    message: str | None
    tries: int = 0
    people: tuple[tuple[str, float], ...] = ()

    @property
    def is_over(self) -> bool:
        """It is done or has failed."""
        return self.state in {"done", "failed"}


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs may be there that are not over.

    Attributes:
        of_one: of one visitor.
        of_all: of all of them.

    """

    of_one: int
    of_all: int


class NoRoomError(Exception):
    """There are as many jobs as may be. The message is a sentence with the remedy."""


def room_left(connection: Connection, owner: str, room: Room) -> int:
    """Return how many jobs a visitor may add now; 0 or less is none."""
    is_open = web_jobs.c.state.in_(("waiting", "running"))
    counted = select(func.count(), func.count().filter(web_jobs.c.owner == owner)).where(is_open)
    of_all, of_one = connection.execute(counted).one()
    return min(room.of_one - int(of_one), room.of_all - int(of_all))


def add_jobs(
    connection: Connection, owner: str, wanted: Sequence[Wanted], *, room: Room, now: datetime
) -> tuple[int, ...]:
    """Add jobs, all of them or none, and forget those that failed long ago and became no media.

    Args:
        connection: in a transaction that writes.
        owner: who asks.
        wanted: what for.
        room: how many may be there.
        now: the time.

    Returns:
        Their numbers, in order.

    Raises:
        NoRoomError: they would be too many.

    """
    if is_postgres(connection):  # two that add at once would not see each other's; on SQLite whoever writes is alone
        connection.execute(text("LOCK TABLE web_jobs IN SHARE ROW EXCLUSIVE MODE"))
    left = room_left(connection, owner, room)
    new = sum(one.failure is None for one in wanted)
    if new > left:
        raise NoRoomError(
            f"{new} are asked for and there is room for {max(left, 0)}: one visitor may have {room.of_one}"
            f" that wait, all of them {room.of_all}. Come again when some are done."
        )
    is_forgotten = and_(web_jobs.c.finished_at < now - _KEPT_WITHOUT_MEDIA, web_jobs.c.media_id.is_(None))
    connection.execute(delete(web_jobs).where(is_forgotten))
    return tuple(_add(connection, owner, one, now) for one in wanted)


def _add(connection: Connection, owner: str, wanted: Wanted, now: datetime) -> int:
    values: dict[str, Any] = {"state": "waiting"}
    if wanted.failure is not None:
        reason, message = wanted.failure
        values = _over("failed", now) | {"reason": reason, "message": clean_message(message)}
    values |= {"owner": owner, "uri": wanted.uri, "name": clean_message(wanted.name), "created_at": now}
    return int(connection.execute(insert(web_jobs).values(values).returning(web_jobs.c.id)).scalar_one())


def find_job(connection: Connection, job_id: int) -> Job | None:
    """Return a job; None where there is none, or it failed long ago."""
    if job_id > LARGEST_BIG_ID:
        return None
    row = connection.execute(select(web_jobs).where(web_jobs.c.id == job_id)).one_or_none()
    return None if row is None else _jobs(connection, [row])[0]


def states_of(connection: Connection, job_ids: Collection[int]) -> dict[int, State]:
    """Return the states of jobs; those that are there no more are left out."""
    states = text(f"SELECT id, state FROM web_jobs WHERE id {given_ids(connection)}")  # noqa: S608
    rows = connection.execute(states, {"ids": ids_param(connection, sorted(job_ids))})
    return {row.id: row.state for row in rows}


def list_jobs(connection: Connection, owner: str, *, limit: int) -> list[Job]:
    """Return the jobs of a visitor, newest first."""
    rows = connection.execute(
        select(web_jobs).where(web_jobs.c.owner == owner).order_by(web_jobs.c.id.desc()).limit(limit)
    )
    return _jobs(connection, rows.all())


def has_work(connection: Connection, *, now: datetime) -> bool:
    """Say whether there is a job that nobody has in hand."""
    return connection.execute(select(web_jobs.c.id).where(_is_free(now)).limit(1)).first() is not None


def take_job(connection: Connection, session: str, *, now: datetime) -> Job | None:
    """Take the next job in hand; None where there is none.

    One whose sessions were lost again and again fails instead.

    Args:
        connection: in a transaction that writes.
        session: who takes it.
        now: the time.

    """
    while True:
        wanted = select(web_jobs).where(_is_free(now)).order_by(web_jobs.c.id).limit(1)
        row = connection.execute(wanted.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return None
        mine = update(web_jobs).where(web_jobs.c.id == row.id)
        if row.tries < MOST_TRIES:
            taken = {"state": "running", "stage": "starting", "session": session, "seen_at": now, "frames": 0}
            connection.execute(mine.values(**taken, tries=row.tries + 1, message=None))
            return find_job(connection, row.id)
        connection.execute(mine.values(**_over("failed", now), reason=_LOST, message=_LOST_WORDS))


def job_in_hand(connection: Connection, session: str) -> int | None:
    """Return the number of the job that a session has in hand; None where it has none."""
    held = and_(web_jobs.c.finished_at.is_(None), web_jobs.c.session == session)
    return connection.execute(select(web_jobs.c.id).where(held).limit(1)).scalar_one_or_none()


def note_job(connection: Connection, job_id: int, session: str, *, stage: Stage, frames: int, now: datetime) -> bool:
    """Say how far a job is, and that its session lives; return whether it is still in its hands."""
    values = {"stage": stage, "frames": frames, "seen_at": now}
    return connection.execute(update(web_jobs).where(_is_of(job_id, session)).values(values)).rowcount == 1


def finish_job(
    connection: Connection,
    job_id: int,
    session: str,
    *,
    now: datetime,
    media_id: int | None,
    failure: tuple[str, str] | None = None,
) -> bool:
    """Say what has become of a job; return whether it was still in the session's hands.

    Args:
        connection: in a transaction that writes.
        job_id: which one.
        session: who has it in hand.
        now: the time.
        media_id: what it became.
        failure: why it failed, as a short reason and a sentence; None is done.

    """
    reason, message = (None, None) if failure is None else (failure[0], clean_message(failure[1]))
    values = _over("done" if failure is None else "failed", now)
    changed = update(web_jobs).where(_is_of(job_id, session))
    result = connection.execute(changed.values(**values, media_id=media_id, reason=reason, message=message))
    return result.rowcount == 1


def stop_job(connection: Connection, job_id: int, *, now: datetime) -> bool:
    """Let a job that waits be over without being done; return whether it waited.

    Args:
        connection: in a transaction that writes.
        job_id: which one.
        now: the time.

    """
    waits = (web_jobs.c.id == job_id, web_jobs.c.state == "waiting")
    stopped = _over("failed", now) | {"reason": _STOPPED, "message": _STOPPED_WORDS}
    return connection.execute(update(web_jobs).where(*waits).values(stopped)).rowcount == 1


def give_back(connection: Connection, session: str, *, is_lost: bool, why: str | None = None) -> None:
    """Let others take what a session has in hand.

    Args:
        connection: in a transaction that writes.
        session: that has ended.
        is_lost: it did not end by itself, and what it had in hand may be the cause; else the try counts nothing.
        why: what it waits for, as a sentence for whoever gave it.

    """
    tries = web_jobs.c.tries if is_lost else web_jobs.c.tries - 1
    values: dict[str, Any] = {"state": "waiting", "session": None, "stage": None, "frames": 0, "tries": tries}
    values["message"] = None if why is None else clean_message(why)
    connection.execute(update(web_jobs).where(web_jobs.c.session == session).values(values))


def _over(state: State, now: datetime) -> dict[str, Any]:
    return {"state": state, "finished_at": now, "session": None, "stage": None}


def _is_of(job_id: int, session: str) -> ColumnElement[bool]:
    return and_(web_jobs.c.id == job_id, web_jobs.c.session == session)


def _is_free(now: datetime) -> ColumnElement[bool]:
    is_lost = and_(web_jobs.c.state == "running", web_jobs.c.seen_at < now - SILENT_AFTER)
    return or_(web_jobs.c.state == "waiting", is_lost)


def _jobs(connection: Connection, rows: Sequence[Any]) -> list[Job]:
    people = _people_in(connection, [row.media_id for row in rows if row.state == "done"])
    return [_job(connection, row, tuple(people.get(row.media_id, ()))) for row in rows]


def _job(connection: Connection, row: Any, people: tuple[tuple[str, float], ...]) -> Job:  # noqa: ANN401 - a row
    ahead = 0
    if row.state == "waiting":
        before = and_(web_jobs.c.state.in_(("waiting", "running")), web_jobs.c.id < row.id)
        ahead = connection.execute(select(func.count()).select_from(web_jobs).where(before)).scalar_one()
    values = {name: getattr(row, name) for name in Job.__slots__ if name not in {"job_id", "ahead", "people"}}
    return Job(job_id=row.id, ahead=ahead, people=people, **values)


def _people_in(connection: Connection, media_ids: Sequence[int | None]) -> dict[int, list[tuple[str, float]]]:
    """Return who is in media, surest first, by the labelling that is shown."""
    wanted = sorted({media_id for media_id in media_ids if media_id is not None})
    if not wanted:
        return {}
    seen = text(
        f"SELECT media_id, identity, confidence FROM content_labels WHERE media_id {given_ids(connection)}"  # noqa: S608
        " ORDER BY confidence DESC, identity"
    )
    found: dict[int, list[tuple[str, float]]] = {}
    for row in connection.execute(seen, {"ids": ids_param(connection, wanted)}):
        found.setdefault(row.media_id, []).append((row.identity, row.confidence))
    return found
