"""What a worker process does with a message: claim, annotate, report; and how it lives, is fenced and drains."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from annotator.errors import AnnotatorError, StoreUnavailableError
from annotator.liveness import AliveFile
from annotator.store.connection import reading, writing
from annotator.store.database_errors import MAX_CONFLICTS, is_conflict
from annotator.store.queue.chunks import put_back, settle, take_chunk
from annotator.store.queue.lanes import FILM
from annotator.store.queue.sessions import is_session_open
from annotator.store.queue.work import (
    Claim,
    Report,
    claim,
    clear_suspicion,
    extend,
    find_suspects,
    finish,
    give_back_unheard,
)
from annotator.store.tables import WorkState
from workers.annotating.engine import BatchingEngine, Breakdown, MediaAnnotator, Outcome
from workers.annotating.gate import Gate
from workers.annotating.held import Held
from workers.annotating.machine import Machine
from workers.annotating.media_queue import Begun
from workers.annotating.refusals import Refusals
from workers.annotating.session import Profile, Session, Tally
from workers.annotating.times import WorkerTimes
from workers.annotating.watchdog import Watchdog
from workers.annotating.writer import BatchWriter, ResultRows, Settlement
from workers.telemetry.watch import Watch

_LOGGER: Final = logging.getLogger(__name__)
_DATABASE_RETRY_S: Final = 2.0
# Of the time that a drain may take: until then media are finished, the rest is for giving back and leaving.
_FINISH_SHARE: Final = 8 / 12
# How long a chunk waits that could not be run here: about, so that many do not come back together.
_FILM_WAIT_S: Final = 10.0
_ALONE_WAIT_S: Final = 20.0
_FAULT_WAIT_S: Final = 15.0
_NETWORK_WAIT_S: Final = 10.0
_SESSION_WAIT_S: Final = 10.0
# How long a suspect waits for the others in hand to be done, and keeps new ones out meanwhile.
_ALONE_TIMEOUT_S: Final = 60.0


class _GoesBackError(Exception):
    """A chunk cannot be run here now; the feeder publishes it again."""

    def __init__(self, delay_s: float | None = None) -> None:
        super().__init__()
        self.delay_s = delay_s


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
        on_hang: Callable[[], None] = lambda: None,
        profile: Profile | None = None,
        alive: AliveFile | None = None,
        watch: Watch | None = None,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the parts; :meth:`start` begins.

        Args:
            database: with the newest schema.
            annotator: used by the engine's thread alone.
            rows: writes results.
            is_known: whether the bytes of this digest are annotated already.
            times: deadlines and periods.
            on_fatal: called once when the worker cannot go on and should be stopped.
            on_hang: called once when something in the engine never returns and the process has to leave at once.
            profile: what the database is told of this worker.
            alive: where the supervisor is told that it lives.
            watch: who is told of the work.
            on_turn: called by the watchdog at every look.

        """
        self._watch = watch or Watch()
        self._database = database
        self._rows = rows
        self._times = times = times or WorkerTimes()
        self._engine = BatchingEngine(
            annotator, is_known=is_known, on_fatal=partial(self._on_fatal, on_fatal), max_films=times.max_films
        )
        self._writer = BatchWriter(
            database,
            rows,
            expects_more=lambda: self._engine.in_hand > 0,
            max_tries=times.max_tries,
            limits=times.chunk_limits,
            max_media=times.write_media,
            max_wait_s=times.write_wait_s,
            watch=self._watch,
        )
        self._session = Session(
            database,
            profile=profile or Profile(),
            heartbeat_s=times.heartbeat_s,
            watch=self._watch,
            tally=self._tally,
            on_beat=self._extend,
            on_opened=self._begin_session,
        )
        self._watchdog = Watchdog(
            every_s=times.heartbeat_s,
            begun=self._engine.begun,
            deadlines=times.deadlines.by_lane,
            silent_s=lambda: self._session.silent_s,
            state=lambda: "draining" if self.is_draining else "ready",
            alive=alive,
            on_hang=partial(self._on_hang, on_hang),
            on_turn=on_turn,
        )
        self._gate = Gate()
        self._machine = Machine(on_rest=self._watch.rests)
        self._refusals = Refusals(annotator.model)
        self._films = threading.BoundedSemaphore(times.max_films)
        self._suspect_waits_until_s = 0.0
        self._random = Random()  # noqa: S311 - no secret
        self._held = Held()
        self._unsure: set[int] = set()  # what was perhaps claimed: the connection broke
        self._stopping = threading.Event()
        self._hurrying = threading.Event()
        self._drained = threading.Event()

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
        return len(self._held)

    def start(self) -> None:
        """Warm up, start the threads, open a session, say that it is ready.

        Raises:
            ModelError: the networks do not run.
            StoreUnavailableError: the database does not answer.

        """
        self._engine.start()
        self._writer.start()
        self._session.open()
        self._watchdog.start()

    # ------------------------------------------------------------------------------------------------------ messages

    def run_chunk(self, chunk_id: int, media_ids: Sequence[int]) -> None:
        """Annotate those media of a message that are still to be done; return when each is settled or given back.

        Whatever goes wrong, the chunk is not lost, and the caller's thread is free again.
        """
        with self._watch.message(chunk_id, media=len(media_ids)) as message:
            try:
                self._run_when_it_answers(chunk_id, media_ids)
            except _GoesBackError as back:
                message.result = "returned"
                self._return_chunk(chunk_id, back.delay_s)
            except Exception:  # the boundary of a task: Celery would acknowledge the message and forget it
                _LOGGER.exception("chunk %d cannot be run and goes back", chunk_id)
                message.result = "failed"
                self._return_chunk(chunk_id, _FAULT_WAIT_S)
        self._stopping.wait(self._machine.rest_s)  # with a message in hand: no other comes to this thread meanwhile

    def _run_when_it_answers(self, chunk_id: int, media_ids: Sequence[int]) -> None:
        conflicts = 0
        while not self.is_draining:
            try:
                self._run_message(chunk_id, media_ids)
            except DBAPIError as error:
                conflicts += 1
                if not is_conflict(error) or conflicts >= MAX_CONFLICTS:
                    raise
                _LOGGER.warning("Chunk %d lost against another transaction and begins again: %s", chunk_id, error.orig)
            except StoreUnavailableError as error:
                self._unsure.update(media_ids)
                _LOGGER.warning("A message waits: %s", error)
                self._watch.database_refused()
                self._stopping.wait(_DATABASE_RETRY_S)
            else:
                return
        raise _GoesBackError

    def _run_message(self, chunk_id: int, media_ids: Sequence[int]) -> None:
        with writing(self._database) as connection:
            chunk = take_chunk(connection, chunk_id, session_id=self._held.session_id)
        if chunk is not None and chunk.network_id != self._rows.network_id:
            raise _GoesBackError(_NETWORK_WAIT_S)  # the feeder waits for a worker that runs it
        with self._place_for_film(is_film=chunk is not None and chunk.lane == FILM):
            with self._gate.together():
                claims = self._claim(media_ids)
                self._run(claims)
            # Suspects are not claimed with others; and what was in hand of a session taken for dead has become suspect.
            if len(claims) < len(media_ids) or claims[0].session_id != self._held.session_id:
                self._run_suspects(media_ids)
        if chunk is not None and set(chunk.media_ids) <= set(media_ids):
            with writing(self._database) as connection:
                settle(connection, chunk_id)

    def _run_suspects(self, media_ids: Sequence[int]) -> None:
        with reading(self._database) as connection:
            suspects = find_suspects(connection, self._rows.network_id, media_ids)
        for media_id in suspects:
            self._run_alone(media_id)

    @contextmanager
    def _place_for_film(self, *, is_film: bool) -> Iterator[None]:
        """Hold one of the few places of films: the other task threads stay free for small media."""
        if not is_film:
            yield
            return
        if time.monotonic() < self._suspect_waits_until_s or not self._films.acquire(blocking=False):
            raise _GoesBackError(_FILM_WAIT_S)
        try:
            yield
        finally:
            self._films.release()

    def _run_alone(self, media_id: int) -> None:
        """Run a suspect with nothing else in hand: if the process dies now, it is known who killed it.

        A film in hand is not waited for, since nothing else could begin meanwhile. Instead the suspect comes back
        again and again, and no new film begins until it has had its turn.
        """
        timeout_s = 0.0 if self._held.films() else _ALONE_TIMEOUT_S
        with self._gate.alone(timeout_s=timeout_s) as is_alone:
            if not is_alone:
                self._suspect_waits_until_s = time.monotonic() + 2 * _ALONE_WAIT_S
                raise _GoesBackError(_ALONE_WAIT_S)
            self._run(self._claim([media_id], suspects=True))

    def _claim(self, media_ids: Sequence[int], *, suspects: bool = False) -> list[Claim]:
        if self.is_draining or self._machine.rest_s:
            raise _GoesBackError
        began_s = time.monotonic()
        session_id, network_id = self._held.session_id, self._rows.network_id
        unsure = self._unsure.intersection(media_ids) - self._held.media_ids()
        with self._watch.meters.busy("claim"), writing(self._database) as connection:
            give_back_unheard(connection, network_id=network_id, session_id=session_id, media_ids=unsure)
            claims = claim(
                connection,
                network_id=network_id,
                media_ids=media_ids,
                session_id=session_id,
                deadlines=self._times.deadlines,
                suspects=suspects,
            )
            if not claims and not is_session_open(connection, session_id):
                raise _GoesBackError(_SESSION_WAIT_S)  # a sweeper has ended it; the next heartbeat opens another one
        self._unsure.difference_update(unsure)
        self._watch.claimed(claims, took_s=time.monotonic() - began_s)
        return claims

    def _run(self, claims: Sequence[Claim]) -> None:
        """Run claims until each is settled."""
        if not claims:  # suspects, which run alone, or what others have settled: nothing is held, until no time
            return
        latch = self._held.add(claims, time_s=self._time_of(claims))
        if latch is None:
            self._give_back(claims)
            return
        open_ones, refused = self._refusals.choose(claims)
        tried, left = self._machine.choose(open_ones)
        for one, failure in [*refused, *((one, None) for one in left)]:
            self._writer.put(Settlement(one, failure, self._held.settle))
        for one in tried:
            self._engine.submit(one.media, partial(self._on_outcome, one), is_film=one.piece.lane == FILM)
        latch.wait()

    def _give_back(self, claims: Sequence[Claim]) -> None:
        reports = [Report(one, WorkState.PENDING, gives_back=True) for one in claims]
        with writing(self._database) as connection:
            limits = self._times.chunk_limits
            finish(connection, network_id=self._rows.network_id, reports=reports, limits=limits)

    def _on_outcome(self, one: Claim, outcome: Outcome | Breakdown) -> None:
        self._machine.look(outcome)
        self._writer.put(Settlement(one, self._refusals.judge(outcome), self._held.settle))

    def _return_chunk(self, chunk_id: int, delay_s: float | None) -> None:
        """Let the feeder publish the chunk again; a rejected message would be lost if the broker were away."""
        wait_s = None if delay_s is None else delay_s * self._random.uniform(0.75, 1.25)
        try:
            with writing(self._database) as connection:
                put_back(connection, [chunk_id], delay_s=wait_s)
        except Exception as error:  # noqa: BLE001 - the last thing that a task does: it has to end
            _LOGGER.warning("Chunk %d is published again when it is found unclaimed: %s", chunk_id, error)

    # ------------------------------------------------------------------------------------------------------- session

    def _tally(self) -> Tally:
        return Tally(in_hand=len(self._held), media_done=self._held.settled)

    def _extend(self) -> None:
        """Put off the deadlines of what waits for its turn, as long as this worker gets on."""
        session_id, claims = self._held.session_id, self._held.choose_to_extend()
        if not claims:
            return
        time_s = self._time_of(claims)
        with writing(self._database) as connection:
            extend(
                connection,
                network_id=self._rows.network_id,
                session_id=session_id,
                media_ids=[one.media_id for one in claims],
                time_s=time_s,
            )
        self._held.extended(claims, time_s=time_s)

    def _time_of(self, claims: Sequence[Claim]) -> float:
        return self._times.deadlines.of([one.piece for one in claims])

    def _begin_session(self, session_id: int) -> None:
        """Drop all in hand: a sweeper has taken it for lost, and somebody else may have it by now."""
        self._engine.abandon()  # first: what is claimed under the new session must not be forgotten with the rest
        dropped = self._held.begin_session(session_id)
        if not dropped:
            return
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

    def hurry(self) -> None:
        """Drain, and finish nothing more: give back at once. May be called from a signal handler."""
        self._hurrying.set()
        self.start_draining()

    def _drain(self) -> None:
        until_s = time.monotonic() + self._times.drain_s * _FINISH_SHARE
        while self.in_hand and time.monotonic() < until_s and not self._hurrying.is_set():
            time.sleep(0.05)
        self._give_back_rest()
        self._end_session()
        self._drained.set()

    def _give_back_rest(self, *, begun: Sequence[Begun] = ()) -> None:
        """Give back what is in hand, except what has begun and must not be given to others as if it were innocent."""
        rest = self._held.close(without={one.media for one in begun})
        self._engine.abandon()
        for one in rest:
            self._writer.put(Settlement(one, None, self._held.settle))
        if rest:
            _LOGGER.info("%d media go back.", len(rest))

    def _end_session(self) -> None:
        self._writer.close(timeout_s=self._times.drain_s * (1 - _FINISH_SHARE) / 2)
        self._session.end()
        self._held.give_up()

    def close(self) -> bool:
        """Drain if nobody has asked for it yet, and end the threads.

        Returns:
            Whether all threads have ended; if not, something native is still running and the process should exit
            without the interpreter's clean-up.

        """
        self.start_draining()
        self._drained.wait(self._times.drain_s)
        self._watchdog.close()
        return self._engine.close(timeout_s=1.0)

    def _on_fatal(self, report: Callable[[AnnotatorError], None], error: AnnotatorError) -> None:
        """Give back what is in hand: another worker may be able to do it."""
        _LOGGER.critical("%s", error)
        self.start_draining()
        self._give_back_rest()
        report(error)

    def _on_hang(self, leave: Callable[[], None], hung: Begun) -> None:
        """Leave as if the process had died of what is under way; only what has not begun goes back."""
        _LOGGER.critical(
            "%s has been in the engine for longer than its claim lasts: something in it never returns. This process "
            "leaves; what is under way will run alone.",
            hung.media.uri,
        )
        self._stopping.set()
        goodbye = threading.Thread(target=self._leave_begun, name="goodbye", daemon=True)
        goodbye.start()
        goodbye.join(self._times.drain_s)  # a database that does not answer keeps nobody here
        leave()

    def _leave_begun(self) -> None:
        self._give_back_rest(begun=self._engine.begun())
        self._end_session()
