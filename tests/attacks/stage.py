"""
Where attacks take place: a reactor that is turned by hand and forgives as little as a
real one, and a watch over what is logged.
"""

from __future__ import annotations

import select
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.logger import Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from terminable import events
from tests.doubles import Boom, HandReactor

#: How many calls may be made in one turn before somebody is busy doing nothing.
MANY = 5_000

SERIOUS = (LogLevel.error, LogLevel.critical)

_log = Logger()


class StageReactor(HandReactor):
    """
    Turned by hand, and otherwise as Twisted's reactors are: what is scheduled within a turn
    happens in the next one, and whoever raises is logged, and loses his connection.
    """

    def callLater(self, when: float, what: Any, *args: Any, **keywords: Any) -> Any:
        """
        Schedule a call; what it raises is logged.
        """

        def call() -> None:
            try:
                what(*args, **keywords)
            except BaseException:
                _log.failure("{what} raised into the reactor", what=what)

        # As it is called in what says that it is left over.
        call.__qualname__ = f"{what}"
        return super().callLater(when, call)

    def advance(self, amount: float) -> None:
        """
        Let time pass in one step: make the calls that were due before it began.
        """
        self.rightNow += amount
        due = [call for call in self.getDelayedCalls() if call.getTime() <= self.rightNow]
        assert len(due) < MANY, f"{len(due)} calls at once"
        for call in sorted(due, key=lambda call: call.getTime()):
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    def turn(self, seconds: float = 0.0) -> None:
        """
        One turn.
        """
        self.advance(seconds)
        for found, events_ in (("readers", select.POLLIN), ("writers", select.POLLOUT)):
            method = "doRead" if found == "readers" else "doWrite"
            for descriptor in list(getattr(self, found)):
                if descriptor in getattr(self, found) and self._ready(descriptor, events_):
                    self._do(descriptor, method)

    def _ready(self, descriptor: Any, wanted: int) -> bool:
        if not hasattr(descriptor, "socket"):
            # Somebody goes on writing on what is over.
            self.removeReader(descriptor)
            self.removeWriter(descriptor)
            return False
        poll = select.poll()
        poll.register(numberOf(descriptor.socket), wanted)
        return bool(poll.poll(0))

    def _do(self, descriptor: Any, method: str) -> None:
        try:
            why = getattr(descriptor, method)()
        except BaseException as error:
            _log.failure("{method} raised", method=method)
            why = error
        if why is None:
            return
        reason = Failure(why)
        self.removeReader(descriptor)
        try:
            halves = IHalfCloseableDescriptor.providedBy(descriptor)
            if method == "doRead" and reason.check(ConnectionDone) and halves:
                descriptor.readConnectionLost(reason)
            else:
                self.removeWriter(descriptor)
                descriptor.connectionLost(reason)
        except BaseException:
            _log.failure("the end of a connection raised")

    def go(self, seconds: float, step: float = 0.05) -> None:
        """
        Let time pass, turn by turn.
        """
        for _ in range(3):
            self.turn()
        until = self.rightNow + seconds
        while self.rightNow < until - 1e-9:
            self.turn(min(step, until - self.rightNow))
        for _ in range(3):
            self.turn()


def numberOf(sock: Any) -> int:
    """
    The descriptor of a socket, also of one that lies about it.
    """
    tell = getattr(sock, "really", sock.fileno)
    return int(tell())


class LogWatch:
    """
    Looks at everything that is logged while an attack goes on.

    @ivar findings: errors that nobody has raised on purpose.
    @ivar seen: how often each event was logged.
    """

    def __init__(self, allowed: Callable[[dict[str, Any]], bool] = lambda event: False) -> None:
        """
        @param allowed: whether an error is to be expected.
        """
        self.findings: list[str] = []
        self.seen: Counter[str] = Counter()
        self._allowed = allowed
        globalLogPublisher.addObserver(self._observe)

    def _observe(self, event: dict[str, Any]) -> None:
        name = event.get("event")
        if name is not None:
            self.seen[str(name)] += 1
        failure = event.get("log_failure") or event.get("failure")
        if failure is not None:
            if failure.check(Boom) is None and not self._allowed(event):
                self.findings.append(f"{event.get('log_format')}: {failure.getTraceback()}")
        elif event.get("log_level") in SERIOUS and not self._allowed(event):
            self.findings.append(repr(event))

    def stop(self) -> None:
        """
        Look no more.
        """
        globalLogPublisher.removeObserver(self._observe)


def isStuck(event: dict[str, Any]) -> bool:
    """
    Whether this says that a connection did not end when it was aborted.
    """
    return event.get("event") == events.STUCK
