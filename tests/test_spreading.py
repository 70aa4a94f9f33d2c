"""
Connections are passed to workers before a byte is read of them.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from terminable.handover.passing import Sender
from terminable.handover.spreading import (
    Spreader,
    Worker,
    leastConnections,
    roundRobin,
    sticky,
)
from terminable.handover.taking import Taking, silentPort
from terminable.terminator import Terminator
from tests.doubles import Boom, listeningPort
from tests.passages import (
    CountingFactory,
    PassageTestCase,
    SocketReactor,
    channelPair,
)


class Fake:
    """
    Stands for what passes connections.
    """

    def __init__(self, count: int = 0, inFlight: int = 0, waiting: int = 0) -> None:
        self.count, self.inFlight, self.waiting = count, inFlight, waiting


def worker(name: str, *counts: int) -> Worker:
    """
    A worker that has so many connections.
    """
    sender: Any = Fake(*counts)
    return Worker(name, sender)


class ChoiceTests(SynchronousTestCase):
    """
    Who gets the next one.
    """

    def setUp(self) -> None:
        self.workers = [worker("a", 3), worker("b", 1, 1), worker("c", 0, 0, 1)]

    def names(self, choose: Any, address: Any = None, workers: Any = None) -> str:
        """
        In which order they are asked.
        """
        return "".join(each.name for each in choose(workers or self.workers, address))

    def test_roundRobin(self) -> None:
        """
        Each in its turn.
        """
        choose = roundRobin()
        self.assertEqual([self.names(choose) for _ in range(4)], ["abc", "bca", "cab", "abc"])

    def test_leastConnections(self) -> None:
        """
        Whoever has the fewest, those on their way included.
        """
        self.assertEqual(self.names(leastConnections()), "cba")

    def test_sticky(self) -> None:
        """
        The same peer has the same worker, whatever its port; all of them have some.
        """
        choose = sticky()
        seen = {}
        for number in range(100):
            address = IPv4Address("TCP", f"192.0.2.{number}", 1)
            seen[number] = self.names(choose, address)
            again = IPv4Address("TCP", f"192.0.2.{number}", 2)
            self.assertEqual(self.names(choose, again), seen[number])
        firsts = [order[0] for order in seen.values()]
        for name in "abc":
            self.assertGreater(firsts.count(name), 15)
        # Without one of them, the others keep theirs.
        left = [each for each in self.workers if each.name != "b"]
        for number, order in seen.items():
            address = IPv4Address("TCP", f"192.0.2.{number}", 3)
            self.assertEqual(self.names(choose, address, left), order.replace("b", ""))

    def test_by(self) -> None:
        """
        By whatever one likes; a UNIX socket has an address too.
        """
        choose = sticky(lambda address: 7)
        orders = {self.names(choose, IPv4Address("TCP", "192.0.2.1", n)) for n in range(20)}
        self.assertEqual(len(orders), 1)
        self.assertEqual(len(self.names(sticky(), UNIXAddress(None))), 3)


class SpreadTestCase(SynchronousTestCase):
    """
    A port, and workers by real channels.
    """

    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.clients: list[socket.socket] = []
        self.workers: dict[str, tuple[CountingFactory, amp.AMP, amp.AMP]] = {}
        self.addCleanup(self.endAll)

    begin = settle = None  # type: ignore[assignment]
    until = PassageTestCase.until
    settle = PassageTestCase.settle  # type: ignore[assignment]
    turns = PassageTestCase.turns
    heard = PassageTestCase.heard
    ask = PassageTestCase.ask

    def spread(self, **settings: Any) -> None:
        """
        Listen.
        """
        self.spreader = Spreader(self.reactor, **settings)
        self.port = listeningPort(self.reactor, self.spreader)
        self.terminator = Terminator(self.reactor)
        self.terminator.attach(self.port)

    def endAll(self) -> None:
        """
        Leave no descriptor open.
        """
        made = [each for factory, *_ in self.workers.values() for each in factory.made]
        known = {each.transport for each in made if each.transport is not None}
        known.update(each.transport for each in self.terminator.connections())
        for transport in known | set(self.reactor.readers):
            if transport.connected:
                transport.connectionLost(Failure(ConnectionError()))
        self.flushLoggedErrors(ConnectionError)

    def work(self, name: str) -> Worker:
        """
        One more worker.
        """
        factory = CountingFactory(name)
        port = silentPort(self.reactor, factory)
        count = lambda: len([each for each in factory.made if not each.lost])  # noqa: E731
        taking = Taking(self.reactor, lambda host: port, count)
        near, far = amp.AMP(), amp.AMP(locator=taking)
        channelPair(self.reactor, near, far)
        taking.serve(far)
        self.workers[name] = factory, near, far
        return self.spreader.add(name, Sender(self.reactor, near))

    def connect(self) -> socket.socket:
        """
        One more client.
        """
        client = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(client.close)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        self.turns()
        return client

    def who(self, client: socket.socket) -> str:
        """
        Who answers a client, from the beginning.
        """
        answer = self.ask(client, b"x\n")
        self.assertEqual(answer[:6], b"hello\n")
        return answer[6:].decode().partition("1 ")[0]

    def lose(self, name: str) -> None:
        """
        A worker has died.
        """
        self.workers[name][2].transport.connectionLost(Failure(ConnectionError()))  # type: ignore[union-attr]


class SpreadTests(SpreadTestCase):
    """
    All that can happen.
    """

    def test_spread(self) -> None:
        """
        They are spread, and served from the greeting on.
        """
        self.spread()
        for name in "ab":
            self.work(name)
        clients = [self.connect() for _ in range(4)]
        self.assertEqual([self.who(client) for client in clients], ["a", "b", "a", "b"])
        self.assertEqual(self.terminator.connections(), [])

    def test_first(self) -> None:
        """
        What a client says first is not read here.
        """
        self.spread()
        self.work("a")
        client = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(client.close)
        client.setblocking(False)
        client.sendall(b"first\n")
        self.until(lambda: self.workers["a"][0].made and self.workers["a"][0].made[0].count)
        self.assertEqual(self.heard(client), b"hello\na1 first\n")

    def test_leastConnections(self) -> None:
        """
        As many to each, also after some have gone.
        """
        self.spread(choose=leastConnections())
        for name in "ab":
            self.work(name)
        clients = [self.connect() for _ in range(6)]
        made = [len(self.workers[name][0].made) for name in "ab"]
        self.assertEqual(made, [3, 3])
        self.assertEqual(len(clients), 6)

    def test_worksDies(self) -> None:
        """
        What a worker has not confirmed when it dies goes to the next one.
        """
        self.spread()
        for name in "ab":
            self.work(name)
        self.workers["a"][2].transport.stopReading()  # type: ignore[union-attr]
        client = self.connect()
        self.assertEqual(self.heard(client), b"")
        self.lose("a")
        self.turns()
        self.assertEqual(self.who(client), "b")
        self.assertEqual([each.name for each in self.spreader.workers], ["b"])

    def test_refused(self) -> None:
        """
        What a worker does not take goes to the next one.
        """
        self.spread()
        for name in "ab":
            self.work(name)
        self.workers["a"][0].prepare = lambda made: True
        self.assertEqual(self.who(self.connect()), "b")

    def test_refusedByAll(self) -> None:
        """
        What no worker takes waits for another one.
        """
        self.spread()
        for name in "ab":
            self.work(name)
            self.workers[name][0].prepare = lambda made: True
        client = self.connect()
        self.assertEqual(self.heard(client), b"")
        self.assertEqual([len(self.workers[name][0].made) for name in "ab"], [1, 1])
        self.work("c")
        self.assertEqual(self.who(client), "c")

    def test_nobody(self) -> None:
        """
        Without a worker they wait for one, in order.
        """
        self.spread()
        clients = [self.connect() for _ in range(3)]
        self.assertEqual(self.heard(clients[0]), b"")
        self.work("a")
        self.turns()
        self.assertEqual([self.who(client) for client in clients], ["a"] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_tooMany(self) -> None:
        """
        No more than so many.
        """
        self.spread(most=1)
        first, second = self.connect(), self.connect()
        self.assertEqual(self.heard(second), b"FIN")
        self.assertEqual(self.heard(first), b"")

    def test_patience(self) -> None:
        """
        And no longer than so many seconds.
        """
        self.spread(patience=5.0)
        client = self.connect()
        self.turns(49, 0.1)
        self.assertEqual(self.heard(client), b"")
        self.turns(5, 0.1)
        self.assertEqual(self.heard(client), b"FIN")

    def test_lostWhileHeld(self) -> None:
        """
        If one ends while it waits, it is forgotten.
        """
        self.spread()
        self.connect()
        [connection] = self.terminator.connections()
        connection.transport.abortConnection()
        self.turns()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.work("a")
        self.turns()
        self.assertEqual(self.workers["a"][0].made, [])

    def test_lostOnItsWay(self) -> None:
        """
        If one is to end while it is on its way, and does not arrive, it ends.
        """
        self.spread()
        self.work("a")
        self.workers["a"][2].transport.stopReading()  # type: ignore[union-attr]
        client = self.connect()
        [connection] = self.terminator.connections()
        connection.transport.connectionLost(Failure(ConnectionError()))
        self.lose("a")
        self.assertEqual(self.heard(client), b"FIN")
        self.assertEqual(self.terminator.connections(), [])

    def test_local(self) -> None:
        """
        With a factory of its own it serves when no worker does.
        """
        local = CountingFactory("here")
        self.spread(local=local)
        self.assertEqual(local.numPorts, 1)
        self.assertEqual(self.who(self.connect()), "here")
        self.work("a")
        self.assertEqual(self.who(self.connect()), "a")
        self.lose("a")
        self.turns()
        self.assertEqual(self.who(self.connect()), "here")
        for made in local.made:
            made.transport.loseConnection()
        self.spreader.doStop()
        self.assertEqual(local.numPorts, 0)
        self.spreader.doStart()

    def test_localRefuses(self) -> None:
        """
        If that does not want it, it is lost.
        """
        local = CountingFactory()
        local.prepare = lambda made: True
        self.spread(local=local)
        self.assertEqual(self.heard(self.connect()), b"FIN")

    def test_badChoice(self) -> None:
        """
        If the choice fails, any worker will do.
        """

        def fail(workers: Any, address: Any) -> Any:
            raise Boom()

        self.spread(choose=fail)
        self.work("a")
        self.assertEqual(self.who(self.connect()), "a")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_removed(self) -> None:
        """
        A worker that was removed gets no more, and may be removed again.
        """
        self.spread()
        worker = self.work("a")
        self.work("b")
        self.spreader.remove(worker)
        self.spreader.remove(worker)
        self.assertEqual([self.who(self.connect()) for _ in range(2)], ["b", "b"])
