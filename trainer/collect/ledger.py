"""What became of everybody: one file a person, and the tables made of them.

``collect/people/LABEL-….json`` is written once a person is through, whole or not at all: a run that is killed loses the
person in hand, whose answers and pictures are in the cache. ``credits.csv``, ``refused.csv``, ``doubtful.csv`` and
``people.csv`` are made of these files.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from annotator.errors import AnnotatorError, ConfigError, LocalDiskError
from trainer.collect.identity import Decision, Doubt
from trainer.collect.shapes import as_map, as_text, cell, plain
from trainer.collect.wikidata import Item, is_item_id
from trainer.dataset.files import write_whole
from trainer.tables import table_text

Status = Literal["collected", "incomplete", "doubtful", "refused"]

CREDITS: Final = (
    "label", "file", "item", "title", "page", "author", "credit", "licence", "licence_url", "restrictions", "taken",
    "sha256", "face_box_xyxy", "face_px", "agreement",
)  # fmt: skip
REFUSED: Final = ("label", "item", "title", "page", "why")
DOUBTFUL: Final = ("label", "decision", "item", "name", "description", "born", "page", "why")
PEOPLE: Final = ("label", "status", "item", "how", "usable_faces", "looked_at", "why")
_YES: Final = frozenset({"yes", "y", "x", "ja", "oui", "si"})
_NO: Final = frozenset({"no", "n", "none", "nein", "non"})


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """What became of one person of the list.

    Attributes:
        label: as in the list.
        status: ``incomplete`` is tried again, ``doubtful`` waits for a decision.
        item: of Wikidata; empty where there is none.
        how: it was found.
        why: nothing was collected, or not everything; empty otherwise.
        looked_at: how many files were considered.
        credits: a row for each picture that is kept, by the columns of ``CREDITS``.
        refused: a row for each that is not, by those of ``REFUSED``.
        doubtful: a row for each candidate, by those of ``DOUBTFUL`` without the decision.

    """

    label: str
    status: Status
    item: str = ""
    how: str = ""
    why: str = ""
    looked_at: int = 0
    credits: Sequence[Mapping[str, str]] = field(default=())
    refused: Sequence[Mapping[str, str]] = field(default=())
    doubtful: Sequence[Mapping[str, str]] = field(default=())


class Ledger:
    """Keeps the records of an experiment, and writes its tables."""

    def __init__(self, folder: Path) -> None:
        """Take the experiment's folder."""
        self._folder = folder
        self._people = folder / "collect" / "people"

    @property
    def doubtful_file(self) -> Path:
        """What a person decides."""
        return self._folder / "doubtful.csv"

    def write(self, record: PersonRecord) -> None:
        """Keep a record.

        Raises:
            LocalDiskError: the disk is full or refuses.

        """
        write_whole(self._path(record.label), json.dumps(asdict(record), ensure_ascii=False, indent=1).encode())

    def read(self, label: str) -> PersonRecord | None:
        """Return a record; None where there is none or it is spoilt."""
        try:
            value = as_map(json.loads(self._path(label).read_bytes()))
            status = as_text(value.get("status"))
            if status not in {"collected", "incomplete", "doubtful", "refused"} or value.get("label") != label:
                return None
            return PersonRecord(**value)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalDiskError(f"{self._path(label)} cannot be read ({error}); check the disk.") from error
        except (ValueError, TypeError, RecursionError):
            return None

    def decisions(self, labels: Iterable[str]) -> Mapping[str, Decision]:
        """Return what a person has decided in ``doubtful.csv``.

        A row with «yes» is the person; a row with the id of an item says that this item is; a label all of whose rows
        say «no» is nobody.

        Raises:
            ConfigError: the file cannot be read, or says two things of one label.

        """
        rows = self._doubtful_rows()
        decisions: dict[str, Decision] = {}
        for label in dict.fromkeys(labels):
            mine = [row for row in rows if row.get("label", "").strip() == label]
            said = [decided for row in mine if (decided := _decision(row, self.doubtful_file))]
            chosen = {item_id for item_id in said if item_id != "no"}
            if len(chosen) > 1:
                raise ConfigError(f"{self.doubtful_file} has several decisions for {label}: leave one.")
            if chosen:
                decisions[label] = Decision(chosen.pop())
            elif mine and len(said) == len(mine):
                decisions[label] = Decision(None)
        return decisions

    def write_tables(self, labels: Sequence[str]) -> None:
        """Write the four tables for the people of the list, in its order.

        Decisions in ``doubtful.csv`` stay, those about people who are in no doubt any more and of other lists too.

        Raises:
            LocalDiskError: the disk is full or refuses.
            ConfigError: ``doubtful.csv`` cannot be read.

        """
        records = [record for label in labels if (record := self.read(label)) is not None]
        people = [asdict(one) | {"usable_faces": len(one.credits), "label": one.label} for one in records]
        self._write("people.csv", PEOPLE, people)
        self._write("credits.csv", CREDITS, (row for one in records for row in one.credits))
        self._write("refused.csv", REFUSED, _refused_rows(records))
        self._write("doubtful.csv", DOUBTFUL, self._merged_doubts(records))

    def _merged_doubts(self, records: Sequence[PersonRecord]) -> Iterator[Mapping[str, str]]:
        """Yield the doubts, with decisions kept; rows that were decided stay, so that they are found again."""
        before = self._doubtful_rows()
        decided = {
            (row.get("label", ""), row.get("item", "")): row for row in before if row.get("decision", "").strip()
        }
        fresh = {(row["label"], row["item"]): row for one in records for row in one.doubtful}
        for key, row in fresh.items():
            yield {**row, "decision": decided.get(key, {}).get("decision", "")}
        known = {one.label for one in records}
        for row in before:
            key = (row.get("label", ""), row.get("item", ""))
            if key not in fresh and (key in decided or key[0] not in known):
                yield row

    def _doubtful_rows(self) -> list[dict[str, str]]:
        try:
            text = self.doubtful_file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.doubtful_file} cannot be read ({error}): save it as UTF-8.") from error
        dialect = (
            "excel" if text.partition("\n")[0].count(",") >= text.partition("\n")[0].count(";") else "excel-semicolon"
        )
        delimiter = "," if dialect == "excel" else ";"
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
        missing = [name for name in ("label", "decision", "item") if rows and name not in rows[0]]
        if missing:
            raise ConfigError(f"{self.doubtful_file} has no column {missing[0]!r}: its first line must be as it was.")
        return [{name: row.get(name) or "" for name in DOUBTFUL} for row in rows]

    def _write(self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
        text = table_text(columns, ([row.get(column, "") for column in columns] for row in rows))
        write_whole(self._folder / name, text.encode("utf-8", "replace"))

    def _path(self, label: str) -> Path:
        readable = "".join(letter for letter in label if letter.isalnum() or letter in "_-")[:60]
        return self._people / f"{readable}-{sha256(label.encode()).hexdigest()[:10]}.json"


def doubtful_rows(label: str, doubt: Doubt) -> list[dict[str, str]]:
    """Return the rows of a doubt for ``doubtful.csv``; one without an item where nobody is considered."""
    return [
        {
            "label": label,
            "item": item.item_id,
            "name": cell(item.names[0] if item.names else ""),
            "description": cell(item.description),
            "born": _born(item),
            "page": f"https://www.wikidata.org/wiki/{item.item_id}",
            "why": cell(plain(doubt.why)),
        }
        for item in doubt.candidates
    ]


def _born(item: Item) -> str:
    if item.born is None:
        return ""
    first, last = item.born.earliest, item.born.latest
    return (
        first.isoformat()
        if first == last
        else f"{first.year}"
        if first.year == last.year
        else f"{first.year}/{last.year}"
    )


def _decision(row: Mapping[str, str], path: Path) -> str | None:
    """Return the item decided upon, ``"no"``, or None where the row is open."""
    written = row.get("decision", "").strip()
    if not written:
        return None
    if written.lower() in _YES:
        written = row.get("item", "").strip()
    if written.lower() in _NO:
        return "no"
    if not is_item_id(written.upper()):
        raise ConfigError(
            f"{path}: the decision {written[:40]!r} for {row.get('label')} is none: write yes, no or an id, Q…"
        )
    return written.upper()


def _refused_rows(records: Iterable[PersonRecord]) -> Iterator[Mapping[str, str]]:
    for one in records:
        if one.status == "refused":
            yield {"label": one.label, "item": one.item, "why": one.why}
        yield from one.refused


def describe(error: AnnotatorError) -> str:
    """Return the message of an error as one line without its full stop."""
    return " ".join(str(error).split()).rstrip(".")[:300]
