"""Every command of the README runs, and says what the README says that it says."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from annotator.store.store import Store

REPOSITORY = Path(__file__).resolve().parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
MAKE, BASH = (shutil.which(name) or name for name in ("make", "bash"))
UP = "annotator up"
READY_S = 240
DONE_S = 120

pytestmark = [pytest.mark.shared, pytest.mark.slow, pytest.mark.servers]


def blocks(language: str) -> list[str]:
    return [found["content"].rstrip() for found in BLOCK.finditer(README) if found["language"] == language]


def made(target: str) -> str:
    """Return the command that `make TARGET` comes to once everything is installed."""
    # The tests may themselves be run by make, whose flags would add lines of their own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command_line = [MAKE, "--dry-run", "--no-print-directory", target]
    done = subprocess.run(command_line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    command = done.stdout.splitlines()[-1]
    assert command.startswith(".venv/bin/")
    return command.removeprefix(".venv/bin/")


def runnable(block: str) -> str:
    """Return a block as a script: what installs is left out, what make does is done directly."""
    lines = []
    for line in block.splitlines():
        if line.startswith("pip install"):
            extras = [extra for found in re.findall(r"\[([\w,-]+)\]", line) for extra in found.split(",")]
            assert all(f"{extra} = [" in (REPOSITORY / "pyproject.toml").read_text() for extra in extras)
        elif line.startswith("make "):
            lines.append(made(line.removeprefix("make ")))
        else:
            lines.append(line)
    return "\n".join(lines)


def run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@contextmanager
def running(script: str, folder: Path, environment: Mapping[str, str], *, until: Path) -> Iterator[None]:
    """Run a script in the background; stop it as Ctrl-C does, and see that it goes in peace."""
    with subprocess.Popen(
        [BASH, "-euc", f"exec {script}"],
        cwd=folder,
        env=dict(environment),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            wait_for(until.is_file, seconds=READY_S, unless=lambda: child.poll() is not None)
            yield
        finally:
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=60)[1]
    assert child.returncode == 0, said


def wait_for(condition: Callable[[], bool], *, seconds: float, unless: Callable[[], bool] = lambda: False) -> None:
    last_look = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last_look
        assert not unless()
        threading.Event().wait(0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made_folder = tmp_path_factory.mktemp("readme")
    (made_folder / ".venv").symlink_to(sys.prefix)
    return made_folder


def page_at(address: str) -> str:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(address, timeout=30) as page:
        return str(page.read().decode())


def same(said: str) -> list[str]:
    """Return lines without what differs from run to run."""
    return [" ".join(line.split()) for line in said.splitlines() if line.strip()]


def test_every_command_of_the_readme_runs(folder: Path, user_environment: Mapping[str, str]) -> None:
    demo, own, web, up, queue = blocks("bash")
    promised, rows = blocks("text")

    said = run(runnable(demo), folder, user_environment)
    assert same(promised) == same(said)[: len(same(promised))]
    assert (folder / "demo" / "overview.jpg").stat().st_size < 250_000

    run(runnable(own), folder, user_environment)
    lines = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    assert len(lines) == len(list((folder / "demo" / "clips").glob("[!.]*")))
    assert len(list((folder / "out").glob("*.faces.png"))) == len(lines)
    assert "Named Barack Obama" in (folder / "pan.gif.explained.html").read_text(encoding="utf-8")

    address = folder / "web.address"
    at_a_free_port = f"{runnable(web)} --port 0 --address-file {address}"
    with running(at_a_free_port, folder, user_environment, until=address):
        assert "Barack Obama" in page_at(address.read_text().strip())

    before, command = runnable(up).split(UP)
    run(before, folder, user_environment)
    with running(UP + command, folder, user_environment, until=folder / "stack" / "environment"):
        assert "Names are those of starter@1" in page_at((folder / "stack" / "web.address").read_text().strip())
        run(runnable(queue), folder, user_environment)
        done = f"{queue.splitlines()[0]}\nannotator status --json"
        wait_for(lambda: json.loads(run(done, folder, user_environment))["done"] == len(lines), seconds=DONE_S)
        assert stored_rows(folder, blocks("sql")[0]) == [
            [cell.strip() for cell in row.split("|")] for row in rows.splitlines()
        ]
    assert not (folder / "stack" / "environment").exists()


def stored_rows(folder: Path, statement: str) -> list[list[str]]:
    exports = dict(re.findall(r"^export (\w+)=(\S+)$", (folder / "stack" / "environment").read_text(), re.MULTILINE))
    with Store.open(exports["ANNOTATOR_DATABASE_URL"]) as store, store.reading() as connection:
        return [[str(cell) for cell in row] for row in connection.execute(text(statement.rstrip(";")))]


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (REPOSITORY / link).exists()
