"""
One server that can be ended: politely, or at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)

from terminable.admission.room import roomFor
from terminable.choosing import Choice
from terminable.errors import CannotAttach, InvalidOption, NotServing
from terminable.gate import Gate
from terminable.generation import UNSET, Generation
from terminable.generations import GENERATIONS, Generations
from terminable.handover.following import takeoverOf
from terminable.handover.offered import offeredTo
from terminable.interfaces import ITerminationObserver
from terminable.policy.admission import Admission
from terminable.policy.ledger import Progress, Report
from terminable.policy.limits import Limit
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.ports import Ports
from terminable.throttling.throttle import Throttle
from terminable.tracking import transports
from terminable.tracking.connection import Connection
from terminable.tracking.factory import TerminableFactory, lead


def _closed(port: Any) -> Deferred[Any]:
    """
    Close a port.

    @return: fires when it is closed; to cancel it cancels the waiting, not the closing.
    """
    waiting: Deferred[Any] = Deferred()
    maybeDeferred(port.stopListening).chainDeferred(waiting)
    return waiting


class Terminator:
    """
    Records the live connections of one or more listening ports, and ends them.

    A terminator serves, is terminated once, and may then listen again.  It may release
    its ports and listen again at once, while the connections that it had are drained as
    a generation of their own.  It touches neither the process nor the reactor's run nor
    signals.

    @ivar reactor: what it was given.
    @ivar generations: those that are still draining after a release, oldest first.
    @ivar throttle: what holds connections to limits, and counts what that did.
    @ivar room: who is inside and who waits; C{None} without an admission.
    """

    def __init__(
        self,
        reactor: Any,
        schedule: Schedule | None = None,
        *,
        generations: int = GENERATIONS,
        limits: Iterable[Limit | str] = (),
        admission: Admission | None = None,
        admittedUntil: Callable[[Any], Any] | None = None,
        **settings: Any,
    ) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorTime}; what
            is listened on by L{listen} is up to the endpoint.
        @param schedule: all settings in one object.
        @param generations: how many may be draining at once after releases; the oldest
            is aborted when there is one more.
        @param limits: what connections, peers, and all together are held to: L{Limit}s, or
            texts such as C{messages=10/s:per=peer:over=backpressure,quota@5}.
        @param admission: how many connections are served at the same time, and what becomes
            of the others; by default, all are served at once.
        @param admittedUntil: called with each protocol that was admitted; returns a Deferred
            that fires when the next one may have its place, or C{None} if that is when its
            connection is lost.
        @param settings: the same as C{schedule} one by one, as L{Schedule} takes them:
            C{gracePeriod=10.0}.  They change the schedule, if there is one.
        @raise terminable.InvalidOption: a setting that cannot be meant.
        """
        self.reactor = reactor
        if not isinstance(schedule, (Schedule, type(None))):
            raise InvalidOption("schedule", schedule, "a Schedule, as Schedule(gracePeriod=10.0)")
        self.schedule = schedule.changed(**settings) if schedule else Schedule(**settings)
        self.generations = Generations(generations)
        self.throttle = Throttle(reactor, limits)
        self.room = roomFor(reactor, admission, admittedUntil, lambda it: self.ports.crowd(it))
        self._now = Generation(reactor, self.schedule, self._use, self.throttle, room=self.room)

    def __repr__(self) -> str:
        return f"<Terminator {self.phase.value}, {len(self.gate.ledger)} connections>"

    # -- what there is

    @property
    def gate(self) -> Gate:
        """
        What is told about connections by whatever records them.
        """
        return self._now.gate

    @property
    def ports(self) -> Ports:
        """
        Where connections come in.
        """
        self._now.ports.addThoseOf(self._now.factories)
        return self._now.ports

    @property
    def phase(self) -> Phase:
        """
        Where this terminator stands.
        """
        return self._now.phase

    @property
    def longestTurn(self) -> float:
        """
        The longest time, in seconds of processor time, that one turn of the reactor has
        spent on this terminator's own work since it began to serve.
        """
        return self._now.longestTurn

    def connections(self) -> list[Connection]:
        """
        The live connections, oldest first; not those of older generations.
        """
        return self._now.connections()

    @property
    def waiting(self) -> int:
        """
        How many connections wait to be admitted.
        """
        return 0 if self.room is None else self.room.waiting

    def progress(self) -> Progress:
        """
        How far the stop is, older generations included.  Cheap: it looks at no more than
        one connection of each.
        """
        progress = self._now.progress()
        for older in self.generations:
            progress = progress.plus(older.progress())
        return progress

    def addObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell C{observer} from now on how stops proceed.
        """
        self._now.observers.append(observer)

    def removeObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell it no more.
        """
        self._now.observers.remove(observer)

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
        if self.phase in (Phase.TERMINATED, Phase.RELEASED):
            self._now.opened()
        if wrapped not in self._now.factories:
            # It may have been away during a release.
            lead(wrapped, self.gate)
            self._now.factories.add(wrapped)

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
        takeover = takeoverOf(self.reactor)
        return takeover.awaits(Deferred.fromCoroutine(self._listen(endpoint, factory)))

    async def _listen(self, endpoint: Any, factory: Any) -> Any:
        self._mustServe()
        if not IStreamServerEndpoint.providedBy(endpoint):
            raise TypeError(f"{endpoint!r} is no endpoint: expected one, as of serverFromString")
        before = self.phase
        endpoint = offeredTo(self.reactor).through(endpoint)
        port: Any = await endpoint.listen(factory)
        if not IListeningPort.providedBy(port):
            raise CannotAttach(f"{endpoint!r} is not an endpoint with a listening port")
        if not transports.canAttach(port) and self._serves(before):
            # A port of another kind: the pair of wrappers records instead.
            await _closed(port)
            before = Phase.SERVING
            wrapped: Any = self.wrap(factory)
            port = await endpoint.listen(wrapped)
        if not self._serves(before):
            # A stop has begun, or even ended, while the endpoint was at it.
            await _closed(port)
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

    def _serves(self, before: Phase) -> bool:
        """
        Whether a port that is open now belongs to whoever wanted it in the phase C{before}.
        """
        # Not while the last connections are named: what is opened then would be forgotten.
        ending = self.phase is Phase.TERMINATED and not self._now.over
        return not ending and self.phase in (Phase.SERVING, Phase.RELEASED, before)

    def _mustServe(self) -> None:
        if not self._serves(Phase.TERMINATED):
            raise NotServing(f"cannot listen while {self.phase.value}")

    def _adopt(self, port: Any) -> None:
        self._now.opened()
        if transports.canAttach(port):
            transports.attach(port, self.gate)
            if self.room is not None:
                self.room.takes(port, self.gate)
        self._now.ports.add(port)
        # An observer that was told may have released everything but this port.
        self._now.opened()
        if self.phase in (Phase.DRAINING, Phase.ABORTING):
            # Or ended everything: the other ports are closed already.
            self._now.ports.closeNow()
            self._now.look()
            raise NotServing("stopped before the port was open")

    def release(
        self, gracePeriod: float | None = UNSET, *, keep: bool = False
    ) -> Deferred[Generation]:
        """
        Let go of the ports, without resetting anybody, and drain the connections that
        there are as a generation of their own.  Somebody else may listen there then, or
        this terminator again.

        @param gracePeriod: seconds until its stragglers are aborted; by default the
            terminator's own.
        @param keep: whether the sockets stay open for this process: whoever listens on the
            same address next is given them, and nobody is refused in between.
        @return: fires with the generation as soon as the ports are free.
        @raise terminable.NotServing: a stop was asked for, is under way or over, or there is no
            port.
        @raise OSError: there is no descriptor left for what is to be kept; nothing was released.
        """
        if self.phase not in (Phase.SERVING, Phase.SUSPENDED):
            raise NotServing(f"cannot release the ports while {self.phase.value}")
        if self._now.asked:
            raise NotServing("cannot release the ports: a stop has been asked for")
        if gracePeriod is not UNSET:
            self.schedule.within(gracePeriod)
        old, ports = self._now, self.ports
        kept = ports.keep() if keep else []
        self._now = Generation(
            self.reactor, self.schedule, self._use, self.throttle, Phase.RELEASED, self.room
        )
        self._now.follow(old)
        old.kept = kept
        offeredTo(self.reactor).add(kept)
        return self.generations.age(old, gracePeriod, self._now)

    # -- stopping

    def terminate(self, gracePeriod: float | None = UNSET) -> Deferred[Report]:
        """
        End politely: announce it, close the ports without resetting anybody, let
        what is in flight finish, and abort what is left at the deadline.

        May be called at any time, from anywhere, and again: the stop is the same, and
        a later call can only bring its deadline forward.  Generations that are still
        draining have the same deadline, or their own if that is earlier.

        @param gracePeriod: seconds from now until stragglers are aborted; by default
            the terminator's own grace period from its first call.
        @return: fires with the report when nobody is connected any more, at most a
            moment after the deadline.  Cancelling it cancels the waiting, not the stop.
        @raise terminable.InvalidOption: the grace period is no time.
        """
        if gracePeriod is not UNSET:
            # Before anything has changed.
            self.schedule.within(gracePeriod)
        again = self.phase.stopping
        older = self.generations.endWith(self._now)
        result = self._now.terminate(gracePeriod)
        if gracePeriod is UNSET and not again:
            gracePeriod = self.schedule.gracePeriod
        for each in older:
            each.terminate(gracePeriod)
        return result

    def abort(self) -> Deferred[Report]:
        """
        End at once: close the ports, abort what is busy, lose what is not; also in
        generations that are still draining.

        @return: fires with the report, which is that of the stop under way if there
            is one.
        """
        older = self.generations.endWith(self._now)
        result = self._now.abort()
        for each in older:
            each.abort()
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
        return self._now.drain(choice, self.schedule.changed(**settings))

    def suspend(self) -> Deferred[None]:
        """
        Let the ports go away for a while; connections live on.

        @return: fires when the ports are gone, or open again by L{resume}.
        @raise terminable.NotServing: a stop is under way or over.
        """
        return self._now.suspend()

    def resume(self) -> None:
        """
        Listen again where L{suspend} has let go.

        @raise terminable.NotServing: not suspended.
        @raise twisted.internet.error.CannotListenError: somebody else listens there
            now.  The terminator stays suspended.
        """
        self._now.resume()
