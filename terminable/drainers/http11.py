"""
HTTP/1.1 and HTTP/1.0, as C{twisted.web} speaks them.

Everything is installed on the channel's instance when a drain begins; a server that
is not stopping pays nothing.  C{writeHeaders} is as late as one can be: the
application, synchronous or not, has decided everything else by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from zope.interface import implementer

from terminable.drainers.plain import readable
from terminable.interfaces import IDrainWatch, ILastingDrainer
from terminable.tracking import internals
from terminable.tracking.layers import bottomOf, hasUnread, unsentHere

#: RFC 9110: 503 is section 15.6.4, 408 section 15.5.9, Retry-After section 10.2.3;
#: the close option is RFC 9112, section 9.6.
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Connection: close\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n"
)
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

#: By what the application and the peer would get through to each other after that.
_LATE = ("write", "writeSequence", "writeHeaders", "dataReceived", "lineReceived")


def _swallow(*args: object) -> None:
    """
    Take what comes too late.
    """


class _Hint:
    """
    Stands in for C{writeHeaders} of one channel; a small object, as there may be ten
    thousand.
    """

    __slots__ = ("_channel", "_done", "_idle", "_write", "answered", "request")

    def __init__(self, channel: Any, idle: Callable[[], None]) -> None:
        self._channel = channel
        self._idle = idle
        self._write = channel.writeHeaders
        self.answered = False
        self.request = ""
        self._done: Any = None

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """
        Add the hint, unless something else is waiting behind this answer.
        """
        channel = self._channel
        # 1xx is no answer yet, or (101) the last that HTTP says here.
        if not code.startswith(b"1"):
            self.answered = True
            self.request = _describe(channel)
            if internals.httpPipelined(channel) or hasUnread(bottomOf(channel.transport)):
                self.watch()
            else:
                channel.persistent = 0
                headers = _closing(headers)
        self._write(version, code, reason, headers)

    def watch(self) -> None:
        """
        Tell when the connection is idle without having been told to go.
        """
        if self._done is None:
            self._done = self._channel.requestDone
            self._channel.requestDone = self._requestDone

    def _requestDone(self, request: Any) -> None:
        channel = self._channel
        self._done(request)
        if channel.persistent and internals.httpIdle(channel):
            self._idle()


@implementer(ILastingDrainer)
class HTTP11Drainer:
    """
    Ends a C{twisted.web} channel with its next answer.
    """

    silent = True
    upgraded = False
    lasting = False
    prompt = False

    def __init__(self, channel: HTTPChannel) -> None:
        self._channel = channel

    def isBusy(self) -> bool:
        """
        Whether any part of a request was received that has not been answered.
        """
        return not internals.httpIdle(self._channel)

    def hint(self, idle: IDrainWatch) -> None:
        """
        Say C{Connection: close} with the next answer behind which nothing else is
        waiting, and end the connection after it.
        """
        channel: Any = self._channel
        if self._hinted() is not None:
            return
        hint = _Hint(channel, idle)
        channel.writeHeaders = hint.writeHeaders
        if self._hasBegun() and channel.persistent:
            # This answer can no longer carry the hint.
            hint.watch()

    def _hasBegun(self) -> bool:
        requests = self._channel.requests
        return bool(requests) and bool(requests[0].startedWriting)

    def _hinted(self) -> _Hint | None:
        hint = getattr(self._channel.writeHeaders, "__self__", None)
        return hint if isinstance(hint, _Hint) else None

    @property
    def answered(self) -> bool:
        """
        Whether an answer has begun since the hint.
        """
        hint = self._hinted()
        return hint is not None and hint.answered

    def drain(self) -> None:
        """
        Lose the connection if nothing is in flight; if something is, the hint ends
        it with the answer.
        """
        if not self.isBusy() and not hasUnread(bottomOf(self._channel.transport)):
            self._channel.loseConnection()

    def describe(self) -> str:
        """
        Method and target of the request in flight, or of the last that was answered
        since the hint.
        """
        hint = self._hinted()
        return _describe(self._channel) or ("" if hint is None else hint.request)

    def lastWord(self, retryAfter: int) -> str:
        """
        503 with C{Retry-After} for a request whose answer has not begun, 408 for
        part of a request.
        """
        channel: Any = self._channel
        if not self.isBusy() or self._hasBegun() or unsentHere(channel.transport):
            return ""
        handling = internals.httpHandling(channel)
        channel.transport.write(_UNAVAILABLE % retryAfter if handling else _TIMEOUT)
        for name in _LATE:
            setattr(channel, name, _swallow)
        channel.loseConnection()
        return "503" if handling else "408"


def _describe(channel: Any) -> str:
    if not channel.requests:
        return ""
    method, target = internals.httpRequestLine(channel, channel.requests[0])
    return readable(b"%s %s" % (method, target)).strip()


def _closing(headers: Headers | Iterable[tuple[bytes, bytes]]) -> Headers:
    """
    The same headers with the close option and no other for the connection.
    """
    if not isinstance(headers, Headers):
        pairs, headers = headers, Headers()
        for name, value in pairs:
            headers.addRawHeader(name, value)
    headers.setRawHeaders(b"Connection", [b"close"])
    return headers
