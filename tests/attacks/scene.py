"""
A whole server under attack: a terminator, its ports, those who connect, and what has to be
true of it at any time.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections import Counter
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import TaskStopped
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from terminable.errors import NotServing
from terminable.generation import Generation
from terminable.handover.offered import offeredTo
from terminable.policy.ledger import Outcome, Report
from terminable.policy.phases import Phase
from terminable.policy.schedule import GIVE_UP, LAST_WORD
from terminable.terminator import Terminator
from tests.attacks.applications import Script, WildFactory
from tests.attacks.deeds import Deeds
from tests.attacks.guests import Guest, counting
from tests.attacks.stage import LogWatch, StageReactor, isStuck
from tests.attacks.watching import Observer, faultsOf
from tests.doubles import Boom, MemoryTransport, connectTo
from tests.wire import certificate

#: When somebody else may begin to listen with a wrapped factory.
OPEN = (Phase.SERVING, Phase.SUSPENDED, Phase.RELEASED, Phase.TERMINATED)

#: How long a stop may outlast its deadline, in seconds, and what the steps of time in which
#: that is seen add to it.
OUTLASTS = LAST_WORD + GIVE_UP + 0.2

_numbers = itertools.count()


class Scene(Deeds):
    """
    A terminator and everything around it.

    @ivar seen: what has happened, and how often.
    """

    def __init__(self, seen: Counter[str], **settings: Any) -> None:
        self.reactor = StageReactor()
        self.seen = seen
        self.watch = LogWatch(self._mayBeLogged)
        self.terminator = Terminator(self.reactor, **settings)
        self.observer = Observer(self)
        self.terminator.addObserver(self.observer)
        self.factories: list[WildFactory] = []
        self.ports: list[Any] = []
        self.guests: list[Guest] = []
        self.stuck: list[MemoryTransport] = []
        self.memory: list[MemoryTransport] = []
        self.counter: Counter[str] = Counter()
        self.ledgers: dict[int, Any] = {}
        self.generations: dict[int, Generation] = {}
        self.results: list[tuple[str, Deferred[Any], list[Any]]] = []
        self.deadline: float | None = None
        # How many protocols Twisted could not tell that their connection is over.
        self.untold = 0
        # Sockets that stay open for whoever listens next keep their paths.
        self.kept = False
        self._wrapped: list[Any] = []
        self._seeLedgers()

    def _mayBeLogged(self, event: dict[str, Any]) -> bool:
        failure = event.get("log_failure") or event.get("failure")
        if failure is not None and failure.check(OSError) and failure.value.errno == errno.EBADF:
            # Whoever ends everything while he is accepted by a port that nobody has shown us.
            foreign = any(port.kind == "foreign" for port in self.ports)
            return foreign and any(frame[0] == "_accept" for frame in failure.frames)
        if failure is not None and failure.check(TaskStopped):
            # A pull producer above TLS is stopped, and then paused for what is still to be
            # written: that is as far as Twisted comes with telling anybody.
            known = any(frame[0] == "_bufferedWrite" for frame in failure.frames)
            self.untold += known
            return known
        return isStuck(event) and any(not it.over for it in self.stuck)

    # -- ports

    def listen(self, kind: str) -> None:
        """
        Open a port.

        @param kind: C{"unix"}, C{"path"}, C{"tcp"} or C{"tls"} are ports of its own;
            C{"foreign"} is one on which somebody else listens with a wrapped factory.
        """
        if kind == "foreign" and self.terminator.phase not in OPEN:
            raise NotServing("whoever listens himself has to know that")
        factory = WildFactory(self.act)
        serves: Any = factory
        if kind == "tls":
            # Twisted's TLS does not bear it.
            factory.mayRefuse = False
            serves = TLSMemoryBIOFactory(
                certificate().options(), False, factory, clock=self.reactor
            )
        if kind == "foreign":
            serves = self.terminator.wrap(factory)
        port = self._port(kind, serves)
        try:
            port.startListening()
            address = port.socket.getsockname()
            if kind != "foreign":
                self.terminator.attach(port)
            elif self.terminator.phase not in OPEN[:3]:
                # An observer was told that somebody listens, and has ended it.
                raise NotServing("too late")
        except NotServing:
            if port.connected:
                port.connectionLost(Failure(Boom()))
            raise
        port.kind, port.path = kind, address
        self.factories.append(factory)
        self.ports.append(port)

    def _port(self, kind: str, factory: Any) -> Any:
        port: Any
        if kind in ("tcp", "tls"):
            port = tcp.Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        else:
            name = f"attack-{os.getpid()}-{next(_numbers)}"
            path: Any = name if kind == "path" else "\0" + name
            port = unix.Port(path, factory, reactor=self.reactor)  # type: ignore[arg-type]
        port.transport = counting(port.transport, self.counter)
        return port

    def wrapAlone(self) -> None:
        """
        Wrap a factory for which transports without a socket are made.
        """
        factory = WildFactory(self.act)
        self.factories.append(factory)
        self._wrapped.append((self.terminator.wrap(factory), factory))

    # -- those who connect

    def connect(self, index: int, script: Script) -> None:
        """
        Somebody connects to one of the ports, if it listens.
        """
        if not self.ports:
            return
        index %= len(self.ports)
        port = self.ports[index]
        if not port.connected:
            return
        self.factories_[port].scripts.append(script)
        address = port.socket.getsockname()
        sock = socket.socket(port.addressFamily)
        sock.setblocking(False)
        try:
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)
        except OSError:
            sock.close()
            return
        self.seen[f"connected to {port.kind}"] += 1
        self.guests.append(Guest(sock, port.kind == "tls"))

    @property
    def factories_(self) -> dict[Any, WildFactory]:
        """
        The innermost factory of each port.
        """
        found = {}
        for port in self.ports:
            factory = port.factory
            while hasattr(factory, "wrappedFactory"):
                factory = factory.wrappedFactory
            found[port] = factory
        return found

    def connectInMemory(self, script: Script, delay: float | None) -> None:
        """
        Somebody connects to a wrapped factory by a transport without a socket.
        """
        if not self._wrapped:
            self.wrapAlone()
        wrapped, factory = self._wrapped[-1]
        factory.scripts.append(script)
        number = len(factory.built)
        before = self.counter["opened"]
        self.counter["opened"] += self.terminator.gate.accepting
        try:
            transport = connectTo(wrapped, self.reactor, delay)
        except Boom:
            if len(factory.built) == number and self.terminator.room is None:
                self.counter["opened"] = before
                return
            transport = factory.built[-1].transport
        if transport.protocol is None:
            self.counter["opened"] = before
            return
        self.seen["connected in memory"] += 1
        self.memory.append(transport)
        if delay is None:
            self.stuck.append(transport)

    # -- what its owner does

    def _result(self, what: str, deferred: Deferred[Any]) -> None:
        fired: list[Any] = []
        deferred.addBoth(fired.append)
        self.results.append((what, deferred, fired))

    def terminate(self, gracePeriod: float | None = None, own: bool = False) -> None:
        """
        End it politely.
        """
        phase = self.terminator.phase
        now = self.reactor.seconds()
        if own:
            gracePeriod = self.terminator.schedule.gracePeriod
        if not (own and phase.stopping) and phase is not Phase.TERMINATED:
            self._deadlineIs(now, gracePeriod, fresh=not phase.stopping)
        args = () if own else (gracePeriod,)
        self._result("terminate", self.terminator.terminate(*args))

    def _deadlineIs(self, now: float, gracePeriod: float | None, fresh: bool) -> None:
        at = None if gracePeriod is None else now + gracePeriod
        if fresh or self.deadline is None or (at is not None and at < self.deadline):
            self.deadline = at

    def abort(self) -> None:
        """
        End it at once.
        """
        phase = self.terminator.phase
        if phase is not Phase.TERMINATED:
            self._deadlineIs(self.reactor.seconds(), 0.0, fresh=not phase.stopping)
        self._result("abort", self.terminator.abort())

    def suspend(self) -> None:
        """
        Let the ports go away for a while.
        """
        self._result("suspend", self.terminator.suspend())

    def release(self, keep: bool, gracePeriod: float | None = 1.0) -> None:
        """
        Let go of the ports.
        """
        self._result("release", self.terminator.release(gracePeriod, keep=keep))
        self.kept = self.kept or keep

    def turn(self, seconds: float) -> None:
        """
        The reactor turns, after it has stood still for some time: everything is as late.
        """
        if self.deadline is not None:
            self.deadline += seconds
        self.reactor.turn(seconds)

    def drain(self, **choice: Any) -> None:
        """
        Drain some.
        """
        self._result("drain", self.terminator.drain(**choice))

    # -- what has to be true

    def _seeLedgers(self) -> None:
        self.ledgers[id(self.terminator.gate.ledger)] = self.terminator.gate.ledger
        for generation in self.terminator.generations:
            self.ledgers[id(generation.gate.ledger)] = generation.gate.ledger

    def faults(self) -> list[str]:
        """
        What is not as it should be.
        """
        self._seeLedgers()
        faults = [*self.watch.findings, *self.observer.wrongs]
        for ledger in self.ledgers.values():
            ended = sum(ledger.total(outcome) for outcome in Outcome)
            if ledger.opened != len(ledger) + ended:
                faults.append(f"{ledger.opened} opened, {len(ledger)} live, {ended} ended")
        recorded = sum(ledger.opened for ledger in self.ledgers.values())
        if recorded != self.counter["opened"]:
            faults.append(f"{self.counter['opened']} have come, {recorded} are recorded")
        faults += self._lateness()
        for factory in self.factories:
            for protocol in factory.built:
                faults += [f"{protocol.script!r} {wrong}" for wrong in protocol.wrongs]
                if protocol.made > 1 or protocol.ended > 1:
                    made, ended = protocol.made, protocol.ended
                    faults.append(f"{protocol.script!r} made {made} times, ended {ended} times")
        for what, _, fired in self.results:
            faults += self._misfired(what, fired)
        return faults

    def _misfired(self, what: str, fired: list[Any]) -> list[str]:
        for result in fired:
            if isinstance(result, Failure):
                if not result.check(CancelledError):
                    return [f"{what}: {result.getTraceback()}"]
            elif isinstance(result, Report) and faultsOf(result):
                return faultsOf(result)
        return [f"{what} fired {len(fired)} times"] if len(fired) > 1 else []

    def _lateness(self) -> list[str]:
        phase, now = self.terminator.phase, self.reactor.seconds()
        if not phase.stopping:
            open_ = [w for w, _, fired in self.results if w in ("terminate", "abort") and not fired]
            return [f"{open_} not fired while {phase}"] if open_ else []
        if self.deadline is not None and now > self.deadline + OUTLASTS:
            return [f"still {phase.value}, {now - self.deadline:.3f} s after the deadline"]
        return []

    # -- the end

    def end(self) -> list[str]:
        """
        End everything, and let those who are connected do nothing to help.

        @return: what was not as it should be.
        """
        faults: list[str] = []
        try:
            for observer in (self.observer,):
                observer.deeds.clear()
            for factory in self.factories:
                # Those who wait too.
                for script in [*factory.scripts, *(it.script for it in factory.built)]:
                    script.deeds.clear()
            self.terminate(0.5)
            self.reactor.go(0.5 + OUTLASTS + 0.2)
            faults += self.faults()
            if self.terminator.phase is not Phase.TERMINATED:
                faults.append(f"not over: {self.terminator!r}")
            for guest in self.guests:
                guest.leave()
            for transport in self.stuck:
                transport.end()
            # Generations have deadlines of their own.
            self.reactor.go(2.5)
            faults += self.faults() + self._leftovers()
        finally:
            self.watch.stop()
            offeredTo(self.reactor).closeRest()
            for port in self.ports:
                if port.connected:
                    port.connectionLost(Failure(Boom()))
            for descriptor in {*self.reactor.readers, *self.reactor.writers}:
                with contextlib.suppress(Boom):
                    descriptor.connectionLost(Failure(Boom()))
            for guest in self.guests:
                guest.leave()
        return faults

    def _leftovers(self) -> list[str]:
        faults = [f"left over: {call}" for call in self.reactor.getDelayedCalls()]
        faults += [f"still read: {it}" for it in self.reactor.readers]
        faults += [f"still written: {it}" for it in self.reactor.writers]
        for port in self.ports:
            if port.kind == "path" and not self.kept and os.path.exists(port.path):
                faults.append(f"{port.path} is still there")
        untold = []
        for factory in self.factories:
            if factory.starts["start"] != factory.starts["stop"]:
                faults.append(f"started and stopped: {dict(factory.starts)}")
            for protocol in factory.built:
                if protocol.made and not protocol.replaced and not protocol.ended:
                    untold.append(f"{protocol.script!r} was not told of its end")
        faults += untold if len(untold) > self.untold else []
        for what, _, fired in self.results:
            if not fired:
                faults.append(f"{what} never fired")
        return faults
