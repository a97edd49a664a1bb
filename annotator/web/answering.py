"""From a request to an answer: who asks, may they, is the form ours; and what becomes of errors."""

import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from urllib.parse import quote

from anyio import fail_after
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from annotator.errors import AnnotatorError, ConfigError, ModelError, StoreUnavailableError
from annotator.store.connection import writing_without_waiting
from annotator.store.web.accounts import Role
from annotator.store.web.sessions import digest_of, find_session, note_session
from annotator.store.web.tokens import find_token, note_token
from annotator.web.bringing import VisitorGoneError
from annotator.web.errors import NOTED, WebError, web_error_of
from annotator.web.receiving import is_form_of_parts, receive_body, receive_form
from annotator.web.security import SAFE_METHODS, is_another_origin, is_csrf_token, is_from_elsewhere
from annotator.web.site import Site
from annotator.web.visit import Bringing, Form, Page, Visit, Visitor

LONGEST_FORM: Final = 256 * 1024
_FORM_WITHIN_S: Final = 30.0
_MOST_FIELDS: Final = 200  # of a form, beside what is chosen
_ASKS_FOR_A_TOKEN: Final = {"WWW-Authenticate": "Bearer"}
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf-token"
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
_LOG: Final = logging.getLogger(__name__)
_A = TypeVar("_A")


def answering(page: Page, site: Site, pages: Sequence[Page]) -> Callable[[Request], Awaitable[Response]]:
    """Return what Starlette calls for a row of the table of routes."""

    async def serve(request: Request) -> Response:
        visit = Visit(site, request, Visitor(), pages)
        if page.takes_files:
            return await _serve_files(page, visit)
        if page.waits is not None:
            return await _serve_when_it_has_waited(page, visit)
        try:
            has_form = page.method == "POST" and not page.is_api
            form = await _read_form(page, request) if has_form else {}
        except WebError as error:
            return await run_sync(told_as_known, visit, error)
        limiter = site.media_threads if page.fetches_media else None
        return await _brought(await run_sync(_answer, page, replace(visit, form=form), limiter=limiter))

    return serve


async def _serve_files(page: Page, visit: Visit) -> Response:
    """Answer a request that may bring files: who may not send them is refused before they are read."""
    admitted = await run_sync(_admitted, page, visit)
    if isinstance(admitted, Response):
        return admitted
    may_begin = page.may_begin
    if may_begin is not None and (refused := await run_sync(_told, admitted, lambda: may_begin(admitted))) is not None:
        return refused
    site, request = visit.site, visit.request

    def check(fields: Form) -> None:
        _insist_on_token(page, admitted, fields)

    with contextlib.ExitStack() as stack:
        try:
            if is_form_of_parts(request):
                async with site.uploading.admitting(admitted.visitor.name):
                    uploads = site.passing_uploads if page.forgets_files else site.uploads
                    received = await receive_form(request, uploads, site.allowed, check=check, stack=stack)
            else:
                received = await receive_body(request)
                await run_sync(check, {})
        except WebError as error:
            return error_answer(admitted, error)
        except AnnotatorError as error:
            return error_answer(admitted, web_error_of(error))
        return await _brought(
            await run_sync(_told, admitted, lambda: page.answer(replace(admitted, received=received)))
        )


async def _serve_when_it_has_waited(page: Page, visit: Visit) -> Response:
    """Answer a request that may wait for something: it holds no thread meanwhile."""
    admitted = await run_sync(_admitted, page, visit)
    if isinstance(admitted, Response):
        return admitted
    waits = page.waits
    wait = None if waits is None else await run_sync(_told, admitted, lambda: waits(admitted))
    if isinstance(wait, Response):
        return wait
    if wait is not None:
        await wait()
    return await _brought(await run_sync(_told, admitted, lambda: page.answer(admitted)))


async def _brought(answer: Response | Bringing) -> Response:
    """Return an answer; where a media must be brought for it, when it is there."""
    if isinstance(answer, Response):
        return answer
    visit = answer.visit

    async def is_gone() -> None:
        while (await visit.request.receive())["type"] != "http.disconnect":
            pass

    try:
        return await visit.site.bringing.run(
            answer.uri, partial(_told, visit, answer.answer), who=visit.who, is_gone=is_gone
        )
    except VisitorGoneError:
        return Response(status_code=408)  # nobody reads it


