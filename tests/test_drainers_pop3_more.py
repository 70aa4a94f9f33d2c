"""
The drainer for POP3: authentication, and the deadline.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from tests.test_drainers_pop3 import GOODBYE, POP3TestCase


class LoginTests(POP3TestCase):
    """
    Authentication.
    """

    def setUp(self) -> None:
        self.begin(login=False)

    def test_thinking(self) -> None:
        """
        Who is being authenticated is in flight; what follows waits, and the secret is not
        told.
        """
        for lines in ([b"USER a", b"PASS secret"], [b"APOP a secret"]):
            self.setUp()
            later = self.portal.thinking = Deferred()
            self.ask(*lines)
            self.hint()
            self.assertBusy(lines[-1][:4].decode())
            self.send(b"STAT")
            self.assertEqual(self.said(), [])
            later.callback(None)
            self.assertGone(b"+OK Authentication succeeded", GOODBYE)
            self.assertFalse(self.box.closed)
            self.protocol.connectionLost(None)
            self.assertTrue(self.box.closed)

    def test_denied(self) -> None:
        """
        Who is denied is told that.
        """
        later = self.portal.thinking = Deferred()
        self.ask(b"APOP a b")
        self.hint()
        later.errback(ZeroDivisionError("no"))
        self.assertEqual(self.said(), [b"-ERR Server error: no"])
        self.assertEqual(self.idled, 1)
        self.assertIdle()
        self.flushLoggedErrors(ZeroDivisionError)

    def test_exchange(self) -> None:
        """
        An exchange is completed; the next command is told.
        """
        self.assertEqual(self.ask(b"AUTH PLAIN"), [b"+ "])
        self.hint()
        self.assertBusy("AUTH")
        later = self.portal.thinking = Deferred()
        self.send(b"YSBi")
        self.assertBusy("AUTH")
        later.callback(None)
        self.assertEqual(self.said(), [b"+OK Authentication succeeded"])
        self.assertEqual(self.idled, 1)
        self.send(b"STAT")
        self.assertGone(GOODBYE)

    def test_abandoned(self) -> None:
        """
        Or abandoned.
        """
        self.ask(b"AUTH PLAIN")
        self.hint()
        self.assertEqual(self.ask(b"*"), [b"-ERR Invalid AUTH response"])
        self.assertEqual(self.idled, 1)
        self.assertIdle()

    def test_mechanisms(self) -> None:
        """
        A client that asks which there are has nothing in flight.
        """
        self.assertEqual(self.ask(b"AUTH")[-1], b".")
        self.assertIdle()

    def test_unwatchedExchange(self) -> None:
        """
        An exchange is seen even if the session was not watched.
        """
        self.begin(login=False, watched=False)
        self.ask(b"AUTH PLAIN")
        self.assertTrue(self.drainer.isBusy())

    def test_deadline(self) -> None:
        """
        Whoever hangs in it is told, and what comes then is ignored.
        """
        self.ask(b"AUTH PLAIN")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "-ERR")
        self.send(b"YSBi")
        self.assertGone(GOODBYE)
        self.assertEqual(self.portal.seen, [])

    def test_deadlineWhileThinking(self) -> None:
        """
        The same if it is we who hang.
        """
        later = self.portal.thinking = Deferred()
        self.ask(b"APOP a b")
        self.assertEqual(self.drainer.lastWord(5), "-ERR")
        later.callback(None)
        self.assertGone(GOODBYE)


class LastWordTests(POP3TestCase):
    """
    The deadline.
    """

    def test_beforeTheAnswer(self) -> None:
        """
        A command whose answer has not begun gets the goodbye in its place, and no other.
        """
        later = self.box.opening = Deferred()
        self.send(b"RETR 1")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "-ERR")
        later.callback(None)
        self.assertIsNone(self.transport.producer)
        self.assertGone(GOODBYE)

    def test_listBeforeTheAnswer(self) -> None:
        """
        The same for what is written bit by bit.
        """
        later: Deferred[Any] = Deferred()
        self.box.listMessages = lambda i=None: later  # type: ignore[method-assign,assignment]
        self.send(b"LIST", b"STAT")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "-ERR")
        later.callback([1])
        self.finish()
        self.assertEqual(self.drainer.lastWord(5), "")

    def test_inAnAnswer(self) -> None:
        """
        Nothing is said in the middle of an answer, and no more of it is sent.
        """
        for command in (b"RETR 1", b"LIST"):
            self.begin()
            self.send(command)
            self.hint()
            self.said()
            self.assertEqual(self.drainer.lastWord(5), "")
            self.assertOpen()
            self.assertIsNone(self.transport.producer)
            self.assertEqual(self.said(), [])

    def test_timeout(self) -> None:
        """
        The protocol's own time limit ends the connection, and ours is not said then.
        """
        self.hint()
        self.transport = StringTransport()
        self.protocol.transport = self.transport
        self.clock.advance(300)
        self.assertGone()
