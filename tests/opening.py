"""
WebSockets whose opening handshake is on its way when the drain begins: what holds whoever
serves them.
"""

from __future__ import annotations

from typing import Any

from terminable import State
from tests.answers import request
from tests.closing import AWAY
from tests.test_http11_applications import UPGRADE
from tests.wspeers import Call, closing


class OpeningMixin:
    """
    Who is about to open one opens it, and is told then.
    """

    def opening(self: Any, **options: Any) -> Call:
        """
        Somebody who has connected and said nothing.
        """
        call: Call = self.call(opened=False, **options)
        return call

    def asked(self, call: Call) -> bytes:
        """
        What a client asks for.
        """
        return request(call.server.path, "GET", b"", *UPGRADE)

    def assertClosed(self: Any, call: Call) -> None:
        """
        It was opened, and closed in good order.
        """
        self.assertEqual(call.listen(), [AWAY])
        call.send(closing(1001))
        call.leave()
        self.assertOver(call)
        self.assertEqual(call.report.aborted, 0)

    def test_saidNothing(self: Any) -> None:
        """
        Who asks for nothing is lost at the end of the idle grace, without a word.
        """
        call = self.opening()
        call.stop()
        call.go(0.9)
        self.assertFalse(call.ending())
        call.go(0.6)
        call.leave()
        self.assertEqual(call.peer.received, b"")
        self.assertEqual((call.report.idle, call.report.aborted), (1, 0))

    def test_asksInTime(self: Any) -> None:
        """
        Who asks before that is answered, and closed at the end of the idle grace at the
        latest.
        """
        call = self.opening()
        call.stop()
        call.go(0.5)
        call.open()
        call.go(1.0)
        self.assertClosed(call)

    def test_halfAsked(self: Any) -> None:
        """
        So is who had begun to ask and goes on before the end of the idle grace.
        """
        call = self.opening()
        call.send(self.asked(call)[:40])
        call.stop()
        [connection] = call.terminator.connections()
        self.assertIs(connection.state(), State.BUSY)
        call.go(0.5)
        call.open(40)
        call.go(1.0)
        self.assertClosed(call)

    def test_halfAskedForLong(self: Any) -> None:
        """
        Who goes on after it is answered too, and closed a moment later.
        """
        for part in (10, 40, 100):
            call = self.opening()
            call.send(self.asked(call)[:part])
            call.stop()
            call.go(3.0, 0.05)
            call.open(part)
            call.go(2.0)
            self.assertClosed(call)

    def test_neverAsked(self: Any) -> None:
        """
        Who never finishes to ask is aborted at the deadline.
        """
        call = self.opening(gracePeriod=3.0)
        call.send(self.asked(call)[:40])
        call.stop()
        call.go(3.5, 0.05)
        self.assertFalse(call.wire.transport.connected)
        self.assertEqual(call.report.aborted, 1)
