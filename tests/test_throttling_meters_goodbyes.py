"""
Clients that say all they have to say, and then goodbye, at once, over TLS or without.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

from twisted.web.server import Site

from terminable.handover.movable import NotNow
from terminable.handover.movers import moverOf
from terminable.handover.parcels import checkAlive
from tests.answers import Shop, request
from tests.metering import Metered, MeterTestCase
from tests.test_throttling_meters import Lines, Ordered, lines


class TLSGoodbyeTests(MeterTestCase):
    """
    Clients that say all they have to say, and then goodbye, at once.
    """

    def burst(self, kind: Any) -> Metered:
        """
        Somebody who has done so, over TLS, in one piece.
        """
        made = self.serve(kind, "messages=10/s:burst=1", tls=True)
        self.goodbye(made, made.peer.encrypt(lines(5)))
        return made

    def goodbye(self, made: Metered, data: bytes) -> None:
        """
        Put something, and close_notify behind it, into the kernel.
        """
        with contextlib.suppress(ssl.SSLError):
            made.peer._tls.unwrap()
        data += made.peer._outgoing.read()
        made.peer.socket.setblocking(True)
        made.peer.socket.sendall(data)
        made.peer.socket.setblocking(False)
        made.pump()

    def test_heard(self) -> None:
        """
        What was sent before the goodbye is handled, at its rate, before the protocol is
        told.
        """
        for kind in (Lines, Ordered):
            made = self.burst(kind)
            protocol = made.protocol
            self.assertEqual(len(protocol.heard), 2)
            made.go(0.25)
            self.assertEqual((len(protocol.heard), protocol.ended), (4, 0))
            made.go(0.2)
            self.assertEqual((len(protocol.heard), protocol.ended), (5, 1))

    def test_withoutTLS(self) -> None:
        """
        As it is without TLS.
        """
        made = self.serve(Lines, "messages=10/s:burst=1")
        protocol = made.protocol
        made.send(lines(5))
        made.peer.socket.shutdown(socket.SHUT_WR)
        made.go(0.25)
        self.assertEqual((len(protocol.heard), protocol.ended), (4, 0))
        made.go(0.2)
        self.assertEqual((len(protocol.heard), protocol.ended), (5, 1))

    def test_ourGoodbye(self) -> None:
        """
        An application that loses the connection meanwhile does not wait for it.
        """
        made = self.serve(Lines, "messages=10/s:burst=1", tls=True)
        protocol = made.protocol
        made.send(lines(5))
        protocol.transport.loseConnection()
        made.pump()
        made.peer.sayGoodbye()
        made.go(0.2)
        made.pump()
        self.assertEqual(protocol.ended, 1)
        self.assertLess(len(protocol.heard), 5)

    def test_abort(self) -> None:
        """
        Nor does one that aborts it, or a stop at its deadline.
        """
        made = self.burst(Lines)
        protocol = made.protocol
        protocol.transport.abortConnection()
        made.pump()
        self.assertEqual((len(protocol.heard), protocol.ended), (2, 1))


class MovingTests(MeterTestCase):
    """
    Connections that could go to another process.
    """

    def test_held(self) -> None:
        """
        One whose messages wait stays, until they were handled.
        """
        for kind in (Lines, Ordered):
            for over in ("backpressure", "delay"):
                made = self.serve(kind, f"messages=10/s:burst=1:over={over}")
                checkAlive(made.transport)
                made.send(lines(4))
                self.assertRaises(NotNow, checkAlive, made.transport)
                made.go(0.5)
                checkAlive(made.transport)

    def test_heldRequest(self) -> None:
        """
        So does one whose request waits.
        """
        for over in ("backpressure", "delay"):
            made = self.serve(
                None,
                f"messages=10/s:burst=1:over={over}",
                factory=lambda clock: Site(Shop(), reactor=clock),
            )
            made.send(request("/") * 3)
            self.assertRaises(NotNow, moverOf(made.transport).check)
            made.go(0.5)
            checkAlive(made.transport)
            moverOf(made.transport).check()
