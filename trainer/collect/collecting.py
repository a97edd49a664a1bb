"""Go through the list: who it is, which files, which faces; write what becomes of everybody."""

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotator.appearing import remove_parts
from annotator.errors import InputError, SourceUnavailableError
from trainer.collect.client import CONNECTIONS, PoliteClient
from trainer.collect.commons import Commons, CommonsFile
from trainer.collect.faces import FoundFace, choose
from trainer.collect.forecast import Forecast
from trainer.collect.identity import Decision, Doubt, Finding, Match, Nobody, Wanted, identify
from trainer.collect.keeping import keep_picture, remove_former
from trainer.collect.ledger import Ledger, PersonRecord, describe, doubtful_rows
from trainer.collect.rules import refused_file
from trainer.collect.shapes import cell
from trainer.collect.wikidata import Item, Wikidata

PEOPLE_PER_BLOCK: Final = 30
"""People who are looked up together."""

MOST_PICTURES: Final = 50
_TABLES_EVERY_S: Final = 60.0
_MOST_FAILURES: Final = 2  # pictures of one person, before the rest is left for later
_MOST_BROKEN_PEOPLE: Final = 3  # in a row, before the run ends

Look = Callable[[Path], Sequence[FoundFace]]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be collected.

    Attributes:
        people: the list, and nobody else.
        raw_dataset: gets a folder for each person.
        most_pictures: fetched of one person.
        today: adults are adults today.
        is_refreshed: whether people who are through are collected again.

    """

    people: Sequence[Wanted]
    raw_dataset: Path
    most_pictures: int = MOST_PICTURES
    today: dt.date = field(default_factory=lambda: dt.datetime.now(dt.UTC).date())
    is_refreshed: bool = False


@dataclass(slots=True)
class _Pictures:
    """What came of the files of one person."""

    kept: dict[str, tuple[CommonsFile, Path]] = field(default_factory=dict)
    faces: dict[str, Sequence[FoundFace]] = field(default_factory=dict)
    refused: list[dict[str, str]] = field(default_factory=list)
    looked_at: int = 0
    trouble: str = ""


class Collector:
    """Collects for one experiment."""

    def __init__(
        self,
        order: Order,
        *,
        client: PoliteClient,
        ledger: Ledger,
        look: Look,
        on_person: Callable[[PersonRecord, Forecast], None] = lambda _record, _forecast: None,
    ) -> None:
        """Take what it needs.

        Args:
            order: what to collect.
            client: asks the services.
            ledger: keeps what became of everybody.
            look: returns the faces of a picture; raises ``InputError`` for what is none.
            on_person: told of each person who is through, with the forecast.

        """
        self._order = order
        self._client = client
        self._wikidata = Wikidata(client)
        self._commons = Commons(client)
        self._ledger = ledger
        self._look = look
        self._on_person = on_person
        self._labels_of: dict[str, str] = {}  # by item: nobody is collected under two labels

    def run(self) -> Forecast:
        """Collect everybody who is not through yet; tables are written whatever happens.

        Returns:
            How far it came.

        Raises:
            SourceUnavailableError: a service does not answer for several people in a row; start again later.
            LocalDiskError: the disk is full.
            ConfigError: ``doubtful.csv`` cannot be read.

        """
        labels = [one.label for one in self._order.people]
        decisions = self._ledger.decisions(labels)
        forecast = Forecast(len(labels))
        try:
            forecast = self._go_through(decisions, labels, forecast)
        finally:
            self._ledger.write_tables(labels)
        return forecast

    def _go_through(self, decisions: Mapping[str, Decision], labels: Sequence[str], forecast: Forecast) -> Forecast:
        left: list[Wanted] = []
        for one in self._order.people:
            record = self._ledger.read(one.label)
            if not self._order.is_refreshed and _is_through(record, decisions.get(one.label)):
                forecast = forecast.with_person(len(record.credits) if record else 0, None)
                if record is not None and record.status == "collected":
                    self._labels_of[record.item] = one.label
            else:
                left.append(one)
        broken = 0
        written_s = time.monotonic()
        for start in range(0, len(left), PEOPLE_PER_BLOCK):
            block = left[start : start + PEOPLE_PER_BLOCK]
            began_s = time.monotonic()
            findings = identify(block, self._wikidata, decisions=decisions, today=self._order.today)
            share_s = (time.monotonic() - began_s) / len(block)
            for one in block:
                began_s = time.monotonic()
                record = self._settle(one, findings[one.label], decisions.get(one.label))
                forecast = forecast.with_person(len(record.credits), share_s + time.monotonic() - began_s)
                self._on_person(record, forecast)
                broken = broken + 1 if record.status == "incomplete" else 0
                if broken >= _MOST_BROKEN_PEOPLE:
                    raise SourceUnavailableError(f"{record.why}; what is there is kept, start again later.")
                if time.monotonic() - written_s > _TABLES_EVERY_S:
                    self._ledger.write_tables(labels)
                    written_s = time.monotonic()
        return forecast

    def _settle(self, wanted: Wanted, finding: Finding, decision: Decision | None) -> PersonRecord:
        """Collect one person and keep what became of her."""
        how = _decided(decision) if decision else ""
        before = self._ledger.read(wanted.label)
        if isinstance(finding, Match):
            other = self._labels_of.setdefault(finding.item.item_id, wanted.label)
            if other != wanted.label:
                finding = Nobody(f"the same person as {other}", finding.item.item_id)
        if isinstance(finding, Doubt):
            record = PersonRecord(
                wanted.label, "doubtful", why=finding.why, doubtful=doubtful_rows(wanted.label, finding)
            )
        elif isinstance(finding, Nobody):
            record = PersonRecord(wanted.label, "refused", finding.item_id or "", how, finding.why)
        else:
            record = self._collect(wanted, finding.item, how or finding.how)
        self._ledger.write(record)
        remove_former(self._order.raw_dataset, before, record)
        return record

    def _collect(self, wanted: Wanted, item: Item, how: str) -> PersonRecord:
        pictures = _Pictures()
        try:
            self._fetch(wanted, item, pictures)
        except SourceUnavailableError as error:
            pictures.trouble = describe(error)
        first = next((title for title in pictures.faces if title.removeprefix("File:") in _titles(item)), None)
        choices = choose(pictures.faces, first=first)
        folder = self._order.raw_dataset / wanted.label
        remove_parts(folder)
        rows = []
        for title, choice in choices.items():
            file, path = pictures.kept[title]
            if choice.face is None:
                pictures.refused.append(_refused_row(wanted, item, file, choice.why or ""))
            else:
                rows.append({**keep_picture(folder, file, path=path, choice=choice), "item": item.item_id})
        return PersonRecord(
            wanted.label,
            "incomplete" if pictures.trouble else "collected",
            item.item_id,
            how,
            pictures.trouble,
            pictures.looked_at,
            rows,
            pictures.refused,
        )

    def _fetch(self, wanted: Wanted, item: Item, pictures: _Pictures) -> None:
        """Fetch what the rules let through and look at it."""
        wanted_files = self._allowed(wanted, item, pictures)
        failures = 0
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="pictures") as pool:
            under_way: list[tuple[CommonsFile, Future[Path]]] = []
            try:
                for file in wanted_files:
                    # One by one: what is under way must be known where the listing fails.
                    under_way.append((file, pool.submit(self._client.picture, file.picture_url)))  # noqa: PERF401
                for file, future in under_way:
                    try:
                        path = future.result()
                        pictures.faces[file.title] = self._look(path)
                        pictures.kept[file.title] = (file, path)
                    except InputError as error:
                        pictures.refused.append(_refused_row(wanted, item, file, describe(error)))
                    except SourceUnavailableError as error:
                        failures += 1
                        pictures.trouble = describe(error)
                        if failures >= _MOST_FAILURES:
                            raise
            except KeyboardInterrupt:
                self._client.close()  # or its waits would be waited for
                raise
            finally:
                for _, future in under_way:
                    future.cancel()

    def _allowed(self, wanted: Wanted, item: Item, pictures: _Pictures) -> Iterator[CommonsFile]:
        """Yield the files that the rules let through, as many as are wanted."""
        allowed = 0
        for file in self._listed(wanted, item, pictures):
            pictures.looked_at += 1
            why = refused_file(file, item, self._order.today)
            if why is not None:
                pictures.refused.append(_refused_row(wanted, item, file, why))
                continue
            yield file
            allowed += 1
            if allowed >= self._order.most_pictures:
                return

    def _listed(self, wanted: Wanted, item: Item, pictures: _Pictures) -> Iterator[CommonsFile]:
        """Yield the files of a person, up to a question that the service refuses, about her category for example."""
        try:
            yield from self._commons.files_of(item.category, item.pictures)
        except InputError as error:
            pictures.refused.append(_refused_row(wanted, item, None, describe(error)))


def _is_through(record: PersonRecord | None, decision: Decision | None) -> bool:
    if record is None or record.status in {"incomplete", "doubtful"}:
        return False
    return decision is None or record.how == _decided(decision)


def _decided(decision: Decision) -> str:
    return f"decided: {decision.item_id or 'nobody'}"


def _titles(item: Item) -> set[str]:
    """Return the titles of a person's pictures as Commons writes them: spaces, and a large first letter."""
    return {name[:1].upper() + name[1:].replace("_", " ") for name in item.pictures}


def _refused_row(wanted: Wanted, item: Item, file: CommonsFile | None, why: str) -> dict[str, str]:
    return {
        "label": wanted.label,
        "item": item.item_id,
        "title": cell(file.title) if file else "",
        "page": cell(file.page_url) if file else "",
        "why": cell(why),
    }
