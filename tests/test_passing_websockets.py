"""
WebSockets of C{twisted.web.websocket} go on in another process.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from terminable.handover import movers
from terminable.handover.movable import CannotMove
from tests import passingsockets
from tests.passingsockets import Slow, said
from tests.wspeers import TEXT, frame


class TwistedTests(passingsockets.SocketTestCase):
    """
    Those of C{twisted.web.websocket}.
    """

    def test_extensions(self) -> None:
        """
        Extensions would be in the way.
        """
        [connection] = self.here.connections()
        mover: Any = movers.moverOf(connection.transport)
        mover._connection._proto.extensions = [object()]
        self.assertIn("extensions", str(self.assertRaises(CannotMove, mover.check)))

    def test_slow(self) -> None:
        """
        Where the handshake takes some thought, that is waited for, for a bounded time.
        """
        slow = Slow(self.other.factory.resource.children[b""])
        self.other.factory.resource.putChild(b"", slow)
        passing = self.start()
        self.until(lambda: slow.waiting)
        self.turns()
        self.assertNoResult(passing)
        slow.waiting.pop()()
        self.until(lambda: passing.called, 0.01)
        self.successResultOf(passing)
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("back", "b1 y"))

    def test_tooSlow(self) -> None:
        """
        If it takes too long, it works on here.
        """
        self.other.factory.resource.putChild(b"", Slow(Resource()))
        self.assertIn("handshake does not end", self.refused(CannotMove))
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def test_channelLostMeanwhile(self) -> None:
        """
        So it does if the channel is lost meanwhile.
        """
        slow = Slow(Resource())
        self.other.factory.resource.putChild(b"", slow)
        passing = self.start()
        self.until(lambda: slow.waiting)
        self.far.transport.loseConnection()
        self.until(lambda: passing.called, 0.1)
        self.failureResultOf(passing, CannotMove)
        self.turns(50, 0.1)
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def test_anotherResult(self) -> None:
        """
        If it has another result there, it works on here.
        """
        self.other.factory.resource.putChild(b"", Resource())
        self.assertIn("another result here", self.refused(CannotMove))
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def test_anotherUpgrade(self) -> None:
        """
        Also if that is another upgrade.
        """

        class Other(Resource):
            def render(self, request: Any) -> Any:
                request.channel.dataReceived = lambda data: None
                return NOT_DONE_YET

        self.other.factory.resource.putChild(b"", Other())
        self.assertIn("another result here", self.refused(CannotMove))

    def test_noHTTP(self) -> None:
        """
        And if no HTTP is spoken there.
        """
        from tests.passages import CountingFactory

        self.other.factory = CountingFactory()
        self.assertIn("HTTP/1.1 is not spoken here", self.refused(CannotMove))
