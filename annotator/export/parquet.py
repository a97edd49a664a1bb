"""Parquet of the rows: for analysis, read by DuckDB, pandas, Spark and the like. Needs the extra ``[parquet]``."""

import importlib
import importlib.util
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from annotator.errors import ConfigError
from annotator.export.records import ExportedMedia
from annotator.export.rows import ROWS, Cell, RowKind

NEEDS_EXTRA: Final = "Parquet needs an extra: pip install 'celebrity-annotator[parquet]'"

_ROWS_AT_ONCE: Final = 50_000
"""Rows of a row group: some megabytes in memory, and enough for compression."""


def can_write_parquet() -> bool:
    """Say whether the extra is installed, without loading it."""
    try:
        return importlib.util.find_spec("pyarrow") is not None
    except ValueError:  # it is barred from being imported
        return False


def parquet_pieces(media: Iterable[ExportedMedia], kind: RowKind) -> Iterator[bytes]:
    """Yield a Parquet file in pieces, a row group each; texts are as they are, without a spreadsheet's apostrophes.

    Raises:
        ConfigError: pyarrow is not installed.

    """
    arrow, parquet = _import()
    rows = ROWS[kind]
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema([(name, types[column]) for name, column in rows.columns.items()])

    def table(some: list[tuple[Cell, ...]]) -> Any:  # noqa: ANN401  (pyarrow's)
        columns = zip(*some, strict=True) if some else ([] for _ in schema)
        arrays = [arrow.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
        return arrow.Table.from_arrays(arrays, schema=schema)

    sink = io.BytesIO()
    with parquet.ParquetWriter(_Unseekable(sink), schema, compression="zstd") as writer:
        waiting: list[tuple[Cell, ...]] = []
        for one in media:
            waiting += rows.of(one)
            if len(waiting) >= _ROWS_AT_ONCE:
                writer.write_table(table(waiting))
                waiting = []
                yield _taken(sink)
        if waiting:
            writer.write_table(table(waiting))
    yield _taken(sink)


class _Unseekable(io.RawIOBase):
    """Takes bytes and knows how many these were, whoever has taken them on meanwhile."""

    def __init__(self, sink: io.BytesIO) -> None:
        super().__init__()
        self._sink = sink
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any, /) -> int:  # noqa: ANN401  (any buffer)
        count = self._sink.write(data)
        self._written += count
        return count


def _taken(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


def _import() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as exc:
        raise ConfigError(NEEDS_EXTRA) from exc
