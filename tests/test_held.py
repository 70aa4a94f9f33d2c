"""
Ports that only keep their sockets open.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.handover.held import HeldPorts, Nobody
from terminable.handover.offered import OfferedSocket, offeredTo
from tests.doubles import Boom
from tests.workdoubles import WorkReactor, inode, listens, taking


@implementer(IStreamServerEndpoint)
class Late:
    """
    An endpoint that listens, and says so later.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.ports: list[Any] = []
        self.opened: Deferred[None] = Deferred()

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        port = self._reactor.listenTCP(0, protocolFactory, interface="127.0.0.1")
        self.ports.append(port)
        return self.opened.addCallback(lambda _: port)


class HeldTestCase(SynchronousTestCase):
    """
    Held ports, on real sockets.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.ports = HeldPorts(self.reactor)
        self.addCleanup(self.ports.closeNow)

    def hold(self, endpoint: object) -> tcp.Port:
        """
        Listen.
        """
        self.successResultOf(self.ports.listen(endpoint))  # type: ignore[arg-type]
        port: tcp.Port = self.ports.listeners[-1].port
        self.assertNotIn(port, self.reactor.getReaders())
        return port

    def onTCP(self, port: int = 0) -> tcp.Port:
        """
        Listen on a TCP port.
        """
        return self.hold(TCP4ServerEndpoint(self.reactor, port, interface="127.0.0.1"))


class HoldingTests(HeldTestCase):
    """
    While they are open.
    """

    def test_nobody(self) -> None:
        """
        Nobody is served, should it ever come to that.
        """
        nobody: Factory = Nobody()
        self.assertIsNone(nobody.buildProtocol(None))

    def test_queue(self) -> None:
        """
        Who connects waits, also when an upgrade was not to be.
        """
        port = self.onTCP()
        address = port.socket.getsockname()
        self.assertTrue(listens(address))
        (listener,) = self.ports.listeners
        listener.pause()
        listener.unpause()
        self.reactor.turn()
        self.assertEqual(port.sessionno, 0)

    def test_taken(self) -> None:
        """
        A socket from somebody else is held too, and is not accepted from when this process
        takes over.
        """
        theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        takeover = taking(self.reactor)
        takeover.waiting = True
        offered = offeredTo(self.reactor)
        offered.taken = takeover.pause
        offered.add([OfferedSocket("theirs", theirs.dup())])
        port = self.onTCP(theirs.getsockname()[1])
        self.assertEqual(inode(port.socket), inode(theirs))
        takeover.serve()
        self.reactor.advance(0)
        self.assertNotIn(port, self.reactor.getReaders())

    def test_late(self) -> None:
        """
        Nobody is accepted either before an endpoint says that it listens.
        """
        endpoint = Late(self.reactor)
        self.ports.listen(endpoint)
        (port,) = endpoint.ports
        self.assertNotIn(port, self.reactor.getReaders())
        endpoint.opened.callback(None)
        self.assertEqual([each.port for each in self.ports.listeners], [port])

    def test_order(self) -> None:
        """
        What came from somebody else is given on first.
        """
        theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        own = self.onTCP()
        offeredTo(self.reactor).add([OfferedSocket("theirs", theirs.dup())])
        taken = self.onTCP(theirs.getsockname()[1])
        expected = [("theirs", taken.socket), ("any", own.socket)]
        self.assertEqual(self.ports.sockets(), expected)

    def test_descriptor(self) -> None:
        """
        A descriptor that an endpoint brings is held.
        """
        theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        theirs.setblocking(False)
        number = os.dup(theirs.fileno())
        port = self.hold(AdoptedStreamServerEndpoint(self.reactor, number, socket.AF_INET))
        self.assertEqual(inode(port.socket), inode(theirs))

    def test_handedOver(self) -> None:
        """
        When somebody else has them, they are closed here, and go on listening.
        """
        port = self.onTCP()
        address = port.socket.getsockname()
        with port.socket.dup():
            self.ports.handOver()
            self.assertTrue(self.ports.handedOver)
            self.assertEqual(self.ports.listeners, [])
            self.assertTrue(listens(address))


class ClosingTests(HeldTestCase):
    """
    When they close.
    """

    def test_queued(self) -> None:
        """
        Who has connected is left to the workers, and nobody else can connect.
        """
        port = self.onTCP()
        address = port.socket.getsockname()
        with port.socket.dup() as worker, socket.create_connection(address, 2) as client:
            closed: list[bool] = []
            self.ports.closeAll(0.2, lambda: closed.append(True))
            if not closed:
                # The kernel has agreed to let nobody else in.
                with socket.socket() as late:
                    late.settimeout(0.05)
                    self.assertRaises(OSError, late.connect, address)
                self.reactor.advance(0.2)
            self.assertEqual(closed, [True])
            worker.setblocking(True)
            worker.settimeout(2)
            accepted, peer = worker.accept()
            accepted.close()
            self.assertEqual(peer, client.getsockname())

    def test_foreign(self) -> None:
        """
        A socket that somebody else may still need is left as it is.
        """
        theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        offeredTo(self.reactor).add([OfferedSocket("theirs", theirs.dup())])
        self.onTCP(theirs.getsockname()[1])
        closed: list[bool] = []
        self.ports.closeAll(0.2, lambda: closed.append(True))
        self.assertEqual(closed, [True])
        self.assertTrue(listens(theirs.getsockname()))

    def test_closed(self) -> None:
        """
        One that has closed by itself is no obstacle.
        """
        port = self.onTCP()
        (listener,) = self.ports.listeners
        port.connectionLost(Failure(Boom()))
        self.assertFalse(listener.refuseNew())

    def test_path(self) -> None:
        """
        The path of a UNIX socket goes away here, and not before.
        """
        path = os.path.join(tempfile.mkdtemp(), "socket")
        self.hold(UNIXServerEndpoint(self.reactor, path))
        self.assertTrue(listens(path))
        self.ports.closeAll(0.0, lambda: None)
        self.assertFalse(os.path.exists(path))
