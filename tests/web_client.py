"""The web application for tests: the real one over a real database, asked without a socket, with a clock to turn."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from httpx2 import Response
from starlette.testclient import TestClient

from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.web.accounts import Account, Role, add_account
from annotator.store.web.sessions import begin_session
from annotator.web.application import make_application
from annotator.web.oidc.entrance import Elsewhere
from annotator.web.shown_model import ShownModel
from annotator.web.site import Keys, Site

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real hashes that cost next to nothing; what those of accounts cost is in tests/unit/web/test_passwords.py."""
_HASH = QUICK_HASHER.hash(PASSWORD)
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._now

    def turn(self, **by: float) -> None:
        """Let so much time pass."""
        self._now += timedelta(**by)


class WebForTests:
    """The application, and browsers that ask it."""

    def __init__(self, store: Store, **web: Any) -> None:
        self.told: list[str] = []
        self.clock = Clock()
        settings = load_settings(env_file=None, web=web)
        elsewhere = None if settings.web.oidc.issuer is None else Elsewhere(settings.web.oidc)
        self.site = Site(
            store,
            settings,
            Keys(self.told.append),
            self.clock,
            elsewhere=elsewhere,
            shown_model=ShownModel(waits_s=60),  # however busy the machine is
        )
        self.application = make_application(self.site)

    def use_settings(self, **changed: Any) -> None:
        """Go on with other settings."""
        self.replace(settings=self.site.settings.model_copy(update=changed))

    def replace(self, **changed: Any) -> None:
        """Go on with other parts of the site."""
        self.site = replace(self.site, **changed)
        self.application = make_application(self.site)

    def browser(
        self, role: Role | None = None, *, host: str = "127.0.0.1:8765", address: str = "192.0.2.1"
    ) -> "Browser":
        """Return a new browser at an address, logged in with an account of a role, or nobody's."""
        browser = Browser(self, host, address)
        if role is not None:
            browser.log_in_as(self.account(role))
        return browser

    def account(self, role: Role, name: str | None = None) -> Account:
        """Add an account whose password is ``PASSWORD``."""
        with self.site.store.writing() as connection:
            return add_account(connection, name or f"{role.word}-person", password_hash=_HASH, role=role)


class Browser:
    """A browser: it keeps cookies, tells where a request comes from, and does not follow redirections."""

    def __init__(self, web: WebForTests, host: str, address: str) -> None:
        self.web = web
        application, url = web.application, f"http://{host}"
        self.client = TestClient(application, base_url=url, follow_redirects=False, client=(address, 50_000))

    def log_in_as(self, account: Account) -> None:
        """Open a session without the form."""
        site = self.web.site
        with site.store.writing() as connection:
            secret = begin_session(
                connection, account.account_id, lifetime=site.lifetime, now=self.web.clock(), address="test"
            )
        self.client.cookies.set(site.cookie, secret)

    def get(self, path: str, **more: Any) -> Response:
        return self.client.get(path, **more)

    def post(self, path: str, data: dict[str, str] | None = None, *, token: str | None = None, **more: Any) -> Response:
        """Send a form, with the token of the session unless another is given."""
        return self.client.post(path, data={"csrf": self.csrf() if token is None else token} | (data or {}), **more)

    def csrf(self) -> str:
        """Return the token of a form as a page shows it to this browser."""
        page = self.get("/login")
        if page.status_code == 303:  # logged in already
            page = self.get("/account")
        found = _CSRF.search(page.text)
        assert found is not None, page.text
        return found[1]
