"""An engine for the tests of the detector; its networks are converted once for all of them."""

import os
from pathlib import Path

import pytest

from annotator.detection import MtcnnDetector
from annotator.runtime import Engine, create_engine


@pytest.fixture(scope="session")
def network_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for converted networks, shared by parallel test processes."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "networks-of-detection"


@pytest.fixture(scope="session")
def cpu_engine(network_cache: Path) -> Engine:
    """The engine of the CPU."""
    return create_engine("cpu", threads=2, cache_dir=network_cache)


@pytest.fixture(scope="session")
def detector(cpu_engine: Engine) -> MtcnnDetector:
    """A detector as facenet-pytorch has it."""
    return MtcnnDetector(cpu_engine)