async def _read_form(page: Page, request: Request) -> Form:
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise WebError(411, "The form does not say how long it is.")
    if int(length[:20]) > LONGEST_FORM:
        raise WebError(413, f"A form may have {LONGEST_FORM // 1024} KiB.")
    try:
        with fail_after(_FORM_WITHIN_S):
            async with request.form(max_files=0, max_fields=_MOST_FIELDS + page.most_chosen) as fields:
                texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    except TimeoutError as error:
        raise WebError(408, f"The form did not come within {_FORM_WITHIN_S:g} s.") from error
    except ClientDisconnect as error:
        raise WebError(400, "The form broke off.") from error
    except HTTPException as error:
        most = f": at most {page.most_chosen:,} can be chosen at once" if page.most_chosen else ""
        raise WebError(400, f"The form cannot be read, or has too many fields{most}.") from error
    if not all(_is_text(name) and _is_text(value) for name, value in texts.items()):
        raise WebError(400, "The form holds a character that no text has.")
    return texts


def _insist_on_text(request: Request) -> None:
    if b"%00" in request.scope["query_string"]:
        raise WebError(400, "The address holds a character that no text has.")


def _is_text(given: str) -> bool:
    """Say whether a database can keep it: Postgres keeps no NUL, and no half of a character has a form in UTF-8."""
    return _NO_TEXT.search(given) is None


def _answer(page: Page, visit: Visit) -> Response | Bringing:
    """Answer in a thread of the pool."""
    admitted = _admitted(page, visit)
    return admitted if isinstance(admitted, Response) else _told(admitted, lambda: page.answer(admitted))


def _admitted(page: Page, visit: Visit) -> Visit | Response:
    """Return the visit of whoever may, with who it is; for others, what they are told."""
    known = _told(visit, lambda: _with_visitor(visit))
    return known if isinstance(known, Response) else _told(known, lambda: _admit(page, known))


def _admit(page: Page, visit: Visit) -> Visit | Response:
    """Return the visit of whoever may; for others, what they are told.

    Raises:
        WebError: said as an error.

    """
    _insist_on_text(visit.request)
    refusal = _refusal(page, visit)
    if page.is_api:
        visit.site.rates.count(visit.who)
    return visit if refusal is None else refusal


def told_as_known(visit: Visit, error: WebError) -> Response:
    """Tell an error to whoever it is: the page keeps the menu. It asks the database where a cookie came along.

    Args:
        visit: of whoever it is; nobody has looked yet.
        error: what is told.

    """
    if visit.request.url.path.startswith("/api/"):
        return error_answer(visit, error)  # programs have no menu
    known = _told(visit, lambda: _with_visitor(visit))
    return known if isinstance(known, Response) else error_answer(known, error)


def _told(visit: Visit, answer: Callable[[], _A]) -> _A | Response:
    """Call what answers; whatever goes wrong becomes a page or a problem in JSON."""
    try:
        return answer()
    except WebError as error:
        return error_answer(visit, error)
    except AnnotatorError as error:
        if isinstance(error, StoreUnavailableError | ConfigError | ModelError):
            _LOG.warning("%s %s: %s", visit.request.method, _path_of(visit), error)
        return error_answer(visit, web_error_of(error))
    except Exception:  # noqa: BLE001 - the boundary: a page that fails must not take the program along
        _LOG.exception("%s %s", visit.request.method, _path_of(visit))
        return error_answer(visit, WebError(500, NOTED))


def _path_of(visit: Visit) -> str:
    """Return the path as the table of routes has it: what is asked for is in no log."""
    return str(getattr(visit.request.scope.get("route"), "path", ""))


def _with_visitor(visit: Visit) -> Visit:
    return replace(visit, visitor=visitor_of(visit.site, visit.request))


