"""TLS in front of a server that has none: a proxy with a certificate, for testing what clients accept.

The package that makes the certificates comes with the S3 endpoint of the tests.
"""

import contextlib
import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What a client of Postgres sends first when it wants TLS: the length, and a number that is no version.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_SOME = 65536


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody who signs certificates.

    Attributes:
        ca_file: its certificate, for clients.
        chain_file: certificate and key of a server, signed by it.

    """

    ca_file: Path
    chain_file: Path


def make_authority(folder: Path, name: str, *, address: str = "127.0.0.1") -> Authority:
    """Make an authority, and a certificate for a server at an address."""
    folder.mkdir(exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ca = _certificate(
        issuer,
        issuer,
        key=ca_key,
        issuer_key=ca_key,
        extension=x509.BasicConstraints(ca=True, path_length=None),
    )
    server = _certificate(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")]),
        issuer,
        key=key,
        issuer_key=ca_key,
        extension=x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
    )
    made = Authority(folder / f"{name}.pem", folder / f"{name}-server.pem")
    made.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.chain_file.write_bytes(server.public_bytes(serialization.Encoding.PEM) + private)
    return made


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    *,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if isinstance(extension, x509.BasicConstraints):
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        builder = builder.add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True,
        )
    return builder.sign(issuer_key, hashes.SHA256())


@contextlib.contextmanager
def tls_proxy(authority: Authority, port: int, *, is_postgres: bool) -> Iterator[int]:
    """Take TLS connections and pass them on to a port of this machine in the clear; gives its own port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain_file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_pass_on, args=(client, context, port, is_postgres), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pass_on(client: socket.socket, context: ssl.SSLContext, port: int, is_postgres: bool) -> None:  # noqa: FBT001
    with contextlib.suppress(OSError), client:
        if is_postgres:
            asked = client.recv(len(_SSL_REQUEST), socket.MSG_WAITALL)
            if asked != _SSL_REQUEST:
                return  # in the clear: refused
            client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            _pump(secure, server)


def _pump(secure: ssl.SSLSocket, server: socket.socket) -> None:
    """Copy both ways in one thread, as an SSL socket wants it, until one side ends."""
    while True:
        ready = [secure] if secure.pending() else select.select([secure, server], [], [])[0]
        for source in ready:
            some = source.recv(_SOME)
            if not some:
                return
            (server if source is secure else secure).sendall(some)
