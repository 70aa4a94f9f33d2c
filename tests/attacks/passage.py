"""
Two servers in one process and a channel between them that may fail at any moment.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
from collections import Counter
from typing import Any

from twisted.internet import unix
from twisted.internet.defer import CancelledError
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable.handover.movable import CannotMove
from terminable.handover.moving import moveAll
from terminable.handover.passing import Sender, passConnection
from terminable.handover.taking import Taking
from tests.attacks.faulty import FaultySocket, Injected
from tests.attacks.passengers import Client
from tests.attacks.sides import Process, hasMoved
from tests.attacks.stage import LogWatch
from tests.doubles import Boom

#: How many connect at most.
MOST = 12

#: How long the other process may take to confirm, in seconds.
PATIENCE = 1.0


class Passage:
    """
    The scene.

    @ivar seen: what has happened, and how often.
    """

    def __init__(self, seen: Counter[str], web: bool, atOnce: int) -> None:
        self.seen = seen
        self.clients: list[Client] = []
        self._web = web
        self._atOnce = atOnce
        self._watch = LogWatch(_isExpected)
        self._confirmed = 0
        self._killed: list[Any] = []
        self._results: list[tuple[str, Any, list[Any]]] = []
        self._before = _sockets()
        self.here, self.there = Process("here", web), Process("there", web)
        self.connect()

    # -- the channel

    def connect(self) -> None:
        """
        There is a new channel.
        """
        taking = Taking(self.there.reactor, self.there.portFor, self.there.count, PATIENCE)
        self.near, self.far = amp.AMP(), amp.AMP(locator=taking)
        self.there.channels.append((taking, self.far))
        reactors = (self.here.reactor, self.there.reactor)
        self.ends: list[FaultySocket] = []
        for sock, end, reactor in zip(
            socket.socketpair(), (self.near, self.far), reactors, strict=True
        ):
            self.ends.append(FaultySocket.of(sock, {}))
            server: Any = unix.Server(self.ends[-1], end, None, None, 0, reactor)  # type: ignore[arg-type]
            server.repstr = "<the channel>"
            end.makeConnection(server)
        taking.serve(self.far)
        self.sender = Sender(self.here.reactor, self.near, self._atOnce, PATIENCE)

    def reconnect(self) -> None:
        """
        If the channel is lost, the other process notices that, and there is a new one.
        """
        if self.sender.lost:
            self.ends[1].faults.clear()
            self.stall(False)
            self.turn(5, "there")
            self.connect()

    def breakChannel(self, near: bool, how: str) -> None:
        """
        One of its ends is lost.
        """
        transport: Any = (self.near if near else self.far).transport
        if how == "close":
            self._result("close", self.sender.close())
        elif transport is not None and how == "fail":
            transport.connectionLost(Failure(Injected(104, "reset")))
        elif transport is not None:
            getattr(transport, how)()

    def fault(self, near: bool, what: str, fault: Any) -> None:
        """
        One of its sockets fails.
        """
        self.ends[0 if near else 1].faults[what] = fault

    def stall(self, stalled: bool) -> None:
        """
        The other process does not read, or goes on.
        """
        transport: Any = self.far.transport
        if transport is not None:
            (transport.stopReading if stalled else transport.startReading)()

    def kill(self) -> None:
        """
        The other process is killed, and another one started.
        """
        self.there.kill()
        # Its last words are heard, and that it is gone.
        for end in self.ends:
            end.faults.clear()
        self.turn(5, "here")
        self._killed += [it for it in self.here.transports if hasMoved(it)]
        self._confirmed += self.there.confirmed
        self.there = Process("there", self._web)
        self.connect()

    # -- those who connect

    def arrive(self) -> None:
        """
        Somebody connects to the first.
        """
        if len(self.clients) < MOST:
            self.clients.append(Client(self.here.address, self._web))

    def client(self, index: int) -> Client | None:
        """
        One of them.
        """
        return self.clients[index % len(self.clients)] if self.clients else None

    def pass_(self, index: int) -> None:
        """
        Pass a connection of the first.
        """
        connections = self.here.terminator.connections()
        if connections:
            connection = connections[index % len(connections)]
            self._result("pass", passConnection(connection, self.sender))

    def passAll(self, until: float) -> None:
        """
        Pass all of them.
        """
        connections = self.here.terminator.connections()
        self._result("moveAll", moveAll(self.here.reactor, connections, self.sender, until))

    def _result(self, what: str, result: Any) -> None:
        fired: list[Any] = []
        result.addBoth(fired.append)
        self._results.append((what, result, fired))
        self.seen[what] += 1

    def cancel(self, index: int) -> None:
        """
        Somebody does not want to wait for what was asked for.
        """
        waiting = [it for what, it, fired in self._results if what == "pass" and not fired]
        if waiting:
            waiting[index % len(waiting)].cancel()

    # -- time

    def turn(self, count: int, who: str = "both", seconds: float = 0.0) -> None:
        """
        Some turns of one reactor, or of both.
        """
        for _ in range(count):
            for process, name in ((self.here, "here"), (self.there, "there")):
                if who in (name, "both"):
                    process.reactor.turn(seconds)
        for client in self.clients:
            client.hear()

    # -- is everything as it should be?

    def _excuse(self) -> None:
        """
        Who connected first was accepted first.
        """
        lost = [*self.here.lines.lost, *self._killed]
        for client, transport in zip(self.clients, self.here.transports, strict=False):
            client.excused = client.excused or transport in lost

    def faults(self, complete: bool = False) -> list[str]:
        """
        What is not as it should be.
        """
        self._excuse()
        faults = [*self._watch.findings]
        for client in self.clients:
            faults += client.faults(complete)
        confirmed = self._confirmed + self.there.confirmed
        if self.here.passed > confirmed:
            faults.append(f"{self.here.passed} given up, and only {confirmed} confirmed")
        for what, _, fired in self._results:
            faults += [f"{what}: {it}" for it in fired if not _isAnswer(it)]
        return faults

    def end(self) -> list[str]:
        """
        Let everybody go on, and then end everything.

        @return: what was not as it should be.
        """
        try:
            return self._end()
        finally:
            self._watch.stop()
            for client in self.clients:
                client.leave()
            for process in (self.here, self.there):
                for descriptor in {*process.reactor.readers, *process.reactor.writers}:
                    descriptor.connectionLost(Failure(Boom()))

    def _end(self) -> list[str]:
        for end in self.ends:
            end.faults.clear()
        self.stall(False)
        for process in (self.here, self.there):
            process.behave()
        self.turn(60, "both", PATIENCE / 10)
        for process in (self.here, self.there):
            process.behave()
        for _ in range(2):
            for client in self.clients:
                client.ask("whole")
            self.turn(10)
        faults = self.faults(complete=True)
        here, there = (len(it.terminator.connections()) for it in (self.here, self.there))
        expected = sum(not it.gone and not it.over for it in self.clients)
        if here + there != expected:
            faults.append(f"{here} here and {there} there, and {expected} clients")
        for client in self.clients:
            client.leave()
        self._result("close", self.sender.close())
        self.turn(30, "both", PATIENCE / 10)
        faults += self.here.end() + self.there.end()
        faults += [f"{what} never fired" for what, _, fired in self._results if not fired]
        return faults + self._leaks()

    def _leaks(self) -> list[str]:
        if not _sockets() - self._before:
            return []
        gc.collect()
        return [f"still open: {it}" for it in _sockets() - self._before]


def _sockets() -> set[str]:
    """
    The sockets of which this process has descriptors.
    """
    found = set()
    for number in os.listdir("/proc/self/fd"):
        # One of them is that of the directory.
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {it for it in found if it.startswith("socket:")}


def _isAnswer(result: Any) -> bool:
    return not isinstance(result, Failure) or bool(result.check(CannotMove, CancelledError))


def _isExpected(event: dict[str, Any]) -> bool:
    failure = event.get("log_failure") or event.get("failure")
    return failure is not None and bool(failure.check(Injected))
