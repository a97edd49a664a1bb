"""People at Wikidata.

- Items by Knowledge Graph id: ``list=search`` with ``haswbstatement:P646=/m/…`` (Freebase id) or ``P2671=/g/…`` (Google
  Knowledge Graph id); several are joined by ``|`` (https://www.mediawiki.org/wiki/Help:Extension:WikibaseCirrusSearch).
- Items by name: ``wbsearchentities``. Facts: ``wbgetentities``, which follows merged items and says so in ``redirects``
  (https://www.wikidata.org/w/api.php?action=help&modules=wbgetentities); the shape is documented at
  https://doc.wikimedia.org/Wikibase/master/php/docs_topics_json.html. Names are under ``en`` or, for names that are the
  same in many languages, ``mul``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from annotator.errors import MediaTooLargeError
from trainer.collect.client import PoliteClient
from trainer.collect.dates import Stretch, of_wikibase
from trainer.collect.shapes import as_list, as_map, as_text, plain

HUMAN: Final = "Q5"
ITEMS_PER_REQUEST: Final = 10
"""An item about a famous person has up to a megabyte; the service would give 50 at a time."""

_SEARCH_CHARS: Final = 250  # the search takes 300
_NAMESAKES: Final = 10
_ITEM_ID: Final = re.compile(r"Q[1-9]\d{0,9}")
_MAX_ITEM: Final = 2**31 - 1  # of Wikibase; it refuses a whole question for the sake of one id that cannot be
_KG_ID: Final = re.compile(r"/[mg]/[0-9a-z_]{1,40}")
_KG_PROPERTIES: Final = {"/m/": "P646", "/g/": "P2671"}


@dataclass(frozen=True, slots=True)
class Item:
    """What Wikidata says of somebody.

    Attributes:
        item_id: e.g. ``"Q6060"``, after merges.
        names: label first, then other names, as far as they are given.
        description: in English.
        is_human: whether it is an instance of «human».
        born: day, month or year of birth; None where unknown or vague.
        has_occupation: whether any is given.
        kg_ids: Knowledge Graph ids.
        pictures: file names of its pictures, without ``File:``.
        category: of Wikimedia Commons, without ``Category:``; None where there is none.

    """

    item_id: str
    names: tuple[str, ...]
    description: str
    is_human: bool
    born: Stretch | None
    has_occupation: bool
    kg_ids: frozenset[str]
    pictures: tuple[str, ...]
    category: str | None


def is_item_id(text: str) -> bool:
    """Return whether a text is the id of an item."""
    return _ITEM_ID.fullmatch(text) is not None and int(text[1:]) <= _MAX_ITEM


class Wikidata:
    """Looks people up."""

    def __init__(self, client: PoliteClient) -> None:
        """Take what asks."""
        self._client = client

    def find_by_kg_ids(self, kg_ids: Iterable[str]) -> Mapping[str, Sequence[Item]]:
        """Return the items of Knowledge Graph ids; an id that no item has, has an empty list.

        Raises:
            SourceUnavailableError: the service does not answer.

        """
        wanted = sorted({kg_id for kg_id in kg_ids if _KG_ID.fullmatch(kg_id)})
        found: list[str] = []
        for question in _questions(wanted):
            answer = self._ask(
                {
                    "action": "query",
                    "list": "search",
                    "srsearch": question,
                    "srlimit": 50,
                    "srnamespace": 0,
                    "srprop": "",
                }
            )
            rows = as_list(as_map(answer.get("query")).get("search"))
            found += [title for row in rows if is_item_id(title := as_text(as_map(row).get("title")))]
        items = {item.item_id: item for item in self.items(found).values()}
        return {kg_id: [item for item in items.values() if kg_id in item.kg_ids] for kg_id in wanted}

    def find_by_name(self, name: str) -> Sequence[Item]:
        """Return the items that have a name, or begin with it, likeliest first.

        Raises:
            SourceUnavailableError: the service does not answer.

        """
        answer = self._ask(
            {"action": "wbsearchentities", "search": name, "language": "en", "type": "item", "limit": _NAMESAKES}
        )
        rows = as_list(answer.get("search"))
        found = [item_id for row in rows if is_item_id(item_id := as_text(as_map(row).get("id")))]
        items = self.items(found)
        return list({items[one].item_id: items[one] for one in found if one in items}.values())

    def items(self, item_ids: Iterable[str]) -> Mapping[str, Item]:
        """Return items by the ids asked for, merged ones under both; what is not there is left out.

        Raises:
            SourceUnavailableError: the service does not answer.

        """
        wanted = sorted({one for one in item_ids if is_item_id(one)})
        items: dict[str, Item] = {}
        for start in range(0, len(wanted), ITEMS_PER_REQUEST):
            for key, entity in self._entities(wanted[start : start + ITEMS_PER_REQUEST]).items():
                item = _item(as_map(entity))
                if item is not None:
                    former = as_text(as_map(as_map(entity).get("redirects")).get("from"))
                    items |= {one: item for one in (key, former, item.item_id) if is_item_id(one)}
        return items

    def _entities(self, item_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what is said of some items; one by one where it is too much at once."""
        question: dict[str, str | int] = {
            "action": "wbgetentities",
            "ids": "|".join(item_ids),
            "props": "labels|aliases|descriptions|claims|sitelinks",
            "languages": "en|mul",
            "languagefallback": 1,
            "sitefilter": "commonswiki",
            "redirects": "yes",
        }
        try:
            return as_map(self._ask(question).get("entities"))
        except MediaTooLargeError:
            if len(item_ids) == 1:
                return {}
            return {key: value for one in item_ids for key, value in self._entities([one]).items()}

    def _ask(self, parameters: Mapping[str, str | int]) -> Mapping[str, Any]:
        return self._client.ask(self._client.services.wikidata_api, parameters)


