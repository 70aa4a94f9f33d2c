"""
HTTP/2, as C{twisted.web} speaks it.

RFC 9113, section 6.8: the peer is told with a first GOAWAY that no more streams are
wanted, in which the highest number there is names none that is refused, and is sent a
PING.  Streams that were on their way arrive before the answer; after it, a second GOAWAY
names the last stream, and what is opened later is refused without the application's
knowing.  The connection goes with its last stream.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from zope.interface import implementer

from terminable.drainers.plain import NothingToSay, readable
from terminable.interfaces import IDrainWatch, IHintingDrainer
from terminable.tracking import internals

#: The highest stream number there is: "whatever you have sent, I take".
EVERY_STREAM = 2**31 - 1

#: What our PING carries, eight bytes.
PING = b"goodbye!"

#: For how long its answer is awaited, in seconds.
PATIENCE = 5.0

#: How many streams are worth a place in a report.
_SHOWN = 3

#: By what the application and the peer would get through to each other after the end.
_LATE = ("writeHeaders", "writeDataToStream", "endRequest", "abortRequest", "dataReceived")


def _swallow(*args: object) -> None:
    """
    Take what comes too late.
    """


class _Streams(dict[int, Any]):
    """
    The streams of a connection; tells when one was opened, and when the last is gone.
    """

    def __init__(self, streams: dict[int, Any], farewell: Farewell) -> None:
        super().__init__(streams)
        self.farewell = farewell

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.farewell.opened()

    def __delitem__(self, key: int) -> None:
        super().__delitem__(key)
        if not self:
            self.farewell.emptied()


class Farewell:
    """
    How far the goodbye on one connection is.  This is on the channel: drainers are made
    anew.

    @ivar answered: whether a stream was opened since the hint.
    """

    def __init__(self, channel: Any, watch: IDrainWatch) -> None:
        self._channel = channel
        self._watch = watch
        self._receive: Any = channel.conn.receive_data
        self._announced = False
        self._last: int | None = None
        self._draining = False
        self._over = False
        self.answered = False

    def begin(self) -> None:
        """
        Say so at once to a peer that has had an answer; one that has just connected gets
        its first stream in.
        """
        channel = self._channel
        channel.streams = _Streams(channel.streams, self)
        channel.conn.receive_data = self._receiveData
        self._advance = channel.conn.state_machine.process_input
        channel.conn.state_machine.process_input = self._processInput
        if channel.transport.disconnecting:
            # The peer has said goodbye before us; Twisted then waits for a producer that
            # is no longer there.
            channel.transport.unregisterProducer()
        elif channel.conn.highest_inbound_stream_id:
            self._announce()

    def opened(self) -> None:
        """
        A stream was opened.
        """
        self.answered = True
        self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            # By hand: h2 refuses to answer open streams once it has sent a GOAWAY.
            from hyperframe.frame import PingFrame

            self._goAway(EVERY_STREAM)
            self._channel.transport.write(PingFrame(0, opaque_data=PING).serialize())
            self._watch.later(PATIENCE, self._settle)

    def _goAway(self, last: int) -> None:
        from hyperframe.frame import GoAwayFrame

        self._channel.transport.write(GoAwayFrame(0, last_stream_id=last).serialize())

    def _processInput(self, what: Any) -> Any:
        """
        The peer's GOAWAY ends nothing while streams are open: it is the answer of some to
        ours.  h2 would refuse to answer them.
        """
        from h2.connection import ConnectionInputs

        return [] if what is ConnectionInputs.RECV_GOAWAY else self._advance(what)

    def _receiveData(self, data: bytes) -> list[Any]:
        """
        What h2 makes of the bytes that have come, without what is no longer wanted.
        """
        from h2.events import ConnectionTerminated, PingAckReceived
        from h2.exceptions import ProtocolError

        try:
            events: list[Any] = self._receive(data)
        except ProtocolError:
            # Twisted says so, and then waits for its own producer.
            self._watch.later(0, self._lose)
            raise
        if self._last is not None:
            events = [event for event in events if not self._refuses(event)]
        for event in events:
            if isinstance(event, PingAckReceived) and event.ping_data == PING:
                # What came together with it is served.
                self._watch.later(0, self._settle)
            elif isinstance(event, ConnectionTerminated) and self._goesOn(event):
                self._draining = True
            elif isinstance(event, ConnectionTerminated):
                # Twisted gives up every stream, and then waits for its own producer.
                self._watch.later(0, self._lose)
        return [event for event in events if not self._goesOn(event)]

    def _goesOn(self, event: Any) -> bool:
        from h2.events import ConnectionTerminated

        return (
            isinstance(event, ConnectionTerminated)
            and not event.error_code
            and self._channel.conn.open_inbound_streams > 0
        )

    def _refuses(self, event: Any) -> bool:
        from h2.errors import ErrorCodes
        from h2.events import DataReceived, RequestReceived
        from h2.exceptions import ProtocolError

        if (getattr(event, "stream_id", None) or 0) <= (self._last or 0):
            return False
        conn = self._channel.conn
        # Unless the peer has reset it by itself.
        with suppress(ProtocolError):
            if isinstance(event, RequestReceived):
                conn.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            elif isinstance(event, DataReceived):
                # It counts for the others' window.
                conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        return True

    def _settle(self) -> None:
        """
        Name the last stream: nothing that was sent before the peer knew is still to come.
        """
        if self._last is None and not self._over:
            self._last = self._channel.conn.highest_inbound_stream_id
            if self._channel.streams:
                self._goAway(self._last)
            else:
                self._lose()

    def emptied(self) -> None:
        """
        No stream is open any more.
        """
        if self._last is not None:
            self._lose()
        elif self._draining:
            # The bytes that ended the last stream may go on with another one.
            self._watch.later(0, self._loseEmpty)

    def _loseEmpty(self) -> None:
        if not self._channel.streams:
            self._lose()

    def drain(self) -> None:
        """
        Lose the connection as soon as no stream is open.
        """
        self._draining = True
        if self._channel.streams:
            self._announce()
        else:
            self._lose()

    def _lose(self) -> None:
        if not self._over:
            self._over = True
            channel = self._channel
            if not channel.transport.disconnecting:
                last = self._last
                self._goAway(channel.conn.highest_inbound_stream_id if last is None else last)
            channel.transport.unregisterProducer()
            channel.transport.loseConnection()

    def lastWord(self, retryAfter: int) -> str:
        """
        503 for the streams whose answer has not begun; the goodbye if there are none.
        """
        channel = self._channel
        if channel.transport.disconnecting or internals.http2HeldBack(channel):
            return ""
        if not channel.streams:
            self._lose()
            return "GOAWAY"
        waiting = [
            number
            for number, stream in channel.streams.items()
            if not internals.streamRequest(stream).startedWriting
        ]
        for number in waiting:
            channel.conn.send_headers(
                number,
                [(b":status", b"503"), (b"retry-after", b"%d" % retryAfter)],
                end_stream=True,
            )
        if not waiting:
            return ""
        channel.transport.write(channel.conn.data_to_send())
        for name in _LATE:
            setattr(channel, name, _swallow)
        self._lose()
        return "503"


@implementer(IHintingDrainer)
class HTTP2Drainer(NothingToSay):
    """
    Ends a C{twisted.web} HTTP/2 connection after its last stream.
    """

    silent = False
    upgraded = False

    def __init__(self, channel: Any, fresh: bool = False) -> None:
        """
        @param fresh: whether everything on it came after the hint to what it was before.
        """
        self._channel = channel
        self._fresh = fresh

    def isBusy(self) -> bool:
        """
        Whether a stream is open.
        """
        return bool(self._channel.streams)

    @property
    def _farewell(self) -> Farewell | None:
        return getattr(self._channel.streams, "farewell", None)

    @property
    def answered(self) -> bool:  # type: ignore[override]
        """
        Whether a stream was opened since the hint.
        """
        return self._farewell is not None and self._farewell.answered

    def hint(self, idle: IDrainWatch) -> None:
        """
        Announce that no more streams are wanted; those on their way are served.
        """
        if self._farewell is None:
            farewell = Farewell(self._channel, idle)
            farewell.answered = self._fresh and bool(self._channel.conn.highest_inbound_stream_id)
            farewell.begin()

    def drain(self) -> None:
        """
        Lose the connection as soon as no stream is open.
        """
        assert self._farewell is not None
        self._farewell.drain()

    def describe(self) -> str:
        """
        The streams in flight.
        """
        streams = self._channel.streams
        named = [
            f"{_text(stream.command)} {_text(stream.path)}".strip()
            for stream in list(streams.values())[:_SHOWN]
            if getattr(stream, "path", None)
        ]
        more = len(streams) - len(named)
        return ", ".join(named + ([f"{more} more streams"] if more else []))

    def lastWord(self, retryAfter: int) -> str:
        """
        503 for the streams whose answer has not begun; the goodbye if there are none.
        """
        return self._farewell.lastWord(retryAfter) if self._farewell is not None else ""


def _text(value: Any) -> str:
    return readable(value) if isinstance(value, bytes) else ""
