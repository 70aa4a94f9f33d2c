"""
Applications that want to know when the connection of a request is to end.
"""

from __future__ import annotations

from typing import Any

from twisted import internet
from twisted.internet.defer import Deferred
from twisted.web.server import NOT_DONE_YET, Site

from terminable import whenDraining
from tests.answers import Shop, readAnswers, request
from tests.asking import AskingTestCase
from tests.frames import HELLO, Client, bodies
from tests.wire import Wire


class Waiting(Shop):
    """
    A shop that tells those who wait when the server goes.

    @ivar asked: what was returned to each.
    """

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self.tell = tell
        self.asked: list[Deferred[None]] = []

    def render(self, request: Any) -> Any:
        """
        One request.
        """
        answer = super().render(request)
        if answer is NOT_DONE_YET:
            self.asked.append(whenDraining(request).addCallback(self.tell, request))
        return answer


class RequestTestCase(AskingTestCase):
    """
    Clients that wait for an answer.
    """

    def site(self, tell: Any = lambda _, request: None) -> Site:
        """
        A server whose application does C{tell} when the drain begins.
        """
        self.shop = Waiting(tell)
        return Site(self.shop, reactor=self.reactor)


class RequestTests(RequestTestCase):
    """
    Requests over HTTP/1.1.
    """

    def waits(self, tell: Any = lambda _, request: None, **options: Any) -> Wire:
        """
        A client that waits for an answer.
        """
        self.begin()
        wire = self.connect(self.site(tell), **options)
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: self.shop.asked)
        return wire

    def test_longPoll(self) -> None:
        """
        Who has waited for news gets an answer, which is the last.
        """

        def tell(_: None, request: Any) -> None:
            request.write(b"nothing new")
            request.finish()

        wire = self.waits(tell)
        result = self.stop()
        wire.pumpUntil(lambda: wire.peer.over)
        [answer] = readAnswers(wire.peer.received)
        self.assertEqual((answer.body, answer.closes), (b"nothing new", True))
        self.reactor.advance(0)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_eventStream(self) -> None:
        """
        A stream of events ends in good order, and its connection when the idle grace is
        over.
        """

        def tell(_: None, request: Any) -> None:
            request.write(b"data: goodbye\n\n")
            request.finish()

        wire = self.waits(tell)
        self.shop.waiting[0].write(b"data: hello\n\n")
        wire.pumpUntil(lambda: wire.peer.received)
        result = self.stop()
        wire.pumpUntil(lambda: b"goodbye" in wire.peer.received)
        [answer] = readAnswers(wire.peer.received)
        self.assertEqual(answer.body, b"data: hello\n\ndata: goodbye\n\n")
        for _ in range(11):
            self.reactor.advance(0.1)
            wire.pump()
        self.assertEqual(wire.peer.over, "FIN")
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_answered(self) -> None:
        """
        A request that has been answered is forgotten: the connection may see many more.
        """
        wire = self.waits()
        self.assertTrue(self.callers(wire))
        self.shop.finish()
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertFalse(self.callers(wire))
        wire.peer.send(request("/later/again"))
        wire.pumpUntil(lambda: len(self.shop.asked) == 2)
        self.stop()
        self.assertNoResult(self.shop.asked[0])
        self.successResultOf(self.shop.asked[1])

    def test_left(self) -> None:
        """
        So is one whose client has gone.
        """
        wire = self.waits()
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        self.assertFalse(self.callers(wire))
        self.stop()
        self.assertNoResult(self.shop.asked[0])

    def test_afterwards(self) -> None:
        """
        Who asks when the drain has begun is told at once, and nothing is left of it.
        """
        wire = self.waits()
        self.stop()
        self.successResultOf(whenDraining(self.shop.waiting[0]))
        self.assertFalse(self.callers(wire))
        self.shop.finish()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertTrue(readAnswers(wire.peer.received)[0].closes)

    def test_overForGood(self) -> None:
        """
        Who asks about a request that was answered, or whose client has gone, is not told.
        """
        wire = self.waits()
        [answered] = self.shop.waiting
        self.shop.finish()
        wire.peer.send(request("/later/again"))
        wire.pumpUntil(lambda: self.shop.waiting)
        [left] = self.shop.waiting
        self.assertNoResult(whenDraining(answered))
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        for each in (answered, left):
            self.assertNoResult(whenDraining(each))

    def test_secure(self) -> None:
        """
        Through TLS it is the same.
        """
        self.waits(tls=True)
        self.stop()
        self.successResultOf(self.shop.asked[0])


class StreamTests(RequestTestCase):
    """
    Requests over HTTP/2.
    """

    def waits(self, tell: Any = lambda _, request: None) -> Wire:
        """
        A client that waits for two answers.
        """
        self.begin()
        # HTTP/2 takes the one that is installed.
        self.patch(internet, "reactor", self.reactor)
        wire = self.connect(self.site(tell), tls=True, protocols=["h2"])
        self.frames = Client()
        wire.peer.send(HELLO + self.frames.get(1, "/later/1") + self.frames.get(3, "/later/3"))
        wire.pumpUntil(lambda: len(self.shop.asked) == 2)
        return wire

    def move(self, wire: Wire, seconds: float) -> None:
        """
        Time goes by, and the channel sends what it has.
        """
        for _ in range(round(seconds * 100)):
            self.reactor.advance(0.01)
            wire.pump()

    def test_both(self) -> None:
        """
        Each request of a connection is told by itself, and answered.
        """

        def tell(_: None, request: Any) -> None:
            request.write(b"nothing new")
            request.finish()

        wire = self.waits(tell)
        result = self.stop()
        self.move(wire, 1.2)
        answered = bodies(self.frames.frames(wire.peer.received))
        self.assertEqual(answered, {1: b"nothing new", 3: b"nothing new"})
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_one(self) -> None:
        """
        If one of them was answered before, it is forgotten; the other one is told.
        """
        wire = self.waits()
        self.shop.finish()
        self.move(wire, 0.1)
        self.assertTrue(self.callers(wire))
        self.stop()
        self.assertNoResult(self.shop.asked[0])
        self.successResultOf(self.shop.asked[1])

    def test_oneEndsTheOther(self) -> None:
        """
        If the first one that is told has the other one answered, that one is not told any
        more.
        """

        def tell(_: None, request: Any) -> None:
            while self.shop.waiting:
                self.shop.finish()

        self.waits(tell)
        self.stop()
        self.successResultOf(self.shop.asked[0])
        self.assertNoResult(self.shop.asked[1])
