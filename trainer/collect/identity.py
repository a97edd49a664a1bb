"""Who is meant by a label: one item of Wikidata for sure, or a doubt that a person decides.

1. By Knowledge Graph id, where the label has one: exactly one item has it, and that item bears the label's name.
2. Else by name: exactly one adult public figure bears it and no other human does; a description in brackets, «Jane Doe
   (tennis player)», must stand in the item's own. An item with another Knowledge Graph id than the label's is a doubt.
3. Everything else is listed in ``doubtful.csv`` and decided there.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from annotator.errors import InputError
from annotator.recognition.labels import parse_label
from trainer.collect.rules import folded, refused_person
from trainer.collect.wikidata import Item, Wikidata

_DESCRIBED: Final = re.compile(r"^(?P<name>.+?) \((?P<what>[^()]+)\)$")
_SMALL_WORDS: Final = frozenset({"a", "an", "and", "the", "of", "in", "from", "for", "or", "at"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody of the list.

    Attributes:
        label: as it stands in the list; the folder's name.
        name: the name alone.
        description: what stood in brackets behind the name; None where nothing did.
        kg_id: Knowledge Graph id, None where the label has none.

    """

    label: str
    name: str
    description: str | None
    kg_id: str | None

    @classmethod
    def of_label(cls, label: str) -> "Wanted":
        """Read a label.

        >>> Wanted.of_label("50_Cent_[m.01vvyc_]")
        Wanted(label='50_Cent_[m.01vvyc_]', name='50 Cent', description=None, kg_id='/m/01vvyc_')
        >>> Wanted.of_label("John_Smith_(painter)").description
        'painter'

        Raises:
            ModelError: it is no label.

        """
        person = parse_label(label)
        found = _DESCRIBED.match(person.name)
        if found:
            return cls(label, found["name"], found["what"], person.kg_mid)
        return cls(label, person.name, None, person.kg_mid)


@dataclass(frozen=True, slots=True)
class Match:
    """An item that is the person.

    Attributes:
        item: which.
        how: ``"Knowledge Graph id"``, ``"name"``, ``"name and description"`` or ``"decided"``.

    """

    item: Item
    how: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Items of which one, or none, is the person.

    Attributes:
        candidates: likeliest first.
        why: it is not clear.

    """

    candidates: tuple[Item, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Nobody:
    """No item is the person, or nothing may be collected of her.

    Attributes:
        why: in words.
        item_id: of the item that was found and refused; None where there is none.

    """

    why: str
    item_id: str | None = None


Finding = Match | Doubt | Nobody


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has written into ``doubtful.csv``.

    Attributes:
        item_id: the item that is the person; None where none of those listed is.

    """

    item_id: str | None


def identify(
    people: Sequence[Wanted], wikidata: Wikidata, *, decisions: Mapping[str, Decision], today: dt.date
) -> Mapping[str, Finding]:
    """Find some people; give a few dozen at a time, since their ids are asked together.

    Args:
        people: of the list.
        wikidata: looks up.
        decisions: of a person, by label; these go before everything.
        today: adults are adults today.

    Returns:
        A finding for each label.

    Raises:
        SourceUnavailableError: the service does not answer.

    """
    open_people = [one for one in people if one.label not in decisions]
    by_kg_id = wikidata.find_by_kg_ids(one.kg_id for one in open_people if one.kg_id)
    decided = [decisions[one.label].item_id for one in people if one.label in decisions]
    chosen = wikidata.items(item_id for item_id in decided if item_id)
    findings: dict[str, Finding] = {}
    for one in people:
        if one.label in decisions:
            finding = _decided(decisions[one.label], chosen)
        else:
            items = by_kg_id.get(one.kg_id or "", ())
            finding = _by_kg_id(one, items) if items else _look_for(one, wikidata, today)
        findings[one.label] = _if_allowed(finding, today)
    return findings


def bears_name(item: Item, name: str) -> bool:
    """Return whether an item has a name, accents, case, dots and hyphens aside."""
    return _key(name) in {_key(one) for one in item.names}


def _decided(decision: Decision, chosen: Mapping[str, Item]) -> Finding:
    if decision.item_id is None:
        return Nobody("decided in doubtful.csv: none of them")
    item = chosen.get(decision.item_id)
    return Match(item, "decided") if item else Nobody("the item decided upon is not there", decision.item_id)


def _look_for(wanted: Wanted, wikidata: Wikidata, today: dt.date) -> Finding:
    try:
        return _by_name(wanted, wikidata.find_by_name(wanted.name), today)
    except InputError as error:  # about one name: it ends nobody else's search
        return Nobody(f"the search refuses the name: {error}")


def _by_kg_id(wanted: Wanted, items: Sequence[Item]) -> Finding:
    if len(items) > 1:
        return Doubt(tuple(items), f"{len(items)} items have the id {wanted.kg_id}")
    if not bears_name(items[0], wanted.name):
        called = items[0].names[0] if items[0].names else "nothing"
        return Doubt(tuple(items), f"the item with the id {wanted.kg_id} is called {called}")
    return Match(items[0], "Knowledge Graph id")


def _by_name(wanted: Wanted, found: Iterable[Item], today: dt.date) -> Finding:
    namesakes = [item for item in found if item.is_human and bears_name(item, wanted.name)]
    fitting = [item for item in namesakes if wanted.description is None or _is_described(item, wanted.description)]
    known = [item for item in fitting if refused_person(item, today) is None]
    if not namesakes:
        return Nobody("no human at Wikidata has this name")
    if len(fitting) == 1 and len(known) == 1:
        if wanted.kg_id and any(one.startswith(wanted.kg_id[:3]) for one in known[0].kg_ids):
            return Doubt((known[0],), f"the item has another Knowledge Graph id than {wanted.kg_id}")
        return Match(known[0], "name" if wanted.description is None else "name and description")
    if not fitting:
        return Doubt(tuple(namesakes), f"nobody of this name is described as «{wanted.description}»")
    if len(fitting) == 1:
        return Match(fitting[0], "name")  # the only one, about whom the rules say more
    others = [item for item in fitting if item not in known]
    return Doubt((*known, *others), f"{len(fitting)} people have this name")


def _if_allowed(finding: Finding, today: dt.date) -> Finding:
    """Refuse a match of whom nothing may be collected."""
    if isinstance(finding, Match):
        why = refused_person(finding.item, today)
        if why:
            return Nobody(why, finding.item.item_id)
    return finding


def _is_described(item: Item, description: str) -> bool:
    said = set(re.findall(r"\w+", folded(item.description)))
    return all(word in said for word in re.findall(r"\w+", folded(description)) if word not in _SMALL_WORDS)


def _key(name: str) -> str:
    return re.sub(r"[^\w]+", "", folded(name))
