"""
The admin door as a service.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, fail

from terminable.admin import AdminDoor, beside
from terminable.admin.site import AdminSite
from terminable.errors import InvalidOption
from terminable.handover.offered import STRAY, offeredTo
from terminable.ports import listeningPorts
from terminable.service import TerminableService
from terminable.tracking import transports
from tests.adminasking import TOKEN, parsed, question
from tests.admindoors import DoorTestCase, EverywhereEndpoint, RealEndpoint
from tests.doubles import MemoryEndpoint, listeningPort


class ServiceTests(DoorTestCase):
    """
    Open and shut.
    """

    def test_open(self) -> None:
        """
        While the service runs, questions are answered.
        """
        self.open()
        answer, _ = parsed(self.ask(self.connect(), question("/status")))
        self.assertEqual((answer.code, answer.json["name"]), (200, "here"))

    def test_terminator(self) -> None:
        """
        A terminator alone will do.
        """
        door = AdminDoor(self.reactor, self.endpoint, self.terminator)
        self.assertIs(door.watched.terminator, self.terminator)

    def test_local(self) -> None:
        """
        At a loopback port without a token, whoever could be a stranger's page is refused.
        """
        self.open()
        client = self.connect()
        self.assertIn(b" 421 ", self.ask(client, question("/status", Host="evil.example")))
        self.assertIn(b" 403 ", self.ask(client, question("/abort", "POST")))
        self.assertIn(b" 202 ", self.ask(client, question("/abort", "POST", X_Terminable="1")))

    def test_token(self) -> None:
        """
        With a token, who knows it may ask by any name.
        """
        self.open(TOKEN)
        client = self.connect()
        self.assertIn(b" 401 ", self.ask(client, question("/status", Host="site.example")))
        right = f"Bearer {TOKEN.decode()}"
        asked = question("/status", Host="site.example", Authorization=right)
        self.assertIn(b" 200 ", self.ask(client, asked))

    def test_path(self) -> None:
        """
        A UNIX socket is its owner's alone, and needs nothing else.
        """
        self.endpoint = RealEndpoint(self.reactor, self.mktemp())
        door = self.open()
        self.assertEqual(stat.S_IMODE(os.stat(self.endpoint.path).st_mode), 0o600)
        self.assertEqual(self.endpoint.port.mode, 0o600)
        client = self.connect()
        self.assertIn(b" 202 ", self.ask(client, question("/abort", "POST", Host="anything")))
        self.shut(door)
        self.assertFalse(os.path.exists(self.endpoint.path))

    def test_replaced(self) -> None:
        """
        What somebody else has put in its place meanwhile stays when the door closes.
        """
        self.endpoint = RealEndpoint(self.reactor, self.mktemp())
        door = self.open()
        os.unlink(self.endpoint.path)
        with open(self.endpoint.path, "w") as other:
            other.write("another's")
        self.shut(door)
        self.assertTrue(os.path.exists(self.endpoint.path))

    def test_inherited(self) -> None:
        """
        A door that came from a process before this one, and whose path is another's by now, leaves
        that as it is.
        """
        self.endpoint = RealEndpoint(self.reactor, self.mktemp())
        port = self.endpoint._open(AdminSite(self.reactor, None))  # type: ignore[arg-type]
        os.unlink(self.endpoint.path)
        with open(self.endpoint.path, "w") as other:
            other.write("another's")
        os.chmod(self.endpoint.path, 0o644)
        offeredTo(self.reactor).remember(os.fstat(port.fileno()).st_ino, STRAY)
        self.patch(self.endpoint, "_open", lambda factory: port)
        door = self.open()
        self.assertEqual(stat.S_IMODE(os.stat(self.endpoint.path).st_mode), 0o644)
        self.shut(door)
        self.assertTrue(os.path.exists(self.endpoint.path))

    def test_stranger(self) -> None:
        """
        A process of another user is refused there, even if it gets that far; one of root's is
        not.
        """
        self.endpoint = RealEndpoint(self.reactor, self.mktemp())
        self.open()
        users = [12345, 12345, 0, 0]
        self.patch(beside, "peerUser", lambda sock: users.pop(0))
        self.assertEqual(self.connect().recv(1), b"")
        self.assertIn(b" 200 ", self.ask(self.connect(), question("/live")))

    def test_notOurs(self) -> None:
        """
        The mode of a socket that is somebody else's is left to him.
        """

        def chmod(path: object, mode: int) -> None:
            raise PermissionError

        self.endpoint = RealEndpoint(self.reactor, self.mktemp())
        self.patch(os, "chmod", chmod)
        # The port's own is not what is tried here.
        self.patch(self.endpoint, "_open", self._opened)
        self.open()
        self.assertIn(b" 200 ", self.ask(self.connect(), question("/live")))

    def _opened(self, factory: Any) -> Any:
        port = listeningPort(self.reactor, factory)
        port.mode = 0o666
        self.endpoint.port = port
        return port

    def test_everywhere(self) -> None:
        """
        A port that turns out to be open to everybody is closed again at once.
        """
        self.endpoint = EverywhereEndpoint(self.reactor)
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        self.assertRaises(InvalidOption, door.startService)
        self.assertEqual(listeningPorts(self.reactor), [])
        door = AdminDoor(self.reactor, self.endpoint, self.watched, TOKEN)
        door.startService()
        self.assertEqual(len(listeningPorts(self.reactor)), 1)
        self.shut(door)

    def test_otherKind(self) -> None:
        """
        What is no socket cannot be a door.
        """
        self.endpoint = MemoryEndpoint(self.reactor)
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        problem = self.assertRaises(InvalidOption, door.startService)
        self.assertIn("TCP or UNIX socket", str(problem))
        self.assertFalse(self.endpoint.ports[0].listening)

    def test_taken(self) -> None:
        """
        Whatever the endpoint fails with is what the start fails with.
        """
        self.endpoint.held = fail(OSError("in use"))
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        self.assertRaises(OSError, door.startService)
        self.assertIsNone(self.successResultOf(door.stopService()))

    def test_takenLater(self) -> None:
        """
        A failure that comes later is logged, and the server serves.
        """
        self.endpoint.held = held = Deferred()
        self.open()
        held.errback(OSError("in use"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_bad(self) -> None:
        """
        What cannot be meant is refused when the door is made.
        """
        for endpoint in ("nonsense", "tcp:x", "", None, 9000, "stdio:"):
            problem = self.assertRaises(
                InvalidOption, AdminDoor, self.reactor, endpoint, self.watched
            )
            self.assertEqual(problem.option, "endpoint")
        problem = self.assertRaises(
            InvalidOption, AdminDoor, self.reactor, self.endpoint, self.watched, "short"
        )
        self.assertEqual(problem.option, "token")

    def test_first(self) -> None:
        """
        It may be the first of several, to be the last that ends.
        """
        parent = MultiService()
        other = Service()
        other.setServiceParent(parent)
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        door.beFirstOf(parent)
        self.assertEqual(list(parent), [door, other])
        self.assertIs(door.parent, parent)

    def test_notTaken(self) -> None:
        """
        Whoever takes the ports of this process leaves this one alone.
        """
        self.open()
        [port] = listeningPorts(self.reactor)
        self.assertFalse(transports.canAttach(port))
        self.assertEqual(self.terminator.connections(), [])


class EndTests(DoorTestCase):
    """
    The end of the server, and that of the door.
    """

    def setUp(self) -> None:
        super().setUp()
        self.service = TerminableService(self.terminator)
        self.served = MemoryEndpoint(self.reactor)
        self.service.listenOn(self.served, self.factory)

    def start(self) -> None:
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        door.beFirstOf(self.service)
        self.service.startService()

    def test_throughout(self) -> None:
        """
        The door is open until the last connection of the server has gone, and longer than any
        other service.
        """
        self.start()
        seen: list[bytes] = []
        client = self.connect()

        class Last(Service):
            def stopService(this) -> None:
                seen.append(self.ask(client, question("/status")))

        Last().setServiceParent(self.service)
        busy = self.served.ports[-1].connect(None)
        self.factory.protocols[0].busy = True
        stopped = self.service.stopService()
        self.assertIn(b'"draining"', self.ask(client, question("/status")))
        for _ in range(20):
            self.reactor.turn(0.1)
        self.assertIn(b'"draining"', self.ask(self.connect(), question("/status")))
        self.assertNoResult(stopped)
        self.factory.protocols[0].busy = False
        busy.end()
        self.reactor.turn(0.1)
        self.assertIn(b'"terminated"', seen[0])
        for _ in range(3):
            self.reactor.turn(0.001)
        self.assertEqual(client.recv(1), b"")
        self.reactor.turn(0.001)
        self.successResultOf(stopped)
        self.assertEqual(listeningPorts(self.reactor), [])

    def test_beside(self) -> None:
        """
        A door that is told to stop beside its server, or before it, waits for it all the same.
        """
        door = AdminDoor(self.reactor, self.endpoint, self.watched)
        parent = MultiService()
        self.service.setServiceParent(parent)
        door.setServiceParent(parent)
        parent.startService()
        client = self.connect()
        busy = self.served.ports[-1].connect(None)
        self.factory.protocols[0].busy = True
        parent.stopService()
        self.reactor.turn(0.5)
        self.assertIn(b'"draining"', self.ask(client, question("/status")))
        busy.end()
        self.turn()
        self.assertEqual(client.recv(1), b"")

    def test_watcher(self) -> None:
        """
        Whoever watches gets the report and the end before the connection is lost.
        """
        self.start()
        client = self.connect()
        self.ask(client, question("/events"))
        self.service.stopService()
        self.turn(12)
        heard = b""
        while data := client.recv(65536):
            heard += data
        self.assertIn(b'"opened": 0', heard)
        self.assertTrue(heard.endswith(b"event: end\ndata: {}\n\n\r\n0\r\n\r\n"), heard[-80:])

    def test_stubborn(self) -> None:
        """
        One who takes nothing holds nobody up for longer than a moment.
        """
        self.start()
        self.patch(beside.lingering, "flushed", lambda *details: None)
        client = self.connect()
        self.ask(client, question("/live"))
        stopped = self.service.stopService()
        self.turn(12)
        self.assertNoResult(stopped)
        self.reactor.turn(0.3)
        self.turn()
        self.successResultOf(stopped)

    def test_again(self) -> None:
        """
        It may be opened again.
        """
        self.start()
        self.service.stopService()
        self.turn(12)
        self.service.startService()
        self.assertIn(b" 200 ", self.ask(self.connect(), question("/ready")))
