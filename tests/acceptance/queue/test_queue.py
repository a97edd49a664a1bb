"""The distributed way, whole: servers, a bucket of real clips, the real networks, a real worker that is killed."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, create_engine, text

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.shared]

PROGRAMS: Final = Path(sys.executable).parent
# Small ones: two with known people, films, cartoons, text; and one that is no media.
CLIPS: Final = (
    "giphy_example.gif",
    "rachel-waiting.gif",
    "short_hamilton_clip.mp4",
    "calvin-hobbes-dont-knock-smock-2.gif",
    "navi.gif",
    "the-other-way-though.gif",
    "trees-are-sneezing.gif",
    "what-is-this-i-cant-even.gif",
)
BROKEN: Final = "broken.gif"
START_TIMEOUT_S: Final = 300.0
RUN_TIMEOUT_S: Final = 300.0
# Batches differ between runs; bf16 moves last bits.
CONFIDENCE_TOLERANCE: Final = 0.02


class Stack:
    """``annotator up`` as a user has it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None
        self._engine: Engine | None = None
        self.output = folder.with_suffix(".log")

    def start(self) -> None:
        with self.output.open("a") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "annotator", "up", "--data-dir", str(self.folder)],
                env=self._environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        self.wait_until((self.folder / "environment").exists, timeout_s=START_TIMEOUT_S)
        for line in (self.folder / "environment").read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self._environment[name] = value.strip("'")
        self._disconnect()
        url = self._environment["ANNOTATOR_DATABASE_URL"].replace("postgresql:", "postgresql+psycopg2:")
        self._engine = create_engine(url)

    def wait_until(self, holds: Callable[[], bool], *, timeout_s: float = RUN_TIMEOUT_S) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + timeout_s
        while not holds():
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"annotator up has ended ({self._process.wait(0.2)}): {self.logs()}")
            assert time.monotonic() < deadline_s, self.logs()

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAMS / program, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        assert self._engine is not None
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def worker_pid(self) -> int:
        ((worker,),) = self.query("SELECT worker FROM worker_sessions WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1")
        return int(worker.rpartition(":")[2])

    def is_done(self) -> bool:
        return self.query("SELECT count(*) FROM work WHERE state < 2") == [(0,)]

    def logs(self) -> str:
        parts = [self.output, self.folder / "worker.log", self.folder / "beat.log"]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in parts if path.exists())

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)

    def _disconnect(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    def kill(self) -> None:
        self._disconnect()
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, with_networks: Callable[[Path], Path]) -> dict[str, str]:
    """A user with a home of her own, whose cache has the networks."""
    home = tmp_path_factory.mktemp("home")
    with_networks(home / "cache" / "celebrity-annotator")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    return kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


@pytest.fixture(scope="module")
def clips(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real clips."""
    folder = tmp_path_factory.mktemp("clips")
    for name in CLIPS:
        shutil.copyfile(shared_data / "clips" / name, folder / name)
    (folder / BROKEN).write_bytes(b"GIF89a this is no media")
    return folder


@pytest.fixture(scope="module")
def plain(clips: Path, environment: dict[str, str]) -> dict[str, Any]:
    """What ``annotator annotate`` says of the clips: one process, no queue."""
    ran = subprocess.run(
        [PROGRAMS / "annotator", "annotate", str(clips), "--json", "--no-save"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    return {line["media"]: line for line in map(json.loads, ran.stdout.splitlines())}


@pytest.fixture
def stack(tmp_path: Path, clips: Path, environment: dict[str, str]) -> Iterator[Stack]:
    """A stack whose bucket has the clips."""
    made = Stack(tmp_path / "stack", environment)
    shutil.copytree(clips, made.folder / "s3" / "clips" / "some" / "folder")
    made.start()
    yield made
    made.kill()


def assert_same_as_plain(stack: Stack, plain: dict[str, Any]) -> None:
    """The rows say what the command line says: same people, same times, confidence within its tolerance."""
    rows = stack.query(
        "SELECT media_uri, identity, first_seen_ms, last_seen_ms, screen_time_ms, confidence FROM content_labels"
    )
    found = {(uri.rpartition("/")[2], name): (first, last, shown) for uri, name, first, last, shown, _ in rows}
    sure = {(uri.rpartition("/")[2], name): confidence for uri, name, *_, confidence in rows}
    expected = {
        (media, label["identity"]): (label["start_ms"], label["end_ms"], label["screen_time_ms"])
        for media, line in plain.items()
        for label in line["labels"]
    }
    assert found == expected
    assert ("rachel-waiting.gif", "Jennifer Aniston") in found
    for media, line in plain.items():
        for label in line["labels"]:
            assert abs(sure[media, label["identity"]] - label["confidence"]) < CONFIDENCE_TOLERANCE
    tracks = stack.query(
        "SELECT m.key, t.track_no, t.first_ms, t.last_ms FROM tracks t JOIN media m ON m.content_id = t.content_id"
    )
    assert sorted((key.rpartition("/")[2], *rest) for key, *rest in tracks) == sorted(
        (media, track["track"], track["start_ms"], track["end_ms"])
        for media, line in plain.items()
        for track in line["tracks"]
    )
    assert stack.query("SELECT media_uri, reason FROM failures") == [
        (f"s3://clips/some/folder/{BROKEN}", plain[BROKEN]["reason"])
    ]


def test_a_bucket_is_annotated_as_a_folder_is_and_the_stack_leaves_nothing(stack: Stack, plain: dict[str, Any]) -> None:
    total = len(CLIPS) + 1
    forecast = stack.run("annotate-backlog", "s3://clips/some", "--dry-run")
    assert forecast.returncode == 0, forecast.stderr
    assert f"would queue {total} media" in forecast.stdout
    assert stack.query("SELECT count(*) FROM media") == [(0,)]
    listed = stack.run("annotate-backlog", "s3://clips/some")
    assert re.fullmatch(rf"listed {total} media: {total} new, .*; queued {total} media in 1 chunks\n", listed.stdout)
    stack.wait_until(stack.is_done)
    assert_same_as_plain(stack, plain)
    again = stack.run("annotate-backlog", "s3://clips/some")
    assert "queued 0 media" in again.stdout
    nowhere = stack.run("annotate-backlog", "s3://no-such-bucket/")
    assert nowhere.returncode == 2
    assert nowhere.stderr.count("\n") == 1
    worker = stack.worker_pid()
    assert stack.stop() == 0
    assert not Path(f"/proc/{worker}").exists()
    assert "Traceback" not in stack.logs()


def test_a_worker_killed_in_the_middle_ends_with_the_rows_of_an_undisturbed_run(
    stack: Stack, plain: dict[str, Any]
) -> None:
    listed = stack.run("annotate-backlog", "s3://clips/")
    assert listed.returncode == 0, listed.stderr
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM work WHERE state = 1")[0][0] > 0)
    os.kill(stack.worker_pid(), signal.SIGKILL)
    stack.wait_until(stack.is_done)
    assert stack.query("SELECT sum(losses) > 0, sum(deaths) FROM work") == [(True, 0)]
    assert_same_as_plain(stack, plain)
    assert stack.stop() == 0


def test_a_killed_stack_goes_on_where_it_was(stack: Stack, plain: dict[str, Any]) -> None:
    assert stack.run("annotate-backlog", "s3://clips/").returncode == 0
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM work WHERE state = 1")[0][0] > 0)
    stack.kill()
    (stack.folder / "environment").unlink()
    stack.start()
    stack.wait_until(stack.is_done)
    assert_same_as_plain(stack, plain)
    assert stack.stop() == 0
