"""The takedown of a person in a database: step by step, each noted in its own transaction, so a kill loses nothing.

A tombstone comes first: from then on nobody learns the person anew. The names come last: they find the rest, if it was
killed and is called again.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from annotator.store.codec import decode_evidence
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.database_errors import MAX_CONFLICTS, is_conflict, translated
from annotator.store.locks import change_corrections, replace_evidence
from annotator.store.promotions import who_is_this
from annotator.store.registry import embedders
from annotator.store.tables import networks, takedowns, track_embeddings, track_labels
from annotator.store.takedowns.faces import WINDOW, find_shown, forget_faces, ungroup, windows
from annotator.store.takedowns.folders import NamedFolder, as_json, folders_of, more_folders
from annotator.store.takedowns.labels import NAMES, count_labels, forget_labels, forget_names
from annotator.store.takedowns.listing import tombstones_of
from annotator.store.takedowns.texts import forget_in_texts
from annotator.store.takedowns.tombstones import add_tombstones, digests_of
from annotator.store.takedowns.whom import Person, kg_mids_of, names_of
from annotator.types import F32

_F32: Final = np.dtype("<f4")
_MOST_OF_A_MODEL: Final = 64  # tracks whose mean stands for what the person looks like in the archive

_SMALL: Final = (
    *("enrolled_faces", "identities", "identity_aliases", "merges", "corrections", "track_groups", "takedowns"),
)

_FACES: Final = "faces "  # and the id of a network
_STEPS: Final = ("labels", "texts", "names")

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class KnownFaces:
    """What tracks without a name are compared with.

    Attributes:
        embedder: of the faces; None where there are none.
        faces: f32 (n, D), unit norm.

    """

    embedder: str | None
    faces: F32


NO_FACES: Final = KnownFaces(None, np.zeros((0, 0), np.float32))


@dataclass(frozen=True, slots=True)
class Takedown:
    """A takedown as its row says it.

    Attributes:
        takedown_id: of the row.
        identity_ids: who, while it is under way.
        names: under which they are looked for, sorted.
        kg_mids: Knowledge Graph ids, sorted: they are looked for, too.
        folders: that are to be swept: those named now and whenever it was begun before.

    """

    takedown_id: int
    identity_ids: tuple[int, ...]
    names: tuple[str, ...]
    kg_mids: tuple[str, ...] = ()
    folders: tuple[NamedFolder, ...] = ()


def begin_takedown(
    engine: Engine,
    person: Person,
    known: KnownFaces,
    *,
    folders: Sequence[Path] = (),
    done_by: str | None = None,
    note: Callable[[Connection, int], None] = lambda _connection, _takedown_id: None,
) -> Takedown:
    """Write the tombstones and the row of a takedown, or find the row of one that was not finished.

    Where it is of more people than when it was killed, since somebody was merged with the person meanwhile, or another
    one has a name of the same letters, the steps of the database begin anew.

    Args:
        engine: of the database.
        person: who.
        known: what tracks without a name are compared with; of one that is resumed, its row has that already.
        folders: of this machine, to be swept, too; the row keeps them for whoever goes on.
        done_by: who does it; None is the user of this machine.
        note: is called in the same transaction, with the number of the takedown.

    """
    with writing(engine) as connection:
        # A program of schema 0024 that has finished one leaves its folders.
        is_left = takedowns.c.finished_at.is_not(None) & takedowns.c.folders.is_not(None)
        connection.execute(update(takedowns).where(is_left).values(folders=None))
        digests = digests_of(connection, person.identities)
        told = {one.hex() for one in digests}
        found = _unfinished(connection, person, known, told)
        takedown_id = _insert(connection, person, known, done_by) if found is None else found
        add_tombstones(connection, digests, takedown_id=takedown_id)
        row = connection.execute(select(takedowns).where(takedowns.c.id == takedown_id)).one()
        ids = tuple(sorted({*row.identity_ids, *person.identity_ids}))
        told |= tombstones_of(connection, row)
        swept = more_folders(folders_of(row), folders)
        values = {"identity_ids": list(ids), "tombstones": sorted(told), "is_resumed": found is not None}
        values |= {"folders": as_json(swept)}
        if not set(person.identity_ids) <= set(row.identity_ids):
            values |= _begun_anew(row, known)
        connection.execute(update(takedowns).where(takedowns.c.id == takedown_id).values(**values))
        note(connection, takedown_id)
        return Takedown(
            takedown_id,
            ids,
            names=tuple(sorted({*person.names, *names_of(connection, ids)})),
            kg_mids=tuple(sorted({*person.kg_mids, *kg_mids_of(connection, ids)})),
            folders=swept,
        )


def _begun_anew(row: Any, known: KnownFaces) -> dict[str, Any]:  # noqa: ANN401 - a row
    """Return what lets a takedown look for all again, by faces of more people than before.

    Faces of another embedder than those of the row cannot be compared with these: they are left away.
    """
    there = [one for one in (_faces_of(row), known.faces) if len(one)]
    done = [[step, counts, is_ended and not _is_of_database(step)] for step, counts, is_ended in row.done]
    values: dict[str, Any] = {"done": done, "after_content_id": 0}
    if row.faces is None or row.embedder == known.embedder:
        values |= {"embedder": known.embedder, "faces": _face_bytes(np.concatenate(there)) if there else None}
    return values


def _is_of_database(step: str) -> bool:
    return step.startswith(_FACES) or step in _STEPS


def _unfinished(connection: Connection, person: Person, known: KnownFaces, told: set[str]) -> int | None:
    """Return the takedown of the same person, or of the same face that nobody has named, that was not finished."""
    rows = connection.execute(select(takedowns).where(takedowns.c.finished_at.is_(None)).order_by(takedowns.c.id)).all()
    for row in rows:
        kept = tombstones_of(connection, row)
        is_same = bool(kept & told) if person.names else not kept and row.faces == _face_bytes(known.faces)
        if is_same:
            return int(row.id)
    return None


def forget_in_database(engine: Engine, takedown: Takedown, names: Sequence[str]) -> None:
    """Do all steps in the database but the last one; those that have ended are left out.

    Raises:
        StoreUnavailableError: the database does not answer; the next call goes on.

    """
    with reading(engine) as connection:
        network_ids = _network_ids(connection)
    for network_id in network_ids:
        _forget_faces(engine, takedown, network_id)
    do_step(engine, takedown, "labels", lambda connection: _forget_labels(connection, takedown))
    do_step(engine, takedown, "texts", lambda connection: _forget_in_texts(connection, takedown, names))


def finish_takedown(engine: Engine, takedown: Takedown, names: Sequence[str], *, left: Sequence[str] = ()) -> None:
    """Take the names away, let the database give up what is deleted, and note that all is done.

    Args:
        engine: of the database.
        takedown: which one.
        names: of the person.
        left: what is left to do, in sentences that name nobody; they are kept with it.

    """

    def forget(connection: Connection) -> Counts:
        # Programs that still knew the person may have named her or him since these steps.
        counts = Counter(_forget_labels(connection, takedown))
        counts.update(_forget_in_texts(connection, takedown, names))
        counts.update(forget_names(connection, takedown.identity_ids))
        return counts

    do_step(engine, takedown, "names", forget)
    with writing(engine) as connection:
        connection.execute(
            update(takedowns)
            .where(takedowns.c.id == takedown.takedown_id)
            .values(finished_at=utc_now(), identity_ids=[], faces=None, folders=None, left_to_do=list(left))
        )
    give_up_space(engine)


def do_step(engine: Engine, takedown: Takedown, step: str, act: Callable[[Connection], Counts]) -> None:
    """Do a step and note it, in one transaction; nothing happens where it has ended."""
    for left in reversed(range(MAX_CONFLICTS)):
        try:
            with writing(engine) as connection:
                if not _has_ended(connection, takedown, step):
                    _note(connection, takedown, step, act(connection), is_ended=True)
        except DBAPIError as exc:
            if not left or not is_conflict(exc):
                raise
        else:
            return


def note_step(engine: Engine, takedown: Takedown, step: str, counts: Counts) -> None:
    """Note a step that is done outside the database; called again, it adds to what was noted."""
    with writing(engine) as connection:
        _note(connection, takedown, step, counts, is_ended=True)


def count_in_database(
    engine: Engine, person: Person, known: KnownFaces, *, say: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, int]]:
    """Return how much would go, by step; nothing is changed.

    Args:
        engine: of the database.
        person: who.
        known: what tracks without a name are compared with.
        say: is told what is done, as users read it.

    """
    steps: dict[str, dict[str, int]] = {}
    with reading(engine) as connection:
        for network_id in _network_ids(connection):
            named = near = 0
            for number, bounds in enumerate(windows(connection, network_id, after=0)):
                say(f"looking at the faces of media, {number * WINDOW} so far")
                shown = find_shown(
                    connection,
                    network_id,
                    bounds,
                    identity_ids=person.identity_ids,
                    faces=known.faces,
                    embedder=known.embedder,
                )
                named, near = named + len(shown.named), near + len(shown.near)
            steps[f"{_FACES}{network_id}"] = {"named": named, "near": near}
        say("counting names")
        counts = count_labels(connection, person.identity_ids)
        steps["labels"] = {name: count for name, count in counts.items() if name not in NAMES}
        steps["texts"] = forget_in_texts(
            connection, person.names, kg_mids=person.kg_mids, identity_ids=person.identity_ids, is_dry=True
        )
        steps["names"] = {name: counts[name] for name in NAMES}
    return steps


def faces_in_archive(connection: Connection, person: Person, *, embedder: str) -> F32:
    """Return the mean of the tracks that are surest to show somebody, f32 (1, D), unit norm; (0, 0) without any."""
    labels, stored = track_labels.c, track_embeddings.c
    of_embedder = [network_id for network_id, its_own in embedders(connection).items() if its_own == embedder]
    same = (stored.content_id == labels.content_id) & (stored.track_no == labels.track_no)
    rows = connection.execute(
        select(stored.embeddings, stored.face_px, stored.quality)
        .join_from(track_labels, track_embeddings, same)
        .where(labels.identity_id.in_(person.identity_ids), stored.network_id.in_(of_embedder))
        .order_by(labels.confidence.desc(), labels.content_id, labels.track_no)
        .limit(_MOST_OF_A_MODEL)
    ).all()
    found = [decode_evidence(*(bytes(column) for column in row)) for row in rows]
    means = [one.embeddings.astype(np.float32).mean(axis=0) for one in found if len(one)]
    if not means:
        return np.zeros((0, 0), np.float32)
    total = np.sum(means, axis=0, dtype=np.float64)
    return np.asarray(total / np.linalg.norm(total), np.float32)[None]


def face_of(connection: Connection, takedown_id: int) -> KnownFaces:
    """Return the face of a takedown that is not finished: of one without a name, it says who is meant."""
    row = connection.execute(select(takedowns).where(takedowns.c.id == takedown_id)).one()
    return KnownFaces(row.embedder, _faces_of(row))


def give_up_space(engine: Engine) -> None:
    """Let the file of the database lose what was deleted: until then the bytes are there, though nothing finds them.

    On Postgres the small tables let new rows take the place; of the others that is left to its autovacuum, since only
    VACUUM FULL rewrites a file at once, and locks its table meanwhile.
    """
    with translated(engine):
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"VACUUM {', '.join(_SMALL)}"))
            return
        with contextlib.closing(engine.raw_connection()) as raw:  # outside transactions
            raw.cursor().execute("VACUUM")
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _network_ids(connection: Connection) -> Sequence[int]:
    return connection.execute(select(networks.c.id).order_by(networks.c.id)).scalars().all()


def _forget_labels(connection: Connection, takedown: Takedown) -> dict[str, int]:
    change_corrections(connection, _network_ids(connection))
    return forget_labels(connection, takedown.identity_ids)


def _forget_in_texts(connection: Connection, takedown: Takedown, names: Sequence[str]) -> dict[str, int]:
    return forget_in_texts(connection, names, kg_mids=takedown.kg_mids, identity_ids=takedown.identity_ids)


def _forget_faces(engine: Engine, takedown: Takedown, network_id: int) -> None:
    step = f"{_FACES}{network_id}"
    with reading(engine) as connection:
        row = connection.execute(select(takedowns).where(takedowns.c.id == takedown.takedown_id)).one()
        if _has_ended(connection, takedown, step):
            return
        begun = any(one[0] == step for one in row.done)
        bounds = list(windows(connection, network_id, after=row.after_content_id if begun else 0))
    faces = _faces_of(row)
    for first_last in bounds:

        def forget(connection: Connection, first_last: tuple[int, int] = first_last) -> Counts:
            replace_evidence(connection, network_id)
            shown = find_shown(
                connection,
                network_id,
                first_last,
                identity_ids=takedown.identity_ids,
                faces=faces,
                embedder=row.embedder,
            )
            groups = ungroup(connection, network_id, shown.all, identity_ids=takedown.identity_ids)
            forget_faces(connection, network_id, shown.all)
            return {"named": len(shown.named), "near": len(shown.near), "groups": groups}

        with writing(engine) as connection:
            _note(connection, takedown, step, forget(connection), is_ended=False, after=first_last[1])
    with writing(engine) as connection:
        _note(connection, takedown, step, {}, is_ended=True, after=0)


def _face_bytes(faces: F32) -> bytes:
    """Return faces, f32 (n, D), as ``takedowns.faces`` has them: n as int32, then the numbers."""
    return np.array([len(faces)], "<i4").tobytes() + faces.astype(_F32).tobytes()


def _faces_of(row: Any) -> F32:  # noqa: ANN401 - a row
    """Return the faces of a takedown's row, f32 (n, D)."""
    if row.faces is None:
        return np.zeros((0, 0), np.float32)
    count = int(np.frombuffer(row.faces[:4], "<i4")[0])
    return np.frombuffer(row.faces, _F32, offset=4).astype(np.float32).reshape(count, -1)


