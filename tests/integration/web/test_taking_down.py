"""What does looks and takedowns one at a time, with a program that says what the test wants it to say."""

import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from annotator.web.errors import WebError
from annotator.web.taking_down import TakingDown

SAYS = """
import json, sys
asked = json.loads(sys.stdin.readline())
if asked.get("gate"):
    open(asked["gate"]).close()
for line in asked["says"]:
    print(json.dumps(line), flush=True)
if asked.get("hangs"):
    sys.stdin.read()
"""
NOW = datetime(2026, 11, 27, tzinfo=UTC)
PATIENCE_S = 60.0
REPORT = {"report": {"takedown": None}}
FAILS = {"failure": "the database does not answer", "reason": "store_unavailable", "is_transient": True}


def taking_down(**how: float) -> TakingDown:
    return TakingDown((sys.executable, "-S", "-E", "-c", SAYS), {}, os.environ, **how)


def settle(it: TakingDown) -> None:
    assert it.wait(lambda: not it.is_busy, timeout_s=PATIENCE_S)


def test_a_look_that_failed_is_told_once_and_then_begins_anew() -> None:
    it = taking_down()
    it.look("ada", now=NOW, says=[FAILS])
    settle(it)
    told = it.look("ada", now=NOW, says=[REPORT])
    assert told is not None
    assert (told.why, told.is_transient) == ("the database does not answer.", True)
    anew = it.look("ada", now=NOW, says=[REPORT])
    assert anew is not None
    assert anew.why is None
    settle(it)
    kept = it.look("ada", now=NOW, says=[])
    assert kept is not None
    assert kept.report == REPORT["report"]


def test_a_look_in_which_a_takedown_has_ended_is_not_kept(tmp_path: Path) -> None:
    it, gate = taking_down(), tmp_path / "gate"
    os.mkfifo(gate)
    it.look("ada", now=NOW, says=[REPORT], gate=str(gate))
    it.follow(1)  # by another program
    assert it.look_of("ada") is not None, "it is under way"
    gate.open("w").close()
    settle(it)
    it.follow(1)
    assert it.look_of("ada") is None


def test_a_takedown_waits_for_no_look_but_for_another_takedown() -> None:
    it = taking_down()
    it.look("ada", now=NOW, says=[], hangs=True)
    it.begin(now=NOW, says=[{"takedown": 7, "doing": "it"}], hangs=True)
    ended = it.look_of("ada")
    assert ended is not None
    assert ended.why == "A takedown has begun meanwhile, which ended the look: look again."
    assert it.wait(lambda: it.state is not None and it.state.takedown_id == 7, timeout_s=PATIENCE_S)
    with pytest.raises(WebError, match="taken down just now") as caught:
        it.begin(now=NOW, says=[])
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "10"})
    assert it._run is not None
    it._stop(it._run, "that is all")
    settle(it)


def test_a_look_without_an_end_is_ended() -> None:
    it = taking_down(looks_for_s=0.1)
    it.look("ada", now=NOW, says=[], hangs=True)
    settle(it)
    told = it.look_of("ada")
    assert told is not None
    assert told.why is not None
    assert "without an end" in told.why


def test_why_a_takedown_has_not_begun_is_told_no_longer_than_a_look_is_kept() -> None:
    it = taking_down()
    it.begin(now=NOW, says=[{"failure": "Ada is somebody else", "reason": "identity"}])
    settle(it)
    assert it.state is not None
    assert it.state.why == "Ada is somebody else."
    it.follow(1)
    assert it.state is None
    it = taking_down(kept_s=0.0)
    it.begin(now=NOW, says=[{"failure": "Ada is somebody else", "reason": "identity"}])
    settle(it)
    assert it.state is None


def test_what_is_kept_has_one_timer() -> None:
    before = {one for one in threading.enumerate() if isinstance(one, threading.Timer)}
    it = taking_down()
    for name in ("ada", "ben", "eve"):
        it.look(name, now=NOW, says=[REPORT])
        settle(it)
    begun = {one for one in threading.enumerate() if isinstance(one, threading.Timer)} - before
    assert [one for one in begun if one.interval < 3600.0] == [it._timer]
