"""
This machine: free ports, a certificate, a place for files.

Nothing in here imports Twisted: the clients must not share a fault, or a
reactor, with what they measure.
"""

from __future__ import annotations

import random
import resource
import socket
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def raiseDescriptorLimit() -> int:
    """
    Allow this process and its children as many descriptors as may be, and
    return that number.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freePort() -> int:
    """
    A port on which nobody listens, from below the range out of which the
    kernel gives ports to clients: no client can sit on it by accident.
    """
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


@dataclass
class Workspace:
    """
    A temporary directory for logs and the self-signed certificate.
    """

    _directory: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="bench-")
    )
    _certificate: Path | None = None

    @property
    def path(self) -> Path:
        return Path(self._directory.name)

    def certificate(self) -> Path:
        """
        A file that holds a key and a certificate for 127.0.0.1.
        """
        if self._certificate is None:
            self._certificate = self.path / "server.pem"
            self._certificate.write_bytes(_selfSigned())
        return self._certificate

    def use(self, certificate: Path) -> None:
        """
        Take a certificate that there is already.
        """
        self._certificate = certificate

    def tlsContext(self) -> ssl.SSLContext:
        """
        What a client needs in order to trust our certificate.
        """
        return ssl.create_default_context(cafile=str(self.certificate()))


def _selfSigned() -> bytes:
    from datetime import datetime, timedelta, timezone
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class Listen:
    """
    One port to listen on, plain or with TLS.
    """

    tls: bool = False
    backlog: int = 50
    port: int = field(default_factory=freePort)

    def description(self, workspace: Workspace) -> str:
        rest = f"{self.port}:interface={HOST}:backlog={self.backlog}"
        if not self.tls:
            return f"tcp:{rest}"
        pem = workspace.certificate()
        return f"ssl:{rest}:privateKey={pem}:certKey={pem}"


def acceptQueueLength(port: int) -> int | None:
    """
    How many connections wait to be accepted on a port, if Linux tells.
    """
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        _, local, _, state, queues, *_ = line.split()
        if state == "0A" and int(local.split(":")[1], 16) == port:
            return int(queues.split(":")[1], 16)
    return None
