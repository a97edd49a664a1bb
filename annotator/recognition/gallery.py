"""Whom tracks are compared with: the people of a bundle and those whom the user has added.

Everything is one prototype per person; photographs of enrolled people pass the bundle's projection, if it has one.
Adding, merging or leaving out people makes another labelling of the same tracks, so all of it is in the digest; a
corrected name is not: names live in one table and rows hold ids.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.errors import ConfigError, ModelError
from annotator.recognition.bundle import ModelBundle
from annotator.types import F32, I64, Identity, frozen_array

_DIGEST_CHARS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledPerson:
    """A person whom the user has added.

    Attributes:
        identity: who; the name of a person of the bundle adds photographs to that person.
        embeddings: f32 (n, D), unit norm, one for each photograph, n > 0.
        embedder: the network that made them.

    """

    identity: Identity
    embeddings: F32
    embedder: str

    def __post_init__(self) -> None:
        """Check and freeze."""
        object.__setattr__(self, "embeddings", frozen_array("embeddings", self.embeddings, np.float32, ("n", "D")))
        if not len(self.embeddings):
            raise ValueError(f"{self.identity.name} is enrolled without a photograph")


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Prototypes of people, and what their scores are taken from.

    Attributes:
        bundle: gives calibration, centre and cohort, which adding people does not change: their scores must not move
            because a stranger to them was enrolled, and thresholds were calibrated with this cohort.
        identities: the people, unique names.
        prototypes: f32 (P, E), unit norm.
        photo_counts: i64 (P,), photographs behind each prototype.
        own_column: i64 (P,), the person's place in the bundle; P_bundle for one who is not in it.
        digest: sha256 over all that decides a label; names aside.
        model: ``"starter@1"``, or ``"starter@1+1a2b3c4d"`` where people were added, merged or left out.

    """

    bundle: ModelBundle
    identities: tuple[Identity, ...]
    prototypes: F32
    photo_counts: I64
    own_column: I64
    digest: str
    model: str

    @classmethod
    def from_bundle(
        cls,
        bundle: ModelBundle,
        *,
        enrolled: Sequence[EnrolledPerson] = (),
        renames: Mapping[str, str] | None = None,
        merges: Mapping[str, str] | None = None,
        removed: Collection[str] = (),
    ) -> "Gallery":
        """Put a gallery together.

        ``merges`` and ``removed`` go by the names that bundle and enrolled people carry; ``renames`` comes last.

        Args:
            bundle: the bundle.
            enrolled: people whom the user has added, in any order.
            renames: new name by old name; unknown old names are ignored.
            merges: name of the person who stays by name of the person who goes; chains are followed.
            removed: names of people to leave out.

        Raises:
            ConfigError: merges run in a circle, or two people would carry one name.
            ModelError: enrolled embeddings are of another network than the bundle's.

        """
        merges = dict(merges or {})
        people = _collect(bundle, enrolled, merges, frozenset(removed))
        names = _renamed([person.identity for person in people], renames or {})
        change = _change_digest(enrolled, merges, removed)
        digest = hashlib.sha256(f"{bundle.digest} {change}".encode()).hexdigest()
        prototypes = np.zeros((len(people), bundle.mean.shape[0]), np.float32)
        for index, person in enumerate(people):
            prototypes[index] = person.total / np.linalg.norm(person.total)
        prototypes.flags.writeable = False
        return cls(
            bundle=bundle,
            identities=tuple(names),
            prototypes=prototypes,
            photo_counts=np.array([person.photographs for person in people], np.int64),
            own_column=np.array([person.column for person in people], np.int64),
            digest=digest,
            model=f"{bundle.model}+{change[:_DIGEST_CHARS]}" if change else bundle.model,
        )

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self.identities)

    @property
    def embedder(self) -> str:
        """The network whose embeddings can be compared with this gallery."""
        return self.bundle.embedder

    def check_embedder(self, network_id: str) -> None:
        """Check that embeddings can be compared with the gallery.

        Raises:
            ModelError: they are of another network.

        """
        if network_id != self.embedder:
            raise ModelError(
                f"the model {self.model} was made with {self.embedder} and cannot name embeddings of {network_id}: "
                "use the embedder of the model, or a model of the embedder"
            )


@dataclass(slots=True)
class _Person:
    identity: Identity
    total: NDArray[np.float64]
    photographs: int
    column: int


def _collect(
    bundle: ModelBundle, enrolled: Sequence[EnrolledPerson], merges: Mapping[str, str], removed: frozenset[str]
) -> list[_Person]:
    """Sum up everybody's embeddings; a mean of the bundle counts once for each of its photographs."""
    nobody = len(bundle.identities)
    people: dict[str, _Person] = {}
    rows = [
        _Person(identity, bundle.prototypes[index].astype(np.float64) * count, int(count), index)
        for index, (identity, count) in enumerate(zip(bundle.identities, bundle.photo_counts, strict=True))
    ]
    for person in sorted(enrolled, key=lambda person: (person.identity.name, person.embeddings.tobytes())):
        if person.embedder != bundle.embedder or person.embeddings.shape[1] != bundle.embedding_size:
            raise ModelError(
                f"{person.identity.name} was enrolled with {person.embedder}, the model uses {bundle.embedder}: "
                "enroll the photographs again"
            )
        total = bundle.comparable(person.embeddings.astype(np.float64)).sum(axis=0)
        rows.append(_Person(person.identity, total, len(person.embeddings), nobody))
    # Whoever stays comes first, so that the name and id that stay are the survivor's own.
    for row in sorted(rows, key=lambda row: row.identity.name in merges):
        name = _survivor(row.identity.name, merges)
        if row.identity.name in removed or name in removed:
            continue
        if name not in people:
            row.identity = Identity(name, row.identity.kg_mid)
            people[name] = row
            continue
        kept = people[name]
        kept.total = kept.total + row.total
        kept.photographs += row.photographs
        kept.column = min(kept.column, row.column)
        kept.identity = Identity(name, kept.identity.kg_mid or row.identity.kg_mid)
    return list(people.values())


def _survivor(name: str, merges: Mapping[str, str]) -> str:
    seen = {name}
    while name in merges:
        name = merges[name]
        if name in seen:
            raise ConfigError(f"the merges of identities run in a circle at {name!r}: undo one of them")
        seen.add(name)
    return name


def _renamed(identities: Sequence[Identity], renames: Mapping[str, str]) -> list[Identity]:
    renamed = [Identity(renames.get(person.name, person.name), person.kg_mid) for person in identities]
    if len({person.name for person in renamed}) < len(renamed):
        names = [person.name for person in renamed]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"two people of the gallery would be called {twice!r}: merge them, or choose another name")
    return renamed


def _change_digest(enrolled: Sequence[EnrolledPerson], merges: Mapping[str, str], removed: Collection[str]) -> str:
    """Return the digest of what makes a gallery differ from its bundle; empty where nothing does."""
    if not (enrolled or merges or removed):
        return ""
    digest = hashlib.sha256()
    parts = sorted([person.identity.name.encode() + b"\0" + person.embeddings.tobytes() for person in enrolled])
    parts += [f"{name}\0{survivor}".encode() for name, survivor in sorted(merges.items())]
    parts += [name.encode() for name in sorted(set(removed))]
    for kind, part in zip(
        [b"e"] * len(enrolled) + [b"m"] * len(merges) + [b"r"] * len(set(removed)), parts, strict=True
    ):
        digest.update(kind + hashlib.sha256(part).digest())
    return digest.hexdigest()
