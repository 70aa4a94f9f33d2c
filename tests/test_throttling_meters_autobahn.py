"""
Messages of Autobahn's WebSockets, stand-alone or behind C{twisted.web}.
"""

from __future__ import annotations

import zlib
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from wsproto import Connection, ConnectionType
from wsproto.extensions import PerMessageDeflate

from tests.answers import request
from tests.test_http11_applications import UPGRADE
from tests.test_throttling_meters_websockets import NAMES, MessagesMixin, texts
from tests.wspeers import TEXT, AutobahnResourceServer, AutobahnServer, Call, frame


class AutobahnTests(MessagesMixin, SynchronousTestCase):
    """
    Autobahn on its own.
    """

    kind = AutobahnServer

    def test_inTheMiddle(self) -> None:
        """
        Nothing is said in the middle of a message that the application is sending.
        """
        made = self.call("messages=10/s:burst=1:over=quota")
        application = made.application
        application.beginMessage()
        application.sendMessageFrame(b"a")
        made.send(texts(3))
        application.endMessage()
        self.assertEqual("".join(made.listen()), "a")

    def test_opening(self) -> None:
        """
        Nor while the handshake is not over.
        """
        made = self.call("messages=10/s", "received=100/s:over=disconnect", opened=False)
        made.send(request("/", "GET", b"", *UPGRADE)[:-2])
        made.go(1.2)
        made.leave()
        self.assertEqual(made.peer.received, b"")

    def test_deflated(self) -> None:
        """
        Messages that were compressed together are held one by one, and those that are
        ignored do not harm the others.
        """
        for over in ("delay", "quota"):
            made = self.deflated(f"messages=10/s:burst=1:over={over}")
            squeeze = zlib.compressobj(wbits=-15)
            sent = b""
            for name in NAMES[:4]:
                text = name.encode() * 200
                packed = squeeze.compress(text) + squeeze.flush(zlib.Z_SYNC_FLUSH)
                whole = bytearray(frame(TEXT, packed[:-4]))
                whole[0] |= 0x40
                sent += bytes(whole)
            made.send(sent)
            self.assertEqual(self.heard(made), ["0" * 200])
            made.go(0.4)
            expected = NAMES[:4] if over == "delay" else NAMES[:1]
            self.assertEqual(self.heard(made), [name * 200 for name in expected])
            said = made.listen()
            self.assertEqual(said, [] if over == "delay" else ["QUOTA_EXCEEDED"] * 3)

    def deflated(self, limit: str) -> Call:
        """
        Somebody with whom compression was agreed on.
        """
        made = self.call(limit, opened=False)

        def accept(offers: Any) -> Any:
            for each in offers:
                if isinstance(each, PerMessageDeflateOffer):
                    return PerMessageDeflateOfferAccept(each)
            return None

        made.application.perMessageCompressionAccept = accept
        made.send(
            request("/", "GET", b"", *UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate")
        )
        made.accepted()
        extension = PerMessageDeflate()
        extension.finalize("permessage-deflate")
        made._parser = Connection(ConnectionType.CLIENT, extensions=[extension])
        return made


class AutobahnResourceTests(MessagesMixin, SynchronousTestCase):
    """
    Autobahn behind C{twisted.web}.
    """

    kind = AutobahnResourceServer
    first = 1

    def test_afterSomeThought(self) -> None:
        """
        An upgrade that was granted after some thought is noticed.
        """
        made = Call(LateServer, False, limits=["messages=10/s:burst=2"], opened=False)
        self.addCleanup(made.wire.close)
        made.send(request("/socket", "GET", b"", *UPGRADE))
        made.go(2.0, 0.1)
        made.server.late.pop()()
        made.accepted()
        made.go(2.0, 0.1)
        made.send(texts(4))
        self.assertEqual(self.heard(made), NAMES[:3])
        made.go(0.3)
        self.assertEqual(self.heard(made), NAMES[:4])

    def test_heldByTheHandshake(self) -> None:
        """
        A handshake that is one too many holds what follows, though another protocol has
        it.
        """
        for over in ("backpressure", "delay"):
            made = self.call(f"messages=2/s:burst=1:over={over}", opened=False)
            made.send(request("/no"))
            made.send(request("/socket", "GET", b"", *UPGRADE))
            made.go(0.6)
            made._parser = Connection(ConnectionType.CLIENT)
            made._seen = made.peer.received.index(b"HTTP/1.1 101")
            made._seen = made.peer.received.index(b"\r\n\r\n", made._seen) + 4
            made.send(texts(3))
            made.go(2.0)
            self.assertEqual(self.heard(made), NAMES[:3])

    def test_cutWhileItIsUpgraded(self) -> None:
        """
        Who is told to go and opens a WebSocket before the time has come goes then.
        """
        limits = ("messages=99/s", "received=400/s:burst=60:over=disconnect")
        made = self.call(*limits, opened=False)
        made.send(request("/socket", "GET", b"", *UPGRADE))
        made.go(0.8)
        self.assertIn(b"HTTP/1.1 101", made.peer.received)
        self.assertIsNone(made.peer.over)
        made.go(0.3)
        self.assertIsNotNone(made.peer.over)


class LateServer(AutobahnResourceServer):
    """
    Thinks before it renders.
    """

    def factory(self) -> Any:
        factory = super().factory()
        resource = factory.resource.children[b"socket"]
        self.late: list[Any] = []

        def render(request: Any) -> Any:
            self.late.append(lambda: type(resource).render(resource, request))
            return NOT_DONE_YET

        resource.render = render
        return factory
