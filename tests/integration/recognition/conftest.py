"""The real embedder, converted once for all tests of this folder."""

from pathlib import Path

import pytest

from annotator.recognition.embedding import FaceEmbedder
from annotator.runtime import Engine, create_engine


@pytest.fixture(scope="session")
def network_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="session")
def engine(network_cache: Path) -> Engine:
    return create_engine("cpu", threads=2, cache_dir=network_cache)


@pytest.fixture(scope="session")
def embedder(engine: Engine) -> FaceEmbedder:
    return FaceEmbedder(engine)
