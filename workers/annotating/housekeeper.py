"""A worker of the queue ``default`` alone: it has no networks, annotates nothing, and only says that it lives."""

from sqlalchemy import Engine

from annotator.liveness import AliveFile
from workers.annotating.session import Profile, Session
from workers.annotating.times import WorkerTimes
from workers.annotating.watchdog import Watchdog
from workers.telemetry.watch import Watch


class Housekeeper:
    """Keeps a session open, so that others know that somebody does the housekeeping."""

    def __init__(
        self,
        database: Engine,
        *,
        times: WorkerTimes,
        profile: Profile,
        watch: Watch,
        alive: AliveFile | None = None,
    ) -> None:
        """Take the parts; :meth:`start` begins.

        Args:
            database: with the newest schema.
            times: periods.
            profile: what the database is told of this worker.
            watch: who is told of the work.
            alive: where the supervisor is told that it lives.

        """
        self._times = times
        self._is_draining = False
        self._session = Session(database, profile=profile, heartbeat_s=times.heartbeat_s, watch=watch)
        self._watchdog = Watchdog(
            every_s=times.heartbeat_s,
            silent_s=lambda: self._session.silent_s,
            state=lambda: "draining" if self._is_draining else "ready",
            alive=alive,
        )

    @property
    def is_draining(self) -> bool:
        """Whether it has been told to stop."""
        return self._is_draining

    @property
    def drain_s(self) -> float:
        """From the signal to stop until the process leaves, in seconds."""
        return self._times.drain_s

    @property
    def in_hand(self) -> int:
        """No media, ever."""
        return 0

    def start(self) -> None:
        """Open a session, say that it is ready.

        Raises:
            StoreUnavailableError: the database does not answer.

        """
        self._session.open()
        self._watchdog.start()

    def start_draining(self) -> None:
        """Say that it takes no more work; jobs may be cut off at any time."""
        self._is_draining = True

    def hurry(self) -> None:
        """Do the same."""
        self.start_draining()

    def close(self) -> bool:
        """End the session and the threads; always in time."""
        self.start_draining()
        self._session.end()
        self._watchdog.close()
        return True
