"""The networks of the starter model, converted once for all tests and all their processes: that takes seconds."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``Settings.cache_dir``, shared by parallel test processes."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache-of-all"


@pytest.fixture(scope="session")
def network_cache(cache_dir: Path) -> Path:
    """The same for the ``cache_dir`` of an engine."""
    return cache_dir / "networks"


@pytest.fixture(scope="session")
def with_networks(network_cache: Path) -> Callable[[Path], Path]:
    """Call it with the cache folder of a user to put the converted networks there; it returns the folder."""
    from annotator.detection import MtcnnDetector  # noqa: PLC0415 - it takes a second, and most tests need none of it
    from annotator.recognition.embedding import FaceEmbedder  # noqa: PLC0415 - as above
    from annotator.runtime import create_engine  # noqa: PLC0415 - as above

    engine = create_engine("cpu", threads=1, cache_dir=network_cache)
    MtcnnDetector(engine)
    FaceEmbedder(engine)

    def put(cache: Path) -> Path:
        shutil.copytree(network_cache, cache / "networks", ignore=shutil.ignore_patterns(".converting-*"))
        return cache

    return put
