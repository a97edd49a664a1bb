"""Run the application until it is told to stop."""

import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Final

import uvicorn

from annotator.errors import ConfigError
from annotator.web.application import make_application
from annotator.web.connections import Patience, PatientConnection
from annotator.web.site import LOOPBACK, Site

# Requests under way may end, so long; then they are broken off.
_STOP_WITHIN_S: Final = 5
_BACKLOG: Final = 128


def serve(site: Site, *, on_ready: Callable[[str], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; what is under way is answered before it ends.

    Args:
        site: what requests share.
        on_ready: is told the address, once it is bound.

    Raises:
        ConfigError: the address cannot be taken, or others would reach it and nobody would have to log in.

    """
    application = make_application(site)
    listening = listen(site.settings.web.host, site.settings.web.port)
    believed = believed_networks(site.settings.web.proxies)
    has_proxy = site.settings.web.public_url is not None
    patience = Patience(uncounted=tuple(map(ip_network, believed)) if has_proxy else ())
    config = uvicorn.Config(
        application,
        http=partial(PatientConnection, patience=patience),  # type: ignore[arg-type]  # it is called as a class is
        access_log=False,  # it would hold whom people look for
        log_config=None,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        # A proxy tells where a request comes from; nobody else is believed.
        proxy_headers=has_proxy,
        forwarded_allow_ips=believed,
    )
    gc.collect()
    gc.freeze()  # what is loaded stays: the collector held pages up for 100 ms now and then, to look through it
    with listening, _stopping_is_no_error():
        on_ready(_address(site, listening))
        server = uvicorn.Server(config)
        site.job_changes.end_when(lambda: server.should_exit)
        server.run(sockets=[listening])


def believed_networks(proxies: Sequence[str]) -> list[str]:
    """Return networks of proxies, with the IPv6 form that IPv4 addresses have at a socket that takes both.

    >>> believed_networks(["127.0.0.1", "::1"])
    ['127.0.0.1/32', '::ffff:127.0.0.1/128', '::1/128']
    """
    networks = []
    for network in map(ip_network, proxies):
        networks.append(str(network))
        if network.version == 4:
            networks.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return networks


@contextlib.contextmanager
def _stopping_is_no_error() -> Iterator[None]:
    """Let a signal that has stopped the server, which sends it again when it has stopped, do nothing more."""
    former = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, and whose connections send what is written at once.

    Raises:
        ConfigError: the address cannot be taken.

    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        # asyncio sends at once (TCP_NODELAY) only where the protocol is named: else a page, which is sent in two parts,
        # waits 40 ms for the browser's delayed acknowledgement of the first.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as exc:
        raise ConfigError(f"{host} is no address to listen at: {exc}") from exc
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as exc:
        listening.close()
        raise ConfigError(
            f"{host}, port {port}, cannot be listened at ({exc.strerror}): choose another one with --port"
        ) from exc
    return listening


def _address(site: Site, listening: socket.socket) -> str:
    web = site.settings.web
    if web.public_url is not None:
        return web.public_url
    host = web.host if web.host in LOOPBACK else socket.gethostname()
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
