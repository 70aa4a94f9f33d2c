"""
What shows a server who asks, read from files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terminable.errors import InvalidOption

if TYPE_CHECKING:
    # Loaded where somebody has a certificate.
    from twisted.internet.ssl import Certificate, PrivateCertificate


@dataclass(frozen=True)
class Credentials:
    """
    What shows who we are, and who the server is.

    @ivar token: what goes with every request; C{None} for nothing.
    @ivar certificate: ours, with its key, for TLS.
    @ivar authority: the only one whose certificates we believe; C{None} for those that the
        system believes.
    """

    token: str | None = None
    certificate: PrivateCertificate | None = None
    authority: Certificate | None = None


def tokenIn(path: str) -> str:
    """
    @return: the one word in a file.
    @raise InvalidOption: the file cannot be read, or has something else in it.
    """
    token = _read("--token-file", path).strip()
    if not token or not token.isascii() or not all(33 <= byte <= 126 for byte in token):
        # What was found is a secret, or was to be one.
        raise InvalidOption("--token-file", path, "a file with one word of printable ASCII")
    return token.decode("ascii")


def certificateIn(path: str) -> PrivateCertificate:
    """
    @return: the certificate and the key in a PEM file.
    @raise InvalidOption: there is no such file, or not both in it.
    """
    from twisted.internet.ssl import PrivateCertificate

    try:
        found: PrivateCertificate = PrivateCertificate.loadPEM(_read("--certificate", path))
    except InvalidOption:
        raise
    except Exception:
        expected = "a PEM file with a certificate and its key"
        raise InvalidOption("--certificate", path, expected) from None
    return found


def authorityIn(path: str) -> Certificate:
    """
    @return: the certificate in a PEM file.
    @raise InvalidOption: there is no such file, or none in it.
    """
    from twisted.internet.ssl import Certificate

    try:
        found: Certificate = Certificate.loadPEM(_read("--ca-file", path))
    except InvalidOption:
        raise
    except Exception:
        expected = "a PEM file with the certificate of an authority"
        raise InvalidOption("--ca-file", path, expected) from None
    return found


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise InvalidOption(option, path, f"a file that can be read ({reason})") from None
