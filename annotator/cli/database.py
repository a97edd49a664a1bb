"""``annotator retry`` and ``annotator db``."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.exc import ProgrammingError

from annotator.cli.output import out, remark
from annotator.errors import ConfigError
from annotator.masking import mask_url
from annotator.settings import Settings, load_settings
from annotator.store.connection import open_engine, sqlite_path
from annotator.store.database_errors import sqlstate
from annotator.store.queue.chunks import ChunkLimits
from annotator.store.queue.deliveries import bring_back
from annotator.store.roles import ROLES, role_statements
from annotator.store.roles import set_up_roles as make_roles
from annotator.store.rollups import roll_up as roll_up_counts
from annotator.store.schema import HEAD, check_engine
from annotator.store.schema import check as check_schema
from annotator.store.schema import upgrade as upgrade_schema
from annotator.store.store import Store

_NO_RIGHT: Final = "42501"  # Postgres's code


def open_store(settings: Settings, *, must_exist: bool = False) -> Store:
    """Open the database of the settings.

    Args:
        settings: as loaded.
        must_exist: refuse an SQLite file that is not there: who asks a question has mistyped its path. Else it is made.

    Raises:
        ConfigError: the URL is none of a supported database, the tables are not up to date, or the file is missing.
        StoreUnavailableError: the database does not answer.

    """
    url = settings.database_url.get_secret_value()
    if must_exist:
        path = sqlite_path(url)
        if path is not None and not path.exists():
            raise ConfigError(f"there is no database {path} yet: annotate something into it, or name another one.")
    return Store.open(url)


def retry_failed(reason: str | None, *, settings: Mapping[str, Any]) -> None:
    """Let failed media be tried again, and say how many."""
    chosen = load_settings(**settings)
    limits = ChunkLimits(media=chosen.worker.chunk_media, size_bytes=chosen.worker.chunk_bytes)
    with open_store(chosen, must_exist=True) as store:
        count = store.retry(reason=reason, limits=limits)
        known = store.status().failures
    if count:
        out().print(f"{count} media will be tried again: by the workers, or when they are annotated the next time.")
        return
    out().print("nothing to try again" + (f": no media failed for the reason {reason!r}" if reason else ""))
    if known:
        remark(f"There are failures for other reasons: {', '.join(known)}.")


def retry_call_backs(*, settings: Mapping[str, Any]) -> None:
    """Let call-backs that were given up be tried again, and say how many."""
    with open_store(load_settings(**settings), must_exist=True) as store, store.writing() as connection:
        count = bring_back(connection)
    out().print(f"{count} call-backs will be tried again" if count else "no call-back was given up")


def upgrade(*, settings: Mapping[str, Any]) -> None:
    """Bring the tables up to date."""
    url = load_settings(**settings).database_url.get_secret_value()
    _say_revision(url, upgrade_schema(url))


def check(*, settings: Mapping[str, Any]) -> None:
    """Say whether the tables fit this program.

    Raises:
        ConfigError: they do not.

    """
    url = load_settings(**settings).database_url.get_secret_value()
    _say_revision(url, check_schema(url))


def _say_revision(url: str, revision: str) -> None:
    which = "the newest" if revision == HEAD else f"of a newer program, which this one ({HEAD}) may use"
    out().print(f"{mask_url(url)} has schema {revision}, {which}", soft_wrap=True)


def set_up_roles(*, is_printed: bool, settings: Mapping[str, Any]) -> None:
    """Make the roles of Postgres, or print how.

    Raises:
        ConfigError: the database is no Postgres, has no tables yet, or its user may not make roles.

    """
    url = load_settings(**settings).database_url.get_secret_value()
    engine = open_engine(url)
    try:
        check_engine(engine)
        if is_printed:
            for statement in role_statements(engine):
                out().print(f"{statement};", soft_wrap=True, markup=False, highlight=False)
            return
        make_roles(engine)
    except ProgrammingError as exc:
        if sqlstate(exc) != _NO_RIGHT:
            raise
        why = str(exc.orig).strip().partition("\n")[0]
        raise ConfigError(f"this user may not make roles ({why}): give --database as one who owns the tables") from exc
    finally:
        engine.dispose()
    out().print(f"{mask_url(url)} has the roles {', '.join(ROLES)}", soft_wrap=True)
    remark("Give them to those who log in: GRANT annotator_worker TO NAME.")


def roll_up(*, settings: Mapping[str, Any]) -> None:
    """Count anew what `identity_counts` and `co_appearances` show."""
    with open_store(load_settings(**settings), must_exist=True) as store:
        done = roll_up_counts(store.engine)
    if done is None:
        out().print("nothing to count: nothing is annotated yet, or another process has just counted")
        return
    out().print(f"counts and co-appearances are as of {done.as_of:%Y-%m-%d %H:%M:%S} UTC; it took {done.took_ms} ms")
