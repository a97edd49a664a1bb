"""The application: the table of routes behind the guard, over one store."""

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from annotator.errors import ConfigError
from annotator.store.web.accounts import has_accounts
from annotator.web.answering import answering, told_as_known
from annotator.web.errors import WebError
from annotator.web.routes import PAGES
from annotator.web.security import Guard
from annotator.web.site import LOOPBACK, Site
from annotator.web.visit import Visit, Visitor


def make_application(site: Site) -> ASGIApp:
    """Return the application, for an ASGI server.

    Args:
        site: what requests share; its store stays the caller's.

    Raises:
        ConfigError: others than this machine could reach it, and nobody would have to log in.

    """
    refuse_to_be_open(site)

    async def not_answered(request: Request, error: Exception) -> Response:
        """Tell of what no row of the table takes: an unknown path, another method."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = "There is no such page." if status == 404 else "This address does not take that."
        headers = error.headers if isinstance(error, HTTPException) else None
        visit = Visit(site, request, Visitor(), PAGES)
        return await run_sync(told_as_known, visit, WebError(status, detail, headers=headers))

    routes = [Route(page.path, answering(page, site, PAGES), methods=[page.method], name=page.name) for page in PAGES]
    routes.append(Route("/static/{name}", site.static.serve, name="static"))
    starlette = Starlette(routes=routes, exception_handlers={HTTPException: not_answered})
    # To find each at once: a page has hundreds of links, and Starlette asks one route after the other.
    starlette.state.routes = {route.name: route for route in routes}
    return Guard(starlette, hosts=site.hosts, is_secure=site.is_secure)


def refuse_to_be_open(site: Site) -> None:
    """Refuse an address that others reach as long as nobody would have to log in.

    Raises:
        ConfigError: it is such an address.

    """
    web = site.settings.web
    if web.host in LOOPBACK and web.public_url is None:
        return
    if site.elsewhere is not None:
        if web.public_url is None:
            raise ConfigError("say how browsers reach it, for their way back: ANNOTATOR_WEB__PUBLIC_URL=https://HOST")
        return
    with site.store.reading() as connection:
        if has_accounts(connection):
            return
    where = web.public_url or web.host
    raise ConfigError(
        f"nobody would have to log in at {where}, and others than this machine reach it:"
        " make an account first (`annotator web users add NAME --role admin`), or leave host and public_url out"
    )
