"""
An FTP control connection in memory, and its drainer.
"""

from __future__ import annotations

from tempfile import mkdtemp
from typing import Any

import twisted.internet
from twisted.cred.checkers import AllowAnonymousAccess
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols import ftp
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from terminable.drainers import library
from terminable.interfaces import IDrainer
from tests.imapftp import Watch

GOODBYE = b"421 Service not available, closing control connection.\r\n"
DONE = b"226 Transfer Complete.\r\n"
CONTENT = b"0123456789" * 10_000


class Shell(ftp.FTPShell):
    """
    Somebody's files.

    @ivar granting: what C{access} waits for.
    """

    granting: Deferred[Any] | None = None

    def access(self, path: Any) -> Any:
        """
        See L{ftp.IFTPShell}.
        """
        return self.granting or super().access(path)


class FTPTestCase(SynchronousTestCase):
    """
    A control connection whose user has logged in.

    @ivar ports: the ports that the server listens on for data connections.
    """

    def setUp(self) -> None:
        library.load()
        self.reactor = MemoryReactorClock()
        self.patch(twisted.internet, "reactor", self.reactor)
        self.patch(ftp, "reactor", self.reactor)
        self.files = FilePath(mkdtemp())
        self.addCleanup(self.files.remove)
        self.files.child("big.bin").setContent(CONTENT)
        self.shell = Shell(self.files)
        self.server = self.session()
        library.begin(self.server)
        self.connect()

    def session(self) -> Any:
        """
        A server's end.
        """
        self.ports: list[Any] = []
        factory = ftp.FTPFactory(Portal(self, [AllowAnonymousAccess()]))  # type: ignore[arg-type]
        self.wrapper: Any = factory.buildProtocol(None)
        server = self.wrapper.wrappedProtocol
        server.listenFactory = self.listen
        return server

    def requestAvatar(self, who: object, mind: object, *interfaces: object) -> Any:
        """
        See L{twisted.cred.portal.IRealm}.
        """
        return ftp.IFTPShell, self.shell, lambda: None

    def listen(self, number: int, factory: Any, interface: str = "") -> Any:
        """
        Listen for data connections.
        """
        port: Any = self.reactor.listenTCP(number, factory, interface=interface)
        port.stopListening = lambda: self.ports.remove(factory)
        self.ports.append(factory)
        return port

    def connect(self) -> None:
        """
        Log in.
        """
        self.transport = StringTransport()
        self.wrapper.makeConnection(self.transport)
        self.addCleanup(self.server.setTimeout, None)
        self.drainer: Any = IDrainer(self.server)
        self.watch = Watch(self.reactor)
        self.assertFalse(self.drainer.isBusy())
        self.said("USER anonymous")
        self.assertTrue(self.said("PASS secret").startswith(b"230 "))
        self.assertFalse(self.drainer.isBusy())

    def said(self, *lines: str) -> bytes:
        """
        What the server says to some lines.
        """
        self.server.dataReceived("".join(f"{line}\r\n" for line in lines).encode())
        return self.heard()

    def heard(self) -> bytes:
        """
        What it has said.
        """
        self.reactor.advance(0)
        heard: bytes = self.transport.value()
        self.transport.clear()
        return heard

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self.watch)
        self.assertEqual(self.heard(), b"")

    def passive(self) -> Any:
        """
        Open a data connection.

        @return: its server's end.
        """
        self.said("TYPE I")
        self.assertTrue(self.said("PASV").startswith(b"227 "))
        return self.dataConnection(self.ports[-1])

    def dataConnection(self, factory: Any) -> Any:
        """
        It is established.
        """
        data, transport = factory.buildProtocol(None), StringTransport()
        data.makeConnection(transport)
        self.reactor.advance(0)
        return data

    def finish(self, data: Any) -> bytes:
        """
        Take everything from a data connection, to its end.
        """
        transport = data.transport
        while transport.producer is not None:
            transport.producer.resumeProducing()
        self.end(data)
        return bytes(transport.value())

    def end(self, data: Any) -> None:
        """
        A data connection is over.
        """
        data.connectionLost(connectionDone)
        self.reactor.advance(0)

    def lose(self) -> None:
        """
        The control connection is over.
        """
        self.wrapper.connectionLost(connectionDone)
        self.reactor.advance(0)

    def assertGone(self, heard: bytes) -> None:
        """
        It was said goodbye, and nothing else, and not in vain.
        """
        self.assertEqual(heard, GOODBYE)
        self.assertTrue(self.transport.disconnecting)
