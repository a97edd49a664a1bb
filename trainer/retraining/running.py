"""One retraining: its steps in order, each in a process of its own, its row moved on behind each of them.

A run that was cut off, at any point, is gone on with by the next one: at the step in hand. One at a time: a lock of the
database, which a process that dies lets go of, and a row that only one run can have open.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from annotator.cli.entry import BUSY, HELD, INTERRUPTED
from annotator.errors import BusyError
from annotator.stack.child import ChildProcess
from annotator.store.connection import reading, writing
from annotator.store.locks import only_one
from annotator.store.retrainings import (
    RETRAINING_LOCK,
    Cause,
    Outcome,
    Retraining,
    begin_retraining,
    begin_step,
    end_retraining,
    end_step,
    fresh_kinds,
    give_back_try,
    last_retraining,
    open_retraining,
)
from trainer.retraining.steps import STEPS, Plan, Step

_log: Final = logging.getLogger("trainer.retrain")

FOLDER: Final = "retraining"
"""In the folder of an experiment: a folder for each run, with the logs of its steps and its bundle."""

MAX_TRIES: Final = 3
"""A step that was cut off so often is not begun again: something about it kills processes."""

_STOP_S: Final = 60.0
"""For a step that is told to stop: a fit writes its checkpoint, which may be a gigabyte."""

_POLL_S: Final = 0.2

BUSY_TRIES: Final = 20
"""How often a step is tried while somebody else is at what only one may do; then the next run goes on with it."""

BUSY_PAUSE_S: Final = 30.0
"""Between two such tries."""

RunStep = Callable[[Step, Plan, bool, Callable[[], bool]], int | None]
"""Runs a step, told whether it was begun before, and asked whether to stop; returns its exit code, None if stopped."""


class RetrainingUnderWayError(BusyError):
    """Another process retrains just now."""

    reason = "under_way"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a new run is to be.

    Attributes:
        experiment: its name.
        cause: what asks for it.
        read_news: reads what it would be made from; see ``trainer.retraining.news``.
        next_version: says which version of the model is free.
        plan_of: makes the plan of a run.
        name: of the model.
        only_news: without news since the last run that was promoted or held, nothing is done.

    """

    experiment: str
    cause: Cause
    read_news: Callable[[], Mapping[str, str]]
    next_version: Callable[[], int]
    plan_of: Callable[[Retraining], Plan]
    name: str
    only_news: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """How steps are run.

    Attributes:
        run_step: by default a child process.
        is_stopping: asked again and again; true leaves the run open, and ends the step in hand in an orderly way.
        busy_pause_s: between two tries of a step that somebody else keeps waiting.

    """

    run_step: RunStep
    is_stopping: Callable[[], bool]
    busy_pause_s: float


def retrain(
    engine: Engine,
    wanted: Wanted,
    *,
    run_step: RunStep | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    busy_pause_s: float = BUSY_PAUSE_S,
) -> Retraining:
    """Go on with the run that is open, else begin one, and take it to its end.

    Args:
        engine: of the database.
        wanted: a new run, where none is open. One that is open goes on as it was begun.
        run_step: see :class:`Running`, as for the next two.
        is_stopping: see there.
        busy_pause_s: see there.

    Returns:
        The run as it stands then: ended, or open where it was to stop.

    Raises:
        RetrainingUnderWayError: another process is at it.
        BusyError: somebody else is at what a step does, and stays at it; the run stays open.
        StoreUnavailableError: the database does not answer; the run stays open.

    """
    with only_one(engine, RETRAINING_LOCK) as is_ours:
        if not is_ours:
            raise RetrainingUnderWayError("a retraining is under way: it is one at a time; `annotator status` shows it")
        run = _open(engine, wanted)
        if run.outcome is not None:
            return run
        plan = wanted.plan_of(run)
        plan.folder.mkdir(parents=True, exist_ok=True)
        return _go(engine, run, plan, Running(run_step or run_child, is_stopping, busy_pause_s))


