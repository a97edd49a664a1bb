"""An embedder that remembers: two recognisers over one network are shown the same faces, which are embedded once."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import numpy as np

from annotator.build import build_engine
from annotator.recognition.bundled_network import BundledNetwork
from annotator.recognition.crops import FaceCrop
from annotator.recognition.embedding import FaceEmbedder
from annotator.settings import load_settings
from annotator.types import F32, U8
from trainer.settings import Device


class RememberingEmbedder:
    """Embeds faces, each once; half a kilobyte is kept of each."""

    def __init__(self, embedder: FaceEmbedder) -> None:
        """Take what embeds."""
        self._embedder = embedder
        self._known: dict[bytes, F32] = {}

    @property
    def network_id(self) -> str:
        """Names the embedding space."""
        return self._embedder.network_id

    @property
    def crop(self) -> FaceCrop:
        """How faces are cut for it."""
        return self._embedder.crop

    def embed(self, faces: U8) -> F32:
        """Return f32 (N, D), unit norm, for u8 (N, S, S, 3) RGB crops of its kind, N > 0."""
        keys = [sha256(face.tobytes()).digest() for face in faces]
        new = [place for place, key in enumerate(keys) if key not in self._known]
        if new:
            self.remember([keys[place] for place in new], self._embedder.embed(faces[new]))
        return np.stack([self._known[key] for key in keys])

    def remember(self, keys: Sequence[bytes], embeddings: F32) -> None:
        """Take embeddings that are known already.

        Args:
            keys: sha256 of each crop's bytes.
            embeddings: f32 (N, D), unit norm.

        """
        self._known.update(zip(keys, embeddings, strict=True))


@cache
def shared_embedder(device: Device, network: BundledNetwork | None = None) -> RememberingEmbedder:
    """Return this process's embedder, in f32.

    Args:
        device: what it runs on.
        network: that a bundle carries; None for SFace, which embeds the archive's faces.

    Raises:
        ConfigError: the device is not there.
        ModelError: the network's weights fail their check.

    """
    return RememberingEmbedder(FaceEmbedder(build_engine(load_settings(device=device)), network=network))
