"""
Peers that break the protocol, flood, or fall silent, before the stop, in the idle grace, and
when it is over: each of them costs its own connection at most.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from hyperframe.frame import PingFrame, SettingsFrame, WindowUpdateFrame

from tests import frames
from tests.hostility import BAD_CLOSES, BAD_FRAMES, MORE, NO_ANSWERS
from tests.live.clients import Peer
from tests.live.mixedclients import OPENING
from tests.live.test_mixed import MixedTestCase
from tests.wspeers import PING, TEXT, closing, frame

#: The idle grace, and the grace period.
IDLE = 0.4
GRACE = 2.0

#: What a last word may take, and a process that ends.
END = 0.3

#: How much makes a flood.
MANY = 10_000

#: A request that is never answered within the grace period.
STUCK = "/later?seconds=60"

#: What begins a letter.
BEGUN = b"MAIL FROM:<a@b.c>\r\n"

#: What a peer does at some moment.
Strike = Callable[[Peer], object]


def sending(data: bytes) -> Strike:
    """
    Send something.
    """
    return lambda peer: peer.send(data)


def halfClose(peer: Peer) -> None:
    """
    Say nothing more, and listen.
    """
    socket.socket.shutdown(peer.sock, socket.SHUT_WR)


def reset(peer: Peer) -> None:
    """
    Go away by force.
    """
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket.close(peer.sock)


def nothing(peer: Peer) -> None:
    """
    Stay silent.
    """


#: What may happen to every connection.
ANYWHERE: list[Strike] = [nothing, halfClose, reset]


class BrokenTestCase(MixedTestCase):
    """
    Has everybody strike at every moment.
    """

    def setUp(self) -> None:
        self.server = self.mixed(
            idleGrace=IDLE, gracePeriod=GRACE, linger=GRACE / 4, closeReason="so long"
        )
        self.peers: list[Peer] = []
        self.addCleanup(self.closeAll)

    def closeAll(self) -> None:
        """
        Leave nothing open.
        """
        for peer in self.peers:
            peer.close()

    def reach(self, name: str, *protocols: str) -> Peer:
        """
        Connect to a port.
        """
        peer = self.addresses[name].reach()
        self.peers.append(peer.secure(*protocols) if name == "secure" else peer)
        return self.peers[-1]

    def hold(
        self, begin: Callable[[], Peer], occupied: Callable[[], Peer], strikes: list[Strike]
    ) -> dict[str, Any]:
        """
        Have each of these happen, on connections of their own, before the stop, in its idle
        grace, and when that is over; then wait for the process.

        @param begin: makes a connection.
        @param occupied: makes one on which something is in flight until the deadline.
        @return: what the stop came to.
        """
        early = [(begin(), strike) for strike in strikes]
        later = [(begin(), strike) for strike in strikes]
        late = [(occupied(), strike) for strike in strikes]
        holder = occupied()
        self.strike(early)
        # It has taken all of that.
        self.reach("web").get("/sync")
        self.server.terminate()
        time.sleep(IDLE / 4)
        self.strike(later)
        time.sleep(IDLE)
        self.strike(late)
        took = self.server.gone()
        self.assertBetween(0.0, took, GRACE + END, self.server.log())
        self.assertNotIn("Traceback", self.server.log())
        account = self.account(self.server, len(self.peers))
        self.assertIn(holder.name, account["stragglers"])
        return account

    def strike(self, pairs: list[tuple[Peer, Strike]]) -> None:
        """
        Have them strike, whether or not the server is still there for them.
        """
        for peer, strike in pairs:
            with contextlib.suppress(OSError):
                strike(peer)


class HTTPTests(BrokenTestCase):
    """
    HTTP/1.1.
    """

    port = "web"
    protocols = ("http/1.1",)

    strikes: list[Strike] = [  # noqa: RUF012 - not changed
        *ANYWHERE,
        sending(b"GET / HT"),
        sending(b"POST /upload HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"),
        sending(b"POST /upload HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        sending(b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        sending(b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        sending(b"POST /upload HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
        sending(b"GET /later\x1b[31m?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n"),
        sending(bytes(range(256)) * 10),
        sending(b"x" * 100_000),
        sending(b"\r\n"),
        sending(b"GET /sync HTTP/1.1\r\nHost: x\r\n\r\n" * 1000),
        sending(frames.PREFACE),
    ]

    def occupied(self) -> Peer:
        """
        Wait for an answer.
        """
        peer = self.reach(self.port, *self.protocols)
        peer.ask(STUCK)
        return peer

    def test_http(self) -> None:
        """
        Half requests, garbage, floods, and silence.
        """
        self.hold(lambda: self.reach(self.port, *self.protocols), self.occupied, self.strikes)


class HTTPSTests(HTTPTests):
    """
    The same over TLS, and what is broken there.
    """

    port = "secure"

    strikes: list[Strike] = [  # noqa: RUF012 - not changed
        *HTTPTests.strikes,
        # Beside TLS.
        lambda peer: socket.socket.sendall(peer.sock, b"\x00" * 100),
        lambda peer: socket.socket.sendall(peer.sock, b"\x17\x03\x03\x00\x40" + b"x" * 64),
        lambda peer: socket.socket.sendall(peer.sock, b"\x17\x03\x03\x40\x00half of it"),
        # close_notify, then silence.
        lambda peer: peer.sock.unwrap(),
    ]


class StreamTests(BrokenTestCase):
    """
    HTTP/2.
    """

    def begin(self) -> Peer:
        """
        Begin, and no more.
        """
        peer = self.reach("secure", "h2")
        peer.send(frames.HELLO)
        return peer

    def used(self) -> Peer:
        """
        Have had an answer.
        """
        peer = self.begin()
        peer.send(frames.Client().get(1, "/sync"))
        peer.until(b"sync\n")
        return peer

    def occupied(self) -> Peer:
        """
        Wait for an answer.
        """
        peer = self.begin()
        peer.send(frames.Client().get(1, STUCK))
        return peer

    def strikes(self) -> list[Strike]:
        """
        What a peer may do that has opened one stream at most.
        """
        # C{twisted.web} fails by itself when it answers what its peer takes back in the same
        # breath: none of these is ever complete, or answered.
        client = frames.Client()
        numbers = range(3, 2200, 2)
        opened = [client.get(number, "/sync", False) for number in numbers]
        first = opened[0]
        # RFC 9113, section 5.1.2: it is the peer's fault if there are too many at once.
        some = b"".join(opened[1:90])
        flood = [one + frames.reset(number) for number, one in zip(numbers, opened, strict=True)]
        big = frames.Client().get(3, "/big?bytes=1000000")
        return [
            *ANYWHERE,
            sending(first[:12]),
            sending(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + bytes(4)),
            sending(b"\xff" * 100),
            sending(PingFrame(0, opaque_data=b"12345678").serialize() * MANY),
            sending(SettingsFrame(0, {4: 2**16 - 1}).serialize() * 1000),
            sending(b"".join(flood)),
            lambda peer: [peer.send(each) for each in flood[:200]],
            sending(frames.goAway()),
            sending(first + frames.goAway()),
            sending(frames.goAway() + first),
            sending(SettingsFrame(0, {4: 0}).serialize() + big),
            sending(first + WindowUpdateFrame(3, window_increment=2**31 - 1).serialize()),
            sending(frames.pong() + first + some),
            lambda peer: (peer.send(frames.pong()), time.sleep(0.02), peer.send(first + some)),
            sending(frames.Client().get(3, "/upload", False, "POST") + frames.data(3, b"x", False)),
            sending(frames.Client().get(3, "/later\x1b[31m?seconds=60")),
        ]

    def test_streams(self) -> None:
        """
        Garbage, half frames, floods of all kinds, goodbyes before ours, windows that are
        closed, and streams after the last goodbye.
        """
        self.hold(self.used, self.occupied, self.strikes())

    def test_newcomers(self) -> None:
        """
        The same from peers that have not asked for anything yet.
        """
        self.hold(self.begin, self.occupied, self.strikes())

    def test_halfPreface(self) -> None:
        """
        Not even their first words are complete.
        """
        words = [frames.HELLO[:count] for count in (0, 1, 10, 23, 24, 30)]
        strikes = [sending(word) for word in [*words, b"x" * 24, b"GET / HTTP/1.1\r\n\r\n"]]
        self.hold(lambda: self.reach("secure", "h2"), self.occupied, strikes)


class SocketTests(BrokenTestCase):
    """
    WebSockets of C{twisted.web.websocket}.
    """

    path = "/twisted"
    port = "sockets"

    strikes: list[Strike] = [  # noqa: RUF012 - not changed
        *ANYWHERE,
        *map(sending, (*BAD_CLOSES, *BAD_FRAMES, *NO_ANSWERS)),
        sending(closing(1000)),
        sending(closing(1000) + MORE),
        sending(frame(TEXT, b"a") * 1000),
        sending(frame(PING, b"x" * 125) * MANY),
        lambda peer: [peer.send(frame(PING)) for _ in range(MANY // 10)],
    ]

    def begin(self) -> Peer:
        """
        Open one.
        """
        peer = self.reach(self.port, "http/1.1")
        peer.ask(self.path, headers=OPENING)
        peer.until(b"\r\n\r\n")
        return peer

    def occupied(self) -> Peer:
        """
        Have it opened, if ever, too late.
        """
        peer = self.reach(self.port, "http/1.1")
        peer.ask(STUCK, headers=OPENING)
        return peer

    def test_sockets(self) -> None:
        """
        Bad frames, bad goodbyes, floods, and silence.
        """
        self.hold(self.begin, self.occupied, self.strikes)


class SecureSocketTests(SocketTests):
    """
    The same over TLS.
    """

    port = "secure"


class AutobahnTests(SocketTests):
    """
    WebSockets of Autobahn.
    """

    path = "/autobahn"


class MailTests(BrokenTestCase):
    """
    SMTP.
    """

    strikes: list[Strike] = [  # noqa: RUF012 - not changed
        *ANYWHERE,
        # No verb that is not ASCII: C{twisted.mail} stumbles over that at any time.
        sending(b"MAIL FR"),
        sending(b"MAIL FROM:<\xff@\x80>\r\n"),
        sending(b"x" * 100_000),
        sending(b"x\r\n" * 1000),
        sending(b"\r\n" * 1000),
        sending(b"NOOP\r\n" * MANY),
        sending(b"RSET\r\n" * 1000),
        sending(b"QUIT\r\n" * 100),
        sending(b"STARTTLS\r\n"),
        sending(b"STARTTLS\r\n" + b"garbage\r\n" * 10),
        sending(b"AUTH PLAIN\r\n"),
        sending(b"AUTH PLAIN\r\n*\r\n"),
        sending(b"DATA\r\n"),
        sending(BEGUN + b"RCPT TO:<here@d.e>\r\nDATA\r\nhalf a letter"),
        sending(BEGUN + b"RCPT TO:<here@d.e>\r\nDATA\r\n" + b"\xff" * 100 + b"\r\n.\r\n"),
        sending(BEGUN + b"RCPT TO:<here@d.e>\r\nDATA\r\n" + b"x" * 100_000 + b"\r\n.\r\n"),
        sending((BEGUN + b"RCPT TO:<never@d.e>\r\nDATA\r\nx\r\n.\r\n") * 300),
        sending(b"RSET\r\nMAIL FROM:<never@b.c>\r\n" + b"NOOP\r\n" * 1000),
    ]

    def begin(self) -> Peer:
        """
        Say hello.
        """
        peer = self.reach("mail")
        for said in (b"", b"EHLO client\r\n"):
            peer.send(said)
            while not peer.until(b"\r\n").startswith((b"220 ", b"250 ")):
                pass
        return peer

    def occupied(self) -> Peer:
        """
        Begin a letter.
        """
        peer = self.begin()
        peer.send(BEGUN)
        peer.until(b"\r\n")
        return peer

    def test_mail(self) -> None:
        """
        Garbage, endless lines, half letters, floods, TLS that never comes, and silence.
        """
        self.hold(self.begin, self.occupied, self.strikes)
