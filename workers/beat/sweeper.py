"""The sweeper: what was lost is taken back."""

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from sqlalchemy import Engine

from annotator.errors import BrokerUnavailableError, StoreUnavailableError
from annotator.settings import WorkerSettings
from annotator.store.connection import writing
from annotator.store.queue.chunks import ChunkLimits, find_untaken, put_back, put_back_unclaimed
from annotator.store.queue.sweeping import BEGINNING, SweepReport, sweep
from workers.beat.queue_metrics import QueueMetrics

_LOGGER: Final = logging.getLogger(__name__)
# A search from the beginning may take this part of the time; others begin behind the claims that are settled.
_FULL_SEARCH_SHARE: Final = 1 / 20


class Broker(Protocol):
    """Where messages wait."""

    def waiting(self) -> set[int] | None:
        """Return the chunks whose messages nobody has taken; None where there are too many to be read.

        Raises ``BrokerUnavailableError`` where it does not answer.
        """


class Sweeper:
    """Takes back what was lost: claims of silent sessions and past their deadline, and chunks that nobody claimed.

    A message is lost with the process that dies before it has sent it, with the connection on which the broker has just
    sent it, and with the process that dies before it says in the database that it has it. Such a chunk is published
    again when two sweeps in a row find no message of it that waits, and nobody who has it. Where its worker is only
    slow, there are two messages of a chunk, which costs nothing. A chunk whose message is seen waiting is left alone,
    however long ago it was published.

    Where the database has refused this sweeper, or not answered for as long as a session may be silent, the workers
    could not say that they live either: it ends no session until they have had that time again. Nor does one that has
    just begun, which cannot know whether the database was away. After such a time silence counts for as long at least,
    unless the database does not answer for so long: one that refuses now and then must not keep the dead alive.
    """

    def __init__(
        self,
        engine: Engine,
        settings: WorkerSettings,
        *,
        broker: Broker | None = None,
        metrics: QueueMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what it needs.

        Args:
            engine: of the database.
            settings: limits of time and tries.
            broker: is asked which messages wait; None leaves that to the time limit of unclaimed chunks.
            metrics: what is told of the sweeps.
            clock: monotonic, in seconds.

        """
        self._engine = engine
        self._settings = settings
        self._broker = broker
        self._without_message: set[int] = set()
        self._metrics = metrics or QueueMetrics()
        self._clock = clock
        self._reached_s = clock()
        self._was_refused = False
        self._spares_until_s = self._reached_s + settings.session_timeout_s
        self._since = BEGINNING
        self._next_full_s = self._reached_s

    def run(self) -> None:
        """Sweep once, in transactions of a thousand media each."""
        report = self._sweep_some()
        while not report.is_all:
            report = self._sweep_some()
        waiting, after_s = self._waiting(), self._settings.unclaimed_after_s
        with writing(self._engine) as connection:
            again = put_back_unclaimed(connection, after_s=after_s, waiting=waiting or ())
            lost = set() if waiting is None else find_untaken(connection) - waiting
            again += put_back(connection, sorted(lost & self._without_message))
        self._without_message = lost - self._without_message
        self._metrics.swept_chunks(again)
        if again:
            _LOGGER.warning("%d chunks that nobody claimed are published again.", again)

    def _waiting(self) -> set[int] | None:
        try:
            return self._broker.waiting() if self._broker else None
        except BrokerUnavailableError as error:
            _LOGGER.warning("Whether messages were lost is not looked at: %s", error)
            return None

    def _sweep_some(self) -> SweepReport:
        settings, began_s = self._settings, self._clock()
        is_full = began_s >= self._next_full_s
        try:
            with writing(self._engine) as connection:
                spares_until_s = self._spares_silent_until_s()
                report = sweep(
                    connection,
                    session_timeout_s=settings.session_timeout_s,
                    max_tries=settings.max_attempts,
                    spares_silent=self._clock() < spares_until_s,
                    since=BEGINNING if is_full else self._since,
                    limits=ChunkLimits(media=settings.chunk_media, size_bytes=settings.chunk_bytes),
                )
        except StoreUnavailableError:
            self._was_refused = True
            raise
        self._note_reached(spares_until_s)
        self._since = report.since
        if is_full:
            self._next_full_s = self._reached_s + (self._reached_s - began_s) * (1 / _FULL_SEARCH_SHARE - 1)
        self._tell(report)
        return report

    def _spares_silent_until_s(self) -> float:
        """Say until when nobody is ended for his silence, if this sweep is not refused."""
        now_s, timeout_s = self._clock(), self._settings.session_timeout_s
        long_s = max(timeout_s, 2 * self._settings.sweep_every_s)
        was_away = now_s - self._reached_s > long_s
        # A refusal during such a time, or shortly after it, begins no other one: they would follow without a gap.
        if was_away or (self._was_refused and now_s >= self._spares_until_s + long_s):
            return now_s + timeout_s
        return self._spares_until_s

    def _note_reached(self, spares_until_s: float) -> None:
        self._reached_s = self._clock()
        self._was_refused = False
        if spares_until_s > self._spares_until_s:
            timeout_s = self._settings.session_timeout_s
            _LOGGER.warning("The database was away: for %.0f s, no worker counts as lost.", timeout_s)
            self._spares_until_s = spares_until_s

    def _tell(self, report: SweepReport) -> None:
        self._metrics.swept(
            sessions=report.sessions, media=report.requeued, suspects=report.suspects, given_up=report.settled
        )
        if report.requeued or report.settled:
            _LOGGER.warning(
                "Swept: %d silent sessions, %d media back (%d will run alone), %d given up.",
                report.sessions,
                report.requeued,
                report.suspects,
                report.settled,
            )
