"""Logging in elsewhere, at the identity provider of the settings."""

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from annotator.errors import AccountError
from annotator.store.web.accounts import Account, Role, change_role
from annotator.store.web.attempts import place_of, take_attempt
from annotator.store.web.audit import record_deed
from annotator.store.web.sessions import begin_session
from annotator.store.web.subjects import account_of_subject, add_subject, end_all_of
from annotator.web.errors import WebError
from annotator.web.pages.entrance import path_of_ours, set_session_cookie
from annotator.web.passwords import hash_password
from annotator.web.visit import Visit

if TYPE_CHECKING:
    from annotator.web.oidc.entrance import Elsewhere

_COUNTED_AS: Final = "at the provider"  # no account has spaces in its name


def go_elsewhere(visit: Visit) -> Response:
    """Send the browser to the provider, with what must come back."""
    target = path_of_ours(visit, visit.request.query_params.get("next", ""))
    if visit.visitor.role is not None:
        return RedirectResponse(target, status_code=303)
    elsewhere = _elsewhere(visit)
    secret = visit.visitor.secret or secrets.token_urlsafe(32)
    address = elsewhere.begin(secret, target=target, redirect_uri=_redirect_uri(visit), now=visit.now)
    answer = RedirectResponse(address, status_code=303)
    set_session_cookie(visit, answer, secret)
    return answer


def come_back(visit: Visit) -> Response:
    """Look at what the browser brings from the provider, and open a session.

    Raises:
        WebError: it does not belong to this browser, is refused, or gives no role.

    """
    elsewhere = _elsewhere(visit)
    visit.site.rates.count(f"comes back {place_of(visit.address)}")
    try:
        claims, target = elsewhere.finish(
            visit.request.query_params, visit.visitor.secret, redirect_uri=_redirect_uri(visit), now=visit.now
        )
    except WebError as error:
        if error.status == 401:
            with visit.site.store.writing() as connection:
                # Anybody can bring answers that are refused: the record must not grow with each.
                if take_attempt(connection, _COUNTED_AS, visit.address, now=visit.now) is None:
                    _record(connection, visit, "nobody", "failed to log in", elsewhere=error.detail)
        raise
    with visit.site.store.writing() as connection:
        account = _account_for(connection, visit, elsewhere, claims)
        if account is not None:
            _record(connection, visit, account.name, "logged in", elsewhere=elsewhere.issuer)
            secret = begin_session(
                connection, account.account_id, lifetime=visit.site.lifetime, now=visit.now, address=visit.address
            )
    if account is None:  # what was put on record stays
        raise WebError(
            403, f"{elsewhere.label} knows you, but gives you no role here, or your account is disabled: ask an admin."
        )
    answer = RedirectResponse(path_of_ours(visit, target), status_code=303)
    set_session_cookie(visit, answer, secret)
    return answer


def _account_for(
    connection: Connection, visit: Visit, elsewhere: "Elsewhere", claims: Mapping[str, Any]
) -> Account | None:
    """Return the account of somebody, made or with the role of now; None where there is no role, or it is disabled.

    Raises:
        WebError: somebody else has the name.

    """
    account = account_of_subject(connection, elsewhere.issuer, claims["sub"])
    role = elsewhere.role_of(claims)
    if account is None:
        return None if role is None else _add_account(connection, visit, elsewhere, claims, role=role)
    if role is None or account.disabled_at is not None:
        end_all_of(connection, account.account_id)
        _record(connection, visit, account.name, "failed to log in", elsewhere=elsewhere.issuer)
        return None
    if role != account.role:
        _record(connection, visit, account.name, "got another role", elsewhere=elsewhere.issuer, role=role.word)
        return change_role(connection, account.name, role)
    return account


def _add_account(
    connection: Connection, visit: Visit, elsewhere: "Elsewhere", claims: Mapping[str, Any], *, role: Role
) -> Account:
    unknown_password = hash_password(secrets.token_urlsafe(32))
    try:
        name = elsewhere.name_of(claims)
        account = add_subject(
            connection, elsewhere.issuer, claims["sub"], name=name, password_hash=unknown_password, role=role
        )
    except AccountError as error:
        raise WebError(409, f"You cannot get an account: {error}.") from error
    _record(connection, visit, account.name, "got an account", elsewhere=elsewhere.issuer, role=role.word)
    return account


def _record(connection: Connection, visit: Visit, actor: str, action: str, **details: str) -> None:
    record_deed(connection, actor, action, address=visit.address, now=visit.now, details=details)


def _elsewhere(visit: Visit) -> "Elsewhere":
    if visit.site.elsewhere is None:
        raise WebError(404, "People log in here with a password: no other place is set up.")
    return visit.site.elsewhere


def _redirect_uri(visit: Visit) -> str:
    request = visit.request
    origin = visit.site.settings.web.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin + visit.url("come_back")
