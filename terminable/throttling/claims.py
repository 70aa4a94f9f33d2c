"""
Those who have to wait for a rate, and how they stand in line.

Whoever wants something of several buckets waits at one after the other, and what a bucket
gives is set aside meanwhile.  Nobody overtakes those who wait, so that many who share a
bucket get the same, and nothing is promised that is not there: who goes away leaves nothing
to be waited for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from terminable.policy.rates import Bucket

#: What is there in less than so many seconds is there: to a clock that began to count decades
#: ago it may be no time at all.
_SOON = 1e-6

_log = Logger()


class Source(Bucket):
    """
    A bucket at which some may be waiting.

    @ivar line: they, in the order in which they came; C{None} if there never was anybody.
    """

    __slots__ = ("_call", "_reactor", "line")

    def __init__(self, reactor: Any, rate: float, burst: float) -> None:
        super().__init__(rate, burst, reactor.seconds())
        self._reactor = reactor
        self._call: Any = None
        # Whoever leaves is found at once in it; a plain dictionary is slow at its front.
        self.line: OrderedDict[Claim, None] | None = None

    def retryAfter(self, now: float) -> float:
        """
        @return: the seconds until there is 1 for somebody else, if all who wait want 1.
        """
        return self.wait(1.0 + len(self.line or ()), now)

    def join(self, claim: Claim) -> None:
        """
        Have somebody wait.  He is called, never at once, when there is what he wants.
        """
        if self.line is None:
            self.line = OrderedDict()
        self.line[claim] = None
        if len(self.line) == 1:
            self._plan()

    def leave(self, claim: Claim) -> None:
        """
        Somebody does not wait any more.
        """
        if self.line is not None and claim in self.line:
            del self.line[claim]
            self._plan()

    def taken(self, amount: float, used: float) -> None:
        """
        Somebody has used so much of what was set aside for him.
        """
        self.use(amount, used, self._reactor.seconds())

    def give(self, amount: float) -> None:
        """
        Put back what was not needed; whoever waits has it sooner.
        """
        super().give(amount)
        if self.line and amount:
            self._plan()

    def _isCalm(self, now: float) -> bool:
        return not self.line and super()._isCalm(now)

    def _plan(self) -> None:
        """
        Look again when there is what the first in line wants.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self.line:
            wait = self.wait(next(iter(self.line)).amount, self._reactor.seconds())
            self._call = self._reactor.callLater(wait, self._serve)

    def _serve(self) -> None:
        self._call = None
        # It is not calm just because those who wait take no more than there is.
        self.over(self._reactor.seconds())
        while self.line:
            claim = next(iter(self.line))
            # Each time anew: those before may have taken long.
            if self.wait(claim.amount, self._reactor.seconds()) >= _SOON:
                break
            del self.line[claim]
            self.setAside(claim.amount)
            try:
                claim.proceed()
            except Exception:
                _log.failure("{claim} failed", claim=claim)
        self._plan()


class Claim:
    """
    What somebody wants of several buckets.

    @ivar amount: how much of each; 0 if nothing.
    @ivar sources: where to wait, first those that fewest others wait for: what is set aside
        there is missed by nobody else.
    """

    __slots__ = ("_stage", "amount", "sources")

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.amount = 0.0
        self._stage = 0

    def granted(self) -> None:
        """
        All have set aside what is wanted.
        """
        raise NotImplementedError  # pragma: no cover

    @property
    def isGranted(self) -> bool:
        """
        Whether what is wanted was set aside, and not used.
        """
        return bool(self.amount) and self._stage == len(self.sources)

    def ask(self, amount: float) -> None:
        """
        Wait for so much, which no bucket may be too small for.
        """
        self.amount = amount
        self.sources[0].join(self)

    def proceed(self) -> None:
        """
        One more bucket has set it aside.
        """
        self._stage += 1
        if self._stage < len(self.sources):
            self.sources[self._stage].join(self)
        else:
            self.granted()

    def use(self, used: float) -> None:
        """
        So much was used; the rest is for others.
        """
        stage, amount = self._stage, self.amount
        self._stage, self.amount = 0, 0.0
        for source in self.sources[:stage]:
            source.taken(amount, used)

    def withdraw(self) -> None:
        """
        Want nothing any more.
        """
        if self.amount:
            if not self.isGranted:
                self.sources[self._stage].leave(self)
            self.use(0.0)
