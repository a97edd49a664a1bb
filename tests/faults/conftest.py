"""Servers, a listed backlog with its undisturbed rows, and a system for each test; see README.md of this folder."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clips import draw_clips
from tests.faults.rows import Rows
from tests.faults.servers import Servers
from tests.faults.system import Backlog, MakeBacklog, MakeSystem, System, prepare_backlog
from tests.quick_disk import quick_folder


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Postgres, a broker and an S3 endpoint, for this process's tests."""
    with quick_folder(tmp_path_factory.mktemp("servers")) as folder:
        made = Servers(folder)
        yield made
        made.close()


@pytest.fixture(scope="session")
def backlog(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Backlog:
    """The drawn clips, listed, and what an undisturbed run makes of them."""
    return prepare_backlog(servers, tmp_path_factory.mktemp("backlog"), draw_clips(tmp_path_factory.mktemp("clips")))


@pytest.fixture
def make_backlog(servers: Servers, tmp_path: Path) -> MakeBacklog:
    """Call it with other clips, by key: they are listed and annotated undisturbed in a bucket of their own."""
    return lambda clips: prepare_backlog(servers, tmp_path, clips)


@pytest.fixture
def undisturbed(backlog: Backlog) -> Rows:
    """What every test of the drawn clips must end in."""
    return backlog.rows


@pytest.fixture
def make_system(
    servers: Servers, backlog: Backlog, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[MakeSystem]:
    """Call it for a system; settings of ``annotator.settings`` hold for all its programs."""
    with ExitStack() as stack:

        def make(of: Backlog = backlog, **settings: object) -> System:
            system = System(servers, tmp_path, bucket=of.bucket, template=of.template, settings=settings)
            request.node.stash.setdefault(_SYSTEMS, []).append(system)
            return stack.enter_context(system)

        yield make


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    """A system whose backlog is listed; nothing runs yet."""
    return make_system()


_SYSTEMS = pytest.StashKey[list[System]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show the end of each program's log where a test has failed."""
    report = yield
    if report.failed:
        for system in item.stash.get(_SYSTEMS, []):
            report.sections += [(f"log of {program.name}", program.log_tail()) for program in system.programs]
    return report