def _insert(connection: Connection, person: Person, known: KnownFaces, done_by: str | None) -> int:
    faces = _face_bytes(known.faces) if len(known.faces) else None
    added = connection.execute(
        insert(takedowns)
        .values(
            started_at=utc_now(),
            done_by=done_by or who_is_this(),
            identity_ids=list(person.identity_ids),
            embedder=known.embedder,
            faces=faces,
            done=[],
        )
        .returning(takedowns.c.id)
    )
    return int(added.scalar_one())


def _has_ended(connection: Connection, takedown: Takedown, step: str) -> bool:
    done = connection.execute(select(takedowns.c.done).where(takedowns.c.id == takedown.takedown_id)).scalar_one()
    return any(name == step and is_ended for name, _, is_ended in done)


def _note(
    connection: Connection, takedown: Takedown, step: str, counts: Counts, *, is_ended: bool, after: int | None = None
) -> None:
    this = takedowns.c.id == takedown.takedown_id
    done = connection.execute(select(takedowns.c.done).where(this)).scalar_one()
    before = next((dict(one[1]) for one in done if one[0] == step), {})
    sums = before | {name: before.get(name, 0) + count for name, count in counts.items()}
    noted = [one for one in done if one[0] != step] + [[step, sums, is_ended]]
    values: dict[str, Any] = {"done": noted} | ({} if after is None else {"after_content_id": after})
    connection.execute(update(takedowns).where(this).values(**values))
