"""
HTTP/2, as C{twisted.web} speaks it.

The peer is told with GOAWAY (RFC 9113, section 6.8) first that no more streams are
wanted, and when the last stream is done which was the last.  Streams in flight
complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from terminable.interfaces import IHintingDrainer

#: The highest stream number there is: "whatever you have sent, I take".
_EVERY_STREAM = 2**31 - 1


class _Streams(dict[int, Any]):
    """
    The streams of a connection; tells when the last one is gone.

    What has to be remembered of the drain is here, on the channel: drainers are made
    anew.

    @ivar answered: whether a stream was opened since the hint.
    @ivar draining: whether the connection goes with the last stream.
    """

    def __init__(self, streams: dict[int, Any], empty: Callable[[], None]) -> None:
        super().__init__(streams)
        self._empty = empty
        self.answered = False
        self.draining = False

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.answered = True

    def __delitem__(self, key: int) -> None:
        super().__delitem__(key)
        if not self:
            self._empty()


@implementer(IHintingDrainer)
class HTTP2Drainer:
    """
    Ends a C{twisted.web} HTTP/2 connection after its last stream.
    """

    silent = False
    upgraded = False

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def isBusy(self) -> bool:
        """
        Whether a stream is open.
        """
        return bool(self._channel.streams)

    @property
    def answered(self) -> bool:
        """
        Whether a stream was opened since the hint.
        """
        return bool(getattr(self._channel.streams, "answered", False))

    def hint(self, idle: Callable[[], None]) -> None:
        """
        Announce that no more streams are wanted; those on their way are served.
        """
        channel = self._channel
        if isinstance(channel.streams, _Streams):
            return
        channel.streams = _Streams(channel.streams, self._emptied)
        self._goAway(_EVERY_STREAM)

    def _emptied(self) -> None:
        if self._channel.streams.draining:
            self._lose()

    def drain(self) -> None:
        """
        Lose the connection as soon as no stream is open.
        """
        self._channel.streams.draining = True
        if not self.isBusy():
            self._lose()

    def _lose(self) -> None:
        channel = self._channel
        self._goAway(channel.conn.highest_inbound_stream_id)
        channel.transport.unregisterProducer()
        channel.transport.loseConnection()

    def _goAway(self, last: int) -> None:
        # Written by hand: h2 refuses to answer open streams once it has sent one.
        from hyperframe.frame import GoAwayFrame

        self._channel.transport.write(GoAwayFrame(0, last_stream_id=last).serialize())

    def describe(self) -> str:
        """
        The streams in flight.
        """
        streams = self._channel.streams
        named = [
            f"{_text(stream.command)} {_text(stream.path)}".strip()
            for stream in list(streams.values())[:3]
            if getattr(stream, "path", None)
        ]
        more = len(streams) - len(named)
        return ", ".join(named + ([f"{more} more streams"] if more else []))

    def lastWord(self, retryAfter: int) -> str:
        """
        There is none that would still be read.
        """
        return ""


def _text(value: Any) -> str:
    return value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else ""
