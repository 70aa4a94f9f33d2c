"""
HAProxy's agent check: one line that says whether this server wants new connections, and
how many.

The words are those of HAProxy's C{agent-check} (HAProxy Configuration Manual, section 5.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.admin.beside import Beside, BesideService
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase

#: How many may ask at the same time; one more is not answered.
MOST = 100

#: Seconds that those who have just asked may take for the end of the answer, when this ends.
PATIENCE = 0.25

#: Nobody can connect, or should: HAProxy gives such a server nothing at all.  That is no failure;
#: it neither looks for the server meanwhile nor says that it was lost.
_AWAY = "maint"

_log = Logger()


class _Answer(Protocol):
    """
    Answers one who asks.
    """

    transport: Any
    factory: AgentCheck

    def connectionMade(self) -> None:
        """
        Say it; what he may have said first does not matter.
        """
        self.transport.write(self.factory.line())
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        He has gone.
        """
        self.factory.asking -= 1


class AgentCheck(Factory):
    """
    Tells HAProxy how a server stands: each connection is answered with one line, such as
    C{up ready 75%}, and lost.

    A server that serves is C{up ready}, which takes back all of the following.  One that is
    stopping and still accepts says C{drain}: HAProxy gives it nothing new, but for those who are
    bound to it by a cookie or a table.  When half of the quiesce time is over it says C{maint},
    so that they are taken elsewhere before the ports are gone; and so does one that is suspended,
    over, or listens nowhere yet.

    It may be served on any endpoint; L{AgentDoor} knows when to begin and to end.

    @ivar terminator: what is asked about.
    @ivar asking: how many are connected now.
    """

    noisy = False

    def __init__(
        self, reactor: Any, terminator: Any, weight: Callable[[], float] | None = None
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param terminator: a L{terminable.Terminator}, or what has C{phase}, C{ports} and
            C{schedule} like one.
        @param weight: called for each answer; returns how much of its configured weight the
            server should have, in per cent.  By default, that is the part of the capacity
            that is free, where there is one (L{terminable.policy.admission.Admission}), else
            nothing is said of it.
        """
        self._reactor = reactor
        self.asking = 0
        self.terminator = terminator
        self._weight = weight or self._free
        # When it was asked first since the stop has begun.
        self._since: float | None = None

    def logPrefix(self) -> str:
        """
        What the log says of its ports.
        """
        return "Agent check"

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """
        Somebody asks.

        @return: C{None} if too many do.
        """
        if self.asking >= MOST:
            return None
        self.asking += 1
        protocol = _Answer()
        protocol.factory = self
        return protocol

    def line(self) -> bytes:
        """
        The answer as it is now, in ASCII, with its end of line.
        """
        phase = self.terminator.phase
        if not phase.stopping:
            self._since = None
        words = _AWAY
        if self.terminator.ports.open:
            if phase is Phase.SERVING:
                words = f"up ready{self._share()}"
            elif phase.stopping and self._mayStay():
                words = "drain"
        return f"{words}\n".encode("ascii")

    def _mayStay(self) -> bool:
        """
        Whether those who are bound to this server still have time.
        """
        now = self._reactor.seconds()
        if self._since is None:
            self._since = now
            return True
        return bool(now - self._since < self.terminator.schedule.quiesce / 2)

    def _share(self) -> str:
        """
        A weight of 0 would mean C{drain}, which a busy server does not want.
        """
        try:
            weight = self._weight()
            return "" if weight is None else f" {max(1, round(weight))}%"
        except Exception:
            _log.failure("{weight} failed", weight=self._weight)
            return ""

    def _free(self) -> float | None:
        gate = getattr(self.terminator, "gate", None)
        room = getattr(gate, "room", None)
        if room is None or room.settings.capacity is None:
            return None
        return 100.0 * (1.0 - float(room.inside) / float(room.settings.capacity))


@implementer(ITerminationObserver)
class AgentDoor(BesideService):
    """
    Serves an agent check for as long as this service runs; and when it is told to stop while
    the server stops, until that is over.

    No stop waits for it, and at an upgrade the successor is given its port.
    """

    def __init__(self, reactor: Any, endpoint: IStreamServerEndpoint, check: AgentCheck) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param endpoint: where to listen.  Whoever can connect there is answered.
        """
        self._reactor = reactor
        self._endpoint = endpoint
        self._check = check
        self._beside: Beside | None = None
        self._over: Deferred[None] | None = None

    def startService(self) -> None:
        """
        Listen.

        @raise Exception: whatever the endpoint fails with at once.
        """
        super().startService()
        beside = Beside(self._reactor, self._endpoint, self._check, private=False)
        listening = beside.listen()
        failures: list[Failure] = []
        listening.addErrback(failures.append if listening.called else self._cannotListen)
        if failures:
            failures[0].raiseException()
        self._beside = beside

    def _cannotListen(self, failure: Failure) -> None:
        _log.failure("the agent check cannot be served", failure)

    def stopService(self) -> Deferred[None]:
        """
        Answer until the server has come to its end, if it is stopping.

        @return: fires when nobody is connected any more, at most a quarter of a second later.
        """
        super().stopService()
        beside, self._beside = self._beside, None
        return succeed(None) if beside is None else Deferred.fromCoroutine(self._stop(beside))

    async def _stop(self, beside: Beside) -> None:
        terminator = self._check.terminator
        # Our neighbours are told in the same turn.
        await deferLater(self._reactor, 0.0)
        if terminator.phase.stopping:
            self._over = Deferred()
            terminator.addObserver(self)
            await self._over
            terminator.removeObserver(self)
        await beside.stop(PATIENCE)

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        over = self._over
        if new is Phase.TERMINATED and over is not None:
            self._over = None
            over.callback(None)

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.
        """
