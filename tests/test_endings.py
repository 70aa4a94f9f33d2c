"""
Ends that come by another way than the drainers': from below, by surprise, or at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer

from terminable import Terminator, whenDraining
from terminable.interfaces import IHintingDrainer
from tests import frames
from tests.answers import Shop
from tests.doubles import Boom, Hinting, World
from tests.wire import Turning, Wire
from tests.wspeers import AutobahnServer, Call, TwistedServer, closing, frame


class Web:
    """
    A web server over TLS on a socket that is driven by hand.
    """

    def __init__(self, protocols: list[str], **times: Any) -> None:
        self.clock = Turning()
        self.shop = Shop()
        self.terminator = Terminator(self.clock, **times)
        site = self.terminator.wrap(Site(self.shop, reactor=self.clock))
        self.wire = Wire(site, tls=True, protocols=protocols, reactor=self.clock)
        self.reports: list[Any] = []

    def send(self, *data: bytes) -> None:
        self.wire.peer.send(b"".join(data))
        self.wire.waitForInput()
        self.go(0.02)

    def stop(self, *args: Any) -> None:
        self.terminator.terminate(*args).addCallback(self.reports.append)
        self.go(0.02)

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)
            self.wire.pump()


class EndTests(SynchronousTestCase):
    """
    Whatever ends a connection, or its drain, ends it in time.
    """

    def test_lineWithoutEndOverTLS(self) -> None:
        """
        HTTP/1.1 over TLS, in the idle grace: a line without an end. C{LineReceiver} loses the
        TLS transport itself, which would wait for the HTTP channel, a registered producer.
        """
        web = Web(["http/1.1"], gracePeriod=10.0, linger=0.5)
        web.stop()
        web.send(b"x" * 20000)
        web.go(3.0)
        self.assertEqual(len(web.reports), 1, "waits for the deadline")

    def test_rawLoseOverTLS(self) -> None:
        """
        The same by an application that loses the transport below its WebSocket.
        """
        call = Call(TwistedServer, True, gracePeriod=10.0, linger=0.5)
        socket = call.application.transport
        whenDraining(socket).addCallback(lambda _: socket.transport.loseConnection())
        call.stop()
        call.go(3.0)
        self.assertEqual(len(call.reports), 1, "waits for the deadline")

    def test_rapidReset(self) -> None:
        """
        HTTP/2, in the drain: C{twisted.web} has had enough of resets, and ends the connection,
        which would wait for its producer.
        """
        web = Web(["h2"], gracePeriod=10.0, linger=0.5)
        client = frames.Client()
        web.send(frames.HELLO)
        web.stop()
        for number in range(1, 2400, 2):
            web.wire.peer.send(client.get(number, "/x", False) + frames.reset(number))
            web.wire.pump()
        web.go(3.0)
        self.assertEqual(len(web.reports), 1, "waits for the deadline")

    def test_theStopEnds(self) -> None:
        """
        Whatever a drainer raises, there is a report in the end.
        """

        @implementer(IHintingDrainer)
        class Bad(Hinting):
            @property
            def upgraded(self) -> bool:
                raise Boom

        world = World(Bad, gracePeriod=2.0)
        world.connect()
        world.terminator.terminate()
        world.pass_(5.0)
        self.flushLoggedErrors(Boom)
        self.assertEqual(len(world.diary.reports), 1)

    def test_noGraceWebSocket(self) -> None:
        """
        C{terminate(0)}: a WebSocket has its close frame, as SMTP has its 421.
        """
        call = Call(TwistedServer, False)
        call.terminator.terminate(0)
        call.go(0.05)
        self.assertEqual(call.listen(), [(1001, "")])

    def test_noGraceHTTP2(self) -> None:
        """
        The same for HTTP/2: 503, as HTTP/1.1 has.
        """
        web = Web(["h2"])
        web.send(frames.HELLO, frames.Client().get(1, "/later"))
        web.stop(0)
        web.go(0.5)
        rest, seen = web.wire.peer.received, []
        while rest:
            one, rest = frames.take(rest)
            seen.append(one)
        self.assertIn(":status", frames.Client().heads(seen).get(1, {}))

    def test_boundBefore(self) -> None:
        """
        A method that an application has taken before the close frame is mute too.
        """
        call = Call(TwistedServer, False, gracePeriod=5.0)
        loop = LoopingCall(call.application.transport.sendTextMessage, "x")
        loop.clock = call.clock
        failures: list[Any] = []
        loop.start(0.1).addErrback(failures.append)
        call.stop()
        call.go(0.5)
        self.assertEqual(failures, [])

    def test_applicationWasFirst(self) -> None:
        """
        Autobahn: the application says its own goodbye when the drain begins; its peer's is
        awaited, and what the peer has sent before it is delivered.
        """
        call = Call(AutobahnServer, False, gracePeriod=5.0)
        application = call.application
        whenDraining(application).addCallback(lambda _: application.sendClose(4000, "mine"))
        call.stop()
        call.go(0.1)
        call.send(frame(1, b"on its way") + closing(4000))
        call.go(0.1)
        self.assertEqual(application.heard, ["on its way"])
        self.assertTrue(application.wasClean)

    def test_controlCharacters(self) -> None:
        """
        A peer cannot have the operator's terminal do anything.
        """
        web = Web(["h2"], gracePeriod=2.0)
        web.send(frames.HELLO, frames.Client().get(1, "/later\x1b[31m"))
        web.stop()
        web.go(5.0)
        self.assertNotIn("\x1b", str(web.reports[0]))
