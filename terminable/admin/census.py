"""
Counting what connections are doing, without standing in anybody's way.

While a server serves, nobody keeps count of who is busy: it is looked up when somebody asks, a
few connections in each turn of the reactor.  What was found is used again for as long as
it takes for the looking to be a fiftieth of the time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from terminable.admin.words import WAITING, stateOf
from terminable.admin.work import Work
from terminable.policy.ledger import State

#: For how many seconds a count is good at least, and for how many times what it has taken.
FRESH = 0.1
TIMES = 50.0

#: For how many seconds more it is kept: a connection that is over is not to be held for the sake
#: of a number.
KEPT = 1.0


class Census:
    """
    What the connections of a server were doing when we last looked.

    @ivar states: what each was doing, as C{terminable.admin.words.STATES} has it.
    @ivar counts: how many there were of each.
    @ivar oldest: of the busy ones that which was opened first; C{None} if there is none.
    """

    def __init__(self, reactor: Any, terminator: Any, work: Work) -> None:
        self._work = work
        self._reactor = reactor
        self._terminator = terminator
        self._waiting: list[Deferred[None]] = []
        self._counting = False
        self._until = -1.0
        self._forget: Any = None
        self.states: dict[Any, str] = {}
        self.counts: dict[str, int] = {}
        self.oldest: Any = None

    def gates(self) -> list[Any]:
        """
        Those who record connections: the oldest generation first.
        """
        return [each.gate for each in self._terminator.generations] + [self._terminator.gate]

    def live(self) -> list[tuple[Any, Any]]:
        """
        Each live connection as its gate and its transport, oldest first.
        """
        return [(gate, transport) for gate in self.gates() for transport in gate.ledger]

    def fresh(self) -> Deferred[None]:
        """
        Count, unless that was just done.

        @return: fires when the count is as new as may be.
        """
        if self._reactor.seconds() < self._until:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self._counting:
            self._count()
        return waiting

    def _count(self) -> None:
        self._counting = True
        states: dict[Any, str] = {}
        counts: dict[str, int] = {}
        busiest: list[Any] = []

        def look(item: tuple[Any, Any]) -> None:
            gate, transport = item
            if transport not in gate.ledger:
                return
            connection = gate.drain.roll.connection(transport)
            state = states[transport] = stateOf(connection)
            counts[state] = counts.get(state, 0) + 1
            if state == State.BUSY.value:
                first = busiest[0].openedAt if busiest else connection.openedAt + 1
                if connection.openedAt < first:
                    busiest[:] = [connection]

        def counted(took: float) -> None:
            self.states, self.counts = states, counts
            self.oldest = busiest[0] if busiest else None
            self._counted(took)

        self._work.each(self.live(), look).addCallback(counted)

    def _counted(self, took: float) -> None:
        self._counting = False
        good = max(FRESH, TIMES * took)
        self._until = self._reactor.seconds() + good
        if self._forget is not None and self._forget.active():
            self._forget.cancel()
        self._forget = self._reactor.callLater(good + KEPT, self._drop)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _drop(self) -> None:
        self.states = {}
        self.oldest = None

    def stop(self) -> None:
        """
        Forget what was found, and leave no delayed call behind.
        """
        if self._forget is not None and self._forget.active():
            self._forget.cancel()
        self._drop()

    @property
    def busy(self) -> int:
        """
        How many were busy; those who waited to be admitted are not among them.
        """
        return self.counts.get(State.BUSY.value, 0)

    @property
    def waiting(self) -> int:
        """
        How many waited to be admitted.
        """
        return self.counts.get(WAITING, 0)
