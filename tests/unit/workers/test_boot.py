"""How a worker process leaves."""

import atexit
from types import SimpleNamespace

import pytest

from workers import boot


def test_a_worker_whose_networks_never_return_sends_its_last_spans_before_its_time_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = []
    monkeypatch.setattr(boot._Process, "body", SimpleNamespace(close=lambda: False))
    monkeypatch.setattr(boot._Process, "observing", SimpleNamespace(close=lambda: done.append("last spans")))
    # Both would end the process of the tests.
    monkeypatch.setattr(atexit, "register", lambda *_: done.append("end of the interpreter"))
    monkeypatch.setattr(boot, "_leave_after", lambda *_: done.append("two seconds"))
    boot._stop(SimpleNamespace(exitcode=None))
    assert done == ["end of the interpreter", "last spans", "two seconds"]


def test_a_worker_that_is_done_leaves_as_any_program_does(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(boot._Process, "body", SimpleNamespace(close=lambda: True))
    monkeypatch.setattr(boot._Process, "observing", SimpleNamespace(close=lambda: done.append("last spans")))
    monkeypatch.setattr(boot, "_leave_after", lambda *_: done.append("two seconds"))
    boot._stop(SimpleNamespace(exitcode=None))
    assert done == ["last spans"]
