"""Who may do what on Postgres: login users with the roles, and the programs' own statements."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from alembic import command
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from annotator.errors import ConfigError
from annotator.store import Store, upgrade
from annotator.store.connection import open_engine, writing
from annotator.store.corrections.saying import correct_track
from annotator.store.roles import MIGRATOR, PRODUCER, READER, ROLES, WORKER, role_statements, set_up_roles
from annotator.store.rollups import roll_up
from annotator.store.schema import alembic_config, migrating
from annotator.store.strangers.counting import count_strangers
from annotator.store.tables import metadata
from annotator.store.titles import names_given
from annotator.store.views import VIEWS
from annotator.store.writes import write_outcomes
from annotator.types import FaceTrack
from tests.fixtures_database import PostgresForTests
from tests.store_values import ADA, BEN, SPEC, annotation, known, ref, track

pytestmark = pytest.mark.servers
PASSWORD = "of-a-test-that-is-over-soon"  # noqa: S105


class Service:
    """A database with the roles, and a login user for each."""

    def __init__(self, server: PostgresForTests, url: str) -> None:
        self.url = url
        admin = open_engine(url)
        set_up_roles(admin)
        admin.dispose()
        self._engines: list[Engine] = []
        for role in ROLES:
            server.run(
                f"DO $$ BEGIN IF to_regrole('login_{role}') IS NULL THEN"
                f" CREATE ROLE login_{role} LOGIN PASSWORD '{PASSWORD}'; END IF; END $$"
            )
            server.run(f"GRANT {role} TO login_{role}")

    def url_of(self, role: str) -> str:
        changed = make_url(self.url).set(username=f"login_{role}", password=PASSWORD)
        return changed.render_as_string(hide_password=False)

    def engine(self, role: str) -> Engine:
        self._engines.append(open_engine(self.url_of(role)))
        return self._engines[-1]

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


@pytest.fixture
def service(postgres_server: PostgresForTests, make_database: Callable[..., str]) -> Iterator[Service]:
    made = Service(postgres_server, make_database("postgres"))
    yield made
    made.close()


def run(engine: Engine, statement: str) -> Any:
    with writing(engine) as connection:
        result = connection.execute(text(statement))
        return result.all() if result.returns_rows else None


def refused(engine: Engine, statement: str) -> bool:
    try:
        run(engine, statement)
    except ProgrammingError as error:
        return getattr(error.orig, "pgcode", None) == "42501"
    return False


def test_doing_it_again_changes_nothing(service: Service) -> None:
    engine = open_engine(service.url)
    wanted = text(
        "SELECT relname, relowner::regrole::text, relacl::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    with engine.connect() as connection:
        before = connection.execute(wanted).all()
    set_up_roles(engine)
    with engine.connect() as connection:
        assert connection.execute(wanted).all() == before
    engine.dispose()


def test_what_is_printed_is_what_is_run(service: Service) -> None:
    engine = open_engine(service.url)
    printed = role_statements(engine)
    assert any(
        one.startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON public.work TO annotator_worker") for one in printed
    )
    for statement in printed:
        run(engine, statement)
    engine.dispose()


def test_a_reader_reads_the_views_and_nothing_that_is_biometric(service: Service) -> None:
    worker, reader = service.engine(WORKER), service.engine(READER)
    save_one(worker)
    for view in VIEWS:
        run(reader, f"SELECT * FROM {view}")
    assert run(reader, "SELECT identity FROM content_labels") == [("Ada Lovelace",)]
    run(reader, "SELECT queue, desired_workers FROM scaling")
    run(reader, "SELECT id FROM identities WHERE name = 'Ada Lovelace'")
    for table in ("track_embeddings", "enrolled_faces", "tracks", "media", "outbox", "runs", "store_settings", "work"):
        assert refused(reader, f"SELECT * FROM {table}"), table
    assert refused(reader, "SELECT * FROM track_embeddings__n1__0")
    for statement in ("DELETE FROM identities", "UPDATE scaling SET desired_workers = 0", "CREATE TABLE mine (id int)"):
        assert refused(reader, statement), statement
    assert refused(reader, "CREATE TEMP TABLE mine (id int)")
    assert refused(reader, "SELECT make_labelling_partitions(1)")


def test_a_worker_makes_partitions_and_writes_results_and_changes_no_table(service: Service) -> None:
    worker = service.engine(WORKER)
    save_one(worker)
    assert run(worker, "SELECT to_regclass('tracks__n1__1') IS NOT NULL") == [(True,)]
    assert run(worker, "SELECT count(*) FROM content_labels") == [(1,)]
    assert roll_up(worker) is not None
    for grouped in (
        "INSERT INTO groupings (network_id, rule, founded, next_no, changes) VALUES (1, 'r', 1, 2, 1)",
        "INSERT INTO track_groups (network_id, group_no, tracks, total) VALUES (1, 1, 1, '')",
        "INSERT INTO grouped_tracks (network_id, content_id, track_no, group_no) VALUES (1, 1, 0, 1)",
    ):
        run(service.engine(MIGRATOR), grouped)
    assert count_strangers(worker)
    for statement in (
        "DROP TABLE media",
        "ALTER TABLE work ADD COLUMN mine int",
        "DROP TABLE tracks__n1__0",
        "CREATE TABLE mine (id int)",
        "TRUNCATE work",
        "CREATE INDEX ON work (reason)",
        "DELETE FROM media",
        "DELETE FROM identities",
        "DELETE FROM enrolled_faces",
        "SELECT make_partition('work', 'work__mine', 'DEFAULT', '')",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE ROLE mine",
    ):
        assert refused(worker, statement), statement
    with pytest.raises(Exception, match="there is no network 77"):
        run(worker, "SELECT make_network_partitions(77)")


def test_a_worker_heeds_what_was_said_of_a_track_and_says_nothing_itself(service: Service) -> None:
    owner, worker = open_engine(service.url), service.engine(WORKER)
    network_id, labelling_id = save_one(worker)
    correct_track(owner, ref(), 0, verdict="is", name=BEN.name)
    seen = annotation(ref(), tracks=[in_place(track(0))], labels=[known(ADA, BEN)])
    with writing(worker) as connection:
        write_outcomes(connection, [seen], network_id=network_id, labelling_id=labelling_id, refresh=True)
    assert run(worker, "SELECT identity, confidence FROM content_labels") == [(BEN.name, 1.0)]
    for role, statement in (
        (WORKER, "INSERT INTO corrections DEFAULT VALUES"),
        (WORKER, "UPDATE corrections SET withdrawn_at = now()"),
        (READER, "SELECT * FROM corrections"),
        (PRODUCER, "SELECT * FROM overruled_labels"),
    ):
        assert refused(service.engine(role), statement), (role, statement)
    owner.dispose()


def test_a_worker_reads_what_uploads_are_called_and_not_whose_they_are(service: Service) -> None:
    worker = service.engine(WORKER)
    with worker.connect() as connection:
        assert names_given(connection, {1: f"file:///uploads/{'0123456789abcdef' * 4}.gif"}) == {}
    assert refused(worker, "SELECT owner FROM web_jobs")
    assert refused(worker, "SELECT uri FROM web_jobs")


def test_a_producer_registers_and_writes_no_result(service: Service) -> None:
    producer = service.engine(PRODUCER)
    store = Store(producer)
    network_id = store.register_network(SPEC)
    store.register_labelling(network_id, model="test@1", digest="1", photographs={ADA: 3})
    run(producer, "INSERT INTO sources (uri) VALUES ('s3://gifs/')")
    run(producer, "INSERT INTO media (source_id, key) VALUES (1, 'a.gif')")
    run(producer, f"INSERT INTO work (network_id, media_id) VALUES ({network_id}, 1)")
    for table in ("track_labels", "content_labels_by", "labelled_contents", "tracks", "annotations", "work_counts"):
        assert refused(producer, f"INSERT INTO {table} DEFAULT VALUES"), table
    for table in ("track_embeddings", "track_labels"):
        assert refused(producer, f"SELECT * FROM {table}"), table


def test_who_has_no_role_sees_nothing(service: Service, postgres_server: PostgresForTests) -> None:
    postgres_server.run(
        "DO $$ BEGIN IF to_regrole('login_nobody') IS NULL THEN"
        f" CREATE ROLE login_nobody LOGIN PASSWORD '{PASSWORD}'; END IF; END $$"
    )
    url = make_url(service.url).set(username="login_nobody", password=PASSWORD)
    engine = open_engine(url.render_as_string(hide_password=False))
    with pytest.raises(Exception, match="permission denied for database"):
        run(engine, "SELECT 1")
    engine.dispose()


def test_every_table_is_the_migrators_and_every_grant_is_of_a_table_that_is_there(service: Service) -> None:
    engine = open_engine(service.url)
    owners = run(
        engine,
        "SELECT DISTINCT relowner::regrole::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')",
    )
    granted = {row[0] for row in run(engine, "SELECT DISTINCT table_name FROM information_schema.role_table_grants")}
    assert owners == [(MIGRATOR,)]
    assert set(metadata.tables) - granted == set()
    engine.dispose()


def test_a_migrator_upgrades_and_what_is_made_belongs_to_the_role(
    postgres_server: PostgresForTests, make_database: Callable[..., str]
) -> None:
    url = make_database("postgres")
    service = Service(postgres_server, url)
    engine = open_engine(url)
    with migrating(engine) as connection:
        command.downgrade(alembic_config(connection), "0002")
    with writing(engine) as connection:
        connection.execute(text("REVOKE ALL ON media FROM annotator_worker"))
    with pytest.raises(ProgrammingError, match="must be owner"):
        upgrade(service.url_of(WORKER))
    upgrade(service.url_of(MIGRATOR))
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'ix_content_labels_by_time'"
    assert run(engine, owner) == [(MIGRATOR,)]
    run(service.engine(WORKER), "SELECT * FROM media")  # the upgrade has given the rights anew
    engine.dispose()
    service.close()


def test_sqlite_has_no_roles(make_database: Callable[..., str]) -> None:
    engine = open_engine(make_database("sqlite"))
    with pytest.raises(ConfigError, match="rights of the file"):
        set_up_roles(engine)
    engine.dispose()


def in_place(seen: FaceTrack) -> FaceTrack:
    """Return a track whose boxes can be found again."""
    return replace(seen, boxes_xyxy=np.array([[10, 10, 60, 80]] * len(seen.pts_ms), np.float32))


def save_one(engine: Engine) -> tuple[int, int]:
    """Do what a worker does with a media, on its way from registration to labels; return network and labelling."""
    store = Store(engine)
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs={ADA: 3, BEN: 2})
    outcome = annotation(ref(), tracks=[in_place(track(0))], labels=[known(ADA, BEN)])
    with writing(engine) as connection:
        write_outcomes(connection, [outcome], network_id=network_id, labelling_id=labelling_id)
    return network_id, labelling_id
