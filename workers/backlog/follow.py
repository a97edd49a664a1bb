"""A backlog that follows its bucket: what is there is listed, then new, changed and deleted objects as they come.

With a queue of notifications they come within seconds, and a listing now and then finds what no notification told;
without one, the bucket is listed again and again. Notifications are settled only between what is read of a listing and
what is written of it, never at the same time: a listing that began before an object came would find it gone.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import FrameType
from typing import Final, Literal, Protocol

from annotator.errors import AnnotatorError, BacklogStoppedError, InputError, SourceUnavailableError, TransientError
from annotator.media.s3 import ListedObject
from annotator.store.backlog.listing import Run, begin_pass, open_shards
from annotator.store.backlog.registration import ListingCount
from annotator.store.backlog.settling import Missing
from annotator.store.locks import holding
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.store import Store
from annotator.store.upkeep import note_follower
from workers.backlog.batches import Choice, KeySource, is_media_key
from workers.backlog.ids import ObjectFinder
from workers.backlog.lister import GoneRule, Listing, Pace, Registrar
from workers.backlog.notifications import parse_message
from workers.backlog.sqs import Message

# How long it is waited for something to do: so long it takes at most until a signal is heard.
_WAIT_S: Final = 5
_MOST_MESSAGES: Final = 500
_ASKED_AT_ONCE: Final = 16
_NOTE_EVERY_S: Final = 10.0  # that it gets on
_FIRST_BACK_OFF_S: Final = 1.0
_LONGEST_BACK_OFF_S: Final = 60.0


class Notifications(Protocol):
    """Where notifications come from; ``workers.backlog.sqs.NotificationQueue`` is one."""

    def receive(self, *, wait_s: int) -> list[Message]:
        """Return some messages; they come back unless they are deleted."""

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction has come to.

    Attributes:
        by: whether a listing or notifications told of it.
        count: what.
        unknown: messages that were none of this bucket's, or of objects that cannot be looked at; they were left.
        refused: what the listing that has ended lacked, where that was too much to be taken for gone.

    """

    by: Literal["listing", "notifications"]
    count: ListingCount
    unknown: int = 0
    refused: Missing | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed.

    Attributes:
        run: the backlog.
        bucket: the name of its bucket.
        choice: which keys are wanted.
        source: lists them.
        finder: says what lies at a key.
        poll_every_s: time from the end of one listing to the next.
        listers: parts listed at once.
        limits: of a chunk.
        gone: when what a listing lacks is taken for gone.

    """

    run: Run
    bucket: str
    choice: Choice
    source: KeySource
    finder: ObjectFinder
    poll_every_s: float
    listers: int = 4
    limits: ChunkLimits = field(default_factory=ChunkLimits)
    gone: GoneRule = field(default_factory=GoneRule)


class Follower:
    """Keeps up with a bucket until it is told to leave; it does so between two transactions."""

    def __init__(
        self,
        store: Store,
        followed: Followed,
        *,
        notifications: Notifications | None,
        leave: threading.Event,
        got_on: threading.Event | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            store: the database.
            followed: what is followed.
            notifications: None where there are none.
            leave: set when it is to end.
            got_on: is set when something has gone well.

        """
        self._store = store
        self._followed = followed
        self._registrar = Registrar(store, followed.run, followed.limits, gone=followed.gone)
        self._notifications = notifications
        self._leave = leave
        self._got_on = got_on or threading.Event()
        self._has_listed = False
        self._noted_s = -_NOTE_EVERY_S

    def steps(self) -> Iterator[Step]:
        """Follow, and yield what each transaction has come to. Of several that follow, one works and the others wait.

        Raises:
            TransientError: a service does not answer; what was registered stays, what was not deleted comes back.
            BacklogStoppedError: the backlog was stopped.
            AnnotatorError: as of the source and the queue.

        """
        with holding(self._store.engine) as try_lock:
            while not self._leave.is_set() and not try_lock(f"follow {self._followed.run.id}"):
                self._leave.wait(_WAIT_S)
            while not self._leave.is_set():
                for step in self._step():
                    self._note(step.by)
                    yield step
                self._note("nothing due")

    def _note(self, went_well: str) -> None:
        """Note that it gets on, now and then: who is silent is missed (``annotator_follower_silent_seconds``)."""
        if self._notifications is None or went_well == "notifications":  # the listing says nothing of the queue
            self._got_on.set()
        if time.monotonic() - self._noted_s >= _NOTE_EVERY_S:
            with self._store.writing() as connection:
                note_follower(connection, self._followed.run.id)
            self._noted_s = time.monotonic()

    def _step(self) -> Iterator[Step]:
        with self._store.writing() as connection:
            due_s = begin_pass(connection, self._followed.run.id, every_s=self._followed.poll_every_s)
        if due_s <= 0:
            yield from self._list_beside() if self._notifications and self._has_listed else self._list()
        elif self._notifications is not None:
            yield self._take(self._notifications, wait_s=_WAIT_S)
        else:
            self._leave.wait(min(due_s, _WAIT_S))
        self._has_listed = True

    def _list(self) -> Iterator[Step]:
        """List with several threads; notifications wait."""
        followed = self._followed
        pace = Pace(listers=followed.listers)
        listing = Listing(self._store, followed.run, source=followed.source, registrar=self._registrar, pace=pace)
        for count in listing.counts():  # closed with this generator, which stops the threads
            yield Step("listing", count)
            if self._leave.is_set():
                return
        yield from self._refused()

    def _list_beside(self) -> Iterator[Step]:
        """List slowly, and settle notifications after each part of the listing."""
        with self._store.reading() as connection:
            shards = open_shards(connection, self._followed.run.id)
        for shard in shards:
            for batch in self._followed.source.batches(shard, most=None):
                shard, count = self._registrar.register(shard, batch)  # noqa: PLW2901 - the shard as it stands now
                yield Step("listing", count)
                if self._leave.is_set():
                    return
                if self._notifications is not None:
                    yield self._take(self._notifications, wait_s=0)
        for count in self._registrar.settle():
            yield Step("listing", count)
        yield from self._refused()

    def _refused(self) -> Iterator[Step]:
        if self._registrar.refused is not None:
            yield Step("listing", ListingCount(), refused=self._registrar.refused)

    # --------------------------------------------------------------------------------------------- notifications

    def _take(self, notifications: Notifications, *, wait_s: int) -> Step:
        """Settle some messages; they are deleted when that is committed."""
        messages: list[Message] = []
        while len(messages) < _MOST_MESSAGES and not self._leave.is_set():
            some = notifications.receive(wait_s=0 if messages else wait_s)
            if not some:
                break
            messages += some
        named = {message: self._keys(message) for message in messages}
        keys = sorted({key for some in named.values() if some for key in some})
        found, gone, refused = self._look(keys)
        count = self._registrar.register_named(found, gone) if found or gone else ListingCount()
        settled = [message for message, some in named.items() if some is not None and not some & refused]
        notifications.delete(settled)
        return Step("notifications", count, len(messages) - len(settled))

    def _keys(self, message: Message) -> frozenset[str] | None:
        """Return which keys a message names that are wanted; None where it is nothing that can be settled here."""
        places = parse_message(message.body)
        if places is None or any(place.bucket != self._followed.bucket for place in places):
            return None
        choice = self._followed.choice
        keys = (place.key for place in places)
        return frozenset(key for key in keys if key.startswith(choice.prefix) and is_media_key(key) and choice(key))

    def _look(self, keys: Sequence[str]) -> tuple[list[ListedObject], list[str], frozenset[str]]:
        """Return what lies at the keys, where nothing lies, and which cannot be looked at: they are left for later.

        Raises:
            SourceUnavailableError: the server answers for none of them.

        """
        if not keys:
            return [], [], frozenset()
        with ThreadPoolExecutor(min(len(keys), _ASKED_AT_ONCE), thread_name_prefix="finder") as pool:
            answers = dict(zip(keys, pool.map(self._find, keys), strict=True))
        failed = {key: one for key, one in answers.items() if isinstance(one, AnnotatorError)}
        away = next((one for one in failed.values() if isinstance(one, SourceUnavailableError)), None)
        if away is not None and len(failed) == len(answers):
            raise away
        found = [one for one in answers.values() if isinstance(one, ListedObject)]
        return found, [key for key, one in answers.items() if one is None], frozenset(failed)

    def _find(self, key: str) -> ListedObject | AnnotatorError | None:
        try:
            return self._followed.finder.find_object(self._followed.bucket, key)
        except (InputError, SourceUnavailableError) as error:
            return error


