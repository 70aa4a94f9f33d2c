"""
Clients of HTTP/2, frame by frame, that know what became of every stream.

A library for clients would refuse what comes after GOAWAY, and so could not tell.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from benchmarks.machine import HOST

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: RFC 9113, section 7: the request has not been looked at, and may be sent elsewhere.
REFUSED_STREAM = 7

#: Streams at the same time, on each connection.
STREAMS = 10

#: Seconds without a byte after which a connection is given up.
PATIENCE = 10.0


class Conversation:
    """
    What was asked on one connection, and what became of it.  Needs no socket: it is given what
    came, and gives what is to be sent.

    @ivar answered: streams with a complete answer.
    @ivar lost: streams that got none, though the server may have worked on them.
    @ivar refused: streams of which the server says that it has not looked at them.
    @ivar leaving: whether the server has said that it takes no more.
    """

    def __init__(self) -> None:
        self.answered = self.lost = self.refused = 0
        self.leaving = False
        self._open: dict[int, bytes] = {}
        self._unwritten: list[int] = []
        self._next = 1
        self._last = 2**31 - 1
        self._buffer = b""
        self._block = b""
        self._encoder, self._decoder = Encoder(), Decoder()
        #: What is to be sent.
        self.toSend = PREFACE + SettingsFrame(0).serialize()
        self.toSend += WindowUpdateFrame(0, window_increment=2**30).serialize()

    @property
    def isIdle(self) -> bool:
        """
        Whether no stream is open.
        """
        return not self._open

    def ask(self, path: bytes = b"/") -> None:
        """
        Open streams until as many are open as may be, unless the server is leaving.
        """
        while not self.leaving and len(self._open) < STREAMS:
            fields = [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", HOST.encode("ascii")),
                (b":path", path),
            ]
            frame = HeadersFrame(self._next, flags=["END_HEADERS", "END_STREAM"])
            frame.data = self._encoder.encode(fields)
            self.toSend += frame.serialize()
            self._open[self._next] = b""
            self._unwritten.append(self._next)
            self._next += 2

    def written(self) -> None:
        """
        All that was to be sent has been.
        """
        self.toSend = b""
        self._unwritten.clear()

    def heard(self, data: bytes) -> None:
        """
        Take what came.
        """
        self._buffer += data
        while len(self._buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._buffer)[:9])
            if len(self._buffer) < 9 + length:
                return
            frame.parse_body(memoryview(self._buffer)[9 : 9 + length])
            self._buffer = self._buffer[9 + length :]
            self._frame(frame)

    def _frame(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame | PingFrame):
            self._acknowledge(frame)
        elif isinstance(frame, HeadersFrame | ContinuationFrame):
            self._headers(frame)
        elif isinstance(frame, GoAwayFrame):
            self._goAway(frame.last_stream_id)
        elif isinstance(frame, RstStreamFrame) and frame.stream_id in self._open:
            self._over(frame.stream_id, frame.error_code == REFUSED_STREAM)
        if isinstance(frame, DataFrame | HeadersFrame) and "END_STREAM" in frame.flags:
            self._over(frame.stream_id, False, ended=True)

    def _acknowledge(self, frame: SettingsFrame | PingFrame) -> None:
        if "ACK" in frame.flags:
            return
        answer: Any = SettingsFrame(0, flags=["ACK"])
        if isinstance(frame, PingFrame):
            answer = PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"])
        self.toSend += answer.serialize()

    def _headers(self, frame: HeadersFrame | ContinuationFrame) -> None:
        self._block += frame.data
        if "END_HEADERS" not in frame.flags:
            return
        # All of them, since the table of names is shared by all streams.
        fields = dict(self._decoder.decode(self._block, raw=True))
        self._block = b""
        if frame.stream_id in self._open:
            self._open[frame.stream_id] = fields.get(b":status", b"")

    def _goAway(self, last: int) -> None:
        self.leaving = True
        self._last = last
        for stream in [stream for stream in self._open if stream > last]:
            self._over(stream, True)

    def _over(self, stream: int, refused: bool, ended: bool = False) -> None:
        status = self._open.pop(stream, None)
        if status is None:
            return
        if ended and status:
            self.answered += 1
        elif refused:
            self.refused += 1
        else:
            self.lost += 1

    def ended(self) -> None:
        """
        The connection has ended.  What was not written in full is not lost.
        """
        self.lost += len(self._open.keys() - set(self._unwritten))
        self._open.clear()


class Loader(threading.Thread):
    """
    One client: it keeps its streams going until its connection is refused.

    @ivar answered: see L{Conversation}.
    @ivar unsent: connections that ended before anything could be asked.
    """

    def __init__(self, port: int, tls: ssl.SSLContext, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.tls, self.until = port, tls, until
        self.answered = self.lost = self.refused = self.unsent = 0

    def run(self) -> None:
        """
        Go on until nobody listens, or it is late.
        """
        while time.monotonic() < self.until:
            try:
                sock = self._connected()
            except ConnectionRefusedError:
                return
            except OSError:
                self.unsent += 1
                continue
            with sock:
                self._talk(sock)

    def _connected(self) -> ssl.SSLSocket:
        plain = socket.create_connection((HOST, self.port), PATIENCE)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self.tls.wrap_socket(plain, server_hostname=HOST)
        except BaseException:
            plain.close()
            raise

    def _talk(self, sock: ssl.SSLSocket) -> None:
        talk = Conversation()
        with contextlib.suppress(OSError):
            self._exchange(sock, talk)
        talk.ended()
        self.answered += talk.answered
        self.lost += talk.lost
        self.refused += talk.refused

    def _exchange(self, sock: ssl.SSLSocket, talk: Conversation) -> None:
        while time.monotonic() < self.until:
            talk.ask()
            sock.sendall(talk.toSend)
            talk.written()
            if talk.leaving and talk.isIdle:
                return
            came = sock.recv(65536)
            if not came:
                return
            talk.heard(came)


def tlsContext(context: ssl.SSLContext) -> ssl.SSLContext:
    """
    Have a context ask for HTTP/2.
    """
    context.set_alpn_protocols(["h2"])
    return context
