"""From what was found on the photographs to which faces are cut out, and to which side they go."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from annotator.recognition.prototypes import MAX_SAMENESS
from trainer.dataset.choosing import Choice, choose_person
from trainer.dataset.families import families, near_duplicates, same_faces
from trainer.dataset.findings import Content, FoundFace
from trainer.dataset.listing import LeftOut, Sample
from trainer.dataset.splitting import Family, Side, Split, split_families
from trainer.labels import Label

FAMILY_CHARS: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photograph in the folder of a person who has a label.

    Attributes:
        path: folder and name within the raw dataset.
        label: the person's.
        content: what was found on it.
        choice: which face is the person.

    """

    path: str
    label: Label
    content: Content
    choice: Choice


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment's data is to be.

    Attributes:
        samples: the crops, by label, then photograph and face.
        left_out: photographs that none comes from.
        split: the side of every content.

    """

    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]
    split: Split


def portraits(paths: Sequence[str], *, contents: Mapping[str, Content], labels: Mapping[str, Label]) -> list[Portrait]:
    """Choose the person's face on every photograph.

    Args:
        paths: of all photographs, within the raw dataset.
        contents: what was found, by path.
        labels: by name of folder; photographs of folders without one are left out.

    Returns:
        Sorted by index of the label, then path.

    """
    mine: dict[Label, list[str]] = {}
    for path in sorted(paths):
        label = labels.get(path.split("/", maxsplit=1)[0])
        if label is not None:
            mine.setdefault(label, []).append(path)
    chosen = []
    for label in sorted(mine, key=lambda one: one.index):
        choices = choose_person([contents[path].faces for path in mine[label]])
        pairs = zip(mine[label], choices, strict=True)
        chosen += [Portrait(path, label, contents[path], choice) for path, choice in pairs]
    return chosen


def plan_dataset(
    shown: Sequence[Portrait], *, val_share: float, kept: Mapping[str, Side], takes_all_faces: bool = False
) -> Plan:
    """Say which crops there are to be, and on which side.

    Args:
        shown: all photographs.
        val_share: share of photographs to evaluate on, in [0, 1).
        kept: the sides that contents have already.
        takes_all_faces: every clear face of a photograph, as if all were the person; else the person's.

    """
    related = photograph_families(shown)
    split = split_families(related, val_share=val_share, kept=kept)
    family_of = {content: family.contents[0][:FAMILY_CHARS] for family in related for content in family.contents}
    samples: list[Sample] = []
    left_out: list[LeftOut] = []
    seen: set[tuple[str, str]] = set()
    for portrait in shown:
        sha256 = portrait.content.sha256
        why = _why_not(portrait, seen, takes_all_faces=takes_all_faces)
        seen.add((portrait.label.text, sha256))
        if why is not None:
            left_out.append(LeftOut(portrait.path, why))
            continue
        faces = _faces(portrait, takes_all_faces=takes_all_faces)
        samples += [_sample(portrait, face, split.sides[sha256], family_of[sha256]) for face in faces]
    return Plan(tuple(samples), tuple(left_out), split)


def photograph_families(shown: Sequence[Portrait]) -> list[Family]:
    """Return the families of all photographs, over all people: the same look, or one and the same picture of a face."""
    contents = list({portrait.content.sha256: portrait.content for portrait in shown}.values())
    place = {content.sha256: number for number, content in enumerate(contents)}
    people: dict[str, set[str]] = {}
    for portrait in shown:
        people.setdefault(portrait.content.sha256, set()).add(portrait.label.text)
    pairs = [*near_duplicates([content.appearance for content in contents]), *_one_picture(shown, place)]
    return [
        Family(
            tuple(sorted(contents[number].sha256 for number in members)),
            tuple(sorted({person for number in members for person in people[contents[number].sha256]})),
        )
        for members in families(len(contents), pairs)
    ]


def _one_picture(shown: Sequence[Portrait], place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield pairs of contents that show one person's face in one and the same picture, cropped differently."""
    by_label: dict[str, list[Portrait]] = {}
    for portrait in shown:
        if portrait.choice.face is not None:
            by_label.setdefault(portrait.label.text, []).append(portrait)
    for mine in by_label.values():
        embeddings = np.stack([one.content.faces[one.choice.face or 0].embedding for one in mine])
        for first, second in same_faces(embeddings, min_cosine=MAX_SAMENESS):
            yield place[mine[first].content.sha256], place[mine[second].content.sha256]


def _why_not(portrait: Portrait, seen: set[tuple[str, str]], *, takes_all_faces: bool) -> str | None:
    if portrait.choice.face is None:
        return "no clear face"
    if (portrait.label.text, portrait.content.sha256) in seen:
        return "repeated"
    if not portrait.choice.is_sure and not takes_all_faces:
        return "no face like the person's others"
    return None


def _faces(portrait: Portrait, *, takes_all_faces: bool) -> tuple[FoundFace, ...]:
    if takes_all_faces:
        return portrait.content.faces
    return (portrait.content.faces[portrait.choice.face or 0],)


def _sample(portrait: Portrait, face: FoundFace, side: Side, family: str) -> Sample:
    sha256 = portrait.content.sha256
    is_person = face.number == portrait.choice.face
    name = f"{Path(portrait.path).stem}_{sha256[:8]}" + ("" if is_person else f"_{face.number}")
    agreement = portrait.choice.agreement if is_person else None
    return Sample(
        crop=f"{side}_dataset/{portrait.label.text}/{name}.jpg",
        side=side,
        label=portrait.label.text,
        index=portrait.label.index,
        photograph=portrait.path,
        sha256=sha256,
        family=family,
        face=face.number,
        face_px=round(face.face_px, 1),
        agreement=None if agreement is None else round(agreement, 3),
    )
