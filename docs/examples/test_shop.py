"""
Tests of a web server in memory: no socket, no waiting.

    trial ./test_shop.py
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable.testing import MemoryReactor, MemoryServer


class Shop(Resource):
    """
    What is to be tested: it sells at once, and wraps as a gift in three seconds.
    """

    isLeaf = True

    def __init__(self, reactor: IReactorTime) -> None:
        super().__init__()
        self.reactor = reactor

    def render_POST(self, request: Any) -> bytes | int:
        if request.path != b"/gift":
            return b"sold\n"
        self.reactor.callLater(3.0, self.wrapped, request)
        return NOT_DONE_YET

    def wrapped(self, request: Any) -> None:
        request.write(b"wrapped\n")
        request.finish()


class ShopTests(SynchronousTestCase):
    """
    The shop closes politely.
    """

    def setUp(self) -> None:
        reactor = MemoryReactor()
        self.server = MemoryServer(Site(Shop(reactor)), reactor=reactor, gracePeriod=5.0)

    def test_gift(self) -> None:
        """
        A gift is wrapped although the shop closes, and the answer says that it is the last.
        """
        client = self.server.connect()
        client.request("/gift", "POST", b"a kettle")
        closed = self.server.terminate()
        self.assertRaises(ConnectionRefusedError, self.server.connect)
        self.server.advance(3.0)
        [answer] = client.answers()
        self.assertEqual((answer.body, answer.closing), (b"wrapped\n", True))
        self.assertEqual(client.ended, "closed")
        self.assertEqual(self.successResultOf(closed).finished, 1)

    def test_slowWriter(self) -> None:
        """
        Who is still writing an order at the deadline is told so.
        """
        client = self.server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\na ket")
        closed = self.server.terminate()
        self.server.advance(5.5)
        self.assertEqual([answer.status for answer in client.answers()], [408])
        self.assertEqual(self.successResultOf(closed).aborted, 1)

    def test_pieces(self) -> None:
        """
        An order may come in any pieces, over TLS too.
        """
        for tls in (False, True):
            client = self.server.connect("10.0.0.7", tls=tls)
            client.send(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\ntea", 1)
            self.assertEqual([answer.body for answer in client.answers()], [b"sold\n"])
            [*_, latest] = self.server.connections()
            self.assertEqual(latest.peerAddress.host, "10.0.0.7")

    def test_impatient(self) -> None:
        """
        Nothing happens to the shop when a client leaves by force.
        """
        client = self.server.connect()
        client.request("/gift", "POST", b"a kettle")
        client.reset()
        self.assertEqual(self.server.connections(), [])
        self.server.advance(3.0)
        # To finish a request whose client has gone is an error, in Twisted.
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
