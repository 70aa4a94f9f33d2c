"""
What C{twisted.web} speaks after an upgrade, and how it is found out.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.websocket import WebSocketResource

from terminable.drainers.raw import RawDrainer
from terminable.drainers.web import SELDOM, UPGRADE, WebDrainer, isUpgraded
from terminable.drainers.websocket import WebSocketDrainer
from terminable.interfaces import IDrainer
from tests.answers import Served, request
from tests.test_http11_applications import UPGRADE as WEBSOCKET
from tests.test_http11_applications import at

#: What a client says to get another protocol.
ASKED = ("Connection: Upgrade", "Upgrade: echo")


class Other:
    """
    Another protocol.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.received.append(data)


class Thoughtful(Resource):
    """
    Thinks for a while whether it grants an upgrade.
    """

    isLeaf = True
    request: Any = None

    def render(self, request: Any) -> Any:
        """
        Begin to think.
        """
        self.request = request
        return NOT_DONE_YET

    def grant(self) -> Other:
        """
        Grant it.
        """
        self.request.channel.transport.write(b"HTTP/1.1 101 Fine\r\n\r\n")
        other = Other()
        self.request.channel.dataReceived = other.dataReceived
        return other

    def refuse(self) -> None:
        """
        Refuse it.
        """
        self.request.write(b"no")
        self.request.finish()


class AwaitedTests(SynchronousTestCase):
    """
    An upgrade that is granted after some thought, or is not.
    """

    def setUp(self) -> None:
        self.resource = Thoughtful()
        self.served = Served(self.resource)
        self.drainer: Any = self.served.drainer
        self.clock = self.served.clock

    def drain(self, *headers: str) -> None:
        """
        Somebody has asked, and the idle grace is over.
        """
        self.served.send(request("/", "GET", b"", *headers))
        # The timeouts of the channel.
        self.before = len(self.clock.getDelayedCalls())
        self.served.hint()
        self.drainer.drain()

    def looks(self) -> int:
        """
        How many looks are planned.
        """
        return len(self.clock.getDelayedCalls()) - self.before

    def test_granted(self) -> None:
        """
        Once it is granted it is told that the connection can be ended, and once only.
        """
        self.drain(*ASKED)
        self.clock.pump([UPGRADE] * 5)
        self.assertEqual((self.served.idled, self.looks()), (0, 1))
        self.assertTrue(self.drainer.isBusy())
        other = self.resource.grant()
        self.clock.advance(SELDOM)
        self.assertEqual((self.served.idled, self.looks()), (1, 0))
        self.assertTrue(self.drainer.upgraded)
        self.assertFalse(self.drainer.isBusy())
        self.served.send(b"abc")
        self.assertEqual(other.received, [b"abc"])
        self.drainer.drain()
        self.assertTrue(self.served.transport.disconnecting)

    def test_refused(self) -> None:
        """
        When it is refused the answer is the last, and nobody looks any more.
        """
        self.drain(*ASKED)
        self.resource.refuse()
        self.clock.advance(UPGRADE)
        self.assertEqual(self.served.idled, 0)
        self.assertTrue(self.served.answers()[0].closes)
        self.assertEqual(self.drainer.isBusy(), False)
        self.clock.advance(UPGRADE)
        self.assertEqual(self.looks(), -self.before)

    def test_notAskedFor(self) -> None:
        """
        Nobody looks at a connection on which no upgrade was asked for.
        """
        self.drain()
        self.assertEqual((self.served.idled, self.looks()), (0, 0))

    def test_replaced(self) -> None:
        """
        A channel that lost its transport to another protocol has been upgraded too.
        """
        self.drain(*ASKED)
        self.served.channel.transport = None
        self.clock.advance(UPGRADE)
        self.assertEqual((self.served.idled, self.looks()), (1, 0))

    def test_idle(self) -> None:
        """
        Without a request there is nothing to wait for.
        """
        self.served.hint()
        self.drainer.drain()
        self.assertEqual(self.served.idled, 0)
        self.assertTrue(self.served.transport.disconnecting)

    def test_nobodyToTell(self) -> None:
        """
        A drainer that has not begun waits for nothing.
        """
        self.served.send(request("/", "GET", b"", *ASKED))
        before = len(self.clock.getDelayedCalls())
        WebDrainer(self.served.protocol).drain()
        self.assertEqual(len(self.clock.getDelayedCalls()), before)

    def test_kind(self) -> None:
        """
        What is not known to be a WebSocket is ended as raw connections are.
        """
        self.drain(*ASKED)
        self.resource.grant()
        self.assertTrue(isUpgraded(self.served.channel))
        raw = RawDrainer(self.served.channel, upgraded=True)
        for name in ("silent", "upgraded", "lasting", "prompt", "answered"):
            self.assertEqual(getattr(self.drainer, name), getattr(raw, name), name)
        self.assertEqual(self.drainer.describe(), "")
        self.assertEqual(self.drainer.lastWord(5), "")


