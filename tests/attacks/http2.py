"""
Random conversations by HTTP/2, with a stop at a random moment.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import strategies as some
from twisted.internet.protocol import Protocol
from twisted.web.http import H2Connection

from terminable.policy.ledger import Report
from tests import frames
from tests.attacks.http import SEEN, Conversation, converse
from tests.attacks.http2clients import WINDOW, Speaker, Stream, Talk
from tests.attacks.site import siteOf
from tests.attacks.talks import TIMES


class Talking(Conversation):
    """
    A conversation by HTTP/2.
    """

    client = Speaker

    def _site(self) -> Any:
        site = siteOf(self.answering, self.reactor)
        build = site.buildProtocol

        def buildProtocol(address: Any) -> Protocol | None:
            # As if ALPN had chosen it.
            protocol: Any = build(address)
            channel: Any = H2Connection(self.reactor)
            for name in ("requestFactory", "site", "factory", "timeOut", "callLater"):
                setattr(channel, name, getattr(protocol, name))
            protocol._channel, protocol._negotiatedProtocol = channel, b"h2"
            make = protocol.makeConnection

            def makeConnection(transport: Any) -> None:
                make(transport)
                transport.registerProducer(channel, True)

            protocol.makeConnection = makeConnection
            return protocol  # type: ignore[no-any-return]

        site.buildProtocol = buildProtocol
        return site

    def connect(self, talk: Talk) -> None:
        """
        See L{Conversation.connect}.
        """
        super().connect(talk)
        client: Any = self.clients[-1]
        client.number = len(self.clients)

    def do(self, what: str, who: int, size: int) -> None:
        """
        See L{Conversation.do}.
        """
        if what in ("turn", "pass"):
            super().do(what, who, size)
            for client in self.clients:
                client.taken = client.sent  # type: ignore[attr-defined]
        elif what in ("ask", "saySome", "reply", "cancel", "goAway"):
            SEEN[f"HTTP/2: {what}"] += 1
            getattr(self.clients[who % len(self.clients)], what)()
        else:
            super().do(what, who, size)

    def _checkOne(self, client: Any, isNamed: bool) -> None:
        SEEN["streams"] += len(client.streams)
        rendered = Counter(self.answering.rendered)
        twice = [stream for stream in client.streams if rendered[stream.path] > 1]
        assert not twice, f"done twice: {twice}"
        if client.left or client.transport is None:
            return
        replies = client.replies()
        asked = {stream.number: stream for stream in client.streams}
        assert replies.keys() <= asked.keys(), "an answer to nothing"
        last = self._last(client)
        for number, stream in asked.items():
            self._checkStream(client, stream, replies.get(number), last, isNamed)
        if not isNamed and not client.half:
            assert not client.partial, "a frame is cut off"
            assert self._atOnce or last is not None, "no goodbye"

    @property
    def _atOnce(self) -> bool:
        """
        Whether there is no time for a goodbye.
        """
        times = self.terminator.schedule
        return (times.gracePeriod or 0.0) <= times.quiesce + times.idleGrace

    def _last(self, client: Any) -> int | None:
        """
        The last stream that the last goodbye names.
        """
        named = frames.goodbyes(client.frames)
        assert named == sorted(named, reverse=True), f"it names more than before: {named}"
        SEEN[f"HTTP/2: {len(named)} goodbyes"] += 1
        return named[-1] if named else None

    def _checkStream(
        self,
        client: Any,
        stream: Stream,
        reply: tuple[int, bytes] | None,
        last: int | None,
        isNamed: bool,
    ) -> None:
        rendered = stream.path in self.answering.rendered
        refused = frames.resets(client.frames).get(stream.number) == frames.REFUSED_STREAM
        beyond = last is not None and stream.number > last
        assert not (rendered and (refused or beyond)), f"{stream} was refused, and is done"
        if reply is not None:
            SEEN["streams answered"] += 1
            good = stream.isAnswer(*reply) or (isNamed and reply[0] == 503)
            assert good, f"{stream} is answered with {reply[0]} {reply[1][:100]!r}"
        elif refused or beyond:
            SEEN["streams refused"] += 1
        elif stream.cancelled or isNamed or client.half or stream.begun >= client.sent:
            SEEN["streams given up"] += 1
        elif self._atOnce and self._isLate(client, stream):
            SEEN["streams too late"] += 1
        else:
            raise AssertionError(f"{stream} is not answered; the last is {last}")

    def _isLate(self, client: Any, stream: Stream) -> bool:
        # Of a body that was never sent to its end nothing can be expected.
        arrived, ended = client.arrived, stream.ended
        return arrived is None or ended is None or ended > arrived

    def _tell(self, client: Any, report: Report) -> str:
        return f"{client.wants} received {client.frames[-12:]}; {report}"


@some.composite
def talks(draw: Any) -> Talk:
    """
    What one client asks for.
    """
    kinds = ["now", "later", "stream", "sized", "push", "large", "empty", "fails", "stop"]
    streams = []
    for _ in range(draw(some.integers(0, 5))):
        method = draw(some.sampled_from(["GET", "POST", "HEAD"]))
        body = some.lists(some.binary(min_size=1, max_size=20), min_size=1, max_size=3)
        pieces = draw(body) if method == "POST" else []
        streams.append(Stream(draw(some.sampled_from(kinds)), method, pieces))
    window = draw(some.sampled_from([WINDOW, WINDOW, 1000, 1]))
    return Talk(streams, window, draw(some.booleans()), draw(some.booleans()))


#: What happens, to whom, and how much of it.
STEPS = some.lists(
    some.tuples(
        some.sampled_from(
            ["ask"] * 5
            + ["send"] * 5
            + ["turn"] * 4
            + ["saySome", "saySome", "reply", "reply", "read", "read", "goOn", "goOn"]
            + ["cancel", "pass", "stop", "goAway", "halfEnd", "leave"]
        ),
        some.integers(0, 1),
        some.integers(1, 300),
    ),
    max_size=80,
)

#: What a conversation is made of.
PLAN: dict[str, Any] = {
    "way": some.sampled_from(["own", "wrapped"]),
    "family": some.sampled_from(["unix", "unix", "tcp"]),
    "settings": TIMES,
    "talk": some.lists(talks(), min_size=1, max_size=2),
    "steps": STEPS,
}


def talking(
    way: str,
    family: str,
    settings: dict[str, float],
    talk: list[Talk],
    steps: list[tuple[str, int, int]],
) -> None:
    """
    One conversation, and whether all guarantees held in it.
    """
    converse(Talking, way, family, settings, talk, steps)
