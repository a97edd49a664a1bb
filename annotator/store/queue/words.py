"""How far a queue has come, in words: for the command line and for pages."""

from typing import Final

from annotator.store.queue.progress import Forecast
from annotator.store.queue.status import BacklogStatus

_UNKNOWN: Final = "not known yet"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def rate_in_words(forecast: Forecast) -> str:
    """Return the rate of the last minutes.

    >>> [rate_in_words(Forecast(media_per_s=rate)) for rate in (None, 12.345, 0.05)]
    ['not known yet', '12.3 media/s', '3.0 media/min']
    """
    if forecast.media_per_s is None:
        return _UNKNOWN
    if 0 < forecast.media_per_s < 1:
        return f"{forecast.media_per_s * _MINUTE_S:.1f} media/min"
    return f"{forecast.media_per_s:,.1f} media/s"


def remaining_in_words(forecast: Forecast, *, left: int) -> str:
    """Return the remaining time with its interval.

    >>> remaining_in_words(Forecast(1.0, 600.0, 500.0, 4000.0), left=600)
    '10 min (8 min to 1 h 07 min)'
    >>> remaining_in_words(Forecast(1.0, 600.0, 599.0, 601.0), left=600)
    '10 min'
    >>> remaining_in_words(Forecast(1.0, 600.0, 500.0, None), left=600)
    '10 min (8 min at least)'
    >>> remaining_in_words(Forecast(1.0, 600.0), left=600)
    '10 min (how sure is not known yet)'
    >>> remaining_in_words(Forecast(0.0), left=600), remaining_in_words(Forecast(), left=600)
    ('no end in sight: nothing moves', 'not known yet')
    """
    if left == 0:
        return "-"
    if forecast.remaining_s is None:
        return _UNKNOWN if forecast.media_per_s is None else "no end in sight: nothing moves"
    if forecast.least_s is None:
        interval = f"how sure is {_UNKNOWN}"
    elif forecast.most_s is None:
        interval = f"{span(forecast.least_s)} at least"
    else:
        least, most = span(forecast.least_s), span(forecast.most_s)
        if least == most == span(forecast.remaining_s):
            return least
        interval = f"{least} to {most}"
    return f"{span(forecast.remaining_s)} ({interval})"


def span(seconds: float) -> str:
    """Return a span of time with as many digits as it deserves.

    >>> [span(seconds) for seconds in (4.2, 75.0, 4000.0, 200_000.0)]
    ['4 s', '1 min', '1 h 07 min', '2 d 8 h']
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        hours, minutes = divmod(round(seconds / _MINUTE_S), 60)
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(round(seconds / _HOUR_S), 24)
    return f"{days} d {hours} h"


def backlog_in_words(backlog: BacklogStatus) -> str:
    """Return how far a backlog has come.

    >>> states = {"pending": 1, "claimed": 0, "done": 3, "failed": 0, "quarantined": 0}
    >>> backlog_in_words(BacklogStatus(1, "s3://gifs/", 0, states, True, None, None, None))
    '75 %'
    """
    if backlog.stop_reason is not None:
        return f"stopped: {backlog.stop_reason}"
    if backlog.finished_at is not None:
        return "finished"
    total = sum(backlog.by_state.values())
    through = total - backlog.by_state["pending"] - backlog.by_state["claimed"]
    share = f"{100 * through // total} %" if total else "0 %"
    if backlog.followed_s is None:
        return share if backlog.is_listed else f"{share}, not listed to the end"
    if backlog.is_silent:
        return f"{share}, nobody has followed for {span(backlog.followed_s)}"
    return f"{share}, follows"
