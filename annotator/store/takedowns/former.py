"""What somebody was called before: names and ids that people have taken away, as the record of deeds has them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from annotator.recognition.tombstone import plain_name
from annotator.store.identities import name_key
from annotator.store.tables import identities, identity_aliases, web_audit

_NAMES: Final = {"renamed a person": ("former",), "added a name": ("alias",), "removed a name": ("alias",)}
_IDS: Final = {"changed a Knowledge Graph id": ("before", "now")}
"""Deeds whose subject is somebody, and which of their details are what this one is called."""


@dataclass(frozen=True, slots=True)
class WasCalled:
    """What somebody was called.

    Attributes:
        names: that the person has had, sorted.
        kg_mids: Knowledge Graph ids, sorted.

    """

    names: tuple[str, ...]
    kg_mids: tuple[str, ...]


def was_called(connection: Connection, names: Sequence[str], *, identity_ids: Collection[int]) -> WasCalled:
    """Return what the record says that somebody was called; what anybody else is called now is left out.

    Args:
        connection: any.
        names: of the person, as the database has them.
        identity_ids: of the person.

    """
    wanted = select(web_audit.c.action, web_audit.c.subject, web_audit.c.details)
    deeds = connection.execute(wanted.where(web_audit.c.action.in_([*_NAMES, *_IDS]))).all()
    told = [(plain_name(row.subject or ""), row.action, row.details or {}) for row in deeds]
    found: dict[str, str] = {}
    known = {plain_name(name) for name in names} - {""}
    while True:  # whoever was renamed twice has a name that only a former one leads to
        said = [
            details[key]
            for subject, action, details in told
            if subject in known
            for key in _NAMES.get(action, ())
            if isinstance(details.get(key), str)
        ]
        new = {plain_name(name): name for name in said if plain_name(name) not in {"", *known}}
        new = {plain: name for plain, name in new.items() if not _is_of_another(connection, name, identity_ids)}
        if not new:
            break
        known |= set(new)
        found |= new
    ids = {
        details[key]
        for subject, action, details in told
        if subject in known
        for key in _IDS.get(action, ())
        if isinstance(details.get(key), str)
    }
    held = select(identities.c.kg_mid).where(
        identities.c.kg_mid.in_(sorted(ids)), identities.c.id.not_in(sorted(identity_ids))
    )
    return WasCalled(tuple(sorted(found.values())), tuple(sorted(ids - set(connection.execute(held).scalars()))))


def _is_of_another(connection: Connection, name: str, identity_ids: Collection[int]) -> bool:
    """Say whether somebody else is called so now."""
    mine, key = sorted(identity_ids), name_key(name)
    here = select(identities.c.id).where(identities.c.name_key == key, identities.c.id.not_in(mine))
    there = select(identity_aliases.c.identity_id).where(
        identity_aliases.c.name_key == key, identity_aliases.c.identity_id.not_in(mine)
    )
    return connection.execute(here.union(there).limit(1)).first() is not None
