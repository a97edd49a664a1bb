"""The migrations make what the models say, on both databases, up, down and up again."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError

from annotator.errors import ConfigError
from annotator.settings import Settings
from annotator.store import Store, check, schema, upgrade
from annotator.store.columns import utc_now
from annotator.store.connection import open_engine, reading, writing
from annotator.store.functions import FUNCTIONS
from annotator.store.identities import register_identities
from annotator.store.queue.counts import is_counted, read_counts
from annotator.store.schema import HEAD, alembic_config, belongs_to_models, migrating, migrations_path
from annotator.store.tables import metadata, runs, takedowns, tombstones
from annotator.store.takedowns.running import NO_FACES, begin_takedown
from annotator.store.takedowns.whom import Person
from annotator.store.views import VIEWS
from tests.store_values import ADA, BEN, SPEC, annotation, digest, known, ref, track
from workers.beat.counting import count_all
from workers.beat.runs import look_after_backlogs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def engine(empty_database_url: str) -> Any:
    opened = open_engine(empty_database_url)
    yield opened
    opened.dispose()


def migrate(engine: Engine, *, to: str) -> None:
    with migrating(engine) as connection:
        act = command.downgrade if to == "base" else command.upgrade
        act(alembic_config(connection), to)


def catalogue(engine: Engine) -> set[tuple[Any, ...]]:
    """All that the database itself knows of its schema, without Alembic's table."""
    with reading(engine) as connection:
        if engine.dialect.name == "sqlite":
            return _sqlite_catalogue(connection)
        found: set[tuple[Any, ...]] = set()
        for query in (
            """SELECT 'column', table_name, column_name, data_type, is_nullable, column_default, collation_name,
                      generation_expression
               FROM information_schema.columns WHERE table_schema = 'public'""",
            "SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            """SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
               FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
            "SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public'",
            """SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid), proacl::text FROM pg_proc
               WHERE pronamespace = 'public'::regnamespace""",
            "SELECT 'partitioned', partrelid::regclass::text, pg_get_partkeydef(partrelid) FROM pg_partitioned_table",
            """SELECT 'comment', objoid::regclass::text, objsubid, description FROM pg_description
               WHERE classoid = 'pg_class'::regclass AND objoid >= 16384""",
        ):
            found |= {tuple(row) for row in connection.execute(text(query))}
        return {row for row in found if row[1] != "alembic_version"}


def _sqlite_catalogue(connection: Connection) -> set[tuple[Any, ...]]:
    """Columns, keys and constraints one by one: columns that came later stand last in the text of a table."""
    found: set[tuple[Any, ...]] = set()
    for kind, name, table, sql in connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master")).all():
        if table == "alembic_version":
            continue
        if kind != "table":
            found.add((kind, name, table, _one_line(sql or "")))
            continue
        for pragma in ("table_xinfo", "foreign_key_list"):
            rows = connection.execute(text(f"PRAGMA {pragma}({name})")).all()
            found |= {(pragma, name, *row[1:]) for row in rows}
        constraints = re.findall(r"CONSTRAINT \w+ (?:CHECK|UNIQUE|PRIMARY KEY) \(.*?\)(?=,| \)|\))", _one_line(sql))
        found |= {("constraint", name, one) for one in constraints}
        found.add(("table", name, sql.rstrip().endswith("WITHOUT ROWID")))
    return found


def _one_line(sql: str) -> str:
    return re.sub(r"\s+", " ", sql)


