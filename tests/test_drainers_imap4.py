"""
The drainer of IMAP servers, while no command is in progress.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.mail.imap4 import IMAP4Server
from zope.interface.verify import verifyObject

from terminable.drainers.imap4 import IMAP4Drainer, watch
from terminable.interfaces import IDrainer, IHintingDrainer
from tests.imapsession import IMAPTestCase
from tests.wire import Wire


class IdleTests(IMAPTestCase):
    """
    Sessions in which nothing is in progress.
    """

    def test_itIsRegistered(self) -> None:
        """
        An IMAP server has this drainer, which lives long and has something to say.
        """
        self.assertIsInstance(self.drainer, IMAP4Drainer)
        self.assertTrue(verifyObject(IHintingDrainer, self.drainer))
        self.assertEqual((self.drainer.silent, self.drainer.lasting), (False, True))
        self.assertEqual(self.drainer.describe(), "")

    def test_drain(self) -> None:
        """
        RFC 3501, section 7.1.5: BYE, and the connection is lost; once.
        """
        self.hint()
        self.drainer.drain()
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_nextCommand(self) -> None:
        """
        The next command is answered with BYE, and those behind it with nothing.
        """
        for commands in ([b"a NOOP"], [b"a NOOP", b"b LOGOUT"], [b""], [b"nonsense"]):
            self.setUp()
            self.hint()
            self.assertGone(self.said(*commands))

    def test_logout(self) -> None:
        """
        LOGOUT is obeyed, and there is no second BYE.
        """
        self.hint()
        heard = self.said(b"a logout")
        self.assertRegex(heard, rb"^\* BYE [^\r]*\r\na OK [^\r]*\r\n$")
        self.drainer.drain()
        self.assertEqual(self.heard(), b"")
        self.assertTrue(self.transport.disconnecting)

    def test_noLogout(self) -> None:
        """
        What only looks like LOGOUT is a command like others.
        """
        self.hint()
        self.assertGone(self.said(b"a LOGOUT now"))

    def test_nothingAfterGoodbye(self) -> None:
        """
        News come too late.
        """
        self.hint()
        self.drainer.drain()
        [listener] = self.box.listeners
        listener.newMessages(5, 1)
        self.assertGone(self.heard())

    def test_waitingForNews(self) -> None:
        """
        In IDLE (RFC 2177) nothing is in progress, and BYE may come at any time.
        """
        self.assertEqual(self.said(b"a IDLE"), b"+\r\n")
        self.assertFalse(self.drainer.isBusy())
        self.hint()
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_done(self) -> None:
        """
        DONE belongs to IDLE and is answered; what follows is a new command.
        """
        self.said(b"a IDLE")
        self.hint()
        self.assertEqual(self.said(b"DONE"), b"a OK IDLE terminated\r\n")
        self.assertEqual(self.watch.idled, 1)
        self.assertGone(self.said(b"b IDLE"))

    def test_lastWordOfTheIdle(self) -> None:
        """
        There is a last word for whoever is left, and only one.
        """
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "BYE")
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertGone(self.heard())

    def test_noLastWordThatWouldNotLeave(self) -> None:
        """
        Whoever takes nothing is told nothing.
        """
        wire = Wire(Factory.forProtocol(IMAP4Server), sendBuffer=4096)
        self.addCleanup(wire.close)
        drainer: Any = IDrainer(wire.protocol)
        drainer.hint(self.watch)
        wire.protocol.sendLine(b"* " + b"x" * 1_000_000)
        wire.pump(0)
        self.assertEqual(drainer.lastWord(5), "")
        self.assertTrue(wire.transport.connected)
        wire.protocol.setTimeout(None)


class UnwatchedTests(IMAPTestCase):
    """
    A session that was not watched from its beginning.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server = self.session()
        self.connect()

    def test_whatCanBeSeen(self) -> None:
        """
        It is seen when the server writes a message, or reads one.
        """
        self.server.dataReceived(b"a FETCH 1 BODY[]\r\n")
        self.clock.advance(0)
        self.assertEqual((self.drainer.isBusy(), self.drainer.describe()), (True, ""))
        self.heard()
        self.assertFalse(self.drainer.isBusy())
        self.said(b"a APPEND INBOX () {5}")
        self.assertEqual((self.drainer.isBusy(), self.drainer.describe()), (True, ""))
        self.hint()
        self.assertIn(b"a OK", self.said(b"hello"))
        self.assertFalse(self.drainer.isBusy())
        self.assertGone(self.said(b"b NOOP"))

    def test_watchedFromTheHintOn(self) -> None:
        """
        Commands are counted from the beginning of the drain.
        """
        self.said(b"a SELECT {5}")
        self.hint()
        self.account.selecting = Deferred()
        self.assertEqual(self.said(b"INBOX"), b"")
        self.server.dispatchCommand(b"b", b"SELECT", b"INBOX")
        self.assertEqual(self.drainer.describe(), "SELECT (tag b)")

    def test_watchedOnce(self) -> None:
        """
        Who is watched already is not watched again.
        """
        self.assertIs(watch(self.server), watch(self.server))


class WatchedTests(IMAPTestCase):
    """
    What the watch costs a session that is not being drained.
    """

    def test_nothingChanges(self) -> None:
        """
        Commands are answered as ever.
        """
        self.assertIn(b"+ Ready for 5", self.said(b"a APPEND INBOX () {5}"))
        self.assertIn(b"a OK", self.said(b"hello"))
        self.assertIn(b"b OK", self.said(b"b NOOP"))
        self.assertEqual(watch(self.server).open, {})
        self.assertIn(b"c OK", self.said(b"c LOGOUT"))
        self.assertTrue(self.transport.disconnecting)
