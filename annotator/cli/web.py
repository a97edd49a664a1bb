"""``annotator web`` and its accounts."""

import getpass
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from annotator.appearing import appearing_file
from annotator.cli.database import open_store
from annotator.cli.output import err, out, print_json_line, print_table, remark
from annotator.errors import AccountError, ConfigError
from annotator.settings import Settings, load_settings
from annotator.store.promotions import who_is_this
from annotator.store.web.accounts import (
    Account,
    Role,
    add_account,
    change_password,
    change_role,
    disable_account,
    known_account,
    list_accounts,
)
from annotator.store.web.audit import record_deed
from annotator.store.web.subjects import issuers_by_account
from annotator.store.web.tokens import add_token, list_tokens, remove_token

if TYPE_CHECKING:
    from annotator.web.oidc.entrance import Elsewhere

_ANNOTATES: Final = (sys.executable, "-m", "annotator.cli.web_jobs")
_EXPLAINS: Final = (sys.executable, "-m", "annotator.cli.web_explain")
_ENROLLS: Final = (sys.executable, "-m", "annotator.cli.web_enroll")
_TAKES_DOWN: Final = (sys.executable, "-m", "annotator.cli.web_takedown")
_COMPUTES: Final = (sys.executable, "-m", "annotator.cli.web_compute")
_WITHOUT_COLOURS: Final = {"TERM": "dumb", "NO_COLOR": "1"}
NEEDS_EXTRA = "the web application needs its extra: pip install 'celebrity-annotator[web]'"


def run_web(*, settings: Mapping[str, Any], address_file: Path | None = None) -> None:
    """Answer requests until Ctrl-C.

    Args:
        settings: options of the command line.
        address_file: gets the address, while it runs; None prints it.

    Raises:
        ConfigError: the extra is missing, the address is taken, or others would reach it without logging in.

    """
    try:
        from annotator.build import build_reader  # noqa: PLC0415 - takes a while to import
        from annotator.web.annotating import MARGIN_S, Annotating, HelperProcess  # noqa: PLC0415 - of an extra
        from annotator.web.brought import KeepingReader  # noqa: PLC0415
        from annotator.web.computing import Computing  # noqa: PLC0415
        from annotator.web.errands import Errand  # noqa: PLC0415
        from annotator.web.serving import serve  # noqa: PLC0415
        from annotator.web.site import Keys, Site, now_utc  # noqa: PLC0415
        from annotator.web.taking_down import TakingDown  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise ConfigError(f"{NEEDS_EXTRA} ({exc.name} is missing)") from exc
    loaded = load_settings(**settings).for_visitors()
    address: list[str] = []

    def tell_key(key: str) -> None:
        words = "Open this address; it opens once, and then there is another one:"
        _say(f"{address[0]}/enter?key={key}", words, address_file)

    def tell_ready(where: str) -> None:
        address.append(where)
        if site.is_open_to_the_machine():
            keys.renew()
        else:
            _say(where, "People log in here:", address_file)
        err().print("Ctrl-C stops it.")

    def start_annotating(session: str) -> HelperProcess:
        first_line = json.dumps({"settings": settings, "session": session})
        return HelperProcess(_ANNOTATES, first_line, os.environ | _WITHOUT_COLOURS)

    keys = Keys(tell_key)
    try:
        longest_s = loaded.web.job_timeout_s + MARGIN_S
        with (
            open_store(loaded) as store,
            Annotating(store, start_annotating, now=now_utc, longest_s=longest_s) as annotating,
        ):
            reader, elsewhere = KeepingReader(build_reader(loaded.for_showing())), _elsewhere_of(loaded)
            explaining, enrolling = (
                Errand(command, settings, os.environ | _WITHOUT_COLOURS) for command in (_EXPLAINS, _ENROLLS)
            )
            placing, grouping = (
                Computing((*_COMPUTES, deed), settings, os.environ | _WITHOUT_COLOURS, now=now_utc)
                for deed in ("space", "strangers")
            )
            site = Site(
                store,
                loaded,
                keys,
                reader=reader,
                wake=annotating.wake,
                elsewhere=elsewhere,
                explaining=explaining,
                enrolling=enrolling,
                taking_down=TakingDown(_TAKES_DOWN, settings, os.environ | _WITHOUT_COLOURS),
                placing=placing,
                grouping=grouping,
            )
            site.uploads.remove_abandoned()
            serve(site, on_ready=tell_ready)
    finally:
        if address_file is not None:
            address_file.unlink(missing_ok=True)
    err().print("stopped")


def _elsewhere_of(settings: Settings) -> "Elsewhere | None":
    if settings.web.oidc.issuer is None:
        return None
    try:
        from annotator.web.oidc.entrance import Elsewhere  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"logging in elsewhere needs its extra: pip install 'celebrity-annotator[web,oidc]' ({exc.name} is missing)"
        ) from exc
    return Elsewhere(settings.web.oidc)


def _say(address: str, words: str, file: Path | None) -> None:
    if file is not None:
        _write_for_the_owner(file, address)
        return
    err().print(words)
    err().print(f"  {address}", markup=False, soft_wrap=True)


def _write_for_the_owner(path: Path, address: str) -> None:
    """Write an address, which may hold a key: logs are read by more people than may come in."""
    with appearing_file(path) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(f"{address}\n".encode())


