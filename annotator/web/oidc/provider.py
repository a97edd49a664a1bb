"""The identity provider: where it is, its keys, and what it says of somebody who has logged in there.

Whatever it answers is hostile until it was checked. It is asked by https (or on this machine), within ten seconds,
without following redirects, for a quarter of a megabyte at most.
"""

import base64
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from annotator.errors import InputError, TransientError
from annotator.media.http import check_whole, open_answer
from annotator.media.limits import FetchLimits
from annotator.web.errors import WebError
from annotator.web.oidc.attempt import Attempt
from annotator.web.oidc.tokens import PublicKey, check_claims, claims_of, has_key, key_id_of, public_keys, refused

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LIMITS: Final = FetchLimits(
    max_bytes=256 * 1024,
    timeout_s=10.0,
    connect_timeout_s=5.0,
    read_timeout_s=10.0,
    max_redirects=0,
    allow_private=True,  # whoever runs this has named it, and it may well be in the same network
)
# What a provider says of itself is asked for anew then; keys sooner, when a token names one that is not known.
_KEPT_S: Final = 3600.0
_KEYS_AT_MOST_EVERY_S: Final = 30.0
# Threads that wait for it at once: who asks for a page need not.
_AT_ONCE: Final = 8
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """What we are to the provider.

    Attributes:
        issuer: the provider, exactly as it calls itself.
        client_id: what it calls us.
        secret: what we show when a code is exchanged; None where PKCE has to do.

    """

    issuer: str
    client_id: str
    secret: str | None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a provider says of itself.

    Attributes:
        authorization: where browsers are sent.
        token: where codes are exchanged.
        keys: where its keys are.
        has_basic: it takes the secret in the header ``Authorization``, as all should; else in the form.
        names_itself: answers that come by the browser say who gives them (RFC 9207).

    """

    authorization: str
    token: str
    keys: str
    has_basic: bool
    names_itself: bool


class Provider:
    """An identity provider; safe to use in several threads."""

    def __init__(self, client: Client, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Take what we are to it; it is asked when somebody wants to log in.

        Args:
            client: who we are.
            clock_s: by which it is told how old what is known is.

        """
        self.client = client
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._at_once = threading.BoundedSemaphore(_AT_ONCE)
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys: tuple[float, list[PublicKey]] | None = None

    def address_for(self, attempt: Attempt, *, redirect_uri: str) -> str:
        """Return where a browser is sent to log in.

        Raises:
            WebError: the provider does not answer as it should.

        """
        with self._few_at_once():
            endpoint = self._known_endpoints().authorization
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": redirect_uri,
                "scope": "openid profile email",
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    def claims_for(self, code: str, attempt: Attempt, *, redirect_uri: str, now: datetime) -> dict[str, Any]:
        """Exchange a code, and return what the provider says of who has logged in.

        Args:
            code: as the browser has brought it.
            attempt: the browser's.
            redirect_uri: the one of the attempt.
            now: the time.

        Returns:
            The claims of an ID token that was checked.

        Raises:
            WebError: the provider does not answer as it should, or its token is refused.

        """
        with self._few_at_once():
            token = self._exchange(code, attempt, redirect_uri)
            keys = self._keys_for(key_id_of(token))
        claims = claims_of(token, keys)
        check_claims(claims, issuer=self.client.issuer, client_id=self.client.client_id, nonce=attempt.nonce, now=now)
        return claims

    def check_sender(self, issuer: str | None) -> None:
        """Check that an answer that has come by the browser is of this provider, where it says so (RFC 9207).

        Args:
            issuer: as the answer has it.

        Raises:
            WebError: it is of another one, or says of none though it should.

        """
        with self._few_at_once():
            must_say = self._known_endpoints().names_itself
        if issuer != self.client.issuer and (must_say or issuer is not None):
            raise refused("it is of another provider")

    def _exchange(self, code: str, attempt: Attempt, redirect_uri: str) -> str:
        endpoints = self._known_endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
            "client_id": self.client.client_id,
        }
        headers = {}
        if self.client.secret is not None and endpoints.has_basic:
            pair = f"{quote(self.client.client_id, safe='')}:{quote(self.client.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif self.client.secret is not None:
            form["client_secret"] = self.client.secret
        token = _ask(endpoints.token, form=form, headers=headers).get("id_token")
        if not isinstance(token, str):
            raise refused("there is no token in it")
        return token

    @contextlib.contextmanager
    def _few_at_once(self) -> Iterator[None]:
        if not self._at_once.acquire(blocking=False):
            raise WebError(503, "Many log in just now: try again soon.", headers={"Retry-After": "10"})
        try:
            yield
        finally:
            self._at_once.release()

    def _known_endpoints(self) -> Endpoints:
        with self._lock:
            if self._endpoints is None or self._clock_s() - self._endpoints[0] > _KEPT_S:
                said = _ask(f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration")
                self._endpoints = self._clock_s(), self._checked(said)
            return self._endpoints[1]

    def _checked(self, said: Mapping[str, Any]) -> Endpoints:
        if said.get("issuer") != self.client.issuer:
            raise _unfit(f"it calls itself {str(said.get('issuer'))[:100]!r}, and not {self.client.issuer!r}")
        addresses = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(one, str) and is_safe_address(one, near=self.client.issuer) for one in addresses):
            raise _unfit("an address of it is missing, or not https")
        authorization, token, keys = map(str, addresses)
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        names_itself = said.get("authorization_response_iss_parameter_supported") is True
        return Endpoints(authorization, token, keys, "client_secret_basic" in _texts(methods), names_itself)

    def _keys_for(self, key_id: str | None) -> list[PublicKey]:
        """Return its keys; they are asked for anew when they are old, or when a token names one that is new."""
        keys_address = self._known_endpoints().keys
        with self._lock:
            age_s = float("inf") if self._keys is None else self._clock_s() - self._keys[0]
            is_known = self._keys is not None and has_key(self._keys[1], key_id)
            if age_s > _KEPT_S or (not is_known and age_s > _KEYS_AT_MOST_EVERY_S):
                self._keys = self._clock_s(), public_keys(_ask(keys_address))
            return [] if self._keys is None else self._keys[1]


