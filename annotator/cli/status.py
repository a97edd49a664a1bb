"""``annotator status``: once, again and again, as JSON; and the repair of the counters."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from annotator.cli.database import open_store
from annotator.cli.output import make_table, out, print_json_line, print_table, remark
from annotator.settings import load_settings
from annotator.store.queue.counts import Delta, recount
from annotator.store.queue.status import MOST_COUNTED, BacklogStatus, SessionStatus, Status, read_status
from annotator.store.queue.words import backlog_in_words, rate_in_words, remaining_in_words, span
from annotator.store.retrainings import Retraining
from annotator.store.store import Store

_WATCH_EVERY_S: Final = 2.0


def show_status(*, as_json: bool, is_watched: bool, settings: Mapping[str, Any]) -> None:
    """Print how far the database has come.

    Args:
        as_json: JSON lines.
        is_watched: go on until Ctrl-C: drawn anew on a terminal, elsewhere a line for each change.
        settings: of the command line.

    """
    loaded = load_settings(**settings)
    timeout_s = loaded.worker.session_timeout_s
    with open_store(loaded, must_exist=True) as store:

        def read() -> Status:
            with store.reading() as connection:
                return read_status(connection, session_timeout_s=timeout_s)

        url = str(loaded.database_url)
        if is_watched:
            _watch(read, url, as_json=as_json)
        elif as_json:
            print_json_line(to_json(read(), url))
        else:
            _print(read(), url)


def _print(status: Status, url: str) -> None:
    out().print(render(status, url))
    if status.failures:
        remark("`annotator retry --reason REASON` lets them be tried again.")


def _watch(read: Callable[[], Status], url: str, *, as_json: bool) -> None:
    """Go on until Ctrl-C."""
    try:
        if as_json or not out().is_terminal:
            _tell_changes(read, (lambda status: to_json(status, url)) if as_json else None)
            return
        with Live(render(read(), url), console=out(), auto_refresh=False, screen=False) as live:
            while True:
                time.sleep(_WATCH_EVERY_S)
                live.update(render(read(), url), refresh=True)
    except KeyboardInterrupt:
        return


def _tell_changes(read: Callable[[], Status], to_value: Callable[[Status], dict[str, Any]] | None) -> None:
    """Print a line whenever the counts or what binds has changed."""
    told = None
    while True:
        status = read()
        state = (status.by_state, status.workers, status.verdict.binds)
        if state != told:
            told = state
            if to_value is not None:
                print_json_line(to_value(status))
            else:
                out().print(Text(in_one_line(status)), soft_wrap=True)
        time.sleep(_WATCH_EVERY_S)


def recount_all(*, settings: Mapping[str, Any]) -> None:
    """Count all rows, correct the counters, and say what differed."""
    with open_store(load_settings(**settings), must_exist=True) as store:
        corrections = correct(store)
    if not corrections:
        out().print("the counters were right")
        return
    rows = [
        [
            one.state.name.lower(),
            one.lane,
            "-" if one.run_id is None else str(one.run_id),
            one.reason or "-",
            f"{one.media:+,}",
        ]
        for one in corrections
    ]
    print_table(["state", "lane", "backlog", "reason", "corrected by"], rows, right=["corrected by"])


def correct(store: Store) -> list[Delta]:
    """Correct the counters of a database; return by how much."""
    with store.writing() as connection:
        return recount(connection)


# ------------------------------------------------------------------------------------------------------------- values


def to_json(status: Status, url: str) -> dict[str, Any]:
    """Return the status as it is printed for programs."""
    return {
        "database": url,
        "model": status.model,
        "media": status.media,
        "contents": status.contents,
        "contents_estimated": status.is_estimated,
        **status.by_state,
        "damaged": status.damaged,
        "identities": status.identities,
        "workers": status.workers,
        "failures": dict(status.failures),
        "media_per_s": status.forecast.media_per_s,
        "remaining_s": status.forecast.remaining_s,
        "remaining_least_s": status.forecast.least_s,
        "remaining_most_s": status.forecast.most_s,
        "binds": {"what": status.verdict.binds, "why": status.verdict.why, "remedy": status.verdict.remedy},
        "sessions": [_session_json(one) for one in status.sessions],
        "lanes": [
            {
                "lane": one.depth.lane,
                "pending": one.pending,
                "waiting_chunks": one.waiting,
                "waiting_age_s": one.depth.waiting_age_s,
                "published_chunks": one.depth.published,
                "published_age_s": one.depth.published_age_s,
            }
            for one in status.lanes
        ],
        "backlogs": [_backlog_json(one) for one in status.backlogs],
        "callbacks": {"waiting": status.callbacks.waiting, "given_up": status.callbacks.given_up},
        "retrainings": [_retraining_json(one) for one in status.retrainings],
        "overdue_jobs": [{"job": one.name, "age_s": one.age_s} for one in status.overdue],
    }


def _session_json(session: SessionStatus) -> dict[str, Any]:
    return {
        "worker": session.worker,
        "queues": list(session.queues),
        "device": session.device,
        "in_hand": session.in_hand,
        "media_done": session.media_done,
        "seen_s": session.seen_s,
        "silent": session.is_silent,
        "busy": None if session.busy is None else dict(session.busy),
    }


def _backlog_json(backlog: BacklogStatus) -> dict[str, Any]:
    return {
        "backlog": backlog.run_id,
        "uri": backlog.uri,
        "priority": backlog.priority,
        **backlog.by_state,
        "listed": backlog.is_listed,
        "deadline_at": None if backlog.deadline_at is None else backlog.deadline_at.isoformat(),
        "stop_reason": backlog.stop_reason,
        "finished_at": None if backlog.finished_at is None else backlog.finished_at.isoformat(),
        "followed_s": backlog.followed_s,
        "followed": None if backlog.followed_s is None else not backlog.is_silent,
        "gone_refused": backlog.gone_refused,
    }


def _retraining_json(run: Retraining) -> dict[str, Any]:
    return {
        "retraining": run.id,
        "experiment": run.experiment,
        "model": run.model,
        "started_at": run.started_at.isoformat(),
        "finished_at": None if run.finished_at is None else run.finished_at.isoformat(),
        "step": run.step,
        "outcome": run.outcome,
        "reason": run.reason,
    }


def in_one_line(status: Status) -> str:
    """Return the status as a line for a log."""
    states = ", ".join(
        f"{state} {count:,}" for state, count in status.by_state.items() if count or state != "quarantined"
    )
    clock = datetime.now(tz=UTC).strftime("%H:%M:%S")
    workers = f"{status.workers} worker{'' if status.workers == 1 else 's'}"
    return f"{clock} {states}; {workers}; {rate_in_words(status.forecast)}; binds: {status.verdict.binds}"


# ------------------------------------------------------------------------------------------------------------- tables


def render(status: Status, url: str) -> RenderableType:
    """Return the status as it is printed for people."""
    parts = [_facts(status, url), *_queue(status), *_sessions(status), *_backlogs(status), *_failures(status)]
    parts += [*_retrainings(status), *_overdue(status)]
    return Group(*itertools.chain.from_iterable((part, Text()) for part in parts[:-1]), parts[-1])


def _facts(status: Status, url: str) -> RenderableType:
    approximately = "about " if status.is_estimated else ""
    left = status.by_state["pending"] + status.by_state["claimed"]
    facts: dict[str, str | Text] = {
        "database": url,
        "model": status.model or "-",
        "media": f"{status.media:,}",
        **{state: f"{count:,}" for state, count in status.by_state.items()},
        "contents": f"{approximately}{status.contents:,}",
        "damaged": "not counted" if status.damaged is None else f"{status.damaged:,}",
        "identities": f"{status.identities:,}",
        "workers": f"{status.workers:,}",
        "rate": rate_in_words(status.forecast) if left else "-",
        "remaining": remaining_in_words(status.forecast, left=left),
        "binds": Text.assemble((status.verdict.binds, "bold"), f": {status.verdict.why}."),
        "": status.verdict.remedy,
    }
    return make_table(["what", "value"], facts.items())


def _queue(status: Status) -> Iterator[RenderableType]:
    if any(lane.pending or lane.waiting or lane.depth.published for lane in status.lanes):
        rows = [
            [
                lane.depth.lane,
                f"{lane.pending:,}",
                _bounded(lane.waiting),
                _age(lane.depth.waiting_age_s),
                f"{lane.depth.published:,}",
                _age(lane.depth.published_age_s),
            ]
            for lane in status.lanes
        ]
        titles = ["lane", "pending media", "waiting chunks", "oldest waiting", "published chunks", "oldest published"]
        yield make_table(titles, rows, right=titles[1:])
    if status.callbacks.waiting or status.callbacks.given_up:
        given_up = _bounded(status.callbacks.given_up)
        yield Text(f"call-backs: {_bounded(status.callbacks.waiting)} to be delivered, {given_up} given up")


def _sessions(status: Status) -> Iterator[RenderableType]:
    if status.sessions:
        rows: list[list[str | Text]] = [
            [
                session.worker,
                ", ".join(session.queues) or "-",
                session.device or "-",
                f"{session.in_hand:,}",
                f"{session.media_done:,}",
                Text(f"{_age(session.seen_s)} ago", style="red" if session.is_silent else ""),
            ]
            for session in status.sessions
        ]
        titles = ["worker", "queues", "device", "in hand", "done", "seen"]
        yield make_table(titles, rows, right=["in hand", "done", "seen"])


def _retrainings(status: Status) -> Iterator[RenderableType]:
    if status.retrainings:
        rows = [
            [
                str(run.id),
                run.model,
                f"{run.started_at:%Y-%m-%d %H:%M}",
                run.outcome or f"in {run.step or 'the queue'}",
                run.reason or "",
            ]
            for run in status.retrainings
        ]
        yield make_table(["retraining", "model", "started (UTC)", "outcome", "why"], rows, right=["retraining"])


def _overdue(status: Status) -> Iterator[RenderableType]:
    if status.overdue:
        jobs = ", ".join(f"{job.name} ({span(job.age_s)} ago)" for job in status.overdue)
        yield Text.assemble(("overdue: ", "red"), f"{jobs}. Does beat run? Its log, or a worker's, says what fails.")


def _backlogs(status: Status) -> Iterator[RenderableType]:
    if status.backlogs:
        rows: list[list[str | Text]] = [
            [
                str(backlog.run_id),
                backlog.uri,
                str(backlog.priority),
                *(f"{backlog.by_state[state]:,}" for state in ("pending", "claimed", "done")),
                f"{backlog.by_state['failed'] + backlog.by_state['quarantined']:,}",
                _backlog_state(backlog),
            ]
            for backlog in status.backlogs
        ]
        titles = ["backlog", "of", "priority", "pending", "claimed", "done", "failed", "state"]
        yield make_table(titles, rows, right=[*titles[2:7]])
    for backlog in status.backlogs:
        if backlog.gone_refused is not None:
            yield Text.assemble(
                (f"backlog {backlog.run_id}: ", "red"),
                f"its listing lacks {backlog.gone_refused:,} or more known media, too many to be taken for gone: none"
                " is marked. Is the bucket's listing right? Where they are gone, use annotate-backlog --allow-gone.",
            )


def _failures(status: Status) -> Iterator[RenderableType]:
    if status.failures:
        rows = [[reason, f"{count:,}"] for reason, count in status.failures.items()]
        yield make_table(["failed because", "media"], rows, right=["media"])


def _backlog_state(backlog: BacklogStatus) -> Text:
    is_over = backlog.stop_reason is not None or backlog.finished_at is not None
    return Text(backlog_in_words(backlog), style="red" if backlog.is_silent and not is_over else "")


# -------------------------------------------------------------------------------------------------------------- words


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def _bounded(count: int) -> str:
    return f"{count:,}" if count < MOST_COUNTED else f"{MOST_COUNTED:,} or more"