def test_migrations_make_exactly_what_the_models_say(
    engine: Engine, dialect: str, make_database: Callable[..., str]
) -> None:
    migrate(engine, to="head")
    other = open_engine(make_database(dialect, empty=True))
    with writing(other) as connection:
        metadata.create_all(connection)
        for name, body in VIEWS.items():
            connection.execute(text(f"CREATE VIEW {name} AS {body}"))
        if dialect == "postgres":
            for signature, body in FUNCTIONS.items():
                connection.exec_driver_sql(body.format(schema="public").replace("%", "%%"))
                connection.execute(text(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC"))
    assert catalogue(engine) == catalogue(other)
    other.dispose()


def test_autogenerate_finds_nothing_to_do(engine: Engine) -> None:
    migrate(engine, to="head")
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": belongs_to_models}
        )
        assert compare_metadata(context, metadata) == []


def test_up_down_up_leaves_what_up_alone_leaves(engine: Engine) -> None:
    migrate(engine, to="head")
    once = catalogue(engine)
    migrate(engine, to="base")
    assert catalogue(engine) == set()
    migrate(engine, to="head")
    assert catalogue(engine) == once


def test_down_works_with_rows_and_partitions_in_place(database_url: str) -> None:
    with Store.open(database_url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs={ADA: 3})
        outcome = annotation(ref(), tracks=[track(0)], labels=[known(ADA)])
        store.save([outcome], network_id=network_id, labelling_id=labelling_id)
        migrate(store.engine, to="base")
        assert catalogue(store.engine) == set()


def go_back(engine: Engine, *, to: str) -> None:
    with migrating(engine) as connection:
        command.downgrade(alembic_config(connection), to)


def test_reports_of_takedowns_go_down_and_up_while_tombstones_point_to_them(database_url: str) -> None:
    with Store.open(database_url) as store:
        begin_takedown(store.engine, Person((), ("Ada Lovelace",)), NO_FACES)
        go_back(store.engine, to="0022")
        migrate(store.engine, to="head")
        with store.reading() as connection:
            found = select(tombstones.c.takedown_id, takedowns.c.tombstones).join(takedowns)
            assert [tuple(row) for row in connection.execute(found)] == [(1, None)]


def test_back_at_0021_who_remained_has_photographs_and_labels_as_its_programs_expect(database_url: str) -> None:
    with Store.open(database_url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs={ADA: 3, BEN: 3})
        both = annotation(ref("both.gif"), content=1, tracks=[track(0), track(1)], labels=[known(ADA), known(BEN)])
        alone = annotation(ref("alone.gif"), content=2, tracks=[track(0)], labels=[known(ADA)])
        store.save([both, alone], network_id=network_id, labelling_id=labelling_id)
        faces = np.eye(2, 9, dtype=np.float32)
        store.add_enrolled(ADA, embedder="e", embeddings=faces, photo_sha256=[digest(1), digest(2)])
        store.add_enrolled(BEN, embedder="e", embeddings=faces, photo_sha256=[digest(2), digest(3)])
        store.merge(ADA.name, BEN.name)
        go_back(store.engine, to="0021")
        with store.reading() as connection:
            names = dict(connection.execute(text("SELECT id, name FROM identities")).all())
            photos = connection.execute(text("SELECT identity_id, photo_sha256 FROM enrolled_faces ORDER BY 2")).all()
            labels = connection.execute(
                text("SELECT content_id, track_no, identity_id FROM track_labels ORDER BY 1, 2")
            ).all()
        assert [(names[who], bytes(one).hex()) for who, one in photos] == [(BEN.name, digest(n)) for n in (1, 2, 3)]
        assert [(content, number, names[who]) for content, number, who in labels] == [
            (1, 0, BEN.name),
            (1, 1, BEN.name),
            (2, 0, ADA.name),
        ]
        migrate(store.engine, to="head")
        store.unmerge(ADA.name)


def test_a_takedown_by_a_former_program_may_delete_who_was_merged(database_url: str) -> None:
    with Store.open(database_url) as store:
        with store.writing() as connection:
            register_identities(connection, [ADA, BEN])
        store.merge(ADA.name, BEN.name)
        with store.writing() as connection:
            connection.execute(text("DELETE FROM identities WHERE merged_into IS NOT NULL"))
            connection.execute(text("DELETE FROM identities"))
        with store.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM merges")).scalar() == 0


def test_partitions_are_no_difference_to_autogenerate(database_url: str) -> None:
    with Store.open(database_url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs={ADA: 3})
        outcome = annotation(ref(), tracks=[track(0)], labels=[known(ADA)])
        store.save([outcome], network_id=network_id, labelling_id=labelling_id)
        with store.reading() as connection:
            context = MigrationContext.configure(connection, opts={"include_object": belongs_to_models})
            assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    script = ScriptDirectory(str(migrations_path()))
    assert script.get_heads() == [HEAD]


def test_upgrade_makes_the_schema_and_check_accepts_it(empty_database_url: str) -> None:
    with pytest.raises(ConfigError, match="annotator db upgrade"):
        check(empty_database_url)
    assert upgrade(empty_database_url) == HEAD
    assert check(empty_database_url) == HEAD
    assert upgrade(empty_database_url) == HEAD


def pretend(url: str, *, revision: str, oldest_program: str | None) -> None:
    """Let a database look as if a program of the future had migrated it."""
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": revision})
        connection.execute(
            text("UPDATE store_settings SET value = :oldest WHERE name = 'min_program_revision'"),
            {"oldest": oldest_program},
        ) if oldest_program else connection.execute(text("DELETE FROM store_settings"))
    engine.dispose()


@pytest.mark.parametrize("oldest_program", ["9998", None])
def test_a_database_of_a_newer_program_is_refused(database_url: str, oldest_program: str | None) -> None:
    pretend(database_url, revision="9999", oldest_program=oldest_program)
    with pytest.raises(ConfigError, match=r"has schema 9999.*a newer program made it"):
        Store.open(database_url)
    with pytest.raises(ConfigError, match="9999"):
        upgrade(database_url)


def test_a_program_may_start_on_a_newer_database_that_only_added_something(database_url: str) -> None:
    pretend(database_url, revision="9999", oldest_program=HEAD)
    Store.open(database_url).close()
    assert check(database_url) == "9999"
    assert upgrade(database_url) == "9999"


def test_upgrades_at_the_same_time_do_not_disturb_each_other(empty_database_url: str) -> None:
    code = "import sys; from annotator.store import upgrade; upgrade(sys.argv[1])"
    command_line = [sys.executable, "-c", code, empty_database_url]
    started = [subprocess.Popen(command_line, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert errors == ["", "", ""]
    assert check(empty_database_url) == HEAD


def test_threads_may_upgrade_at_the_same_time(empty_database_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(upgrade, [empty_database_url] * 3)) == [HEAD] * 3


def test_an_sqlite_store_is_made_on_opening_and_postgres_is_left_to_its_owner(
    dialect: str, empty_database_url: str
) -> None:
    if dialect == "sqlite":
        with Store.open(empty_database_url) as store:
            assert inspect(store.engine).has_table("media")
    else:
        with pytest.raises(ConfigError, match="annotator db upgrade"):
            Store.open(empty_database_url)
        with Store.open(empty_database_url, upgrade=True) as store:
            assert inspect(store.engine).has_table("media")


BROKEN = f"""
import sqlalchemy as sa
from alembic import op

revision = "9998"
down_revision = "{schema.HEAD}"


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO no_such_table VALUES (1)")
"""


def test_a_failed_migration_leaves_nothing_behind(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_path(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9998_broken.py").write_text(BROKEN)
    migrate(engine, to="head")
    before = catalogue(engine)
    monkeypatch.setattr(schema, "migrations_path", lambda: folder)
    with pytest.raises(DBAPIError, match="no_such_table"):
        migrate(engine, to="head")
    assert catalogue(engine) == before


def test_an_installed_package_carries_its_migrations_and_its_compiled_part(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert not wheel.name.endswith("any.whl"), "its compiled part is for one kind of machine"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; from annotator.store import upgrade; from annotator.store.schema import migrations_path;"
        "print(migrations_path()); print(upgrade(sys.argv[1])); from annotator import native; print(native.LIBRARY)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.db")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    package = tmp_path / "site" / "annotator"
    assert run.stdout.splitlines() == [str(package / "_migrations"), HEAD, str(package / "native" / "kernels.so")]


@pytest.mark.parametrize("by_beat", [False, True])
def test_what_was_there_before_there_were_counters_is_counted_also_where_the_upgrade_was_killed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, by_beat: bool
) -> None:
    migrate(engine, to="0001")
    with writing(engine) as connection:
        connection.execute(
            text("INSERT INTO networks (id, digest, spec, created_at) VALUES (1, 'n', '{}', '2026-01-01')")
        )
        if engine.dialect.name == "postgresql":
            connection.execute(text("CREATE TABLE work__n1 PARTITION OF work FOR VALUES IN (1)"))
        for media_id, state, reason in ((1, 0, None), (2, 2, None), (3, 2, None), (4, 3, "undecodable")):
            row = {"media_id": media_id, "state": state, "reason": reason}
            connection.execute(
                text("INSERT INTO work (network_id, media_id, state, reason) VALUES (1, :media_id, :state, :reason)"),
                row,
            )
    with monkeypatch.context() as patched:

        def killed(_: Connection) -> None:
            raise KeyboardInterrupt

        patched.setattr(schema, "recount", killed)
        with pytest.raises(KeyboardInterrupt):
            schema.upgrade_engine(engine)
    assert schema.current_revision(engine) == HEAD
    with reading(engine) as connection:
        assert not is_counted(connection)
    if by_beat:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO sources (id, uri) VALUES (1, 's3://clips/')"))
            listed = {"started_at": utc_now(), "listed_at": utc_now()}
            connection.execute(insert(runs).values(id=1, network_id=1, source_id=1, prefix="", options={}, **listed))
        look_after_backlogs(engine, session_timeout_s=45.0)
        with reading(engine) as connection:
            assert connection.execute(select(runs.c.finished_at)).scalar_one() is None, "nobody knows what is pending"
        count_all(engine, Settings())
    for _ in range(2):
        schema.upgrade_engine(engine)
        with reading(engine) as connection:
            counted = [(row.state, row.reason, row.media) for row in read_counts(connection).rows]
        assert counted == [(0, None, 1), (2, None, 2), (3, "undecodable", 1)]
