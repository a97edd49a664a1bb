"""Which addresses are public, and what is made of a name."""

import ipaddress
import socket
import time
from typing import Any

import pytest

from annotator.errors import ForbiddenSourceError, SourceUnavailableError
from annotator.media.dialling import cut_at, dial, is_public, parts_of_whole_address
from annotator.media.http import checked_addresses, fetch_http
from annotator.media.limits import FetchLimits


class NoSink:
    def write(self, data: bytes, /) -> None:
        pytest.fail(f"{len(data)} bytes were fetched")


def resolver(*addresses: str) -> Any:
    return lambda _host, port, **_kinds: [(0, 0, 0, "", (address, port)) for address in addresses]


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1"),
        *("::127.0.0.1", "2002:a00:1::", "fec0::1", "feff::8.8.8.8"),
        # Where in an address of a network's own NAT64 the IPv4 address is, only that network knows.
        *("64:ff9b:1::808:808", "64:ff9b:1:7f00:0:100::", "64:ff9b:1:ffff::a9fe:a9fe"),
        *("::ffff:0:7f00:1", "::8.8.8.8", "100::1", "4000::1", "5f00::1"),
    ],
)
def test_private_local_and_wrapped_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


def test_a_name_with_one_private_address_is_refused_without_telling_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver("8.8.8.8", "127.0.0.1"))
    with pytest.raises(ForbiddenSourceError, match="not public") as refused:
        checked_addresses("mixed.example", 80, limits=FetchLimits())
    assert "127.0.0.1" not in str(refused.value)


def test_private_addresses_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver("10.1.2.3", "10.1.2.3"))
    assert checked_addresses("inner.example", 80, limits=FetchLimits(allow_private=True)) == ["10.1.2.3"]


def test_a_scoped_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver("fe80::1%eth0"))
    with pytest.raises(ForbiddenSourceError):
        checked_addresses("local.example", 80, limits=FetchLimits())


def test_a_name_that_does_not_resolve_may_resolve_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kinds: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(SourceUnavailableError, match="cannot be resolved"):
        checked_addresses("nowhere.example", 80, limits=FetchLimits())


def test_the_connection_goes_to_the_address_that_was_checked_though_the_name_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
    reached: list[object] = []

    def connect(address: object, timeout: float) -> socket.socket:
        assert timeout > 0
        reached.append(address)
        raise ConnectionRefusedError

    def resolve(host: str, port: int, **kinds: int) -> Any:
        return resolver(*next(answers))(host, port, **kinds)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(SourceUnavailableError):
        fetch_http("http://rebinding.example/a.gif", etag=None, sink=NoSink(), limits=FetchLimits())
    assert reached == [("8.8.8.8", 80)]


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com/a", "file:///etc/passwd", "http:///a", "http://", "gopher://x", "http://h:99999/"),
        *("http://user:secret@example.com/", "http://[::1/", "http://h:0/", "http://h/\ud800", "http://h:port/"),
    ],
)
def test_addresses_that_are_not_plain_http_are_refused(url: str) -> None:
    with pytest.raises(ForbiddenSourceError) as caught:
        fetch_http(url, etag=None, sink=NoSink(), limits=FetchLimits())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "0", "localhost"])
def test_spellings_of_the_own_machine_are_refused(host: str) -> None:
    with pytest.raises((ForbiddenSourceError, SourceUnavailableError)):
        fetch_http(f"http://{host}/", etag=None, sink=NoSink(), limits=FetchLimits())


@pytest.mark.parametrize("host", ["a..b", ".example.com", "a" * 64 + ".example", "a\x00b"])
def test_a_name_that_can_be_none_is_not_resolved(host: str) -> None:
    with pytest.raises(SourceUnavailableError, match="cannot be resolved"):
        checked_addresses(host, 80, limits=FetchLimits())


def test_whoever_asks_for_the_parts_of_an_address_decides_on_its_user() -> None:
    parts = parts_of_whole_address("https://ann@Clips.example:8443/a")
    assert parts is not None
    assert (parts.username, parts.hostname, parts.port) == ("ann", "clips.example", 8443)
    assert parts_of_whole_address("s3://clips/a") is None


def test_the_next_address_is_dialled_where_one_does_not_answer_and_none_after_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with dial(["127.0.0.2", "127.0.0.1"], port, deadline=time.monotonic() + 10) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
        with pytest.raises(TimeoutError):
            dial(["127.0.0.1"], port, deadline=time.monotonic())


def test_a_connection_is_cut_at_its_deadline_and_not_afterwards() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(10.0)
        with cut_at(time.monotonic() + 60, near):
            pass
        far.sendall(b"x")
        assert near.recv(1) == b"x"
        with cut_at(time.monotonic() + 0.05, near):
            assert near.recv(1) == b""
