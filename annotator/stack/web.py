"""``annotator web`` as a child process."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from annotator.stack.child import ChildProcess

# Of the extra ``web``, as they are imported.
_PACKAGES: Final = ("argon2", "jinja2", "python_multipart", "starlette", "uvicorn")
_START_TIMEOUT_S: Final = 60.0


def is_web_installed() -> bool:
    """Say whether the extra ``web`` is there, without importing it."""
    return all(find_spec(package) is not None for package in _PACKAGES)


class WebChild:
    """The web application over the stack's database, and the file that says where it is."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        """Describe it.

        Args:
            folder: gets ``web.log``, and ``web.address`` while it runs.
            port: a free port.
            environment: with which it reaches database and buckets.

        """
        self._folder = folder
        self._port = port
        self._environment = environment
        self.address_file = folder / "web.address"

    def start(self) -> ChildProcess:
        """Start it; what an earlier one that was killed has left is removed first."""
        self.address_file.unlink(missing_ok=True)
        options = ["--port", str(self._port), "--address-file", str(self.address_file)]
        return ChildProcess(
            "web application",
            [sys.executable, "-m", "annotator.cli", "web", *options],
            log_path=self._folder / "web.log",
            environment=self._environment,
        )

    def wait_until_bound(self, process: ChildProcess) -> None:
        """Wait until it has written its address, and connections to it wait for an answer at least.

        Raises:
            ConfigError: it refuses, or takes too long; the message has the end of its log.

        """
        process.wait_until(self.address_file.is_file, timeout_s=_START_TIMEOUT_S)
