"""
Requests, as C{twisted.web} takes them apart, whatever the version of HTTP.

RFC 6585, section 4: who sends too many is answered with 429, and told when to come again.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import directlyProvides

from terminable.policy.limits import Limit
from terminable.throttling.charges import Refusal
from terminable.throttling.meter import Meter
from terminable.tracking import internals

#: RFC 6585, section 4.
TOO_MANY_REQUESTS = 429
TOO_MANY_REQUESTS_TEXT = b"Too Many Requests"

#: When to look first whether an upgrade that was asked for was granted after some thought,
#: in seconds, and how seldom at last.
UPGRADE = 0.1
SELDOM = 1.6

#: RFC 9113, section 7: the peer may be generating excessive load.
ENHANCE_YOUR_CALM = 0xB


class HTTPMeter(Meter):
    """
    Counts requests when they have been received in full.
    """

    ordered = False

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self._call: Any = None
        self._make: Any = None
        self._whole: Any = None

    def begin(self) -> None:
        """
        Stand between requests and their processing: before those of HTTP/1, which are many on
        a connection, once for all; before each stream of HTTP/2.
        """
        channel = self._channel
        if channel is not self.protocol:
            self._make = self.protocol.requestFactory
            make = partial(self._made)
            if INonQueuedRequestFactory.providedBy(self._make):
                directlyProvides(make, INonQueuedRequestFactory)
            self.protocol.requestFactory = make
        if channel is not None:
            if channel is not self.protocol:
                channel.requestFactory = self._make
            self._whole = self.hook(channel, "allContentReceived", partial(self._complete, channel))

    def _complete(self, channel: Any) -> None:
        verdict = self.charges.arrived()
        if verdict is not None:
            self._wait(channel.requests[-1], verdict)
        self._whole()
        requests = channel.requests
        if requests:
            self._lookFirst(requests[0])

    def _wait(self, request: Any, verdict: Any) -> None:
        # Not the request itself: it would have itself, and need the garbage collector.
        request.process = partial(self._arrived, ref(request), verdict)

    def _made(self, *args: Any, **keywords: Any) -> Any:
        request = self._make(*args, **keywords)
        request.process = partial(self._arrived, ref(request))
        return request

    def _arrived(self, reference: ReferenceType[Any], *verdict: Any) -> None:
        request: Any = reference()
        # Its own method is there again.
        del request.process
        if verdict:
            self.judge(verdict[0], self._process, (request,))
        else:
            self.message(self._process, request)

    def _process(self, request: Any) -> None:
        # Unless it was given up while it waited.
        if request.channel is not None:
            request.process()
            self._lookFirst(request)

    def _lookFirst(self, request: Any) -> None:
        if request.finished or self._call is not None:
            return
        if request.requestHeaders.hasHeader(b"upgrade"):
            self._look(request, 0.0)

    def _look(self, request: Any, delay: float) -> None:
        """
        Whether there is another protocol now.
        """
        self._call = None
        if self.over or self.owner.meet() or request.finished or request.channel is None:
            return
        delay = min(2 * delay, SELDOM) or UPGRADE
        self._call = self.reactor.callLater(delay, self._look, request, delay)

    @property
    def _channel(self) -> Any:
        """
        The channel if this is HTTP/1, otherwise C{None}.
        """
        channel = internals.httpChannel(self.protocol)
        return channel if isinstance(channel, HTTPChannel) else None

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Answer with 429 and the fields of draft-ietf-httpapi-ratelimit-headers.
        """
        [request] = message
        if request.channel is None:
            return
        wait = refusal.wholeSeconds
        words = f"{refusal.limit.words}: try again in {wait} s\n".encode()
        request.setResponseCode(TOO_MANY_REQUESTS, TOO_MANY_REQUESTS_TEXT)
        for name, value in _fields(refusal.limit, wait):
            request.setHeader(name, value)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Content-Length", b"%d" % len(words))
        if refusal.last and self._channel is not None:
            request.setHeader(b"Connection", b"close")
            self._channel.persistent = False
        request.write(words)
        request.finish()

    def leave(self, refusal: Refusal) -> None:
        """
        Say why, where there is a way, and lose the connection.
        """
        channel = internals.httpChannel(self.protocol)
        if channel.transport is None:
            # It was upgraded meanwhile.
            super().leave(refusal)
        elif isinstance(channel, HTTPChannel):
            channel.loseConnection()
        else:
            channel.conn.close_connection(ENHANCE_YOUR_CALM)
            channel.transport.write(channel.conn.data_to_send())
            channel.transport.unregisterProducer()
            channel.transport.loseConnection()

    def end(self) -> None:
        """
        The connection is over.
        """
        super().end()
        # A request that was never received in full has us.
        self.protocol = self._whole = self._make = None
        if self._call is not None:
            self._call.cancel()
            self._call = None


def _fields(limit: Limit, wait: int) -> list[tuple[bytes, bytes]]:
    """
    What a refused client is told of its limit, which is named after whose it is.
    """
    window = max(1, math.ceil(limit.burst / limit.rate))
    name = limit.per.value.encode()
    return [
        (b"Date", datetimeToString()),
        (b"Retry-After", b"%d" % wait),
        (b"RateLimit-Policy", b'"%s";q=%d;w=%d' % (name, limit.rate * window, window)),
        (b"RateLimit", b'"%s";r=0;t=%d' % (name, wait)),
    ]
