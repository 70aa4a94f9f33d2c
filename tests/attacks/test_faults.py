"""
Sockets that fail: the server survives, others are served, the stop is over in time, and
everybody is counted.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.admission import Admission
from tests.attacks.faulty import Fault, Injected, atMost, error, faultyPort
from tests.attacks.http import Conversation
from tests.attacks.stage import StageReactor
from tests.attacks.talks import Request

#: Every way in which the socket of a connection may fail.
CONNECTED = [
    *(("recv", it) for it in ("ECONNRESET", "ETIMEDOUT", "ENOMEM", "ENOBUFS", "EINTR", "EIO")),
    *(("send", it) for it in ("EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM", "EHOSTUNREACH")),
    *(("shutdown", it) for it in ("ENOTCONN", "EINVAL")),
    *(("getsockopt", it) for it in ("ENOPROTOOPT", "EINVAL", "ENOBUFS")),
    *(("setsockopt", it) for it in ("EINVAL", "ENOPROTOOPT", "EDOM")),
    *(("getpeername", it) for it in ("ENOTCONN", "EINVAL")),
    *(("getsockname", it) for it in ("EINVAL", "ENOBUFS")),
    ("fileno", "EBADF"),
    ("close", "EIO"),
]

#: And a port's.
LISTENING = [
    *(("accept", it) for it in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPERM")),
    *(("accept", it) for it in ("EINTR", "EINVAL", "EPROTO")),
    *(("setsockopt", it) for it in ("EPERM", "ENOPROTOOPT", "ENOMEM")),
    *(("getsockopt", it) for it in ("EINVAL", "ENOPROTOOPT")),
    *(("shutdown", it) for it in ("ENOTCONN", "EINVAL")),
    ("getsockname", "EINVAL"),
    ("close", "EIO"),
]

TIMES = {"gracePeriod": 2.0, "idleGrace": 0.1, "linger": 0.2}


class Passing(StageReactor):
    """
    A reactor on whose clock some time passes with each look at it: whoever tries again and
    again until a time comes does not try for ever.
    """

    def seconds(self) -> float:
        """
        The time.
        """
        self.rightNow += 1e-3
        return super().seconds()


def asks(*kinds: str) -> list[Request]:
    """
    What a client asks for.
    """
    return [Request(kind, n, "GET", b"", "plain", False) for n, kind in enumerate(kinds)]


class FaultTestCase(SynchronousTestCase):
    """
    A site with two clients.
    """

    def serve(
        self, way: str, family: str, port: dict[str, Fault], first: dict[str, Fault], **more: Any
    ) -> Conversation:
        """
        @param port: how the port fails.
        @param first: how the first of the connections does.
        """
        on = Conversation(
            way,
            family,
            {**TIMES, **more},
            lambda base: faultyPort(base, port, [first]),
            Passing(),
        )
        self.addCleanup(on.finish)
        return on

    def go(self, on: Conversation, *steps: str) -> None:
        """
        Some steps, for both clients.
        """
        for step in steps:
            on.do(step, 0, 100)
            on.do(step, 1, 100)

    def over(self, on: Conversation, *victims: int) -> None:
        """
        To the end.
        """
        on.end()
        on.check(victims)
        on.finish()
        self.flushLoggedErrors(Injected)

    def everywhere(self, number: int = 0) -> list[tuple[str, str]]:
        """
        Both ways of recording, each on one kind of sockets, the other one for every other
        number.
        """
        families = ("unix", "tcp")
        return [("own", families[number % 2]), ("wrapped", families[1 - number % 2])]


class ConnectedTests(FaultTestCase):
    """
    Connections whose sockets fail.
    """

    def each(self, kinds: tuple[str, ...], *steps: str, late: bool = False) -> None:
        """
        Everything that may fail, for a client that asks for these.

        @param late: whether the fault comes after these steps, just before the stop.
        """
        for number, (method, name) in enumerate(CONNECTED):
            for way, family in self.everywhere(number):
                faults: dict[str, Fault] = {}
                if not late:
                    faults[method] = error(name)
                on = self.serve(way, family, {}, faults)
                on.connect(asks(*kinds))
                on.connect(asks(*kinds))
                self.go(on, *steps)
                faults[method] = error(name)
                try:
                    on.stop()
                    self.over(on, 0)
                except BaseException as failure:
                    raise AssertionError(f"{method} {name} {way} {family}: {failure}") from failure

    def test_fromTheBeginning(self) -> None:
        """
        It fails from the first byte on, and the others are served.
        """
        self.each(("now", "later"), "send", "turn", "goOn", "turn")

    def test_idle(self) -> None:
        """
        It fails when it is lost, with nothing in flight.
        """
        self.each(("now",), "send", "turn", "read", "turn", late=True)

    def test_busy(self) -> None:
        """
        It fails while an answer is being made.
        """
        self.each(("later", "now"), "send", "turn", "turn", late=True)

    def test_streaming(self) -> None:
        """
        It fails in the middle of an answer, which is larger than what the kernel takes.
        """
        self.each(("large", "stream"), "send", "turn", "goOn", "goOn", late=True)

    def test_shortWrites(self) -> None:
        """
        A kernel that takes one byte at a time loses no byte.
        """
        for way, family in self.everywhere():
            on = self.serve(way, family, {}, {"send": atMost(1)}, gracePeriod=20.0)
            on.connect(asks("now", "stream", "sized"))
            self.go(on, "send", "turn", "goOn")
            for _ in range(700):
                self.go(on, "turn", "goOn", "read")
            self.over(on)

    def test_shortReads(self) -> None:
        """
        A kernel that gives one byte at a time makes no difference.
        """
        for way, family in self.everywhere():
            on = self.serve(way, family, {}, {"recv": atMost(1)})
            on.connect(asks("now", "later"))
            self.go(on, "send", "turn")
            for _ in range(100):
                self.go(on, "turn")
            self.over(on)

    def test_interrupted(self) -> None:
        """
        Writing that is interrupted by a signal is tried again.
        """
        for way, family in self.everywhere():
            on = self.serve(way, family, {}, {"send": error("EINTR", 1)})
            on.connect(asks("now", "stream"))
            self.go(on, "send", "turn", "goOn")
            self.over(on)

    def test_fullForAMoment(self) -> None:
        """
        A kernel without a buffer is asked again.
        """
        for way, family in self.everywhere():
            on = self.serve(way, family, {}, {"send": error("ENOBUFS", 3)})
            on.connect(asks("now", "stream"))
            self.go(on, "send", "turn", "goOn", "turn", "turn", "turn", "turn", "turn")
            self.over(on)

    def test_abort(self) -> None:
        """
        At once, whatever fails.
        """
        for number, (method, name) in enumerate(CONNECTED):
            for way, family in self.everywhere(number):
                faults: dict[str, Fault] = {}
                on = self.serve(way, family, {}, faults)
                on.connect(asks("later"))
                on.connect(asks("later"))
                self.go(on, "send", "turn")
                faults[method] = error(name)
                on.stop()
                on.terminator.abort()
                self.over(on, 0, 1)


class ListeningTests(FaultTestCase):
    """
    Ports whose sockets fail.
    """

    def each(self, times: int, admission: Admission | None, before: bool) -> None:
        """
        Everything that may fail.

        @param times: how often.
        @param before: whether the clients connect before it fails.
        """
        for number, (method, name) in enumerate(LISTENING):
            for way, family in self.everywhere(number + before):
                faults: dict[str, Fault] = {}
                on = self.serve(way, family, faults, {}, admission=admission)
                on.connect(asks("now", "later"))
                if before:
                    self.go(on, "send", "turn", "turn")
                faults[method] = error(name, times)
                on.connect(asks("now", "later"))
                self.go(on, "send", "turn", "turn", "turn", "goOn", "goOn")
                on.stop()
                # Nobody is reset who was accepted.
                known = [number for number, it in enumerate(on.clients) if it.transport is None]
                on.watch.findings.clear()
                try:
                    self.over(on, *known)
                except BaseException as failure:
                    raise AssertionError(f"{method} {name} {way} {family}: {failure}") from failure

    def test_once(self) -> None:
        """
        It fails once.
        """
        for before in (True, False):
            self.each(1, None, before)

    def test_always(self) -> None:
        """
        It does not stop failing.
        """
        for before in (True, False):
            self.each(10**9, None, before)

    def test_withAdmission(self) -> None:
        """
        The same where they have to ask.
        """
        for times in (1, 10**9):
            self.each(times, Admission(capacity=2, queue=1), True)
