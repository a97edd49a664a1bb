"""The commands of docs/fitting.md, typed as they stand there, on drawn crops: killed, stopped, ended, and looked at."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest

from annotator.stack.child import free_port
from tests.deploy.command_lines import complaints_of_line
from tests.integration.trainer.fitting.conftest import PEOPLE
from tests.optional import import_optional

import_optional("tensorflow")
import_optional("tensorboard")

ROOT = Path(__file__).resolve().parents[4]
DOCUMENT = (ROOT / "docs" / "fitting.md").read_text(encoding="utf-8")
TYPED = re.findall(r"^    ((?:trainer|docker) .*?)(?:   .*)?$", DOCUMENT, re.MULTILINE)
FIT = "trainer fit example_experiment --workdir workdir"
BOARD = "trainer board example_experiment --workdir workdir"
COMPOSE = "docker compose run --rm trainer "
AS_A_FILE = "python experiments/example_experiment.py --workdir workdir"
SHORTER = ("epochs=30, batch=64", "epochs=4, batch=4, log_every_steps=1, save_every_steps=2")
"""The example is changed so: drawn crops are few, and steps are told as soon as they are done."""


@pytest.fixture
def user(tmp_path: Path, crops: Path) -> Path:
    """Where a user stands: experiments/ and workdir/ are in the folder."""
    shutil.copytree(crops, tmp_path / "workdir" / "example_experiment")
    example = (ROOT / "experiments" / "example_experiment.py").read_text(encoding="utf-8")
    assert SHORTER[0] in example
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "example_experiment.py").write_text(example.replace(*SHORTER))
    return tmp_path


@contextmanager
def typed(command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command as a shell would find it; kill it at the end if it still runs."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen(
        command.split(), cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def send_at(process: subprocess.Popen[str], line: str, number: signal.Signals) -> int:
    """Send a signal when a line is told, and return the exit code."""
    assert process.stderr is not None
    said = []
    for told in process.stderr:
        said.append(told)
        if line in told:
            process.send_signal(number)
            break
    else:
        pytest.fail("".join(said))
    process.communicate(timeout=300)
    return process.returncode


def fit_whole(command: str, folder: Path) -> dict[str, np.ndarray]:
    with typed(command, folder) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "was the best, top-1" in said
    assert "CUDA" not in said, "TensorFlow speaks of what nobody has asked for"
    assert "oneDNN" not in said
    with np.load(folder / "workdir" / "example_experiment" / "model" / "last.npz") as archive:
        return {name: archive[name] for name in archive.files}


def test_the_programs_understand_every_command_of_the_document() -> None:
    inside = [line.removeprefix(COMPOSE) for line in TYPED]
    assert [line for line in inside if line.startswith("trainer")] == [TYPED[0], FIT, BOARD, "trainer prepare"]
    assert [complaint for line in inside for complaint in complaints_of_line(line)] == []


@pytest.mark.slow  # three processes that start TensorFlow, and TensorBoard
def test_it_is_killed_and_stopped_and_ends_with_the_weights_of_an_unbroken_run_which_tensorboard_shows(
    user: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert f"`{AS_A_FILE}`" in DOCUMENT
    other = tmp_path_factory.mktemp("unbroken") / "user"
    shutil.copytree(user, other)
    unbroken = fit_whole(AS_A_FILE, other)

    with typed(FIT, user) as process:
        assert send_at(process, "epoch 1/4, step 3", signal.SIGKILL) == -signal.SIGKILL
    with typed(FIT, user) as process:
        assert send_at(process, "epoch 2/4, step 3", signal.SIGTERM) == 130
    broken = fit_whole(FIT, user)

    assert broken.keys() == unbroken.keys()
    assert [name for name in unbroken if not np.array_equal(broken[name], unbroken[name])] == []
    assert_shown_by_tensorboard(user)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"], ids=["a port that is taken", "a host elsewhere"])
def test_where_tensorboard_cannot_listen_is_told_in_a_sentence(user: Path, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with typed(f"{BOARD} --host {host} --port {port}", user) as process:
            said = process.communicate(timeout=120)[1]
    assert process.returncode == 2, said
    assert f"TensorBoard cannot listen on {host}:{port}: choose another --port, or --host" in said
    assert "Traceback" not in said


def assert_shown_by_tensorboard(user: Path) -> None:
    port = free_port()
    with typed(f"{BOARD} --port {port}", user) as process:
        assert process.stderr is not None
        address = f"http://127.0.0.1:{port}/data/plugin"
        scalars = json.loads(fetched(f"{address}/scalars/scalars?run=.&tag=epoch/val_top1", process))
        names = fetched(f"{address}/projector/metadata?run=.&name={quote('class centres')}&num_rows=10", process)
        centres = fetched(f"{address}/projector/tensor?run=.&name={quote('class centres')}", process)
        libraries = Path(f"/proc/{process.pid}/maps").read_text()
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "/tensorflow/" not in libraries, "it starts seconds earlier without"
    assert len(scalars) == 4
    assert names.decode().split() == list(PEOPLE)
    assert np.frombuffer(centres, np.float32).reshape(len(PEOPLE), -1).shape == (len(PEOPLE), 256)


def fetched(address: str, process: subprocess.Popen[str]) -> bytes:
    """Ask until the server is up and has read its files."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(address, timeout=10) as answer:  # noqa: S310 - of this machine, http
                content: bytes = answer.read()
                if content not in {b"", b"[]"}:
                    return content
        except URLError:
            pass
        time.sleep(0.2)  # as nothing tells when it is up
    pytest.fail(f"TensorBoard does not answer {address}")