def be_patient(
    attempt: Callable[[], None],
    *,
    leave: threading.Event,
    warn: Callable[[str], None],
    got_on: threading.Event | None = None,
) -> None:
    """Try until it comes to its end, or is told to leave; what fails for now is tried again, later each time.

    What is wrong from the start is said at once. What is refused after it has gone well (a key that is rotated, a right
    that is taken away) is waited for as well: nobody need start the program anew when it is put right.

    Args:
        attempt: is begun anew after each failure.
        leave: set when it is to end.
        warn: told what fails, and when it is tried again.
        got_on: set by the attempt when something has gone well.

    Raises:
        BacklogStoppedError: the backlog was stopped.
        AnnotatorError: what was wrong from the start.

    """
    wait_s = _FIRST_BACK_OFF_S
    while not leave.is_set():
        began_s = time.monotonic()
        try:
            attempt()
        except AnnotatorError as error:
            is_waited_for = isinstance(error, TransientError) or (got_on is not None and got_on.is_set())
            if not is_waited_for or isinstance(error, BacklogStoppedError):
                raise
            if time.monotonic() - began_s > _LONGEST_BACK_OFF_S:  # it went well for a while
                wait_s = _FIRST_BACK_OFF_S
            warn(f"{' '.join(str(error).split()).rstrip('.').removesuffix('; try again')}; tries again in {wait_s:g} s")
            leave.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_BACK_OFF_S)
        else:
            return


@contextlib.contextmanager
def leaving_on_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second signal does what it did before."""
    leave = threading.Event()
    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        leave.set()
        signal.signal(number, earlier[signal.Signals(number)])

    for number in earlier:
        signal.signal(number, note)
    try:
        yield leave
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
