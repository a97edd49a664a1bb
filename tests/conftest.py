"""What all tests share."""

import os
import signal
import sys
from pathlib import Path

import psycopg2  # noqa: F401  (before TensorFlow, which some test modules import: annotator/runtime/tensorflow_engine.py)
import pytest

pytest_plugins = ["tests.fixtures_database", "tests.fixtures_networks", "tests.fixtures_s3"]

# What is compiled once is kept, for this process and for the many that tests start, also where the environment says
# otherwise: else each of them compiles all that it imports, 3 s of TensorFlow or 1 s of Celery.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Shells let what they start in the background ignore Ctrl-C, and with it all programs that tests would end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips and photographs, which lie beside the project and are not published with it."""
    if not SHARED_DATA.is_dir():
        message = "the real clips and photographs are not beside the project (../shared/data)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return SHARED_DATA


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove ANNOTATOR_* from the environment: no test depends on the developer's."""
    for name in [name for name in os.environ if name.startswith("ANNOTATOR_")]:
        monkeypatch.delenv(name)
