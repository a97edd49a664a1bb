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
# Of one, and of several.
_WORDS: Final = {
    "faces.named": (
        "track of the person, whose embedding is emptied",
        "tracks of the person, whose embeddings are emptied",
    ),
    "faces.near": (
        "track without a name and with a face of the same look, whose embedding is emptied",
        "tracks without a name and with a face of the same look, whose embeddings are emptied",
    ),
    "faces.groups": ("group of strangers", "groups of strangers"),
    "labels.track_labels": ("track that is called so", "tracks that are called so"),
    "labels.candidates": (
        "track of somebody else with the person among the nearest",
        "tracks of others with the person among the nearest",
    ),
    "labels.overruled_labels": (
        "track that a model has called so before somebody said otherwise",
        "tracks that a model has called so before somebody said otherwise",
    ),
    "labels.review_items": ("question to reviewers", "questions to reviewers"),
    "labels.corrections": ("word of somebody about who it is", "words of people about who it is"),
    "labels.content_labels_by": ("clip that shows the person, by model", "clips that show the person, by model"),
    "labels.identity_counts_by": (
        "count of how often the person is seen, by model",
        "counts of how often the person is seen, by model",
    ),
    "labels.co_appearances_by": (
        "count of how often somebody is seen with the person, by model",
        "counts of how often somebody is seen with the person, by model",
    ),
    "labels.labelling_identities": ("list of whom a model can name", "lists of whom models can name"),
    "labels.enrolled_faces": (
        "photograph that was enrolled, as embedding",
        "photographs that were enrolled, as embeddings",
    ),
    "labels.merges": ("note about who was merged", "notes about who was merged"),
    "texts.web_audit": ("entry of the record", "entries of the record"),
    "texts.web_attempts": ("attempt to log in", "attempts to log in"),
    "texts.web_jobs": ("media that was tried", "media that were tried"),
    "texts.outbox": ("call-back", "call-backs"),
    "texts.work": ("message of a failure", "messages of failures"),
    "texts.models": ("entry of an installed model", "entries of installed models"),
    "models.models": ("model, written anew without the person", "models, written anew without the person"),
    "names.identities": ("person", "people: the person, and who was merged into her or him"),
    "names.identity_aliases": ("further name", "further names"),
    "cache.files": ("file, which is made again when it is needed", "files, which are made again when they are needed"),
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

    >>> told_steps({"names": {"identities": 1, "identity_aliases": 2}})[0].counts
    (('person', 1), ('further names', 2))
    """
    told = []
    for step, counts in steps.items():
        kind = step.partition(" ")[0]
        words = tuple((_words_of(kind, name, count), count) for name, count in counts.items() if count)
        told.append(StepTold(_TITLES.get(kind, step), words, is_ended=ended is None or step in ended))
    return tuple(told)


def _words_of(kind: str, name: str, count: int) -> str:
    """Return what so many of a table are called; one that has no words yet by its own name."""
    one, several = _WORDS.get(f"{kind}.{name}", _WORDS.get(f"labels.{name}", (name.replace("_", " "),) * 2))
    return one if count == 1 else several
