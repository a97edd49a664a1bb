"""A small identity provider on the loopback address: it follows OpenID Connect, unless a test tells it not to."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT_ID = "annotator"
SECRET = "known to two: s%cret"  # noqa: S105 - of nobody
Claims = dict[str, Any]


def new_key(key_id: str) -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"kid": key_id, "use": "sig"}, private=True)


@cache
def _first_key() -> jwk.RSAKey:
    """Return the key that every provider has at first: to make one may take a second."""
    return new_key("first")


class ProviderForTests:
    """What it says, and how it can be spoiled.

    Attributes:
        user: claims of whoever logs in.
        now_s: its clock.
        sign: makes a token of claims.
        says: what discovery says, over what it should.
        moved: where it leads those who ask for a path.
        strange_keys: what else is among its keys, before them.
        posted: forms with which codes were exchanged.
        asked: paths that were asked for.

    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realm"
        self.user: Claims = {"sub": "7a1", "preferred_username": "Eve", "groups": ["staff"]}
        self.now_s: Callable[[], float] = time.time
        self.keys = [_first_key()]
        self.sign: Callable[[Claims], str] = self.signed
        self.says: dict[str, Any] = {}
        self.moved: dict[str, str] = {}
        self.strange_keys: list[dict[str, str]] = [{"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": "!"}]
        self.with_basic = True
        self.names_itself: str | None = None
        self.denies = False
        self.posted: list[dict[str, str]] = []
        self.asked: list[str] = []
        self._given: dict[str, dict[str, str]] = {}

    def signed(self, claims: Claims, *, algorithm: str = "RS256", key: jwk.RSAKey | None = None) -> str:
        key = key or self.keys[-1]
        return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, algorithms=[algorithm])

    def discovery(self) -> dict[str, Any]:
        methods = ["client_secret_basic"] if self.with_basic else ["client_secret_post"]
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": methods,
            "authorization_response_iss_parameter_supported": self.names_itself is not None,
        } | self.says

    def authorized(self, query: dict[str, str]) -> str:
        """Return where a browser is sent after somebody has logged in, who needs no page for it here."""
        assert (query["tenant"], query["response_type"], query["client_id"]) == ("1", "code", CLIENT_ID)
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = f"code-{len(self._given)}"
        self._given[code] = query
        brought = {"error": "access_denied"} if self.denies else {"code": code}
        if self.names_itself is not None:
            brought["iss"] = self.names_itself
        return f"{query['redirect_uri']}?{urlencode(brought | {'state': query['state']})}"

    def exchanged(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Return status and body for a code; a code is good once."""
        self.posted.append(form)
        pair = f"{quote(CLIENT_ID, safe='')}:{quote(SECRET, safe='')}"
        wanted = f"Basic {base64.b64encode(pair.encode()).decode()}" if self.with_basic else ""
        if authorization != wanted or (not self.with_basic and form.get("client_secret") != SECRET):
            return 401, {"error": "invalid_client"}
        asked = self._given.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (challenge, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return 400, {"error": "invalid_grant"}
        now_s = int(self.now_s())
        times = {"iat": now_s, "exp": now_s + 300}
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "nonce": asked["nonce"]} | times | self.user
        return 200, {"token_type": "Bearer", "access_token": "unused", "id_token": self.sign(claims)}

    def sent_to(self, address: str) -> str:
        """Do as a browser does that is sent to log in; return the path of ours to which it comes back."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        back = urlsplit(self.authorized(query))
        assert back.netloc == "127.0.0.1:8765"
        return f"{back.path}?{back.query}"


@contextmanager
def oidc_provider() -> Iterator[ProviderForTests]:
    """Run a provider for as long as it is needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if parts.path in provider.moved:
                self.send_response(302)
                self.send_header("Location", provider.issuer + provider.moved[parts.path])
                self.end_headers()
            elif parts.path == "/realm/.well-known/openid-configuration":
                self._answer(200, provider.discovery())
            elif parts.path in {"/realm/keys", "/realm/other-keys"}:
                keys = [key.as_dict(private=False) for key in provider.keys]
                self._answer(200, {"keys": [*provider.strange_keys, *keys]})
            elif parts.path == "/realm/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorized(query))
                self.end_headers()
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(content).items()}
            self._answer(*provider.exchanged(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, said: dict[str, Any]) -> None:
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = ProviderForTests(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
