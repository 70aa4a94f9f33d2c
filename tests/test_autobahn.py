"""
WebSockets of Autobahn.
"""

from __future__ import annotations

from typing import Any

import txaio
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.drainers import autobahn, library
from terminable.interfaces import IDrainer, IHintingDrainer, ILastingDrainer
from tests.answers import MemoryTransport, request
from tests.closing import GOODBYE, GoodbyeMixin
from tests.test_http11_applications import UPGRADE
from tests.watches import HandWatch
from tests.wspeers import (
    PING,
    TEXT,
    AutobahnApplication,
    AutobahnServer,
    PoliteAutobahnApplication,
    closing,
    frame,
)

ASKED = request("/", "GET", b"", *UPGRADE)


class DrainerTestCase(SynchronousTestCase):
    """
    One WebSocket in memory, and its drainer.
    """

    kind: Any = AutobahnApplication

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = AutobahnServer(self.clock, False)
        self.server.kind = self.kind
        self.application = self.server.factory().buildProtocol(None)
        self.transport = MemoryTransport()
        self.application.makeConnection(self.transport)
        library.load()
        self.drainer: Any = IHintingDrainer(self.application)
        self.watch = HandWatch(self.clock, linger=2.0)

    def send(self, data: bytes) -> None:
        """
        The client sends something.
        """
        self.application.dataReceived(data)

    def open(self) -> None:
        """
        Shake hands.
        """
        self.send(ASKED)
        self.assertTrue(self.said().startswith(b"HTTP/1.1 101"))

    def said(self) -> bytes:
        """
        What the client was sent since the last time.
        """
        value = self.transport.value()
        self.transport.clear()
        return value


