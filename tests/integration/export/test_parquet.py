"""Parquet, read by the library of its makers."""

import io
import sys
from collections.abc import Iterator

import pytest

from annotator.errors import ConfigError
from annotator.export import parquet as parquet_form
from annotator.export.selection import Selection
from annotator.export.streaming import stream
from tests.integration.export.conftest import HOSTILE, Archive
from tests.optional import import_optional

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def pieces(archive: Archive, rows: str = "people", **selection: object) -> Iterator[bytes]:
    return stream(archive.store.engine, "parquet", Selection(**selection), rows=rows)  # type: ignore[arg-type]


def test_parquet_has_the_rows_with_types_and_texts_as_they_are(archive: Archive) -> None:
    table = import_optional("pyarrow.parquet").read_table(io.BytesIO(b"".join(pieces(archive))))
    rows = table.to_pylist()
    assert [row["identity"] for row in rows].count(HOSTILE.name) == 1
    assert rows[0]["end_ms"] == 3_600_040
    assert rows[0]["kg_mid"] is None
    assert str(table.schema.field("confidence").type) == "double"
    assert str(table.schema.field("is_picture").type) == "bool"
    assert len(rows) == 5


@pytest.mark.parametrize("at_once", [1, 2, 50_000])
def test_row_groups_of_any_size_tell_the_same(archive: Archive, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = import_optional("pyarrow.parquet")
    expected = parquet.read_table(io.BytesIO(b"".join(pieces(archive, "tracks")))).to_pylist()
    monkeypatch.setattr(parquet_form, "_ROWS_AT_ONCE", at_once)
    file = parquet.ParquetFile(io.BytesIO(b"".join(pieces(archive, "tracks"))))
    assert file.read().to_pylist() == expected
    assert len(expected) == 7
    assert (file.num_row_groups > 1) == (at_once < len(expected))


def test_nothing_is_a_table_without_rows(archive: Archive) -> None:
    table = import_optional("pyarrow.parquet").read_table(
        io.BytesIO(b"".join(pieces(archive, media=("s3://gifs/broken.gif",))))
    )
    assert (table.num_rows, table.column_names[:2]) == (0, ["media_id", "media_uri"])


def test_without_its_extra_it_says_what_to_install(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"celebrity-annotator\[parquet\]"):
        list(pieces(archive))
