"""
Ports that are released and listened on again in the same process: guarantees G1 and G11.
"""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from terminable.testing import assertNothingDropped
from tests.live.clients import Address
from tests.live.processes import ROOT, SLACK, LiveTestCase, Server, freePort, heard

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
idle = float(os.environ["IDLE"])
terminator = Terminator(reactor, gracePeriod=60, idleGrace=idle, generations=200)
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


class ReleasedTestCase(LiveTestCase):
    """
    A server that can be told.
    """

    def released(self, *addresses: Address, idle: float) -> Server:
        """
        Start it.

        @param idle: its idle grace; no client that is busy should pause for so long.
        """
        path = self.directory() / "released.tac"
        path.write_text(PROGRAM)
        listen = "|".join(address.description for address in addresses)
        return self.start("--python", str(path), env={"LISTEN": listen, "IDLE": str(idle)})

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
        server = self.released(address, idle=0.02)
        slow: list[Any] = []
        longest = 0.0
        most = 0
        for _ in range(100):
            peer = address.connect()
            self.addCleanup(peer.close)
            peer.ask("/upload", "POST", "Content-Length: 1\r\n")
            slow.append(peer)
            # Its answer says that the new ports are open.
            most = max(most, int(self.get(address, "/release")))
            began = time.monotonic()
            self.assertEqual(self.get(address, "/sync"), b"sync\n")
            longest = max(longest, time.monotonic() - began)
        for peer in slow:
            peer.send(b"x")
            answer = peer.answer()
            self.assertEqual((answer.status, answer.body), (200, b"1\n"))
            self.assertTrue(answer.closing)
        self.assertLess(longest, 1.0 + SLACK)
        self.assertGreaterEqual(most, 100)
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
        server = self.released(*addresses, idle=1.0)
        count = 10 // len(addresses)
        kinds = {"keepAlive": count, "pausing": 0, "fresh": count}
        asked = {"targets": ("/later?seconds=0.005",), "expect": "later\n"}

        def restart() -> None:
            for _ in range(10):
                time.sleep(0.1)
                self.get(addresses[0], "/restart")

        work: Callable[[], Any] = restart
        for each in addresses:
            where = each.path or (each.host, each.port)
            work = partial(assertNothingDropped, where, work, tls=each.tls, **kinds, **asked)
        self.assertGreater(work().total, 50)
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
        Who was about to be answered gets the old greeting, who comes after the signal the new
        one; what cannot be read changes nothing.
        """
        greeting = self.directory() / "greeting.txt"
        greeting.write_text("hello")
        address = Address(port=freePort())
        env = {"GREETING": str(greeting), "GREETING_LISTEN": address.description}
        server = self.start("--python", str(EXAMPLES / "again.tac"), env=env)
        peers = [address.connect(), address.connect()]
        peers[0].send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        self.assertTrue(heard(address.port))
        greeting.write_text("goodbye")
        server.send(signal.SIGHUP)
        server.awaitLog("renewed")
        greeting.unlink()
        server.send(signal.SIGHUP)
        server.awaitLog("not renewed")
        newcomer = address.connect()
        peers.append(newcomer)
        newcomer.ask("/")
        peers[0].send(b"\r\n")
        self.assertEqual(peers[0].answer().body, b"hello")
        self.assertEqual(newcomer.answer().body, b"goodbye")
        server.awaitLog("those before are gone: 1 idle, 1 finished, 0 aborted")
        server.terminate()
        server.gone()
        self.assertEqual(server.log().count("Traceback"), 1)
        for peer in peers:
            peer.close()
