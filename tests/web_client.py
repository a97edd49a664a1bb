"""The web application for tests: the real one over a real database, asked without a socket, with a clock to turn."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from anyio.from_thread import BlockingPortal
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
from annotator.web.static import StaticFiles
from annotator.web.templates import Templates

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Real hashes that cost next to nothing; what those of accounts cost is in tests/unit/web/test_passwords.py."""
_HASH = QUICK_HASHER.hash(PASSWORD)
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
# Of the package, and of no site: they are read, and compiled, once for all tests as for all requests of a program.
_TEMPLATES, _STATIC = Templates(), StaticFiles()


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
            templates=_TEMPLATES,
            static=_STATIC,
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
    """A browser: it keeps cookies, tells where a request comes from, and does not follow redirections.

    Attributes:
        portal: to the event loop that answers; None begins and ends one for each request, and its threads.

    """

    portal: ClassVar[BlockingPortal | None] = None

    def __init__(self, web: WebForTests, host: str, address: str) -> None:
        self.web = web
        application, url = web.application, f"http://{host}"
        self.client = TestClient(application, base_url=url, follow_redirects=False, client=(address, 50_000))
        self.client.portal = self.portal
        self._tokens: dict[tuple[str | None, ...], str] = {}

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
        """Return the token of a form as a page shows it to this browser; it belongs to the cookie of the session."""
        known = self._tokens.get(self._sessions())
        if known is not None:
            return known
        page = self.get("/account")
        if page.status_code == 303:  # not logged in
            page = self.get("/login")
        found = _CSRF.search(page.text)
        assert found is not None, page.text
        self._tokens[self._sessions()] = found[1]  # the page may have set the cookie
        return found[1]

    def _sessions(self) -> tuple[str | None, ...]:
        """Return the cookies of sessions that this browser has: without one, a page gives it one."""
        return tuple(one.value for one in self.client.cookies.jar if one.name == self.web.site.cookie)
