"""The session of a worker process: its life as the database sees it."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from annotator.errors import StoreUnavailableError
from annotator.store.connection import writing
from annotator.store.queue.sessions import close_session, heartbeat, open_session
from workers.telemetry.watch import Watch

_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Profile:
    """What the database is told of a worker.

    Attributes:
        queues: whose messages it takes.
        device: what its networks run on; None where it has none.
        network_id: which network it runs; None where it has none.
        labelling_id: what labels its results; None where nothing does.

    """

    queues: tuple[str, ...] = ()
    device: str | None = None
    network_id: int | None = None
    labelling_id: int | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a heartbeat tells of the work.

    Attributes:
        in_hand: media claimed and not settled.
        media_done: media reported since the session was opened.

    """

    in_hand: int = 0
    media_done: int = 0


class Session:
    """Says every few seconds that this process lives; finds out when it was taken for dead, and begins anew."""

    def __init__(  # noqa: PLR0913 - the parts, by name
        self,
        database: Engine,
        *,
        profile: Profile,
        heartbeat_s: float,
        watch: Watch,
        tally: Callable[[], Tally] = Tally,
        on_beat: Callable[[], None] = lambda: None,
        on_opened: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Take the parts; :meth:`open` begins.

        Args:
            database: with the newest schema.
            profile: what the database is told of this worker.
            heartbeat_s: between two heartbeats.
            watch: who is told of the work.
            tally: what a heartbeat tells.
            on_beat: called after each heartbeat of a session that lives; may write to the database.
            on_opened: called with the number of a session that was opened, also when the former one was ended by
                somebody else: what was claimed under that is lost.

        """
        self._database = database
        self._profile = profile
        self._heartbeat_s = heartbeat_s
        self._watch = watch
        self._tally = tally
        self._on_beat = on_beat
        self._on_opened = on_opened
        self._id = 0
        self._turned_s = time.monotonic()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def silent_s(self) -> float:
        """For how long the heart has not come round: it waits for the database."""
        return time.monotonic() - self._turned_s

    def open(self) -> None:
        """Open it and let the heart beat.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        self._open_row()
        self._heart.start()

    def end(self) -> None:
        """End it in the database, for good; give back what is in hand first."""
        self._closed.set()
        try:
            with writing(self._database) as connection:
                close_session(connection, self._id)
        except StoreUnavailableError as error:
            _LOGGER.warning("The session is left to the sweeper: %s", error)

    def _open_row(self) -> None:
        worker = f"{socket.gethostname()}:{os.getpid()}"
        profile = self._profile
        with writing(self._database) as connection:
            self._id = open_session(
                connection,
                worker=worker,
                queues=profile.queues,
                device=profile.device,
                network_id=profile.network_id,
                labelling_id=profile.labelling_id,
            )
        self._on_opened(self._id)

    def _beat(self) -> None:
        while not self._closed.wait(self._heartbeat_s):
            try:
                self._tell()
            except StoreUnavailableError as error:
                _LOGGER.warning("No heartbeat: %s", error)
                self._watch.database_refused()
            except Exception:  # the boundary of the heart's thread: without it all work in hand is taken for lost
                _LOGGER.exception("a heartbeat failed")
            self._turned_s = time.monotonic()

    def _tell(self) -> None:
        tally, busy = self._tally(), self._watch.meters.shares()
        with writing(self._database) as connection:
            lives = heartbeat(connection, self._id, in_hand=tally.in_hand, busy=busy, media_done=tally.media_done)
        if lives:
            self._on_beat()
        elif not self._closed.is_set():
            _LOGGER.warning("This session was taken for dead; %d media in hand are dropped.", tally.in_hand)
            self._open_row()
