"""Whose faces ``annotator annotate --redact`` hides."""

from collections.abc import Collection, Sequence
from typing import Final

from annotator.errors import IdentityError
from annotator.render.redaction import Redaction
from annotator.store.identities import find_identities, load_identity, name_key
from annotator.store.store import Store
from annotator.types import Identity

UNKNOWN: Final = "unknown"
ALL: Final = "all"


def chosen_redaction(wishes: Sequence[str], *, known: Collection[Identity], store: Store | None) -> Redaction:
    """Return whose faces are hidden.

    A name that may mean several people hides all of them: better one face too many than one too few.

    Args:
        wishes: names, aliases, ``"unknown"``, ``"all"``.
        known: the people of the model.
        store: knows aliases and everybody whom tracks were said to be; None leaves it at the model's people.

    Raises:
        IdentityError: nobody has such a name. A misspelled one would hide nobody.

    """
    names: set[str] = set()
    for wish in wishes:
        if wish not in {UNKNOWN, ALL}:
            names |= _names_of(wish, known) if store is None else _stored_names_of(wish, store)
    return Redaction(frozenset(names), hides_unknown=UNKNOWN in wishes, hides_all=ALL in wishes)


def _names_of(wish: str, known: Collection[Identity]) -> set[str]:
    found = {one.name for one in known if name_key(one.name) == name_key(wish)}
    if not found:
        raise IdentityError(
            f"the model knows nobody called {wish!r}: nothing was drawn; write the name anew", name=wish
        )
    return found


def _stored_names_of(wish: str, store: Store) -> set[str]:
    with store.reading() as connection:
        return {load_identity(connection, one).name for one in find_identities(connection, wish)}
