"""
The phase table, set in motion: events in, effects out, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from terminable.policy.phases import Effect, Event, Phase, step
from terminable.policy.schedule import Times

_log = Logger()


class News:
    """
    What is to be told when everything is in order, in the order in which it happened; also
    of several machines, one of which goes on where another one has let go.

    @ivar busy: how many of them are in the middle of something.
    """

    def __init__(self) -> None:
        self.busy = 0
        self._pending: list[Callable[[], object]] = []

    def add(self, news: Callable[[], object]) -> None:
        """
        Call C{news} when everything is in order; what it raises is logged.
        """
        self._pending.append(news)
        self.spread()

    def spread(self) -> None:
        """
        Tell what is to be told, if everything is in order.
        """
        while self._pending and not self.busy:
            news = self._pending.pop(0)
            try:
                news()
            except BaseException:
                _log.failure("{news} failed", news=news)


class Machine:
    """
    Where a stop stands, and what drives it.

    Whatever is done in consequence of an event may cause further events; they wait
    until it is done.  Whoever is told of it is told after that, when everything is
    in order and anything may be asked for again.

    @ivar phase: where we are.
    @ivar times: the points in time of the stop, once it was asked for.
    @ivar observers: who watches.
    @ivar news: what they are to be told; may be shared with other machines.
    """

    def __init__(self, reactor: Any, effects: dict[Effect, Callable[[], object]]) -> None:
        """
        @param effects: how each effect is carried out.
        """
        self._reactor = reactor
        self._effects = effects
        self._events: list[Event] = []
        self._running = False
        self._timers: list[Any] = []
        self.phase = Phase.SERVING
        self.times: Times | None = None
        self.observers: list[Any] = []
        self.news = News()

    def feed(self, event: Event) -> None:
        """
        Something has happened.
        """
        self._events.append(event)
        if self._running:
            return
        self._running = True
        news = self.news
        news.busy += 1
        try:
            while self._events:
                self._step(self._events.pop(0))
        finally:
            self._running = False
            news.busy -= 1
        news.spread()

    def _step(self, event: Event) -> None:
        before = self.phase
        self.phase, effects = step(before, event)
        if self.phase is not before:
            # Before the effects, which may set timers of their own.
            self.setTimers()
            self.tell("phaseChanged", before, self.phase)
        for effect in effects:
            try:
                self._effects[effect]()
            except BaseException:
                _log.failure("{effect} failed", effect=effect)

    def later(self, news: Callable[[], object]) -> None:
        """
        Call C{news} when everything is in order; what it raises is logged.
        """
        self.news.add(news)

    # -- time

    def left(self) -> float | None:
        """
        Seconds until the deadline; C{None} if there is none.
        """
        return None if self.times is None else self.times.left(self._reactor.seconds())

    def shorten(self, deadline: float | None) -> None:
        """
        Bring the deadline forward, if it is earlier than before; not once it has come.
        """
        if self.times is not None and self.phase is not Phase.ABORTING:
            times = self.times.shortened(deadline)
            if times is not self.times:
                self.times = times
                self.setTimers()

    def setTimers(self) -> None:
        """
        Have the events of the times to come happen in time.
        """
        self.stopTimers()
        if self.times is None:
            return
        first = {
            Phase.QUIESCING: (self.times.quiesced, Event.QUIESCED),
            Phase.DRAINING: (self.times.idleOver, Event.IDLE_OVER),
        }.get(self.phase)
        if first is not None:
            for when, event in ((self.times.deadline, Event.DEADLINE), first):
                self._at(when, event)

    def _at(self, when: float | None, event: Event) -> None:
        if when is None:
            return
        delay = when - self._reactor.seconds()
        if delay <= 0:
            self.feed(event)
        else:
            self.feedLater(delay, event)

    def feedLater(self, delay: float, event: Event) -> None:
        """
        Have an event happen after C{delay} seconds, unless the timers are set anew.
        """
        self._timers.append(self._reactor.callLater(delay, self.feed, event))

    def stopTimers(self) -> None:
        """
        Leave no delayed call behind.
        """
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._timers.clear()

    # -- those who watch

    def tell(self, what: str, *details: object) -> None:
        """
        Tell the observers.

        @param what: the name of a method of theirs.
        """
        for observer in list(self.observers):
            self.later(partial(self._tellOne, observer, what, details))

    def _tellOne(self, observer: object, what: str, details: tuple[object, ...]) -> None:
        getattr(observer, what)(*details)
