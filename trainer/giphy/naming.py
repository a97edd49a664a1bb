"""Who is it, by the release's rule.

An embedding, the output of the first dense layer, goes through the second one and a softmax: that is how probable the
release holds each person, among its own people. How sure it is that it is one of them at all is the **known-score**:
the highest of these probabilities times the cosine between the embedding and the centre of that person's class. Of
several faces that are one person's it is the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from annotator.recognition.crops import stretched
from annotator.types import F32, U8, Identity, frozen_array
from trainer.giphy.folder import load_folder
from trainer.giphy.mapping import ClassHead
from trainer.giphy.network import EMBEDDING_SIZE, FACE_SIDE_PX

if TYPE_CHECKING:
    from annotator.runtime import Engine

TOP: Final = 5
"""People named for a face, as in the release."""

BATCH_FACES: Final = 8
"""Faces in a batch; each batch has this size, padded, so that a network is compiled once."""

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class FaceName:
    """What the release says of a face.

    Attributes:
        people: the most probable people, best first.
        probabilities: of the softmax, one for each of them; over the model's own people, so no share of right names.
        known_score: in [-1, 1]; low where it is nobody whom the model knows.

    """

    people: tuple[Identity, ...]
    probabilities: tuple[float, ...]
    known_score: float


class GiphyModel:
    """The imported release, ready to name faces. Thread-safe where the engine's runners are."""

    def __init__(self, folder: Path, engine: "Engine") -> None:
        """Load what ``trainer import-giphy`` has written.

        Args:
            folder: where it was written to.
            engine: what runs the network, see :func:`annotator.runtime.create_engine`.

        Raises:
            ConfigError: there is no such folder.
            ModelError: it fails its checks.

        """
        self._model = load_folder(folder)
        self._runner = engine.load(self._model.network.definition())

    @property
    def network_id(self) -> str:
        """Names the embedding space, e.g. ``"resnet50-0a1b2c3d4e5f6789"``."""
        return self._model.network_id

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Whom it knows, by class."""
        return self._model.identities

    def embed(self, crops: Sequence[U8]) -> F32:
        """Embed faces.

        Args:
            crops: u8 (h, w, 3) each, RGB, of any size, as :func:`trainer.giphy.faces.cut_faces` cuts them.

        Returns:
            f32 (N, 256), not of unit length.

        """
        embeddings = np.zeros((len(crops), EMBEDDING_SIZE), np.float32)
        batch = np.zeros((BATCH_FACES, FACE_SIDE_PX, FACE_SIDE_PX, 3), np.float32)
        for start in range(0, len(crops), BATCH_FACES):
            part = crops[start : start + BATCH_FACES]
            batch[:] = 0.0
            for place, crop in enumerate(part):
                batch[place] = stretched(crop, FACE_SIDE_PX)
            (output,) = self._runner(batch)
            embeddings[start : start + len(part)] = output[: len(part)]
        return embeddings

    def name_faces(self, crops: Sequence[U8]) -> list[FaceName]:
        """Name faces, each by itself.

        Args:
            crops: as for :meth:`embed`.

        Returns:
            One answer for each crop, in order.

        """
        return names_of(self.embed(crops), self._model.head, self._model.identities)


def names_of(embeddings: F32, head: ClassHead, identities: Sequence[Identity]) -> list[FaceName]:
    """Name embeddings.

    Args:
        embeddings: f32 (N, 256), as the network gives them.
        head: from embeddings to classes.
        identities: by class.

    Returns:
        One answer for each.

    """
    wide = frozen_array("embeddings", embeddings, np.float32, ("N", EMBEDDING_SIZE)).astype(np.float64)
    logits = wide @ head.kernel.astype(np.float64) + head.bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    centres = head.centres[best[:, 0]].astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(centres, axis=1)
    cosines = (wide * centres).sum(axis=1) / np.maximum(lengths, _TINY)
    return [
        FaceName(
            people=tuple(identities[column] for column in columns),
            probabilities=tuple(float(row[column]) for column in columns),
            known_score=float(row[columns[0]] * cosine),
        )
        for columns, row, cosine in zip(best, probabilities, cosines, strict=True)
    ]


def known_score(faces: Sequence[FaceName]) -> float:
    """Return how sure it is that faces of one person show somebody whom the model knows: the mean over them.

    Raises:
        ValueError: there is no face.

    """
    if not faces:
        raise ValueError("a known-score needs at least one face")
    return float(np.mean([face.known_score for face in faces]))
