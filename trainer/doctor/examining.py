"""Find what is wrong with the photographs of an experiment. Nothing here reads a file."""

import unicodedata
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from annotator.types import F32
from trainer.dataset.planning import Portrait, photograph_families
from trainer.doctor.findings import Diagnosis, Finding, Person, Picture, in_order
from trainer.doctor.folders import PersonFolder, chosen_face
from trainer.labels import LabelTable, person_key

SAME_PERSON: Final = 0.70
"""Cosine of two people's means from which they are taken for one. Relatives and look-alikes stay below."""

LOOKS_LIKE: Final = 0.45
"""Cosine of a face to somebody's mean from which that name is told; at 0.47, one stranger in a hundred has one."""

SAME_FACE: Final = 0.60
"""Cosine of two faces on near-duplicates of one photograph from which they are the same face of it."""

NEARER: Final = 0.15
"""By so much a face must be nearer to another person's mean than to its own, to be taken for that person's."""

MAX_IMBALANCE: Final = 10.0
"""Photographs of the person with most over those of the person with fewest."""

SHOWN_FOR_COMPARISON: Final = 4


@dataclass(frozen=True, slots=True)
class Case:
    """What the doctor looks at.

    Attributes:
        experiment: its name.
        labels: of the experiment.
        folders: of the raw dataset, sorted by name.
        other: what was found elsewhere: in labels.csv, unreadable files, leaks.
        min_photographs: how many usable ones a person should have.

    """

    experiment: str
    labels: LabelTable
    folders: Sequence[PersonFolder]
    other: Sequence[Finding] = ()
    min_photographs: int = 5


def examine(case: Case, *, accepted: Container[str] = ()) -> Diagnosis:
    """Find everything that is wrong.

    Args:
        case: what to look at.
        accepted: ids of findings that a person has found right: they are told apart, and their photographs count.

    """
    related = photograph_families([one for folder in case.folders for one in folder.portraits])
    family_of = {content: number for number, family in enumerate(related) for content in family.contents}
    wrong = list(_wrong_people(case.folders))
    kept = {(name, content) for one in wrong if one.id in accepted for name in one.people for content in one.contents}
    people = [_person(folder, family_of, kept) for folder in case.folders]
    taken = {path for finding in wrong if finding.id not in accepted for path in finding.aside}
    found = [
        *case.other,
        *_unmatched(case),
        *_without_face(case.folders),
        *wrong,
        *_two_names(case.folders),
        *_duplicates(case.folders, family_of, taken),
        *_numbers(people, case.min_photographs),
    ]
    right = [one for one in found if one.is_judged and one.id in accepted]
    left = [one for one in found if one not in right]
    return Diagnosis(case.experiment, in_order(left), tuple(people), in_order(right))


def raw_path(portrait: Portrait) -> str:
    """Return the path of a photograph within the experiment's folder."""
    return f"raw_dataset/{portrait.path}"


def picture_of(portrait: Portrait, note: str = "") -> Picture:
    """Return a photograph for the report, with the face that is taken for the person."""
    if portrait.choice.face is None:
        return Picture(raw_path(portrait), note)
    box = chosen_face(portrait).box_xyxy
    return Picture(raw_path(portrait), note, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))


def _person(folder: PersonFolder, family_of: dict[str, int], kept: set[tuple[str, str]]) -> Person:
    """Return how somebody's photographs are; of ``kept``, names and sha256, what shows one face is used."""
    right = [
        one
        for one, is_right in zip(folder.shown, folder.is_right, strict=True)
        if is_right or (one.choice.is_sure and (folder.name, one.content.sha256) in kept)
    ]
    usable = len({family_of[one.content.sha256] for one in right})
    return Person(folder.name, folder.label is not None, len(folder.portraits), usable, folder.agreement())


