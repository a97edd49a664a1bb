"""One request, and who makes it: what the functions that answer are given."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from annotator.store.promotions import who_is_this
from annotator.store.web.accounts import Account, Role
from annotator.store.web.attempts import place_of
from annotator.store.web.audit import record_deed
from annotator.web.errors import WebError
from annotator.web.receiving import NOTHING_RECEIVED, Received
from annotator.web.security import csrf_token
from annotator.web.site import NOBODY_ELSE, Site

if TYPE_CHECKING:
    from annotator.web.described import Operation

Form = Mapping[str, str]
Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request.

    Attributes:
        account: who is logged in; None is nobody, or whoever sits at the machine.
        role: what the visitor may do; None is nobody known.
        secret: of the cookie that came along; None is none.
        has_token: came with a token of the API, which no browser sends by itself.

    """

    account: Account | None = None
    role: Role | None = None
    secret: str | None = None
    has_token: bool = False

    @property
    def name(self) -> str:
        """As the record has it."""
        return NOBODY_ELSE if self.account is None else self.account.name

    @property
    def said_by(self) -> str:
        """As it is kept beside what the visitor says: the account, or the user of this machine where there is none."""
        return who_is_this() if self.account is None else self.account.name

    def may(self, role: Role) -> bool:
        """Say whether the visitor may do what a role may."""
        return self.role is not None and self.role >= role


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One request.

    Attributes:
        site: what all requests share.
        request: of Starlette.
        visitor: who makes it.
        pages: all of the table, for links.
        form: the fields of a form that was sent; empty for others.
        received: what came, where the page takes files.

    """

    site: Site
    request: Request
    visitor: Visitor
    pages: "Sequence[Page]"
    form: Form = field(default_factory=dict)
    received: Received = NOTHING_RECEIVED

    @property
    def now(self) -> datetime:
        """The time."""
        return self.site.now()

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return "unknown" if self.request.client is None else self.request.client.host

    @property
    def who(self) -> str:
        """Who makes the request, for whoever counts: the account, from wherever it asks; else the place of the address.

        No account has a space in its name.
        """
        account = self.visitor.account
        return f"from {place_of(self.address)}" if account is None else account.name

    def url(self, name: str, **values: object) -> str:
        """Return the path of a page by its name."""
        return str(self.request.app.state.routes[name].url_path_for(name, **values))

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Answer with a page.

        Args:
            template: its file.
            status: of HTTP.
            values: what it shows.

        """
        shared = {
            "url": self.url,
            "static": self.site.static.path,
            "csrf": csrf_token(self.visitor.secret) if self.visitor.secret else "",
            "visitor": self.visitor,
            "menu": self._menu(),
            "here": self.request.url.path,
        }
        return HTMLResponse(self.site.templates.render(template, shared | values), status_code=status)

    def redirect(self, name: str, **values: object) -> RedirectResponse:
        """Answer with the address of another page, which the browser asks for with GET."""
        return RedirectResponse(self.url(name, **values), status_code=303)

    def record(
        self,
        connection: Connection,
        action: str,
        *,
        subject: str | None = None,
        **details: Any,  # noqa: ANN401 - JSON
    ) -> None:
        """Put on record what the visitor does, in the transaction of the deed."""
        record_deed(
            connection,
            self.visitor.name,
            action,
            address=self.address,
            now=self.now,
            subject=subject,
            details=details or None,
        )

    def number(self, name: str, *, least: int = 1, most: int, usual: int) -> int:
        """Return a whole number of the address's query.

        Raises:
            WebError: it is none, or out of bounds.

        """
        given = self.request.query_params.get(name, "")
        if not given:
            return usual
        if len(given) > 20 or not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
            raise WebError(400, f"{name} must be a whole number from {least} to {most}, got {given[:40]!r}.")
        return int(given)

    def _menu(self) -> list[tuple[str, str]]:
        return [
            (page.menu, self.url(page.name))
            for page in self.pages
            if page.menu is not None and page.role is not None and self.visitor.may(page.role)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Bringing:
    """An answer for which a media must be brought, maybe from a host that is slow.

    Attributes:
        visit: whose.
        uri: of the media.
        answer: is called in one of the threads of its host.

    """

    visit: Visit
    uri: str
    answer: Callable[[], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """A row of the table of routes.

    Attributes:
        path: as Starlette has it: ``/people/{person_id:int}``.
        name: for links.
        answer: is called in a thread: it may ask the database. What waits for a host of media is returned instead.
        role: who may, with all above; None is everybody, also who is not logged in.
        method: of HTTP; GET answers HEAD, too.
        menu: under which word it is in the menu; None is not there.
        operation: what the description of the API says of it; None for pages.
        fetches_media: it may wait long for a program that looks at a media: it is answered in the few threads that are
            for that alone.
        takes_files: who may is asked before what is sent is read, and files go to the disk as they come.
        forgets_files: files are none of the archive's: they never come near the folder of uploads.
        most_chosen: of a form that offers things to choose: so many may be chosen at once, beside its other fields.
        waits: of a page that may wait for something: is asked in a thread, and returns what is awaited, in none, before
            the page answers; None is nothing.
        may_begin: of a page that takes files: is asked before they are read, and refuses by raising.

    """

    path: str
    name: str
    answer: Callable[[Visit], Response | Bringing]
    role: Role | None
    method: Method = "GET"
    menu: str | None = None
    operation: "Operation | None" = None
    fetches_media: bool = False
    takes_files: bool = False
    forgets_files: bool = False
    most_chosen: int = 0
    may_begin: Callable[[Visit], None] | None = None
    waits: Callable[[Visit], Callable[[], Awaitable[None]] | None] | None = None

    @property
    def is_api(self) -> bool:
        """It is for programs: errors are JSON, and nobody is sent to the page where people log in."""
        return self.path.startswith("/api/")
