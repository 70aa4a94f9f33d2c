"""
The connections that a server has accepted between two releases of its ports, and how
they end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

import terminable.drainers  # noqa: F401 - registers the adapters to IDrainer
from terminable import events
from terminable.choosing import Choice
from terminable.errors import NotServing
from terminable.gate import Gate
from terminable.handover.following import takeoverOf
from terminable.handover.offered import OfferedSocket
from terminable.interfaces import ITerminationObserver
from terminable.machine import Machine
from terminable.policy.ledger import Progress, Report
from terminable.policy.phases import Effect, Event, Phase
from terminable.policy.schedule import GIVE_UP, LAST_WORD, Schedule
from terminable.ports import Ports
from terminable.throttling.throttle import Throttle
from terminable.tracking.connection import Connection
from terminable.tracking.factory import lead

_log = Logger()


class _Own:
    """
    Stands for a value that was not given.
    """

    def __repr__(self) -> str:
        return "<its own>"


UNSET: Any = _Own()


class Generation:
    """
    Connections that belong together, and the ports that they came by.

    A L{terminable.Terminator} serves by one of them at a time.  When it releases its
    ports, the connections live on in the old one, which is ended like any server.

    @ivar gate: what is told about connections by whatever records them.
    @ivar ports: where they come in.
    @ivar factories: what else it is served by: ports of others that listen with one of
        these are closed like its own.
    @ivar kept: the sockets of its ports that stayed open for whoever listens there next.
    @ivar older: generations whose end belongs to this one's: it is not over before they are,
        and its report is that of all of them.
    @ivar part: whether its own report is a part of another one's.
    @ivar schedule: how long each part of a stop may take.
    """

    def __init__(
        self,
        reactor: Any,
        schedule: Schedule,
        started: Callable[[Any], object],
        throttle: Throttle,
        phase: Phase = Phase.SERVING,
        room: Any = None,
    ) -> None:
        """
        @param started: called with a wrapped factory that somebody begins to use.
        @param throttle: what holds connections to limits.
        @param phase: where it stands before anybody listens.
        @param room: decides who is admitted when, if anybody does.
        """
        self._reactor = reactor
        self.schedule = schedule
        self.ports = Ports(reactor, room)
        # Who listens with one of them, or is about to, has it: the others are forgotten.
        self.factories: WeakSet[Any] = WeakSet()
        self.kept: list[OfferedSocket] = []
        self.older: list[Generation] = []
        self.part = False
        self._suspending: list[Deferred[None]] = []
        self._waiting: list[Deferred[Report]] = []
        self._closing = False
        self._machine = Machine(reactor, {e: getattr(self, f"_do_{e.name}") for e in Effect})
        self._machine.phase = phase
        self.gate = Gate(reactor, schedule, lambda: self.phase, started, self.look, throttle, room)
        self._report: Report | None = None
        self._awaited = False

    def __repr__(self) -> str:
        return f"<Generation {self.phase.value}, {len(self.gate.ledger)} connections>"

    # -- what there is

    @property
    def phase(self) -> Phase:
        """
        Where it stands.
        """
        return self._machine.phase

    @property
    def longestTurn(self) -> float:
        """
        The longest time, in seconds of processor time, that one turn of the reactor has
        spent on these connections since the first of them.
        """
        return self.gate.drain.longest

    def connections(self) -> list[Connection]:
        """
        The live connections, oldest first.
        """
        return self.gate.connections()

    def progress(self) -> Progress:
        """
        How far the stop is.  Cheap: it looks at no more than one connection.
        """
        return self.gate.progress(self._machine.times)

    @property
    def observers(self) -> list[Any]:
        """
        Who is told how it ends.
        """
        return self._machine.observers

    def opened(self) -> None:
        """
        A port was opened.
        """
        self._machine.feed(Event.LISTEN)

    def follow(self, old: Generation) -> None:
        """
        Whoever watches another one, and listens with its factories, does so here from now on.
        """
        self._machine.news = old._machine.news
        self.observers.extend(old.observers)
        self.factories, old.factories = old.factories, WeakSet()
        for factory in self.factories:
            lead(factory, self.gate)

    def tell(self, what: str, *details: object) -> None:
        """
        Tell the observers, when everything is in order.

        @param what: the name of a method of theirs.
        """
        self._machine.tell(what, *details)

    def later(self, news: Callable[[], object]) -> None:
        """
        Call C{news} when everything is in order, and those were told who were to be before.
        """
        self._machine.later(news)

    # -- stopping

    def terminate(
        self, gracePeriod: float | None = UNSET, quiesce: float | None = None
    ) -> Deferred[Report]:
        """
        End politely, as L{terminable.Terminator.terminate} says.

        @param quiesce: seconds to go on accepting, if others than the schedule has.
        @return: fires with the report of these connections.
        @raise terminable.InvalidOption: the grace period is no time.
        """
        now = self._reactor.seconds()
        asked = self.schedule if gracePeriod is UNSET else self.schedule.within(gracePeriod)
        if quiesce is not None:
            asked = asked.changed(quiesce=quiesce)
        again = self.phase.stopping
        result = self._result()
        if self._machine.times is None:
            self._machine.times = asked.times(now)
        elif gracePeriod is not UNSET:
            self._machine.shorten(asked.times(now).deadline)
        if not again:
            # If that was its end, somebody who was told may serve again already.
            self._machine.feed(Event.TERMINATE)
        return result

    def abort(self) -> Deferred[Report]:
        """
        End at once, as L{terminable.Terminator.abort} says.

        @return: fires with the report of these connections.
        """
        if self._machine.times is None:
            self._machine.times = Schedule(0.0).times(self._reactor.seconds())
        result = self._result()
        self._machine.feed(Event.ABORT)
        return result

    def drain(self, choice: Choice, schedule: Schedule) -> Deferred[Report]:
        """
        Drain some, and go on with the others.

        @return: fires with a report of the chosen ones.
        @raise terminable.NotServing: a stop is under way or over.
        """
        if self.phase not in (Phase.SERVING, Phase.SUSPENDED):
            raise NotServing(f"cannot drain by choice while {self.phase.value}")
        result: Deferred[Report] = Deferred()
        self.gate.choose(
            choice, schedule, lambda report: self._machine.later(partial(result.callback, report))
        )
        return result

    def _result(self) -> Deferred[Report]:
        if self._report is not None and self.phase is Phase.TERMINATED:
            return succeed(self._report)
        result: Deferred[Report] = Deferred()
        self._waiting.append(result)
        return result

    def suspend(self) -> Deferred[None]:
        """
        See L{terminable.Terminator.suspend}.
        """
        if self.phase not in (Phase.SERVING, Phase.SUSPENDED):
            raise NotServing(f"cannot suspend while {self.phase.value}")
        gone: Deferred[None] = Deferred()
        self._suspending.append(gone)
        if self.phase is Phase.SERVING:
            self._machine.feed(Event.SUSPEND)
        elif not self._closing:
            self._portsClosed()
        return gone

    def resume(self) -> None:
        """
        See L{terminable.Terminator.resume}.
        """
        if self.phase is not Phase.SUSPENDED:
            raise NotServing(f"cannot resume while {self.phase.value}")
        self.ports.resumeAll()
        self._suspended()
        self._machine.feed(Event.RESUME)

    @property
    def asked(self) -> bool:
        """
        Whether its end was asked for, although it may not have begun: something else is
        being done first.
        """
        return self._machine.times is not None

    @property
    def over(self) -> bool:
        """
        Whether there is a report.
        """
        return self._report is not None

    def look(self) -> None:
        """
        Is it over?
        """
        if not self.phase.stopping or self.gate.ledger or self.ports.open:
            return
        if all(each.over for each in self.older):
            self._machine.feed(Event.EMPTY)

    # -- effects, by name

    def _do_RESET(self) -> None:
        self.gate.reset()
        self._report = None
        self._awaited = False
        self._machine.times = None
        self.older = []

    def _beginStop(self) -> None:
        # What is reported is counted from where the deadline is.
        times = self._machine.times
        self.gate.ledger.beginStop(self._reactor.seconds() if times is None else times.began)

    def _do_HINT(self) -> None:
        self._beginStop()
        self.ports.addThoseOf(self.factories)
        times = self._machine.times
        if times is not None and times.quiesced > times.began:
            self.gate.drain.hintAll()
        self.look()

    def _do_SUSPEND_PORTS(self) -> None:
        self.ports.addThoseOf(self.factories)
        self._closing = True
        self.ports.suspendAll(self.schedule.settle, self._portsClosed)

    def _do_DRAIN_PORTS(self) -> None:
        self._closing = True
        self.ports.closeAll(self.schedule.settle, self._portsClosed)

    def _do_CLOSE_PORTS(self) -> None:
        self._beginStop()
        self.ports.addThoseOf(self.factories)
        wasOpen = self.ports.open
        self.ports.closeNow()
        if wasOpen or self._closing:
            self._portsClosed()

    def _portsClosed(self) -> None:
        self._suspended()
        # Those of an older one may take a moment longer, and are told of when they are gone.
        if not any(each.ports.open for each in self.older):
            self.tell("portsClosed")
        self.look()

    def _suspended(self) -> None:
        self._closing = False
        suspending, self._suspending = self._suspending, []
        for waiting in suspending:
            self._machine.later(partial(waiting.callback, None))

    def _do_DRAIN(self) -> None:
        self.gate.drain.drainAll(self._machine.left())

    def _do_LOSE_IDLE(self) -> None:
        self.gate.drain.loseIdle(self._machine.left())

    def _do_LAST_WORDS(self) -> None:
        self.gate.drain.cutAll(True, self._awaitEnd)

    def _do_ABORT_ALL(self) -> None:
        self.gate.drain.cutAll(False, self._awaitEnd)

    def _awaitEnd(self) -> None:
        if self.phase is not Phase.ABORTING or self._awaited:
            # The last one ended before everybody was told; or told they were before.
            return
        self._awaited = True
        self._machine.feedLater(LAST_WORD + GIVE_UP, Event.GIVE_UP)
        self.look()

    def _do_REPORT(self) -> None:
        self._machine.stopTimers()
        self.gate.drain.cutting.giveUp()
        self.gate.drain.stop()
        self.ports.release()
        self.factories.clear()
        self._report = report = self._account()
        if self.part or not takeoverOf(self._reactor).report(report):
            details = events.fieldsOf(report)
            _log.info("terminated: {report}", event=events.TERMINATED, report=report, **details)
        waiting, self._waiting = self._waiting, []
        for result in waiting:
            self._machine.later(partial(result.callback, report))
        self.tell("terminated", report)

    def _account(self) -> Report:
        report = self.gate.ledger.report(self._reactor.seconds())
        for each in self.older:
            # It has had its deadline, if we have.
            each._machine.feed(Event.GIVE_UP)
            report = report if each._report is None else report.plus(each._report)
        return report


@implementer(ITerminationObserver)
class Freeing:
    """
    Calls when the ports of a generation are gone, or when it is over, if it had none.
    """

    def __init__(self, freed: Callable[[], object]) -> None:
        self._freed: Callable[[], object] | None = freed

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        Of no interest.
        """

    def portsClosed(self) -> None:
        """
        Now.
        """
        freed, self._freed = self._freed, None
        if freed is not None:
            freed()

    def terminated(self, report: Report) -> None:
        """
        At the latest.
        """
        self.portsClosed()
