"""
What the admin door watches: one server, and how it stands.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from terminable.admin.census import FRESH, Census
from terminable.admin.health import Health, healthOf
from terminable.admin.tally import Tally
from terminable.admin.words import Names, connectionWords, portWords, reportWords, stateOf
from terminable.admin.work import Work
from terminable.handover.following import takeoverOf
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase

#: Before anybody is served: no port is open yet, or a process before this one still serves.
STARTING = "starting"
SERVING = Phase.SERVING.value

_log = Logger()


@implementer(ITerminationObserver)
class Watched:
    """
    One server as the admin door sees it.

    @ivar reactor: the reactor of its process.
    @ivar terminator: what serves and ends it.
    @ivar health: what its application says of itself.
    @ivar leave: called when somebody at the door has asked for the end of the server: ends the
        process.
    @ivar work: looks at connections.
    @ivar census: what connections are doing.
    @ivar tally: what has become of connections.
    @ivar names: what connections are called.
    @ivar spools: each a L{terminable.spool.Spool} whose items are among the metrics.
    @ivar report: what the stop came to; C{None} before its end.
    @ivar upgrade: how the last upgrade that was asked for at the door stands: C{None},
        C{"under way"}, C{"done"}, or C{"failed: ..."}.
    """

    def __init__(
        self,
        reactor: Any,
        terminator: Any,
        *,
        health: Health | None = None,
        leave: Callable[[], object] = lambda: None,
        name: str | None = None,
        spools: Sequence[Any] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param terminator: a L{terminable.Terminator}.
        @param health: by default, the checks of this process (L{healthOf}).
        @param leave: what ends the process, such as C{reactor.stop}; by default, only the
            terminator ends, and the process is somebody else's.
        @param name: what the server is called; by default, as its machine.
        @param spools: what C{/metrics} tells of, beside connections.
        @param now: tells what time it is, in seconds since 1970.
        """
        self.reactor = reactor
        self.terminator = terminator
        self.health = healthOf(reactor) if health is None else health
        self.leave = leave
        self.work = Work(reactor)
        self.census = Census(reactor, terminator, self.work)
        self.tally = Tally(terminator)
        self.names = Names()
        self.spools = list(spools)
        self.report: Report | None = None
        self.upgrade: str | None = None
        self._name = socket.gethostname() if name is None else name
        self._now = now
        self._began = reactor.seconds()
        self._last = ""
        self._since = now()
        self._served = False
        self._found: tuple[Any, float] = (None, 0.0)
        self._listeners: list[Callable[[], object]] = []
        terminator.addObserver(self)

    # -- how it stands

    @property
    def phase(self) -> str:
        """
        Where the server stands: C{starting}, C{serving}, C{suspended}, C{quiescing},
        C{draining}, C{aborting} or C{terminated}.
        """
        phase = self._phase()
        if phase == SERVING:
            self._served = True
        if phase != self._last:
            self._last, self._since = phase, self._now()
        return phase

    def _phase(self) -> str:
        phase = self.terminator.phase
        takeover = takeoverOf(self.reactor)
        if phase in (Phase.SERVING, Phase.RELEASED):
            if takeover.serving != os.getpid():
                # A successor has the ports; this process is about to drain.
                return Phase.DRAINING.value
            if takeover.waiting or not self.terminator.ports.open:
                return STARTING
        return str(phase.value)

    @property
    def served(self) -> bool:
        """
        Whether serving has ever begun.
        """
        return self.phase == SERVING or self._served

    @property
    def stopping(self) -> bool:
        """
        Whether a stop is under way.
        """
        return bool(self.terminator.phase.stopping)

    @property
    def followed(self) -> Any:
        """
        What has the ports that a successor is given.
        """
        return self.terminator

    # -- who wants to know

    def addListener(self, changed: Callable[[], object]) -> None:
        """
        Call C{changed} from now on when something has changed: the phase, the ports, the
        report, an upgrade.
        """
        self._listeners.append(changed)

    def removeListener(self, changed: Callable[[], object]) -> None:
        """
        Call it no more.
        """
        self._listeners.remove(changed)

    def tell(self) -> None:
        """
        Something has changed.
        """
        # Since when it stands there is known from now on.
        _ = self.phase
        for changed in list(self._listeners):
            try:
                changed()
            except Exception:
                _log.failure("{changed} failed", changed=changed)

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        if new.stopping and self.terminator.gate.ledger.opened:
            self._served = True
        elif new is Phase.SERVING:
            self.report = None
        self.tell()

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """
        self.tell()

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.
        """
        self.report = report
        self.tell()

    def upgraded(self, how: str) -> None:
        """
        An upgrade stands so now.
        """
        self.upgrade = how
        self.tell()

    def stop(self) -> None:
        """
        Watch no more.
        """
        self.terminator.removeObserver(self)
        self.census.stop()
        self.tally.stop()

    # -- in words

    def fresh(self) -> Deferred[dict[str, Any]]:
        """
        @return: fires with the status, by counts that are as new as may be.
        """
        # There is an account of a stop; else they have to be looked at.
        counted = succeed(None) if self.stopping else self.census.fresh()
        return counted.addCallback(lambda _: self.status())

    def status(self) -> dict[str, Any]:
        """
        @return: how the server stands, as C{/status} tells it.
        """
        terminator = self.terminator
        phase = self.phase
        busy, idle = self.counts()
        left = terminator.progress().left if self.stopping else None
        counts = terminator.throttle.counts
        return {
            "version": getattr(sys.modules["terminable"], "__version__", ""),
            "pid": os.getpid(),
            "name": self._name,
            "phase": phase,
            "since": round(self._since, 3),
            "uptime": round(self.reactor.seconds() - self._began, 3),
            "busy": busy,
            "idle": idle,
            "waiting": terminator.waiting,
            "counting": self.counting,
            "left": None if left is None else round(left, 3),
            "deadline": None if left is None else round(self._now() + left, 3),
            "oldest": self._oldest(),
            "generations": [_generationWords(each) for each in terminator.generations],
            "throttle": {
                "held": counts.held,
                "refused": counts.refused,
                "disconnected": counts.disconnected,
            },
            "ports": [portWords(each.port.getHost()) for each in terminator.ports.listeners],
            "idleGrace": terminator.schedule.idleGrace,
            "longestTurn": terminator.longestTurn,
            "upgrade": self.upgrade,
            "report": None if self.report is None else reportWords(self.report),
        }

    def counts(self) -> tuple[int, int]:
        """
        @return: how many connections are busy, and how many are not; those who wait to be
            admitted are neither.
        """
        progress = self.terminator.progress()
        live = progress.busy + progress.idle
        busy = progress.busy if self.stopping else min(self.census.busy, live)
        return busy, live - busy

    @property
    def counting(self) -> bool:
        """
        Whether a stop has just begun, and some who are busy are still counted as idle.
        """
        return self.stopping and bool(self.terminator.progress().counting)

    def _oldest(self) -> dict[str, Any] | None:
        if self.stopping:
            oldest = self._oldestOfStop()
        else:
            oldest = self.census.oldest
            if oldest is not None and not self._lives(oldest.transport):
                oldest = None
        return None if oldest is None else self.connectionWords(oldest)

    def _oldestOfStop(self) -> Any:
        """
        Of those that are busy that which was opened first.  There may be very many: who was
        just found is good for a moment.
        """
        now = self.reactor.seconds()
        known, at = self._found
        if known is not None and now - at < FRESH and self._lives(known.transport):
            return known
        found = None
        for gate in self.census.gates():
            live, waiting = gate.ledger.live, gate.waiting()
            busy = (key for key in gate.ledger.busyKeys() if key not in waiting)
            first = min(busy, key=live.__getitem__, default=None)
            if first is not None and (found is None or live[first] < found.openedAt):
                found = gate.drain.roll.connection(first)
        self._found = (found, now)
        return found

    def _lives(self, transport: Any) -> bool:
        return any(transport in gate.ledger for gate in self.census.gates())

    def connectionWords(self, connection: Any, state: str | None = None) -> dict[str, Any]:
        """
        @param state: what it is doing, if that is known.
        @return: what is told about a connection.
        """
        name = self.names.of(connection.transport)
        now = self.reactor.seconds()
        return connectionWords(name, connection, now, state or stateOf(connection))


def _generationWords(generation: Any) -> dict[str, Any]:
    progress = generation.progress()
    return {"phase": progress.phase.value, "busy": progress.busy, "idle": progress.idle}


def watchedOf(reactor: Any, what: Any) -> Watched:
    """
    @param what: a L{Watched}, or a L{terminable.Terminator}.
    @return: what is watched.
    """
    return what if isinstance(what, Watched) else Watched(reactor, what)
