"""
A server whose certificate is exchanged under load.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable

from tests.live.clients import Address, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort

#: Seconds within which the new certificate has to be seen.
PROMPT = 10.0

#: So many threads make connections, and so many of these are between two changes.
THREADS, BETWEEN = 4, 60

SOURCE = """
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.server import Site
from twisted.web.static import Data

from terminable import TerminableService, Terminator
from terminable.certificates import RenewedContext, renewing, watchFiles

{setting}
server = TerminableService(Terminator(reactor, gracePeriod=5.0))
page = Data(b"secret\\n", "text/plain")
page.isLeaf = True
server.listenOn(endpoint, Site(page))
application = Application("renewed")
server.setServiceParent(application)
"""

#: By the API, watched; and the same without inotify, at SIGHUP.
PLAIN = """
files = [{key!r}, {certificate!r}]
renewed = RenewedContext(lambda: DefaultOpenSSLContextFactory(*files), files)
endpoint = SSL4ServerEndpoint(reactor, {port}, renewed, interface="127.0.0.1")
"""
WATCHED = "watchFiles(reactor, [renewed])\n"

#: Root may read everything; a user without rights may not.
NOBODY = """
import os
import twisted.internet.inotify
if os.geteuid() == 0:
    # Nobody may enter the directories in which others start.
    reactor.callWhenRunning(os.seteuid, 65534)
"""
HANGUP = "import sys\nsys.modules['twisted.internet.inotify'] = None\n"


def der(pem: bytes) -> bytes:
    """
    What a peer shows whose certificate is in C{pem}.
    """
    return ssl.PEM_cert_to_DER_cert(pem.decode().partition("-----BEGIN PRIVATE")[0])


class Load:
    """
    Threads that make one connection after the other, and ask for a page on each.

    @ivar shown: the certificates that were seen, and when each was seen last.
    @ivar failures: what went wrong.
    @ivar handshakes: how many there were.
    """

    def __init__(self, address: Address) -> None:
        self.shown: dict[bytes, float] = {}
        self.failures: list[str] = []
        self.handshakes = 0
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                peer = self._address.connect()
                self.shown[shownTo(peer)] = time.monotonic()
                if peer.get("/").status != 200:
                    self.failures.append("another status")
                peer.close()
                self.handshakes += 1
            except Exception as problem:
                self.failures.append(repr(problem))

    def goOn(self) -> None:
        """
        Return when there were some more.
        """
        enough = self.handshakes + BETWEEN
        if not eventually(lambda: self.handshakes >= enough or self.failures):
            raise AssertionError(f"{self.handshakes} handshakes")

    def stop(self) -> None:
        """
        Enough.
        """
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def shownTo(peer: Peer) -> bytes:
    """
    The certificate that a client sees.
    """
    assert isinstance(peer.sock, ssl.SSLSocket)
    return peer.sock.getpeercert(binary_form=True) or b""


class CertificateTestCase(LiveTestCase):
    """
    A server and its files.
    """

    def setUp(self) -> None:
        self.folder = self.directory()
        self.address = Address(port=freePort(), tls=True)

    def write(self, name: str, data: bytes) -> str:
        """
        A file, written as an editor would not: in place, in two parts.
        """
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(0.05)
            file.write(data[len(data) // 2 :])
        return str(path)

    def replace(self, name: str, data: bytes) -> None:
        """
        A file, renamed into its place.
        """
        os.replace(self.write(f"{name}.new", data), self.folder / name)

    def serveWith(self, setting: str) -> Server:
        """
        A server whose endpoint is made like that.
        """
        path = self.folder / "renewed.tac"
        path.write_text(SOURCE.format(setting=setting))
        return self.start("--python", str(path))

    def description(self, rest: str) -> str:
        """
        What makes an endpoint out of a description.
        """
        return f"endpoint = renewing(reactor, {rest!r})"

    def seen(self, name: str = "localhost") -> bytes:
        """
        What a new connection is shown.
        """
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        peer = Address(port=self.address.port).reach()
        with context.wrap_socket(peer.sock, server_hostname=name) as sock:
            return sock.getpeercert(binary_form=True) or b""

    def assertTurnsTo(self, pem: bytes, name: str = "localhost") -> None:
        """
        New connections are shown this certificate, soon.
        """
        found = eventually(lambda: self.seen(name) == der(pem), PROMPT)
        self.assertTrue(found, self.servers[-1].log() if self.servers else "")

    servers: tuple[Server, ...] = ()

    def exchange(self, server: Server, changes: list[tuple[bytes, Callable[[], object]]]) -> None:
        """
        Make changes under load. Each leads to the certificate beside it, nothing else is
        ever shown, nobody is refused, and who is connected stays so.
        """
        self.servers = (server,)
        first = self.seen()
        kept = self.address.connect()
        self.assertEqual(kept.get("/").status, 200)
        load = Load(self.address)
        try:
            load.goOn()
            for pem, change in changes:
                change()
                self.assertTurnsTo(pem)
                load.goOn()
        finally:
            load.stop()
        self.assertEqual(load.failures, [], server.log())
        allowed = {first, *(der(pem) for pem, _ in changes)}
        self.assertEqual(set(load.shown), allowed)
        latest = max(load.shown, key=lambda each: load.shown[each])
        self.assertEqual(latest, der(changes[-1][0]))
        self.assertEqual(kept.get("/").status, 200)
        self.assertEqual(shownTo(kept), first)
        kept.close()
        self.assertEqual(server.log().count("now using the certificate"), len(changes))
        self.assertNotIn("Traceback", server.log())
