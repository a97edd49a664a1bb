"""Database and broker behind TLS: the right authority is accepted, another one refused with a clear sentence.

The servers of the wheels have no TLS; a proxy with a certificate stands in front of them.
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from annotator.errors import BrokerUnavailableError, ConfigError, StoreUnavailableError
from annotator.settings import load_settings
from annotator.stack.broker import BrokerChild
from annotator.stack.child import free_port
from annotator.store import Store, check
from annotator.store.connection import open_engine, reading
from annotator.store.queue.chunks import Chunk
from tests.tls import Authority, make_authority, tls_proxy
from workers.app import create_app
from workers.beat.broker import RedisBroker
from workers.tls import checked_broker_url

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), "right")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def encrypted_url(make_database: Callable[..., str], authority: Authority) -> Iterator[Callable[..., str]]:
    """Call it with an authority for the URL of a database behind TLS."""
    url = make_url(make_database("postgres"))
    with tls_proxy(authority, int(url.port or 0), is_postgres=True) as port:

        def of(trusted: Authority, *, host: str = "127.0.0.1") -> str:
            query = {"sslmode": "verify-full", "sslrootcert": str(trusted.ca_file)}
            return url.set(host=host, port=port, query=query).render_as_string(hide_password=False)

        yield of


def test_a_database_is_reached_through_tls(encrypted_url: Callable[..., str], authority: Authority) -> None:
    with Store.open(encrypted_url(authority)) as store:
        assert store.status().media == 0
    engine = open_engine(encrypted_url(authority))
    with reading(engine) as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.info.ssl_in_use
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    engine.dispose()


@pytest.mark.parametrize("first", ["import trainer.networks.build", "_import_tensorflow()"])
def test_a_database_is_reached_through_tls_after_tensorflow_was_loaded(
    encrypted_url: Callable[..., str], authority: Authority, first: str
) -> None:
    code = "from annotator.runtime.tensorflow_engine import _import_tensorflow; from annotator.store import check;"
    code += f"import sys; {first}; 'tensorflow' in sys.modules or sys.exit(9); check(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, encrypted_url(authority)], check=False, timeout=100)
    assert done.returncode == 0


def test_a_database_of_another_authority_is_refused(encrypted_url: Callable[..., str], stranger: Authority) -> None:
    with pytest.raises(StoreUnavailableError, match=r"not trusted.*certificate verify failed.*sslrootcert=FILE"):
        check(encrypted_url(stranger))


def test_a_database_under_another_name_is_refused(encrypted_url: Callable[..., str], authority: Authority) -> None:
    with pytest.raises(StoreUnavailableError, match="not the one that is meant"):
        check(encrypted_url(authority, host="localhost"))


def test_a_missing_file_of_the_authority_is_named(encrypted_url: Callable[..., str], tmp_path: Path) -> None:
    nobody = Authority(tmp_path / "nobody.pem", tmp_path / "nobody.pem")
    with pytest.raises(StoreUnavailableError, match=r"root certificate file .*nobody.pem.* does not exist"):
        check(encrypted_url(nobody))


@pytest.fixture(scope="module")
def encrypted_broker(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[int]:
    """The port of a broker behind TLS."""
    port = free_port()
    server = BrokerChild(tmp_path_factory.mktemp("broker"), port)
    with tls_proxy(authority, port, is_postgres=False) as tls_port:
        yield tls_port
    server.process.stop(timeout_s=10.0)


def broker_at(url: str) -> RedisBroker:
    return RedisBroker(create_app(load_settings(broker_url=url)))


def test_messages_reach_a_broker_through_tls(encrypted_broker: int, authority: Authority) -> None:
    broker = broker_at(f"rediss://127.0.0.1:{encrypted_broker}/0?ssl_ca_certs={authority.ca_file}")
    broker.mark()
    assert not broker.is_new()
    broker.publish(Chunk(1, "gif", (1, 2), "gpu"))
    assert broker.count("gpu") == 1


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs={stranger}"])
def test_a_broker_that_no_known_authority_vouches_for_is_refused(
    encrypted_broker: int, stranger: Authority, query: str
) -> None:
    broker = broker_at(f"rediss://127.0.0.1:{encrypted_broker}/0{query.format(stranger=stranger.ca_file)}")
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        broker.is_new()
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):  # Celery's own connection
        broker.publish(Chunk(1, "gif", (1, 2), "gpu"))


def test_a_broker_under_another_name_is_refused(encrypted_broker: int, authority: Authority) -> None:
    broker = broker_at(f"rediss://localhost:{encrypted_broker}/0?ssl_ca_certs={authority.ca_file}")
    with pytest.raises(BrokerUnavailableError, match=r"certificate verify failed.*localhost"):
        broker.is_new()
    with pytest.raises(BrokerUnavailableError, match=r"certificate verify failed.*localhost"):
        broker.publish(Chunk(1, "gif", (1, 2), "gpu"))


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_cert_reqs=CERT_NONE", "ssl_check_hostname=false"])
def test_a_url_that_asks_not_to_check_is_refused(query: str) -> None:
    with pytest.raises(ConfigError, match="anybody could stand in for it"):
        checked_broker_url(f"rediss://broker:6380/0?{query}")


def test_a_missing_file_of_the_brokers_authority_is_named() -> None:
    with pytest.raises(ConfigError, match=r"there is no file /nowhere/ca\.pem"):
        checked_broker_url("rediss://broker:6380/0?ssl_ca_certs=/nowhere/ca.pem")


def test_the_proxy_takes_nothing_in_the_clear(encrypted_broker: int) -> None:
    with socket.create_connection(("127.0.0.1", encrypted_broker)) as plain:
        plain.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(64).startswith(b"+PONG")
