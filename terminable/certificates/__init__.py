"""
Certificates that are renewed without a restart.

New handshakes use the newest good certificate, and connections that live go on.  What is
broken, expired, or only half written is not used: the log says why, and the certificate
in use stays.
"""

from __future__ import annotations

from terminable.certificates.endpoint import renewing
from terminable.certificates.hangup import aroundHangup, onHangup, renewOnHangup
from terminable.certificates.named import RenewedDirectory
from terminable.certificates.renewed import RenewedContext
from terminable.certificates.watching import CertificateWatch, watchFiles

__all__ = [
    "CertificateWatch",
    "RenewedContext",
    "RenewedDirectory",
    "aroundHangup",
    "onHangup",
    "renewOnHangup",
    "renewing",
    "watchFiles",
]
