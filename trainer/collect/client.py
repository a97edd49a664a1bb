"""Ask Wikimedia as it wants to be asked.

- At most two connections at a time, the API one at a time
  (https://wikitech.wikimedia.org/wiki/Robot_policy, https://www.mediawiki.org/wiki/API:Etiquette).
- ``maxlag=5``: when the databases lag, the API answers an error of that name, with status 200, and waits are in order
  (https://www.mediawiki.org/wiki/Manual:Maxlag_parameter).
- ``Retry-After`` is kept, and a back-off of our own where there is none: pictures of an odd width are refused with 400
  or 429 and no such header (https://www.mediawiki.org/wiki/Common_thumbnail_sizes). A host that is waited for is asked
  by nobody.
- Whatever was answered is kept on disk.
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from annotator.errors import ConfigError, MediaTooLargeError, SourceNotFoundError, SourceUnavailableError
from annotator.media.limits import FetchLimits
from trainer.collect.cache import DiskCache
from trainer.collect.services import Services
from trainer.collect.shapes import as_map, as_text, parse_json, plain
from trainer.collect.transport import LIMITS, Answer, get

CONNECTIONS: Final = 2
MAXLAG_S: Final = 5
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_API_WAITS: Final = frozenset({"maxlag", "ratelimited", "readonly", "internal_api_error_DBQueryError", "timeout"})
_ODD_WIDTH: Final = b"w.wiki/GHai"  # stands in the refusal of a width that is not served


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly is asked, and how long is waited.

    Attributes:
        api_interval_s: between the beginnings of two requests to an API.
        picture_interval_s: between those of two pictures.
        tries: of one request, before it is given up.
        first_wait_s: after the first refusal; doubles with each.
        max_wait_s: longest of these waits.
        longest_rest_s: a server that asks for a longer rest ends the run.

    """

    api_interval_s: float = 0.5
    picture_interval_s: float = 0.25
    tries: int = 6
    first_wait_s: float = 5.0
    max_wait_s: float = 300.0
    longest_rest_s: float = 1800.0

    def wait_s(self, tries: int, retry_after_s: float | None, *, luck: float = 1.0) -> float:
        """Return how long to wait: what the server asks for, and never less than our own back-off.

        >>> [Pace().wait_s(tries, None) for tries in (1, 2, 3, 9)], Pace().wait_s(1, 60.0), Pace().wait_s(1, 0.0)
        ([5.0, 10.0, 20.0, 300.0], 60.0, 5.0)
        """
        own_s = min(self.first_wait_s * 2.0 ** min(tries - 1, 16), self.max_wait_s)
        return max(retry_after_s or 0.0, own_s * (0.75 + luck / 4))


class _Gate:
    """Lets requests to one host through, one after another at the pace, and none while the host is left in peace."""

    def __init__(self, interval_s: float, sleep: Callable[[float], None]) -> None:
        self._interval_s = interval_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._open_at = 0.0

    def enter(self) -> None:
        while True:
            with self._lock:
                now = time.monotonic()
                left_s = self._open_at - now
                if left_s <= 0:
                    self._open_at = now + self._interval_s
                    return
            self._sleep(left_s)

    def rest(self, wait_s: float) -> None:
        with self._lock:
            self._open_at = max(self._open_at, time.monotonic() + wait_s)


