"""
Ports that are released and listened on again in the same process: guarantees G1 and G11.
"""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.live.clients import Address
from tests.live.processes import PATIENCE, ROOT, LiveTestCase, Server, freePort

EXAMPLES = ROOT / "docs" / "examples"

#: A server that releases its ports, or restarts its service, when it is asked to.
PROGRAM = """
import os
from twisted.application import service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from terminable import TerminableService, Terminator
from tests.live.resources import Root

log = Logger()
endpoints = [serverFromString(reactor, each) for each in os.environ["LISTEN"].split("|")]
terminator = Terminator(reactor, idleGrace=0.02, generations=200)
server = TerminableService(terminator)

class Told(Resource):
    isLeaf = True

    def __init__(self, act):
        super().__init__()
        self.act = act

    def render_GET(self, request):
        done = Deferred.fromCoroutine(self.act())
        done.addErrback(lambda reason: log.failure("it failed", reason))
        done.addCallback(lambda _: request.write(b"%d" % len(terminator.generations)))
        done.addCallback(lambda _: request.finish())
        return NOT_DONE_YET

async def release():
    await terminator.release()
    for endpoint in endpoints:
        await terminator.listen(endpoint, site)

async def restart():
    await server.restart()

root = Root()
root.putChild(b"restart", Told(restart))
root.putChild(b"release", Told(release))
site = Site(root)
for endpoint in endpoints:
    server.listenOn(endpoint, site)
application = service.Application("released")
server.setServiceParent(application)
"""


class Load:
    """
    Clients that never pause, each in a thread.

    @ivar answered: how many answers arrived in full.
    @ivar failures: what went wrong.
    """

    def __init__(self, address: Address, clients: int, keepAlive: Callable[[int], bool]) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._address = address
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(keepAlive(number),), daemon=True)
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, keepAlive: bool) -> None:
        peer: Any = None
        while not self._over.is_set():
            try:
                peer = peer or self._address.connect()
                answer = peer.get("/later?seconds=0.005")
                if answer.body != b"later\n":
                    raise EOFError(f"{answer.body!r} was the answer")
            except OSError as problem:
                self.failures.append(repr(problem))
            except EOFError as problem:
                self.failures.append(str(problem))
            else:
                self.answered += 1
                if keepAlive and not answer.closing:
                    continue
            if peer is not None:
                peer.close()
            peer = None

    def stop(self) -> None:
        """
        Return when all of them have gone.
        """
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


class ReleasedTestCase(LiveTestCase):
    """
    A server that can be told.
    """

    def released(self, *addresses: Address) -> Server:
        """
        Start it.
        """
        path = self.directory() / "released.tac"
        path.write_text(PROGRAM)
        listen = "|".join(address.description for address in addresses)
        return self.start("--python", str(path), env={"LISTEN": listen})

    def get(self, address: Address, target: str) -> bytes:
        """
        Ask over a connection that is used once.
        """
        peer = address.connect()
        self.addCleanup(peer.close)
        answer = peer.get(target)
        self.assertEqual(answer.status, 200)
        return answer.body


class ReleaseTests(ReleasedTestCase):
    """
    The ports are closed in between.
    """

    def test_hundredTimes(self) -> None:
        """
        A hundred releases back to back, while a slow request of each generation is under
        way: all of them are answered in full, and new requests are answered at once.
        """
        address = Address(port=freePort())
        server = self.released(address)
        slow: list[Any] = []
        longest = 0.0
        most = 0
        for _ in range(100):
            peer = address.connect()
            self.addCleanup(peer.close)
            peer.ask("/later?seconds=2")
            slow.append(peer)
            # Its answer says that the new ports are open.
            most = max(most, int(self.get(address, "/release")))
            began = time.monotonic()
            self.assertEqual(self.get(address, "/sync"), b"sync\n")
            longest = max(longest, time.monotonic() - began)
        for peer in slow:
            answer = peer.answer()
            self.assertEqual((answer.status, answer.body), (200, b"later\n"))
            self.assertTrue(answer.closing)
        self.assertLess(longest, 1.0)
        self.assertGreater(most, 5)
        self.assertFalse(self.reset(slow))
        self.assertEqual(self.get(address, "/sync"), b"sync\n")
        server.terminate()
        server.gone()
        self.assertNotIn("Unhandled", server.log())
        self.assertNotIn("Traceback", server.log())

    def reset(self, peers: list[Any]) -> bool:
        """
        Whether any connection ended by force.
        """
        return any(peer.wasReset() for peer in peers)


class RestartTests(ReleasedTestCase):
    """
    The sockets stay open.
    """

    def load(self, *addresses: Address) -> Server:
        """
        Restart a service ten times under load.
        """
        server = self.released(*addresses)
        loads = [
            Load(each, 20 // len(addresses), lambda number: number % 2 == 0) for each in addresses
        ]
        for _ in range(10):
            time.sleep(0.1)
            self.get(addresses[0], "/restart")
        time.sleep(0.1)
        for load in loads:
            load.stop()
            self.assertEqual(load.failures, [])
            self.assertGreater(load.answered, 50)
        return server

    def test_tcp(self) -> None:
        """
        Twenty clients do not notice: nobody is refused, and no request is lost.
        """
        address = Address(port=freePort())
        server = self.load(address)
        server.terminate()
        server.gone()
        self.assertTrue(address.refuses())
        self.assertNotIn("it failed", server.log())
        # No restart has left anybody: ten generations, and the last one.
        self.assertEqual(len(re.findall("terminated: ", server.log())), 11)

    def test_unixAndTLS(self) -> None:
        """
        So it is with UNIX sockets and TLS.
        """
        path = str(self.directory() / "sock")
        pem = self.certificate()
        secure = Address(port=freePort(), tls=True)

        class Secure(Address):
            description = f"{secure.description}:privateKey={pem}"

        addresses = Address(path=path), Secure(port=secure.port, tls=True)
        server = self.load(*addresses)
        server.terminate()
        server.gone()
        self.assertTrue(all(address.refuses() for address in addresses))
        self.assertNotIn("it failed", server.log())
        with socket.socket(socket.AF_UNIX) as again:
            # Its path is free.
            again.bind(path)


class ExampleTests(LiveTestCase):
    """
    The example of the documentation.
    """

    def test_again(self) -> None:
        """
        Who was being answered gets the old greeting, who comes after the signal the new
        one; what cannot be read changes nothing.
        """
        greeting = self.directory() / "greeting.txt"
        greeting.write_text("hello")
        address = Address(port=freePort())
        env = {"GREETING": str(greeting), "GREETING_LISTEN": address.description}
        server = self.start("--python", str(EXAMPLES / "again.tac"), env=env)
        peers = [address.connect(), address.connect()]
        peers[0].ask("/")
        time.sleep(0.2)
        greeting.write_text("goodbye")
        server.send(signal.SIGHUP)
        server.awaitLog("renewed")
        greeting.unlink()
        server.send(signal.SIGHUP)
        server.awaitLog("not renewed")
        newcomer = address.connect()
        peers.append(newcomer)
        newcomer.ask("/")
        self.assertEqual(peers[0].answer().body, b"hello")
        self.assertEqual(newcomer.answer().body, b"goodbye")
        server.awaitLog("those before are gone: 1 idle, 1 finished, 0 aborted")
        server.terminate()
        server.gone()
        self.assertEqual(server.log().count("Traceback"), 1)
        for peer in peers:
            peer.close()
