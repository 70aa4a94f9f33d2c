"""
Tests for L{terminable.handover.offered}.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.application.internet import StreamServerEndpointService, TCPServer
from twisted.application.service import MultiService, Service
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.interfaces import IReactorCore, IStreamServerEndpoint
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

from terminable.handover.offered import (
    Adopting,
    OfferedSocket,
    describe,
    lend,
    lock,
    offeredTo,
    withReactor,
)
from terminable.tracking import internals
from tests.handingover import CoreReactor, HandoverTestCase


@implementer(IStreamServerEndpoint)
class Outer:
    """
    An endpoint around another one.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def listen(self, factory: Any) -> Any:
        return self.inner.listen(factory)


class OfferedTestCase(HandoverTestCase):
    """
    Has what is offered to a reactor.
    """

    def setUp(self) -> None:
        super().setUp()
        self.offered = offeredTo(self.reactor)
        self.addCleanup(self.offered.closeRest)

    def offer(self, sock: socket.socket, name: str = "terminable", own: bool = False) -> Any:
        """
        Offer a socket.
        """
        offer = OfferedSocket(name, sock, own)
        self.offered.add([offer])
        return offer

    def atPath(self, own: bool = False) -> tuple[str, Any]:
        """
        Offer a UNIX socket.
        """
        # Paths of sockets must be short.
        path = os.path.relpath(self.mktemp())
        return path, self.offer(self.listener(socket.AF_UNIX, path), own=own)


class DescribeTests(HandoverTestCase):
    """
    Where a socket listens, for people.
    """

    def test_tcp(self) -> None:
        """
        It is a host and a port.
        """
        sock = self.listener()
        self.assertEqual(describe(sock), f"127.0.0.1:{sock.getsockname()[1]}")

    def test_unix(self) -> None:
        """
        It is a path, or a name.
        """
        path = os.path.relpath(self.mktemp())
        self.assertEqual(describe(self.listener(socket.AF_UNIX, path)), f"unix:{path}")
        name = f"\0{path}"
        self.assertEqual(describe(self.listener(socket.AF_UNIX, name)), f"unix:@{path}")


class FindingTests(OfferedTestCase):
    """
    Which socket somebody should be given.
    """

    def test_address(self) -> None:
        """
        It is the one that is bound where somebody would bind.
        """
        port = self.listener().getsockname()[1]
        sock = self.listener()
        offer = self.offer(sock)
        number = sock.getsockname()[1]
        self.assertIs(self.offered.at(number, "127.0.0.1"), offer)
        self.assertIsNone(self.offered.at(port, "127.0.0.1"))
        self.assertIsNone(self.offered.at(number, ""))
        self.assertIsNone(self.offered.at(number, "::1"))
        self.assertIn(f"127.0.0.1:{number}", repr(offer))
        self.assertEqual(len(self.offered), 1)

    def test_everywhere(self) -> None:
        """
        One that is bound everywhere is for those who do not say where.
        """
        sock = self.listener(place=("0.0.0.0", 0))
        offer = self.offer(sock)
        self.assertIs(self.offered.at(sock.getsockname()[1], ""), offer)

    def test_any(self) -> None:
        """
        Whoever wants any port is given one that was the kernel's choice, and no other.
        """
        self.offer(self.listener(), "terminable")
        self.assertIsNone(self.offered.at(0, "127.0.0.1"))
        offer = self.offer(self.listener(), "any")
        self.assertIs(self.offered.at(0, "127.0.0.1"), offer)

    def test_nowhere(self) -> None:
        """
        An interface that cannot be found out is none.
        """
        sock = self.listener(socket.AF_INET6, ("::1", 0))
        number = sock.getsockname()[1]
        offer = self.offer(sock)
        self.assertFalse(offer.isAt(number, "127.0.0.1", socket.AF_INET6))
        self.assertIs(self.offered.at(number, "::1"), offer)

    def test_path(self) -> None:
        """
        A UNIX socket is found by its path, however that is written.
        """
        self.offer(self.listener())
        path, offer = self.atPath()
        self.assertIs(self.offered.atPath(os.path.abspath(path)), offer)
        self.assertIsNone(self.offered.atPath(path + "x"))

    def test_names(self) -> None:
        """
        Those that came to us keep their place and name; the others have none.
        """
        one, two, three = self.listener(), self.listener(), self.listener()
        self.offer(one, "a")
        self.offer(two, "b")
        self.offered.remember(os.fstat(one.fileno()).st_ino, "c")
        self.assertEqual(self.offered.nameOf(one), (0, "a"))
        self.assertEqual(self.offered.nameOf(two), (1, "b"))
        self.assertIsNone(self.offered.nameOf(three))

    def test_others(self) -> None:
        """
        They are somebody else's too if they are lent, or if that one still accepts.
        """
        one, two = self.listener(), self.listener()
        self.offer(one)
        self.assertFalse(self.offered.isLent(one) or self.offered.isEarly(one))
        self.offered.early = True
        self.assertTrue(self.offered.isLent(one) and self.offered.isEarly(one))
        self.assertFalse(self.offered.isLent(two) or self.offered.isEarly(two))
        self.offered.early, self.offered.lent = False, True
        self.assertTrue(self.offered.isLent(one))
        self.assertFalse(self.offered.isEarly(one))

    def test_one(self) -> None:
        """
        A reactor has the same ones every time, and another reactor others.
        """
        self.assertIs(offeredTo(self.reactor), self.offered)
        self.assertIsNot(offeredTo(CoreReactor()), self.offered)


