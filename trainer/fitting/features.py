"""The outputs of a frozen front, computed once and kept: a head over them trains in seconds."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from annotator.errors import ModelError
from annotator.networks.sface import EMBEDDING_SIZE
from annotator.recognition.embedding import FaceEmbedder
from annotator.types import F32
from trainer.fitting.input import Crops, Embedded
from trainer.fitting.state import read_arrays, replacing

_CHUNK: Final = 512
"""Crops in memory at a time: 19 MB."""


def embed_crops(crops: Crops, embedder: FaceEmbedder, *, copies: int, seed: int, cache: Path) -> Embedded:
    """Embed crops, and changed copies of them.

    Args:
        crops: aligned, of 112 pixels.
        embedder: by which the archive's faces are embedded, too.
        copies: changed forms of each crop beside itself.
        seed: decides how they are changed.
        cache: file that keeps the embeddings; used where it was made from the same crops in the same way.

    Returns:
        The embeddings of all crops, then those of the first copies, and so on.

    Raises:
        InputError: a crop cannot be read.
        LocalDiskError: the embeddings cannot be kept.

    """
    labels = np.tile(crops.labels, copies + 1)
    digest = _digest(crops, embedder.network_id, copies, seed)
    embeddings = _kept(cache, digest, len(labels))
    if embeddings is None:
        forms = [None, *((seed, copy) for copy in range(copies))]
        parts = [_embedded(crops, embedder, form) for form in forms]
        embeddings = np.concatenate(parts)
        with replacing(cache) as part, part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, digest=np.frombuffer(digest, np.uint8), embeddings=embeddings)
    return Embedded(embeddings[:, None, None, :], labels)


def _embedded(crops: Crops, embedder: FaceEmbedder, changes: tuple[int, int] | None) -> F32:
    parts = [np.zeros((0, EMBEDDING_SIZE), np.float32)]
    for start in range(0, len(crops.files), _CHUNK):
        indices = range(start, min(start + _CHUNK, len(crops.files)))
        parts.append(embedder.embed(np.stack([crops.read_u8(index, changes) for index in indices])))
    return np.concatenate(parts)


def _digest(crops: Crops, network_id: str, copies: int, seed: int) -> bytes:
    how = [network_id, copies, seed, asdict(crops.augmentation)] if copies else [network_id]
    digest = sha256(json.dumps(how).encode())
    for path in crops.files:
        digest.update(sha256(path.read_bytes()).digest())
    return digest.digest()


def _kept(cache: Path, digest: bytes, count: int) -> F32 | None:
    if not cache.is_file():
        return None
    try:
        arrays = read_arrays(cache)
    except ModelError:
        return None  # it is not whole: it can be made again
    embeddings = arrays.get("embeddings")
    is_same = "digest" in arrays and arrays["digest"].tobytes() == digest
    return embeddings if is_same and embeddings is not None and embeddings.shape == (count, EMBEDDING_SIZE) else None
