"""
A port whose connections are passed to workers before a byte is read of them.

Nothing has been said yet, so any protocol can be spread, TLS as well: its handshake is
between the client and the worker.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from terminable import events
from terminable.handover.parcels import Fresh
from terminable.handover.passing import Sender

_log = Logger()

#: How many connections may wait for a worker, and for how many seconds.
MOST = 1000
PATIENCE = 30.0


@dataclass(eq=False)
class Worker:
    """
    A process that takes connections.

    @ivar name: by what it is known when it comes back.
    @ivar sender: passes connections to it.
    """

    name: str
    sender: Sender

    @property
    def load(self) -> int:
        """
        How many connections it has, as far as is known here: as it said with the last one
        that it took, and those on their way.
        """
        return self.sender.count + self.sender.inFlight + self.sender.waiting


#: Orders workers for a peer's address, the best one first.
Choose = Callable[[Sequence[Worker], Any], Sequence[Worker]]


def roundRobin() -> Choose:
    """
    Each in its turn.
    """
    turn = 0

    def choose(workers: Sequence[Worker], address: Any) -> Sequence[Worker]:
        nonlocal turn
        turn += 1
        at = (turn - 1) % len(workers)
        return [*workers[at:], *workers[:at]]

    return choose


def leastConnections() -> Choose:
    """
    The one that has the fewest connections.
    """
    return lambda workers, address: sorted(workers, key=lambda worker: worker.load)


def host(address: Any) -> object:
    """
    A peer without its port.
    """
    return getattr(address, "host", address)


def sticky(by: Callable[[Any], object] = host) -> Choose:
    """
    The same worker for the same peer.  If a worker is lost, only its own peers go elsewhere
    (rendezvous hashing), and come back to it when one of its name is there again.

    @param by: what the peer is known by, from its address; by default its host.
    """

    def choose(workers: Sequence[Worker], address: Any) -> Sequence[Worker]:
        key = repr(by(address)).encode("utf-8", "backslashreplace")

        def weight(worker: Worker) -> bytes:
            name = worker.name.encode("utf-8", "backslashreplace")
            # Of a fixed length, so that no name and key run into each other.
            return hashlib.blake2b(hashlib.blake2b(name).digest() + key).digest()

        return sorted(workers, key=weight, reverse=True)

    return choose


class _Spread(Protocol):
    """
    A connection that was accepted and not read.
    """

    transport: Any

    def __init__(self, spreader: Spreader, address: Any) -> None:
        self.address = address
        self.tried: set[Worker] = set()
        self.timer: Any = None
        self._spreader = spreader

    def makeConnection(self, transport: Any) -> None:
        """
        Pass it on; reading has not begun, and will not.
        """
        self.transport = transport
        self.connected = 1
        transport.pauseProducing()
        self._spreader.spread(self)

    def connectionLost(self, reason: Any = None) -> None:
        """
        It has moved, or is over.
        """
        self.connected = 0
        self._spreader.forget(self)


class Spreader(Factory):
    """
    A factory for a plain TCP or UNIX port; whatever is to be spoken, TLS too, is the workers'.

    @ivar workers: those that are there.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        choose: Choose | None = None,
        local: Any = None,
        most: int = MOST,
        patience: float = PATIENCE,
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param choose: orders the workers for a peer: L{roundRobin} by default,
            L{leastConnections}, L{sticky}, or a function of yours.
        @param local: a factory that serves here whenever no worker takes a connection.
        @param most: without it, how many connections may wait for a worker; more are lost.
        @param patience: and for how many seconds.
        """
        self.workers: list[Worker] = []
        self._reactor = reactor
        self._choose = choose or roundRobin()
        self._local = local
        self._most = most
        self._patience = patience
        self._held: deque[_Spread] = deque()

    def startFactory(self) -> None:
        """
        A port begins to listen.
        """
        if self._local is not None:
            self._local.doStart()

    def stopFactory(self) -> None:
        """
        The last one has stopped.
        """
        if self._local is not None:
            self._local.doStop()

    def buildProtocol(self, addr: Any) -> _Spread:
        """
        One more connection.
        """
        return _Spread(self, addr)

    def add(self, name: str, sender: Sender) -> Worker:
        """
        There is one more worker, until its channel is lost.

        @param name: by what it is known when it comes back.
        @param sender: passes connections to it.
        """
        worker = Worker(name, sender)
        self.workers.append(worker)
        held, self._held = self._held, deque()
        for each in held:
            self._stopTimer(each)
            self.spread(each)
        # Whoever is told at once is told that it is lost.
        sender.whenLost().addCallback(lambda _: self.remove(worker))
        return worker

    def remove(self, worker: Worker) -> None:
        """
        Pass nothing more to a worker; what is on its way arrives.
        """
        if worker in self.workers:
            self.workers.remove(worker)

    def spread(self, connection: _Spread) -> None:
        """
        Pass a connection to the best worker that has not failed to take it.
        """
        workers = [worker for worker in self.workers if not worker.sender.lost]
        for worker in self._order(workers, connection.address):
            if worker not in connection.tried:
                connection.tried.add(worker)
                result = worker.sender.passConnection(connection.transport, lambda _: Fresh())
                result.addErrback(lambda _: self._stayed(connection))
                return
        self._keep(connection)

    def _order(self, workers: Sequence[Worker], address: Any) -> Sequence[Worker]:
        if not workers:
            return ()
        try:
            return list(self._choose(workers, address))
        except Exception:
            _log.failure("no choice for {address}", address=address)
            return workers

    def _stayed(self, connection: _Spread) -> None:
        if connection.connected:
            # What has failed has perhaps let it read.
            connection.transport.pauseProducing()
            self.spread(connection)

    def _keep(self, connection: _Spread) -> None:
        """
        Nobody takes it.
        """
        if self._local is not None:
            self._serve(connection)
        elif len(self._held) >= self._most:
            _log.warn(
                "no worker takes {address}, and many wait",
                event=events.PASSING_WAITING,
                address=connection.address,
            )
            connection.transport.loseConnection()
        else:
            connection.tried.clear()
            self._held.append(connection)
            connection.timer = self._reactor.callLater(self._patience, self._giveUp, connection)

    def _serve(self, connection: _Spread) -> None:
        transport: Any = connection.transport
        protocol = self._local.buildProtocol(connection.address)
        if protocol is None:
            transport.loseConnection()
            return
        transport.protocol = protocol
        transport.resumeProducing()
        protocol.makeConnection(transport)

    def _giveUp(self, connection: _Spread) -> None:
        connection.timer = None
        _log.warn(
            "no worker for {address}", event=events.PASSING_NOBODY, address=connection.address
        )
        self._held.remove(connection)
        connection.transport.loseConnection()

    def forget(self, connection: _Spread) -> None:
        """
        A connection has moved, or is over.
        """
        self._stopTimer(connection)
        if connection in self._held:
            self._held.remove(connection)

    def _stopTimer(self, connection: _Spread) -> None:
        timer, connection.timer = connection.timer, None
        if timer is not None and timer.active():
            timer.cancel()
