"""
A web site over TLS. A connection is ended with close_notify, and one whose handshake
is under way gets its chance.

    twistd --nodaemon --python tac/tls.tac
    curl --insecure https://127.0.0.1:8443/

The certificate is made anew each time, and nobody trusts it. To use your own, name
their files: C{CERTIFICATE=site.crt KEY=site.key twistd ...}  When they change, new
connections use what is in them then.
"""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.web.server import Site
from twisted.web.static import Data

from terminable import TerminableService, Terminator, watch
from terminable.certificates import renewing


def selfSigned():
    """
    A key and a certificate for C{localhost}, in one text.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def endpointWith(certificate, key):
    """
    Where to listen. Both files have been read when this returns.
    """
    certificate, key = map(quoteStringArgument, (certificate, key))
    port = os.environ.get("PORT", "8443")
    # The files that are made here do not live for long enough to be renewed.
    make = renewing if "CERTIFICATE" in os.environ else serverFromString
    return make(reactor, f"ssl:{port}:interface=127.0.0.1:certKey={certificate}:privateKey={key}")


with TemporaryDirectory() as directory:
    pem = Path(directory, "localhost.pem")
    pem.write_bytes(selfSigned())
    endpoint = endpointWith(
        os.environ.get("CERTIFICATE", str(pem)), os.environ.get("KEY", str(pem))
    )

page = Data(b"secret\n", "text/plain")
page.isLeaf = True

terminator = Terminator(reactor, gracePeriod=25.0)
# A progress line a second while it ends; a second signal ends it at once.
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, Site(page))

# twistd looks for this name.
application = Application("tls")
server.setServiceParent(application)