def _open(engine: Engine, wanted: Wanted) -> Retraining:
    with reading(engine) as connection:
        run = open_retraining(connection)
        former = last_retraining(connection, wanted.experiment, with_result=True)
    if run is not None:
        _log.info("retraining %d of %s goes on", run.id, run.experiment)
        return run
    news = wanted.read_news()
    fresh = fresh_kinds(news, former)
    model = f"{wanted.name}@{wanted.next_version()}"
    with writing(engine) as connection:
        run = begin_retraining(connection, experiment=wanted.experiment, cause=wanted.cause, news=news, model=model)
        if wanted.only_news and former is not None and not fresh:
            return end_retraining(connection, run, "nothing new", reason=f"since retraining {former.id}")
    _log.info("retraining %d of %s makes %s; new: %s", run.id, run.experiment, model, ", ".join(fresh) or "nothing")
    return run


def _go(engine: Engine, run: Retraining, plan: Plan, running: Running) -> Retraining:
    done = {one["step"] for one in run.done}
    for step in (step for step in STEPS if step.name not in done):
        if run.step == step.name and run.tries >= MAX_TRIES:
            return _end(engine, run, "failed", f"{step.name} was cut off {MAX_TRIES} times: see {_log_of(plan, step)}")
        _log.info("%s …", step.name)
        began_s = time.monotonic()
        run, code = _run_patiently(engine, run, step=step, plan=plan, running=running)
        # A signal to the whole group ends the step by itself: what it ends with then is no finding.
        if code is None or (code and running.is_stopping()):
            _log.info("stopped in %s: the next run goes on there", step.name)
            return run
        if code < 0 or code == INTERRUPTED:
            _log.warning("%s was %s", step.name, f"killed (signal {-code})" if code < 0 else "interrupted")
            return _go(engine, run, plan, running)
        if code == BUSY:
            raise BusyError(f"retraining {run.id} waits in {_why(plan, step)}; retrain again to go on")
        if code:
            outcome: Outcome = "held" if step.may_hold and code == HELD else "failed"
            return _end(engine, run, outcome, _why(plan, step))
        with writing(engine) as connection:
            run = end_step(connection, run, seconds=time.monotonic() - began_s)
    return _end(engine, run, "promoted", None)


def _run_patiently(
    engine: Engine, run: Retraining, *, step: Step, plan: Plan, running: Running
) -> tuple[Retraining, int | None]:
    """Run a step, again and again while somebody else keeps it waiting; see :data:`RunStep`."""
    for _ in range(BUSY_TRIES):
        with writing(engine) as connection:
            run = begin_step(connection, run, step.name)
        if step.clears is not None:
            shutil.rmtree(step.clears(plan), ignore_errors=True)
        code = running.run_step(step, plan, run.tries > 1, running.is_stopping)
        if code != BUSY:
            return run, code
        with writing(engine) as connection:  # before the pause, in which this process may end
            run = give_back_try(connection, run)
        _log.info("%s; it is tried again", _why(plan, step))
        if not _pause(running):
            return run, None
    return run, BUSY


def _pause(running: Running) -> bool:
    """Wait until the next try; return False where the run is to stop."""
    until_s = time.monotonic() + running.busy_pause_s
    while (left_s := until_s - time.monotonic()) > 0:
        if running.is_stopping():
            return False
        time.sleep(min(_POLL_S, left_s))
    return True


def _why(plan: Plan, step: Step) -> str:
    return f"{step.name}: {last_words(_log_of(plan, step))}"


def _end(engine: Engine, run: Retraining, outcome: Outcome, reason: str | None) -> Retraining:
    with writing(engine) as connection:
        run = end_retraining(connection, run, outcome, reason=reason)
    _log.info("retraining %d: %s%s", run.id, outcome, f" ({reason})" if reason else "")
    return run


def run_child(step: Step, plan: Plan, is_again: bool, is_stopping: Callable[[], bool]) -> int | None:  # noqa: FBT001
    """Run a step in a process that ends with this one; its output goes to its log. See :data:`RunStep`."""
    module = {"trainer": "trainer.cli", "annotator": "annotator.cli.entry"}[step.program]
    call = f"import sys; from {module} import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", call, *step.arguments(plan, is_again)]
    child = ChildProcess(step.name, command, log_path=_log_of(plan, step), environment=plan.environment)
    try:
        while (code := child.returncode()) is None:
            if is_stopping():
                return None
            time.sleep(_POLL_S)
    finally:
        child.stop(timeout_s=_STOP_S)
    return code


def _log_of(plan: Plan, step: Step) -> Path:
    return plan.folder / f"{step.name}.log"


def last_words(log: Path) -> str:
    """Return the last line of a log that says something."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it left no log"
    said = [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return said[-1] if said else "it said nothing"