class ListeningTests(OfferedTestCase):
    """
    An endpoint that is given a socket.
    """

    def listen(self, endpoint: Any) -> Any:
        """
        Listen, with what is offered.
        """
        return self.successResultOf(self.offered.through(endpoint).listen(self.factory))

    def test_nothing(self) -> None:
        """
        Where nothing is offered, an endpoint and a reactor stay as they are.
        """
        endpoint = TCP4ServerEndpoint(self.reactor, 0)
        self.assertIs(self.offered.through(endpoint), endpoint)
        self.assertIs(self.offered.reactor(self.reactor), self.reactor)
        self.assertIsNone(self.offered.reactor())

    def test_tcp(self) -> None:
        """
        A TCP endpoint listens on the socket; whoever wants to know is told.
        """
        taken: list[Any] = []
        self.offered.taken = taken.append
        sock = self.listener()
        place = sock.getsockname()
        inode = os.fstat(sock.fileno()).st_ino
        self.offer(sock, "web")
        port = self.listen(TCP4ServerEndpoint(self.reactor, place[1], 17, "127.0.0.1"))
        self.assertEqual(os.fstat(port.fileno()).st_ino, inode)
        self.assertEqual((taken, self.offered.claimed, len(self.offered)), ([port], ["web"], 0))
        self.assertEqual(port.backlog, 17)
        self.assertTrue(internals.adopted(port))
        self.assertEqual(sock.fileno(), -1)

    def test_own(self) -> None:
        """
        A socket that nobody else has is shut when its port closes.
        """
        sock = self.listener()
        self.offer(sock, own=True)
        number = sock.getsockname()[1]
        port = self.listen(TCP4ServerEndpoint(self.reactor, number, interface="127.0.0.1"))
        self.assertFalse(internals.adopted(port))

    def test_elsewhere(self) -> None:
        """
        What is not offered is bound, TCP and UNIX.
        """
        self.offer(self.listener())
        path = os.path.relpath(self.mktemp())
        port = self.listen(TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1"))
        other = self.listen(UNIXServerEndpoint(self.reactor, path))
        for each in (port, other):
            # Perhaps by the reactor that is installed.
            self.addCleanup(each.stopReading)
        self.assertTrue(port.connected and other.connected)
        self.assertEqual(len(self.offered), 1)

    def test_unix(self) -> None:
        """
        A UNIX endpoint listens on the socket, which is given its mode; the lock is taken if
        nobody else has it.
        """
        path, _ = self.atPath()
        port = self.listen(UNIXServerEndpoint(self.reactor, path, 5, 0o600, 1))
        self.assertEqual((port.wantPID, port.backlog, port.mode), (1, 5, 0o600))
        self.assertEqual(Path(path).stat().st_mode & 0o777, 0o600)
        self.assertIsNone(port.lockFile)
        lock(port)
        self.assertTrue(os.path.islink(f"{path}.lock"))
        again = port.lockFile
        lock(port)
        self.assertIs(port.lockFile, again)

    def test_unixOwn(self) -> None:
        """
        A UNIX socket that nobody else has is locked at once.
        """
        path, _ = self.atPath(own=True)
        port = self.listen(UNIXServerEndpoint(self.reactor, path, wantPID=1))
        self.assertTrue(port.lockFile.locked)

    def test_unixLocked(self) -> None:
        """
        A lock that somebody else has stays his.
        """
        path, _ = self.atPath(own=True)
        os.symlink("1", f"{path}.lock")
        port = self.listen(UNIXServerEndpoint(self.reactor, path, wantPID=1))
        self.assertIsNone(port.lockFile)

    def test_abstract(self) -> None:
        """
        A UNIX socket without a file has no mode.
        """
        name = f"\0{self.mktemp()}"
        self.offer(self.listener(socket.AF_UNIX, name))
        adopting = Adopting(self.reactor, self.offered)
        self.patch(self.offered, "atPath", lambda path: self.offered._waiting[0])
        self.assertTrue(adopting.listenUNIX(name, self.factory).connected)

    def test_ssl(self) -> None:
        """
        So does one with TLS on top.
        """
        sock = self.listener()
        self.offer(sock)
        adopting = Adopting(self.reactor, self.offered)
        number = sock.getsockname()[1]
        port = adopting.listenSSL(number, self.factory, CertificateOptions(), interface="127.0.0.1")
        self.assertIs(port.factory.wrappedFactory, self.factory)
        self.assertTrue(IReactorCore.providedBy(adopting))
        self.assertEqual(adopting.seconds(), 0.0)

    def test_descriptor(self) -> None:
        """
        Who listens on a descriptor that is offered, and closes it, has it.
        """
        sock = self.listener()
        self.offer(sock, "web")
        descriptor = sock.fileno()
        port = self.listen(AdoptedStreamServerEndpoint(self.reactor, descriptor, socket.AF_INET))
        self.assertTrue(port.connected)
        self.assertEqual(self.offered.claimed, ["web"])
        self.assertEqual(sock.fileno(), -1)

    def test_otherDescriptor(self) -> None:
        """
        Who listens on another one, too.
        """
        self.offer(self.listener())
        other = self.listener()
        endpoint = AdoptedStreamServerEndpoint(self.reactor, os.dup(other.fileno()), socket.AF_INET)
        self.assertTrue(self.listen(endpoint).connected)
        self.assertEqual(self.offered.claimed, [])

    def test_rest(self) -> None:
        """
        What nobody wants is closed; of several, those that are meant.
        """
        one, two, three = self.listener(), self.listener(), self.listener()
        first = self.offer(one)
        self.offer(two)
        other = OfferedSocket("x", three)
        self.offered.closeRest([first, other])
        self.assertEqual((one.fileno(), len(self.offered)), (-1, 1))
        self.assertNotEqual(three.fileno(), -1)
        self.offered.closeRest()
        self.assertEqual((two.fileno(), len(self.offered)), (-1, 0))


class WithReactorTests(OfferedTestCase):
    """
    Endpoints that are to use another reactor.
    """

    def test_inner(self) -> None:
        """
        An endpoint within others is replaced; they themselves stay as they are.
        """
        inner = TCP4ServerEndpoint(self.reactor, 0)
        outer = Outer(Outer(inner))
        other = CoreReactor()
        replaced = withReactor(outer, self.reactor, other)
        self.assertIs(vars(replaced.inner.inner)["_reactor"], other)
        self.assertIs(outer.inner.inner, inner)
        self.assertIs(vars(inner)["_reactor"], self.reactor)

    def test_unrelated(self) -> None:
        """
        One that uses another reactor, or has nothing in it, stays.
        """
        endpoint = Outer(TCP4ServerEndpoint(CoreReactor(), 0))
        same = withReactor(endpoint, self.reactor, CoreReactor())
        self.assertIs(vars(same.inner)["_reactor"], vars(endpoint.inner)["_reactor"])
        thing = object()
        self.assertIs(withReactor(thing, self.reactor, None), thing)


class LendTests(OfferedTestCase):
    """
    Services of others.
    """

    def test_lent(self) -> None:
        """
        Whatever listens in a service, or in those within, does so on what is offered.
        """
        self.offer(self.listener())
        outer, inner = MultiService(), MultiService()
        inner.setServiceParent(outer)
        modern = StreamServerEndpointService(TCP4ServerEndpoint(self.reactor, 0), self.factory)
        former: Any = TCPServer(0, self.factory, reactor=self.reactor)
        former.reactor = self.reactor
        for service in (modern, former, Service()):
            service.setServiceParent(inner)
        lend(outer, self.offered)
        self.assertIsInstance(vars(modern.endpoint)["_reactor"], Adopting)
        self.assertIsInstance(former.reactor, Adopting)
