"""Sending a call-back: to whom it may go, how it is signed, and what the answer means.

A call-back goes to hosts that the settings name, and to no private address that they do not name too; they are reached
as ``annotator.media.dialling`` does. Redirects are not followed, answers are not read beyond some bytes, and the
connection is cut at the end of its time.
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self
from urllib.parse import SplitResult

from annotator.errors import ConfigError, ForbiddenSourceError, InputError, SourceUnavailableError
from annotator.media.dialling import (
    DEFAULT_PORTS,
    IpAddress,
    cut_at,
    dial,
    is_public,
    parts_of_whole_address,
    resolved,
)
from annotator.settings import CallbackSettings
from annotator.store.queue.deliveries import CallBack

SIGNATURE_HEADER: Final = "Annotator-Signature"
EVENT_HEADER: Final = "Annotator-Event"
KEY_HEADER: Final = "Idempotency-Key"
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
WEBHOOK_ID_HEADER: Final = "webhook-id"
WEBHOOK_TIME_HEADER: Final = "webhook-timestamp"
WEBHOOK_SIGNATURE_HEADER: Final = "webhook-signature"
_WEBHOOK_SECRET: Final = "whsec_"  # noqa: S105  (what such secrets begin with)
_MAX_ANSWER_BYTES: Final = 64 << 10
_GONE: Final = 410
# Its key, its rights, its path or its method: no call-back fares better until somebody mends that. Or it has too many.
_OF_RECEIVER: Final = frozenset({401, 403, 404, 405, 429})


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Hosts that may be called: names, ``*.DOMAIN``, and networks for hosts with private addresses."""

    names: frozenset[str]
    domains: tuple[str, ...]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    @classmethod
    def parse(cls, entries: Sequence[str]) -> "AllowedHosts":
        """Read the entries of the settings.

        >>> hosts = AllowedHosts.parse(["hooks.example.com", "*.example.org", "10.0.0.0/8"])
        >>> [hosts.has(name) for name in ("hooks.example.com", "a.example.org", "example.org", "10.1.2.3", "8.8.8.8")]
        [True, True, False, True, False]
        """
        names, domains, networks = set(), [], []
        for entry in entries:
            with contextlib.suppress(ValueError):
                networks.append(ipaddress.ip_network(entry, strict=False))
                continue
            if entry.startswith("*."):
                domains.append(entry[1:].lower())
            else:
                names.add(entry.lower())
        return cls(frozenset(names), tuple(domains), tuple(networks))

    def has(self, host: str) -> bool:
        """Say whether a host may be called at all; its addresses are looked at when it is."""
        with contextlib.suppress(ValueError):
            return self._names_network_of(ipaddress.ip_address(host))
        name = host.lower().rstrip(".")
        return name in self.names or any(name.endswith(domain) for domain in self.domains)

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host.

        Raises:
            ForbiddenSourceError: one of its addresses is private, and no network of the settings has it.
            SourceUnavailableError: the name cannot be resolved.

        """

        def check(address: IpAddress) -> None:
            if not is_public(address) and not self._names_network_of(address):
                raise ForbiddenSourceError(
                    f"{host} has the private address {address}; name its network in"
                    " ANNOTATOR_CALLBACKS__ALLOWED_HOSTS if it is meant"
                )

        return resolved(host, port, check=check)

    def _names_network_of(self, address: IpAddress) -> bool:
        return any(address in network for network in self.networks)


def check_callback_url(url: str, settings: CallbackSettings) -> str:
    """Return an address that may be called back.

    Raises:
        InputError: it is no http(s) address, or its host may not be called.
        ConfigError: call-backs cannot be signed: there is no secret, or it cannot be read.

    """
    host = str(_parts_of(url).hostname)
    if not AllowedHosts.parse(settings.allowed_hosts).has(host):
        raise InputError(
            f"{host} may not be called back; name it in ANNOTATOR_CALLBACKS__ALLOWED_HOSTS of this program and of beat."
        )
    if settings.secret is None:
        raise ConfigError("Call-backs are signed: set ANNOTATOR_CALLBACKS__SECRET, here and for beat.")
    for secret in (settings.secret, settings.previous_secret):
        if secret is not None:
            _webhook_key(secret.get_secret_value())
    return url


def _parts_of(url: str) -> SplitResult:
    parts = parts_of_whole_address(url)
    if parts is None or parts.username is not None or not url.isascii():
        raise InputError(f"{url!r} cannot be called back; give https://HOST/PATH, without a user name.")
    return parts


def sign(body: bytes, secrets: Sequence[str], *, at_s: int) -> str:
    """Return the signature of a body: the time, and an HMAC-SHA256 of time and body for each secret.

    >>> sign(b"{}", ["a secret of the receiver"], at_s=1700000000)[:27]
    't=1700000000,v1=e7991192106'
    """
    signed = f"{at_s}.".encode() + body
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at_s}", *(f"v1={digest}" for digest in digests)])


def sign_as_webhook(body: bytes, secrets: Sequence[str], *, key: str, at_s: int) -> dict[str, str]:
    """Return the headers of Standard Webhooks, whose libraries check them; there is a signature for each secret.

    Args:
        body: as it is sent.
        secrets: as of the settings. One that begins with ``whsec_`` is base64, as the specification has it; another is
            the key itself.
        key: of the call-back. Its id has no full stop, as the specification asks for.
        at_s: when it is sent.

    Raises:
        ConfigError: a secret begins with ``whsec_`` and is no base64.

    >>> headers = sign_as_webhook(b"{}", ["a secret of the receiver"], key="backlog.finished-7", at_s=1700000000)
    >>> headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"][:11]
    ('backlog-finished-7', '1700000000', 'v1,8ecp+cNN')
    """
    webhook_id = key.replace(".", "-")
    signed = f"{webhook_id}.{at_s}.".encode() + body
    digests = [hmac.new(_webhook_key(secret), signed, hashlib.sha256).digest() for secret in secrets]
    return {
        WEBHOOK_ID_HEADER: webhook_id,
        WEBHOOK_TIME_HEADER: str(at_s),
        WEBHOOK_SIGNATURE_HEADER: " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }


def _webhook_key(secret: str) -> bytes:
    if not secret.startswith(_WEBHOOK_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_WEBHOOK_SECRET), validate=True)
    except binascii.Error as error:
        raise ConfigError(
            "ANNOTATOR_CALLBACKS__SECRET begins with whsec_ and is no base64: give it whole, or without whsec_"
        ) from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending a call-back.

    Attributes:
        status: of HTTP; None where no answer came.
        trouble: a sentence; None where it was accepted.

    """

    status: int | None
    trouble: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver has it."""
        return self.trouble is None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants it no more."""
        return self.status == _GONE

    @property
    def blames_receiver(self) -> bool:
        """Whether others would fare no better now."""
        return self.status is None or self.status in _OF_RECEIVER or self.status >= 500


