"""What a worker process does with a message: claim, annotate, report; and how it lives, is fenced and drains."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Engine

from annotator.errors import AnnotatorError, StoreUnavailableError
from annotator.store.chunks import put_back, settle
from annotator.store.connection import reading, writing
from annotator.store.tables import WorkState
from annotator.store.work import (
    Claim,
    Deadlines,
    Report,
    claim,
    clear_suspicion,
    close_session,
    find_suspects,
    finish,
    heartbeat,
    open_session,
)
from workers.engine import BatchingEngine, MediaAnnotator, Outcome
from workers.gate import Gate
from workers.watch import Watch
from workers.writer import BatchWriter, ResultRows, Settlement

_LOGGER: Final = logging.getLogger(__name__)
_DATABASE_RETRY_S: Final = 2.0
# Of the time that a drain may take: until then media are finished, the rest is for giving back and leaving.
_FINISH_SHARE: Final = 8 / 12


@dataclass(frozen=True, slots=True)
class WorkerTimes:
    """How a worker keeps time.

    Attributes:
        heartbeat_s: between two signs of life.
        drain_s: from the signal to stop until the process leaves.
        deadlines: how long a claim may last.
        max_tries: tries until a passing trouble counts as failed.
        write_media: most media of one transaction.
        write_wait_s: longest wait of a media for its transaction.

    """

    heartbeat_s: float = 10.0
    drain_s: float = 12.0
    deadlines: Deadlines = field(default_factory=Deadlines)
    max_tries: int = 5
    write_media: int = 32
    write_wait_s: float = 0.25


class _Latch:
    """Opens when so many claims are settled or given up."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = threading.Condition()

    def count_down(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._count <= 0)


