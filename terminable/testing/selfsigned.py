"""
Certificates for tests: made on the spot, signed by themselves.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

#: When they begin and end to be valid, from now, if nothing else is said.
YESTERDAY, SOON = timedelta(days=-1), timedelta(days=2)


def pair(
    name: str = "localhost", begins: timedelta = YESTERDAY, ends: timedelta = SOON
) -> tuple[bytes, bytes]:
    """
    A certificate that has signed itself, and its key.

    @param name: whose certificate it is: a host's name.
    @param begins: when it begins to be valid, from now.
    @param ends: when that ends.
    @return: both in PEM format.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today + begins)
        .not_valid_after(today + ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def selfSigned(
    name: str = "localhost", begins: timedelta = YESTERDAY, ends: timedelta = SOON
) -> bytes:
    """
    As L{pair}.

    @return: the certificate and its key, in one PEM text.
    """
    return b"".join(pair(name, begins, ends))