def add_user(name: str, *, role: str, is_from_stdin: bool, settings: Mapping[str, Any]) -> None:
    """Add an account.

    Raises:
        AccountError: name, role or password cannot be, or the name is taken.

    """
    chosen = Role.of(role)
    password_hash = _hash(_ask_password(is_from_stdin=is_from_stdin))
    with open_store(load_settings(**settings)) as store, store.writing() as connection:
        account = add_account(connection, name, password_hash=password_hash, role=chosen)
        _record(connection, "added an account", account)
    out().print(f"{account.name} may log in as {account.role.word}", markup=False)


def list_users(*, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print all accounts."""
    with open_store(load_settings(**settings), must_exist=True) as store, store.reading() as connection:
        accounts, issuers = list_accounts(connection), issuers_by_account(connection)
    if as_json:
        for one in accounts:
            print_json_line(
                {
                    "name": one.name,
                    "role": one.role.word,
                    "created_at": one.created_at.isoformat(),
                    "disabled_at": None if one.disabled_at is None else one.disabled_at.isoformat(),
                    "issuer": issuers.get(one.account_id),
                }
            )
        return
    if not accounts:
        remark(
            "Nobody: `annotator web` is for whoever sits at this machine. `annotator web users add NAME` changes that."
        )
        return
    rows = [
        [one.name, one.role.word, f"{one.created_at:%Y-%m-%d}", issuers.get(one.account_id, "password"), _state(one)]
        for one in accounts
    ]
    print_table(["name", "role", "since", "logs in by", "state"], rows)


def change_user_role(name: str, role: str, *, settings: Mapping[str, Any]) -> None:
    """Change what an account may do.

    Raises:
        AccountError: there is no such account, or role.

    """
    chosen = Role.of(role)
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        account = change_role(connection, name, chosen)
        _record(connection, "changed a role", account)
    out().print(f"{account.name} is {account.role.word} now", markup=False)


def change_user_password(name: str, *, is_from_stdin: bool, settings: Mapping[str, Any]) -> None:
    """Change the password of an account.

    Raises:
        AccountError: there is no such account, or the password cannot be one.

    """
    password_hash = _hash(_ask_password(is_from_stdin=is_from_stdin))
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        account = change_password(connection, name, password_hash)
        _record(connection, "changed a password", account)
    out().print(f"{account.name} has another password now", markup=False)


def disable_user(name: str, *, settings: Mapping[str, Any]) -> None:
    """Let an account log in no more.

    Raises:
        AccountError: there is no such account.

    """
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        account = disable_account(connection, name)
        _record(connection, "disabled an account", account)
    out().print(f"{account.name} may not log in any more", markup=False)


def add_user_token(name: str, *, role: str, purpose: str, days: int, settings: Mapping[str, Any]) -> None:
    """Make a token of the API and print it.

    Raises:
        AccountError: there is no such account or role, or the account may do less.

    """
    chosen, now = Role.of(role), datetime.now(UTC)
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        lasts = timedelta(days=days)
        token = add_token(connection, name, role=chosen, purpose=purpose, now=now, lasts=lasts)
        _record(connection, "made a token", known_account(connection, name))
    out().print(token, markup=False, soft_wrap=True)
    remark("Keep it: it is shown once. A program sends it as `Authorization: Bearer TOKEN`.")


def list_user_tokens(*, as_json: bool, settings: Mapping[str, Any]) -> None:
    """Print what is known of all tokens of the API; a token itself cannot be looked up."""
    with open_store(load_settings(**settings), must_exist=True) as store, store.reading() as connection:
        tokens = list_tokens(connection)
    if as_json:
        for one in tokens:
            times = {"created_at": one.created_at, "expires_at": one.expires_at, "used_at": one.used_at}
            print_json_line(
                {"number": one.token_id, "name": one.account.name, "role": one.role.word, "purpose": one.purpose}
                | {name: None if time is None else time.isoformat() for name, time in times.items()}
            )
        return
    if not tokens:
        remark("There are none: `annotator web tokens add NAME --for PURPOSE` makes one.")
        return
    rows = [
        [
            str(one.token_id),
            one.account.name,
            one.role.word,
            one.purpose,
            "" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d}",
            "never" if one.used_at is None else f"{one.used_at:%Y-%m-%d}",
        ]
        for one in tokens
    ]
    print_table(["number", "account", "role", "for", "until", "last used"], rows, right=["number"])


def remove_user_token(number: int, *, settings: Mapping[str, Any]) -> None:
    """Let a token work no more.

    Raises:
        AccountError: there is no such token.

    """
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        removed = [one for one in list_tokens(connection) if one.token_id == number]
        remove_token(connection, number)
        _record(connection, "removed a token", removed[0].account)
    out().print(f"token {number} works no more", markup=False)


def _state(account: Account) -> str:
    return "" if account.disabled_at is None else f"disabled since {account.disabled_at:%Y-%m-%d}"


def _hash(password: str) -> str:
    try:
        from annotator.web.passwords import hash_password  # noqa: PLC0415 - of an extra
    except ModuleNotFoundError as exc:
        raise ConfigError(f"{NEEDS_EXTRA} ({exc.name} is missing)") from exc
    return hash_password(password)


def _ask_password(*, is_from_stdin: bool) -> str:
    if is_from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise AccountError("nobody can be asked for the password here: give it with --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise AccountError("the two passwords differ: do it again")
    return password


def _record(connection: Connection, action: str, account: Account) -> None:
    """Put on record what is done at the command line, too."""
    record_deed(
        connection,
        f"{who_is_this()} (command line)",
        action,
        address="",
        now=datetime.now(UTC),
        subject=account.name,
        details={"role": account.role.word},
    )
