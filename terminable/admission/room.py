"""
The decisions about who comes in, in motion: one room for all ports of a server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.admission.doors import Doors
from terminable.admission.makingroom import Idle
from terminable.admission.refusing import FULL, LATE, PEER, REASONS, STOP, Refusing
from terminable.errors import InvalidOption
from terminable.policy.admission import Admission
from terminable.policy.lobby import Lobby, Verdict
from terminable.policy.peers import peerOf
from terminable.policy.schedule import GIVE_UP
from terminable.tracking import pausing
from terminable.tracking.connection import Connection
from terminable.tracking.factory import askAtDoor
from terminable.tracking.waiting import Waiting

#: How often, in seconds, to look for connections that could make room, and for peers that
#: have gone, while somebody waits.
LOOK = 0.25

#: How many are admitted in one turn of the reactor.
_AT_ONCE = 50

#: Stands for the time while a protocol is being started.
_STARTING = object()

_log = Logger()


def _cancel(call: Any) -> None:
    if call is not None and call.active():
        call.cancel()


class Room:
    """
    Admits connections, has them wait, and refuses them.

    @ivar settings: how many, and what becomes of the others.
    @ivar doors: what is asked before somebody is accepted.
    @ivar refused: how many were refused, by one of L{REASONS}, in words or without.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Admission,
        until: Callable[[Any], Any] | None = None,
        crowd: Callable[[bool], object] = lambda crowded: None,
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param until: called with each protocol that was admitted; returns a Deferred that
            fires when its place is free, or C{None} if it is until the connection is lost.
        @param crowd: called with whether nobody is to be accepted.
        """
        self.settings = settings
        self.refused = dict.fromkeys(REASONS, 0)
        self._reactor = reactor
        self._until = until
        self._lobby: Lobby[Any] = Lobby(settings)
        self._waiting: dict[Any, Waiting] = {}
        # Whoever is inside; what has to fire before his place is free.
        self._inside: dict[Any, Any] = {}
        self._gates: dict[Any, Any] = {}
        self._refusing = Refusing(reactor, settings)
        self.doors = Doors(reactor, settings, self._lobby, crowd, self._pumpLater)
        self._ending: dict[Any, Any] = {}
        self._pumping: Any = None
        self._timer: Any = None
        self._looked = -LOOK
        self._idle = Idle()

    @property
    def waiting(self) -> int:
        """
        How many connections wait.
        """
        return self._lobby.waiting

    def waitingAt(self, gate: Any) -> list[Any]:
        """
        @param gate: who records connections.
        @return: the transports of those of them that wait.
        """
        return [key for key, each in self._waiting.items() if each.gate is gate]

    @property
    def inside(self) -> int:
        """
        How many were admitted and are not done.
        """
        return self._lobby.inside

    # -- they come

    def arrive(self, waiting: Waiting) -> None:
        """
        Somebody has come: admit him, or do so later, or refuse him.
        """
        key = waiting.bottom
        if key in self._inside:
            # He was asked at an outer door.
            waiting.innermost = self._connect(waiting)
            return
        if self._lobby.full or self.settings.perPeerQueue is not None:
            self._look()
        now = self._reactor.seconds()
        peer = peerOf(waiting.host, self.settings.prefixes)
        most, before = self.settings.perPeerQueue, self._lobby.waitingOf(peer)
        verdict, loser = self._lobby.arrive(key, peer, now)
        if verdict is Verdict.ADMITTED:
            self._admit(waiting)
        elif verdict is Verdict.WAITS:
            self._wait(waiting)
            if loser is not None:
                self._turnAway(self._waiting.pop(loser), FULL)
        else:
            self._turnAway(waiting, FULL if most is None or before < most else PEER)
        self._arrange()

    def _wait(self, waiting: Waiting) -> None:
        self._waiting[waiting.bottom] = waiting
        waiting.pause()
        if waiting.gate.stopping:
            self.stopping(waiting)

    def enter(self, waiting: Waiting) -> None:
        """
        Somebody has come who is inside already.
        """
        self._enter(waiting.bottom, waiting.gate, waiting.host)

    def takes(self, port: Any, gate: Any) -> None:
        """
        Have the connections to come of a port ask to be admitted; those that it has already
        are inside.

        @param gate: who records them.
        """
        askAtDoor(port, gate)
        for connection in gate.connections():
            key = connection.transport
            if key not in self._waiting and key not in self._refusing:
                self._enter(key, gate, getattr(connection.peerAddress, "host", None))

    def _enter(self, key: Any, gate: Any, host: str | None) -> None:
        if key not in self._inside:
            peer = peerOf(host, self.settings.prefixes)
            self._lobby.enter(key, peer, self._reactor.seconds())
            self._inside[key] = None
            self._gates[key] = gate
            self._arrange()

    def _admit(self, waiting: Waiting) -> None:
        key = waiting.bottom
        self._gates[key] = waiting.gate
        self._inside[key] = None if self._until is None else _STARTING
        protocol = self._connect(waiting)
        if self._until is not None:
            self._awaitDone(key, protocol, self._until)

    def _connect(self, waiting: Waiting) -> Any:
        try:
            return waiting.admit()
        except BaseException:
            _log.failure("{waiting} was admitted, and its protocol failed", waiting=waiting)
            waiting.abort()
            return None

    def _awaitDone(self, key: Any, protocol: Any, until: Callable[[Any], Any]) -> None:
        done = None
        try:
            if protocol is not None:
                done = until(protocol)
        except BaseException:
            _log.failure("nobody knows when {protocol} is done", protocol=protocol)
        if isinstance(done, Deferred):
            self._inside[key] = done
            done.addBoth(self._done, key, protocol)
        elif key in self._gates[key].ledger:
            self._inside[key] = None
        else:
            # Its connection is over already.
            self._leave(key)

    def _done(self, result: object, key: Any, protocol: Any) -> object:
        if isinstance(result, Failure):
            if key not in self._ending:
                _log.failure("{protocol} is done, and failed", result, protocol=protocol)
            result = None
        self._leave(key)
        return result

    # -- they go

    def _leave(self, key: Any) -> None:
        self._inside.pop(key, None)
        self._gates.pop(key, None)
        _cancel(self._ending.pop(key, None))
        self._lobby.left(key)
        self._freed()

    def over(self, transport: Any) -> None:
        """
        A connection is over, whoever it was.
        """
        self._refusing.over(transport)
        pausing.forget(transport)
        if self._waiting.pop(transport, None) is not None:
            self._lobby.left(transport)
        elif transport in self._inside and self._inside[transport] is None:
            self._leave(transport)
        self._freed()

    def _freed(self) -> None:
        """
        There may be room for one more, or a descriptor.
        """
        if self._lobby.waiting or self.doors.closed:
            self._pumpLater()
        else:
            self._arrange()

    def _pumpLater(self) -> None:
        # Not at once: whoever is done may be in the middle of something.
        if self._pumping is None:
            self._pumping = self._reactor.callLater(0, self._pump)

    def _pump(self) -> None:
        """
        Admit those for whom there is a place.
        """
        self._pumping = None
        self.doors.again()
        for _ in range(_AT_ONCE):
            key = self._lobby.next(self._reactor.seconds())
            if key is None:
                break
            self._comeIn(self._waiting.pop(key))
        else:
            self._pumpLater()
        self._arrange()

    def _comeIn(self, waiting: Waiting) -> None:
        if waiting.gone or not waiting.gate.accepting:
            self._lobby.left(waiting.bottom)
            self._pumpLater()
            self.refused[STOP] += not waiting.gone
            (waiting.lose if waiting.gone else waiting.dismiss)()
        else:
            self._admit(waiting)

    # -- they are refused

    def _turnAway(self, waiting: Waiting, why: str) -> None:
        """
        Somebody cannot be served, and does not wait any more.
        """
        if waiting.gone:
            waiting.lose()
            return
        self.refused[why] += 1
        if self.settings.full == "reset":
            waiting.abort()
        elif not self._refusing.refuse(waiting):
            waiting.dismiss()

    def stopping(self, waiting: Waiting) -> None:
        """
        A drain begins for somebody who waits.
        """
        if self.settings.atStop != "refuse" or waiting.bottom not in self._waiting:
            return
        if not self.refuseNow(waiting):
            (waiting.abort if self.settings.full == "reset" else waiting.dismiss)()

    def refuseNow(self, waiting: Waiting) -> str:
        """
        Refuse somebody who waits.

        @return: what he is told, in short; an empty string if nothing.
        """
        if self._waiting.pop(waiting.bottom, None) is None:
            return ""
        self._lobby.left(waiting.bottom)
        self.refused[STOP] += 1
        self._arrange()
        speaks = self.settings.full != "reset" and self._refusing.refuse(waiting)
        return "refused" if speaks else ""

    # -- time goes by

    def _arrange(self) -> None:
        """
        See to the doors, and to when to look next.
        """
        self.doors.see()
        times = [self._lobby.nextTime()]
        if self._lobby.waiting:
            times.append(self._looked + LOOK)
        at = min((time for time in times if time is not None), default=None)
        if self._timer is not None:
            if at is not None and self._timer.getTime() <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at is None:
            return
        delay = max(0.0, at - self._reactor.seconds())
        self._timer = self._reactor.callLater(delay, self._timeGoesBy)

    def _timeGoesBy(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        for key in self._lobby.expired(now):
            self._turnAway(self._waiting.pop(key), LATE)
        for key in self._lobby.overstayed(now):
            self._end(key)
        if self._lobby.waiting:
            self._look()
        self._arrange()

    def _end(self, key: Any) -> None:
        """
        Somebody has been inside for too long.
        """
        gate, done = self._gates[key], self._inside[key]
        connection = Connection(key, self._reactor.seconds())
        _log.warn(
            "{connection} was inside for {stay} s; it is aborted",
            event=events.OVERSTAYED,
            connection=connection,
            stay=self.settings.stay,
        )
        # Whoever does not even end then holds nobody up.
        self._ending[key] = self._reactor.callLater(GIVE_UP, self._forget, key)
        if key in gate.ledger:
            gate.abort(key)
        if isinstance(done, Deferred):
            done.cancel()

    def _forget(self, key: Any) -> None:
        _log.error(
            "{transport} is not done although it was aborted", event=events.STUCK, transport=key
        )
        self._leave(key)

    def _look(self) -> None:
        """
        Is anybody of those who wait gone, and is there anybody who need not stay?
        """
        now = self._reactor.seconds()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self._lobby.full or self.settings.perPeerQueue is not None:
            for waiting in [each for each in self._waiting.values() if each.gone]:
                # Its end takes it out of the queue.
                waiting.lose()
        if self.settings.makeRoom:
            self._makeRoom(now)

    def _makeRoom(self, now: float) -> None:
        wanted = self._lobby.waiting
        for gate, keys in self._idle.among(self._lobby.inTheWay(), self._gates, now, wanted):
            gate.letGo(keys)


def roomFor(
    reactor: Any,
    settings: Admission | None,
    until: Callable[[Any], Any] | None,
    crowd: Callable[[bool], object],
) -> Room | None:
    """
    @return: a room with these settings; C{None} if there are none.
    @raise InvalidOption: those are no settings.
    """
    if until is not None and not callable(until):
        raise InvalidOption("admittedUntil", until, "something to call with a protocol")
    if settings is None:
        if until is not None:
            raise InvalidOption("admittedUntil", until, "an admission beside it")
        return None
    if not isinstance(settings, Admission):
        raise InvalidOption("admission", settings, "an Admission, as Admission(capacity=10)")
    return Room(reactor, settings, until, crowd)
