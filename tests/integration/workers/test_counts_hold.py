"""Whatever happens to media, in whatever order: the counters say what the rows say."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text

from annotator.store.connection import reading, writing
from annotator.store.queue.counts import add_deltas, moved, read_counts, recount, sum_up
from annotator.store.queue.requeue import retry
from annotator.store.queue.sessions import close_session, open_session
from annotator.store.queue.sweeping import sweep
from annotator.store.queue.work import Claim, Deadlines, Report, claim, finish
from annotator.store.registry import register_network
from annotator.store.tables import WorkState, media, sources, work

NETWORK: Final = 1
MEDIA: Final = range(1, 9)
Step = Callable[[Connection, list[int], WorkState], object]
EMPTIED: Final = ("work", "work_deltas", "work_counts", "chunks", "worker_sessions", "store_settings")


class System:
    """Eight media, one session at a time, and all that can happen to them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with writing(engine) as connection:
            for table in EMPTIED:
                connection.execute(text(f"DELETE FROM {table}"))
            rows = [
                {"network_id": NETWORK, "media_id": one, "run_id": one % 3 or None, "lane": "gif", "cost_ms": 10 * one}
                for one in MEDIA
            ]
            connection.execute(insert(work), rows)
            added = connection.execute(text("SELECT run_id, lane, cost_ms FROM work")).all()
            add_deltas(connection, moved(added, network_id=NETWORK, left=None, reached=WorkState.PENDING))
            self._session_id = open_session(connection, worker="host:1")
        self._held: list[Claim] = []

    def do(self, step: str, ids: list[int], state: WorkState) -> None:
        """Run a step in a transaction of its own."""
        steps: dict[str, Step] = {
            "claim": self._claim,
            "claim suspects": self._claim_suspects,
            "report": self._report,
            "give back": self._give_back,
            "report alone": self._report_alone,
            "pass the deadline": self._pass_deadline,
            "die": self._die,
            "retry": lambda connection, _ids, _state: retry(connection, network_id=NETWORK),
            "sum up": lambda connection, ids, _state: sum_up(connection, limit=len(ids)),
        }
        with writing(self._engine) as connection:
            steps[step](connection, ids, state)

    def _claim(self, connection: Connection, ids: list[int], _state: WorkState, *, suspects: bool = False) -> None:
        self._held += claim(
            connection,
            network_id=NETWORK,
            media_ids=ids,
            session_id=self._session_id,
            deadlines=Deadlines(),
            suspects=suspects,
        )

    def _claim_suspects(self, connection: Connection, ids: list[int], state: WorkState) -> None:
        self._claim(connection, ids, state, suspects=True)

    def _of(self, ids: list[int]) -> list[Claim]:
        """The last claim of each media, also where it is long lost or reported: the fence must hold."""
        return list({one.media_id: one for one in self._held if one.media_id in ids}.values())

    def _report(self, connection: Connection, ids: list[int], state: WorkState) -> None:
        reason = None if state == WorkState.DONE else "undecodable"
        reports = [Report(one, state, reason=reason) for one in self._of(ids)]
        finish(connection, network_id=NETWORK, reports=reports)

    def _give_back(self, connection: Connection, ids: list[int], _state: WorkState) -> None:
        reports = [Report(one, WorkState.PENDING, gives_back=True) for one in self._of(ids)]
        finish(connection, network_id=NETWORK, reports=reports)

    def _report_alone(self, connection: Connection, ids: list[int], state: WorkState) -> None:
        finish(connection, network_id=NETWORK, reports=[Report(one, state, runs_alone=True) for one in self._of(ids)])

    def _pass_deadline(self, connection: Connection, ids: list[int], _state: WorkState) -> None:
        some = ", ".join(str(one) for one in ids)
        connection.execute(text(f"UPDATE work SET deadline_at = '2001-01-01' WHERE state = 1 AND media_id IN ({some})"))
        sweep(connection, session_timeout_s=45.0, max_tries=2)

    def _die(self, connection: Connection, _ids: list[int], _state: WorkState) -> None:
        close_session(connection, self._session_id)
        sweep(connection, session_timeout_s=45.0, max_tries=2)
        self._session_id = open_session(connection, worker="host:1")


@pytest.fixture
def registered(database: Engine) -> Engine:
    """A database with eight media."""
    with writing(database) as connection:
        assert register_network(connection, {"name": "fake"}) == NETWORK
        connection.execute(insert(sources).values(id=1, uri="s3://clips/"))
        rows = [{"id": one, "source_id": 1, "key": f"{one}.gif", "size_bytes": 1000} for one in MEDIA]
        connection.execute(insert(media), rows)
    return database


STEPS: Final = (
    *("claim", "claim", "claim suspects", "report", "report", "give back", "report alone"),
    *("pass the deadline", "die", "retry", "sum up"),
)
REPORTED: Final = (WorkState.PENDING, WorkState.DONE, WorkState.FAILED, WorkState.QUARANTINED)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.lists(st.sampled_from(MEDIA), min_size=1, max_size=len(MEDIA), unique=True),
            st.sampled_from(REPORTED),
        ),
        min_size=10,
        max_size=30,
    )
)
def test_counters_say_what_the_rows_say(registered: Engine, steps: list[tuple[str, list[int], WorkState]]) -> None:
    system = System(registered)
    for step in steps:
        system.do(*step)
    with reading(registered) as connection:
        counts = read_counts(connection)
    assert counts.media() == len(MEDIA)
    assert all(row.media > 0 for row in counts.rows)
    with writing(registered) as connection:
        assert recount(connection) == []
