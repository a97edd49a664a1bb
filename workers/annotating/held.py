"""The claims that a worker has in hand, and the task threads that wait until each of them is settled."""

import threading
import time
from collections.abc import Callable, Collection, Sequence

from annotator.store.queue.lanes import FILM
from annotator.store.queue.work import Claim
from annotator.types import MediaRef


class Latch:
    """Opens when so many claims are settled or given up."""

    def __init__(self, count: int) -> None:
        """Begin with a count."""
        self._count = count
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def count_down(self) -> None:
        """Count one claim as settled."""
        with self._lock:
            self._count -= 1
            if self._count <= 0:
                self._changed.notify_all()

    def wait(self) -> None:
        """Wait until all are."""
        with self._lock:
            self._changed.wait_for(lambda: self._count <= 0)


class Held:
    """What is in hand in the present session. Thread-safe."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing, in no session.

        Args:
            clock: monotonic, in seconds.

        """
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[tuple[int, int, int], tuple[Claim, Latch]] = {}
        self._extends_s: dict[tuple[int, int, int], float] = {}
        self._settled_before = 0
        self._session_id = 0
        self._settled = 0
        self._is_over = False

    @property
    def session_id(self) -> int:
        """The session in which claims are made now."""
        return self._session_id

    @property
    def settled(self) -> int:
        """How many claims of this session are settled."""
        return self._settled

    def __len__(self) -> int:
        """Return how many claims are in hand."""
        with self._lock:
            return len(self._claims)

    def media_ids(self) -> set[int]:
        """Return which media are in hand."""
        with self._lock:
            return {claim.media_id for claim, _ in self._claims.values()}

    def films(self) -> int:
        """Return how many of them are films."""
        with self._lock:
            return sum(claim.piece.lane == FILM for claim, _ in self._claims.values())

    def begin_session(self, session_id: int) -> list[tuple[Claim, Latch]]:
        """Go over to a session; what was in hand in the former one is dropped and returned."""
        with self._lock:
            self._session_id = session_id
            self._settled = self._settled_before = 0
            return self._take_all()

    def add(self, claims: Sequence[Claim], *, time_s: float) -> Latch | None:
        """Take claims in hand.

        Args:
            claims: made together.
            time_s: from now until their deadline.

        Returns:
            What opens when all are settled; None where it is too late: since the claim, the session or the drain has
            ended.

        """
        latch = Latch(len(claims))
        with self._lock:
            if self._is_over or any(claim.session_id != self._session_id for claim in claims):
                return None
            self._claims.update({claim.key: (claim, latch) for claim in claims})
            self._plan(claims, time_s)
        return latch

    def choose_to_extend(self) -> list[Claim]:
        """Return claims whose deadline is to be put off: those of whose time half is over.

        They are none where nothing was settled since the last were put off: who gets on, slowly, is not to lose what
        waits for its turn; who does not is.
        """
        with self._lock:
            if self._settled == self._settled_before:
                return []
            now_s = self._clock()
            return [claim for key, (claim, _) in self._claims.items() if self._extends_s[key] <= now_s]

    def extended(self, claims: Sequence[Claim], *, time_s: float) -> None:
        """Say that so much time is left until the deadline of claims, from now."""
        with self._lock:
            self._settled_before = self._settled
            self._plan([claim for claim in claims if claim.key in self._claims], time_s)

    def _plan(self, claims: Sequence[Claim], time_s: float) -> None:
        self._extends_s.update({claim.key: self._clock() + time_s / 2 for claim in claims})

    def settle(self, claim: Claim) -> None:
        """Say that what became of a claim is written, or that the fence has refused it."""
        with self._lock:
            _, latch = self._claims.pop(claim.key, (claim, None))
            self._extends_s.pop(claim.key, None)
            self._settled += 1
        if latch is not None:
            latch.count_down()

    def close(self, *, without: Collection[MediaRef] = ()) -> list[Claim]:
        """Take nothing more in hand; return what is to be given back, except claims of certain media."""
        with self._lock:
            self._is_over = True
            return [claim for claim, _ in self._claims.values() if claim.media not in without]

    def give_up(self) -> None:
        """Let everybody go who waits."""
        with self._lock:
            left = self._take_all()
        for _, latch in left:
            latch.count_down()

    def _take_all(self) -> list[tuple[Claim, Latch]]:
        taken = list(self._claims.values())
        self._claims.clear()
        self._extends_s.clear()
        return taken
