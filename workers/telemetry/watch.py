"""What a worker tells of its work, once, to all who listen: metrics, logs and traces."""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from annotator.store.queue.work import Claim, Report
from workers.annotating.engine import Outcome
from workers.telemetry.meters import Meters

MessageResult = Literal["ok", "duplicate", "returned", "failed", "malformed"]


@dataclass(slots=True, eq=False)
class Message:
    """A message that a task thread is at.

    Attributes:
        chunk_id: the chunk's row.
        media: how many ids it carries.
        claimed: how many of them this worker has won.
        result: ``duplicate`` where there was nothing to win any more, ``returned`` where the worker is draining,
            ``failed`` where a fault of ours ended it; its media then come back through the sweeper.

    """

    chunk_id: int
    media: int
    claimed: int = 0
    result: MessageResult = "ok"


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """What was reported of a claim, and whether the report counted.

    Attributes:
        claim: which one.
        outcome: what came of it; None where it was given back.
        report: what was told to the database.
        counts: False where the fence refused it: somebody else has the media by now.

    """

    claim: Claim
    outcome: Outcome | None
    report: Report
    counts: bool


class Observer:
    """Listens. Called from many threads, after the fact; must neither block nor raise.

    Who derives from it hears only what it defines.
    """

    def message_begun(self, message: Message) -> None:
        """A task thread has taken a message."""

    def message_ended(self, message: Message) -> None:
        """It is through with it."""

    def claimed(self, message: Message | None, claims: Sequence[Claim], *, took_s: float) -> None:
        """A transaction has claimed these media."""

    def settled(self, settled: Sequence[Settled], *, took_s: float) -> None:
        """A transaction has reported these claims and written their results."""

    def session_lost(self, dropped: Sequence[Claim]) -> None:
        """The session was taken for dead; what was in hand is dropped."""

    def database_refused(self) -> None:
        """The database did not take a transaction; it is tried again."""

    def rests(self, reason: str) -> None:
        """The machine is at fault: the worker claims nothing for a while."""


_CURRENT: ContextVar[Message | None] = ContextVar("annotator_message", default=None)


def current_message() -> Message | None:
    """Return the message that this thread is at."""
    return _CURRENT.get()


@dataclass(frozen=True, slots=True)
class Watch:
    """The meters of a worker, and those who listen to it.

    Attributes:
        meters: clocks of its stages.
        observers: are told in this order.

    """

    meters: Meters = field(default_factory=Meters)
    observers: tuple[Observer, ...] = ()

    @contextlib.contextmanager
    def message(self, chunk_id: int, *, media: int) -> Iterator[Message]:
        """Be at a message. One of which nothing was claimed is a duplicate, unless its result says otherwise."""
        message = Message(chunk_id, media)
        token = _CURRENT.set(message)
        for observer in self.observers:
            observer.message_begun(message)
        try:
            with self.meters.busy("message"):
                yield message
        except BaseException:
            message.result = "failed"
            raise
        finally:
            if message.result == "ok" and not message.claimed:
                message.result = "duplicate"
            for observer in self.observers:
                observer.message_ended(message)
            _CURRENT.reset(token)

    def malformed(self) -> None:
        """Say that a message could not be read: another version, or no message of ours at all."""
        message = Message(0, 0, result="malformed")
        for observer in self.observers:
            observer.message_ended(message)

    def claimed(self, claims: Sequence[Claim], *, took_s: float) -> None:
        """Say that a transaction has claimed these media for the message of this thread."""
        message = _CURRENT.get()
        if message is not None:
            message.claimed += len(claims)
        for observer in self.observers:
            observer.claimed(message, claims, took_s=took_s)

    def settled(self, settled: Sequence[Settled], *, took_s: float) -> None:
        """Say that a transaction has reported these claims."""
        for observer in self.observers:
            observer.settled(settled, took_s=took_s)

    def session_lost(self, dropped: Sequence[Claim]) -> None:
        """Say that the session was taken for dead."""
        for observer in self.observers:
            observer.session_lost(dropped)

    def database_refused(self) -> None:
        """Say that the database did not take a transaction."""
        for observer in self.observers:
            observer.database_refused()

    def rests(self, reason: str) -> None:
        """Say that the machine is at fault, and that nothing is claimed for a while."""
        for observer in self.observers:
            observer.rests(reason)
