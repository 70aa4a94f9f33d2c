"""
WebSockets of C{twisted.web.websocket}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.websocket import WebSocketResource
from zope.interface.verify import verifyObject

from terminable.drainers.websocket import WebSocketDrainer
from terminable.interfaces import IDrainer, ILastingDrainer
from tests.answers import Served, request
from tests.closing import GOODBYE, CallTestCase, ClosingMixin, GoodbyeMixin
from tests.finishing import ApplicationMixin
from tests.hostility import HostileMixin
from tests.opening import OpeningMixin
from tests.test_http11_applications import UPGRADE, at
from tests.watches import HandWatch
from tests.wspeers import (
    PING,
    TEXT,
    PoliteTwistedApplication,
    TwistedApplication,
    TwistedServer,
    closing,
    frame,
)


class DrainerTestCase(SynchronousTestCase):
    """
    One WebSocket in memory, and its drainer.
    """

    def serve(self, application: Any, target: str = "/socket") -> None:
        """
        Make it.
        """
        self.application = application
        factory: Any = type("Factory", (), {"buildProtocol": lambda _, request: application})()
        self.served = Served(at(b"socket", WebSocketResource(factory)))
        self.transport = self.served.transport
        self.channel = self.served.channel
        self.send(request(target, "GET", b"", *UPGRADE))
        self.assertTrue(self.said().startswith(b"HTTP/1.1 101"))
        self.drainer = WebSocketDrainer(self.channel)
        self.watch = HandWatch(self.served.clock, linger=2.0)

    def send(self, data: bytes) -> None:
        """
        The client sends something, whether the connection is lost or not.
        """
        self.served.protocol.dataReceived(data)

    def said(self) -> bytes:
        """
        What the client was sent since the last time.
        """
        value: bytes = self.transport.value()
        self.transport.clear()
        return value


class DrainerTests(GoodbyeMixin, DrainerTestCase):
    """
    The drainer alone.
    """

    def setUp(self) -> None:
        self.serve(TwistedApplication())

    def begin(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self.watch)

    def test_interface(self) -> None:
        """
        It lives long, and its goodbye is a dialogue, even when it is idle.
        """
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        drainer: Any = self.drainer
        self.assertEqual((drainer.lasting, drainer.prompt, drainer.silent), (True, True, False))
        self.assertTrue(drainer.upgraded)
        self.assertFalse(drainer.answered)

    def test_noSideEffects(self) -> None:
        """
        To have a drainer, and to ask it, changes nothing.
        """
        before = self.channel.dataReceived
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "WebSocket /socket")
        self.assertEqual(self.channel.dataReceived, before)
        self.assertEqual(self.said(), b"")

    def test_notBegun(self) -> None:
        """
        Before the drain has begun there is nothing that could be said.
        """
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), b"")
        self.assertFalse(self.transport.disconnecting)

    def test_begunTwice(self) -> None:
        """
        A second hint changes nothing.
        """
        self.begin()
        self.drainer.hint(HandWatch(closeCode=1012))
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)
        self.send(frame(TEXT, b"once") + closing(1001))
        self.assertEqual(self.application.heard, ["once"])

    def test_hintSaysNothing(self) -> None:
        """
        With the hint nothing is said yet, and messages go both ways.
        """
        self.begin()
        self.send(frame(TEXT, b"hello") + frame(PING, b"?"))
        self.application.say("you too")
        self.assertEqual(self.application.heard, ["hello"])
        self.assertEqual(self.said(), b"\x8a\x01?\x81\x07you too")

    def test_describe(self) -> None:
        """
        It is called by what was asked for, as far as people want to read that.
        """
        for target, expected in [
            ("/socket?" + "x" * 300, "/socket?" + "x" * 192),
            ("/socket?%41", "/socket?%41"),
        ]:
            self.serve(TwistedApplication(), target)
            self.assertEqual(self.drainer.describe(), f"WebSocket {expected}")
        self.channel.requests[0].uri = b"/\xff\x1b"
        self.assertEqual(self.drainer.describe(), "WebSocket /\\xff\\x1b")
        self.channel.requests.clear()
        self.assertEqual(self.drainer.describe(), "WebSocket")

    def test_linger(self) -> None:
        """
        The client has so long to answer, and no longer.
        """
        self.begin()
        self.drainer.drain()
        self.watch.clock.advance(1.9)
        self.assertFalse(self.transport.disconnecting)
        self.watch.clock.advance(0.1)
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)

    def test_goesOn(self) -> None:
        """
        What comes behind the client's close frame is not looked at.
        """
        self.begin()
        self.drainer.drain()
        self.send(frame(PING, b"?"))
        self.send(closing(1001) + frame(TEXT, b"late"))
        self.assertTrue(self.transport.disconnecting)
        for _ in range(3):
            self.send(frame(TEXT, b"later") + closing(1001) + b"\xff" * 10)
        self.assertEqual(self.application.heard, [])
        self.assertEqual(self.said(), GOODBYE)

    def test_peerWasFirst(self) -> None:
        """
        If the client has closed before the hint, the HTTP channel that nobody has
        unregistered does not hold up the end.
        """
        self.send(closing(1000))
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNotNone(self.transport.producer)
        self.begin()
        self.assertIsNone(self.transport.producer)

    def test_peerIsFirst(self) -> None:
        """
        Nor does it if the client closes between hint and goodbye; then nothing is left to
        be said.
        """
        self.begin()
        self.send(closing(1000))
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.said(), b"\x88\x02\x03\xe8")
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.watch.clock.advance(0)
        self.assertEqual(self.said(), b"")

    def test_applicationIsFirst(self) -> None:
        """
        The same if the application closes.
        """
        self.begin()
        self.application.transport.loseConnection(4000, reason="enough")
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.said(), b"\x88\x08\x0f\xa0enough")
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), b"")

    def test_swallows(self) -> None:
        """
        Everything that an application may send through its transport is swallowed after
        the close frame.
        """
        self.begin()
        self.drainer.drain()
        transport = self.application.transport
        transport.sendTextMessage("too late")
        transport.sendBytesMessage(b"too late")
        transport.ping(b"too late")
        transport.loseConnection(1011)
        transport.loseConnection(code=1011)
        self.assertEqual(self.said(), GOODBYE)
        self.assertFalse(self.transport.disconnecting)

    def test_foundAgain(self) -> None:
        """
        Who looks at the connection anew finds the same drainer, not another one.
        """
        first: Any = IDrainer(self.served.protocol)
        first.hint(self.watch)
        second: Any = IDrainer(self.served.protocol)
        self.assertEqual(second.describe(), "WebSocket /socket")
        second.drain()
        first.drain()
        self.assertEqual(self.said(), GOODBYE)
        self.send(frame(TEXT, b"once"))
        self.assertEqual(self.application.heard, ["once"])


class PoliteDrainerTests(DrainerTestCase):
    """
    With an application that provides L{IDrainer}.
    """

    def setUp(self) -> None:
        self.serve(PoliteTwistedApplication())
        self.application.busy = True

    def test_busy(self) -> None:
        """
        It is busy if the application says so, until the close frame is said.
        """
        self.assertTrue(self.drainer.isBusy())
        self.drainer.hint(self.watch)
        self.assertEqual(self.application.drained, 0)
        self.drainer.drain()
        self.drainer.drain()
        self.assertEqual(self.application.drained, 1)
        self.assertEqual(self.said(), b"")
        self.assertEqual(self.drainer.lastWord(5), "1001")
        self.assertFalse(self.drainer.isBusy())

    def test_askedAgain(self) -> None:
        """
        Told again when the application is no longer busy, it closes.
        """
        self.drainer.hint(self.watch)
        self.drainer.drain()
        self.application.busy = False
        self.drainer.drain()
        self.assertEqual(self.said(), GOODBYE)

    def test_notToldTooLate(self) -> None:
        """
        Who has been closed is not told any more.
        """
        self.drainer.hint(self.watch)
        self.drainer.lastWord(5)
        self.drainer.drain()
        self.assertEqual(self.application.drained, 0)


class TwistedTests(ClosingMixin, ApplicationMixin, OpeningMixin, HostileMixin, CallTestCase):
    """
    On a plain port.
    """

    kind = TwistedServer


class TwistedTLSTests(TwistedTests):
    """
    On a port with TLS.
    """

    tls = True
