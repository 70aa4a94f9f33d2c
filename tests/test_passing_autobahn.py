"""
WebSockets of Autobahn go on in another process.
"""

from __future__ import annotations

import struct
from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from terminable.handover import movers
from terminable.handover.movable import CannotMove, CannotTake, NotNow
from terminable.handover.parcels import Parcel
from tests import passingsockets
from tests.passingsockets import Autobahn, said
from tests.test_http11_applications import UPGRADE
from tests.wspeers import CLOSE, TEXT, frame


class AutobahnTests(passingsockets.SocketTestCase):
    """
    Those of Autobahn, alone.
    """

    def factory(self, name: str) -> Any:
        factory = WebSocketServerFactory(reactor=object())
        factory.protocol = lambda: self.application(name)
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        return factory

    def application(self, name: str) -> Any:
        self.made[name] = application = Autobahn()
        application.name = name
        application.slow = self.slow if hasattr(self, "slow") else None
        return application

    def close(self) -> None:
        self.made["a"].sendClose()

    def test_told(self) -> None:
        """
        C{onClose} is told where it has gone.
        """
        before = self.made["a"]
        self.pass_()
        self.assertIn("moved to another process", before.left)

    def test_pings(self) -> None:
        """
        Automatic pings come from one side only.
        """
        for port in (self.port, self.other):
            getattr(port.factory, "_autobahn", port.factory).autoPingInterval = 1000
        self.socket.close()
        self.until(lambda: not self.here.connections())
        self.open()
        first = self.made["a"]
        self.assertIsNotNone(first.autoPingPendingCall)
        self.pass_()
        self.assertIsNone(first.autoPingPendingCall)
        self.assertIsNotNone(self.made["b"].autoPingPendingCall)

    def test_pingMeanwhile(self) -> None:
        """
        One that would be sent while it is passed is not.
        """
        passing = self.start()
        self.made["a"].sendPing()
        self.until(lambda: passing.called)
        self.successResultOf(passing)
        self.assertEqual(self.heard(self.socket), said("back"))

    def test_sending(self) -> None:
        """
        A message that is being sent piece by piece is in the way.
        """
        self.made["a"].beginMessage()
        self.assertIn("a message is in flight", self.refused(NotNow))

    def test_opening(self) -> None:
        """
        So is a handshake that is not over.
        """
        self.made["a"].state = self.made["a"].STATE_CONNECTING
        self.assertIn("opening handshake is not over", self.refused(NotNow))

    def test_subprotocol(self) -> None:
        """
        The other one must choose the same subprotocol.
        """
        self.headers = (*UPGRADE, "Sec-WebSocket-Protocol: chat")
        self.socket.close()
        self.until(lambda: not self.here.connections())
        self.open()
        self.made["a"].websocket_protocol_in_use = None
        self.assertIn("another result here", self.refused(CannotMove))
        self.made["a"].websocket_protocol_in_use = "chat"
        self.pass_()
        self.assertEqual(self.made["b"].websocket_protocol_in_use, "chat")

    def test_slowly(self) -> None:
        """
        Where the handshake takes some thought, that is waited for.
        """
        self.slow: Any = Deferred()
        passing = self.start()
        self.until(lambda: "b" in self.made)
        self.turns()
        self.assertNoResult(passing)
        self.slow.callback(None)
        self.until(lambda: passing.called, 0.01)
        self.successResultOf(passing)
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("back", "b1 y"))

    def test_compressed(self) -> None:
        """
        What is compressed has a state of its own, here or there.
        """

        def accept(offers: Any) -> Any:
            return next(
                PerMessageDeflateOfferAccept(each)
                for each in offers
                if isinstance(each, PerMessageDeflateOffer)
            )

        self.headers = (*UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate")
        self.socket.close()
        self.until(lambda: not self.here.connections())
        self.open()
        self.other.factory.setProtocolOptions(perMessageCompressionAccept=accept)
        self.assertIn("extensions are in use here", self.refused(CannotMove))
        self.made["a"].websocket_extensions_in_use = [object()]
        self.assertIn("extensions have a state", self.refused(CannotMove))

    def test_unknown(self) -> None:
        """
        Where Autobahn is not loaded, nothing is known of it.
        """
        import sys

        self.patch(sys, "modules", {})
        [connection] = self.here.connections()
        error = self.assertRaises(
            CannotTake, movers.restore, Parcel("autobahn"), connection.transport
        )
        self.assertIn("autobahn is not known", str(error))

    def test_closedByPeer(self) -> None:
        """
        A peer that has closed is not moved.
        """
        [connection] = self.here.connections()
        mover = movers.moverOf(connection.transport)
        self.ask(self.socket, frame(CLOSE, struct.pack("!H", 1000)))
        self.assertRaises(CannotMove, mover.check)


class AutobahnResourceTests(AutobahnTests):
    """
    Those of Autobahn, behind C{twisted.web}.
    """

    def factory(self, name: str) -> Any:
        inner = super().factory(name)
        site: Any = self.site(AutobahnResource(inner))
        site._autobahn = inner
        return site

    def test_compressed(self) -> None:
        """
        What is compressed has a state of its own.
        """
        self.made["a"].websocket_extensions_in_use = [object()]
        self.assertIn("extensions have a state", self.refused(CannotMove))

    def test_notThere(self) -> None:
        """
        Where there is no WebSocket, it is not taken.
        """
        self.other.factory.resource.putChild(b"", Resource())
        self.assertIn("handshake does not end", self.refused(CannotMove))
