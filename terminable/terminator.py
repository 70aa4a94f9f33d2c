"""
One server that can be ended: politely, or at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger

import terminable.drainers  # noqa: F401 - registers the adapters to IDrainer
from terminable.choosing import Choice
from terminable.errors import CannotAttach, NotServing
from terminable.gate import Gate
from terminable.interfaces import ITerminationObserver
from terminable.machine import Machine
from terminable.policy.ledger import Progress, Report
from terminable.policy.phases import Effect, Event, Phase
from terminable.policy.schedule import GIVE_UP, LAST_WORD, Schedule
from terminable.ports import Ports
from terminable.tracking import transports
from terminable.tracking.connection import Connection
from terminable.tracking.factory import TerminableFactory

_log = Logger()


class _Own:
    """
    Stands for a value that was not given.
    """

    def __repr__(self) -> str:
        return "<the terminator's own>"


_UNSET: Any = _Own()


class Terminator:
    """
    Records the live connections of one or more listening ports, and ends them.

    A terminator serves, is terminated once, and may then listen again.  It touches
    neither the process nor the reactor's run nor signals.

    @ivar gate: what is told about connections by whatever records them.
    """

    def __init__(self, reactor: Any, schedule: Schedule | None = None, **settings: Any) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorTime}; what
            is listened on by L{listen} is up to the endpoint.
        @param schedule: all settings in one object.
        @param settings: the same one by one, as L{Schedule} takes them:
            C{gracePeriod=10.0}.  They change the schedule, if there is one.
        @raise terminable.InvalidOption: a setting that cannot be meant.
        """
        self._reactor = reactor
        self.schedule = schedule.changed(**settings) if schedule else Schedule(**settings)
        self._suspending: list[Deferred[None]] = []
        self._ports = Ports(reactor)
        self._factories: list[TerminableFactory] = []
        self._waiting: list[Deferred[Report]] = []
        self._closing = False
        self._machine = Machine(reactor, {e: getattr(self, f"_do_{e.name}") for e in Effect})
        self.gate = Gate(reactor, self.schedule, lambda: self.phase, self._use, self._look)
        self._report: Report | None = None
        self._awaited = False

    def __repr__(self) -> str:
        return f"<Terminator {self.phase.value}, {len(self.gate.ledger)} connections>"

    # -- what there is

    @property
    def phase(self) -> Phase:
        """
        Where this terminator stands.
        """
        return self._machine.phase

    @property
    def longestTurn(self) -> float:
        """
        The longest time, in seconds of processor time, that one turn of the reactor has
        spent on this terminator's own work since it began to serve.
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

    def addObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell C{observer} from now on how stops proceed.
        """
        self._machine.observers.append(observer)

    def removeObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell it no more.
        """
        self._machine.observers.remove(observer)

    # -- serving

    def wrap(self, factory: IProtocolFactory) -> TerminableFactory:
        """
        Record the connections of a factory that somebody else will listen with.

        Ports that listen with it when the stop begins are closed like our own.
        """
        wrapped = TerminableFactory(factory, self.gate)
        self._use(wrapped)
        return wrapped

    def _use(self, wrapped: TerminableFactory) -> None:
        """
        Somebody listens with a wrapped factory, or is about to, perhaps not for the
        first time.
        """
        if self.phase is Phase.TERMINATED:
            self._machine.feed(Event.LISTEN)
        if not any(known is wrapped for known in self._factories):
            self._factories.append(wrapped)

    def listen(
        self, endpoint: IStreamServerEndpoint, factory: IProtocolFactory
    ) -> Deferred[IListeningPort]:
        """
        Serve C{factory} on C{endpoint}.

        @return: fires with the port, or fails as C{endpoint.listen} does, with
            C{TypeError} if it is given no endpoint, with
            L{terminable.NotServing} while a stop is under way or suspended, or
            with L{terminable.CannotAttach} if the endpoint is no listening port
            (standard input and output).
        """
        return Deferred.fromCoroutine(self._listen(endpoint, factory))

    async def _listen(self, endpoint: Any, factory: Any) -> Any:
        self._mustServe()
        if not IStreamServerEndpoint.providedBy(endpoint):
            raise TypeError(f"{endpoint!r} is no endpoint: expected one, as of serverFromString")
        before = self.phase
        port: Any = await endpoint.listen(factory)
        if not IListeningPort.providedBy(port):
            raise CannotAttach(f"{endpoint!r} is not an endpoint with a listening port")
        if not transports.canAttach(port) and self.phase in (Phase.SERVING, before):
            # A port of another kind: the pair of wrappers records instead.
            await maybeDeferred(port.stopListening)
            before = Phase.SERVING
            wrapped: Any = self.wrap(factory)
            port = await endpoint.listen(wrapped)
        if self.phase not in (Phase.SERVING, before):
            # A stop has begun, or even ended, while the endpoint was at it.
            await maybeDeferred(port.stopListening)
            raise NotServing("stopped before the port was open")
        self._adopt(port)
        return port

    def attach(self, port: IListeningPort) -> None:
        """
        Take over a port that already listens: the connections that it has, and those
        to come, are recorded, and a stop closes it.

        @raise terminable.CannotAttach: it is not a TCP or UNIX port of one of
            Twisted's POSIX reactors, or another terminator has it.
        @raise terminable.NotServing: a stop is under way, or suspended.
        """
        self._mustServe()
        transports.check(port)
        self._adopt(port)

    def _mustServe(self) -> None:
        if self.phase not in (Phase.SERVING, Phase.TERMINATED):
            raise NotServing(f"cannot listen while {self.phase.value}")

    def _adopt(self, port: Any) -> None:
        self._machine.feed(Event.LISTEN)
        if transports.canAttach(port):
            transports.attach(port, self.gate)
        self._ports.add(port)

    # -- stopping

    def terminate(self, gracePeriod: float | None = _UNSET) -> Deferred[Report]:
        """
        End politely: announce it, close the ports without resetting anybody, let
        what is in flight finish, and abort what is left at the deadline.

        May be called at any time, from anywhere, and again: the stop is the same, and
        a later call can only bring its deadline forward.

        @param gracePeriod: seconds from now until stragglers are aborted; by default
            the terminator's own grace period from its first call.
        @return: fires with the report when nobody is connected any more, at most a
            moment after the deadline.  Cancelling it cancels the waiting, not the stop.
        @raise terminable.InvalidOption: the grace period is no time.
        """
        now = self._reactor.seconds()
        asked = self.schedule if gracePeriod is _UNSET else self.schedule.within(gracePeriod)
        if self._machine.times is None:
            self._machine.times = asked.times(now)
        elif gracePeriod is not _UNSET:
            self._machine.shorten(asked.times(now).deadline)
        result = self._result()
        self._machine.feed(Event.TERMINATE)
        return result

    def abort(self) -> Deferred[Report]:
        """
        End at once: close the ports, abort what is busy, lose what is not.

        @return: fires with the report, which is that of the stop under way if there
            is one.
        """
        if self._machine.times is None:
            self._machine.times = Schedule(0.0).times(self._reactor.seconds())
        result = self._result()
        self._machine.feed(Event.ABORT)
        return result

    def drain(
        self,
        select: Callable[[Connection], object] | None = None,
        *,
        percent: float | None = None,
        olderThan: float | None = None,
        peer: str | None = None,
        port: int | str | None = None,
        **settings: Any,
    ) -> Deferred[Report]:
        """
        Drain some of the connections, and go on serving: those are told, finish, and are
        lost as at a stop, with a deadline of their own.  Without any condition, all are
        meant that there are now; what the conditions mean says L{terminable.choosing.Choice}.

        @param settings: of L{Schedule}, where this drain differs: C{gracePeriod}, C{stagger}.
        @return: fires with a report of the chosen ones when the last of them is gone.
        @raise terminable.InvalidOption: a condition or a setting that cannot be meant.
        @raise terminable.NotServing: a stop is under way or over.
        """
        choice = Choice(select, percent, olderThan, peer, port)
        schedule = self.schedule.changed(**settings)
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
        Let the ports go away for a while; connections live on.

        @return: fires when the ports are gone, or open again by L{resume}.
        @raise terminable.NotServing: a stop is under way or over.
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
        Listen again where L{suspend} has let go.

        @raise terminable.NotServing: not suspended.
        @raise twisted.internet.error.CannotListenError: somebody else listens there
            now.  The terminator stays suspended.
        """
        if self.phase is not Phase.SUSPENDED:
            raise NotServing(f"cannot resume while {self.phase.value}")
        self._ports.resumeAll()
        self._suspended()
        self._machine.feed(Event.RESUME)

    def _look(self) -> None:
        """
        Is it over?
        """
        if self.phase.stopping and not self.gate.ledger and not self._ports.open:
            self._machine.feed(Event.EMPTY)

    # -- effects, by name

    def _do_RESET(self) -> None:
        self.gate.reset()
        self._report = None
        self._awaited = False
        self._machine.times = None

    def _do_HINT(self) -> None:
        self.gate.ledger.beginStop(self._reactor.seconds())
        self._ports.addThoseOf(self._factories)
        times = self._machine.times
        if times is not None and times.quiesced > times.began:
            self.gate.drain.hintAll()
        self._look()

    def _do_SUSPEND_PORTS(self) -> None:
        self._ports.addThoseOf(self._factories)
        self._closing = True
        self._ports.suspendAll(self.schedule.settle, self._portsClosed)

    def _do_DRAIN_PORTS(self) -> None:
        self._closing = True
        self._ports.closeAll(self.schedule.settle, self._portsClosed)

    def _do_CLOSE_PORTS(self) -> None:
        self.gate.ledger.beginStop(self._reactor.seconds())
        self._ports.addThoseOf(self._factories)
        wasOpen = self._ports.open
        self._ports.closeNow()
        if wasOpen or self._closing:
            self._portsClosed()

    def _portsClosed(self) -> None:
        self._suspended()
        self._machine.tell("portsClosed")
        self._look()

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
        self._look()

    def _do_REPORT(self) -> None:
        self._machine.stopTimers()
        self.gate.drain.giveUp()
        self.gate.drain.stop()
        self._ports.release()
        self._factories.clear()
        self._report = report = self.gate.ledger.report(self._reactor.seconds())
        _log.info("terminated: {report}", report=report)
        waiting, self._waiting = self._waiting, []
        for result in waiting:
            self._machine.later(partial(result.callback, report))
        self._machine.tell("terminated", report)
