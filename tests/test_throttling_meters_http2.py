"""
Requests of HTTP/2: streams, which need not wait for each other.
"""

from __future__ import annotations

from typing import Any

from hyperframe.frame import GoAwayFrame

from terminable.policy.limits import Limit
from terminable.throttling.meter import ASIDE
from terminable.throttling.meters.http import ENHANCE_YOUR_CALM
from terminable.throttling.throttle import Throttle
from tests.frames import HELLO, Client, bodies, data, reset, take
from tests.metering import Metered
from tests.test_throttling_meters_http import HTTPTestCase
from tests.test_throttling_meters_shared import Shared


class StreamTests(HTTPTestCase):
    """
    Streams that are more than allowed.

    @ivar client: what writes and reads them.
    """

    def call(self, *limits: Any) -> Metered:
        """
        Somebody who speaks HTTP/2.
        """
        made = self.site(*limits, tls=True, protocols=["h2"])
        self.client = Client()
        self.codes: dict[int, str] = {}
        self.seen: list[Any] = []
        self.rest = b""
        made.send(HELLO)
        channel = made.protocol._channel
        # It would send on the reactor that is installed.
        channel._reactor = made.clock
        channel._sendPrioritisedData()
        return made

    def ask(self, made: Metered, *streams: int) -> None:
        """
        Ask for something on each of these streams, at once.
        """
        made.send(b"".join(self.client.get(stream, f"/{stream}") for stream in streams))

    def hear(self, made: Metered) -> dict[int, str]:
        """
        @return: with which code each stream was answered until now.
        """
        self.rest += made.said()
        frames = []
        while True:
            frame, self.rest = take(self.rest)
            if frame is None:
                break
            frames.append(frame)
        self.seen += frames
        for stream, head in self.client.heads(frames).items():
            self.codes[stream] = head[":status"]
        return self.codes

    def test_rate(self) -> None:
        """
        Streams that were opened all at once are served at their rate.
        """
        for over in ("backpressure", "delay"):
            made = self.call(f"messages=10/s:burst=2:over={over}")
            self.ask(made, *range(1, 17, 2))
            ahead = 1 if over == "backpressure" else 0
            self.assertEqual(len(self.hear(made)), 2 + ahead)
            made.go(0.35)
            self.assertEqual(len(self.hear(made)), 5)
            made.go(0.4)
            self.assertEqual(set(self.hear(made).values()), {"200"})
            self.assertEqual(len(bodies(self.seen)), 8)
            self.assertFalse(made.paused)

    def test_body(self) -> None:
        """
        A stream is counted when its body has come.
        """
        made = self.call("messages=10/s:burst=1:over=delay")
        made.send(self.client.get(1, "/1", last=False, method="POST"))
        self.ask(made, 3)
        made.send(data(1, b"abc"))
        self.assertEqual(self.hear(made), {3: "200"})
        made.go(0.2)
        self.hear(made)
        self.assertEqual(bodies(self.seen)[1], b"/1 abc")

    def test_quota(self) -> None:
        """
        Streams that are too many are answered with 429.
        """
        made = self.call("messages=10/s:burst=2:over=quota")
        self.ask(made, 1, 3, 5, 7)
        made.go(0.05)
        self.assertEqual(self.hear(made), {1: "200", 3: "200", 5: "429", 7: "429"})
        self.assertEqual(bodies(self.seen)[7], b"QUOTA_EXCEEDED: try again in 1 s\n")

    def test_disconnect(self) -> None:
        """
        Who has to go is answered until then, and told by GOAWAY why.
        """
        made = self.call("messages=10/s:burst=1:over=disconnect")
        self.ask(made, 1, 3, 5)
        self.assertEqual(self.hear(made), {1: "200", 3: "429", 5: "429"})
        made.go(0.5)
        self.ask(made, 7)
        self.ask(made, 9)
        self.assertEqual((self.hear(made)[7], self.hear(made)[9]), ("200", "429"))
        made.go(0.6)
        self.hear(made)
        [goAway] = [frame for frame in self.seen if isinstance(frame, GoAwayFrame)]
        self.assertEqual(goAway.error_code, ENHANCE_YOUR_CALM)
        self.assertTrue(made.peer.notified)
        self.assertEqual(made.counts.disconnected, 1)
        made.leave()

    def test_reset(self) -> None:
        """
        A stream that its client has given up while it waited is not served, nor answered.
        """
        for over in ("delay", "quota"):
            shared = Shared()
            limit = Limit(messages=10, per="peer", shared=shared, over=over)
            made = self.call(limit)
            self.ask(made, 1, 3)
            made.send(reset(1))
            shared.answer(made, 1.0 if over == "quota" else 0.0)
            shared.answer(made, 0.0)
            self.assertEqual(self.hear(made), {3: "200"})
            self.assertEqual(self.shop.served, [b"/3"])

    def test_rapidReset(self) -> None:
        """
        Who opens streams and gives them up at once does not fill our memory: what is too
        much is not read any more.
        """
        made = self.call("messages=100/s:burst=1:over=delay")
        stream = 1
        while not made.paused:
            numbers = range(stream, stream + 100, 2)
            self.ask(made, *numbers)
            if not made.paused:
                made.send(b"".join(reset(number) for number in numbers))
            stream += 100
        self.assertLess(stream, 4 * ASIDE)
        made.go(4.0)
        self.assertFalse(made.paused)

    def test_leftWhileAsked(self) -> None:
        """
        A stream about which somebody thinks for longer than its connection lives is not
        served.
        """
        shared = Shared()
        own = "messages=10/s:burst=1:over=disconnect:warning=0.1"
        made = self.call(Limit(messages=10, per="peer", shared=shared), own)
        self.ask(made, 1, 3)
        made.go(0.15)
        shared.answer(made)
        self.assertEqual(self.hear(made), {3: "429"})
        self.assertEqual(self.shop.served, [])
        made.leave()

    def test_metLate(self) -> None:
        """
        So are those of a connection that spoke HTTP/2 before it had limits.
        """
        made = self.call()
        self.ask(made, 1)
        throttle = Throttle(made.clock, ["messages=10/s:burst=1:over=quota"])
        throttle.begin(made.transport, lambda transport: None)
        self.ask(made, 3, 5)
        self.assertEqual(self.hear(made), {1: "200", 3: "200", 5: "429"})
        throttle.end(made.transport)

    def test_leavesLate(self) -> None:
        """
        Nothing is said on a connection that is over.
        """
        made = self.call("messages=10/s:burst=1:over=disconnect")
        self.ask(made, 1, 3)
        made.transport.abortConnection()
        made.go(2.0)
        self.assertEqual(made.clock.getDelayedCalls(), [])
