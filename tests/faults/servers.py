"""The servers of the fault tests: one of each kind for a test process, and each can be stopped and started again."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from redis import Redis
from sqlalchemy import NullPool, create_engine, make_url, text

from annotator.stack.broker import BrokerChild
from annotator.stack.child import ChildProcess, free_port, is_port_open
from annotator.stack.postgres import PostgresChild

# How long anything may take. Where a guard is taken out on purpose, less is waited for in vain.
TIMEOUT_S: Final = float(os.environ.get("FAULTS_TIMEOUT_S", "60"))
_STOP_S: Final = 15.0
_POLL_S: Final = 0.05


def wait_until(holds: Callable[[], bool], *, what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Look again and again, not for ever."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            pytest.fail(f"in {timeout_s:g} s it did not come to this: {what}")
        time.sleep(_POLL_S)


class Servers:
    """Postgres, Valkey and an S3 endpoint on ports that stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.postgres_port, self.broker_port, self.s3_port = free_port(), free_port(), free_port()
        self._s3 = self._start_s3()
        self._postgres: PostgresChild | None = None
        self._broker: BrokerChild | None = None
        self.start_postgres()
        self.start_broker()
        self.run_sql("ALTER SYSTEM SET fsync = off")  # nothing of a test outlives the machine
        self.run_sql("ALTER SYSTEM SET max_connections = 200")
        self.stop_postgres()
        self.start_postgres()
        self._s3.wait_until(lambda: is_port_open(self.s3_port), timeout_s=60.0)

    def _start_s3(self) -> ChildProcess:
        objects = self._folder / "s3"
        objects.mkdir()
        command = [sys.executable, "-m", "annotator.stack.s3_server", str(objects), str(self.s3_port)]
        return ChildProcess("S3 endpoint", command, log_path=self._folder / "s3.log")

    # -------------------------------------------------------------------------------------------------------- Postgres

    def start_postgres(self) -> None:
        if self._postgres is None:
            self._postgres = PostgresChild(self._folder / "postgres", self.postgres_port)
            self._url = make_url(self._postgres.url).set(drivername="postgresql+psycopg2")

    def stop_postgres(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT sends its clients away, SIGQUIT lets them fall as a crash does."""
        if self._postgres is not None:
            os.kill(self._postgres.process.pid, how)
            self._postgres.process.stop(timeout_s=_STOP_S)
            self._postgres = None

    def database_url(self, name: str, *, port: int | None = None) -> str:
        url = self._url.set(database=name, port=port or self.postgres_port, drivername="postgresql")
        return url.render_as_string(hide_password=False)

    def run_sql(self, statement: str) -> None:
        """Run a statement outside a transaction, as the superuser."""
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))

    def create_database(self, name: str, *, template: str = "template0") -> str:
        self.run_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        # Sequences of a copy would give out the same numbers again after a crash, until a checkpoint has passed.
        self.run_sql("CHECKPOINT")
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        self.run_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # ---------------------------------------------------------------------------------------------------------- broker

    def start_broker(self) -> None:
        if self._broker is None:
            self._broker = BrokerChild(self._folder / "broker", self.broker_port)

    def stop_broker(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._broker is not None:
            os.kill(self._broker.process.pid, how)
            self._broker.process.stop(timeout_s=_STOP_S)
            self._broker = None

    def redis(self, number: int) -> Redis:
        return Redis(port=self.broker_port, db=number)

    # ------------------------------------------------------------------------------------------------------------- all

    def mend(self) -> None:
        """Bring up again what a test has stopped."""
        self.start_postgres()
        self.start_broker()
        with self.redis(0) as redis:
            redis.config_set("maxmemory", 0)

    def close(self) -> None:
        self._s3.stop(timeout_s=_STOP_S)
        self.stop_broker()
        self.stop_postgres()
