"""
A process takes only what it should.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
from typing import Any

from twisted.internet import unix
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.protocols import amp
from twisted.web.server import Site

from terminable.errors import InvalidOption
from terminable.handover import passage, taking
from terminable.handover.movable import CannotMove, CannotTake
from terminable.handover.passing import Take
from terminable.handover.taking import hostOf, silentPort, tooMany
from terminable.tracking import internals
from tests.doubles import Boom
from tests.passages import CountingFactory, PassageTestCase, get, openFiles, sites


class RefusingTests(PassageTestCase):
    """
    What is not taken works on where it is.
    """

    def setUp(self) -> None:
        self.first, self.second = CountingFactory("a"), CountingFactory("b")
        self.begin(self.first, self.second)
        self.socket = self.client()
        self.heard(self.socket)
        self.files = openFiles()

    def stays(self, reason: str) -> None:
        """
        It is refused, and works on.
        """
        self.assertIn(reason, self.refused(CannotMove))
        self.assertHere()
        self.assertLessEqual(openFiles(), self.files)
        self.assertEqual(self.ask(self.socket, b"x\n"), b"a1 x\n")

    def test_noPort(self) -> None:
        """
        Nobody listens there.
        """
        self.taking._portFor = lambda host: None
        self.stays("nobody listens on IPv4Address")

    def test_otherKind(self) -> None:
        """
        The port is of another kind.
        """
        port = silentPort(self.reactor, self.second, socket.AF_UNIX)
        self.taking._portFor = lambda host: port
        self.stays("has connections of another kind")

    def test_portFails(self) -> None:
        """
        Whoever should find it fails.
        """

        def fail(host: Any) -> None:
            raise Boom()

        self.taking._portFor = fail
        self.stays("it has failed here: Boom()")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_factoryRefuses(self) -> None:
        """
        The factory does not want it.
        """
        self.second.prepare = lambda made: True
        self.stays("refuses it here")

    def test_protocolFails(self) -> None:
        """
        The protocol fails when it is connected.
        """

        def fail() -> None:
            raise Boom()

        self.second.prepare = lambda made: setattr(made, "onMade", fail)
        self.stays("it has failed here: Boom()")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(len(self.second.made[0].lost), 1)

    def test_tooManyFiles(self) -> None:
        """
        So many files are open that the next descriptors could get lost.
        """
        self.patch(taking, "tooMany", lambda descriptor: True)
        self.stays("too many connections are open here")

    def test_tooManyAtOnce(self) -> None:
        """
        So many are on their way.
        """
        self.patch(taking, "MOST", 0)
        self.stays("too many connections are open here")

    def test_countFails(self) -> None:
        """
        If nobody knows how many there are, it is taken all the same.
        """
        self.taking._count = lambda: 1 // 0
        self.pass_()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.sender.count, 0)

    def test_wrongChannel(self) -> None:
        """
        It takes nothing by what is no UNIX socket.
        """
        self.assertRaises(InvalidOption, self.taking.serve, amp.AMP())


class AttackingTests(PassageTestCase):
    """
    Peers that say odd things.
    """

    def setUp(self) -> None:
        self.first, self.second = CountingFactory("a"), CountingFactory("b")
        self.begin(self.first, self.second)
        self.files = openFiles()

    def say(self, descriptor: int, **changes: Any) -> Any:
        """
        Pass something.
        """
        inode = os.fstat(descriptor).st_ino
        what = {"descriptor": descriptor, "inode": inode, "kind": "raw", "state": b"0 "}
        what.update({"request": b"", "subprotocol": ""}, **changes)
        said: Deferred[Any] = Deferred()
        # What is not taken care of at once, AMP takes for a reason to go.
        self.near.callRemote(Take, **what).addCallbacks(said.callback, said.errback)
        return said

    def refusedToTake(self, saying: Any, reason: str) -> None:
        """
        It is refused.
        """
        self.until(lambda: saying.called)
        self.assertIn(reason, str(self.failureResultOf(saying, CannotTake).value))
        self.turns()

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """
        A connection.
        """
        ends = socket.socketpair()
        for end in ends:
            self.addCleanup(end.close)
        return ends

    def test_noSocket(self) -> None:
        """
        What is no socket.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        self.refusedToTake(self.say(reading), "it is no socket")
        os.close(reading)
        self.assertLessEqual(openFiles(), self.files + 1)

    def test_datagrams(self) -> None:
        """
        What is no stream.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            self.refusedToTake(self.say(sock.fileno()), "no stream socket")
        self.assertLessEqual(openFiles(), self.files)

    def test_listening(self) -> None:
        """
        What is not connected.
        """
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.refusedToTake(self.say(sock.fileno()), "it is over")
        self.assertLessEqual(openFiles(), self.files)

    def test_wrongSocket(self) -> None:
        """
        If descriptors got lost on the way, no connection gets another's state: the channel is
        out of step, and lost.
        """
        sock, _ = self.pair()
        files = openFiles()
        saying = self.say(sock.fileno(), inode=1)
        self.until(lambda: saying.called and self.near.transport is None)
        self.failureResultOf(saying)
        self.assertTrue(self.sender.lost)
        self.assertEqual(self.second.made, [])
        self.assertLessEqual(openFiles(), files)

    def test_missing(self) -> None:
        """
        So if one is not there at all.
        """
        sock, _ = self.pair()
        self.far.fileDescriptorReceived = os.close  # type: ignore[method-assign]
        saying = self.say(sock.fileno())
        self.until(lambda: saying.called and self.near.transport is None)
        self.failureResultOf(saying)
        self.assertEqual(self.second.made, [])

    def test_oddKind(self) -> None:
        """
        A kind that nobody knows.
        """
        client = self.client()
        [connection] = self.here.connections()
        descriptor = connection.transport.fileno()
        self.refusedToTake(self.say(descriptor, kind="tls"), "tls is not known here")
        self.assertEqual(self.ask(client, b"x\n"), b"hello\na1 x\n")

    def test_tooOften(self) -> None:
        """
        A connection that is passed once more while it is here is another connection, to the
        same peer; whoever passes twice has itself to blame, and nobody else is harmed.
        """
        self.client()
        [connection] = self.here.connections()
        for _ in range(2):
            saying = self.say(connection.transport.fileno())
            self.until(lambda saying=saying: saying.called)
            self.successResultOf(saying)
        self.assertHere(1, 2)

    def test_flood(self) -> None:
        """
        Descriptors without end lose the channel, and none remains open.
        """
        sock, _ = self.pair()
        raw = self.near.transport.socket
        files = openFiles()
        rights = struct.pack("100i", *[sock.fileno()] * 100)
        # The beginning of a box that never ends.
        for byte in b"\x00\xff" + b"k" * 200:
            if self.near.transport is None:
                break
            raw.sendmsg([bytes([byte])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            self.turns(2)
            self.assertLess(openFiles(), files + passage.MOST_UNCLAIMED + 2)
        self.assertTrue(self.sender.lost)
        self.assertLess(openFiles(), files)

    def test_floodAfterwards(self) -> None:
        """
        What comes after that is closed too.
        """
        known = internals.unclaimed(self.far)
        known.update(dict.fromkeys(range(1000), -1))
        channel = self.far.transport
        descriptors = [os.dup(0) for _ in range(2)]
        self.far.fileDescriptorReceived(descriptors[0])
        channel.connected = 0
        self.far.fileDescriptorReceived(descriptors[1])
        channel.connected = 1
        for each in descriptors:
            self.assertRaises(OSError, os.fstat, each)
        known.clear()

    def test_garbage(self) -> None:
        """
        What is no AMP loses the channel.
        """
        self.near.transport.write(b"\xff" * 100)
        self.until(lambda: self.sender.lost)
        self.flushLoggedErrors()

    def test_lostBeforeItsTurn(self) -> None:
        """
        What has not even had its turn is closed.
        """
        self.client()
        [connection] = self.here.connections()
        files = openFiles()
        answer = self.taking.take(
            os.dup(connection.transport.fileno()),
            os.fstat(connection.transport.fileno()).st_ino,
            *("raw", b"0 ", b"", ""),
        )
        self.far.transport.loseConnection()
        self.near.transport.loseConnection()
        self.turns()
        self.assertLessEqual(openFiles(), files)
        self.assertNoResult(answer)
        self.assertEqual(self.second.made, [])


class FunctionTests(PassageTestCase):
    """
    What is known of sockets.
    """

    setUp = tearDown = lambda self: None

    def test_tooMany(self) -> None:
        """
        It is too many shortly before the limit, and never where there is none.
        """
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.assertFalse(tooMany(3))
        self.assertTrue(tooMany(limit - 1))
        unlimited = resource.RLIM_INFINITY
        self.patch(resource, "getrlimit", lambda _: (unlimited, unlimited))
        self.assertFalse(tooMany(10**9))

    def test_hostOf(self) -> None:
        """
        The address of our end is as Twisted has it.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        self.assertEqual(hostOf(one), UNIXAddress(None))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            self.assertEqual(hostOf(sock), IPv4Address("TCP", "127.0.0.1", port))


