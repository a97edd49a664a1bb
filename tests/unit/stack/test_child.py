"""A child process: its log."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.stack.child import ChildProcess

TIMEOUT_S = 30.0
# Writes a line for each byte that it finds in its folder's file «go», at the end of its log.
CHATTERER = """
import pathlib, sys, time
go, told = pathlib.Path(sys.argv[1]), 0
while True:
    while told < go.stat().st_size:
        print(f"line {told}", "x" * 100, flush=True)
        told += 1
    time.sleep(0.01)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[ChildProcess]:
    (tmp_path / "go").touch()
    command = [sys.executable, "-c", CHATTERER, str(tmp_path / "go")]
    started = ChildProcess("chatterer", command, log_path=tmp_path / "chatterer.log")
    yield started
    started.stop(timeout_s=TIMEOUT_S)


def let_it_say(child: ChildProcess, lines: int) -> None:
    with (child.log_path.parent / "go").open("ab") as go:
        go.write(b"x" * lines)
    last = (child.log_path.parent / "go").stat().st_size - 1
    until_s = time.monotonic() + TIMEOUT_S
    while f"line {last} " not in child.log_path.read_text():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def test_a_log_that_has_grown_large_is_moved_aside_and_the_program_writes_on(child: ChildProcess) -> None:
    let_it_say(child, 10)
    assert not child.rotate_log(max_bytes=10_000)
    let_it_say(child, 100)
    assert child.rotate_log(max_bytes=10_000)
    assert child.log_path.read_text() == ""
    moved = child.log_path.with_name("chatterer.log.1")
    assert "line 0 " in moved.read_text()
    let_it_say(child, 1)
    assert child.log_path.read_text().startswith("line 110 "), "at the beginning, and no hole before it"
    assert "line 110" in child.log_tail()
    let_it_say(child, 100)
    assert child.rotate_log(max_bytes=10_000)
    assert moved.read_text().startswith("line 110 "), "what was moved aside before is gone"
