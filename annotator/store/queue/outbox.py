"""The outbox: what is to be told of media and backlogs, written in the transaction of what happened.

So nothing is told that did not happen, and nothing that happened is lost, whatever dies. Who delivers it is
:mod:`annotator.store.queue.deliveries`'s matter. A media is told of only if its backlog names a receiver.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, select

from annotator.store.columns import utc_now
from annotator.store.registry import dialect_insert
from annotator.store.tables import (
    annotations,
    content_labels_by,
    identities,
    labellings,
    media,
    outbox,
    runs,
    sources,
)

Event = Literal["media.annotated", "media.failed", "backlog.finished", "backlog.stopped"]
# A backlog that has no receiver may be given one later; so long it may take until its media are told of.
_LOOK_AGAIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """A media that is settled.

    Attributes:
        media_id: its row.
        run_id: its backlog.
        mark: of the attempt that settled it; no other event of the media has it.
        reason: why it failed; None where it is annotated.
        message: the same as a sentence.

    """

    media_id: int
    run_id: int
    mark: str
    reason: str | None = None
    message: str | None = None


class ReceiverMemory:
    """Remembers which backlogs have a receiver, so that a worker whose backlogs have none asks once in a while only."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._with: set[int] = set()
        self._without_until_s: dict[int, float] = {}

    def with_receiver(self, connection: Connection, run_ids: Collection[int | None]) -> frozenset[int]:
        """Return those backlogs that have a receiver."""
        now_s = time.monotonic()
        asked = {one for one in run_ids if one is not None}
        unknown = {one for one in asked - self._with if self._without_until_s.get(one, 0.0) <= now_s}
        if unknown:
            found = find_receivers(connection, unknown)
            self._with |= found
            self._without_until_s.update(dict.fromkeys(unknown - found, now_s + _LOOK_AGAIN_S))
        return frozenset(asked & self._with)


def find_receivers(connection: Connection, run_ids: Collection[int]) -> frozenset[int]:
    """Return those backlogs that have a receiver."""
    if not run_ids:
        return frozenset()
    with_url = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.callback_url.is_not(None))
    return frozenset(connection.execute(with_url).scalars())


def tell_media(
    connection: Connection, told: Sequence[Told], *, network_id: int, labelling_id: int | None = None
) -> None:
    """Write what is to be told of media, in the caller's transaction and after their results.

    Args:
        connection: in a writing transaction.
        told: media of backlogs that have a receiver.
        network_id: which network they were annotated by.
        labelling_id: whose labels are told; None where all have failed.

    """
    if not told:
        return
    described = _describe(connection, [one.media_id for one in told], network_id)
    annotated = {described[one.media_id].content_id for one in told if one.reason is None and one.media_id in described}
    labels = _labels(connection, labelling_id, annotated)
    backlogs = _backlogs(connection, {one.run_id for one in told})
    model = select(labellings.c.model).where(labellings.c.id == labelling_id)
    name = None if labelling_id is None else connection.execute(model).scalar_one_or_none()
    rows = []
    for one in told:
        row = described.get(one.media_id)
        if row is not None:
            shown = labels[row.content_id] if one.reason is None else []
            rows.append(_row(one, row, network_id, {"model": name, "labels": shown, "backlog": backlogs[one.run_id]}))
    _write(connection, rows)


def tell_backlog(connection: Connection, run_id: int, event: Event, facts: dict[str, Any]) -> None:
    """Write what is to be told of a backlog, in the caller's transaction.

    Args:
        connection: in a writing transaction.
        run_id: a backlog that has a receiver.
        event: its end.
        facts: its numbers.

    """
    key = f"{event}-{run_id}"
    backlog = _backlogs(connection, {run_id})[run_id]
    payload = {"event": event, "idempotency_key": key, "backlog": backlog, **facts}
    _write(
        connection, [{"run_id": run_id, "media_id": None, "event": event, "idempotency_key": key, "payload": payload}]
    )


def _row(one: Told, described: Any, network_id: int, more: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401  (a row)
    event: Event = "media.annotated" if one.reason is None else "media.failed"
    key = f"media-{one.run_id}-{network_id}-{one.media_id}-{one.mark}"
    status = "failed" if one.reason is not None else "damaged" if described.damage is not None else "annotated"
    payload = {
        "event": event,
        "idempotency_key": key,
        "media_uri": described.media_uri,
        "status": status,
        "reason": one.reason,
        "message": one.message,
        **more,
    }
    return {
        "run_id": one.run_id,
        "media_id": one.media_id,
        "event": event,
        "idempotency_key": key,
        "payload": payload,
    }


def _write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        statement = dialect_insert(connection, outbox).values(created_at=utc_now())
        connection.execute(statement.on_conflict_do_nothing(index_elements=["idempotency_key"]), rows)


def _describe(connection: Connection, media_ids: Sequence[int], network_id: int) -> dict[int, Any]:
    damage = select(annotations.c.damage).where(
        annotations.c.network_id == network_id, annotations.c.content_id == media.c.content_id
    )
    wanted = select(
        media.c.id,
        (sources.c.uri + media.c.key).label("media_uri"),
        media.c.content_id,
        damage.scalar_subquery().label("damage"),
    ).join_from(media, sources, media.c.source_id == sources.c.id)
    return {row.id: row for row in connection.execute(wanted.where(media.c.id.in_(media_ids)))}


def _labels(
    connection: Connection, labelling_id: int | None, content_ids: Collection[int | None]
) -> defaultdict[int | None, list[dict[str, Any]]]:
    """Return who is in which content, the surest first, with the keys of the JSON line of ``annotator annotate``."""
    found: defaultdict[int | None, list[dict[str, Any]]] = defaultdict(list)
    if labelling_id is None or not content_ids:
        return found
    label, pointed, person = content_labels_by.c, identities.alias(), identities.alias()
    wanted = (
        select(content_labels_by, person.c.name, person.c.kg_mid)
        .join_from(content_labels_by, pointed, pointed.c.id == label.identity_id)
        .join(person, person.c.id == pointed.c.survivor_id)
        .where(label.labelling_id == labelling_id, label.content_id.in_(content_ids))
        .order_by(label.content_id, label.confidence.desc(), person.c.name)
    )
    for row in connection.execute(wanted):
        found[row.content_id].append(
            {
                "identity": row.name,
                "kg_mid": row.kg_mid,
                "confidence": row.confidence,
                "start_ms": row.first_ms,
                "end_ms": row.last_ms,
                "screen_time_ms": row.screen_ms,
            }
        )
    return found


def _backlogs(connection: Connection, run_ids: Collection[int]) -> dict[int, dict[str, Any]]:
    wanted = select(runs.c.id, (sources.c.uri + runs.c.prefix).label("uri")).join_from(
        runs, sources, runs.c.source_id == sources.c.id
    )
    return {row.id: {"id": row.id, "uri": row.uri} for row in connection.execute(wanted.where(runs.c.id.in_(run_ids)))}
