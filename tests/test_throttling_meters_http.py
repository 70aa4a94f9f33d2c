"""
Requests of HTTP/1.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.web import http
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.server import Request, Site
from zope.interface import directlyProvides

from terminable.interfaces import IDrainer
from terminable.policy.ledger import State
from terminable.policy.limits import Limit
from tests.answers import Answer, Shop, readAnswers, request
from tests.metering import Metered, MeterTestCase
from tests.test_throttling_meters_shared import Shared


class HTTPTestCase(MeterTestCase):
    """
    A site with limits.

    @ivar shop: what is served.
    """

    def site(self, *limits: Any, **options: Any) -> Metered:
        """
        A client of one.
        """
        self.shop = Shop()
        made = self.serve(None, *limits, factory=self.build, **options)
        return made

    def build(self, clock: Any) -> Site:
        """
        The site.
        """
        return Site(self.shop, reactor=clock)

    def answers(self, made: Metered) -> list[Answer]:
        """
        What the client has been told since the last time.
        """
        return readAnswers(made.said())


class RequestTests(HTTPTestCase):
    """
    Requests that are more than allowed.
    """

    def test_pipelined(self) -> None:
        """
        Requests that came all at once are served at their rate, in order.
        """
        for over in ("backpressure", "delay"):
            made = self.site(f"messages=10/s:burst=2:over={over}")
            made.send(b"".join(request(f"/{number}") for number in range(6)))
            ahead = 1 if over == "backpressure" else 0
            self.assertEqual(len(self.answers(made)), 2 + ahead)
            made.go(0.25)
            self.assertEqual(len(self.shop.served), 4 + ahead)
            made.go(0.5)
            self.assertEqual(self.shop.served, [b"/%d" % number for number in range(6)])
            self.assertEqual([answer.status for answer in self.answers(made)], [200] * (4 - ahead))
            self.assertFalse(made.paused)
            made.go(0.5)
            made.send(request("/again"))
            self.assertEqual(len(self.answers(made)), 1)

    def test_bodies(self) -> None:
        """
        A request is counted when its body has come, and keeps it while it waits.
        """
        made = self.site("messages=10/s:burst=1:over=delay")
        made.send(request("/a", "POST", b"x" * 1000) + request("/b", "POST", b"y" * 1000))
        self.assertEqual(self.shop.served, [b"/a"])
        made.go(0.11)
        self.assertEqual([answer.body for answer in self.answers(made)][1], b"/b " + b"y" * 1000)

    def test_quota(self) -> None:
        """
        Who asks too often is answered with 429, and told when to come again and what the
        limit is.
        """
        made = self.site("messages=2/s:burst=3:over=quota:per=peer")
        made.send(b"".join(request(f"/{number}") for number in range(4)))
        *served, refused = self.answers(made)
        self.assertEqual([answer.status for answer in served], [200] * 3)
        self.assertEqual(refused.status, 429)
        self.assertEqual(refused.headers[b"retry-after"], b"1")
        self.assertEqual(refused.headers[b"ratelimit-policy"], b'"peer";q=4;w=2')
        self.assertEqual(refused.headers[b"ratelimit"], b'"peer";r=0;t=1')
        self.assertIn(b"date", refused.headers)
        self.assertEqual(refused.body, b"QUOTA_EXCEEDED: try again in 1 s\n")
        self.assertFalse(refused.closes)
        made.go(0.6)
        made.send(request("/again") + request("/no", "HEAD"))
        answers = readAnswers(made.said(), [b"GET", b"HEAD"])
        self.assertEqual([answer.status for answer in answers], [200, 429])
        self.assertEqual(len(self.shop.served), 4)

    def test_disconnect(self) -> None:
        """
        Who has to go is told by C{Connection: close}, and loses the connection with that.
        """
        made = self.site("messages=2/s:burst=1:over=disconnect")
        made.send(b"".join(request(f"/{number}") for number in range(9)))
        answers = self.answers(made)
        self.assertEqual([answer.status for answer in answers], [200, 429])
        self.assertTrue(answers[1].closes)
        made.leave()
        self.assertEqual(made.clock.getDelayedCalls(), [])

    def test_tooManyBytes(self) -> None:
        """
        Who goes for too many bytes does after the warning time.
        """
        made = self.site("messages=99/s", "received=50/s:over=disconnect")
        made.send(request("/a") * 9)
        made.go(0.9)
        self.assertIsNone(made.peer.over)
        made.go(0.2)
        self.assertEqual(made.peer.over, "FIN")

    def test_flood(self) -> None:
        """
        Who sends and does not read the refusals does not fill our memory, and is answered
        when he does.
        """
        made = self.site("messages=1/s:burst=1:over=quota", sendBuffer=4096)
        made.clock._many = 10**6
        sent = 0
        while made.transport in made.clock.readers:
            made.peer.send(request("/") * 100)
            sent += 100
            made.wire.pump(0)
        unsent = len(made.transport.dataBuffer) + made.transport._tempDataLen
        self.assertLess(unsent, 2**21)
        made.wire.pumpUntil(lambda: made.peer.received.count(b"HTTP/1.1 ") == sent)

    def test_goneWhileItWaits(self) -> None:
        """
        A request whose client has gone while it waited is not served.
        """
        made = self.site("messages=10/s:burst=1:over=delay")
        made.send(request("/a") + request("/b"))
        made.peer.socket.close()
        made.peer.over = "FIN"
        made.go(0.5)
        self.assertEqual(self.shop.served, [b"/a"])
        self.assertFalse(made.transport.connected)
        self.assertEqual(made.clock.getDelayedCalls(), [])

    def test_collected(self) -> None:
        """
        A request needs no garbage collector to go: served, refused, delayed, or never
        received in full.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        seen: list[Any] = []

        class Noted(Request):
            """
            One that is known to the test.
            """

            def __init__(self, *args: Any, **named: Any) -> None:
                super().__init__(*args, **named)
                seen.append(weakref.ref(self))

        self.noted = lambda clock: Site(self.shop, requestFactory=Noted, reactor=clock)
        for over in ("quota", "delay", "backpressure"):
            self.shop = Shop()
            made = self.serve(
                None,
                f"messages=10/s:burst=2:over={over}",
                factory=self.noted,
            )
            made.send(request("/a") * 5)
            made.go(0.6)
            self.assertEqual([each for each in seen if each() is not None], [])
            # What cannot be understood is never processed.
            kind = "Content-Type: multipart/form-data"
            broken = self.serve(None, f"messages=1/h:burst=1:over={over}", factory=self.noted)
            broken.send(request("/") + request("/", "POST", b"abc", kind))
            self.assertIn(b"400 Bad Request", broken.said())
            broken.wire.close()
            broken.wire.protocol = None
            self.assertEqual([each for each in seen if each() is not None], [])
            made.send(b"GET / HTTP/1.1\r\n")
            self.assertEqual(len([each for each in seen if each() is not None]), 1)
            made.transport.abortConnection()
            made.pump()
            made.wire.protocol = None
            self.assertEqual([each for each in seen if each() is not None], [])

    def test_queued(self) -> None:
        """
        What builds requests is called as it wants to be.
        """
        called: list[Any] = []

        def make(channel: Any, queued: Any = None) -> Request:
            called.append(queued)
            return Request(channel, False)

        for expected in (0, None):
            self.shop = Shop()
            made = self.serve(
                None,
                "messages=10/s",
                factory=lambda clock: Site(self.shop, requestFactory=make, reactor=clock),
            )
            made.send(request("/a"))
            self.assertEqual(called.pop(), expected)
            self.assertEqual([answer.status for answer in self.answers(made)], [200])
            directlyProvides(make, INonQueuedRequestFactory)

    def test_bareChannel(self) -> None:
        """
        An HTTP channel that no C{Site} has built is counted as well.
        """

        class Plain(http.Request):
            """
            Answers.
            """

            def process(self) -> None:
                self.setHeader(b"Content-Length", b"0")
                self.finish()

        class Channel(http.HTTPChannel):
            """
            Has such requests.
            """

            requestFactory = Plain

        def factory(clock: Any) -> Any:
            made = http.HTTPFactory(reactor=clock)
            made.buildProtocol = lambda addr: self.bare(Channel(), made)  # type: ignore[method-assign]
            return made

        made = self.serve(None, "messages=10/s:burst=1:over=quota", factory=factory)
        made.send(request("/") * 2)
        self.assertEqual([answer.status for answer in self.answers(made)], [200, 429])
        channel = made.protocol
        made.transport.abortConnection()
        made.pump()
        self.assertNotIn("allContentReceived", vars(channel))

    def bare(self, channel: Any, factory: Any) -> Any:
        """
        A channel of a factory, without what usually is around it.
        """
        channel.factory = factory
        channel.callLater = factory.reactor.callLater
        return channel

    def test_thinksForLong(self) -> None:
        """
        An answer that takes its time holds back those behind it, as ever; their rate is
        kept.
        """
        made = self.site("messages=10/s:burst=2")
        made.send(request("/later/1") + request("/later/2") * 4)
        made.go(0.5)
        self.assertEqual(len(self.shop.served), 1)
        self.shop.finish()
        made.pump()
        self.assertEqual(len(self.shop.served), 2)
        for _ in range(4):
            self.shop.finish()
            made.go(0.2)
        self.assertEqual([answer.status for answer in self.answers(made)], [200] * 5)

    def test_drained(self) -> None:
        """
        A stop lets those be served that wait, and says that the last is.
        """
        for over in ("backpressure", "delay"):
            made = self.site(f"messages=2/s:burst=1:over={over}")
            made.send(request("/a") * 5)
            made.stop()
            made.go(2.2)
            answers = self.answers(made)
            self.assertEqual([answer.status for answer in answers], [200] * 5)
            self.assertEqual([answer.closes for answer in answers], [False] * 4 + [True])
            made.leave()
            made.go(0.1)
            self.assertEqual(made.reports[0].aborted, 0)

    def test_busy(self) -> None:
        """
        Who waits for a turn is busy.
        """
        for over in ("backpressure", "delay"):
            made = self.site(f"messages=2/s:burst=1:over={over}")
            made.send(request("/a") * 2)
            [connection] = made.terminator.connections()
            self.assertIs(connection.state(), State.BUSY)
            self.assertIsNotNone(IDrainer(made.protocol, None))

    def test_shared(self) -> None:
        """
        Who counts for several processes may think about it; meanwhile the request waits.
        """
        shared = Shared()
        made = self.site(Limit(messages=9, per="peer", shared=shared, over="quota"))
        made.send(request("/a") * 3)
        self.assertEqual(self.answers(made), [])
        shared.answer(made)
        self.assertEqual([answer.status for answer in self.answers(made)], [200])
        shared.answer(made, 2.0)
        self.assertEqual([answer.status for answer in self.answers(made)], [429])
        made.transport.abortConnection()
        made.pump()
        self.assertEqual(len(shared.cancelled), 1)