def _unmatched(case: Case) -> Iterator[Finding]:
    keys = {person_key(folder.name) for folder in case.folders}
    for label in case.labels.labels:
        if person_key(label.text) not in keys:
            what = f"{label.text} (line {label.line} of labels.csv) has no folder in raw_dataset: add photographs"
            yield Finding("label_without_folder", what, (label.text,))
    for folder in case.folders:
        if folder.label is None:
            what = f"{folder.name} is not named by labels.csv: add a line, or its photographs are not used"
            yield Finding("folder_without_label", what, (folder.name,))


def _without_face(folders: Sequence[PersonFolder]) -> Iterator[Finding]:
    for folder in folders:
        for portrait in folder.portraits:
            if portrait.choice.face is None:
                what = f"{portrait.path} shows no clear face: it is not used"
                path = raw_path(portrait)
                yield Finding(
                    "no_face",
                    what,
                    (folder.name,),
                    (Picture(path, portrait.path),),
                    (path,),
                    (portrait.content.sha256,),
                )


def _wrong_people(folders: Sequence[PersonFolder]) -> Iterator[Finding]:
    """Yield faces that do not agree with the person's others, and faces that agree far better with somebody else's."""
    means = (
        np.stack([folder.mean for folder in folders if len(folder.shown)]) if any(f.shown for f in folders) else None
    )
    names = [folder.name for folder in folders if len(folder.shown)]
    for folder in folders:
        rights = [one for one, is_right in zip(folder.shown, folder.is_right, strict=True) if is_right]
        for number, portrait in enumerate(folder.shown):
            if means is None:
                continue
            own, nearest, likeness = _compared(folder, number, means, names)
            is_right = folder.is_right[number]
            is_nearer = likeness >= max(LOOKS_LIKE, own + NEARER)
            if is_right and not is_nearer:
                continue
            guess = f"; it looks like {nearest} ({likeness:.2f})" if likeness >= LOOKS_LIKE else ""
            yield _wrong_person(folder, portrait, rights, f"similarity {own:.2f}{guess}")


def _compared(folder: PersonFolder, number: int, means: F32, names: Sequence[str]) -> tuple[float, str, float]:
    """Return a face's cosine to the mean of its person's others, who else is nearest, and the cosine to that mean."""
    face = folder.embeddings[number]
    others = folder.embeddings[[one for one, is_right in enumerate(folder.is_right) if is_right and one != number]]
    total = others.astype(np.float64).sum(axis=0)
    own = float(face @ total / max(float(np.linalg.norm(total)), 1e-12))
    cosines = means @ face
    cosines[names.index(folder.name)] = -1.0
    nearest = int(cosines.argmax())
    return own, names[nearest], float(cosines[nearest])


def _wrong_person(folder: PersonFolder, portrait: Portrait, rights: Sequence[Portrait], why: str) -> Finding:
    others = [one for one in rights if one is not portrait]
    for_comparison = sorted(others, key=lambda one: -(one.choice.agreement or 0.0))[:SHOWN_FOR_COMPARISON]
    pictures = (
        picture_of(portrait, f"{portrait.path}: {why}"),
        *(picture_of(one, one.path) for one in for_comparison),
    )
    aside: tuple[str, ...] = ()
    if len(folder.shown) == 1:
        what = f"{portrait.path} is the only photograph of {folder.name} ({why}): add some, or take it out"
    elif not for_comparison:  # the last two disagree: nobody can say which is right
        what = f"{portrait.path} and the other photographs of {folder.name} show different people: add some"
    else:
        what = f"{portrait.path} is unlike the other photographs of {folder.name} ({why}): take it out"
        aside = (raw_path(portrait),)
    return Finding("wrong_person", what, (folder.name,), pictures, aside, (portrait.content.sha256,))


