"""Several threads that list the shards of a backlog and register what they find, each its own stretch."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from annotator.errors import RegisteredMeanwhileError
from annotator.media.s3 import ListedObject
from annotator.store.backlog.gone import KeyRange, mark_keys_gone
from annotator.store.backlog.listing import (
    Run,
    Shard,
    finish_listing,
    move_cursor,
    open_shards,
    refuse_stopped,
    split_shard,
)
from annotator.store.backlog.missing import AT_ONCE, TooManyMissingError, forget_missing
from annotator.store.backlog.registration import ListingCount, register_objects
from annotator.store.backlog.settling import GoneLimits, Missing, count_missing, look_at_missing, settle_missing
from annotator.store.connection import several
from annotator.store.database_errors import MAX_CONFLICTS, is_conflict
from annotator.store.locks import holding
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.store import Store
from workers.backlog.batches import Batch, KeySource

_T = TypeVar("_T")
PAGES_UNTIL_SPLIT: Final = 200
_SHARDS_PER_LISTER: Final = 4
# Media are counted until it is known that so many times as much may be missing: they are not counted for each batch.
_AHEAD: Final = 2
# How often it is looked whether another producer has left a shard behind.
_LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a listing goes on.

    Attributes:
        listers: threads.
        most: objects in all; then one thread lists in the order of keys.
        pages_until_split: after so many a shard is cut, if shards run out.

    """

    listers: int = 4
    most: int | None = None
    pages_until_split: int = PAGES_UNTIL_SPLIT