def visitor_of(site: Site, request: Request) -> Visitor:
    """Return who makes a request, by its cookie, or for the API by a token.

    Raises:
        WebError: the token is none of ours.

    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme and request.url.path.startswith("/api/"):
        return _owner_of(site, token.strip() if scheme.lower() == "bearer" else "")
    secret = request.cookies.get(site.cookie)
    if not secret:
        return Visitor()
    now = site.now()
    with site.store.reading() as connection:
        session = find_session(connection, secret, lifetime=site.lifetime, now=now)
    if session is None or (session.account is None and not site.is_open_to_the_machine()):
        return Visitor(secret=secret)  # it may still show that a form for logging in is ours
    if session.must_be_noted(now) and site.noting.is_due(digest_of(secret), now):
        # Reading goes on while the database takes no writes; the session merely ends sooner.
        with contextlib.suppress(StoreUnavailableError), writing_without_waiting(site.store.engine) as connection:
            note_session(connection, secret, now=now)
    role = Role.ADMIN if session.account is None else session.account.role
    return Visitor(session.account, role, secret)


def _owner_of(site: Site, token: str) -> Visitor:
    now = site.now()
    with site.store.reading() as connection:
        found = find_token(connection, token, now=now)
    if found is None:
        raise WebError(401, "The token is unknown, has expired or was taken back.", headers=dict(_ASKS_FOR_A_TOKEN))
    if found.must_be_noted(now) and site.noting.is_due(digest_of(token), now):
        with contextlib.suppress(StoreUnavailableError), writing_without_waiting(site.store.engine) as connection:
            note_token(connection, found.token_id, now=now)
    return Visitor(found.account, found.role, token, has_token=True)


def _refusal(page: Page, visit: Visit) -> Response | None:
    """Return what is said to whoever may not, None where the page may answer.

    Raises:
        WebError: said as an error.

    """
    request, visitor = visit.request, visit.visitor
    # The token of a form with files comes with what is not read yet.
    if not page.takes_files or visitor.role is None:
        _insist_on_token(page, visit, visit.form)
    if page.role is None:
        return None
    if visitor.role is None:
        if page.is_api or page.method != "GET":
            raise _not_logged_in(page)
        target = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""), safe="")
        return RedirectResponse(f"{visit.url('login')}?next={target}", status_code=303)
    if visitor.role < page.role:
        raise WebError(403, f"It needs the role {page.role.word}, and you are {visitor.role.word}: ask an admin.")
    return None


def _insist_on_token(page: Page, visit: Visit, form: Form) -> None:
    """Refuse what would change something and was not sent by a page of ours.

    Raises:
        WebError: it was not.

    """
    request, visitor = visit.request, visit.visitor
    if page.method in SAFE_METHODS or visitor.has_token:
        return
    origin = visit.site.settings.web.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    given = form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER)
    if is_from_elsewhere(request.headers, origin) or not is_csrf_token(visitor.secret, given):
        if visitor.role is None and page.role is not None:
            raise _not_logged_in(page)
        if visit.site.settings.web.public_url is not None and is_another_origin(request.headers, origin):
            raise WebError(
                403,
                f"This page was not loaded from {origin}, where the application takes itself to be: open it there,"
                " or have ANNOTATOR_WEB__PUBLIC_URL set to the address that browsers use.",
            )
        raise WebError(403, "The form was not sent by a page of this session: load the page again, then send it.")


def _not_logged_in(page: Page) -> WebError:
    if page.is_api:
        return WebError(
            401, "Send a token, as Authorization: Bearer TOKEN, or log in.", headers=dict(_ASKS_FOR_A_TOKEN)
        )
    return WebError(401, "You are not logged in, or no longer: log in, and do it again.")


def error_answer(visit: Visit, error: WebError) -> Response:
    """Return an error as a page, or for programs as a problem of RFC 9457."""
    if visit.request.url.path.startswith("/api/"):
        problem = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail}
        return JSONResponse(
            problem, status_code=error.status, headers=error.headers, media_type="application/problem+json"
        )
    answer = visit.page("error.html", status=error.status, error=error)
    answer.headers.update(error.headers)
    return answer
