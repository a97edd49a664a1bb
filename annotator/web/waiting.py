"""Programs that wait until a job is in another state: all of them by one look at the database, and in no thread."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from anyio import create_task_group, move_on_after, sleep
from anyio.to_thread import run_sync
from starlette.requests import Request

from annotator.errors import AnnotatorError
from annotator.store.store import Store
from annotator.store.web.jobs import State, states_of

LONGEST_S: Final = 30
_OF_ONE: Final = 8
_OF_ALL: Final = 64
_LOOK_EVERY_S: Final = 0.25


class JobChanges:
    """Tells those who wait when a job is in another state.

    It belongs to the event loop: while somebody waits, one look at a time asks for the jobs of all, in a thread that is
    free again at once. Whoever comes when as many wait as may does not wait.
    """

    def __init__(self, *, of_one: int = _OF_ONE, of_all: int = _OF_ALL, look_every_s: float = _LOOK_EVERY_S) -> None:
        """Nobody waits yet.

        Args:
            of_one: so many requests of one visitor may wait.
            of_all: so many of all visitors.
            look_every_s: between two looks at the database.

        """
        self._of_one = of_one
        self._of_all = of_all
        self._look_every_s = look_every_s
        self._of: Counter[str] = Counter()
        self._jobs: Counter[int] = Counter()
        self._states: Mapping[int, State] = {}
        self._as_of_s = 0.0
        self._is_looking = False
        self._is_over: Callable[[], bool] = lambda: False

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._jobs.total()

    def end_when(self, is_over: Callable[[], bool]) -> None:
        """Let nobody wait any more as soon as a function says so: the program is to end."""
        self._is_over = is_over

    async def wait(
        self, request: Request, who: str, store: Store, *, job_id: int, seen: State, within_s: float
    ) -> None:
        """Return when a job is in another state, the time is over, or who asks has gone.

        Args:
            request: of who waits; nothing more is expected of it.
            who: the visitor.
            store: the database.
            job_id: of the job.
            seen: the state that is known already.
            within_s: the longest time; where as many wait as may, it returns at once.

        """
        if self._of[who] >= self._of_one or self.waiting >= self._of_all:
            return
        with self._counted(who, job_id):
            async with create_task_group() as group:

                async def end_when_gone() -> None:
                    while (await request.receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(end_when_gone)
                with move_on_after(within_s):
                    await self._change(store, job_id, seen)
                group.cancel_scope.cancel()

    async def _change(self, store: Store, job_id: int, seen: State) -> None:
        came_at_s = time.monotonic()
        while not self._is_over():
            await sleep(self._look_every_s)
            try:
                await self._look_for_all(store)
            except AnnotatorError:  # the answer says what is wrong
                return
            if self._as_of_s >= came_at_s and self._states.get(job_id, seen) != seen:
                return

    async def _look_for_all(self, store: Store) -> None:
        """Ask the database, unless somebody else does so, or has just done it."""
        now_s = time.monotonic()
        if self._is_looking or self._as_of_s + self._look_every_s > now_s:
            return
        self._is_looking = True
        try:
            self._states = await run_sync(_look, store, frozenset(self._jobs))
            self._as_of_s = now_s
        finally:
            self._is_looking = False

    @contextlib.contextmanager
    def _counted(self, who: str, job_id: int) -> Iterator[None]:
        self._of[who] += 1
        self._jobs[job_id] += 1
        try:
            yield
        finally:
            self._of -= Counter([who])  # what is 0 goes
            self._jobs -= Counter([job_id])


def _look(store: Store, job_ids: frozenset[int]) -> Mapping[int, State]:
    with store.reading() as connection:
        return states_of(connection, job_ids)
