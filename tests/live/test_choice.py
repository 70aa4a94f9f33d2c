"""
Some connections of a running server are drained, and it goes on.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from typing import Any

from tests.live.clients import Address, Peer
from tests.live.processes import PATIENCE, SLACK, LiveTestCase, Server, eventually, freePort

#: How many clients there are, and how long each pauses between two requests, in seconds.
CLIENTS = 20
PAUSE = 0.005

#: A server that drains by choice when it gets a signal.
TAC = """
import json, os, signal
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Site
from terminable import TerminableService, Terminator

class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"hello"

log = Logger()
terminator = Terminator(reactor, idleGrace=float(os.environ["IDLE"]))
service = TerminableService(terminator)
for description in json.loads(os.environ["ENDPOINTS"]):
    service.listenOn(serverFromString(reactor, description), Site(Hello()))
application = Application("choice")
service.setServiceParent(application)

def drain():
    result = terminator.drain(**json.loads(os.environ["CHOICE"]))
    result.addCallback(lambda report: log.info("drained: {report}", report=report))

signal.signal(signal.SIGUSR1, lambda *details: reactor.callFromThread(drain))
"""


class Client(threading.Thread):
    """
    Asks again and again, on one connection for as long as it may.

    @ivar answers: how many it has got.
    @ivar told: how often it was told that an answer is the last.
    @ivar problem: what has gone wrong, if anything.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.answers = self.told = 0
        self.problem: Exception | None = None
        self.enough = threading.Event()

    def run(self) -> None:
        """
        Connect, and connect again whenever told to.
        """
        try:
            while not self.enough.is_set():
                peer = self.address.connect()
                try:
                    self.ask(peer)
                finally:
                    peer.close()
        except Exception as problem:
            self.problem = problem

    def ask(self, peer: Peer) -> None:
        """
        Ask until told that it is enough.
        """
        while not self.enough.wait(PAUSE):
            answer = peer.get("/")
            assert (answer.status, answer.body) == (200, b"hello"), answer
            self.answers += 1
            if answer.closing:
                self.told += 1
                assert peer.rest() == b""
                return


class ChoiceTests(LiveTestCase):
    """
    Drains by choice under load.
    """

    def serve(self, *addresses: Address, idle: float, **choice: Any) -> Server:
        """
        A server that drains what C{choice} says.

        @param idle: its idle grace; no client that is busy should pause for so long.
        """
        file = self.directory() / "choice.tac"
        file.write_text(TAC)
        endpoints = [address.description for address in addresses]
        env = {"ENDPOINTS": json.dumps(endpoints), "CHOICE": json.dumps(choice), "IDLE": str(idle)}
        return self.start("--python", str(file), env=env)

    def clients(self, address: Address, count: int) -> list[Client]:
        """
        So many clients, each of which has got an answer.
        """
        clients = [Client(address) for _ in range(count)]
        for client in clients:
            client.start()
            self.addCleanup(client.join, PATIENCE)
            self.addCleanup(client.enough.set)
        self.assertAnswered(clients)
        return clients

    def assertAnswered(self, clients: list[Client], more: int = 3) -> None:
        """
        Each of them gets some more answers.
        """
        goals = [client.answers + more for client in clients]

        def reached() -> bool:
            return all(each.answers >= goal for each, goal in zip(clients, goals, strict=True))

        eventually(lambda: reached() or any(client.problem for client in clients))
        self.assertEqual([client.problem for client in clients], [None] * len(clients))
        self.assertTrue(reached())

    def stop(self, server: Server, clients: list[Client]) -> None:
        """
        Everybody has had enough.
        """
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join(PATIENCE)
        self.assertEqual([client.problem for client in clients], [None] * len(clients))
        server.terminate()
        server.gone()
        # Twisted ends by the signal that has stopped it.
        self.assertEqual(server.status, -signal.SIGTERM, server.log())
        self.assertNotIn("Traceback", server.log())

    def test_half(self) -> None:
        """
        Half of the connections are told with their next answer, and lost; their clients
        connect again, no request is lost, and the server goes on.
        """
        address = Address(port=freePort())
        server = self.serve(address, idle=8.0, percent=50)
        clients = self.clients(address, CLIENTS)
        began = time.monotonic()
        server.send(signal.SIGUSR1)
        log = server.awaitLog("drained: ")
        self.assertLess(time.monotonic() - began, 1.0 + SLACK, log)
        self.assertIn(f"drained: 0 idle, {CLIENTS // 2} finished, 0 aborted", log)
        self.assertAnswered(clients)
        self.assertEqual(sorted(client.told for client in clients), [0] * 10 + [1] * 10)
        self.stop(server, clients)
        self.assertIn("0 aborted", server.report())

    def test_onePort(self) -> None:
        """
        Those who came by one of two ports are drained; clients that say nothing are lost
        when their idle grace is over, in good order, and others stay.
        """
        one, other = Address(port=freePort()), Address(path=str(self.directory() / "socket"))
        server = self.serve(one, other, idle=1.5, port=other.path)
        clients = self.clients(one, 3)
        busy = self.clients(other, 3)
        idle, stays = other.connect(), one.connect()
        self.addCleanup(idle.close)
        self.addCleanup(stays.close)
        for peer in (idle, stays):
            self.assertFalse(peer.get("/").closing)
        server.send(signal.SIGUSR1)
        self.assertEqual(idle.rest(), b"")
        self.assertIn("drained: 1 idle, 3 finished, 0 aborted", server.awaitLog("drained: "))
        self.assertFalse(stays.get("/").closing)
        self.assertAnswered(clients + busy)
        self.assertEqual([client.told for client in clients + busy], [0] * 3 + [1] * 3)
        stays.close()
        self.stop(server, clients + busy)

    def test_stopMeanwhile(self) -> None:
        """
        A server that is told to stop while some are being drained ends by the deadline of
        that stop, and both reports are right.
        """
        address = Address(port=freePort())
        server = self.serve(address, idle=0.3, percent=50, gracePeriod=60, idleGrace=60)
        peers = [address.connect() for _ in range(4)]
        for peer in peers:
            self.addCleanup(peer.close)
            self.assertFalse(peer.get("/").closing)
        server.send(signal.SIGUSR1)
        # The signal takes its time.
        self.assertTrue(eventually(lambda: peers[0].get("/").closing))
        self.assertEqual(peers[0].rest(), b"")
        peers[0].close()
        server.terminate()
        for peer in peers[1:]:
            self.assertEqual(peer.rest(), b"")
        self.assertLess(server.gone(), 0.3 + SLACK, server.log())
        self.assertIn("drained: 1 idle, 1 finished, 0 aborted", server.log())
        # The first one may have been gone when the stop began, or not quite.
        self.assertRegex(server.report(), "^3 idle, [01] finished, 0 aborted")
