"""
Strings with their lengths before them, and protocols that tell of their messages themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.protocols.basic import Int8StringReceiver, Int16StringReceiver, NetstringReceiver
from zope.interface import implementer

from terminable.interfaces import ICounted
from terminable.throttling.meters.library import meterOf
from terminable.tracking.layers import StandIn
from tests.doubles import Plain
from tests.metering import MeterTestCase
from tests.test_throttling_meters import Strings


class Netstrings(NetstringReceiver):
    """
    Strings with their lengths in decimals.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def stringReceived(self, string: bytes) -> None:
        """
        One has come.
        """
        self.heard.append(string)


class Bytes(Int8StringReceiver):
    """
    Short strings.
    """

    __init__ = Netstrings.__init__
    stringReceived = Netstrings.stringReceived


class StringTests(MeterTestCase):
    """
    Strings with their lengths before them.
    """

    def test_rate(self) -> None:
        """
        They are held to their rate, in order.
        """
        for kind, data in (
            (Netstrings, b"1:a,1:b,1:c,1:d,"),
            (Bytes, b"\1a\1b\1c\1d"),
            (Strings, b"\0\1a\0\1b\0\1c\0\1d"),
        ):
            for over in ("backpressure", "delay"):
                made = self.serve(kind, f"messages=10/s:burst=1:over={over}")
                made.send(data)
                self.assertLess(len(made.protocol.heard), 3)
                made.go(0.35)
                self.assertEqual(made.protocol.heard, [b"a", b"b", b"c", b"d"])

    def test_refused(self) -> None:
        """
        Who sends too many is told in a string.
        """
        for kind, data, said in (
            (Netstrings, b"1:a,1:b,", b"3:NO!,"),
            (Bytes, b"\1a\1b", b"\3NO!"),
            (Int16StringReceiver, b"\0\1a\0\1b", b"\0\3NO!"),
        ):
            made = self.serve(kind, "messages=10/s:burst=1:over=quota:words=NO!")
            made.protocol.stringReceived = lambda string: None
            made.send(data)
            self.assertEqual(made.said(), said)


@implementer(ICounted)
class Letters(Protocol):
    """
    Each byte is a message.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def eachMessage(self, message: Callable[..., object]) -> None:
        """
        See L{ICounted}.
        """
        self.message = message

    def dataReceived(self, data: bytes) -> None:
        """
        Some letters.
        """
        for letter in data:
            self.message(self.letterReceived, letter, True)

    def letterReceived(self, letter: int, really: bool) -> None:
        """
        One.
        """
        self.heard.append(bytes([letter]))


class Telling(Letters):
    """
    One that can tell, and can be paused.
    """

    paused = False

    def quotaExceeded(self, seconds: float) -> None:
        """
        See L{ICounted}.
        """
        self.transport.write(b"%.2f" % seconds)  # type: ignore[union-attr]


class OwnTests(MeterTestCase):
    """
    Protocols that tell of their messages themselves.
    """

    def test_rate(self) -> None:
        """
        They are held to their rate, in order.
        """
        for kind in (Letters, Telling):
            made = self.serve(kind, "messages=10/s:burst=1:over=delay")
            made.send(b"abc")
            self.assertEqual(made.protocol.heard, [b"a"])
            made.go(0.25)
            self.assertEqual(made.protocol.heard, [b"a", b"b", b"c"])

    def test_refused(self) -> None:
        """
        Whoever can tell when to go on does.
        """
        for kind, said in ((Letters, b""), (Telling, b"0.10")):
            made = self.serve(kind, "messages=10/s:burst=1:over=quota")
            made.send(b"ab")
            self.assertEqual(made.said(), said)
            self.assertEqual(made.counts.refused, 1)


class LibraryTests(MeterTestCase):
    """
    Which protocols are counted.
    """

    def test_notBuiltYet(self) -> None:
        """
        Whoever waits to be admitted has no protocol that could be counted, and that is not
        logged.
        """
        self.assertIsNone(meterOf(StandIn()))

    def test_unknown(self) -> None:
        """
        Messages of others are not, which is logged, once.
        """
        from twisted.logger import globalLogPublisher

        class Unknown(Plain):
            """
            Like nothing that is known.
            """

        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.assertIsNone(meterOf(Unknown()))
        self.assertIsNone(meterOf(Unknown()))
        [event] = [event for event in events if "cannot be counted" in event["log_format"]]
        self.assertTrue(event["kind"].endswith("Unknown"))
