"""What is evaluated, under one protocol: a gallery with the annotator's own rule, or the class head of a network."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration, SizePoint
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.recognition.decision import MAX_CANDIDATES, Identifier
from annotator.recognition.gallery import Gallery
from annotator.recognition.prototypes import mean_prototypes
from annotator.types import F32, I64, U8, Identity, TrackEvidence
from trainer.labels import person_key

Kind = Literal["model", "prototypes", "head"]

COHORT: Final = 300
"""Neighbours that normalise a score of a gallery that is made here; as the starter model has it."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces as a recogniser sees them.

    Attributes:
        features: f32 (N, F), what :attr:`Recogniser.features` has made of the crops.
        face_px: f32 (N,), side in pixels of the photograph of the square that each was cut from.
        quality: f32 (N,), in [0, 1], see ``annotator.quality``.

    """

    features: F32
    face_px: F32
    quality: F32

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.features)

    def taken(self, rows: I64) -> "Faces":
        """Return some of them."""
        return Faces(self.features[rows], self.face_px[rows], self.quality[rows])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a recogniser says of one face.

    Attributes:
        names: the nearest people, nearest first, five at most.
        scores: of each, comparable over faces; higher is surer.
        is_named: whether the first name would be given; None where no threshold was ever set.

    """

    names: tuple[str, ...]
    scores: tuple[float, ...]
    is_named: bool | None


class Recogniser(Protocol):
    """Says who faces are."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    @property
    def kind(self) -> Kind:
        """A model bundle, prototypes of a fitted network's embeddings, or its class head."""
        ...

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it knows."""
        ...

    @property
    def crop(self) -> FaceCrop:
        """How faces are cut for it; the side is the one that :attr:`features` takes."""
        ...

    def features(self, crops: U8) -> F32:
        """Return f32 (N, F) for u8 (N, S, S, 3), RGB, cut as ``crop`` says."""
        ...

    def recognise(self, faces: Faces) -> list[Answer]:
        """Return an answer for each face."""
        ...

    def without(self, people: Collection[str]) -> "Recogniser":
        """Return one that has never had these people in gallery, cohort and mean, or among its classes."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GalleryRecogniser:
    """Prototypes, and the annotator's own rule over them: what runs in production.

    Attributes:
        name: see :class:`Recogniser`, as for the others.
        kind: a bundle's answers are named by its calibration; those of prototypes made here have no threshold.
        bundle: gallery, cohort, mean and calibration.
        embed: makes f32 (N, D), unit norm, of crops.
        crop: how these are cut.

    """

    name: str
    kind: Kind
    bundle: ModelBundle
    embed: Callable[[U8], F32]
    crop: FaceCrop = ALIGNED

    @property
    def people(self) -> tuple[str, ...]:
        """Whom it knows."""
        return tuple(person_key(person.name) for person in self.bundle.identities)

    def features(self, crops: U8) -> F32:
        """Return embeddings."""
        return self.embed(crops)

    def recognise(self, faces: Faces) -> list[Answer]:
        """Name each face as a track of that one face would be named."""
        tracks = [
            TrackEvidence(
                faces.features[row : row + 1].astype(np.float16),
                faces.face_px[row : row + 1].astype(np.float16),
                faces.quality[row : row + 1].astype(np.float16),
            )
            for row in range(len(faces))
        ]
        labels = Identifier(Gallery.from_bundle(self.bundle)).identify(tracks)
        return [
            Answer(
                tuple(person_key(one.identity.name) for one in label.candidates),
                tuple(one.score for one in label.candidates),
                label.verdict == "known" if self.kind == "model" else None,
            )
            for label in labels
        ]

    def without(self, people: Collection[str]) -> "GalleryRecogniser":
        """Return the gallery as if these people had never been in it."""
        gone = frozenset(people)
        stay = np.flatnonzero([name not in gone for name in self.people])
        return replace(self, bundle=self.bundle.as_if_only(stay))