class UpgradeTests(HTTPTestCase):
    """
    Requests that ask for another protocol, and do not get one yet.
    """

    def ask(self) -> Metered:
        """
        Somebody who asks for one, of an application that thinks about it.
        """
        made = self.site("messages=10/s")
        made.send(request("/later", "GET", b"", "Connection: upgrade", "Upgrade: other"))
        self.assertEqual(len(made.clock.getDelayedCalls()), self.calls(made) + 1)
        return made

    def calls(self, made: Metered) -> int:
        """
        How many calls there are that are not ours.
        """
        looks = [each for each in made.clock.getDelayedCalls() if "_look" in str(each.func)]
        return len(made.clock.getDelayedCalls()) - len(looks)

    def test_answered(self) -> None:
        """
        When it was answered after all, that was it.
        """
        made = self.ask()
        made.go(5.0)
        self.shop.finish()
        made.go(2.0)
        self.assertEqual(len(made.clock.getDelayedCalls()), self.calls(made))
        self.assertEqual([answer.status for answer in self.answers(made)], [200])

    def test_gone(self) -> None:
        """
        Nor does a call outlive the connection.
        """
        made = self.ask()
        made.transport.abortConnection()
        made.pump()
        self.assertEqual(made.clock.getDelayedCalls(), [])

    def test_atOnce(self) -> None:
        """
        Who is answered at once is not looked at again.
        """
        made = self.site("messages=10/s")
        made.send(request("/now", "GET", b"", "Connection: upgrade", "Upgrade: other"))
        self.assertEqual(len(made.clock.getDelayedCalls()), self.calls(made))
