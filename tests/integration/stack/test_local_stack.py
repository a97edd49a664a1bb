"""The servers of the local stack: they answer, keep their data, and never outlive their owner."""

import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg2
import pytest
import redis

SCRIPT = Path(__file__).with_name("run_stack.py")
pytestmark = pytest.mark.servers

Start = Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a stack in a process of its own; ends those that are left."""
    started: list[subprocess.Popen[str]] = []

    def run(*more: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path / "stack"), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return process, json.loads(line)

    yield run
    for process in started:
        process.kill()
        process.communicate()


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids: list[int]) -> None:
    for pid in pids:
        # pidfd tells when a process ends, also one that is not our child.
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([handle], [], [], 20.0)
        os.close(handle)
        assert ready, f"process {pid} is still there"


def bucket_of(environment: dict[str, str]):  # noqa: ANN201
    return boto3.client(
        "s3",
        endpoint_url=environment["ANNOTATOR_S3_ENDPOINT_URL"],
        region_name=environment["ANNOTATOR_S3_REGION"],
        aws_access_key_id=environment["ANNOTATOR_S3_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["ANNOTATOR_S3_SECRET_ACCESS_KEY"],
    )


def write_everywhere(environment: dict[str, str]) -> None:
    with psycopg2.connect(environment["ANNOTATOR_DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (value int); INSERT INTO kept VALUES (7)")
    connection.close()
    broker = redis.Redis.from_url(environment["ANNOTATOR_BROKER_URL"])
    broker.set("kept", "7")
    broker.close()
    bucket_of(environment).put_object(Bucket="clips", Key="a/kept é%.gif", Body=b"7")


def read_everywhere(environment: dict[str, str]) -> tuple[int, bytes, bytes]:
    with psycopg2.connect(environment["ANNOTATOR_DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM kept")
        row = cursor.fetchone()
        assert row is not None
    connection.close()
    broker = redis.Redis.from_url(environment["ANNOTATOR_BROKER_URL"])
    kept = broker.get("kept")
    broker.close()
    body = bucket_of(environment).get_object(Bucket="clips", Key="a/kept é%.gif")["Body"].read()
    return row[0], kept, body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_stops_cleanly_and_has_its_data_again_after_the_next_start(start: Start, number: int) -> None:
    owner, told = start()
    write_everywhere(told["environment"])
    owner.send_signal(number)
    assert owner.wait(30) == 0
    assert not [pid for pid in told["pids"] if is_alive(pid)]
    _, again = start()
    assert read_everywhere(again["environment"]) == (7, b"7", b"7")
    assert again["environment"] == told["environment"], "ports and password stay the same"


def test_a_killed_owner_leaves_no_process_and_the_next_start_recovers(start: Start) -> None:
    owner, told = start()
    write_everywhere(told["environment"])
    owner.kill()
    owner.wait()
    _, again = start()
    wait_until_gone(told["pids"])
    value, kept, body = read_everywhere(again["environment"])
    assert (value, body) == (7, b"7")
    assert kept in {b"7", None}, "the broker may lose its last second"


def test_a_second_stack_on_the_folder_is_refused_in_one_line(start: Start, tmp_path: Path) -> None:
    owner, _ = start()
    second = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "stack")], capture_output=True, text=True, check=False
    )
    assert second.returncode != 0
    assert f"runs on {tmp_path / 'stack'} already (process {owner.pid})" in second.stderr


def test_a_server_that_dies_ends_the_stack_with_its_log(start: Start) -> None:
    owner, told = start()
    os.kill(told["pids"][1], signal.SIGKILL)
    _, stderr = owner.communicate(timeout=30)
    assert owner.returncode != 0
    assert "The broker has ended" in stderr
    assert not [pid for pid in told["pids"] if is_alive(pid)]


def open_address(address: str) -> str:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(address, timeout=30) as page:
        return str(page.read().decode())


def test_the_web_application_opens_at_the_address_in_its_file_which_then_holds_the_next_one(start: Start) -> None:
    owner, told = start("web")
    file = Path(told["web_address_file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = file.read_text().strip()
    assert "Nothing is annotated yet" in open_address(first)
    second = file.read_text().strip()
    assert second != first
    assert "Nothing is annotated yet" in open_address(second)
    assert "key=" not in file.with_name("web.log").read_text()
    owner.send_signal(signal.SIGINT)
    assert owner.wait(30) == 0
    assert not file.exists()
    assert not [pid for pid in told["pids"] if is_alive(pid)]


def test_a_web_application_that_dies_is_started_again_at_its_port(start: Start) -> None:
    _, told = start("web")
    file = Path(told["web_address_file"])
    before = urlsplit(file.read_text().strip())
    os.kill(told["pids"][-1], signal.SIGKILL)
    wait_until_gone(told["pids"][-1:])
    deadline = time.monotonic() + 60
    while not file.exists() or urlsplit(file.read_text().strip()) == before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)
    after = urlsplit(file.read_text().strip())
    assert after.netloc == before.netloc
    assert "Nothing is annotated yet" in open_address(after.geturl())


def test_a_web_application_that_refuses_leaves_the_rest_running_until_its_remedy_is_followed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANNOTATOR_WEB__PUBLIC_URL", "https://faces.example.org")
    _, told = start("web")
    file = Path(told["web_address_file"])
    assert not file.exists()
    assert "make an account first" in file.with_name("web.log").read_text()
    command = ["web", "users", "add", "eve", "--role", "admin", "--password-stdin"]
    done = subprocess.run(
        [sys.executable, "-m", "annotator.cli", *command],
        input="correct horse battery staple\n",
        env={**os.environ, **told["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 180
    while not file.exists():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)
    assert file.read_text().strip() == "https://faces.example.org"
