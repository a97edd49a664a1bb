"""People who must not be recognised, without a list of their names.

A revocation list holds salted hashes of names and Knowledge Graph ids. Whoever holds the list cannot read it off, but
can test a name that he already has in mind: it keeps the list from being a directory, not from being guessed.
"""

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotator.appearing import appearing_file
from annotator.errors import ConfigError, ModelError
from annotator.types import Identity

MAX_LIST_BYTES: Final = 16 * 1024 * 1024

_SALT_BYTES: Final = 16
_HASH_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Salted hashes of people.

    Attributes:
        salt: hexadecimal, drawn once for a list.
        hashes: sha256 of salt and name, or salt and Knowledge Graph id; hexadecimal.

    """

    salt: str
    hashes: frozenset[str] = frozenset()

    def covers(self, identity: Identity) -> bool:
        """Return whether a person is on the list, by name (case, accents and spacing aside) or by id."""
        return any(self._hash(key) in self.hashes for key in _keys(identity))

    def extended(self, people: Iterable[Identity]) -> "RevocationList":
        """Return a list that holds these people too."""
        more = {self._hash(key) for person in people for key in _keys(person)}
        return RevocationList(self.salt, self.hashes | more)

    def to_json(self) -> str:
        """Return the text of a ``revoked.json``."""
        return json.dumps({"salt": self.salt, "sha256": sorted(self.hashes)}, indent=1) + "\n"

    def _hash(self, key: str) -> str:
        return hashlib.sha256(f"{self.salt}\n{key}".encode()).hexdigest()


def new_revocation_list() -> RevocationList:
    """Return an empty list with a salt of its own."""
    return RevocationList(secrets.token_hex(_SALT_BYTES))


def parse_revocation_list(text: str, *, where: str) -> RevocationList:
    """Read the text of a ``revoked.json``.

    Args:
        text: of the file.
        where: what messages call it.

    Raises:
        ModelError: it is not such a list. An unreadable list never counts as an empty one.

    """
    try:
        value = json.loads(text)
        salt, hashes = value["salt"], value["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{where} is no revocation list: it must hold a salt and a list sha256") from error
    is_list = isinstance(salt, str) and isinstance(hashes, list)
    if not is_list or not all(isinstance(item, str) and len(item) == _HASH_CHARS for item in hashes):
        raise ModelError(f"{where} is no revocation list: its hashes must be sha256, hexadecimal")
    return RevocationList(salt, frozenset(hashes))


def read_revocation_list(path: Path) -> RevocationList:
    """Read a user's own revocation list.

    Raises:
        ConfigError: there is no such file, or it is too large.
        ModelError: it is not such a list.

    """
    if not path.is_file() or path.stat().st_size > MAX_LIST_BYTES:
        raise ConfigError(f"the revocation list {path} is not there or is larger than {MAX_LIST_BYTES} bytes")
    return parse_revocation_list(path.read_text(encoding="utf-8", errors="replace"), where=str(path))


def revoke(path: Path, people: Sequence[Identity]) -> None:
    """Add people to a user's own revocation list; make the list if there is none.

    Raises:
        ModelError: the file is there but is no such list.
        LocalDiskError: it cannot be written; the list is what it was.

    """
    present = read_revocation_list(path) if path.exists() else new_revocation_list()
    with appearing_file(path) as file:
        file.write(present.extended(people).to_json().encode())


def _keys(identity: Identity) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", identity.name)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    keys = ["name " + " ".join(plain.casefold().split())]
    return [*keys, f"kg {identity.kg_mid}"] if identity.kg_mid else keys