class SilentPortTests(PassageTestCase):
    """
    Ports that do not listen.
    """

    def test_tcp(self) -> None:
        """
        What is passed to it is served, and its factory was started.
        """
        here, there, *_ = sites()
        self.begin(here, here)
        port = silentPort(self.reactor, self.there.wrap(there))
        self.addCleanup(there.doStop)
        self.taking._portFor = lambda host: port
        client = self.client()
        self.pass_()
        self.assertHere(0, 1)
        self.assertEqual(there.numPorts, 1)
        self.assertEqual(self.body(client), b"there /")

    def test_unix(self) -> None:
        """
        There are such ports for UNIX sockets.
        """
        self.begin(*sites()[:2])
        site = Site(None, reactor=self.reactor)
        port = silentPort(self.reactor, site, socket.AF_UNIX)
        self.addCleanup(site.doStop)
        self.assertTrue(issubclass(port.transport, unix.Server))


class RecordingTests(PassageTestCase):
    """
    The other terminator.
    """

    def test_draining(self) -> None:
        """
        One that is draining has what it takes end politely, as if it had just been accepted.
        """
        here, there, *_ = sites()
        self.begin(here, there, patience=100.0)
        client = self.client()
        stopping = self.there.terminate(50.0)
        self.pass_()
        self.turns(5, 0.1)
        answer = self.ask(client, get("/"))
        self.assertIn(b"Connection: close", answer)
        self.assertTrue(answer.endswith(b"there /FIN"))
        self.until(lambda: stopping.called, 0.1)