class Order(Protocol):
    """An order of its own, in which a backlog is queued when all is listed."""

    def prepare(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        """Read what decides on it, in transactions of one connection, with which it stays."""

    def queue(self, connection: Connection) -> int:
        """Put what is pending into chunks, in the transaction that ends the listing; return how many."""


@dataclass(frozen=True, slots=True)
class GoneRule:
    """When what a listing lacks is taken for gone.

    Attributes:
        limits: how much may be.
        is_meant: a filter of keys; what it refuses is not looked at.

    """

    limits: GoneLimits = field(default_factory=GoneLimits)
    is_meant: Callable[[str], bool] | None = None


class Registrar:
    """Writes batches: what they say and where the cursor stands, in one transaction."""

    def __init__(
        self,
        store: Store,
        run: Run,
        limits: ChunkLimits,
        *,
        order: Order | None = None,
        gone: GoneRule | None = None,
    ) -> None:
        """Take the database.

        Args:
            store: the database.
            run: the backlog.
            limits: of a chunk.
            order: in which it is queued at the end; None where chunks are made as objects are found.
            gone: when what a listing lacks is taken for gone.

        """
        self._store = store
        self._run = run
        self._limits = limits
        self._order = order
        self._gone = gone or GoneRule()
        self._whole = KeyRange(run.prefix, "", None, self._gone.is_meant)
        self._may_miss = self._gone.limits.least
        self._is_in_doubt = False
        self.refused: Missing | None = None
        """What the last listing lacked, once it is settled, where that was too much to be taken for gone."""

    def register(self, shard: Shard, batch: Batch) -> tuple[Shard, ListingCount]:
        """Register a batch; return the shard as it stands then.

        Where very much is missing between its keys, it takes several transactions.

        Raises:
            BacklogTakenError: somebody else has moved its cursor.
            BacklogStoppedError: the backlog was stopped.
            StoreUnavailableError: the database does not answer.

        """
        total = ListingCount()
        is_last = batch.is_end and self._is_last(shard)
        while True:
            told = None if self._is_in_doubt else batch.told  # no more need be found then
            write = partial(self._write, shard=shard, batch=replace(batch, told=told))
            try:
                shard, count = self._commit_last(write) if is_last else self._commit(write)
                is_done = True
            except TooManyMissingError as many:
                before, batch = batch.cut(many.until)
                shard, count = self._commit(partial(self._write, shard=shard, batch=before))
                # What the order needs is not read again for each part: the last one reads it.
                is_last = is_done = False
            total.add(count)
            self._look_at_missing(count)
            if is_done:
                return shard, total

    def _look_at_missing(self, count: ListingCount) -> None:
        """Find out whether the listing is in doubt, as soon as it is."""
        if count.missing and not self._is_in_doubt:
            with self._store.reading() as connection:
                if count_missing(connection, self._run.id) <= self._may_miss:
                    return
                found = look_at_missing(connection, self._run, self._whole, self._gone.limits, ahead=_AHEAD)
            self._may_miss = found.most
            self._is_in_doubt = found.is_too_much

    def settle(self) -> Iterator[ListingCount]:
        """Mark as gone what the listing lacks, once all of it is listed, or refuse it; yield each transaction.

        Raises:
            BacklogStoppedError: the backlog was stopped; what is marked by then stays marked.
            StoreUnavailableError: the database does not answer; the next producer goes on.

        """
        self.refused = None
        with self._store.reading() as connection:
            found = look_at_missing(connection, self._run, self._whole, self._gone.limits)
        self._may_miss, self._is_in_doubt = self._gone.limits.least, False
        settle = partial(settle_missing, run_id=self._run.id, found=found)
        while (settled := self._commit(settle)) is not None:
            deleted, is_over = settled
            if is_over and found.is_too_much:
                self.refused = found
            yield ListingCount(deleted=deleted)
            if is_over:
                break
        if self.refused is not None:  # who is killed here leaves the rest to beat
            while self._commit(partial(forget_missing, limit=AT_ONCE)) == AT_ONCE:
                yield ListingCount()

    def register_named(self, objects: Sequence[ListedObject], gone: Sequence[str]) -> ListingCount:
        """Register some objects that are there, and mark keys where nothing lies any more.

        Args:
            objects: in the order of their keys.
            gone: keys.

        Raises:
            BacklogStoppedError: the backlog was stopped.
            StoreUnavailableError: the database does not answer.

        """
        return self._commit(partial(self._write_named, objects=objects, gone=gone))

    def _is_last(self, shard: Shard) -> bool:
        """Say whether no other shard is open, where an order is to be prepared for the end."""
        if self._order is None:
            return False
        with self._store.reading() as connection:
            return all(one.id == shard.id for one in open_shards(connection, self._run.id))

    def _commit_last(self, write: Callable[[Connection], _T]) -> _T:
        """Read first what the order needs: the transaction that ends the listing holds the backlog's row."""
        with several(self._store.engine) as transaction:
            if self._order is not None:
                self._order.prepare(transaction)
            return self._commit(write, transaction=transaction)

    def _commit(
        self,
        write: Callable[[Connection], _T],
        *,
        transaction: Callable[[], AbstractContextManager[Connection]] | None = None,
    ) -> _T:
        conflicts = 0
        while True:
            try:
                with (transaction or self._store.writing)() as connection:
                    return write(connection)
            except (DBAPIError, RegisteredMeanwhileError) as error:
                conflicts += 1
                if not _may_go_again(error) or conflicts >= MAX_CONFLICTS:
                    raise

    def _write(self, connection: Connection, shard: Shard, batch: Batch) -> tuple[Shard, ListingCount]:
        count = register_objects(connection, self._run.asked, batch.objects, told=batch.told, limits=self._limits)
        count.left_out = batch.left_out
        moved = move_cursor(connection, shard, batch.cursor, pages=batch.pages, count=count, is_end=batch.is_end)
        if self._order is not None and batch.is_end and finish_listing(connection, self._run.id):
            count.chunks += self._order.queue(connection)
        return moved, count

    def _write_named(
        self, connection: Connection, *, objects: Sequence[ListedObject], gone: Sequence[str]
    ) -> ListingCount:
        refuse_stopped(connection, self._run.id)
        count = register_objects(connection, self._run.asked, objects, told=None, limits=self._limits)
        count.deleted = mark_keys_gone(connection, self._run.asked.source_id, gone)
        return count

    def split(self, shard: Shard, cuts: list[str]) -> Shard:
        """Cut a shard; return it as it is then."""
        with self._store.writing() as connection:
            return split_shard(connection, shard, cuts)


def _may_go_again(error: Exception) -> bool:
    """Say whether somebody else has registered the same objects, or held the same rows, at the same time."""
    return isinstance(error, RegisteredMeanwhileError | IntegrityError) or (
        isinstance(error, DBAPIError) and is_conflict(error)
    )


class _Shards:
    """Who lists which shard, in this process; shards of other producers are left to them."""

    def __init__(self, store: Store, run: Run, try_lock: Callable[[str], bool]) -> None:
        self._store = store
        self._run = run
        self._try_lock = try_lock
        self._changed = threading.Condition()
        self._held: set[int] = set()
        self._is_over = False

    def take(self) -> Shard | None:
        """Wait for a shard that nobody lists; None when none is left."""
        with self._changed:
            while not self._is_over:
                waiting = self._waiting()
                for shard in waiting:
                    if self._try_lock(f"shard {shard.id}") and (open_one := self._as_it_stands(shard)) is not None:
                        self._held.add(shard.id)
                        return open_one
                if not waiting and not self._held:
                    return None
                self._changed.wait(_LOOK_EVERY_S)
        return None

    def _waiting(self) -> list[Shard]:
        with self._store.reading() as connection:
            return [one for one in open_shards(connection, self._run.id) if one.id not in self._held]

    def _as_it_stands(self, shard: Shard) -> Shard | None:
        """Read it again: who had it may have moved it just before letting go, or listed it to its end."""
        with self._store.reading() as connection:
            return next((one for one in open_shards(connection, self._run.id) if one.id == shard.id), None)

    def are_few(self, listers: int) -> bool:
        """Whether fewer shards wait than there are threads."""
        with self._changed:
            return len(self._waiting()) < listers

    def have_changed(self) -> None:
        """Let threads that wait look again."""
        with self._changed:
            self._changed.notify_all()

    def let_go(self, shard: Shard) -> None:
        """Say that a shard is done."""
        with self._changed:
            self._held.discard(shard.id)
            self._changed.notify_all()

    def end(self) -> None:
        """Let nobody take a shard any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def count(self) -> int:
        """How many are being listed here."""
        return len(self._held)


class Listing:
    """A backlog under way."""

    def __init__(self, store: Store, run: Run, *, source: KeySource, registrar: Registrar, pace: Pace) -> None:
        """Start nothing yet.

        Args:
            store: the database.
            run: the backlog.
            source: where its keys come from.
            registrar: writes what is found.
            pace: how fast, how much.

        """
        self._store = store
        self._run = run
        self._source = source
        self._registrar = registrar
        self._pace = pace
        self._told: queue.Queue[ListingCount | Exception | None] = queue.Queue()
        self._stopping = threading.Event()
        self._left = pace.most
        self.shards = 0

    def counts(self) -> Iterator[ListingCount]:
        """List to the end, and yield what each transaction has come to. Stops its threads when it is closed.

        Raises:
            AnnotatorError: as of :meth:`Registrar.register` and of the source; what was registered stays.

        """
        with holding(self._store.engine) as try_lock:
            shards = _Shards(self._store, self._run, try_lock)
            # On SQLite there are no locks: of two producers, the one that is refused at their common shard leaves.
            is_alone = self._pace.most is not None or self._store.engine.dialect.name == "sqlite"
            listers = 1 if is_alone else self._pace.listers
            threads = [
                threading.Thread(target=self._run_thread, args=[shards], name=f"lister-{number}", daemon=True)
                for number in range(listers)
            ]
            for thread in threads:
                thread.start()
            try:
                yield from self._heard(shards, len(threads))
            finally:
                self._stopping.set()
                shards.end()
                for thread in threads:
                    thread.join()
            yield from self._registrar.settle()

    def _heard(self, shards: _Shards, running: int) -> Iterator[ListingCount]:
        while running:
            told = self._told.get()
            self.shards = shards.count
            if told is None:
                running -= 1
            elif isinstance(told, Exception):
                raise told
            else:
                yield told

    def _run_thread(self, shards: _Shards) -> None:
        try:
            while not self._stopping.is_set() and (shard := shards.take()) is not None:
                self._list(shard, shards)
                shards.let_go(shard)
        except Exception as error:  # noqa: BLE001  (the boundary of the thread: it is raised where the counts are read)
            self._told.put(error)
        self._told.put(None)

    def _list(self, shard: Shard, shards: _Shards) -> None:
        """List a shard to its end, and cut it when the others have nothing to do."""
        is_whole = shard.pages == 0 and not shard.start_key and shard.end_key is None
        if is_whole and self._pace.most is None:
            shard = self._cut(shard, list(self._source.plan(shard, shards=_SHARDS_PER_LISTER * self._pace.listers)))
            shards.have_changed()
        since_cut = 0
        batches = self._source.batches(shard, most=self._left)
        while (batch := next(batches, None)) is not None and not self._stopping.is_set():
            shard, count = self._registrar.register(shard, batch)
            self._told.put(count)
            if self._is_enough(count, shards):
                return
            since_cut += batch.pages
            if since_cut >= self._pace.pages_until_split and not batch.is_end and self._pace.most is None:
                since_cut = 0
                if shards.are_few(self._pace.listers) and (middle := self._source.split(shard)) is not None:
                    shard = self._cut(shard, [middle])
                    shards.have_changed()
                    batches = self._source.batches(shard, most=None)

    def _cut(self, shard: Shard, cuts: list[str]) -> Shard:
        inside = [cut for cut in cuts if cut > shard.cursor and (shard.end_key is None or cut < shard.end_key)]
        return self._registrar.split(shard, inside) if inside else shard

    def _is_enough(self, count: ListingCount, shards: _Shards) -> bool:
        if self._left is None:
            return False
        self._left -= count.listed
        if self._left > 0:
            return False
        shards.end()
        return True
