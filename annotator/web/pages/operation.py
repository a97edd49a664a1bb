"""How far the backlog is, what failed and why; failures are queued again from here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from annotator.store.queue.counts import read_counts
from annotator.store.queue.failures import FailurePage, list_failures, newest_failures
from annotator.store.queue.pace import Stretch, mean_rate, pace
from annotator.store.queue.progress import Forecast, Point, read_points
from annotator.store.queue.status import failures_by_reason, read_status
from annotator.store.queue.words import backlog_in_words, rate_in_words, remaining_in_words, span
from annotator.store.registry import active_network
from annotator.store.titles import titles_of
from annotator.web.errors import WebError
from annotator.web.failures import LONGEST_REASON, MOST_RETRIED, cursor_of, place_of, queue_again
from annotator.web.security import csrf_token
from annotator.web.visit import Visit

_ROWS: Final = 50
_CHART_WH: Final = (960, 120)
# What the picture of the rate may show, by the word in the address: how long, in how many bars, and that only each so
# many-th point is read: there is one for each minute.
_WINDOWS: Final = {
    "hour": ("the last hour", timedelta(hours=1), 60, 1),
    "day": ("the last day", timedelta(days=1), 96, 5),
    "fortnight": ("the last two weeks", timedelta(days=14), 112, 10),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the picture, in units of its view box; the words are its title."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The rate over time as bars.

    Attributes:
        bars: those stretches in which something was to be done.
        highest: the highest rate, in words; None where there are no bars.
        begin: of the window.
        end: of the window.
        words: which window it is.

    """

    bars: tuple[Bar, ...]
    highest: str | None
    begin: datetime
    end: datetime
    words: str


def show_operation(visit: Visit) -> Response:
    """Show how far the backlog is, who works on it, and what failed by reason."""
    query = visit.request.query_params
    now = _what_is_now(visit)
    retried = visit.number("retried", least=0, most=2**40, usual=0) if "retried" in query else None
    return visit.page(
        "operation.html",
        **now,
        retried=retried,
        retried_reason=query.get("reason", "")[:LONGEST_REASON],
        more_are_left=retried is not None and retried >= MOST_RETRIED,
    )


def show_now(visit: Visit) -> Response:
    """Show the part of the page that a script brings up to date."""
    shared = {"url": visit.url, "csrf": csrf_token(visit.visitor.secret or "")}
    return HTMLResponse(visit.site.templates.render("operation_now.html", _what_is_now(visit) | shared))


def show_failures(visit: Visit) -> Response:
    """Show single media that failed for a reason, newest first."""
    query = visit.request.query_params
    cursor = query.get("cursor", "")
    after = place_of(cursor) if cursor else None
    with visit.site.store.reading() as connection:
        network_id = active_network(connection)
        failures = {} if network_id is None else failures_by_reason(read_counts(connection, network_id=network_id))
        reason = query.get("reason", "")[:LONGEST_REASON] or next(iter(failures), "")
        found = FailurePage((), None)
        if network_id is not None and reason:
            found = list_failures(connection, network_id, reason, limit=_ROWS, after=after)
        titles = titles_of(connection, [(one.media_id, one.uri) for one in found.failures])
    more = None
    if found.next is not None:
        more = urlencode({"reason": reason, "cursor": cursor_of(found.next.failed_at, found.next.media_id)})
    return visit.page(
        "failures.html", failures=failures, reason=reason, found=found.failures, next_query=more, titles=titles
    )


def retry_failures(visit: Visit) -> Response:
    """Queue the failures of a reason again."""
    reason = visit.form.get("reason", "")
    if not reason or len(reason) > LONGEST_REASON:
        raise WebError(400, "Which failures are to be tried again? Name their reason.")
    count = queue_again(visit, reason)
    target = visit.redirect("operation")
    target.headers["location"] += "?" + urlencode({"retried": count, "reason": reason})
    return target


def _what_is_now(visit: Visit) -> dict[str, Any]:
    """Return what the part of the page shows that goes on by itself."""
    window = visit.request.query_params.get("window", "hour")
    if window not in _WINDOWS:
        raise WebError(400, f"window must be one of {', '.join(_WINDOWS)}, got {window[:40]!r}.")
    with visit.site.store.reading() as connection:
        status = read_status(connection, session_timeout_s=visit.site.settings.worker.session_timeout_s)
        network_id = active_network(connection)
        hour = _points(connection, network_id, timedelta(hours=1))
        chart = _chart(connection, network_id, window, visit.now)
        newest = {} if network_id is None else newest_failures(connection, network_id, status.failures)
        titles = titles_of(connection, [(one.media_id, one.uri) for one in newest.values()])
    left = status.by_state["pending"] + status.by_state["claimed"]
    return {
        "progress": status,
        "left": left,
        "through": status.media - left,
        "rate": rate_in_words(status.forecast),
        "hourly": rate_in_words(Forecast(mean_rate(hour))),
        "remaining": remaining_in_words(status.forecast, left=left),
        "chart": chart,
        "window": window,
        "windows": [(word, words) for word, (words, *_) in _WINDOWS.items()],
        "has_queue": visit.site.settings.broker_url is not None or bool(status.sessions or status.backlogs),
        "newest": newest,
        "titles": titles,
        "span": span,
        "backlog_in_words": backlog_in_words,
        "now": visit.now,
    }


def _points(connection: Connection, network_id: int | None, window: timedelta, *, every: int = 1) -> list[Point]:
    return [] if network_id is None else read_points(connection, network_id=network_id, window=window, every=every)


def _chart(connection: Connection, network_id: int | None, word: str, now: datetime) -> Chart:
    words, window, count, every = _WINDOWS[word]
    points = _points(connection, network_id, window, every=every)
    stretches = pace(points, end=now, window=window, stretches=count)
    rates = [one.media_per_s for one in stretches if one.media_per_s is not None]
    highest = max(rates, default=None)
    bars = tuple(
        _bar(place, one, count, highest or 1.0) for place, one in enumerate(stretches) if one.media_per_s is not None
    )
    told = None if highest is None else rate_in_words(Forecast(highest))
    return Chart(bars, told, stretches[0].begin, now, words)


def _bar(place: int, stretch: Stretch, count: int, highest: float) -> Bar:
    width, height = _CHART_WH[0] / count, max(_CHART_WH[1] * (stretch.media_per_s or 0.0) / highest, 1.0)
    words = f"{stretch.begin:%Y-%m-%d %H:%M} to {stretch.end:%H:%M}: {rate_in_words(Forecast(stretch.media_per_s))}"
    return Bar(round(place * width, 2), round(_CHART_WH[1] - height, 2), round(width - 1, 2), round(height, 2), words)
