"""
WebSockets of Autobahn whose opening handshake is on its way.
"""

from __future__ import annotations

import gc

from autobahn.websocket.types import ConnectionDeny
from twisted.internet.defer import Deferred

from tests.doubles import Boom
from tests.test_autobahn import ASKED, GOODBYE, DrainerTestCase


class OpeningTests(DrainerTestCase):
    """
    While the handshake is on its way.
    """

    def waiting(self) -> Deferred[None]:
        """
        The application thinks about it.
        """
        thinking: Deferred[None] = Deferred()
        self.application.onConnect = lambda request: thinking
        self.send(ASKED)
        return thinking

    def test_nothingYet(self) -> None:
        """
        Who has said nothing is idle: not to be closed before the end of the idle grace,
        and lost then without a word.
        """
        self.assertFalse(self.drainer.isBusy())
        self.assertFalse(self.drainer.prompt)
        self.assertFalse(self.drainer.upgraded)
        self.assertEqual(self.drainer.describe(), "WebSocket")
        self.drainer.hint(self.watch)
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertFalse(self.transport.disconnecting)
        self.drainer.drain()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.said(), b"")

    def test_halfOfIt(self) -> None:
        """
        Who has said the first half is busy, and told when it is over.
        """
        self.drainer.hint(self.watch)
        self.send(ASKED[:40])
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.watch.idled, 0)
        self.send(ASKED[40:])
        self.assertTrue(self.said().startswith(b"HTTP/1.1 101"))
        self.assertFalse(self.drainer.isBusy())
        self.assertTrue(self.drainer.upgraded)
        self.assertEqual(self.watch.idled, 1)
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)

    def test_thinking(self) -> None:
        """
        While the application thinks about it, it is busy as well.
        """
        thinking = self.waiting()
        self.assertTrue(self.drainer.isBusy())
        self.drainer.hint(self.watch)
        self.drainer.drain()
        self.assertFalse(self.transport.disconnecting)
        thinking.callback(None)
        self.assertTrue(self.said().startswith(b"HTTP/1.1 101"))
        self.assertEqual(self.watch.idled, 1)
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)

    def test_denied(self) -> None:
        """
        If the application does not want it, Autobahn says so and loses the connection.
        """
        thinking = self.waiting()
        self.drainer.hint(self.watch)
        self.drainer.drain()
        thinking.errback(ConnectionDeny(403, "no"))
        self.assertTrue(self.said().startswith(b"HTTP/1.1 403"))
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.drainer.isBusy())

    def test_nonsense(self) -> None:
        """
        Nor does it want what is no handshake.
        """
        self.drainer.hint(self.watch)
        self.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(self.said().startswith(b"HTTP/1.1 405"))
        self.assertTrue(self.transport.disconnecting)
        self.drainer.drain()
        self.assertEqual(self.said(), b"")

    def test_failing(self) -> None:
        """
        If the application fails when it is opened, it is open all the same.
        """

        def fail() -> None:
            raise Boom

        self.application.onOpen = fail
        self.drainer.hint(self.watch)
        self.send(ASKED)
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(self.watch.idled, 1)
        self.said()
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)
