"""Many rows in one statement, without what SQLAlchemy does for each row: results are written by the hundred million.

On Postgres a column travels as one array, so a statement is a short text with a handful of values, whatever the number
of rows. On SQLite the driver runs a prepared statement over the rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Connection, Double, Integer, LargeBinary, SmallInteger
from sqlalchemy.dialects import postgresql

from annotator.store.columns import sqlite_time
from annotator.store.dialect import is_postgres
from annotator.store.tables import metadata

# Columns by name, all of one length; or one value for all rows.
Columns = Mapping[str, Sequence[Any]]
_PLAIN: Final = (BigInteger, Boolean, Double, Integer, SmallInteger)


def insert_rows(
    connection: Connection,
    table: str,
    columns: Columns,
    *,
    same: Mapping[str, Any],
    now: Sequence[str] = (),
) -> None:
    """Insert rows.

    Args:
        connection: in a transaction that writes.
        table: which table.
        columns: values by column, all of one length; JSON as text.
        same: columns that have one value in all rows.
        now: columns that get the database's clock.

    Raises:
        sqlalchemy.exc.DBAPIError: the database refuses, or a row is there already.

    """
    if is_postgres(connection):
        statement = _postgres_insert(table, tuple(columns), tuple(same), tuple(now))
        connection.exec_driver_sql(statement, (*same.values(), *_arrays(table, columns)))
    else:
        statement = _sqlite_insert(table, tuple(columns), tuple(same), tuple(now))
        fixed = tuple(same.values())
        rows = [(*fixed, *row) for row in zip(*columns.values(), strict=True)]
        if rows:
            connection.exec_driver_sql(statement, rows)


def insert_new(
    connection: Connection,
    table: str,
    columns: Columns,
    *,
    same: Mapping[str, int],
    now: Sequence[str] = (),
) -> set[int]:
    """Insert those rows whose key is not there yet; whoever comes second changes nothing.

    Args:
        connection: in a transaction that writes.
        table: its key is ``same`` and the first of ``columns``, ids.
        columns: as of :func:`insert_rows`; the first one ascending, so that two that insert the same do not block each
            other.
        same: the column of the key that is one in all rows.
        now: as of :func:`insert_rows`.

    Returns:
        The values of the first column that were inserted.

    """
    key, values = next(iter(columns.items()))
    if is_postgres(connection):
        statement = _postgres_insert(table, tuple(columns), tuple(same), tuple(now))
        statement += f" ON CONFLICT DO NOTHING RETURNING {key}"
        return set(connection.exec_driver_sql(statement, (*same.values(), *_arrays(table, columns))).scalars().all())
    # The transaction has the write lock: nobody comes between the question and the answer.
    holes = ", ".join("?" * len(values))
    where = " AND ".join(f"{name} = ?" for name in same)
    asked = f"SELECT {key} FROM {table} WHERE {where} AND {key} IN ({holes})"  # noqa: S608  (names of our own tables)
    there = set(connection.exec_driver_sql(asked, (*same.values(), *values)).scalars())
    kept = [place for place, value in enumerate(values) if value not in there]
    fresh = {name: [column[place] for place in kept] for name, column in columns.items()}
    insert_rows(connection, table, fresh, same=same, now=now)
    return set(fresh[key])


@cache
def _postgres_insert(table: str, columns: tuple[str, ...], same: tuple[str, ...], now: tuple[str, ...]) -> str:
    kinds = ", ".join(f"%s::{_kinds(table)[name]}[]" for name in columns)
    values = [*(f"%s::{_kinds(table)[name]}" for name in same), *("now()" for _ in now), "u.*"]
    listed = ", ".join((*same, *now, *columns))
    return f"INSERT INTO {table} ({listed}) SELECT {', '.join(values)} FROM unnest({kinds}) u"  # noqa: S608  (names of our own tables)


@cache
def _sqlite_insert(table: str, columns: tuple[str, ...], same: tuple[str, ...], now: tuple[str, ...]) -> str:
    values = ["?"] * (len(same) + len(columns)) + [sqlite_time()] * len(now)
    return f"INSERT INTO {table} ({', '.join((*same, *columns, *now))}) VALUES ({', '.join(values)})"  # noqa: S608  (as above)


@cache
def _kinds(table: str) -> dict[str, str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return {
        column.name: str(column.type.compile(dialect)).partition(" COLLATE")[0] for column in metadata.tables[table].c
    }


def _arrays(table: str, columns: Columns) -> Iterable[str]:
    types = metadata.tables[table].c
    return (array_literal(values, types[name].type) for name, values in columns.items())


def array_literal(values: Sequence[Any], kind: Any) -> str:  # noqa: ANN401  (a type of SQLAlchemy)
    r"""Return a column as the text of an array of Postgres.

    Args:
        values: numbers, truth values, texts (JSON too) or bytes; None is NULL.
        kind: the column's type.

    >>> from sqlalchemy import Text
    >>> array_literal([True, None], Boolean())
    '{True, NULL}'
    >>> array_literal([1, None], Integer()), array_literal(['a "b" \\', None], Text())
    ('{1, NULL}', '{"a \\"b\\" \\\\",NULL}')
    >>> array_literal([b"\x00\xff"], LargeBinary())
    '{"\\\\x00ff"}'
    """
    if isinstance(kind, _PLAIN):
        return "{" + repr(list(values))[1:-1].replace("None", "NULL") + "}"
    if isinstance(kind, LargeBinary):
        texts = ["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]
    else:
        texts = ["NULL" if value is None else _quoted(value) for value in values]
    return "{" + ",".join(texts) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
