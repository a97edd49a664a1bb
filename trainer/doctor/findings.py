"""What the doctor finds: kinds, how bad each is, and what can be moved aside."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

Severity = Literal["error", "warning"]

KINDS: Final[dict[str, tuple[Severity, str]]] = {
    "labels": ("error", "Lines of labels.csv that are wrong"),
    "unreadable": ("error", "Files that are no photograph, or are damaged"),
    "wrong_person": ("error", "Photographs of somebody else than the person of the folder"),
    "two_names": ("error", "Two folders that seem to show one person"),
    "duplicate_between": ("error", "One photograph in the folders of two people, with the same face"),
    "leak": ("error", "Near-duplicates in train_dataset and in val_dataset"),
    "label_without_folder": ("warning", "Labels that have no photographs"),
    "folder_without_label": ("warning", "Folders that labels.csv does not name"),
    "too_few": ("warning", "People with too few photographs that can be used"),
    "imbalance": ("warning", "People with far more photographs than others"),
    "duplicate": ("warning", "Photographs of one person that look the same"),
    "no_face": ("warning", "Photographs without a clear face"),
}
"""By kind: how bad it is, and a heading. In the order of a report."""

JUDGED: Final = frozenset(KINDS) - {"labels", "unreadable", "leak"}
"""Kinds of findings that a person may know better about, and accept."""

_ID_CHARS: Final = 12


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph that a finding is about.

    Attributes:
        path: within the experiment's folder.
        note: what stands below it in the report.
        box_xyxy: the face in question, pixels of the photograph; None where there is none.

    """

    path: str
    note: str = ""
    box_xyxy: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: one of ``KINDS``.
        what: a sentence without its full stop, with the remedy.
        people: folders or labels that are concerned.
        pictures: to look at, the one in question first.
        aside: paths within the experiment's folder that ``--fix`` moves aside.
        contents: sha256 of the photographs in question, whatever their names.

    """

    kind: str
    what: str
    people: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    aside: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.kind][0]

    @property
    def is_judged(self) -> bool:
        """Whether a person may know better, and accept it."""
        return self.kind in JUDGED

    @property
    def id(self) -> str:
        """By which it is accepted: the same as long as kind, people and contents of the photographs are."""
        about = (self.kind, *sorted(self.people), *sorted(self.contents))
        return sha256("\n".join(about).encode("utf-8", "surrogateescape")).hexdigest()[:_ID_CHARS]

    def facts(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "id": self.id if self.is_judged else None,
            "kind": self.kind,
            "severity": self.severity,
            "what": self.what,
            "people": list(self.people),
            "photographs": [picture.path for picture in self.pictures],
            "moved_aside_by_fix": list(self.aside),
        }


@dataclass(frozen=True, slots=True)
class Person:
    """How one person's photographs are.

    Attributes:
        name: of the folder.
        has_label: whether ``labels.csv`` names it.
        photographs: that can be read.
        usable: of them, with the person's face, near-duplicates counted once.
        agreement: mean cosine of the person's faces to the mean of the others; None for fewer than two.

    """

    name: str
    has_label: bool
    photographs: int
    usable: int
    agreement: float | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found.

    Attributes:
        experiment: its name.
        findings: in the order of ``KINDS``.
        people: by name of folder.
        accepted: what was found, too, and a person has found right as it is.

    """

    experiment: str
    findings: tuple[Finding, ...]
    people: tuple[Person, ...]
    accepted: tuple[Finding, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What must be put right before training."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def facts(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "experiment": self.experiment,
            "errors": len(self.errors),
            "warnings": len(self.findings) - len(self.errors),
            "people": [
                {
                    "name": person.name,
                    "has_label": person.has_label,
                    "photographs": person.photographs,
                    "usable": person.usable,
                    "agreement": None if person.agreement is None else round(person.agreement, 3),
                }
                for person in self.people
            ],
            "findings": [finding.facts() for finding in self.findings],
            "accepted": [finding.facts() for finding in self.accepted],
        }


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by kind, then people."""
    kinds = list(KINDS)
    return tuple(sorted(findings, key=lambda one: (kinds.index(one.kind), one.people)))