class PoliteClient:
    """Asks the services; may be used from two threads."""

    def __init__(
        self,
        services: Services,
        *,
        agent: str,
        cache: DiskCache,
        pace: Pace | None = None,
        limits: FetchLimits = LIMITS,
        on_wait: Callable[[str, float], None] = lambda _why, _wait_s: None,
    ) -> None:
        """Take what it needs.

        Args:
            services: which hosts.
            agent: the User-Agent, with a contact.
            cache: of answers.
            pace: how quickly.
            limits: of one request.
            on_wait: told why it waits and for how many seconds.

        """
        self.services = services
        self._agent = agent
        self._cache = cache
        self._pace = pace or Pace()
        self._limits = limits
        self._on_wait = on_wait
        self._connections = threading.BoundedSemaphore(CONNECTIONS)
        self._in_series = threading.Lock()
        self._gates_lock = threading.Lock()
        self._gates: dict[str, _Gate] = {}
        self._stopped = threading.Event()
        self._random = random.Random()  # noqa: S311 - spreads waits

    def close(self) -> None:
        """Ask nothing more; whoever waits is woken with ``SourceUnavailableError``."""
        self._stopped.set()

    def _sleep(self, wait_s: float) -> None:
        if self._stopped.wait(wait_s):
            raise SourceUnavailableError("It was told to end.")

    def ask(self, api: str, parameters: Mapping[str, str | int]) -> Mapping[str, Any]:
        """Ask an Action API.

        Args:
            api: address of its ``api.php``.
            parameters: without ``format``, ``formatversion`` and ``maxlag``.

        Returns:
            The JSON object.

        Raises:
            SourceUnavailableError: it does not answer, or not what it should, after several tries.
            SourceNotFoundError: the API finds the question wrong.
            ConfigError: it does not want this program.
            ForbiddenSourceError: it leads to a host that is not asked.
            MediaTooLargeError: the answer is over the limit.

        """
        query = urlencode(sorted({**parameters, "format": "json", "formatversion": 2}.items()))
        key = f"{api}?{query}"
        kept = self._cache.read(key)
        if kept is not None:
            with contextlib.suppress(SourceUnavailableError):  # a file that was spoilt is asked again
                return parse_json(key, kept)
        body = self._get(f"{key}&maxlag={MAXLAG_S}", is_api=True, key=key)
        return parse_json(key, body)

    def picture(self, url: str) -> Path:
        """Fetch a picture, or find it on disk.

        Returns:
            Where its bytes are.

        Raises:
            SourceUnavailableError: the server does not give it now.
            SourceNotFoundError: it is not there, its width is not served, or it is no picture.
            ForbiddenSourceError: the address leads to a host that is not asked.
            MediaTooLargeError: it is over the limit.

        """
        if self._cache.read(url, is_lasting=True) is None:
            self._get(url, is_api=False, key=url)
        return self._cache.path(url)

    def _get(self, url: str, *, is_api: bool, key: str) -> bytes:
        gate = self._gate(url, self._pace.api_interval_s if is_api else self._pace.picture_interval_s)
        trouble = ""
        for tries in range(1, self._pace.tries + 1):
            retry_after_s = None
            self._sleep(0)
            try:
                with self._line(gate, is_api=is_api):
                    answer = get(url, agent=self._agent, services=self.services, limits=self._limits)
                trouble, retry_after_s = (_api_trouble if is_api else _picture_trouble)(answer)
                if not trouble:
                    self._cache.write(key, answer.body)
                    return answer.body
            except SourceUnavailableError as error:
                trouble = str(error)
            wait_s = self._pace.wait_s(tries, retry_after_s, luck=self._random.random())
            gate.rest(wait_s)
            if wait_s > self._pace.longest_rest_s:
                raise SourceUnavailableError(f"{trouble}; it asks to be left alone for {wait_s / 60:.0f} minutes.")
            if tries < self._pace.tries:
                self._on_wait(trouble, wait_s)
        raise SourceUnavailableError(f"{trouble}: {self._pace.tries} tries, given up for now; start again later.")

    @contextlib.contextmanager
    def _line(self, gate: _Gate, *, is_api: bool) -> Iterator[None]:
        """Hold one of the two connections; the API's only one at a time."""
        with contextlib.ExitStack() as held:
            if is_api:
                held.enter_context(self._in_series)
            gate.enter()
            held.enter_context(self._connections)
            yield

    def _gate(self, url: str, interval_s: float) -> _Gate:
        with self._gates_lock:
            return self._gates.setdefault(urlsplit(url).netloc.lower(), _Gate(interval_s, self._sleep))


def _api_trouble(answer: Answer) -> tuple[str, float | None]:
    """Return why an answer of the API is none, empty where it is one, and the seconds it asks to wait."""
    where = answer.url.partition("?")[0]
    if answer.status in _TRANSIENT:
        return f"{where} answers {answer.status}", answer.retry_after_s
    if answer.status != 200:
        raise ConfigError(f"{where} answers {answer.status} and does not want this program; check --contact.")
    error = as_map(parse_json(where, answer.body).get("error"))
    code = as_text(error.get("code"))
    if not error:
        return "", None
    if code in _API_WAITS or code.startswith("internal_api_error"):
        lag = error.get("lag")
        lag_s = float(lag) if isinstance(lag, int | float) and 0 < lag < 86_400 else None
        return f"{where} is busy ({code})", answer.retry_after_s if answer.retry_after_s is not None else lag_s
    raise SourceNotFoundError(f"{where} refuses the question ({plain(code)[:60]}: {plain(error.get('info'))[:200]}).")


def _picture_trouble(answer: Answer) -> tuple[str, float | None]:
    """Return why a picture did not come, empty where it did, and the seconds that the server asks to wait."""
    if answer.status in {400, 429} and _ODD_WIDTH in answer.body[:20_000] and answer.retry_after_s is None:
        raise SourceNotFoundError("its width is not served")
    if answer.status in _TRANSIENT:
        return f"{urlsplit(answer.url).netloc} answers {answer.status}", answer.retry_after_s
    if answer.status != 200:
        raise SourceNotFoundError(f"the server answers {answer.status}")
    if not answer.content_type.startswith("image/"):
        raise SourceNotFoundError(f"the server answers {answer.content_type[:60] or 'something'!r}, no picture")
    if not answer.body:
        raise MediaTooLargeError("it is empty")
    return "", None
