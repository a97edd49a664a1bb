"""The batch writer: one thread, one transaction for many media, the fence in front of every result."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from annotator.errors import StoreUnavailableError
from annotator.store.connection import writing
from annotator.store.database_errors import MAX_CONFLICTS, blames_values, is_conflict
from annotator.store.queue.chunks import USUAL_LIMITS, ChunkLimits
from annotator.store.queue.work import Claim, Report, finish
from annotator.store.tables import WorkState
from annotator.store.writes import unstorable
from annotator.types import MediaFailure
from workers.annotating.engine import Breakdown, Outcome
from workers.annotating.gathering import Gathering
from workers.annotating.retry import report_breakdown, report_failure
from workers.telemetry.watch import Settled, Watch

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_EVERY_S: Final = 1.0  # about, so that many workers do not come back together


class ResultRows(Protocol):
    """Where results go."""

    @property
    def network_id(self) -> int:
        """The network whose work this is."""

    @property
    def labelling_id(self) -> int:
        """What labels the results."""

    def write(self, connection: Connection, outcomes: Sequence[Outcome], media_ids: Mapping[str, int]) -> None:
        """Write annotations and links to known contents in the caller's transaction; no failures come here.

        Args:
            connection: in a transaction that writes.
            outcomes: of media whose report counted.
            media_ids: their ids, by URI.

        """

    def tell(self, connection: Connection, reports: Sequence[Report]) -> None:
        """Write in the same transaction what is to be told of media that are settled.

        Args:
            connection: in a transaction that writes.
            reports: those that counted.

        """


@dataclass(frozen=True, slots=True, eq=False)
class Settlement:
    """A claim and what came of it.

    Attributes:
        claim: which one.
        outcome: what came of it; None to give it back.
        on_settled: called from the writer's thread, whether the report counted or the fence refused it.

    """

    claim: Claim
    outcome: Outcome | Breakdown | None
    on_settled: Callable[[Claim], None]

    @property
    def told(self) -> Outcome | None:
        """What is told of the media itself."""
        return self.outcome.failure if isinstance(self.outcome, Breakdown) else self.outcome


class BatchWriter:
    """Writes settlements in the order in which they come, up to so many media or so long together."""

    def __init__(  # noqa: PLR0913 - the parts, by name
        self,
        engine: Engine,
        rows: ResultRows,
        *,
        expects_more: Callable[[], bool],
        max_tries: int,
        limits: ChunkLimits = USUAL_LIMITS,
        max_media: int = 32,
        max_wait_s: float = 0.25,
        watch: Watch | None = None,
    ) -> None:
        """Take the database; :meth:`start` begins.

        Args:
            engine: of the database.
            rows: writes results.
            expects_more: whether waiting for a fuller batch makes sense.
            max_tries: tries until a passing trouble counts as failed.
            limits: of chunks of media that go back.
            max_media: most media of one transaction.
            max_wait_s: longest wait of a media for its transaction.
            watch: who is told of what was written.

        """
        self._watch = watch or Watch()
        self._random = Random()  # noqa: S311 - no secret
        self._engine = engine
        self._rows = rows
        self._max_tries = max_tries
        self._limits = limits
        self._gathering = Gathering[Settlement](most=max_media, max_wait_s=max_wait_s, expects_more=expects_more)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._gives_up = False

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def put(self, settlement: Settlement) -> None:
        """Queue a settlement; never blocks."""
        self._gathering.put(settlement)

    def close(self, *, timeout_s: float) -> bool:
        """Write what is queued, then end.

        Returns:
            Whether all is written.

        """
        self._gathering.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._gives_up = True
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._gathering.take():
            self._write(batch)
            for settlement in batch:
                settlement.on_settled(settlement.claim)

    def _write(self, batch: Sequence[Settlement]) -> None:
        """Write together; on an error one by one, so that one bad row harms no other."""
        try:
            self._write_when_it_answers(batch)
        except Exception as error:  # the boundary of the writer's thread
            if len(batch) > 1:
                _LOGGER.warning("A batch of %d media is written one by one: %s", len(batch), error)
                for settlement in batch:
                    self._write([settlement])
                return
            claim = batch[0].claim
            _LOGGER.exception("the result of %s cannot be written", claim.media.uri)
            outcome = batch[0].told
            if isinstance(outcome, MediaFailure) or outcome is None:
                return  # even its failure cannot be written; the sweeper decides
            self._write([Settlement(claim, unstorable(outcome, error), batch[0].on_settled)])

    def _write_when_it_answers(self, batch: Sequence[Settlement]) -> None:
        conflicts = 0
        while True:
            try:
                self._transact(batch)
            except StoreUnavailableError as error:
                self._wait(batch, error)
            except DBAPIError as error:
                if blames_values(error):
                    raise
                conflicts = conflicts + 1 if is_conflict(error) else MAX_CONFLICTS
                if conflicts >= MAX_CONFLICTS:
                    self._wait(batch, error)
                    conflicts = 0
            else:
                return
            if self._gives_up:
                return

    def _wait(self, batch: Sequence[Settlement], error: Exception) -> None:
        """Wait with results that are not to blame; the fence refuses what comes after its deadline."""
        if self._gives_up:
            return
        _LOGGER.warning("%d results wait: %s", len(batch), error)
        self._watch.database_refused()
        time.sleep(_RETRY_EVERY_S * self._random.uniform(0.5, 1.5))

    def _transact(self, batch: Sequence[Settlement]) -> None:
        batch = _newest(batch)
        luck = self._random.random()
        reports = [self._report(settlement, luck) for settlement in batch]
        began_s = time.monotonic()
        with self._watch.meters.busy("write"), writing(self._engine) as connection:
            network_id = self._rows.network_id
            counted = finish(connection, network_id=network_id, reports=reports, limits=self._limits)
            won = [(one.told, one.claim.media_id) for one in batch if one.claim.media_id in counted]
            results = [(told, one) for told, one in won if told is not None and not isinstance(told, MediaFailure)]
            if results:
                media_ids = {told.media.uri: media_id for told, media_id in results}
                self._rows.write(connection, [told for told, _ in results], media_ids)
            self._rows.tell(connection, [one for one in reports if one.claim.media_id in counted])
        settled = [
            Settled(one.claim, one.told, report, counts=one.claim.media_id in counted)
            for one, report in zip(batch, reports, strict=True)
        ]
        self._watch.settled(settled, took_s=time.monotonic() - began_s)
        if len(counted) < len(batch):
            _LOGGER.warning("The fence refused %d late results.", len(batch) - len(counted))

    def _report(self, settlement: Settlement, luck: float) -> Report:
        claim, outcome, tries = settlement.claim, settlement.outcome, self._max_tries
        if outcome is None:
            return Report(claim, WorkState.PENDING, gives_back=True)
        if isinstance(outcome, Breakdown):
            failure, was_alone = outcome.failure, outcome.was_alone
            return report_breakdown(claim, failure, was_alone=was_alone, max_tries=tries, luck=luck)
        if isinstance(outcome, MediaFailure):
            return report_failure(claim, outcome, max_tries=tries, luck=luck)
        return Report(claim, WorkState.DONE)


def _newest(batch: Sequence[Settlement]) -> list[Settlement]:
    """Return one settlement for each media: of its newest claim, since the fence refuses all others.

    Of several for one claim the first counts: what was done before it was given back in a drain is done.
    """
    newest: dict[int, Settlement] = {}
    for one in batch:
        former = newest.get(one.claim.media_id)
        if former is None or one.claim.attempts > former.claim.attempts:
            newest[one.claim.media_id] = one
    return list(newest.values())
