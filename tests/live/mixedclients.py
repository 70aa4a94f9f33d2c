"""
Clients that never pause, one kind for each port of L{tests.live.mixedservers}, and what
they can prove when they are done.

Each goes on, with one connection after the other, until the server refuses it; whatever
should not happen is an exception.
"""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from hyperframe.frame import WindowUpdateFrame

from tests import frames
from tests.live.clients import TIMEOUT, Address, Peer
from tests.live.streamclients import FramePeer
from tests.wspeers import CLOSE, TEXT, closing, frame

#: How many requests, messages or lines are on their way at the same time.
AHEAD = 8

#: What opens a WebSocket.
OPENING = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\nSec-WebSocket-Version: 13\r\n"
)


class Client(threading.Thread):
    """
    One that never pauses.

    @ivar opened: how many connections it had.
    @ivar done: how many requests, messages or lines were answered.
    @ivar failure: what should not have happened.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.opened = 0
        self.done = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """
        See L{threading.Thread.run}.
        """
        try:
            while self._again():
                pass
        except BaseException as problem:
            self.failure = problem

    def _again(self) -> bool:
        try:
            peer = self.connect()
        except ConnectionRefusedError:
            return False
        try:
            self.opened += 1
            self.talk(peer)
        finally:
            peer.close()
        return True

    def connect(self) -> Any:
        """
        Connect.
        """
        return self.address.reach()

    def talk(self, peer: Any) -> None:
        """
        Use a connection, to its end.
        """
        raise NotImplementedError


def check(fine: object, *what: object) -> None:
    """
    @raise AssertionError: not fine.
    """
    if not fine:
        raise AssertionError(what)


class WebClient(Client):
    """
    HTTP/1.1: every request has its answer, and after the one that says so, the connection
    ends.
    """

    def talk(self, peer: Peer) -> None:
        closing = False
        while not closing:
            answer = peer.get("/later?seconds=0.01" if self.done % 3 else "/sync")
            check(answer.status == 200 and answer.body in (b"sync\n", b"later\n"), answer)
            closing = answer.closing
            self.done += 1
        check(peer.rest() == b"")


class StreamClient(Client):
    """
    HTTP/2: every stream up to the last goodbye has its answer, and all others were refused,
    or not looked at.

    @ivar stubborn: whether to open streams until that goodbye, and not only until the first.
    """

    def __init__(self, address: Address, stubborn: bool) -> None:
        super().__init__(address)
        self.stubborn = stubborn

    def connect(self) -> FramePeer:
        return FramePeer(self.address)

    def talk(self, peer: FramePeer) -> None:
        # Room for all answers.
        peer.peer.send(WindowUpdateFrame(0, window_increment=2**30).serialize())
        # No stream has a higher number than the first goodbye names.
        told, opened = frames.EVERY + 1, 0
        enough = frames.EVERY if self.stubborn else told
        answered: set[int] = set()
        while True:
            while told >= enough and opened - len(answered) < AHEAD:
                peer.ask(2 * opened + 1, "/later?seconds=0.01" if opened % 3 else "/sync")
                opened += 1
            seen = peer.next()
            if seen is None:
                break
            if "END_STREAM" in seen.flags:
                answered.add(seen.stream_id)
            for last in frames.goodbyes([seen]):
                check(last <= told, "a goodbye names more streams", last, told)
                told = last
            peer.seen.clear()
        wanted = {2 * number + 1 for number in range(opened)}
        check({number for number in wanted if number <= told} == answered, told, answered)
        check(self.stubborn or wanted == answered, wanted, answered)
        self.done += len(answered)


class SocketClient(Client):
    """
    A WebSocket: the echoes are those of the first messages, in order, and the connection is
    closed as it should.

    @ivar sockets: for each connection, by its name, how many messages were sent, and how many
        were echoed.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.sockets: dict[str, tuple[int, int]] = {}

    def talk(self, peer: Peer) -> None:
        peer.ask("/twisted", headers=OPENING)
        head = peer.until(b"\r\n\r\n")
        check(head.startswith(b"HTTP/1.1 101"), head)
        sent = echoed = 0
        while True:
            while sent - echoed < AHEAD:
                peer.send(frame(TEXT, b"%d" % sent))
                sent += 1
            first, length = peer.exactly(2)
            payload = peer.exactly(length)
            if first == 0x80 | CLOSE:
                break
            check((first, payload) == (0x80 | TEXT, b"%d" % echoed), first, payload)
            echoed += 1
        check(payload == b"\x03\xe9", payload)
        peer.send(closing(1001))
        check(peer.rest() == b"")
        self.sockets[peer.name] = (sent, echoed)
        self.done += echoed


class MailClient(Client):
    """
    SMTP: a message is taken, or refused with 421, and the connection ends in order.

    @ivar taken: the recipients of those that were answered with 250.
    @ivar refused: how often 421 was the answer.
    """

    def __init__(self, address: Address, name: str) -> None:
        super().__init__(address)
        self.called = name
        self.taken: list[str] = []
        self.refused = 0
        self._sent = 0

    def talk(self, peer: Peer) -> None:
        # Not connected: there is a connection.
        session = smtplib.SMTP("", 0, "client", TIMEOUT)
        session.sock = peer.sock
        check(session.getreply()[0] == 220)
        leave = partial(session.docmd, "QUIT")
        for step in (session.ehlo, *[self._letter(session)] * 5, leave):
            code = step()[0]
            if code == 421:
                self.refused += 1
                break
        check(peer.rest() == b"")

    def _letter(self, session: smtplib.SMTP) -> Callable[[], tuple[int, Any]]:
        def send() -> tuple[int, Any]:
            self._sent += 1
            recipient = f"{self.called}{self._sent}@d.e"
            answer = session.mail("a@b.c")
            if answer[0] == 250:
                answer = session.rcpt(recipient)
                check(answer[0] == 250, answer)
                answer = session.data(b"Subject: x\r\n\r\nhello\r\n")
                check(answer[0] == 250, answer)
                self.taken.append(recipient)
                self.done += 1
            return answer

        return send


class LineClient(Client):
    """
    Lines: all that the server has heard were answered before its goodbye.
    """

    def talk(self, peer: Peer) -> None:
        sent = answered = 0
        while True:
            while sent - answered < AHEAD:
                peer.send(b"%d\n" % sent)
                sent += 1
            line = peer.until(b"\n")
            if line.startswith(b"BYE"):
                break
            check(line == b"%d" % answered, line, answered)
            answered += 1
        check(line == b"BYE %d" % answered, line, answered)
        check(peer.rest() == b"")
        self.done += answered
