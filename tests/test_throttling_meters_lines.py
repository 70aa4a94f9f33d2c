"""
Lines: protocols that change their mode, their methods, and their mind.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.basic import LineReceiver

from terminable.throttling.meters.lines import HELD
from tests.metering import MeterTestCase
from tests.test_throttling_meters import Lines, Ordered, lines


class Modes(LineReceiver):
    """
    C{raw N} has N bytes follow that are no lines.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.left = 0

    def lineReceived(self, line: bytes) -> None:
        """
        A line.
        """
        self.heard.append(line)
        if line.startswith(b"raw "):
            self.left = int(line[4:])
            self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """
        What is none.
        """
        self.heard.append(b"raw:" + data[: self.left])
        rest = data[self.left :]
        self.left -= len(data) - len(rest)
        if not self.left:
            self.setLineMode(rest)


class Rebinding(LineReceiver):
    """
    Has another method for its lines from its connection on, and after each line.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def connectionMade(self) -> None:
        """
        It begins.
        """
        self.lineReceived = self.first  # type: ignore[method-assign]

    def first(self, line: bytes) -> None:
        """
        Every other line.
        """
        self.heard.append(b"1:" + line)
        self.lineReceived = self.second  # type: ignore[method-assign]

    def second(self, line: bytes) -> None:
        """
        The others.
        """
        self.heard.append(b"2:" + line)
        self.lineReceived = self.first  # type: ignore[method-assign]


class Splitting(Lines):
    """
    Takes a line apart, and calls itself with the parts.
    """

    def lineReceived(self, line: bytes) -> None:
        """
        A line, or a part of one.
        """
        parts = line.split(b";")
        if len(parts) > 1:
            for part in parts:
                self.lineReceived(part)
        else:
            super().lineReceived(line)


class LineTests(MeterTestCase):
    """
    C{LineReceiver}.
    """

    def test_raw(self) -> None:
        """
        What is received in raw mode is not counted, stands behind the lines before it,
        and before those behind.
        """
        for over in ("backpressure", "delay"):
            made = self.serve(Modes, f"messages=10/s:burst=1:over={over}")
            made.send(b"a\r\nb\r\nraw 6\r\nx\r\ny\r\nc\r\nraw 2\r\nz")
            made.go(0.05)
            self.assertLess(len(made.protocol.heard), 3)
            made.go(0.5)
            made.send(b"z")
            expected = [b"a", b"b", b"raw 6", b"raw:x\r\ny\r\n", b"c", b"raw 2", b"raw:z", b"raw:z"]
            self.assertEqual(made.protocol.heard, expected)
            made.send(b"d\r\n")
            made.go(0.2)
            self.assertEqual(made.protocol.heard[-1], b"d")

    def test_rebinding(self) -> None:
        """
        A protocol that exchanges its method is counted as any other.
        """
        made = self.serve(Rebinding, "messages=10/s:burst=1:over=delay")
        made.send(lines(4))
        self.assertEqual(made.protocol.heard, [b"1:0"])
        made.go(0.32)
        self.assertEqual(made.protocol.heard, [b"1:0", b"2:1", b"1:2", b"2:3"])

    def test_standsBefore(self) -> None:
        """
        Somebody who stands before the method, as drainers do, is called when it is the
        turn of a line, and nothing is counted twice.
        """
        made = self.serve(Lines, "messages=10/s:burst=2:over=delay")
        protocol = made.protocol
        seen: list[bytes] = []
        former = protocol.lineReceived

        def stands(line: bytes) -> None:
            seen.append(line)
            former(line)

        protocol.lineReceived = stands
        made.send(lines(3))
        self.assertEqual((seen, protocol.heard), ([b"0", b"1"], [b"0", b"1"]))
        made.go(0.11)
        self.assertEqual((seen, protocol.heard), ([b"0", b"1", b"2"], [b"0", b"1", b"2"]))

    def test_callsItself(self) -> None:
        """
        A line is one, whatever the protocol makes of it.
        """
        made = self.serve(Splitting, "messages=10/s:burst=1:over=delay")
        made.send(b"a;b;c\r\nd;e\r\n")
        self.assertEqual(made.protocol.heard, [b"a", b"b", b"c"])
        made.go(0.11)
        self.assertEqual(len(made.protocol.heard), 5)

    def test_pausesItself(self) -> None:
        """
        A protocol that pauses itself with each line, until it has answered, is held as any
        other, and goes on when both agree.
        """
        for over in ("backpressure", "delay"):
            made = self.serve(Lines, f"messages=10/s:burst=1:over={over}")
            protocol = made.protocol
            protocol.onLine = lambda line, protocol=protocol: protocol.pauseProducing()
            made.send(lines(5))
            for number in range(1, 6):
                self.assertEqual(len(protocol.heard), number)
                made.go(0.3)
                self.assertEqual(len(protocol.heard), number)
                self.assertIs(protocol.paused, True)
                protocol.resumeProducing()
                made.pump()
                made.go(0.05 if over == "delay" else 0.0)
                made.go(0.1)
            self.assertFalse(made.paused)

    def test_resumedWhileHeld(self) -> None:
        """
        A protocol that resumes itself while it is held gets nothing before its time.
        """
        for over in ("backpressure", "delay"):
            made = self.serve(Lines, f"messages=10/s:burst=1:over={over}")
            protocol = made.protocol
            made.send(lines(5))
            heard = len(protocol.heard)
            self.assertIs(protocol.paused, HELD)
            for _ in range(3):
                protocol.resumeProducing()
                self.assertEqual(len(protocol.heard), heard)
                self.assertIs(protocol.paused, HELD)
            made.go(0.6)
            self.assertEqual(protocol.heard, [b"0", b"1", b"2", b"3", b"4"])

    def test_pausedWhileHeld(self) -> None:
        """
        A protocol that pauses itself while it is held gets nothing when its time has come,
        until it resumes.
        """
        made = self.serve(Lines, "messages=10/s:burst=1")
        protocol = made.protocol
        made.send(lines(4))
        protocol.pauseProducing()
        made.go(1.0)
        self.assertEqual(len(protocol.heard), 2)
        protocol.resumeProducing()
        self.assertGreater(len(protocol.heard), 2)
        made.go(0.3)
        self.assertEqual(len(protocol.heard), 4)

    def test_transportPausedWhileHeld(self) -> None:
        """
        Whoever pauses the transport, as a proxy does, has the lines that were read before,
        as ever.
        """
        made = self.serve(Lines, "messages=10/s:burst=1")
        made.send(lines(4))
        made.transport.pauseProducing()
        made.go(0.5)
        self.assertEqual(len(made.protocol.heard), 4)
        self.assertTrue(made.paused)
        made.transport.resumeProducing()
        self.assertFalse(made.paused)
        made.send(lines(1, 4))
        self.assertEqual(len(made.protocol.heard), 5)

    def test_losesConnection(self) -> None:
        """
        What stands behind a line for which the connection was lost is disregarded, as
        ever.
        """
        for kind in (Lines, Ordered):
            made = self.serve(kind, "messages=10/s:burst=1:over=delay")
            protocol = made.protocol

            def loses(line: bytes, protocol: Any = protocol) -> None:
                if line == b"1":
                    protocol.transport.loseConnection()

            protocol.onLine = loses
            made.send(lines(4))
            made.go(0.5)
            self.assertEqual(protocol.heard, [b"0", b"1"])
            self.assertEqual(protocol.ended, 1)

    def test_drained(self) -> None:
        """
        A stop lets those be handled that were received before it, at their rate; then the
        connection goes.
        """
        for kind in (Lines, Ordered):
            for over in ("backpressure", "delay"):
                for tls in (False, True):
                    limit = f"messages=2/s:burst=1:over={over}"
                    made = self.serve(kind, limit, tls=tls)
                    protocol = made.protocol
                    made.send(lines(6))
                    made.stop()
                    made.go(2.2)
                    self.assertFalse(made.reports)
                    self.assertEqual(len(protocol.heard), 6 if over == "backpressure" else 5)
                    made.go(1.5)
                    # It is not lost by the deadline.
                    ended = made.peer.notified if tls else made.peer.over
                    self.assertEqual(ended, True if tls else "FIN")
                    made.leave()
                    made.go(1.0)
                    self.assertEqual(len(protocol.heard), 6)
                    [report] = made.reports
                    self.assertEqual(report.aborted, 0)

    def test_drainedAtTheDeadline(self) -> None:
        """
        Who is still held then is aborted, and named.
        """
        made = self.serve(Lines, "messages=1/s:burst=1")
        made.send(lines(9))
        made.terminator.terminate(gracePeriod=2.0).addCallback(made.reports.append)
        made.go(3.0)
        [report] = made.reports
        self.assertEqual(report.aborted, 1)
        self.assertLess(len(made.reports[0].entries), 2)