def _ask(
    url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Ask for a JSON object.

    Raises:
        WebError: it does not come.

    """
    try:
        return _fetch_object(url, form, headers or {})
    except (InputError, TransientError, ValueError) as exc:
        raise _unfit(str(exc)) from exc


def is_safe_address(url: str, *, near: str) -> bool:
    """Say whether a provider may be asked there: by https, or on this machine where the provider itself is there.

    Args:
        url: the address.
        near: of the provider.

    >>> is_safe_address("https://login.example/keys", near="https://login.example")
    True
    >>> is_safe_address("http://127.0.0.1:8080/keys", near="https://login.example")
    False
    """
    try:
        parts, home = urlsplit(url), urlsplit(near)
        _ = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.fragment or not parts.hostname or not url.isprintable():
        return False
    is_local = home.scheme == "http" and home.hostname in _LOOPBACK
    return parts.scheme == "https" or (is_local and parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _fetch_object(url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> dict[str, Any]:
    deadline = time.monotonic() + _LIMITS.timeout_s
    sent = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "celebrity-annotator"}
    body = None
    if form is not None:
        body = urlencode(form).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    with open_answer(url, headers=sent | dict(headers), limits=_LIMITS, deadline=deadline, body=body) as (_, answer):
        if answer.status != 200:
            raise ValueError(f"{url} answers {answer.status}")
        content = answer.read(_LIMITS.max_bytes + 1)
        if len(content) > _LIMITS.max_bytes:
            raise ValueError(f"{url} answers with more than {_LIMITS.max_bytes} bytes")
        check_whole(url, answer, deadline)
    said = json.loads(content)
    if not isinstance(said, dict):
        raise ValueError(f"{url} answers with no JSON object")  # noqa: TRY004 - what it has sent is wrong, not a call
    return said


def _texts(given: object) -> list[str]:
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _unfit(why: str) -> WebError:
    """Return the error of a provider that does not answer as it should; why is for whoever reads the log."""
    _LOG.warning("identity provider: %s", why)
    return WebError(
        503, "The identity provider does not answer as it should: try again soon.", headers={"Retry-After": "10"}
    )
