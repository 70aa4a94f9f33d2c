"""
One listening port: TCP, UNIX, or handed to us.

The sockets are real; no reactor runs.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.error import CannotListenError

from terminable.handover.offered import STRAY, offeredTo
from terminable.listener import Listener
from terminable.slices import BUDGET
from tests.doubles import Boom, Plain, PortTestCase, listeningPort

LINUX = skipUnless(sys.platform.startswith("linux"), "only Linux has these")


class ListenerTests(PortTestCase):
    """
    One port of TCP.
    """

    def test_open(self) -> None:
        """
        It is open until it is closed.
        """
        listener = self.open()
        self.assertEqual((listener.open, listener.suspended), (True, False))
        listener.close()
        self.assertEqual((listener.open, listener.suspended), (False, True))
        self.assertEqual(self.reactor.readers, [])
        self.assertRaises(OSError, self.client)

    def test_closedTwice(self) -> None:
        """
        Closing it again changes nothing.
        """
        listener = self.open()
        listener.close()
        listener.close()
        listener.release()
        self.assertEqual(self.factory.numPorts, 0)

    def test_factoryLivesOn(self) -> None:
        """
        Its factory is stopped when the last connection is gone, not with the port.
        """
        listener = self.open()
        listener.close()
        self.assertEqual(self.factory.numPorts, 1)
        listener.release()
        self.assertEqual(self.factory.numPorts, 0)
        listener.release()
        self.assertEqual(self.factory.numPorts, 0)

    def test_factoryWithoutACount(self) -> None:
        """
        A factory that does not count its ports is started and stopped by its port
        alone.
        """

        class Bare:
            started = 0

            def doStart(self) -> None:
                self.started += 1

            def doStop(self) -> None:
                self.started -= 1

        factory: Any = Bare()
        listener = Listener(listeningPort(self.reactor, factory), self.reactor)
        listener.close()
        self.assertEqual(factory.started, 0)
        listener.release()
        self.assertEqual(factory.started, 0)

    def test_factoryThatFails(self) -> None:
        """
        A factory that fails when it is stopped is logged; the port is closed and
        forgotten all the same.
        """

        def fail() -> None:
            raise Boom

        listener = self.open()
        self.factory.stopFactory = fail  # type: ignore[method-assign]
        listener.close()
        listener.release()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertFalse(listener.open)

    def test_queueIsAcceptedFirst(self) -> None:
        """
        Who waits is accepted before it closes.
        """
        listener = self.open()
        self.queue(5)
        self.assertTrue(listener.acceptAndClose())
        self.assertEqual(len(self.factory.protocols), 5)
        self.assertFalse(listener.open)

    def test_noLongerThanATurn(self) -> None:
        """
        In one turn of the reactor only so many are accepted as it may take.
        """
        listener = self.open()
        self.queue(25)

        def connectionMade(protocol: Any) -> None:
            self.factory.protocols.append(protocol)
            self.reactor.rightNow += BUDGET / 12

        self.patch(Plain, "connectionMade", connectionMade)
        self.assertFalse(listener.acceptAndClose())
        self.assertTrue(listener.open)
        self.assertLess(len(self.factory.protocols), 25)
        self.assertTrue(listener.acceptAndClose())
        self.assertEqual(len(self.factory.protocols), 25)

    def test_closedByOthers(self) -> None:
        """
        One that somebody else has closed, or is closing, is left alone.
        """
        listener = self.open()
        closed = self.port.stopListening()
        self.assertTrue(listener.closing)
        listener.close()
        self.assertTrue(listener.open)
        self.reactor.advance(0)
        self.successResultOf(closed)
        self.assertEqual((listener.open, listener.closing), (False, False))
        self.assertTrue(listener.acceptQueued())
        self.assertTrue(listener.acceptAndClose())
        self.assertFalse(listener.refuseNew())
        self.assertEqual(self.factory.numPorts, 0)

    def test_suspendAndResume(self) -> None:
        """
        Suspended, it goes away after accepting who waits; it comes back on the same
        address, and its factory is running all the time.
        """
        listener = self.open()
        self.queue(2)
        self.assertTrue(listener.suspend())
        self.assertEqual(len(self.factory.protocols), 2)
        self.assertRaises(OSError, self.client)
        self.assertEqual(self.factory.numPorts, 1)
        listener.resume()
        self.assertEqual(self.port.socket.getsockname(), self.address)
        self.assertEqual(self.factory.numPorts, 1)
        self.client()
        self.reactor.turn()
        self.assertEqual(len(self.factory.protocols), 3)

    def test_taken(self) -> None:
        """
        If somebody else listens there by then it stays away, until he is gone.
        """
        listener = self.open()
        listener.suspend()
        with socket.create_server(self.address):
            self.assertRaises(CannotListenError, listener.resume)
            self.assertTrue(listener.suspended)
        listener.resume()
        self.assertTrue(listener.open)
        self.assertEqual(self.factory.numPorts, 1)

    @LINUX
    def test_refuseNew(self) -> None:
        """
        The kernel can be told to ignore who comes now; who was there is accepted.
        """
        listener = self.open()
        self.queue(2)
        if not listener.refuseNew():
            self.skipTest("the kernel does not agree to that here")
        late = socket.socket()
        self.addCleanup(late.close)
        late.setblocking(False)
        self.assertNotEqual(late.connect_ex(self.address), 0)
        self.assertTrue(listener.acceptAndClose())
        self.assertEqual(len(self.factory.protocols), 2)

    def test_someEndWhileTheyAreAccepted(self) -> None:
        """
        Who is accepted may have the port closed right then.
        """
        listener = self.open()
        self.queue(2)

        def connectionMade(protocol: Any) -> None:
            listener.close()

        self.patch(Plain, "connectionMade", connectionMade)
        self.assertTrue(listener.acceptQueued())
        self.assertFalse(listener.open)
        # Twisted says that its socket is gone.
        self.flushLoggedErrors(AttributeError, OSError)


class AdoptedTests(PortTestCase):
    """
    A port whose socket was handed to us.
    """

    def test_notShut(self) -> None:
        """
        Others who hold the socket still accept there.
        """
        listener = self.adopted()
        self.assertFalse(listener.refuseNew())
        self.assertTrue(listener.acceptAndClose())
        self.client()
        self.theirs.setblocking(True)
        self.theirs.settimeout(2)
        self.theirs.accept()[0].close()

    def test_suspended(self) -> None:
        """
        Suspended, it is left alone: who connects waits in its queue until it is
        resumed.
        """
        listener = self.adopted()
        self.assertTrue(listener.suspend())
        self.assertTrue(listener.suspended)
        self.client()
        self.reactor.turn()
        self.assertEqual(self.factory.protocols, [])
        listener.resume()
        self.assertFalse(listener.suspended)
        self.reactor.turn()
        self.assertEqual(len(self.factory.protocols), 1)

    def test_closedWhileSuspended(self) -> None:
        """
        It can be closed as well; who waits is accepted first.
        """
        listener = self.adopted()
        listener.suspend()
        self.client()
        self.assertTrue(listener.acceptAndClose())
        self.assertEqual(len(self.factory.protocols), 1)
        self.assertFalse(listener.open)


class UNIXTests(PortTestCase):
    """
    A UNIX socket.
    """

    def setUp(self) -> None:
        super().setUp()
        # Names of sockets must be short.
        self.path = os.path.relpath(self.mktemp())[-100:]
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)

    def client(self, family: int = socket.AF_UNIX) -> socket.socket:
        return super().client(family)

    def test_closed(self) -> None:
        """
        Who waits is accepted, and its file is gone.
        """
        listener = self.open(self.path)
        self.queue(3)
        self.assertTrue(listener.acceptAndClose())
        self.assertEqual(len(self.factory.protocols), 3)
        self.assertFalse(os.path.exists(self.path))

    def test_closedAtOnce(self) -> None:
        """
        So it is without the queue.
        """
        self.open(self.path).close()
        self.assertFalse(os.path.exists(self.path))

    def test_fileGoesFirst(self) -> None:
        """
        Its file goes before the queue is accepted, so that it cannot grow; it is
        removed once, and a file that somebody else puts there stays.
        """
        listener = self.open(self.path)
        self.queue(1)

        def connectionMade(protocol: Any) -> None:
            self.factory.protocols.append(protocol)
            with open(self.path, "x"):
                self.reactor.rightNow += BUDGET

        self.patch(Plain, "connectionMade", connectionMade)
        while not listener.acceptAndClose():
            self.assertTrue(os.path.exists(self.path))
        self.assertEqual(len(self.factory.protocols), 1)
        self.assertTrue(os.path.exists(self.path))

    def test_anothersFile(self) -> None:
        """
        What somebody else has put in the place of its file stays.
        """
        path = self.mktemp()
        listener = self.open(path)
        self.assertFalse(listener.isStray)
        os.rename(path, f"{path}.old")
        self.assertTrue(listener.isStray)
        with open(path, "w") as other:
            other.write("another's")
        self.assertEqual((listener.isStray, listener.name), (True, STRAY))
        offeredTo(self.reactor).remember(os.fstat(self.port.fileno()).st_ino, "site.socket")
        self.assertEqual(listener.name, "site.socket")
        listener.close()
        self.assertTrue(os.path.exists(path))
        os.unlink(f"{path}.old")

    def test_handedOverTooLate(self) -> None:
        """
        A successor is told that the path is another's, and leaves it alone; if it is not, it takes
        it away in the end.
        """
        for name, left in ((STRAY, True), ("terminable", False)):
            path = self.mktemp()
            port = listeningPort(self.reactor, self.factory, path)
            offered = offeredTo(self.reactor)
            offered.remember(os.fstat(port.fileno()).st_ino, name)
            listener = Listener(port, self.reactor)
            self.assertEqual(listener.name, name)
            listener.close()
            self.assertEqual(os.path.exists(path), left)

    def test_fileWasGone(self) -> None:
        """
        If somebody else has removed its file, that is no reason to fail.
        """
        listener = self.open(self.path)
        os.unlink(self.path)
        listener.close()
        self.assertFalse(listener.open)

    def test_suspendAndResume(self) -> None:
        """
        It goes away and comes back on the same path, more than once.
        """
        listener = self.open(self.path)
        for count in (1, 2):
            self.assertTrue(listener.suspend())
            self.assertFalse(os.path.exists(self.path))
            listener.resume()
            self.client()
            self.reactor.turn()
            self.assertEqual(len(self.factory.protocols), count)
        self.assertEqual(self.factory.numPorts, 1)
        listener.close()
        self.assertFalse(os.path.exists(self.path))

    def test_taken(self) -> None:
        """
        If somebody else listens there by then it stays away, and he is not disturbed;
        when he is gone it can be resumed.
        """
        listener = self.open(self.path)
        listener.suspend()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            self.assertRaises(CannotListenError, listener.resume)
            self.assertTrue(os.path.exists(self.path))
            self.assertTrue(listener.suspended)
        os.unlink(self.path)
        listener.resume()
        self.client()
        self.assertTrue(listener.open)

    @LINUX
    def test_abstract(self) -> None:
        """
        One without a file is closed and comes back like the others.
        """
        name = f"\0terminable-{os.getpid()}"
        listener = self.open(name)
        self.queue(1)
        self.assertTrue(listener.suspend())
        self.assertEqual(len(self.factory.protocols), 1)
        self.assertRaises(OSError, self.client)
        listener.resume()
        self.client()
        listener.close()
        self.assertRaises(OSError, self.client)
