"""Looks for a person in every store: all columns of all tables, all bytes of all files, archives unpacked."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, MetaData, Table, select, text

from annotator.recognition.tombstone import plain_name
from annotator.store.takedowns.name_finder import NameFinder

NEAR = 0.7
"""Cosine from which numbers are taken for the person's face."""


def traces_in_database(
    engine: Engine,
    names: Sequence[str],
    face: np.ndarray,
    *,
    ids: Sequence[int] = (),
    kg_mids: Sequence[str] = (),
    near: float = NEAR,
) -> list[str]:
    """Return where a person is found: ``table.column: what``.

    Args:
        engine: of the database.
        names: of the person.
        face: f32 (D,), unit norm: what her or his embeddings are near to.
        ids: that no column of identities may have.
        kg_mids: Knowledge Graph ids of the person, which no text may have.
        near: cosine from which numbers are taken for the face.

    """
    found = []
    with engine.connect() as connection:
        for table in _tables(connection):
            for row in connection.execute(select(table)).mappings():
                for column, value in row.items():
                    what = _trace(value, names, face, near) or _trace_of_id(value, kg_mids)
                    is_id = str(column).removesuffix("_id") in {"identity", "other_identity", "runner_up", "into"}
                    if is_id and value in ids:
                        what = f"id {value}"
                    if column == "candidates" and any(one[0] in ids for one in _parsed(value) or []):
                        what = "a candidate"
                    found += [f"{table.name}.{column}: {what}"] if what else []
    return sorted(set(found))


# Each column that there is, of Postgres also with those of views; what is reflected of the same ones is the same.
_COLUMNS = {
    "postgresql": "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = current_schema()",
    "sqlite": "SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'",
}
_TABLES: dict[tuple[str, frozenset[tuple[Any, ...]]], list[Table]] = {}


def _tables(connection: Connection) -> list[Table]:
    """Return all tables as the database itself has them, reflected once for the same columns: it takes a while."""
    dialect = connection.dialect.name
    columns = frozenset(tuple(row) for row in connection.execute(text(_COLUMNS[dialect])))
    if (dialect, columns) not in _TABLES:
        metadata = MetaData()
        metadata.reflect(connection)
        _TABLES[dialect, columns] = metadata.sorted_tables
    return _TABLES[dialect, columns]


@cache
def _finder(names: tuple[str, ...]) -> NameFinder:
    return NameFinder.of(names)


def traces_in_files(
    folders: Sequence[Path], names: Sequence[str], face: np.ndarray, *, near: float = NEAR
) -> list[str]:
    """Return which files say the person's name, in their path or their bytes, or have a face like hers or his."""
    found = []
    finder = _finder(tuple(names))
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if finder.is_within(path.name) or finder.is_alone(path.name):
                found.append(f"{path}: its name")
            if path.is_file():
                found += [f"{path}: {what}" for what in _traces_in_bytes(path.read_bytes(), names, face, near)]
    return found


def _traces_in_bytes(content: bytes, names: Sequence[str], face: np.ndarray, near: float) -> Iterator[str]:
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                inside = archive.read(member)
                if member.endswith(".npy"):
                    array = np.load(io.BytesIO(inside), allow_pickle=False)
                    if array.dtype.kind == "f" and array.shape[-1:] == face.shape and _is_near(array, face, near):
                        yield f"a face in {member}"
                    inside = array.tobytes()
                for what in _traces_in_bytes(inside, names, face, near):
                    yield f"{what} in {member}"
    found = _trace(content, names, face, near)
    if found:
        yield found


def _trace(value: Any, names: Sequence[str], face: np.ndarray, near: float) -> str | None:
    if isinstance(value, bytes | memoryview):
        content = bytes(value)
        spelt = [form.encode() for name in names for form in (name, name.replace(" ", "_"), name.casefold())]
        if any(form in content for form in spelt):
            return "the name"
        exact = [face.astype(kind).tobytes() for kind in ("<f2", "<f4", "<f8")]
        if any(form in content for form in exact):
            return "the face, bit for bit"
        for kind in ("<f2", "<f4"):
            width = len(face) * np.dtype(kind).itemsize
            if content and len(content) % width == 0 and len(content) < 1 << 20:
                with np.errstate(all="ignore"):
                    if _is_near(np.frombuffer(content, kind).reshape(-1, len(face)), face, near):
                        return f"a face, as {kind}"
        return None
    if isinstance(value, str | dict | list):
        said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        finder = _finder(tuple(names))
        # Asked in another way, too: the finder is what takedowns themselves look with.
        plain = [plain_name(name) for name in names if len(name.split()) > 1]
        plain_said = plain_name(said)
        is_spelt = any(one in plain_said for one in plain)
        return "the name" if is_spelt or finder.is_within(said) or finder.is_alone(said) else None
    return None


def _trace_of_id(value: Any, kg_mids: Sequence[str]) -> str | None:
    said = value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else ""
    return "the id" if any(re.search(rf"{re.escape(one)}(?!\w)", said) for one in kg_mids) else None


def _is_near(array: np.ndarray, face: np.ndarray, near: float) -> bool:
    rows = array.reshape(-1, len(face)).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    good = np.isfinite(rows).all(axis=1) & (norms > 1e-6) & (norms < 1e6)
    return bool(good.any() and ((rows[good] @ face) / norms[good]).max() >= near)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
