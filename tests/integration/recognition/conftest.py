"""The real embedder."""

from pathlib import Path

import pytest

from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import Engine, create_engine


@pytest.fixture(scope="session")
def engine(network_cache: Path) -> Engine:
    return create_engine("cpu", threads=2, cache_dir=network_cache)


@pytest.fixture(scope="session")
def embedder(engine: Engine) -> FaceEmbedder:
    return FaceEmbedder(engine)
