"""
WebSocket clients that do what they should not: what holds whoever serves them.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from terminable.policy.schedule import LAST_WORD
from tests.closing import AWAY
from tests.wspeers import BYTES, CLOSE, PING, PONG, TEXT, Call, closing, frame

#: Close frames that nobody may send (RFC 6455, sections 5.5.1 and 7.4).
BAD_CLOSES = [
    *(closing(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)),
    frame(CLOSE, b"\x03"),
    closing(1000, b"\xff\xfe"),
    closing(1000, b"\xe2\x82"),
    frame(CLOSE, b"\x03\xe8", masked=False),
    frame(CLOSE, b"\x03\xe8", final=False),
]

#: What else breaks the protocol.
BAD_FRAMES = [
    b"\xff" * 50,
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    frame(TEXT, b"x", masked=False),
    frame(TEXT, b"\xff"),
    frame(0, b"out of nowhere"),
    frame(TEXT, b"x", final=False) + frame(TEXT, b"x"),
    frame(3, b"x"),
    frame(11, b"x"),
    frame(PING, b"x" * 126),
    frame(PING, b"x", final=False),
    bytes([0xC1]) + frame(TEXT, b"x")[1:],
    b"\x82\xff" + struct.pack("!Q", 2**64 - 1) + b"mask",
    b"\x82\xff" + struct.pack("!Q", 1) + b"maskx",
]

#: What does not break it, but is no answer either.
NO_ANSWERS = [
    b"",
    b"\x81",
    b"\x88\x82\x00",
    closing(1001)[:-1],
    frame(TEXT, b"half of this")[:-6],
    b"\x82\xff" + struct.pack("!Q", 2**62) + b"mask" + b"x" * 10_000,
    frame(BYTES, b"", final=False) + frame(0, b"", final=False) * 1000,
    frame(PONG, b"?") * 1000,
]

#: What some send behind it.
MORE = frame(TEXT, b"more") + frame(PING) + closing(1000) + closing(1000)

MANY = 10_000

#: Have the kernel reset a connection instead of closing it.
RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ways(data: bytes, more: bytes) -> list[tuple[bytes, ...]]:
    """
    Alone, and with more, behind it or together with it.
    """
    return [(data,), (data, more), (data + more,)]


class HostileMixin:
    """
    Whatever a client sends: nothing is logged as an error, and the deadline holds.

    @cvar patience: how long the server waits for somebody who has broken the protocol.
    """

    patience = 0.1

    def hostile(self: Any, busy: bool, *parts: bytes) -> Call:
        """
        A client that sends something, part by part, when the close frame is there, or while
        the application is busy.
        """
        call: Call = self.call(polite=True, gracePeriod=5.0, linger=1.0)
        call.application.busy = busy
        call.stop()
        self.assertEqual(call.listen(), [] if busy else [AWAY])
        for part in parts:
            call.send(part)
        return call

    def assertEnds(self: Any, call: Call, seconds: float) -> None:
        """
        It does, after so many seconds, or half a second later because the client, whom TLS
        awaits once more, does nothing at all.
        """
        call.go(seconds, 0.05)
        self.assertTrue(call.peer.over or getattr(call.peer, "notified", False))
        call.go(1.5, 0.05)
        self.assertOver(call)

    def test_badClose(self: Any) -> None:
        """
        An answer that is none is the end as well.
        """
        for data in BAD_CLOSES:
            for parts in ways(data, MORE):
                self.assertEnds(self.hostile(False, *parts), 0.1)

    def test_badFrame(self: Any) -> None:
        """
        So is anything else that breaks the protocol.
        """
        for data in BAD_FRAMES:
            for parts in ways(data, MORE):
                self.assertEnds(self.hostile(False, *parts), 0.1)

    def test_badWhileBusy(self: Any) -> None:
        """
        While the application is busy, whoever serves it does what it always does.
        """
        for data in BAD_CLOSES + BAD_FRAMES:
            for parts in ways(data, MORE):
                self.assertEnds(self.hostile(True, *parts), self.patience)

    def test_noAnswer(self: Any) -> None:
        """
        What is no answer does not put off the end.
        """
        for data in NO_ANSWERS:
            call = self.hostile(False, data)
            call.go(0.8, 0.05)
            self.assertFalse(call.ending())
            self.assertEnds(call, 0.25)

    def test_noAnswerWhileBusy(self: Any) -> None:
        """
        Nor does it put off the deadline.
        """
        for data in NO_ANSWERS:
            call = self.hostile(True, data)
            call.go(4.8, 0.05)
            self.assertFalse(call.ending())
            call.go(0.2 + LAST_WORD + 0.05, 0.05)
            self.assertEqual(call.listen(), [AWAY])
            self.assertOver(call)

    def test_trickling(self: Any) -> None:
        """
        Nor do those who send one byte after the other.
        """
        call = self.hostile(False)
        for byte in frame(TEXT, b"x" * 100)[:19]:
            call.send(bytes([byte]))
            call.go(0.05)
        self.assertEnds(call, 0.1)

    def test_closedTwice(self: Any) -> None:
        """
        Who goes on after its close frame is not listened to.
        """
        for data in (closing(1000), frame(CLOSE)):
            for more in (MORE, frame(PING) * MANY, b"\xff" * 1000):
                for parts in ways(data, more):
                    for busy in (False, True):
                        call = self.hostile(busy, *parts)
                        self.assertEqual(call.application.heard, [])
                        self.assertEnds(call, 0.1)

    def test_pings(self: Any) -> None:
        """
        Before the close frame pings are answered, however many, and the close frame comes
        behind the answers.
        """
        call = self.hostile(True, frame(PING, b"?") * MANY)
        call.go(5.0, 0.05)
        self.assertEqual((call.listen(), call.pongs), ([AWAY], MANY))
        call.go(LAST_WORD + 0.05)
        self.assertOver(call)

    def test_pingsTooLate(self: Any) -> None:
        """
        After it they are not, and put nothing off.
        """
        call = self.hostile(False, frame(PING, b"?") * MANY)
        call.go(0.8, 0.05)
        self.assertEqual((call.listen(), call.pongs), ([], 0))
        self.assertFalse(call.ending())
        self.assertEnds(call, 0.25)

    def test_flood(self: Any) -> None:
        """
        Who never stops sending is not waited for either.
        """
        call = self.hostile(False)
        for _ in range(30):
            call.send(frame(TEXT, b"x" * 10_000) * 10)
            call.go(0.05)
        call.go(1.5, 0.05)
        self.assertOver(call)

    def test_resets(self: Any) -> None:
        """
        Who resets the connection ends it.
        """
        call = self.hostile(True, frame(TEXT, b"half")[:-1])
        call.peer.socket.setsockopt(*RESET)
        call.peer.socket.close()
        call.peer.over = "RST"
        call.wire.pumpUntil(lambda: not call.wire.transport.connected)
        self.assertOver(call)
