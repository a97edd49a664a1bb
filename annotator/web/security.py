"""What every answer carries, and which requests are refused before anybody looks at them."""

import hashlib
import hmac
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing from elsewhere, nothing inline: a name or caption that holds HTML can do nothing, even if it got into a page.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' blob:; "
    "media-src 'self' blob:; "
    "connect-src 'self'; "
    "form-action 'self'; "
    "base-uri 'none'; "
    "frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
# Ours have 40 characters; numbers of thousands of digits are not even to be read.
_LONGEST_PATH: Final = 500
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware, the outermost: refuses hosts that are not ours, and puts the headers on whatever is answered."""

    def __init__(self, application: ASGIApp, *, hosts: Collection[str] | None, is_secure: bool) -> None:
        """Take the application.

        Args:
            application: answers.
            hosts: names under which it may be asked for, without port; None takes any. Where nobody has to log in
                with a password, a page of somebody else must not reach it under a name of its own.
            is_secure: browsers reach it by https only.

        """
        self._application = application
        self._hosts = None if hosts is None else frozenset(hosts)
        self._more = {"Strict-Transport-Security": "max-age=31536000"} if is_secure else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (_HEADERS | self._more).items():
                    headers.setdefault(name, value)
                # Pages show people: no cache keeps them, unless the answer says that it may be kept.
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        host = Headers(scope=scope).get("host", "")
        if self._hosts is not None and name_of_host(host) not in self._hosts:
            refusal = PlainTextResponse(
                f"This is not {host}: open the address that `annotator web` prints.\n", status_code=421
            )
            await refusal(scope, receive, send_with_headers)
            return
        if len(scope["path"]) > _LONGEST_PATH:
            await PlainTextResponse("There is no such page.\n", status_code=404)(scope, receive, send_with_headers)
            return
        await self._application(scope, receive, send_with_headers)


def name_of_host(host: str) -> str:
    """Return the host of a ``Host`` header without its port.

    >>> name_of_host("localhost:8765"), name_of_host("[::1]:8765"), name_of_host("Faces.example.org")
    ('localhost', '::1', 'faces.example.org')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_from_elsewhere(headers: Headers, origin: str) -> bool:
    """Say whether a browser tells that a page of another origin makes it send this request.

    Args:
        headers: of the request.
        origin: ours, as the browser sees it.

    """
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    return is_another_origin(headers, origin)


def is_another_origin(headers: Headers, origin: str) -> bool:
    """Say whether a browser tells an origin that is not ours: of another page, or ours under another address.

    Args:
        headers: of the request.
        origin: ours, as the browser sees it.

    """
    sender = headers.get("origin")
    return sender is not None and sender != origin


def csrf_token(secret: str) -> str:
    """Return what a form must send back to show that it is ours: who does not know the cookie cannot make it."""
    return hashlib.sha256(f"annotator-form:{secret}".encode()).hexdigest()


def is_csrf_token(secret: str | None, given: str | None) -> bool:
    """Say whether a form has sent back what belongs to its cookie."""
    if secret is None or given is None:
        return False
    return hmac.compare_digest(csrf_token(secret).encode(), given.encode())  # as bytes: text must be ASCII
