"""
Tests of a server with rude clients, on real sockets.

    trial ./test_rude.py
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from terminable import Terminator
from terminable.testing import faults


class Catalogue(Resource):
    """
    Eight megabytes of it.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"tea, " * 1_600_000


class RudeTests(TestCase):
    """
    The server ends in time, whoever is connected.
    """

    async def setUp(self) -> None:
        self.terminator = Terminator(reactor, gracePeriod=0.5, idleGrace=0.1)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await self.terminator.listen(endpoint, Site(Catalogue()))
        self.address = port.getHost()
        self.addCleanup(self.terminator.terminate)

    def rude(self, fault: Any, *arguments: Any) -> Deferred[Any]:
        """
        A client that blocks, and so has a thread.
        """
        return deferToThread(fault, self.address, *arguments)

    async def test_everybodyIsTold(self) -> None:
        """
        Half a request is told 408, a stuck reader is reset, and all are named.
        """
        half = await self.rude(faults.halfHeader)
        stuck = await self.rude(faults.stuckReader, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        silent = await self.rude(faults.silentPeer)
        for peer in (half, stuck, silent):
            self.addCleanup(peer.close)
        report = await self.terminator.terminate()
        await deferToThread(half.rest)
        self.assertEqual([answer.status for answer in half.answers()], [408])
        self.assertEqual((stuck.end(), silent.end()), ("reset", "closed"))
        self.assertEqual({entry.peer for entry in report.stragglers}, {half.name, stuck.name})
        self.assertIn(silent.name, {entry.peer for entry in report.entries})

    async def test_flood(self) -> None:
        """
        Fifty who say nothing are all counted, once.
        """
        flood = await self.rude(faults.flood, 50)
        self.addCleanup(flood.close)
        report = await self.terminator.terminate()
        self.assertEqual((report.opened, report.idle), (len(flood.peers), 50))
