"""
Who holds a place for nothing, and goes while others wait.
"""

from __future__ import annotations

from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.server import Site

from terminable.tracking import sockets
from tests.admitting import GET, AdmissionTestCase, Page
from tests.doubles import HandReactor
from tests.wire import TLSPeer, certificate


class RoomTests(AdmissionTestCase):
    """
    Who holds a place for nothing.
    """

    def setUp(self) -> None:
        #: For how long nobody has spoken, as the kernel would say it.
        self.quiet = 60.0
        self.patch(sockets, "quiet", lambda sock: self.quiet)

    def test_idle(self) -> None:
        """
        A connection that is kept alive goes when somebody waits, after its answer.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=1)
        first = self.client(GET)
        self.turn()
        self.assertIn(b"page", first.recv(1000))
        second = self.client(GET)
        self.turn(0.3)
        self.assertEqual(first.recv(1000), b"")
        self.assertIn(b"page", second.recv(1000))

    def test_notQuiet(self) -> None:
        """
        Not at once: whoever does not pause has his next request on its way.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=1)
        self.client(GET)
        self.turn()
        self.client(GET)
        self.quiet = 0.04
        self.turn(0.3)
        self.assertEqual(self.terminator.waiting, 1)
        self.quiet = 0.06
        self.turn(0.3)
        self.assertEqual(self.terminator.waiting, 0)

    def test_handshake(self) -> None:
        """
        A TLS handshake is no request: its client has a second for that.
        """
        self.quiet = 0.9
        self.serve(
            outer=lambda factory: TLSMemoryBIOFactory(
                certificate().options(), False, factory, clock=self.reactor
            ),
            factory=Site(Page(), reactor=HandReactor()),
            capacity=1,
        )
        first = TLSPeer(self.client())
        for _ in range(4):
            self.turn()
            first.readSome(10000)
        self.client()
        self.turn(1.5)
        self.turn(0.3)
        self.assertEqual(self.terminator.waiting, 1)
        first.send(GET)
        self.turn()
        first.readSome(10000)
        self.assertIn(b"page", first.received)
        self.quiet = 1.0
        self.turn(0.3)
        first.readSome(10000)
        self.assertTrue(first.notified)

    def test_withoutNumbers(self) -> None:
        """
        At a UNIX socket nobody knows how long it was quiet: as long as the connection is inside.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), path=self.mktemp(), capacity=1)
        first = self.client(GET)
        self.turn()
        self.assertIn(b"page", first.recv(1000))
        self.client(GET)
        self.turn(0.3)
        self.assertEqual(self.terminator.waiting, 0)

    def test_notWanted(self) -> None:
        """
        Not if that is not wanted.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=1, makeRoom=False)
        self.client(GET)
        self.turn()
        self.client(GET)
        self.turn(0.3)
        self.turn(0.3)
        self.assertEqual(self.terminator.waiting, 1)

    def test_speechless(self) -> None:
        """
        Whoever has not said a word after a second goes too; who is at it stays.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=2)
        silent = self.client()
        self.turn()
        self.client(GET[:10])
        self.turn()
        third = self.client(GET)
        self.turn(0.5)
        self.assertEqual(self.terminator.waiting, 1)
        self.turn(0.4)
        self.turn(0.4)
        self.assertEqual(silent.recv(1000), b"")
        self.assertIn(b"page", third.recv(1000))
        self.assertEqual(len(self.transports()), 2)

    def test_noMoreThanNecessary(self) -> None:
        """
        As many go as wait; nobody is asked twice.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=3)
        for _ in range(3):
            self.client(GET)
            self.turn()
        self.client(GET)
        self.turn(0.3)
        self.turn(0.3)
        self.assertEqual(len(self.transports()), 3)

    def test_otherProtocols(self) -> None:
        """
        Nobody knows of other protocols whether they are needed.
        """
        self.serve(capacity=1)
        self.client(b"x")
        self.turn()
        self.client(b"y")
        self.turn(0.3)
        self.turn(2.0)
        self.assertEqual(self.terminator.waiting, 1)

    def test_duringAStop(self) -> None:
        """
        During a stop the stop decides.
        """
        self.serve(factory=Site(Page(), reactor=HandReactor()), capacity=1)
        first = self.client(GET)
        self.turn()
        self.assertIn(b"page", first.recv(1000))
        second = self.client(GET)
        self.terminator.terminate()
        self.turn(0.5)
        first.settimeout(0.01)
        self.assertRaises(TimeoutError, first.recv, 1)
        self.turn(0.6)
        self.assertIn(b"page", second.recv(1000))