class DrainerTests(GoodbyeMixin, DrainerTestCase):
    """
    The drainer alone, after the handshake.
    """

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def begin(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self.watch)

    def test_interface(self) -> None:
        """
        It lives long, and its goodbye is a dialogue, even when it is idle.
        """
        self.assertIsInstance(self.drainer, autobahn.AutobahnDrainer)
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertTrue(self.drainer.lasting)
        self.assertTrue(self.drainer.prompt)
        self.assertTrue(self.drainer.upgraded)
        self.assertFalse(self.drainer.silent)

    def test_noSideEffects(self) -> None:
        """
        To have a drainer, and to ask it, changes nothing.
        """
        before = set(vars(self.application))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "WebSocket /")
        self.assertEqual(set(vars(self.application)), before)
        self.assertEqual(self.said(), b"")

    def test_notBegun(self) -> None:
        """
        Before the drain has begun there is nothing that could be said.
        """
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), b"")

    def test_begunTwice(self) -> None:
        """
        A second hint changes nothing.
        """
        self.begin()
        dropping = self.application.dropConnection
        self.drainer.hint(HandWatch(closeCode=1012))
        self.assertEqual(self.application.dropConnection, dropping)
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)

    def test_describe(self) -> None:
        """
        It is called by what was asked for, as far as people want to read that.
        """
        self.application.http_request_path = "/" + "x" * 300
        self.assertEqual(self.drainer.describe(), "WebSocket /" + "x" * 199)

    def test_answered(self) -> None:
        """
        With the answer the connection is lost, and not reset as Autobahn does it.
        """
        self.begin()
        self.drainer.drain()
        self.send(frame(PING) + frame(TEXT, b"last") + closing(1001) + frame(TEXT, b"late"))
        self.assertEqual(self.application.heard, ["last"])
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.assertTrue(self.application.wasClean)
        self.assertEqual(self.said(), GOODBYE)

    def test_violated(self) -> None:
        """
        Who breaks the protocol is reset, as Autobahn does it.
        """
        self.begin()
        self.drainer.drain()
        self.send(b"\xff" * 20)
        self.assertTrue(self.transport.disconnected)

    def test_linger(self) -> None:
        """
        The client has so long to answer, not as long as Autobahn would give it.
        """
        self.application.closeHandshakeTimeout = 1.0
        self.begin()
        self.drainer.drain()
        self.assertIsNone(self.application.closeHandshakeTimeoutCall)
        self.clock.advance(1.9)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_peerWasFirst(self) -> None:
        """
        If the client has closed before, nothing is left to be said.
        """
        self.send(closing(1000))
        self.assertTrue(self.said())
        self.begin()
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), b"")

    def test_applicationWasFirst(self) -> None:
        """
        The same if the application has; its client's answer is awaited.
        """
        self.application.close()
        self.assertEqual(self.said(), b"\x88\x02\x03\xe8")
        self.begin()
        self.drainer.drain()
        self.assertEqual(self.said(), b"")
        self.clock.advance(0)
        self.assertFalse(self.transport.disconnecting)
        self.clock.advance(self.watch.schedule.linger)
        self.assertTrue(self.transport.disconnecting)

    def test_chopped(self) -> None:
        """
        What Autobahn holds back, because it was told to write in small pieces, comes before
        the close frame.
        """
        self.patch(txaio.config, "loop", self.clock)
        for message in (b"one", b"two"):
            self.application.sendMessage(message, sync=True)
        self.begin()
        self.drainer.drain()
        self.assertEqual(self.said(), b"\x81\x03one")
        self.clock.pump([0.01] * 5)
        self.assertEqual(self.said(), b"\x81\x03two" + GOODBYE)

    def test_swallows(self) -> None:
        """
        Everything that an application may send is swallowed after the close frame.
        """
        self.begin()
        self.drainer.drain()
        prepared = self.application.factory.prepareMessage(b"too late")
        self.application.sendMessage(b"too late", isBinary=True)
        self.application.sendPreparedMessage(prepared)
        self.application.sendPing(b"too late")
        self.application.sendClose(1000, "too late")
        self.application.beginMessage()
        self.application.beginMessageFrame(8)
        self.application.sendMessageFrameData(b"too late")
        self.application.endMessage()
        self.assertEqual(self.said(), GOODBYE)

    def test_inTheMiddle(self) -> None:
        """
        A message that the application is sending piece by piece is sent to its end before
        the close frame.
        """
        self.begin()
        self.application.beginMessage()
        self.assertTrue(self.drainer.isBusy())
        self.application.sendMessageFrame(b"one")
        self.application.beginMessageFrame(6)
        self.application.sendMessageFrameData(b"two")
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual(self.watch.idled, 0)
        self.application.sendMessageFrameData(b"six")
        self.application.endMessage()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.watch.idled, 1)
        self.assertEqual(self.said(), b"\x01\x03one\x00\x06twosix\x80\x00")
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)

    def test_inTheMiddleAtTheDeadline(self) -> None:
        """
        In the middle of a piece there is no place for a last word.
        """
        self.begin()
        self.application.beginMessage()
        self.application.beginMessageFrame(6)
        self.application.sendMessageFrameData(b"two")
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), b"\x01\x06two")

    def test_betweenPiecesAtTheDeadline(self) -> None:
        """
        Between two pieces there is (RFC 6455, section 5.4); then nothing is busy any more.
        """
        self.begin()
        self.application.beginMessage()
        self.application.sendMessageFrame(b"one")
        self.assertEqual(self.drainer.lastWord(5), "1001")
        self.assertEqual(self.said(), b"\x01\x03one" + GOODBYE)
        self.assertFalse(self.drainer.isBusy())

    def test_nobodyToTell(self) -> None:
        """
        If nobody wants to know any more, a message ends all the same.
        """
        self.begin()
        self.drainer.watch = None
        self.application.beginMessage()
        self.application.endMessage()
        self.assertEqual(self.said(), b"\x80\x00")


class PoliteDrainerTests(DrainerTestCase):
    """
    With an application that provides L{IDrainer}.
    """

    kind = PoliteAutobahnApplication

    def test_full(self) -> None:
        """
        The full drainer stands before it.
        """
        self.assertTrue(IDrainer.providedBy(self.application))
        self.assertIsInstance(self.drainer, autobahn.AutobahnDrainer)

    def test_notAskedInTheHandshake(self) -> None:
        """
        In the handshake it is not asked: it does not know of anything yet.
        """
        self.application.busy = True
        self.assertFalse(self.drainer.isBusy())
        self.open()
        self.assertTrue(self.drainer.isBusy())

    def test_busy(self) -> None:
        """
        It is busy if the application says so, until the close frame is said.
        """
        self.open()
        self.application.busy = True
        self.drainer.hint(self.watch)
        self.drainer.drain()
        self.drainer.drain()
        self.assertEqual(self.application.drained, 1)
        self.assertEqual(self.said(), b"")
        self.assertEqual(self.drainer.lastWord(5), "1001")
        self.assertFalse(self.drainer.isBusy())
