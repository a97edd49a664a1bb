"""The steps of a takedown in words for people: where something goes, what, and how much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TITLES: Final = {
    "faces": "Faces in clips",
    "labels": "Names in clips, and photographs",
    "texts": "Texts with a name in them",
    "models": "Models on this server",
    "cache": "What is kept to be quicker",
    "folder": "A folder",
    "names": "What the person is called",
}
_WORDS: Final = {
    "faces.named": "tracks of the person, whose embeddings are emptied",
    "faces.near": "tracks without a name and with a face of the same look, whose embeddings are emptied",
    "faces.groups": "groups of strangers",
    "labels.track_labels": "tracks that are called so",
    "labels.candidates": "tracks of others with the person among the nearest",
    "labels.overruled_labels": "tracks that a model has called so before somebody said otherwise",
    "labels.review_items": "questions to reviewers",
    "labels.corrections": "words of people about who it is",
    "labels.content_labels_by": "clips that show the person, by model",
    "labels.identity_counts_by": "sums of how often the person is seen",
    "labels.co_appearances_by": "sums of who is seen with the person",
    "labels.labelling_identities": "models' entries about the person",
    "labels.enrolled_faces": "photographs that were enrolled, as embeddings",
    "labels.merges": "notes about who was merged",
    "texts.web_audit": "entries of the record",
    "texts.web_attempts": "attempts to log in",
    "texts.web_jobs": "media that were tried",
    "texts.outbox": "call-backs",
    "texts.work": "messages of failures",
    "texts.models": "entries of installed models",
    "models.models": "models, written anew without the person",
    "names.identities": "people: the person, and who was merged into her or him",
    "names.identity_aliases": "further names",
    "cache.files": "files, which are made again when they are needed",
}


@dataclass(frozen=True, slots=True)
class StepTold:
    """A step of a takedown for people.

    Attributes:
        title: what it is about.
        counts: what went, or would go, and how many.
        is_ended: nothing of it is left to do.

    """

    title: str
    counts: tuple[tuple[str, int], ...]
    is_ended: bool = True


def told_steps(steps: Mapping[str, Mapping[str, int]], ended: frozenset[str] | None = None) -> tuple[StepTold, ...]:
    """Return steps for people.

    >>> told_steps({"faces 1": {"named": 3, "near": 0}, "texts": {"runs": 1}})[1]
    StepTold(title='Texts with a name in them', counts=(('runs', 1),), is_ended=True)
    """
    told = []
    for step, counts in steps.items():
        kind = step.partition(" ")[0]
        words = tuple(
            (_WORDS.get(f"{kind}.{name}", _WORDS.get(f"labels.{name}", name.replace("_", " "))), count)
            for name, count in counts.items()
            if count
        )
        told.append(StepTold(_TITLES.get(kind, step), words, is_ended=ended is None or step in ended))
    return tuple(told)
