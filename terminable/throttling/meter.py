"""
Where messages are counted: between a protocol that takes them apart, and the application.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable.policy.schedule import Schedule
from terminable.throttling.charges import Charges, Hold, Refusal, Verdict
from terminable.throttling.meters.standing import Standing, hasSaidGoodbye
from terminable.tracking import lingering, pausing
from terminable.tracking.layers import tlsLayer, topOf, unsentHere

#: Nothing more is read while there are so many bytes that the peer has not taken, and it is
#: over its quota: refusals are answers too.
BACKLOG = 2**16

#: How often to look whether it has taken them, in seconds.
OFTEN = 0.1

#: How many messages may wait side by side, where each has a time of its own.
ASIDE = 256

#: Those who are told to go are to hear it, even if they are still sending.
LEAVING = Schedule(linger=1.0)

_log = Logger()


class Owner(Protocol):
    """
    Who has a meter.
    """

    def held(self) -> None:
        """
        Messages have to wait.
        """

    def refused(self, refusal: Refusal) -> None:
        """
        One was refused.
        """

    def resumed(self) -> None:
        """
        Nothing is held any more.
        """

    def meet(self) -> bool:
        """
        There may be another protocol now.

        @return: whether there is.
        """


class _Turn:
    """
    A message that waits for its turn; without one, just a time in which there is none.
    """

    __slots__ = ("call", "handle", "message")

    def __init__(
        self, handle: Callable[..., object] | None = None, message: tuple[Any, ...] = ()
    ) -> None:
        self.handle = handle
        self.message = message
        self.call: Any = None


class _Free:
    """
    What those are charged to who are still busy when their connection is over.
    """

    def arrived(self) -> None:
        """
        Nothing.
        """


class Meter(Standing):
    """
    Counts the messages of one connection.  Each kind of protocol has a subclass.

    What comes while messages are held stays where it is: what was read in the protocol,
    what was not in the kernel.

    @cvar ordered: whether a message must not be handled before those that came earlier.
    @ivar protocol: what takes the messages apart.
    @ivar bottom: the transport that holds the socket.
    @ivar over: whether the connection is.
    """

    ordered = True

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.over = False
        self._parting = False
        self._left = False
        self._goodbye = False
        self._isFull = False
        self._lose: Any = None
        self._turns: deque[_Turn] = deque()
        # Of ordered ones, only the first waits for its time; the others are not counted yet.
        self._rest: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.reactor: Any = None
        self.bottom: Any = None
        self.charges: Any = None
        self.owner: Any = None

    def watch(self, reactor: Any, bottom: Any, charges: Charges, owner: Owner) -> None:
        """
        Begin to count.

        @param bottom: the transport that holds the socket.
        @param charges: what the messages are charged to.
        """
        self.reactor = reactor
        self.bottom = bottom
        self.charges = charges
        self.owner = owner
        self.begin()

    # -- what each kind of protocol knows

    def begin(self) -> None:
        """
        Have L{message} called with each message instead of what handles it.
        """
        raise NotImplementedError  # pragma: no cover

    def stop(self) -> None:
        """
        Take nothing more apart; what was read stays with the protocol.
        """

    def go(self) -> None:
        """
        Take the rest apart.
        """

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Tell the peer that this message was one too many.
        """

    def warn(self, refusal: Refusal) -> None:
        """
        Tell the peer that it has to go, though no message of its is refused.
        """

    def leave(self, refusal: Refusal) -> None:
        """
        Lose the connection because of it.
        """
        topOf(self.bottom).loseConnection()

    # -- what all have in common

    @property
    def waits(self) -> bool:
        """
        Whether messages wait for their turn.
        """
        return bool(self._turns)

    def message(self, handle: Callable[..., object], *message: Any) -> Any:
        """
        There is a message.

        @param handle: what to call with it when it is its turn.
        @return: what C{handle} returns, if it was called.
        """
        if self._rest or (self._turns and self.ordered):
            self._rest.append((handle, message))
            return None
        return self.count(handle, message)

    def count(self, handle: Callable[..., object], message: tuple[Any, ...]) -> Any:
        """
        It is the turn of a message to be counted.

        @return: what C{handle} returns, if it was called.
        """
        verdict = self.charges.arrived()
        return handle(*message) if verdict is None else self.judge(verdict, handle, message)

    def judge(self, verdict: Any, handle: Callable[..., object], message: tuple[Any, ...]) -> Any:
        """
        It was counted.

        @param verdict: what C{arrived()} of L{Charges} has returned.
        @return: what C{handle} returns, if it was called.
        """
        if isinstance(verdict, Deferred):
            return self._await(verdict, handle, message)
        return self._judged(verdict, handle, message)

    def _await(self, asked: Deferred[Verdict | None], handle: Any, message: tuple[Any, ...]) -> Any:
        found: list[Verdict | None] = []
        asked.addErrback(self._unanswered).addCallback(found.append)
        if found:
            # Not as if it came later: who takes messages apart is not called within itself.
            return self._judged(found[0], handle, message)
        turn = self._line(_Turn(handle, message))
        turn.call = asked
        asked.addCallback(lambda _: self._answered(turn, found[0]))
        return None

    def _unanswered(self, reason: Failure) -> Verdict | None:
        if reason.check(CancelledError) is None:
            _log.failure("nobody knows if {protocol} may", reason, protocol=self.protocol)
        return None

    def _answered(self, turn: _Turn, verdict: Verdict | None) -> None:
        if self.over:
            return
        self._remove(turn)
        if not self._left:
            try:
                self._judged(verdict, turn.handle, turn.message)
            except Exception:
                self._broken()
        self._next()

    def _judged(self, verdict: Verdict | None, handle: Any, message: tuple[Any, ...]) -> Any:
        if verdict is None:
            return handle(*message)
        if isinstance(verdict, Refusal):
            self._refuse(verdict, *message)
        elif isinstance(verdict, Hold) and not self._turns:
            self._later(verdict.seconds, _Turn())
            return handle(*message)
        else:
            self._later(verdict.seconds, _Turn(handle, message))
        return None

    def _line(self, turn: _Turn) -> _Turn:
        self._turns.append(turn)
        self.owner.held()
        if self.ordered or turn.handle is None or len(self._turns) > ASIDE:
            # A token of our own: there is another meter when the protocol is exchanged.
            pausing.pause(self.bottom, self)
            self._detain()
            self.stop()
        return turn

    def _remove(self, turn: _Turn) -> None:
        self._turns.remove(turn)
        # The call had the turn, and the turn has the message.
        turn.call = None

    def _later(self, seconds: float, turn: _Turn) -> None:
        self._line(turn).call = self.reactor.callLater(seconds, self._ready, turn)

    def _ready(self, turn: _Turn) -> None:
        self._remove(turn)
        if turn.handle is not None and not self._left:
            try:
                turn.handle(*turn.message)
            except Exception:
                self._broken()
        self._next()

    def _next(self) -> None:
        """
        Go on with what was received, if nothing waits; and read on, if that was all.
        """
        try:
            while self._rest and not self._turns:
                handle, message = self._rest.popleft()
                if not self._isLeaving():
                    self.count(handle, message)
            if not self._turns and not self._isLeaving():
                self.go()
        except Exception:
            self._broken()
        if not self._turns and not self.over:
            pausing.resume(self.bottom, self)
            self._release()
            self.owner.resumed()

    def _isLeaving(self) -> bool:
        # As for what the same packet brings behind a line for which the connection was lost.
        if self.over or self._left:
            return True
        return bool(getattr(topOf(self.bottom), "disconnecting", False))

    def _broken(self) -> None:
        """
        As when it fails while it is read: that ends the connection.
        """
        _log.failure("{protocol} failed", protocol=self.protocol)
        self._left = True
        self.bottom.abortConnection()

    # -- those who want too much

    def _refuse(self, refusal: Refusal, *message: Any) -> None:
        self.owner.refused(refusal)
        try:
            self.refuse(refusal, *message)
        except Exception:
            self._broken()
        if refusal.last and not (self._parting or self.over):
            self._part(refusal)
        if not (self._isFull or self.over) and unsentHere(self.bottom) > BACKLOG:
            # Whoever sends and does not read is not to fill our memory.
            self._isFull = True
            self._lookLater(self._line(_Turn()))

    def _lookLater(self, turn: _Turn) -> None:
        turn.call = self.reactor.callLater(OFTEN, self._lookIfTaken, turn)

    def _lookIfTaken(self, turn: _Turn) -> None:
        if unsentHere(self.bottom) > BACKLOG:
            self._lookLater(turn)
        else:
            self._isFull = False
            self._ready(turn)

    def part(self, refusal: Refusal) -> None:
        """
        Tell the peer that it has to go, and lose the connection when it has had time to
        read why.
        """
        try:
            self.warn(refusal)
        except Exception:
            self._broken()
        self._part(refusal)

    def _part(self, refusal: Refusal) -> None:
        self._parting = True
        lingering.install(self.bottom, self.reactor, LEAVING)
        self._later(refusal.limit.warning, _Turn(self._leave, (refusal,)))

    def _leave(self, refusal: Refusal) -> None:
        self._left = True
        self.leave(refusal)

    # -- those who have said goodbye by TLS

    def _detain(self) -> None:
        """
        TLS takes apart all that was read, and loses the connection as soon as it finds the
        peer's goodbye; without TLS, that is read when what came before it was handled.
        """
        if self._lose is None and self.ordered and tlsLayer(self.bottom) is not None:
            self._lose = self.hook(self.bottom, "loseConnection", self._loseConnection)

    def _loseConnection(self) -> None:
        if self._turns and not self._left and hasSaidGoodbye(self.bottom):
            self._goodbye = True
        else:
            self._lose()

    def _release(self) -> None:
        if self._goodbye:
            self._lose()

    def end(self) -> None:
        """
        The connection is over.
        """
        self.over = True
        turns = list(self._turns)
        self._turns.clear()
        self._rest.clear()
        self.unhook()
        # Those who have us are not to have each other by us.
        self.owner = self._lose = None
        self.charges = _Free()
        for turn in turns:
            turn.call.cancel()
