"""How often media are viewed, by key: from a file of comma-separated lines, or a query of the user's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from annotator.errors import ConfigError
from annotator.store.backlog.view_file import is_number, read_views
from annotator.store.connection import open_engine, reading

Row = tuple[str, float]


class Views(Protocol):
    """Where views come from."""

    def check(self) -> None:
        """Refuse at once what could only fail at the end of a long listing."""

    def rows(self) -> Iterator[Row]:
        """Yield keys with their views."""


@dataclass(frozen=True, slots=True)
class ViewsFile:
    """Lines of ``key,views``; a first line of names is skipped.

    Attributes:
        path: the file.
        bucket: keys may also be written as ``s3://bucket/key``.

    """

    path: Path
    bucket: str

    def check(self) -> None:
        """Read the first lines.

        Raises:
            ConfigError: there is no such file, or it holds something else.

        """
        next(self.rows(), None)

    def rows(self) -> Iterator[Row]:
        """Yield keys with their views.

        Raises:
            ConfigError: the file cannot be read, or a line is no key and number.

        """
        return ((_key(key, self.bucket), views) for key, views in read_views(self.path))


@dataclass(frozen=True, slots=True)
class ViewsQuery:
    """Rows of a query, which is run in a session that cannot write.

    Attributes:
        sql: yields keys and views.
        url: of the database.
        bucket: keys may also be written as ``s3://bucket/key``.

    """

    sql: str
    url: str
    bucket: str

    def check(self) -> None:
        """Run it, and look at the first row.

        Raises:
            ConfigError: the database refuses it, or a row is no key and number.

        """
        next(self.rows(), None)

    def rows(self) -> Iterator[Row]:
        """Yield keys with their views, as the database sends them.

        Raises:
            ConfigError: the database refuses the query, or a row is no key and number.
            StoreUnavailableError: the database does not answer.

        """
        engine = open_engine(self.url)
        try:
            with reading(engine) as connection:
                is_postgres = connection.dialect.name == "postgresql"
                only_read = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET TRANSACTION READ ONLY"
                connection.execute(text(only_read if is_postgres else "PRAGMA query_only = ON"))
                options = {"stream_results": True, "no_parameters": True, "max_row_buffer": 10_000}
                found = connection.execution_options(**options).exec_driver_sql(self.sql)
                yield from _checked(found, self.bucket)
        except DBAPIError as exc:
            first = str(exc.orig).strip().partition("\n")[0]
            raise ConfigError(f"the query of --views-query is refused: {first}") from exc
        finally:
            engine.dispose()


def _checked(found: Iterable[tuple[object, ...]], bucket: str) -> Iterator[Row]:
    for row in found:
        key, views = row if len(row) == 2 else (None, None)
        if not isinstance(key, str) or not is_number(views):
            raise ConfigError(f"the query of --views-query must yield keys and numbers of views, got {tuple(row)!r}")
        yield _key(key, bucket), float(str(views))


def _key(written: str, bucket: str) -> str:
    return written.removeprefix(f"s3://{bucket}/")
