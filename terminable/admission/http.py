"""
How a web server refuses: 503, or WebSocket's close code 1013.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

from twisted.web.http import SERVICE_UNAVAILABLE, HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Site

from terminable.tracking import internals

#: After how many seconds without a request a refused connection is lost.
PATIENCE = 5

#: For how many seconds an HTTP/2 connection stays open after its first answer: there are more
#: requests on their way.
AFTERWARDS = 0.1

#: RFC 9110, sections 15.6.4 and 10.2.3.
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: %d\r\n"
    b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
)
TEXT = b"Too many connections, try again later.\n"

#: RFC 6455, sections 4.2.2 and 5.5.1; the code is of its registry: try again later.
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASON = b"try again later"
_CLOSE = bytes([0x88, 2 + len(_REASON)]) + (1013).to_bytes(2, "big") + _REASON


class RefusingChannel(HTTPChannel):
    """
    HTTP/1.1, as far as it is needed to refuse: the headers of one request are read.

    @ivar site: the L{RefusingSite} that has built it.
    """

    site: Any = None

    def allHeadersReceived(self) -> None:
        """
        Answer now: a body may be long.
        """
        request = self.requests[-1]
        transport: Any = self.transport
        transport.write(self._answer(request.requestHeaders))
        self.loseConnection()

    def _answer(self, headers: Any) -> bytes:
        upgrade = [wish.lower() for wish in headers.getRawHeaders(b"upgrade", ())]
        key = headers.getRawHeaders(b"sec-websocket-key")
        if b"websocket" in upgrade and key:
            accept = b64encode(sha1(key[0] + _MAGIC).digest())
            return _SWITCHING % accept + _CLOSE
        head: bytes = _UNAVAILABLE % (self.site.retryAfter, len(TEXT))
        return head if self._command == b"HEAD" else head + TEXT

    def allContentReceived(self) -> None:
        """
        It has its answer.
        """
        self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """
        Of no interest.
        """


class RefusingResource(Resource):
    """
    The answer to every request that came by HTTP/2.
    """

    isLeaf = True

    def __init__(self, retryAfter: int, reactor: Any) -> None:
        """
        @param retryAfter: seconds.
        @param reactor: provides C{IReactorTime}.
        """
        Resource.__init__(self)
        self._retryAfter = retryAfter
        self._reactor = reactor

    def render(self, request: Any) -> bytes:
        """
        503, and the end of the connection.
        """
        request.setResponseCode(SERVICE_UNAVAILABLE)
        request.setHeader(b"retry-after", b"%d" % self._retryAfter)
        request.setHeader(b"content-type", b"text/plain")
        transport = internals.streamTransport(request.channel)
        self._reactor.callLater(AFTERWARDS, transport.loseConnection)
        return TEXT


class RefusingSite(Site):
    """
    Builds channels that refuse, for HTTP/1.1, HTTP/2 and WebSockets alike.

    @ivar retryAfter: seconds after which a client may try again.
    """

    def __init__(self, retryAfter: int, reactor: Any) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        """
        Site.__init__(
            self, RefusingResource(retryAfter, reactor), timeout=PATIENCE, reactor=reactor
        )
        self.retryAfter = retryAfter

    def protocol(self) -> Any:
        """
        What stands for a channel until ALPN has chosen.
        """
        return internals.GENERIC_HTTP.load()(RefusingChannel())

    def log(self, request: Any) -> None:
        """
        Nobody was served.
        """
