"""
Certificates in files, for the tests that change them.
"""

from __future__ import annotations

import shutil
import ssl
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from terminable.certificates import RenewedContext
from tests.live.certificates import pair

NOW = datetime.now(timezone.utc)


def encrypted(key: bytes) -> bytes:
    """
    The same key, behind a passphrase.
    """
    loaded: Any = serialization.load_pem_private_key(key, None)
    text: bytes = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    return text


def signed(
    names: list[str], issuer: str | None = None, subject: str = "leaf", days: float = 30
) -> tuple[bytes, bytes]:
    """
    A certificate for some names by some issuer (with the wrong signature), and its key.
    """

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(named(issuer or subject), named(subject), key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(der: bytes) -> bytes:
    """
    A certificate in PEM format.
    """
    return ssl.DER_cert_to_PEM_cert(der).encode()


def shown(context: SSL.Context) -> bytes:
    """
    The certificate of a context, in PEM format.
    """
    certificate = SSL.Connection(context, None).get_certificate()
    assert certificate is not None
    return certificate.to_cryptography().public_bytes(serialization.Encoding.PEM)


class FilesTestCase(SynchronousTestCase):
    """
    A folder, a clock, and a log.
    """

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        # The pairs of a test begin and end as seen from its own time.
        self.now = datetime.now(timezone.utc)

    def write(self, name: str, data: bytes) -> str:
        """
        A file, and its path.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def logged(self, call: Callable[[], Any]) -> tuple[Any, list[str]]:
        """
        What a call returns, and what it logs.
        """
        with capturedLogs() as events:
            result = call()
        return result, [str(formatEvent(event)) for event in events]


class PairTestCase(FilesTestCase):
    """
    One certificate and one key.
    """

    def setUp(self) -> None:
        super().setUp()
        self.old = pair(ends=timedelta(days=30))
        self.crt, self.key = self.put(self.old)

    def put(self, pair: tuple[bytes, bytes]) -> tuple[str, str]:
        """
        The files of a pair.
        """
        return self.write("site.crt", pair[0]), self.write("site.key", pair[1])

    def make(self) -> Any:
        """
        What most people use.
        """
        return DefaultOpenSSLContextFactory(self.key, self.crt)

    def renewed(self, make: Callable[[], Any] | None = None) -> RenewedContext:
        """
        A context that is renewed.
        """
        paths = [self.crt, self.key]
        return RenewedContext(make or self.make, paths, now=lambda: self.now)

    def assertKept(self, renewed: RenewedContext, why: str) -> None:
        """
        The old one is in use, which is logged the first time.
        """
        before = renewed.getContext()
        done, [line] = self.logged(renewed.renew)
        self.assertFalse(done)
        self.assertTrue(line.startswith(f"the certificate in use is kept: {why}"), line)
        self.assertEqual(self.logged(renewed.renew), (False, []))
        self.assertIs(renewed.getContext(), before)
        self.assertEqual(line, f"the certificate in use is kept: {renewed.problem}")
