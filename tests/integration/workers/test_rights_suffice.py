"""Producer, worker and beat do all that they do with the rights of their roles on Postgres, and no others."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, make_url, select, update

from annotator.media.s3 import ListedObject
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.backlog.gone import KeyRange
from annotator.store.backlog.listing import Terms, Wish, begin_run, open_shards
from annotator.store.connection import open_engine, reading, writing
from annotator.store.dialect import later_value
from annotator.store.queue.chunks import Chunk, ChunkLimits
from annotator.store.queue.counts import read_counts, recount
from annotator.store.roles import PRODUCER, WORKER, set_up_roles
from annotator.store.tables import WorkState, work, worker_sessions
from annotator.store.upkeep import note_follower
from annotator.types import MediaFailure, MediaRef
from tests.fixtures_database import PostgresForTests
from workers.annotating.doubles import FakeAnnotator
from workers.annotating.results import StoreRows
from workers.annotating.worker import Worker, WorkerTimes
from workers.app import create_app
from workers.backlog.batches import Batch
from workers.backlog.lister import Registrar
from workers.beat.schedule import JobContext, make_jobs

pytestmark = pytest.mark.servers
PASSWORD = "of-a-test-that-is-over-soon"  # noqa: S105
MEDIA = 6


class BrokerDouble:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[Chunk] = []

    def check(self) -> None:
        """It is there."""

    def is_new(self) -> bool:
        return False

    def mark(self) -> None:
        """It is known."""

    def publish(self, chunk: Chunk) -> None:
        self.published.append(chunk)

    def waiting(self) -> set[int]:
        return set()

    def forget(self, queue: str) -> None:
        """Nobody consumes."""


@pytest.fixture
def url_of(postgres_server: PostgresForTests, make_database: Callable[..., str]) -> Callable[[str], str]:
    """Call it with a role for the URL of a user who has it."""
    url = make_url(make_database("postgres"))
    admin = open_engine(url.render_as_string(hide_password=False))
    set_up_roles(admin)
    admin.dispose()

    def of(role: str) -> str:
        name = f"program_{role}"
        postgres_server.run(
            f"DO $$ BEGIN IF to_regrole('{name}') IS NULL THEN"
            f" CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; END IF; END $$"
        )
        postgres_server.run(f"GRANT {role} TO {name}")
        return url.set(username=name, password=PASSWORD).render_as_string(hide_password=False)

    return of


def test_a_backlog_goes_its_way_with_the_rights_of_the_roles(url_of: Callable[[str], str]) -> None:
    producer = open_engine(url_of(PRODUCER))
    network_id, _ = register_backlog(producer)
    engine = open_engine(url_of(WORKER))
    broker = BrokerDouble()
    settings = load_settings(database_url=url_of(WORKER), broker_url="redis://127.0.0.1:1/0")
    context = JobContext(create_app(settings))
    context.__dict__.update(engine=engine, broker=broker)
    jobs = make_jobs(context)
    worker = started_worker(engine, network_id)
    try:
        for job in jobs:
            job.run()
        for chunk in broker.published:
            worker.run_chunk(chunk.id, chunk.media_ids)
    finally:
        worker.close()
    lose_a_claim(engine, network_id)
    for job in jobs:
        if job.name != "feed":
            job.run()
    with reading(engine) as connection:
        counts = read_counts(connection, network_id=network_id)
    assert counts.media(WorkState.DONE) == MEDIA - 2
    assert counts.media(WorkState.FAILED) == 1
    assert counts.media(WorkState.PENDING) == 1
    with writing(engine) as connection:
        assert recount(connection) == []
    # A producer that lists again: one object is gone, the others have changed.
    assert register_backlog(producer, left_out=1, etag="2") == (network_id, 1)
    for one in (producer, engine):
        one.dispose()


def register_backlog(engine: Engine, *, left_out: int = 0, etag: str = "1") -> tuple[int, int]:
    """List as a producer does that follows; return the network, and how many media are marked as gone."""
    store = Store(engine)
    network_id = store.register_network({"name": "fake"})
    objects = [ListedObject(f"a/{number}.gif", f'"{etag}"', 1000) for number in range(MEDIA - left_out)]
    with store.writing() as connection:
        run = begin_run(connection, Wish(network_id, "s3://clips/", "a/", terms=Terms(priority=1)))
        (shard,) = open_shards(connection, run.id)
        note_follower(connection, run.id)
    registrar = Registrar(store, run, ChunkLimits(media=3))
    told = KeyRange("a/", "", None, None)
    registrar.register(shard, Batch(objects, objects[-1].key, 1, is_end=True, told=told))
    return network_id, sum(count.deleted for count in registrar.settle())


def started_worker(engine: Engine, network_id: int) -> Worker:
    store = Store(engine)
    labelling_id = store.register_labelling(network_id, model="fake@1", digest="0", photographs={})
    broken = MediaRef("a/1.gif", "s3://clips/a/1.gif", '"1"')
    failure = MediaFailure(media=broken, model="fake@1", reason="undecodable", message="no", is_transient=False)
    fatal: list[Exception] = []
    worker = Worker(
        engine,
        FakeAnnotator(scripted={broken.uri: failure}),
        StoreRows(network_id=network_id, labelling_id=labelling_id, identify=lambda _: []),
        is_known=lambda sha256: store.is_annotated(network_id, sha256),
        times=WorkerTimes(write_wait_s=0.02),
        on_fatal=fatal.append,
    )
    worker.start()
    return worker


def lose_a_claim(engine: Engine, network_id: int) -> None:
    """Let a worker die that has a media in hand."""
    with writing(engine) as connection:
        session_id = connection.execute(select(worker_sessions.c.id)).scalars().first()
        done = select(work.c.media_id).where(work.c.network_id == network_id, work.c.state == 2).limit(1)
        lost = update(work).where(work.c.network_id == network_id, work.c.media_id == done.scalar_subquery())
        connection.execute(lost.values(state=1, session_id=session_id, deadline_at=later_value(connection, 600.0)))
        recount(connection)
