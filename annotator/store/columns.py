"""Column types and SQL that both databases read the same."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite's clock knows milliseconds; the store's times have microseconds.
SQLITE_TIME: Final = "%Y-%m-%d %H:%M:%f"
SQLITE_MICROS: Final = "000"


class UtcTime(TypeDecorator[datetime]):
    """A point in time: ``timestamptz`` on Postgres, ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC on SQLite.

    Python sees aware datetimes in UTC on both. Text of that form sorts as time does.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the dialect stores."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into what the dialect stores.

        Raises:
            ValueError: the datetime has no zone.

        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time in the store needs a zone, got {value!r}")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn what the dialect stores into an aware datetime in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else value.replace(tzinfo=UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's clock, in the form of ``UtcTime``."""

    type = UtcTime()
    inherit_cache = True


@compiles(utc_now)
def _now(_element: utc_now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "now()"


def age_s(now: datetime, then: datetime) -> float:
    """Return how long ago something was, in seconds; 0 where clocks differ and it is yet to come."""
    return max((now - then).total_seconds(), 0.0)


def sqlite_time(shift: str | None = None) -> str:
    """Return SQLite's clock as an expression in the form of ``UtcTime``.

    Args:
        shift: an expression of seconds to add; NULL gives NULL.

    >>> sqlite_time(":delay_s")
    "(strftime('%Y-%m-%d %H:%M:%f', 'now', (:delay_s) || ' seconds') || '000')"
    """
    shifted = "" if shift is None else f", ({shift}) || ' seconds'"
    return f"(strftime('{SQLITE_TIME}', 'now'{shifted}) || '{SQLITE_MICROS}')"


@compiles(utc_now, "sqlite")
def _now_sqlite(_element: utc_now, _compiler: SQLCompiler, **_kw: object) -> str:
    return sqlite_time()


# SQLite makes ids by itself only for INTEGER PRIMARY KEY.
BigId = BigInteger().with_variant(Integer, "sqlite")
# Bytes order, which is S3's order of keys; SQLite's default is that already.
Key = Text().with_variant(Text(collation="C"), "postgresql")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
IdList = JSON().with_variant(ARRAY(BigInteger), "postgresql")
