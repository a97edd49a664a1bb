"""The feeder: due chunks go to the broker, up to the cap of each lane and network in each queue: the back-pressure."""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Engine

from annotator.store.connection import writing
from annotator.store.locks import try_lock
from annotator.store.queue.chunks import Chunk, put_back
from annotator.store.queue.feeding import (
    Cursors,
    Wanted,
    count_published,
    follow_indexes,
    living_queues,
    put_back_stranded,
    take_due,
)
from annotator.store.queue.lanes import LANES, Lane
from annotator.store.queue.sessions import last_sessions, living_sessions, networks_of
from workers.beat.broker import Broker
from workers.beat.routing import QUEUES_OF, Caps, rooms

_LOGGER: Final = logging.getLogger(__name__)
# One chunk in so many goes by age whatever its priority: a backlog of low priority still comes to its end beside one of
# high priority that never ends, and costs it an eighth.
AGE_SHARE: Final = 8
# A full search may take this part of the time; between two of them the searches go on where they ended.
_FULL_SEARCH_SHARE: Final = 1 / 20
# How long a queue may be without workers (they are started anew) until its chunks go elsewhere. With the 45 s after
# which a worker that died counts as gone, that is within a minute.
_STRANDED_AFTER_S: Final = 10.0


class Feeder:
    """Feeds one broker. Several may run, in several processes: one at a time works."""

    def __init__(self, engine: Engine, broker: Broker, *, caps: Caps, session_timeout_s: float) -> None:
        """Take what it needs.

        Args:
            engine: of the database.
            broker: takes the messages.
            caps: most chunks in a queue.
            session_timeout_s: silence after which a worker does not count as living.

        """
        self._engine = engine
        self._broker = broker
        self._caps = caps
        self._session_timeout_s = session_timeout_s
        self._cursors = Cursors()
        self._next_full_s = 0.0
        self._taken: dict[tuple[Lane, int | None], int] = defaultdict(int)
        self._consumed_at_s: dict[str, float] = {}
        self._began_s = time.monotonic()
        self._is_checked = False

    def run(self) -> int:
        """Publish due chunks, after the commit that marks them as published.

        Returns:
            How many chunks were published.

        Raises:
            ConfigError: the broker may forget messages.

        """
        began_s = time.monotonic()
        is_full = began_s >= self._next_full_s
        if is_full:
            self._cursors.forget()
        with writing(self._engine) as connection:
            if not try_lock(connection, "feed"):
                return 0
            is_new = self._broker.is_new()
            if is_new or not self._is_checked:
                self._broker.check()
                self._is_checked = True
            if is_new:
                again = put_back(connection)
                if again:
                    _LOGGER.warning("The broker is new or has lost all: %d chunks are published again.", again)
                self._cursors.forget()
            taken, stranded = self._take(connection)
        if is_full:
            ended_s = time.monotonic()
            self._next_full_s = ended_s + (ended_s - began_s) * (1 / _FULL_SEARCH_SHARE - 1)
        self._send(taken, is_new=is_new, stranded=stranded)
        return len(taken)

    def _take(self, connection: Connection) -> tuple[list[Chunk], Collection[str]]:
        follow_indexes(connection)
        consumed = living_queues(connection, timeout_s=self._session_timeout_s)
        published = count_published(connection, self._cursors)
        stranded = self._stranded(consumed, published)
        if stranded:
            count = put_back_stranded(connection, stranded)
            _LOGGER.warning("Nobody consumes %s: %d chunks go elsewhere.", ", ".join(sorted(stranded)), count)
            published = {key: count for key, count in published.items() if key[1] not in stranded}
            self._cursors.forget()
        taken: list[Chunk] = []
        for network_id, theirs in self._consumed_by_network(connection).items():
            there = _of_network(published, network_id)
            for lane in LANES:
                taken += self._take_lane(connection, lane, network_id=network_id, consumed=theirs, published=there)
        return taken, stranded

    def _consumed_by_network(self, connection: Connection) -> dict[int | None, list[frozenset[str]]]:
        """Return what the workers of each network consume that is to be fed.

        Each network has caps of its own: chunks of one that few workers run would hold all the places, and go round and
        round, while the workers of the others stand idle. Where nobody lives, what the last workers ran waits in the
        broker for the next ones. None stands for all networks: nobody knows who runs what.
        """
        living = living_sessions(connection, timeout_s=self._session_timeout_s)
        networks = networks_of(living or last_sessions(connection))
        if networks is None:
            return {None: [one.queues for one in living]}
        return {
            network_id: [one.queues for one in living if one.network_id == network_id]
            for network_id in sorted(networks)
        }

    def _take_lane(
        self,
        connection: Connection,
        lane: Lane,
        *,
        network_id: int | None,
        consumed: Sequence[frozenset[str]],
        published: Mapping[tuple[str, str], int],
    ) -> list[Chunk]:
        taken: list[Chunk] = []
        for room in rooms(lane, consumed=consumed, published=published, caps=self._caps):
            before = self._taken[lane, network_id]
            # Each eighth, whatever the size of the rounds.
            by_age = (before + room.chunks) // AGE_SHARE - before // AGE_SHARE
            wanted = Wanted(lane, room.queue, limit=room.chunks, by_age=by_age, network_id=network_id)
            due = take_due(connection, wanted, cursors=self._cursors) if room.chunks else []
            self._taken[lane, network_id] += len(due)
            taken += due
            if len(due) < room.chunks:
                break  # nothing is left for the next queue
        return taken

    def _stranded(
        self, consumed: Sequence[frozenset[str]], published: Mapping[tuple[str, str, int], int]
    ) -> frozenset[str]:
        """Return the queues with chunks that nobody has consumed for a while, if somebody consumes another one."""
        now_s = time.monotonic()
        living = frozenset().union(*consumed)
        self._consumed_at_s.update(dict.fromkeys(living, now_s))
        if not any(living & set(queues) for queues in QUEUES_OF.values()):
            return frozenset()
        return frozenset(
            queue
            for _, queue, _ in published
            if now_s - self._consumed_at_s.get(queue, self._began_s) > _STRANDED_AFTER_S
        )

    def _send(self, taken: Sequence[Chunk], *, is_new: bool, stranded: Collection[str]) -> None:
        sent = 0
        try:
            if is_new:
                self._broker.mark()
            for queue in stranded:
                self._broker.forget(queue)
            for chunk in taken:
                self._broker.publish(chunk)
                sent += 1
        except BaseException:
            self._cursors.forget()
            with writing(self._engine) as connection:
                put_back(connection, [chunk.id for chunk in taken[sent:]])
            raise


def _of_network(published: Mapping[tuple[str, str, int], int], network_id: int | None) -> dict[tuple[str, str], int]:
    """Return how many chunks of a network, or with None of all, are there by lane and queue."""
    there: dict[tuple[str, str], int] = defaultdict(int)
    for (lane, queue, of_network), count in published.items():
        if network_id in {None, of_network}:
            there[lane, queue] += count
    return there
