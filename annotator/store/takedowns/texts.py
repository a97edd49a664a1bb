"""Names within texts: reports of gates, messages of failures, call-backs. The texts stay, without the names."""

import functools
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import JSON, Column, ColumnElement, Connection, Integer, Text, cast, func, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from annotator.store.tables import metadata, outbox, web_accounts, web_audit
from annotator.store.takedowns.former import was_called
from annotator.store.takedowns.name_finder import NameFinder

_LEFT: Final = frozenset(
    # Names have a step of their own; addresses are the source's; the others say nothing of people, and some digests
    # stand for what they say.
    (
        *("identities", "identity_aliases", "sources", "media", "listing_shards"),
        *("networks", "chunks", "work_counts", "work_deltas", "progress", "worker_sessions", "scaling"),
        *("track_labels", "overruled_labels", "store_settings", "takedowns"),
    )
)
_SQUEEZED: Final = " _-.'"  # signs that a name of one word may have between its letters: «M.I.A.»
_WHO: Final = frozenset(
    # Columns that say who has done something. An account goes on to have what is its own, whatever it is called.
    (
        *("web_audit.actor", "web_jobs.owner", "web_attempts.name", "review_items.leased_to"),
        *("review_decisions.decided_by", "corrections.said_by", "corrections.withdrawn_by"),
        *("merges.merged_by", "promotions.done_by"),
    )
)
_SAID: Final = re.compile(r"(is not|is) (.+)", re.DOTALL)


def text_columns() -> list[Column[Any]]:
    """Return all columns in which a sentence may have a name."""
    return [
        column
        for table in metadata.sorted_tables
        if table.name not in _LEFT
        for column in table.columns
        if isinstance(column.type, Text | JSON) and not column.primary_key and not column.unique
    ]


def forget_in_texts(
    connection: Connection,
    names: Sequence[str],
    *,
    kg_mids: Sequence[str] = (),
    identity_ids: Collection[int] = (),
    is_dry: bool = False,
) -> dict[str, int]:
    """Take names out of texts, and what somebody was called before; return how many rows of each table had one.

    Args:
        connection: in a transaction that writes, unless nothing is changed.
        names: of one person.
        kg_mids: Knowledge Graph ids of the person.
        identity_ids: of the person: what anybody else is called stays.
        is_dry: only count.

    """
    counts: dict[str, int] = {}
    if not names:
        return counts
    before = was_called(connection, names, identity_ids=identity_ids)
    finder = NameFinder.of(sorted({*names, *before.names}), sorted({*kg_mids, *before.kg_mids}))
    accounts = set(connection.execute(select(web_accounts.c.name)).scalars())
    for column in text_columns():
        table, name = column.table, column.name
        kept = accounts if str(column) in _WHO else ()
        keys = list(table.primary_key.columns)
        for row in connection.execute(select(*keys, column).where(may_have(column, finder))).all():
            *key, value = row
            if value is None or value in kept or (cleaned := _cleaned(column, value, finder)) == value:
                continue
            counts[table.name] = counts.get(table.name, 0) + 1
            if not is_dry:
                same = [one == mine for one, mine in zip(keys, key, strict=True)]
                connection.execute(update(table).where(*same).values({name: cleaned}))
    return counts


class _size_bytes(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """How many bytes a text has."""

    type = Integer()
    inherit_cache = True


@compiles(_size_bytes)
def _octet_length(element: _size_bytes, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - of the compiler
    return f"octet_length({compiler.process(element.clauses, **kw)})"


@compiles(_size_bytes, "sqlite")
def _blob_length(element: _size_bytes, compiler: SQLCompiler, **kw: Any) -> str:  # noqa: ANN401 - of the compiler
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


def may_have(column: Column[Any], finder: NameFinder) -> ColumnElement[bool]:
    """Narrow texts down to those that may have a name: with a part of one, or with letters that may be one of its.

    Databases know neither accents nor the case of all letters: whatever is not plain ASCII, or is escaped, is read.
    """
    as_text = cast(column, Text)
    small = func.lower(as_text)
    squeezed = functools.reduce(lambda text, sign: func.replace(text, sign, ""), _SQUEEZED, small)
    has_part = [small.contains(part, autoescape=True) for part in sorted(finder.parts)]
    has_part += [squeezed.contains(part, autoescape=True) for part in sorted(finder.parts & finder.plain)]
    is_escaped = [as_text.contains(sign, autoescape=True) for sign in "\\%"]
    return or_(*has_part, *is_escaped, _size_bytes(as_text) != func.length(as_text))


def _cleaned(column: Column[Any], value: Any, finder: NameFinder) -> Any:  # noqa: ANN401 - JSON or a text
    """Return what a text says without the person; it is the same where the person is not in it."""
    if column is outbox.c.payload and isinstance(value, dict) and isinstance(value.get("labels"), list):
        # That somebody was there is no news any more who it is: nobody is told of a name that has gone.
        left = [one for one in value["labels"] if not _is_of(one, finder)]
        return finder.without({**value, "labels": left})
    if column is web_audit.c.details and isinstance(value, dict) and isinstance(value.get("said"), str):
        # A former program has put word and name in one: «is Ada», in which a name of one word would not be found.
        told = _SAID.fullmatch(value["said"])
        apart = value if told is None else {**value, "said": told[1], "name": told[2]}
        cleaned = finder.without(apart)
        return value if cleaned == apart else cleaned
    return finder.without(value)


def _is_of(label: Any, finder: NameFinder) -> bool:  # noqa: ANN401 - a JSON value
    """Say whether a label of a call-back is the person's."""
    if not isinstance(label, dict):
        return False
    name, kg_mid = label.get("identity"), label.get("kg_mid")
    return (isinstance(name, str) and finder.is_alone(name)) or (isinstance(kg_mid, str) and finder.is_within(kg_mid))
