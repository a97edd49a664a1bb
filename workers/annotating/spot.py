"""Spot machines: asks the metadata service of the machine whether it is about to be taken away.

Amazon tells two minutes before (instance-action, with a session token of IMDSv2; their advice is to ask every five
seconds), Google thirty seconds before or less (preempted). A notice starts the same drain as SIGTERM.
"""

import http.client
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Final, Literal, Protocol

Cloud = Literal["aws", "gcp"]

_LOGGER: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 2.0
_AWS_URL: Final = "http://169.254.169.254"
_AWS_EVERY_S: Final = 5.0
_AWS_TOKEN_S: Final = 21600  # the longest that there is
_GCP_URL: Final = "http://metadata.google.internal"
_GCP_EVERY_S: Final = 1.0
_MAX_ANSWER_BYTES: Final = 64 << 10
# The service is on the machine itself: no proxy of the environment may come between.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class MetadataService(Protocol):
    """Who knows what will become of this machine."""

    every_s: float

    def notice(self) -> str | None:
        """Return what will be done to this machine, None where nothing will; raises ``OSError`` or ``ValueError``."""


class AwsMetadata:
    """The instance metadata service of Amazon, version 2.

    Attributes:
        every_s: time between two questions.

    """

    def __init__(self, url: str | None = None) -> None:
        """Take the address of the service; None for the usual one."""
        self.every_s = _AWS_EVERY_S
        self._url = (url or _AWS_URL).rstrip("/")
        self._token: str | None = None

    def notice(self) -> str | None:
        """Return the action (``terminate``, ``stop``, ``hibernate``) that is to come."""
        if self._token is None:
            seconds = {"X-aws-ec2-metadata-token-ttl-seconds": str(_AWS_TOKEN_S)}
            self._token = _ask(f"{self._url}/latest/api/token", seconds, method="PUT")
        url = f"{self._url}/latest/meta-data/spot/instance-action"
        try:
            answer = _ask(url, {"X-aws-ec2-metadata-token": self._token})
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.NOT_FOUND:  # nothing is going to happen
                return None
            self._token = None  # expired, perhaps
            raise
        action = json.loads(answer)
        return str(action.get("action", "unknown")) if isinstance(action, dict) else "unknown"


class GcpMetadata:
    """The metadata server of Google's machines.

    Attributes:
        every_s: time between two questions.

    """

    def __init__(self, url: str | None = None) -> None:
        """Take the address of the service; None for the usual one."""
        self.every_s = _GCP_EVERY_S
        self._url = (url or _GCP_URL).rstrip("/")

    def notice(self) -> str | None:
        """Return ``preempted`` where the machine is being taken away."""
        answer = _ask(f"{self._url}/computeMetadata/v1/instance/preempted", {"Metadata-Flavor": "Google"})
        return "preempted" if answer.strip().upper() == "TRUE" else None


def metadata_service(cloud: Cloud, url: str | None = None) -> MetadataService:
    """Return the service of a cloud.

    Args:
        cloud: which.
        url: its address; None for the usual one.

    """
    return AwsMetadata(url) if cloud == "aws" else GcpMetadata(url)


class SpotWatch:
    """Asks again and again, until there is a notice. A service that does not answer harms nothing."""

    def __init__(
        self, service: MetadataService, *, on_notice: Callable[[], None], every_s: float | None = None
    ) -> None:
        """Take whom to ask; :meth:`start` begins.

        Args:
            service: who knows.
            on_notice: called once.
            every_s: time between two questions; that of the service by default.

        """
        self._service = service
        self._on_notice = on_notice
        self._every_s = every_s or service.every_s
        self._is_away = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spot", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._every_s):
            notice = self._ask()
            if notice is not None:
                _LOGGER.warning("This machine is about to be taken away (%s): the worker drains.", notice)
                self._on_notice()
                return

    def _ask(self) -> str | None:
        try:
            notice = self._service.notice()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self._is_away:  # once, not every second of a long night
                _LOGGER.warning("The metadata service does not answer; spot notices may be missed: %s", error)
            self._is_away = True
            return None
        self._is_away = False
        return notice


def _ask(url: str, headers: Mapping[str, str], *, method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310 - from the settings
    with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
        return str(answer.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace"))
