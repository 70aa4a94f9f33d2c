"""
Messages that are counted, held, refused, and followed by a goodbye: what holds whatever the
protocol.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.protocols.basic import Int16StringReceiver, LineOnlyReceiver, LineReceiver

from tests.doubles import Boom
from tests.metering import MeterTestCase


class Lines(LineReceiver):
    """
    Says what it hears.

    @ivar onLine: called with each line before it is answered.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ended = 0
        self.onLine: Any = lambda line: None

    def lineReceived(self, line: bytes) -> None:
        """
        A line has come.
        """
        self.heard.append(line)
        self.onLine(line)
        self.sendLine(b"+" + line)

    def connectionLost(self, reason: Any = None) -> None:
        """
        It is over.
        """
        self.ended += 1


class Ordered(LineOnlyReceiver):
    """
    The same of one that cannot be told to wait.
    """

    __init__ = Lines.__init__
    lineReceived = Lines.lineReceived
    connectionLost = Lines.connectionLost


class Strings(Int16StringReceiver):
    """
    The same with strings.
    """

    __init__ = Lines.__init__
    connectionLost = Lines.connectionLost

    def stringReceived(self, string: bytes) -> None:
        """
        A string has come.
        """
        self.heard.append(string)
        self.onLine(string)


def lines(count: int, first: int = 0) -> bytes:
    """
    So many lines.
    """
    return b"".join(b"%d\r\n" % number for number in range(first, first + count))


class HoldingTests(MeterTestCase):
    """
    Backpressure and delay.
    """

    def test_rate(self) -> None:
        """
        Who sends too much is handled at the rate, in order, and nothing gets lost, whether
        the protocol can be told to wait, or not, and above TLS.
        """
        for kind in (Lines, Ordered):
            for over in ("backpressure", "delay"):
                for tls in (False, True):
                    made = self.serve(kind, f"messages=10/s:burst=2:over={over}", tls=tls)
                    made.send(lines(9))
                    # With backpressure, it is the one after it that waits.
                    ahead = 1 if over == "backpressure" else 0
                    heard = made.protocol.heard
                    self.assertEqual(len(heard), 2 + ahead)
                    made.go(0.35)
                    self.assertEqual(len(heard), 5 + ahead)
                    made.go(0.6)
                    self.assertEqual(heard, [b"%d" % number for number in range(9)])
                    made.go(0.2)
                    self.assertFalse(made.paused)
                    self.assertEqual(made.said(), b"".join(b"+" + line + b"\r\n" for line in heard))

    def test_readsNothingMeanwhile(self) -> None:
        """
        While messages are held, what comes stays in the kernel; and the connection goes on
        reading, and is as fast as any, when it has been quiet.
        """
        made = self.serve(Lines, "messages=10/s:burst=2")
        made.send(lines(4))
        self.assertTrue(made.paused)
        made.send(lines(1, 4))
        self.assertNotIn(made.transport, made.clock.readers)
        made.go(1.0)
        self.assertEqual(len(made.protocol.heard), 5)
        self.assertFalse(made.paused)
        made.send(lines(2, 5))
        self.assertEqual(len(made.protocol.heard), 7)

    def test_counts(self) -> None:
        """
        It is counted how often somebody has had to wait.
        """
        made = self.serve(Lines, "messages=10/s:burst=1")
        made.send(lines(3))
        made.go(1.0)
        self.assertEqual(made.counts.held, 2)
        self.assertEqual((made.counts.refused, made.counts.disconnected), (0, 0))

    def test_twoWhoPause(self) -> None:
        """
        A limit and the application may both pause one transport, whoever begins or ends
        first.
        """
        made = self.serve(Lines, "messages=10/s:burst=1")
        for first in (True, False):
            made.go(1.0)
            if first:
                made.transport.pauseProducing()
            made.protocol.dataReceived(lines(2))
            self.assertTrue(made.paused)
            made.transport.pauseProducing()
            made.send(b"more\r\n")
            made.go(1.0)
            self.assertTrue(made.paused)
            self.assertNotIn(b"more", made.protocol.heard)
            made.transport.resumeProducing()
            made.pump()
            self.assertFalse(made.paused)
            self.assertEqual(made.protocol.heard.pop(), b"more")

    def test_twoLimitsPause(self) -> None:
        """
        A limit of bytes and a limit of messages hold together.
        """
        made = self.serve(Lines, "messages=10/s:burst=1", "received=30/s:burst=9")
        made.send(lines(6))
        made.go(0.12)
        self.assertEqual(len(made.protocol.heard), 3)
        self.assertTrue(made.paused)
        made.go(1.0)
        self.assertEqual(len(made.protocol.heard), 6)

    def test_broken(self) -> None:
        """
        If a message fails when it is its turn, that costs this connection, as it would have
        earlier; those behind it are not handled.
        """
        for over in ("backpressure", "delay"):
            for kind in (Lines, Ordered):
                made = self.serve(kind, f"messages=10/s:burst=1:over={over}")
                protocol = made.protocol

                def fails(line: bytes) -> None:
                    if line == b"2":
                        raise Boom

                protocol.onLine = fails
                made.send(lines(5))
                made.go(0.5)
                self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
                self.assertEqual(protocol.ended, 1)
                self.assertEqual(len(protocol.heard), 3)

    def test_gone(self) -> None:
        """
        Who goes while messages are held is forgotten: nothing is handled, and no call is
        left.
        """
        for over in ("backpressure", "delay", "quota", "disconnect"):
            for kind in (Lines, Ordered):
                made = self.serve(kind, f"messages=10/s:burst=1:over={over}")
                protocol = made.protocol
                made.send(lines(5))
                heard = len(protocol.heard)
                made.transport.abortConnection()
                made.pump()
                self.assertEqual(protocol.ended, 1)
                self.assertEqual(made.clock.getDelayedCalls(), [])
                made.go(2.0)
                self.assertEqual(len(protocol.heard), heard)

    def test_collected(self) -> None:
        """
        Who has had a connection needs no garbage collector to go.
        """
        gc.disable()
        self.addCleanup(gc.enable)
        for tls in (False, True):
            for over in ("backpressure", "delay"):
                made = self.serve(Lines, f"messages=10/s:burst=1:over={over}", tls=tls)
                protocol = weakref.ref(made.protocol)
                made.send(lines(4))
                made.go(0.1)
                made.transport.abortConnection()
                made.pump()
                made.wire.protocol = None
                self.assertIsNone(protocol())

    def test_hookedByOthers(self) -> None:
        """
        Who stands where we stood stays there at the end.
        """
        made = self.serve(Lines, "messages=10/s")
        protocol = made.protocol

        def stands(line: bytes) -> None:
            pass

        protocol.lineReceived = stands
        made.transport.abortConnection()
        made.pump()
        self.assertIs(protocol.lineReceived, stands)
        self.assertNotIn("dataReceived", vars(protocol))
