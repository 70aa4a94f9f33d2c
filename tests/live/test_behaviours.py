"""
One list of behaviours, and every kind of server.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.live.clients import Address, Peer
from tests.live.processes import SLACK, LiveTestCase, Server, freePort

#: The idle grace of all these servers, and a grace period that a test can wait for.
IDLE = 0.2
SHORT = 0.8

#: More than a small window and the server's kernel hold.
MUCH = b"0123456789abcdef" * 2**18

WEB = ("web", "--class", "tests.live.resources.Root")


class HTTPMixin:
    """
    What a client of a web server does.
    """

    #: What the report calls a request that never ends.
    stuckName = "GET /later?seconds=60"

    def exchange(self, peer: Peer) -> None:
        """
        Ask for something, and get it.
        """
        self.assertEqual(peer.get("/sync").body, b"sync\n")

    def begin(self, address: Address) -> Peer:
        """
        Have something in flight that ends by itself.
        """
        peer = address.connect()
        peer.ask("/later?stopped=0.8")
        return peer

    def complete(self, peer: Peer) -> None:
        """
        Get all of it, and the hint, and then an orderly end.
        """
        answer = peer.answer()
        self.assertEqual((answer.body, answer.closing), (b"later\n", True))
        self.assertEqual(peer.rest(), b"")

    def stick(self, address: Address) -> Peer:
        """
        Have something in flight that never ends.
        """
        peer = address.connect()
        peer.ask("/later?seconds=60")
        return peer

    def assertCut(self, peer: Peer) -> None:
        """
        That one was told why.
        """
        self.assertEqual(peer.answer().status, 503)

    def askQueued(self, peer: Peer) -> None:
        """
        Ask before anybody has accepted us.
        """
        peer.ask("/later")

    def getQueued(self, peer: Peer) -> None:
        """
        Get it all the same.
        """
        self.assertEqual(peer.answer().body, b"later\n")


class RawMixin:
    """
    What a client of an echo server does.
    """

    stuckName = "busy Echo"

    def exchange(self, peer: Peer) -> None:
        peer.send(b"hello")
        self.assertEqual(peer.exactly(5), b"hello")

    def begin(self, address: Address) -> Peer:
        peer = address.connect(window=2**15)
        peer.send(MUCH)
        return peer

    def complete(self, peer: Peer) -> None:
        self.assertEqual(peer.rest(), MUCH)

    stick = begin

    def assertCut(self, peer: Peer) -> None:
        self.assertTrue(peer.wasReset())

    def askQueued(self, peer: Peer) -> None:
        peer.send(b"hello")

    def getQueued(self, peer: Peer) -> None:
        self.assertEqual(peer.rest(), b"hello")


class OwnDoorMixin:
    """
    C{twistd terminable} with a factory or a resource.
    """

    content = ("--class", "tests.live.resources.Root")

    def serveWith(self, address: Address, grace: float, idle: float = IDLE) -> Server:
        """
        Start the server.
        """
        options = ("--grace", str(grace), "--idle-grace", str(min(idle, grace)))
        listen = self.description(address)
        return self.start("terminable", *options, *self.content, "--port", listen)

    def description(self, address: Address) -> str:
        """
        The endpoint.
        """
        return address.description

    def newAddress(self) -> Address:
        """
        An address of this kind.
        """
        return Address(port=freePort())


class BehavioursMixin:
    """
    What holds for every kind of server.

    @cvar queuedIdle: the idle grace in which thirty who were queued have to be served.
    """

    queuedIdle = 1.0

    def serving(self, grace: float = 10.0, idle: float = IDLE) -> tuple[Server, Address]:
        """
        A server that serves.
        """
        address = self.newAddress()
        return self.serveWith(address, grace, idle), address

    def reached(self, address: Address) -> Peer:
        """
        A connection that the server has served once.
        """
        peer = address.connect()
        self.exchange(peer)
        return peer

    def test_whatIsInFlightIsFinished(self) -> None:
        """
        G1, G4, G11: what is in flight arrives whole, and the process leaves right
        after; meanwhile new connections are refused, and another server already has
        the address.
        """
        server, address = self.serving(30.0)
        peer = self.begin(address)
        self.reached(address).close()
        server.terminate()
        server.awaitPortsClosed()
        self.assertTrue(address.refuses())
        began = time.monotonic()
        successor = self.serveWith(address, 0.1)
        self.reached(address)
        took = time.monotonic() - began
        self.complete(peer)
        peer.close()
        self.assertLess(server.gone(), 1.5 + took + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())
        self.reached(address)
        successor.terminate()

    def test_idleConnectionsEndInOrder(self) -> None:
        """
        Connections with nothing in flight, and those that never spoke, are ended by
        the idle grace, not by force, and nobody waits for the deadline.
        """
        server, address = self.serving()
        silent, spoke = address.connect(), self.reached(address)
        server.terminate()
        self.assertEqual((spoke.rest(), silent.rest()), (b"", b""))
        spoke.close()
        silent.close()
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        self.assertIn("2 idle, 0 finished, 0 aborted", server.report())

    def test_whoIsQueuedIsServed(self) -> None:
        """
        G2: thirty who were waiting in the accept queue when the stop began are served.
        """
        server, address = self.serving(idle=self.queuedIdle)
        server.send(signal.SIGSTOP)
        queued = [address.reach() for _ in range(30)]
        if not address.tls:
            for peer in queued:
                self.askQueued(peer)
        server.send(signal.SIGTERM)
        server.send(signal.SIGCONT)
        if address.tls:
            # One hand after the other has to be shaken within the idle grace.
            for peer in queued:
                peer.secure()
                self.askQueued(peer)
        for peer in queued:
            self.getQueued(peer)
            peer.close()
        server.gone()
        self.assertIn("0 aborted", server.report())

    def test_stragglersAreNamed(self) -> None:
        """
        G6, G8: at the deadline who is still busy is told, cut, counted and named,
        and the process is gone.
        """
        server, address = self.serving(SHORT)
        stuck, idle = self.stick(address), self.reached(address)
        server.terminate()
        self.assertEqual(idle.rest(), b"")
        idle.close()
        self.assertBetween(SHORT, server.gone(), SHORT + 0.2, server.log())
        self.assertCut(stuck)
        report = server.report()
        self.assertTrue(report.startswith("1 idle, 0 finished, 1 aborted"), report)
        self.assertIn(self.stuckName, report)


class RawTests(RawMixin, OwnDoorMixin, BehavioursMixin, LiveTestCase):
    """
    A raw echo server.
    """

    content = ("--factory", "tests.live.resources.echo")


class HTTPTests(HTTPMixin, OwnDoorMixin, BehavioursMixin, LiveTestCase):
    """
    A web server.
    """


class HTTPSTests(HTTPMixin, OwnDoorMixin, BehavioursMixin, LiveTestCase):
    """
    A web server over TLS.
    """

    queuedIdle = 6.0

    def newAddress(self) -> Address:
        self.pem = self.certificate()
        return Address(port=freePort(), tls=True)

    def description(self, address: Address) -> str:
        return f"{address.description}:certKey={self.pem}:privateKey={self.pem}"


class RawTLSTests(RawMixin, HTTPSTests):
    """
    A raw echo server over TLS.  It waits for the end of the idle grace.
    """

    queuedIdle = 3.0

    content = ("--factory", "tests.live.resources.echo")


class UNIXTests(HTTPMixin, OwnDoorMixin, BehavioursMixin, LiveTestCase):
    """
    A web server on a UNIX socket.
    """

    def newAddress(self) -> Address:
        return Address(path=str(Path(self.directory(), "web")))


class PrefixTests(HTTPMixin, OwnDoorMixin, BehavioursMixin, LiveTestCase):
    """
    C{twistd web}, with our prefix before its endpoint.
    """

    def serveWith(self, address: Address, grace: float, idle: float = IDLE) -> Server:
        options = f"grace={grace}:idleGrace={min(idle, grace)}"
        return self.start(*WEB, "--listen", f"terminable:{address.description}:{options}")
