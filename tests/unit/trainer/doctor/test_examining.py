from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from annotator.types import F32, Identity
from trainer.dataset.findings import Content, FoundFace
from trainer.dataset.hashing import Appearance
from trainer.doctor.examining import Case, examine
from trainer.doctor.findings import Diagnosis, Finding
from trainer.doctor.folders import person_folders
from trainer.labels import Label, LabelTable


def direction(seed: int) -> F32:
    vector = np.random.default_rng(seed).normal(size=128)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass
class Folders:
    """Photographs that are made up: each has a look of its own and one face, unless it is said otherwise."""

    contents: dict[str, Content] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)

    def person(self, name: str, seed: int, count: int = 6, *, has_label: bool = True) -> "Folders":
        for number in range(count):
            self.photograph(f"{name}/{number}.jpg", seed)
        if has_label:
            self.labels.append(name)
        return self

    def photograph(self, path: str, *people: int, look: int | None = None) -> None:
        seed = 5000 + len(self.contents)
        rng = np.random.default_rng(seed if look is None else look)
        hashes = [int(value) for value in rng.integers(0, 2**63, 2)]
        sketch = rng.integers(0, 255, (16, 16), np.uint8)
        faces = tuple(self._face(person, seed, number) for number, person in enumerate(people))
        self.contents[path] = Content(f"{seed:064x}", (640, 480), Appearance(*hashes, sketch), faces)

    def _face(self, person: int, seed: int, number: int) -> FoundFace:
        mixed = direction(person) + 0.65 * direction(seed + 17 * number)
        embedding = (mixed / np.linalg.norm(mixed)).astype(np.float32)
        return FoundFace(number, 0.99, 90.0, np.zeros(4, np.float32), np.zeros((5, 2), np.float32), embedding)

    def examined(self, *other: Finding, accepted: Container[str] = ()) -> Diagnosis:
        table = LabelTable(
            Path("labels.csv"),
            tuple(Label(name, Identity(name), index, index + 2) for index, name in enumerate(self.labels)),
        )
        names = sorted({path.split("/")[0] for path in self.contents})
        return examine(Case("example", table, person_folders(names, self.contents, table), other), accepted=accepted)


def of_kind(diagnosis: Diagnosis, kind: str) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.kind == kind]


def test_people_in_order_have_no_findings() -> None:
    diagnosis = Folders().person("A", 1).person("B", 2).examined()
    assert diagnosis.findings == ()
    assert [(person.name, person.photographs, person.usable) for person in diagnosis.people] == [
        ("A", 6, 6),
        ("B", 6, 6),
    ]


def test_a_photograph_of_somebody_else_is_found_and_the_name_of_who_it_is_told() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/wrong.jpg", 2)
    folders.photograph("B/stranger.jpg", 3)
    wrong, stranger = of_kind(folders.examined(), "wrong_person")
    assert wrong.aside == ("raw_dataset/A/wrong.jpg",)
    assert "it looks like B" in wrong.what
    assert stranger.aside == ("raw_dataset/B/stranger.jpg",)
    assert "looks like" not in stranger.what


def test_another_person_who_comes_in_numbers_is_found_photograph_by_photograph() -> None:
    folders = Folders().person("A", 1, 12).person("B", 2, 12)
    for number in range(10):
        folders.photograph(f"A/wrong{number}.jpg", 9)
    found = of_kind(folders.examined(), "wrong_person")
    assert {path for finding in found for path in finding.aside} == {f"raw_dataset/A/wrong{n}.jpg" for n in range(10)}


def test_of_two_photographs_that_disagree_none_is_moved() -> None:
    folders = Folders().person("A", 1, 1).person("B", 2)
    folders.photograph("A/other.jpg", 3)
    found = of_kind(folders.examined(), "wrong_person")
    assert len(found) == 2
    assert all(finding.aside == () for finding in found)


def test_two_folders_of_one_person_are_found_by_the_faces_and_by_the_spelling() -> None:
    diagnosis = (
        Folders().person("Puff_Daddy", 1).person("Diddy", 1).person("Beyoncé", 2).person("Beyonce", 3).examined()
    )
    assert [finding.people for finding in of_kind(diagnosis, "two_names")] == [
        ("Beyonce", "Beyoncé"),
        ("Diddy", "Puff_Daddy"),
    ]


def test_a_photograph_that_is_there_twice_is_kept_once() -> None:
    folders = Folders().person("A", 1)
    for name in ("A/x.jpg", "A/y.jpg", "A/z.jpg"):
        folders.photograph(name, 1, look=77)
    (finding,) = of_kind(folders.examined(), "duplicate")
    assert finding.aside == ("raw_dataset/A/y.jpg", "raw_dataset/A/z.jpg")
    assert folders.examined().people[0].usable == 7