class Worker:
    """One per process. Task threads call :meth:`run_chunk`; everything else runs in threads of its own."""

    def __init__(  # noqa: PLR0913 - the parts, by name
        self,
        database: Engine,
        annotator: MediaAnnotator,
        rows: ResultRows,
        *,
        is_known: Callable[[str], bool] | None = None,
        times: WorkerTimes | None = None,
        on_fatal: Callable[[AnnotatorError], None],
        watch: Watch | None = None,
    ) -> None:
        """Take the parts; :meth:`start` begins.

        Args:
            database: with the newest schema.
            annotator: used by the engine's thread alone.
            rows: writes results.
            is_known: whether the bytes of this digest are annotated already.
            times: deadlines and periods.
            on_fatal: called once when the worker cannot go on and should be stopped.
            watch: who is told of the work.

        """
        self._watch = watch or Watch()
        self._database = database
        self._rows = rows
        self._times = times or WorkerTimes()
        self._engine = BatchingEngine(annotator, is_known=is_known, on_fatal=partial(self._on_fatal, on_fatal))
        self._writer = BatchWriter(
            database,
            rows,
            expects_more=lambda: self._engine.in_hand > 0,
            max_tries=self._times.max_tries,
            max_media=self._times.write_media,
            max_wait_s=self._times.write_wait_s,
            watch=self._watch,
        )
        self._gate = Gate()
        self._lock = threading.Lock()
        self._held: dict[tuple[int, int, int], tuple[Claim, _Latch]] = {}
        self._is_over = False
        self._session_id = 0
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def watch(self) -> Watch:
        """Who is told of the work."""
        return self._watch

    @property
    def is_draining(self) -> bool:
        """Whether it has stopped claiming."""
        return self._stopping.is_set()

    @property
    def drain_s(self) -> float:
        """From the signal to stop until the process leaves, in seconds."""
        return self._times.drain_s

    @property
    def in_hand(self) -> int:
        """Return how many media are claimed and not settled."""
        with self._lock:
            return len(self._held)

    def start(self) -> None:
        """Start the threads and open a session.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        self._engine.start()
        self._writer.start()
        self._session_id = self._open_session()
        self._heart.start()

    def run_chunk(self, chunk_id: int, media_ids: Sequence[int]) -> None:
        """Annotate those media of a message that are still to be done; return when each is settled or given back."""
        with self._watch.message(chunk_id, media=len(media_ids)) as message:
            while not self.is_draining:
                try:
                    if self._run_all(media_ids):
                        with writing(self._database) as connection:
                            settle(connection, chunk_id)
                        return
                except StoreUnavailableError as error:
                    _LOGGER.warning("A message waits: %s", error)
                    self._watch.database_refused()
                    self._stopping.wait(_DATABASE_RETRY_S)
            message.result = "returned"
            self._return_chunk(chunk_id)

    def _run_all(self, media_ids: Sequence[int]) -> bool:
        """Claim and run; whether everything that was pending has been claimed (what went back travels anew)."""
        with self._gate.together():
            if not self._run(self._claim(media_ids)):
                return False
        with reading(self._database) as connection:
            suspects = find_suspects(connection, self._rows.network_id, media_ids)
        return all(self._run_alone(media_id) for media_id in suspects)

    def _run_alone(self, media_id: int) -> bool:
        """Run a suspect with nothing else in hand: if the process dies now, it is known who killed it."""
        with self._gate.alone():
            return self._run(self._claim([media_id], suspects=True))

    def _claim(self, media_ids: Sequence[int], *, suspects: bool = False) -> list[Claim] | None:
        if self.is_draining:
            return None
        began_s = time.monotonic()
        with self._watch.meters.busy("claim"), writing(self._database) as connection:
            claims = claim(
                connection,
                network_id=self._rows.network_id,
                media_ids=media_ids,
                session_id=self._session_id,
                deadlines=self._times.deadlines,
                suspects=suspects,
            )
        self._watch.claimed(claims, took_s=time.monotonic() - began_s)
        return claims

    def _run(self, claims: Sequence[Claim] | None) -> bool:
        """Run claims until each is settled; False if there was no claiming any more."""
        if claims is None:
            return False
        latch = _Latch(len(claims))
        with self._lock:
            is_over = self._is_over
            if not is_over:
                self._held.update({_key(one): (one, latch) for one in claims})
        if is_over:  # the drain has ended between the claim and here
            self._give_back(claims)
            return True
        for one in claims:
            self._engine.submit(one.media, partial(self._on_outcome, one))
        latch.wait()
        return True

    def _give_back(self, claims: Sequence[Claim]) -> None:
        reports = [Report(one, WorkState.PENDING, gives_back=True) for one in claims]
        with writing(self._database) as connection:
            finish(connection, network_id=self._rows.network_id, reports=reports)

    def _on_outcome(self, one: Claim, outcome: Outcome) -> None:
        self._writer.put(Settlement(one, outcome, self._on_settled))

    def _on_settled(self, one: Claim) -> None:
        with self._lock:
            _, latch = self._held.pop(_key(one), (one, None))
        if latch is not None:
            latch.count_down()

    def _return_chunk(self, chunk_id: int) -> None:
        """Let the feeder publish the chunk again; a rejected message would be lost if the broker were away."""
        try:
            with writing(self._database) as connection:
                put_back(connection, [chunk_id])
        except StoreUnavailableError as error:
            _LOGGER.warning("Chunk %d is published again when it is found unclaimed: %s", chunk_id, error)

    # ------------------------------------------------------------------------------------------------------- session

    def _open_session(self) -> int:
        with writing(self._database) as connection:
            return open_session(connection, worker=f"{socket.gethostname()}:{os.getpid()}")

    def _beat(self) -> None:
        while not self._closed.wait(self._times.heartbeat_s):
            try:
                with writing(self._database) as connection:
                    lives = heartbeat(connection, self._session_id, in_hand=self.in_hand)
                if not lives:
                    self._start_over()
            except StoreUnavailableError as error:
                _LOGGER.warning("No sign of life: %s", error)
                self._watch.database_refused()
            except Exception:  # the boundary of the heart's thread: without it all work in hand is taken for lost
                _LOGGER.exception("a sign of life failed")

    def _start_over(self) -> None:
        """Drop all in hand: a sweeper has taken it for lost, and somebody else may have it by now."""
        _LOGGER.warning("This session was taken for dead; %d media in hand are dropped.", self.in_hand)
        fresh = self._open_session()
        with self._lock:
            self._session_id = fresh
            dropped = list(self._held.values())
            self._held.clear()
            self._engine.abandon()
        self._watch.session_lost([one for one, _ in dropped])
        try:
            with writing(self._database) as connection:
                clear_suspicion(connection, self._rows.network_id, [one for one, _ in dropped])
        finally:  # whatever the database says: nobody else will let go of the threads that wait
            for _, latch in dropped:
                latch.count_down()

    # ---------------------------------------------------------------------------------------------------------- stop

    def start_draining(self) -> None:
        """Stop claiming and leave in time; returns at once. May be called from a signal handler, and twice."""
        if not self._stopping.is_set():
            self._stopping.set()
            threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def _drain(self) -> None:
        began_s = time.monotonic()
        finish_s = self._times.drain_s * _FINISH_SHARE
        while self.in_hand and time.monotonic() - began_s < finish_s:
            time.sleep(0.05)
        self._give_back_rest()
        self._end_session()
        self._drained.set()

    def _give_back_rest(self) -> None:
        with self._lock:
            rest = [one for one, _ in self._held.values()]
            self._is_over = True
            self._engine.abandon()
        for one in rest:
            self._writer.put(Settlement(one, None, self._on_settled))
        if rest:
            _LOGGER.info("%d media go back.", len(rest))

    def _end_session(self) -> None:
        left_s = self._times.drain_s * (1 - _FINISH_SHARE) / 2
        self._writer.close(timeout_s=left_s)
        try:
            with writing(self._database) as connection:
                close_session(connection, self._session_id)
        except StoreUnavailableError as error:
            _LOGGER.warning("The session is left to the sweeper: %s", error)
        with self._lock:
            latches = [latch for _, latch in self._held.values()]
            self._held.clear()
        for latch in latches:
            latch.count_down()

    def close(self) -> bool:
        """Drain if nobody has asked for it yet, and end the threads.

        Returns:
            Whether all threads have ended; if not, something native is still running and the process should exit
            without the interpreter's clean-up.

        """
        self.start_draining()
        self._drained.wait(self._times.drain_s)
        self._closed.set()
        return self._engine.close(timeout_s=1.0)

    def _on_fatal(self, report: Callable[[AnnotatorError], None], error: AnnotatorError) -> None:
        """Give back what is in hand: another worker may be able to do it."""
        _LOGGER.critical("%s", error)
        self.start_draining()
        self._give_back_rest()
        report(error)


def _key(one: Claim) -> tuple[int, int, int]:
    return one.media_id, one.session_id, one.attempts
