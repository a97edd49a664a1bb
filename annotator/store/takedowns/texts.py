"""Names within texts: reports of gates, messages of failures, call-backs. The texts stay, without the names."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import JSON, Column, ColumnElement, Connection, Text, cast, func, or_, select, update

from annotator.recognition.tombstone import plain_name
from annotator.store.tables import metadata

_ESCAPES: Final = re.compile(r'(?:\\(?:u[0-9a-fA-F]{4}|[bfnrt"\\/]))+')

GONE: Final = "[taken down]"
"""What stands in place of a name."""

_LEFT: Final = frozenset(
    # Names have a step of their own; addresses are the source's; the others say nothing of people, and some digests
    # stand for what they say.
    (
        *("identities", "identity_aliases", "sources", "media", "listing_shards"),
        *("networks", "chunks", "work_counts", "work_deltas", "progress", "worker_sessions", "scaling"),
        *("track_labels", "overruled_labels", "store_settings", "takedowns"),
    )
)


def text_columns() -> list[Column[Any]]:
    """Return all columns in which a sentence may have a name."""
    return [
        column
        for table in metadata.sorted_tables
        if table.name not in _LEFT
        for column in table.columns
        if isinstance(column.type, Text | JSON) and not column.primary_key and not column.unique
    ]


@dataclass(frozen=True, slots=True)
class NameFinder:
    """Finds a person's names in texts.

    Attributes:
        plain: all names, without case, accents and spacing: they are found where a text is nothing else.
        pattern: names of several words, which are found within sentences and paths, too. One of a single word is not:
            «Prince» and «Pink» are words of other sentences.

    """

    plain: frozenset[str]
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Return what finds these names."""
        words = [re.split(r"[\s_]+", name.strip()) for name in names]
        long = sorted(
            {r"[\s_+-]+".join(map(re.escape, one)) for one in words if len(one) > 1}, key=lambda one: -len(one)
        )
        pattern = rf"(?<![^\W_])(?:{'|'.join(long) or '(?!)'})(?![^\W_])"
        # Of a name that is signs only («!!!») nothing is left: it would be found in whatever is empty.
        plain = frozenset(plain_name(name) for name in names) - {""}
        return cls(plain, re.compile(pattern, re.IGNORECASE))

    def is_alone(self, text: str) -> bool:
        """Say whether a text is a name and nothing else, as a folder or a label has it.

        >>> finder = NameFinder.of(["Ada Lovelace", "Ada"])
        >>> [finder.is_alone(one) for one in ("ada_lovelace", "Ada_Lovelace_[m.0ada]", "ADA", "Ada's")]
        [True, True, True, False]
        """
        return plain_name(text.partition("_[")[0]) in self.plain

    def is_within(self, text: str) -> bool:
        r"""Say whether a text has a name of several words in it, in any case, whatever stands between the words.

        A text that is JSON may have any letter escaped.

        >>> finder = NameFinder.of(["Ada Lovelace", "Ada", "Zoë Ek"])
        >>> [finder.is_within(one) for one in ("of Ada-LOVELACE.", "/x/ada_lovelace.gif", "Ada", "Nada Lovelaces")]
        [True, True, False, False]
        >>> [finder.is_within(one) for one in (r'"Zo\u00EB Ek"', r'"\nAda Lovelace"', r"C:\Users\Ada")]
        [True, True, False]
        """
        return any(self.pattern.search(one) for one in (text, *_unescaped(text)))

    def without(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """Return a JSON value with all names in it replaced, in keys, too."""
        if isinstance(value, str):
            return GONE if self.is_alone(value) else self.pattern.sub(GONE, value)
        if isinstance(value, list):
            return [self.without(one) for one in value]
        if isinstance(value, dict):
            return {self.without(key): self.without(one) for key, one in value.items()}
        return value


def forget_in_texts(connection: Connection, names: Sequence[str], *, is_dry: bool = False) -> dict[str, int]:
    """Take names out of texts; return how many rows of each table had one.

    Args:
        connection: in a transaction that writes, unless nothing is changed.
        names: of one person.
        is_dry: only count.

    """
    counts: dict[str, int] = {}
    if not names:
        return counts
    finder = NameFinder.of(names)
    for column in text_columns():
        table, name = column.table, column.name
        keys = list(table.primary_key.columns)
        for row in connection.execute(select(*keys, column).where(may_have(column, names))).all():
            *key, value = row
            if value is None or (cleaned := finder.without(value)) == value:
                continue
            counts[table.name] = counts.get(table.name, 0) + 1
            if not is_dry:
                same = [one == mine for one, mine in zip(keys, key, strict=True)]
                connection.execute(update(table).where(*same).values({name: cleaned}))
    return counts


def may_have(column: Column[Any], names: Sequence[str]) -> ColumnElement[bool]:
    """Narrow texts down to those in which the database finds a part of a name that is written in one way only."""
    as_text = func.lower(cast(column, Text))
    parts = {part for name in names for part in _sure_parts(name)}
    return or_(*(as_text.contains(part, autoescape=True) for part in sorted(parts)))


def _sure_parts(name: str) -> set[str]:
    """Return what a text with the name has at least one of, as ``lower`` of any database leaves it.

    That is its longest run of ASCII letters and digits. Of a name without one it is the first letter, small and large
    (SQLite knows no other letters' case), as it is and as JSON may escape it.
    """
    runs = re.findall(r"[a-z0-9]{2,}", name.lower())
    if runs:
        return {max(runs, key=len)}
    first = name.strip()[:1]
    return {form for one in (first.lower(), first.upper()) for form in (one, json.dumps(one)[1:-1])}


def _unescaped(text: str) -> tuple[str, ...]:
    """Return a text as it is where JSON has escaped it; nothing where nothing is escaped."""
    if "\\" not in text:
        return ()
    plain = _ESCAPES.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
    return (plain,) if plain != text else ()
