"""Logging in and out, and the key of whoever sits at the machine."""

import secrets
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from annotator.errors import AccountError
from annotator.store.web.accounts import account_name, change_password, find_account
from annotator.store.web.attempts import forget_attempts, take_attempt
from annotator.store.web.audit import record_deed
from annotator.store.web.sessions import begin_session, end_session
from annotator.store.web.subjects import issuer_of
from annotator.web.devices import LASTS_S, device_of, new_device
from annotator.web.errors import WebError
from annotator.web.passwords import hash_password, is_password
from annotator.web.site import NOBODY_ELSE
from annotator.web.visit import Visit, Visitor

_WRONG: Final = "Name or password is wrong."


def show_login(visit: Visit) -> Response:
    """Show the form; whoever is logged in goes on."""
    if visit.visitor.role is not None:
        return RedirectResponse(_target(visit), status_code=303)
    # Without a session the form is shown to be ours by a cookie of its own, which the session then replaces.
    secret = visit.visitor.secret or secrets.token_urlsafe(32)
    visit = Visit(visit.site, visit.request, Visitor(secret=secret), visit.pages)
    answer = _login_page(visit)
    set_session_cookie(visit, answer, secret)
    return answer


def log_in(visit: Visit) -> Response:
    """Look at name and password, and open a session.

    Raises:
        WebError: too many were wrong.

    """
    site, typed = visit.site, visit.form.get("name", "")
    try:
        name = account_name(typed)
    except AccountError:
        name = "".join(letter for letter in typed.strip().lower()[:64] if letter.isprintable())
    with site.store.writing() as connection:
        account = find_account(connection, name)
        device = device_of(account, visit.request.cookies.get(site.device_cookie, ""))
        wait = take_attempt(connection, name, visit.address, device=device, now=visit.now)
    if wait is not None:
        raise _too_many_were_wrong(wait)
    usable = account if account is not None and account.disabled_at is None else None
    is_right = is_password(None if usable is None else usable.password_hash, visit.form.get("password", ""))
    with site.store.writing() as connection:
        if usable is None or not is_right:
            record_deed(connection, name or "nobody", "failed to log in", address=visit.address, now=visit.now)
            return _login_page(visit, message=_WRONG, status=401)
        forget_attempts(connection, name, visit.address, device=device)
        record_deed(connection, name, "logged in", address=visit.address, now=visit.now)
        secret = begin_session(
            connection, usable.account_id, lifetime=site.lifetime, now=visit.now, address=visit.address
        )
    answer = RedirectResponse(_target(visit), status_code=303)
    set_session_cookie(visit, answer, secret)
    if device is None:
        _set_cookie(visit, answer, site.device_cookie, new_device(usable), lasts_s=LASTS_S)
    return answer


def enter(visit: Visit) -> Response:
    """Open a session for whoever has the key that the program has printed.

    Raises:
        WebError: the key is spent, or there are accounts.

    """
    site = visit.site
    if not site.is_open_to_the_machine():
        return visit.redirect("login")
    if not site.keys.spend(visit.request.query_params.get("key", "")):
        raise WebError(403, "This address was used already, or is of an earlier start: open the one printed last.")
    with site.store.writing() as connection:
        record_deed(connection, NOBODY_ELSE, "entered with the key", address=visit.address, now=visit.now)
        secret = begin_session(connection, None, lifetime=site.lifetime, now=visit.now, address=visit.address)
    answer = visit.redirect("home")
    set_session_cookie(visit, answer, secret)
    return answer


def log_out(visit: Visit) -> Response:
    """Close the session."""
    if visit.visitor.secret is not None:
        with visit.site.store.writing() as connection:
            end_session(connection, visit.visitor.secret)
            visit.record(connection, "logged out")
    answer = visit.redirect("login")
    answer.delete_cookie(visit.site.cookie, path="/", secure=visit.site.is_secure, httponly=True, samesite="lax")
    return answer


def show_account(visit: Visit) -> Response:
    """Show who is logged in, and let them change the password."""
    return _account_page(visit)


def change_own_password(visit: Visit) -> Response:
    """Change the password; all sessions of the account end, and this browser is known to it from then on.

    Raises:
        WebError: there are no accounts, or too many passwords were wrong.

    """
    account = visit.visitor.account
    if account is None:
        raise WebError(400, "There are no accounts here: `annotator web users add NAME` makes one.")
    site = visit.site
    device = device_of(account, visit.request.cookies.get(site.device_cookie, ""))
    with site.store.writing() as connection:
        wait = take_attempt(connection, account.name, visit.address, device=device, now=visit.now)
    if wait is not None:
        raise _too_many_were_wrong(wait)
    is_right = is_password(account.password_hash, visit.form.get("password", ""))
    with site.store.writing() as connection:
        if is_right:
            forget_attempts(connection, account.name, visit.address, device=device)
        else:
            visit.record(connection, "failed to change the password")
    if not is_right:
        return _account_page(visit, message="The present password is wrong.")
    try:
        new = hash_password(visit.form.get("new_password", ""))
    except AccountError as error:
        return _account_page(visit, message=f"{error}.")
    with site.store.writing() as connection:
        changed = change_password(connection, account.name, new)
        visit.record(connection, "changed the password")
    answer = visit.redirect("login")
    # By the old password the browser is known no more, and strangers may be guessing just now.
    _set_cookie(visit, answer, site.device_cookie, new_device(changed), lasts_s=LASTS_S)
    return answer


def _too_many_were_wrong(wait: timedelta) -> WebError:
    seconds = max(1, round(wait.total_seconds()))
    return WebError(
        429,
        f"Too many passwords were wrong. Try again in {-(-seconds // 60)} minutes.",
        headers={"Retry-After": str(seconds)},
    )


def _account_page(visit: Visit, *, message: str | None = None) -> Response:
    account = visit.visitor.account
    issuer = None
    if account is not None:
        with visit.site.store.reading() as connection:
            issuer = issuer_of(connection, account.account_id)
    return visit.page("account.html", message=message, issuer=issuer, status=200 if message is None else 400)


def _login_page(visit: Visit, *, message: str | None = None, status: int = 200) -> Response:
    return visit.page(
        "login.html",
        status=status,
        message=message,
        next=_target(visit),
        typed=visit.form.get("name", ""),
        elsewhere=visit.site.elsewhere,
        is_open_to_the_machine=visit.site.is_open_to_the_machine(),
    )


def _target(visit: Visit) -> str:
    return path_of_ours(visit, visit.form.get("next") or visit.request.query_params.get("next") or "")


def path_of_ours(visit: Visit, given: str) -> str:
    """Return where to go after logging in: a path of ours, whatever is given."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return visit.url("home")
    is_ours = given.startswith("/") and not given.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return given if is_ours and given.isprintable() else visit.url("home")


def set_session_cookie(visit: Visit, answer: Response, secret: str) -> None:
    """Let the browser keep the secret of a session, or of what is to be one."""
    longest_s = round(visit.site.lifetime.longest.total_seconds())
    _set_cookie(visit, answer, visit.site.cookie, secret, lasts_s=longest_s)


def _set_cookie(visit: Visit, answer: Response, name: str, value: str, *, lasts_s: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=lasts_s,
        path="/",
        secure=visit.site.is_secure,
        httponly=True,
        samesite="lax",
    )
