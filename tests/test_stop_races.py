"""
Peers that are in the middle of something when the stop begins: real connections, a
real reactor.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import inlineCallbacks
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.answers import readAnswers, request
from tests.scenarios import Client, RecordingWays
from tests.test_scenarios_web import UPGRADE


class Sized(Resource):
    """
    Answers with as many bytes as its path says.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"x" * int(request.path[1:])


class RacesMixin(RecordingWays):
    """
    Each with every way of recording.
    """

    @inlineCallbacks
    def slowly(self: Any, size: int, tls: bool, pause: float, more: bool) -> Any:
        """
        A keep-alive answer that was written before the stop, to somebody who stops
        reading for longer than the idle grace, and then perhaps asks for more.
        """
        yield self.listen(Site(Sized()), tls)

        def ask(client: Client) -> Client:
            if tls:
                client.startTLS()
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(request(f"/{size}"))
            return client

        client = yield self.talk(ask)
        yield self.until(lambda: self.terminator.connections())

        def read() -> bytes:
            time.sleep(pause)
            if more:
                client.send(request("/1"))
            said = b""
            while True:
                got = client.socket.recv(65536)
                if not got:
                    return said
                said += got

        yield deferToThread(time.sleep, 0.2)
        reading = deferToThread(read)
        stopped = self.terminator.terminate()
        said = yield reading
        client.close()
        report = yield stopped
        first = readAnswers(said)[0]
        self.assertEqual(len(first.body), size)
        self.assertEqual(report.aborted, 0, str(report))
        self.assertLess(report.seconds, 15.0)

    def test_inTheKernel(self: Any) -> Any:
        """
        What is only in the kernel arrives, although its reader sends something late.
        """
        return self.slowly(300_000, False, 1.5, True)

    def test_inTheKernelEncrypted(self: Any) -> Any:
        """
        So it does through TLS.
        """
        return self.slowly(300_000, True, 1.5, True)

    def test_notYetInTheKernel(self: Any) -> Any:
        """
        Who has paused the producer, and then reads on, is let go when he has it all.
        """
        return self.slowly(8_000_000, False, 1.5, False)

    @inlineCallbacks
    def test_autobahn(self: Any) -> Any:
        """
        Autobahn's WebSockets go at the end of the idle grace, although the channel that
        they replaced is still registered as a producer.
        """
        factory = WebSocketServerFactory()
        factory.protocol = WebSocketServerProtocol
        root = Resource()
        root.putChild(b"socket", WebSocketResource(factory))
        yield self.listen(Site(root), False)

        def upgrade(client: Client) -> Client:
            client.send(request("/socket", "GET", b"", *UPGRADE))
            client.until(b"\r\n\r\n")
            return client

        client = yield self.talk(upgrade)
        report = yield self.terminator.terminate()
        client.close()
        self.assertEqual((report.idle, report.aborted), (1, 0), str(report))
        self.assertLess(report.seconds, 15.0)

    @inlineCallbacks
    def test_askedForFromInside(self: Any) -> Any:
        """
        A protocol that asks for the stop in the middle of what it receives keeps its
        connection until it has returned.
        """
        seen: list[tuple[bytes, bool]] = []
        results: list[Any] = []
        terminator = self.terminator

        class Inside(LineReceiver):
            delimiter = b"\n"

            def lineReceived(self, line: bytes) -> None:
                if line == b"stop":
                    results.append(terminator.terminate(0))
                seen.append((line, bool(self.transport.connected)))

        yield self.listen(Factory.forProtocol(Inside))
        client = yield self.talk(lambda client: client.send(b"stop\nafter\n") or client)
        yield self.until(lambda: results)
        yield results[0]
        client.close()
        self.assertEqual(seen, [(b"stop", True), (b"after", True)])


class OwnPortRacesTests(RacesMixin, TestCase):
    """
    On a port of ours.
    """

    own = True


class PairRacesTests(RacesMixin, TestCase):
    """
    With a factory that somebody else listens with.
    """

    own = False