def _two_names(folders: Sequence[PersonFolder]) -> Iterator[Finding]:
    spelt: dict[str, list[int]] = {}
    for number, folder in enumerate(folders):
        spelt.setdefault(_spelling(folder.name), []).append(number)
    pairs = {pair: "their names differ in spelling only" for alike in spelt.values() for pair in combinations(alike, 2)}
    shown = [number for number, folder in enumerate(folders) if any(folder.is_right)]
    means = np.stack([folders[number].mean for number in shown]) if shown else np.zeros((0, 1), np.float32)
    likeness = means @ means.T
    for first, second in np.argwhere(np.triu(likeness >= SAME_PERSON, k=1)).tolist():
        pairs.setdefault((shown[first], shown[second]), f"similarity {likeness[first, second]:.2f}")
    for (first, second), why in sorted(pairs.items()):
        one, other = folders[first], folders[second]
        what = f"{one.name} and {other.name} seem to be one person ({why}): put the photographs into one folder"
        pictures = [picture_of(portrait, portrait.path) for folder in (one, other) for portrait in folder.shown[:2]]
        yield Finding("two_names", what, (one.name, other.name), tuple(pictures))


def _spelling(name: str) -> str:
    """Return a name without case, accents, spaces and signs."""
    plain = unicodedata.normalize("NFKD", person_key(name)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _duplicates(folders: Sequence[PersonFolder], family_of: dict[str, int], taken: set[str]) -> Iterator[Finding]:
    """Yield near-duplicates within a folder, and those with the same face in two people's folders."""
    by_family: dict[int, list[Portrait]] = {}
    for folder in folders:
        for portrait in folder.portraits:
            by_family.setdefault(family_of[portrait.content.sha256], []).append(portrait)
    for members in by_family.values():
        people = sorted({portrait.label.text for portrait in members})
        for person in people:
            alike = [one for one in members if one.label.text == person and raw_path(one) not in taken]
            if len(alike) > 1:
                yield _within(person, sorted(alike, key=_best_first))
        for one, other in combinations(members, 2):
            if one.label.text != other.label.text and _is_same_face(one, other):
                right, wrong = sorted((one, other), key=lambda portrait: -(portrait.choice.agreement or 0.0))
                yield _between(right, wrong, taken)


def _within(person: str, alike: Sequence[Portrait]) -> Finding:
    best, *rest = alike
    what = f"{len(alike)} photographs of {person} look the same: {best.path} is enough"
    pictures = tuple(picture_of(one, one.path) for one in alike)
    contents = tuple(one.content.sha256 for one in alike)
    return Finding("duplicate", what, (person,), pictures, tuple(raw_path(one) for one in rest), contents)


def _between(right: Portrait, wrong: Portrait, taken: set[str]) -> Finding:
    agreements = [one.choice.agreement or 0.0 for one in (right, wrong)]
    what = (
        f"{wrong.path} shows the same face as {right.path} (similarity to {right.label.text} {agreements[0]:.2f}, to "
        f"{wrong.label.text} {agreements[1]:.2f}): keep it in one folder"
    )
    pictures = (picture_of(wrong, wrong.path), picture_of(right, right.path))
    aside = () if raw_path(right) in taken else (raw_path(wrong),)  # one of the two stays
    contents = (right.content.sha256, wrong.content.sha256)
    return Finding("duplicate_between", what, (right.label.text, wrong.label.text), pictures, aside, contents)


def _is_same_face(one: Portrait, other: Portrait) -> bool:
    if one.choice.face is None or other.choice.face is None:
        return False
    return float(chosen_face(one).embedding @ chosen_face(other).embedding) >= SAME_FACE


def _best_first(portrait: Portrait) -> tuple[float, str]:
    """Sort by the size of the face, largest first, then by path."""
    return (0.0 if portrait.choice.face is None else -chosen_face(portrait).face_px, portrait.path)


def _numbers(people: Sequence[Person], min_photographs: int) -> Iterator[Finding]:
    for person in people:
        if person.usable < min_photographs:
            what = f"{person.name} has {person.usable} photographs that can be used: {min_photographs} are wanted"
            yield Finding("too_few", what, (person.name,))
    some = sorted((one for one in people if one.usable), key=lambda one: one.usable)
    if some and some[-1].usable > MAX_IMBALANCE * some[0].usable:
        most, least = some[-1], some[0]
        what = (
            f"{most.name} has {most.usable} photographs and {least.name} {least.usable}: even it out, or weigh classes"
        )
        yield Finding("imbalance", what, (most.name, least.name))