def test_one_photograph_in_two_folders_is_wrong_where_it_is_the_same_face_and_right_for_a_couple() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/couple.jpg", 1, 2, look=77)
    folders.photograph("B/couple.jpg", 1, 2, look=77)
    assert folders.examined().findings == ()
    folders.photograph("A/alone.jpg", 2, look=78)
    folders.photograph("B/alone.jpg", 2, look=78)
    folders.contents["B/alone.jpg"] = folders.contents["A/alone.jpg"]
    (finding,) = of_kind(folders.examined(), "duplicate_between")
    assert finding.aside == ("raw_dataset/A/alone.jpg",)


def test_labels_without_folders_and_folders_without_labels_are_found() -> None:
    folders = Folders().person("A", 1).person("B", 2, has_label=False)
    folders.labels.append("C")
    diagnosis = folders.examined()
    assert [finding.people for finding in of_kind(diagnosis, "label_without_folder")] == [("C",)]
    assert [finding.people for finding in of_kind(diagnosis, "folder_without_label")] == [("B",)]
    assert diagnosis.errors == ()


def test_too_few_photographs_no_face_and_imbalance_are_found() -> None:
    folders = Folders().person("A", 1, 2).person("B", 2, 25)
    folders.photograph("A/empty.jpg")
    diagnosis = folders.examined()
    assert [finding.people for finding in of_kind(diagnosis, "too_few")] == [("A",)]
    assert [finding.aside for finding in of_kind(diagnosis, "no_face")] == [("raw_dataset/A/empty.jpg",)]
    assert [finding.people for finding in of_kind(diagnosis, "imbalance")] == [("B", "A")]


def test_what_was_accepted_is_told_apart_counts_no_more_and_its_photograph_is_usable() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/in_profile.jpg", 3)
    (finding,) = folders.examined().findings
    diagnosis = folders.examined(accepted={finding.id})
    assert (diagnosis.findings, diagnosis.accepted, diagnosis.errors) == ((), (finding,), ())
    assert [person.usable for person in folders.examined().people] == [6, 6]
    assert [person.usable for person in diagnosis.people] == [7, 6]
    assert [one["id"] for one in diagnosis.facts()["accepted"]] == [finding.id]  # type: ignore[attr-defined]


def test_accepting_a_photograph_of_several_strangers_does_not_make_it_usable() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/crowd.jpg", 3, 4)
    (finding,) = folders.examined().findings
    diagnosis = folders.examined(accepted={finding.id})
    assert diagnosis.accepted == (finding,)
    assert diagnosis.people[0].usable == 6


def test_an_id_stays_when_a_photograph_is_renamed_and_does_not_when_it_is_another_or_another_persons() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/odd.jpg", 3)
    (before,) = folders.examined().findings
    odd = folders.contents["A/odd.jpg"]
    others = {path: content for path, content in folders.contents.items() if content is not odd}
    (renamed,) = Folders({**others, "A/renamed.jpg": odd}, folders.labels).examined().findings
    (moved,) = Folders({**others, "B/odd.jpg": odd}, folders.labels).examined().findings
    folders.photograph("A/odd.jpg", 4)
    (other,) = folders.examined().findings
    assert renamed.id == before.id
    assert len({before.id, moved.id, other.id}) == 3


def test_a_photograph_that_was_accepted_takes_part_in_the_search_for_duplicates() -> None:
    folders = Folders().person("A", 1).person("B", 2)
    folders.photograph("A/odd1.jpg", 3, look=77)
    folders.contents["A/odd2.jpg"] = folders.contents["A/odd1.jpg"]
    assert [finding.kind for finding in folders.examined().findings] == ["wrong_person", "wrong_person"]
    (finding,) = folders.examined(accepted={folders.examined().findings[0].id}).findings
    assert (finding.kind, finding.aside) == ("duplicate", ("raw_dataset/A/odd2.jpg",))


def test_what_is_a_fact_cannot_be_accepted() -> None:
    leak = Finding("leak", "one crop is on both sides")
    diagnosis = Folders().person("A", 1).examined(leak, accepted={leak.id})
    assert diagnosis.errors == (leak,)
    assert leak.facts()["id"] is None


def test_an_empty_experiment_and_what_was_found_elsewhere_are_told() -> None:
    diagnosis = Folders().examined(Finding("unreadable", "x.jpg: broken", aside=("raw_dataset/A/x.jpg",)))
    assert [finding.kind for finding in diagnosis.errors] == ["unreadable"]
    assert diagnosis.facts()["errors"] == 1