class Silent:
    """
    A WebSocket's application that wants nothing.
    """

    def negotiationStarted(self, transport: Any) -> None:
        pass

    def negotiationFinished(self) -> None:
        pass


class WebSocketTests(SynchronousTestCase):
    """
    WebSockets of C{twisted.web}.
    """

    def setUp(self) -> None:
        factory: Any = type("Factory", (), {"buildProtocol": lambda _, request: Silent()})()
        self.served = Served(at(b"socket", WebSocketResource(factory)))
        self.drainer: Any = self.served.drainer

    def upgrade(self) -> None:
        """
        The client asks, and is granted it at once.
        """
        self.served.send(request("/socket", "GET", b"", *WEBSOCKET))
        self.assertTrue(self.served.transport.value().startswith(b"HTTP/1.1 101"))
        self.served.transport.clear()

    def assertClosed(self) -> None:
        """
        A close frame was written, and only that.
        """
        self.assertEqual(self.served.transport.value(), b"\x88\x02\x03\xe9")

    def test_known(self) -> None:
        """
        The right drainer is asked.
        """
        self.upgrade()
        for name in ("lasting", "prompt", "upgraded"):
            self.assertTrue(getattr(self.drainer, name), name)
        self.assertFalse(self.drainer.silent)
        self.assertEqual(self.drainer.describe(), "WebSocket /socket")

    def test_afterTheHint(self) -> None:
        """
        A connection that is upgraded after the hint is ended as the WebSocket that it is.
        """
        self.served.hint()
        self.assertFalse(self.drainer.prompt)
        self.upgrade()
        self.drainer.drain()
        self.assertClosed()

    def test_lastWord(self) -> None:
        """
        The close frame is the last word.
        """
        self.upgrade()
        self.served.hint()
        self.assertEqual(self.drainer.lastWord(5), "1001")
        self.assertClosed()

    def test_byAnother(self) -> None:
        """
        A drainer that is made anew goes on with what another has begun.
        """
        self.upgrade()
        self.served.hint()
        another: Any = IDrainer(self.served.protocol)
        another.drain()
        self.assertClosed()
        self.drainer.drain()
        self.assertClosed()

    def test_found(self) -> None:
        """
        What listens to the connection is the drainer that has begun, not another.
        """
        self.upgrade()
        self.served.hint()
        self.assertIsInstance(self.served.channel.dataReceived.__self__, WebSocketDrainer)
        listening = self.served.channel.dataReceived.__self__
        WebDrainer(self.served.protocol).hint(self.served.watch)
        self.assertIs(self.served.channel.dataReceived.__self__, listening)

    def test_nobodyLooksAgain(self) -> None:
        """
        Nobody is asked to look again at a connection whose close frame was written.
        """
        self.upgrade()
        self.served.hint()
        self.drainer.drain()
        self.assertClosed()
        self.assertEqual(self.served.idled, 0)