def _questions(kg_ids: Sequence[str]) -> Iterator[str]:
    """Yield searches for a few ids each."""
    question = ""
    for kg_id in kg_ids:
        statement = f"{_KG_PROPERTIES[kg_id[:3]]}={kg_id}"
        if len(question) + len(statement) + 1 > _SEARCH_CHARS:
            yield question
            question = ""
        question = f"{question}|{statement}" if question else f"haswbstatement:{statement}"
    if question:
        yield question


def _item(entity: Mapping[str, Any]) -> Item | None:
    item_id = as_text(entity.get("id"))
    if not is_item_id(item_id) or "missing" in entity:
        return None
    claims = as_map(entity.get("claims"))
    names = [plain(as_map(label).get("value")) for label in as_map(entity.get("labels")).values()]
    for aliases in as_map(entity.get("aliases")).values():
        names += [plain(as_map(alias).get("value")) for alias in as_list(aliases)]
    times = [of_wikibase(as_map(value)) for value in _values(claims, "P569")]
    return Item(
        item_id=item_id,
        names=tuple(dict.fromkeys(filter(None, names))),
        description=plain(as_map(as_map(entity.get("descriptions")).get("en")).get("value"))[:250],
        is_human=HUMAN in {as_text(as_map(value).get("id")) for value in _values(claims, "P31")},
        born=_born(times),
        has_occupation=bool(_values(claims, "P106")),
        kg_ids=frozenset(as_text(value) for key in _KG_PROPERTIES.values() for value in _values(claims, key)),
        pictures=tuple(dict.fromkeys(filter(None, map(as_text, _values(claims, "P18"))))),
        category=_category(entity, claims),
    )


def _born(times: Sequence[Stretch | None]) -> Stretch | None:
    """Return a stretch that holds all dates of birth that are given; None where one is vague."""
    known = [one for one in times if one is not None]
    if not known or len(known) < len(times):
        return None
    return Stretch(min(one.earliest for one in known), max(one.latest for one in known))


def _category(entity: Mapping[str, Any], claims: Mapping[str, Any]) -> str | None:
    given = [as_text(value) for value in _values(claims, "P373")]
    title = as_text(as_map(as_map(entity.get("sitelinks")).get("commonswiki")).get("title"))
    if title.startswith("Category:"):
        given.append(title.removeprefix("Category:"))
    return next((plain(one) for one in given if plain(one)), None)


def _values(claims: Mapping[str, Any], key: str) -> list[object]:
    """Return the values of a property: the preferred ones where there are any, never the deprecated ones."""
    by_rank: dict[str, list[object]] = {"preferred": [], "normal": []}
    for claim in as_list(claims.get(key)):
        snak = as_map(as_map(claim).get("mainsnak"))
        value = as_map(snak.get("datavalue")).get("value")
        rank = as_text(as_map(claim).get("rank"))
        if snak.get("snaktype") == "value" and value is not None and rank in by_rank:
            by_rank[rank].append(value)
    return by_rank["preferred"] or by_rank["normal"]