class Sender:
    """Sends call-backs to one address, over one connection as long as it lasts. For one thread."""

    def __init__(self, url: str, settings: CallbackSettings) -> None:
        """Take the address; nothing is connected yet."""
        self._url = url
        self._allowed = AllowedHosts.parse(settings.allowed_hosts)
        self._timeout_s = settings.timeout_s
        given = (settings.secret, settings.previous_secret)
        self._secrets = [secret.get_secret_value() for secret in given if secret is not None]
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def send(self, callback: CallBack) -> Answer:
        """Send a call-back."""
        body = json.dumps(callback.payload, ensure_ascii=False, separators=(",", ":")).encode()
        at_s = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "celebrity-annotator",
            KEY_HEADER: callback.key,
            EVENT_HEADER: callback.event,
            SIGNATURE_HEADER: sign(body, self._secrets, at_s=at_s),
            **sign_as_webhook(body, self._secrets, key=callback.key, at_s=at_s),
        }
        deadline_s = time.monotonic() + self._timeout_s
        is_kept = self._connection is not None
        try:
            try:
                return self._exchange(body, headers, deadline_s)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not is_kept:
                    raise
                self.close()  # the other side has ended the connection meanwhile
                return self._exchange(body, headers, deadline_s)
        except (InputError, SourceUnavailableError) as error:
            self.close()
            return Answer(None, str(error))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            is_late = time.monotonic() >= deadline_s
            what = f"takes longer than {self._timeout_s:g} s" if is_late else f"cannot be reached ({_named(error)})"
            return Answer(None, f"the receiver {what}")

    def _exchange(self, body: bytes, headers: Mapping[str, str], deadline_s: float) -> Answer:
        parts = _parts_of(self._url)
        connection = self._connection or self._connect(parts, deadline_s)
        with cut_at(deadline_s, connection.sock):
            connection.sock.settimeout(_left_s(deadline_s))
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=body, headers=dict(headers))
            answer = connection.getresponse()
            answer.read(_MAX_ANSWER_BYTES)
        if not answer.isclosed() or answer.will_close:
            self.close()
        if 200 <= answer.status < 300:
            return Answer(answer.status)
        redirect = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        return Answer(answer.status, f"the receiver answers {answer.status}{redirect}")

    def _connect(self, parts: SplitResult, deadline_s: float) -> http.client.HTTPConnection:
        host, port = str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
        if not self._allowed.has(host):
            raise ForbiddenSourceError(f"{host} is not among ANNOTATOR_CALLBACKS__ALLOWED_HOSTS")
        sock = dial(self._allowed.addresses(host, port), port, deadline=deadline_s)
        connection = http.client.HTTPConnection(host, port)
        connection.auto_open = 0  # it would not ask which addresses are allowed
        connection.sock = sock
        self._connection = connection
        if parts.scheme == "https":
            with cut_at(deadline_s, sock):
                sock.settimeout(_left_s(deadline_s))
                connection.sock = _tls().wrap_socket(sock, server_hostname=host)
        return connection


def _left_s(deadline_s: float) -> float:
    return max(deadline_s - time.monotonic(), 0.01)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _named(error: Exception) -> str:
    return type(error).__name__
