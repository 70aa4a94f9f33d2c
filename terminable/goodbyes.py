"""
Whom a drain tells: drainers, through their watch, and whoever asked to be called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.interfaces import IDrainWatch
from terminable.policy.schedule import Schedule

_log = Logger()


@implementer(IDrainWatch)
class Watch:
    """
    What the drainer of one connection is given; a small object, as there may be ten
    thousand.
    """

    __slots__ = ("_becameIdle", "_later", "_transport", "schedule")

    def __init__(
        self,
        transport: Any,
        schedule: Schedule,
        becameIdle: Callable[[Any], object],
        later: Callable[..., object],
    ) -> None:
        """
        @param becameIdle: called with the transport.
        @param later: called with the transport, seconds, and what to call then.
        """
        self.schedule = schedule
        self._transport = transport
        self._becameIdle = becameIdle
        self._later = later

    def __call__(self) -> None:
        """
        See L{IDrainWatch.__call__}.
        """
        self._becameIdle(self._transport)

    def later(self, seconds: float, work: Callable[..., object], *args: object) -> None:
        """
        See L{IDrainWatch.later}.
        """
        self._later(self._transport, seconds, work, *args)


class _Call:
    """
    Everybody who asked about one connection, while they are being called.
    """

    __slots__ = ("left", "open")

    def __init__(self, left: list[Deferred[None]]) -> None:
        self.left = left
        self.open = 0


class Callers:
    """
    Those who asked to be called when the drain of a connection begins.

    A connection is in here from the first question until everybody was called and is
    done, or until it is over.
    """

    def __init__(self) -> None:
        self._waiting: dict[Any, list[Deferred[None]]] = {}
        self._calls: dict[Any, _Call] = {}

    def __contains__(self, transport: Any) -> bool:
        return transport in self._waiting or transport in self._calls

    def isAt(self, transport: Any) -> bool:
        """
        Whether somebody was called, and is not done.
        """
        return transport in self._calls

    def ask(self, transport: Any) -> Deferred[None]:
        """
        @return: fires when C{transport}'s drain begins, never if its connection is over
            before.
        """
        asked: Deferred[None] = Deferred(lambda _: self.forget(transport, asked))
        self._waiting.setdefault(transport, []).append(asked)
        return asked

    def forget(self, transport: Any, asked: Deferred[None]) -> None:
        """
        One of them need not be called any more.
        """
        call = self._calls.get(transport)
        if call is not None and asked in call.left:
            call.left.remove(asked)
        waiting = self._waiting.get(transport, [])
        if asked in waiting:
            waiting.remove(asked)
            if not waiting:
                del self._waiting[transport]

    def over(self, transport: Any) -> None:
        """
        The connection is over.
        """
        self._waiting.pop(transport, None)
        call = self._calls.pop(transport, None)
        if call is not None:
            call.left.clear()

    def call(self, transport: Any, done: Callable[[Any], object]) -> None:
        """
        Call everybody who asked for this connection.

        @param done: called with the transport when whatever they return has fired too.
        """
        call = self._calls[transport] = _Call(self._waiting.pop(transport, []))
        while call.left:
            call.open += 1
            asked = call.left.pop(0)
            asked.callback(None)
            asked.addBoth(self._finished, transport, call, done)
        self._look(transport, call, done)

    def _finished(
        self, result: object, transport: Any, call: _Call, done: Callable[[Any], object]
    ) -> None:
        if isinstance(result, Failure):
            _log.failure("{transport}: not ready to end", result, transport=transport)
        call.open -= 1
        self._look(transport, call, done)

    def _look(self, transport: Any, call: _Call, done: Callable[[Any], object]) -> None:
        """
        Is everybody done?
        """
        if call.open or call.left or self._calls.get(transport) is not call:
            return
        del self._calls[transport]
        try:
            done(transport)
        except BaseException:
            _log.failure("{done} failed", done=done)
