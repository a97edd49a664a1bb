"""An engine for the tests of the detector."""

from pathlib import Path

import pytest

from annotator.detection import MtcnnDetector
from annotator.runtime import Engine, create_engine


@pytest.fixture(scope="session")
def cpu_engine(network_cache: Path) -> Engine:
    """The engine of the CPU."""
    return create_engine("cpu", threads=2, cache_dir=network_cache)


@pytest.fixture(scope="session")
def detector(cpu_engine: Engine) -> MtcnnDetector:
    """A detector as facenet-pytorch has it."""
    return MtcnnDetector(cpu_engine)