@dataclass(frozen=True, slots=True, eq=False)
class HeadRecogniser:
    """The class head of a fitted network.

    A face's score for a person is the logarithm of the odds that the head's softmax gives: it orders as the
    probability does, and still tells apart what the probability rounds to one. A cosine head's is the cosine itself.

    Attributes:
        name: see :class:`Recogniser`, as for the others.
        people: the classes.
        logits: makes f32 (N, classes) of crops.
        crop: how these are cut.
        is_cosine: whether the logits are cosines.

    """

    name: str
    people: tuple[str, ...]
    logits: Callable[[U8], F32]
    crop: FaceCrop = ALIGNED
    is_cosine: bool = False

    @property
    def kind(self) -> Kind:
        """A class head."""
        return "head"

    def features(self, crops: U8) -> F32:
        """Return logits; those of people who are left out are left out later."""
        return self.logits(crops)

    def recognise(self, faces: Faces) -> list[Answer]:
        """Rank the people by the head."""
        logits = faces.features.astype(np.float64)
        scores = logits if self.is_cosine else _log_odds(logits)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :MAX_CANDIDATES]
        return [
            Answer(tuple(self.people[column] for column in row), tuple(float(one[column]) for column in row), None)
            for one, row in zip(scores, best.tolist(), strict=True)
        ]

    def without(self, people: Collection[str]) -> "Recogniser":
        """Return the head over the other people; the network behind it has still seen those who are left out."""
        gone = frozenset(people)
        stay = np.array([place for place, name in enumerate(self.people) if name not in gone], np.int64)
        return _PartOfHead(self, stay)


@dataclass(frozen=True, slots=True, eq=False)
class _PartOfHead:
    """A head with some of its classes."""

    whole: HeadRecogniser
    stay: I64

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def kind(self) -> Kind:
        return "head"

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(self.whole.people[place] for place in self.stay)

    @property
    def crop(self) -> FaceCrop:
        return self.whole.crop

    def features(self, crops: U8) -> F32:
        return self.whole.features(crops)

    def recognise(self, faces: Faces) -> list[Answer]:
        kept = replace(faces, features=faces.features[:, self.stay])
        return replace(self.whole, people=self.people).recognise(kept)

    def without(self, people: Collection[str]) -> Recogniser:
        gone = frozenset(people)
        rest = np.array([place for place in self.stay if self.whole.people[place] not in gone], np.int64)
        return _PartOfHead(self.whole, rest)


def gallery_of(embeddings: F32, person: I64, people: Sequence[str], *, network: str) -> ModelBundle:
    """Make a gallery of the mean embedding of each person, without thresholds.

    Args:
        embeddings: f32 (N, D), unit norm.
        person: i64 (N,), places in ``people``; each has one at least.
        people: names.
        network: that made the embeddings.

    """
    prototypes, counts = mean_prototypes(embeddings, person, len(people))
    never = SizePoint(face_px=1.0, min_scores=(2.0,), slope=1.0, intercept=0.0)
    return ModelBundle(
        name="evaluated",
        version=1,
        embedder=network,
        identities=tuple(Identity(name) for name in people),
        prototypes=prototypes,
        photo_counts=counts.astype(np.int32),
        mean=prototypes.astype(np.float64).mean(axis=0).astype(np.float32),
        calibration=Calibration(
            points=(never,),
            rates=(0.01,),
            max_false_positive_rate=0.01,
            prior=0.1,
            min_face_px=0.0,
            sharp_below_px=0.0,
            min_quality=0.0,
            cohort=COHORT,
        ),
    )


def _log_odds(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) of each softmax probability."""
    highest = logits.max(axis=1, keepdims=True)
    exact = np.exp(logits - highest)
    others = exact.sum(axis=1, keepdims=True) - exact
    # Where one takes nearly all, the difference above loses its digits: sum the others of the highest again.
    top = logits.argmax(axis=1)
    rows = np.arange(len(logits))
    rest = exact.copy()
    rest[rows, top] = 0.0
    others[rows, top] = rest.sum(axis=1)
    return np.asarray(logits - highest - np.log(np.maximum(others, 1e-300)), np.float64)
