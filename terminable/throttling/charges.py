"""
The messages of one connection, charged to their rates.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.task import deferLater

from terminable.policy.limits import Action, Limit, Per
from terminable.throttling.claims import Claim, Source


@dataclass(frozen=True)
class Refusal:
    """
    A message is not to be handled.

    @ivar limit: why.
    @ivar retryAfter: in how many seconds it could be.
    @ivar remaining: how many more could be handled now.
    @ivar last: whether the connection goes because of it.
    """

    limit: Limit
    retryAfter: float
    remaining: int = 0
    last: bool = False

    @property
    def wholeSeconds(self) -> int:
        """
        C{retryAfter} as headers have it: whole seconds, at least one.
        """
        return max(1, math.ceil(self.retryAfter))


@dataclass(frozen=True)
class Hold:
    """
    A message is to be handled now, and no other for so many seconds.
    """

    seconds: float


@dataclass(frozen=True)
class Delay:
    """
    A message is to be handled in so many seconds.
    """

    seconds: float


Verdict = Refusal | Hold | Delay
Charged = Sequence[tuple[Limit, Source]]
Shared = Sequence[tuple[Limit, Source, str]]
Found = tuple[Charged, Shared]
_ORDER = list(Action)
_REFUSING = (Action.QUOTA, Action.DISCONNECT)


class Charges(Claim):
    """
    What one connection's messages are charged to.

    Messages that have to wait for a rate that is not their connection's alone stand in line
    with those of all others who are charged to the same; of each connection, no more than one
    stands there at a time.
    """

    __slots__ = ("_find", "_limits", "_lock", "_reactor", "_shared", "_waiting")

    def __init__(self, reactor: Any, find: Callable[[], Found | None]) -> None:
        """
        @param find: called with the first message, when it is known who the peer is: gives
            pairs of a limit and its bucket, and for limits that are shared with other
            processes triples of limit, a bucket that tells for how long it has been exceeded,
            and key.  C{None} if this message is charged to nobody.
        """
        super().__init__(())
        self._reactor = reactor
        self._find: Callable[[], Found | None] | None = find
        self._limits: Sequence[Limit] = ()
        self._shared: Shared = ()
        self._waiting: deque[Deferred[Any]] = deque()
        self._lock = DeferredLock()

    def arrived(self) -> Verdict | Deferred[Verdict | None] | None:
        """
        There is a message.

        @return: C{None} if it is to be handled like any other; a Deferred if it has to wait
            until that is known.  It is not charged if the Deferred is cancelled.
        """
        if self._find is not None and not self._meet(self._find):
            return None
        now = self._reactor.seconds()
        sources = self.sources
        for source in sources:
            passed = now - source.at
            if passed > 0.0 and source.since is None and not source.line:
                # As by C{fill}, without the call: this is for each message.
                source.at = now
                level, most = source.level + passed * source.rate, source.burst - source.held
                source.level = level = level if level < most else most
            else:
                level = 0.0 if source.line else source.fill(now)
            if level < 1.0:
                return self._tooMuch(now)
        for source in sources:
            # As by C{spend}.
            source.level -= 1.0
        return self._shareAfter(succeed(None)) if self._shared else None

    def _meet(self, find: Callable[[], Found | None]) -> bool:
        found = find()
        if found is None:
            return False
        self._find = None
        charged, self._shared = found
        self._limits = [limit for limit, _ in charged]
        self.sources = [source for _, source in charged]
        return True

    def stop(self) -> None:
        """
        Charge nobody any more: the connection is over.
        """
        self.withdraw()
        self._find, self._shared, self.sources = None, (), ()

    def _tooMuch(self, now: float) -> Verdict | Deferred[Verdict | None]:
        lacking = [
            (limit, source)
            for limit, source in zip(self._limits, self.sources, strict=True)
            if source.line or source.fill(now) < 1.0
        ]
        for _, source in lacking:
            source.over(now)
        actions = [(limit.action(source.overFor(now)), limit) for limit, source in lacking]
        action, limit = max(actions, key=lambda each: _ORDER.index(each[0]))
        if action in _REFUSING:
            wait = max(source.retryAfter(now) for _, source in lacking)
            return Refusal(limit, wait, 0, action is Action.DISCONNECT)
        if self._waiting or any(limit.per is not Per.CONNECTION for limit, _ in lacking):
            turn: Deferred[Any] = Deferred(self._leave)
            self._waiting.append(turn)
            if not self.amount:
                self.ask(1.0)
            return self._shareAfter(turn) if self._shared else turn
        # Nobody else has to wait longer because of a promise.
        for source in self.sources:
            source.spend(1.0)
        wait = max(source.wait(0.0, now) for _, source in lacking)
        verdict = Hold(wait) if action is Action.BACKPRESSURE else Delay(wait)
        return self._shareAfter(succeed(verdict)) if self._shared else verdict

    def granted(self) -> None:
        """
        It is the turn of the first that waits; the next has to queue up.
        """
        self.use(1.0)
        self._waiting.popleft().callback(None)
        if self._waiting and not self.amount:
            self.ask(1.0)

    def _leave(self, turn: Deferred[Any]) -> None:
        """
        One does not wait any more.
        """
        self._waiting.remove(turn)
        if not self._waiting:
            self.withdraw()

    # -- those who count for several processes

    def _shareAfter(self, turn: Deferred[Any]) -> Deferred[Verdict | None]:
        return Deferred.fromCoroutine(self._share(turn))

    async def _share(self, turn: Deferred[Any]) -> Verdict | None:
        verdict: Verdict | None = await turn
        try:
            refusal = await self._askInTurn()
        except BaseException:
            self._giveBack()
            raise
        if refusal is not None:
            self._giveBack()
        return refusal or verdict

    async def _askInTurn(self) -> Refusal | None:
        """
        Not all who wait ask again and again.
        """
        await self._lock.acquire()
        try:
            for limit, source, key in self._shared:
                refusal = await self._askOne(limit, source, key)
                if refusal is not None:
                    return refusal
            return None
        finally:
            self._lock.release()

    async def _askOne(self, limit: Limit, source: Source, key: str) -> Refusal | None:
        """
        Who is to wait asks again when it is said that there could be something.
        """
        now = self._reactor.seconds
        source.fill(now())
        while wait := await limit.shared.take(key, 1):
            source.over(now())
            action = limit.action(source.overFor(now()))
            if action in _REFUSING:
                return Refusal(limit, wait, 0, action is Action.DISCONNECT)
            await deferLater(self._reactor, wait)
            source.over(now())
        return None

    def _giveBack(self) -> None:
        for source in self.sources:
            source.give(1.0)
