"""
A quota that many processes share.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable.errors import InvalidOption, Unreachable
from terminable.policy import rates
from terminable.sharing.bucket import keyOf
from terminable.sharing.link import TIMEOUT, RedisLink

#: What becomes of limits while Redis is away: nothing is limited, or nobody gets anything.
AWAY = ("open", "closed")

#: No bucket takes longer to fill, in seconds: 30 years or so.
SLOWEST = 1e9

_log = Logger()


class SharedQuota(Service):
    """
    So much per second for each key, for all processes together that use the same Redis, the
    same name, and the same rate and burst.

    Each key has a token bucket, kept by Redis on its own clock: who takes nothing for a while
    may take C{burst} at once.  Within any time, all together take no more than
    C{burst + rate * time}.

    While Redis is away, L{take} answers at once by the setting C{away}.  A question that
    Redis does not answer in time is answered in the same way; it may have been counted.  What
    was taken before is still known when Redis comes back, if Redis still knows it.

    @ivar rate: units per second.
    @ivar burst: units that may be taken at once.
    @ivar away: C{open} or C{closed}.
    @ivar link: the connection.
    """

    def __init__(
        self,
        reactor: Any,
        where: Any,
        rate: float | str,
        burst: float | str,
        away: str = "open",
        name: str = "terminable",
        timeout: float = TIMEOUT,
        required: bool = False,
    ) -> None:
        """
        @param where: a Redis server: C{redis://:password@host:6379/0}, C{rediss://...} for TLS,
            C{unix:///path?db=0}, a client endpoint, its description such as
            C{tcp:127.0.0.1:6379}, or a L{RedisLink} that several quotas have in common.
        @param rate: units per second, or a text as L{terminable.policy.rates.rate} reads it:
            C{600/min}.
        @param burst: how much may be taken at once, 1 or more.
        @param away: what is answered while Redis is away: C{open} lets everybody go on,
            C{closed} nobody.
        @param name: what all keys in Redis begin with, before a colon.
        @param timeout: how long Redis may take for one answer, in seconds; that of the link
            if there is one.
        @param required: whether L{start} fails if Redis cannot be reached.
        @raise InvalidOption: a setting that cannot be meant.
        """
        self.rate = rates.rate("rate", rate)
        self.burst = rates.amount("burst", burst)
        if self.burst < 1.0:
            raise InvalidOption("burst", burst, "1 or more")
        if self.burst / self.rate > SLOWEST:
            raise InvalidOption("rate", rate, f"a burst in no more than {SLOWEST:g} s")
        if away not in AWAY:
            raise InvalidOption("away", away, " or ".join(AWAY))
        if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 64:
            raise InvalidOption("name", name, "1 to 64 printable characters")
        self.away = away
        self.keys = name
        self.required = required
        own = not isinstance(where, RedisLink)
        self.link: RedisLink = RedisLink(reactor, where, timeout) if own else where
        self._limits = [repr(self.rate).encode(), repr(self.burst).encode()]
        self._started = False

    def __repr__(self) -> str:
        return f"<SharedQuota {self.keys}: {self.rate:g}/s at {self.link.text}>"

    def start(self) -> Deferred[None]:
        """
        Connect to Redis, and stay connected until L{stop}.

        @return: fires when Redis was reached, or could not be the first time, which is
            logged.
        @raise Unreachable: by the Deferred: it could not, and it is required.
        """
        if self._started:
            return succeed(None)
        self._started = True
        nothing = [*self._limits, b"0"]
        return self.link.start(keyOf(self.keys, ""), nothing).addCallback(self._tried)

    def _tried(self, problem: str) -> None:
        if problem and self.required and self._started:
            self.stop()
            raise Unreachable(f"Redis at {self.link.text}: {problem}")

    def stop(self) -> None:
        """
        Lose the connection.  What is asked from now on is answered as while Redis is away.
        """
        if self._started:
            self._started = False
            self.link.stop()

    def startService(self) -> None:
        """
        L{start}, and log what becomes of it.
        """
        super().startService()
        self.start().addErrback(
            lambda failure: _log.failure("{quota} is not kept", failure=failure, quota=self)
        )

    def stopService(self) -> None:
        """
        L{stop}.
        """
        super().stopService()
        self.stop()

    def take(self, key: str | bytes, amount: float = 1) -> Deferred[float]:
        """
        Take something out of a bucket, if it is there.

        @param key: whose bucket: a peer, an account.
        @param amount: how much, no more than the burst.
        @return: fires with 0.0 if it was taken; otherwise with the seconds until it could be,
            and nothing was taken.  It does not fail because of Redis.
        @raise InvalidOption: an amount that no bucket can ever have.
        """
        if not self._possible(amount):
            raise InvalidOption("amount", amount, f"more than 0, at most the burst, {self.burst:g}")
        asked = self.link.ask(keyOf(self.keys, key), [*self._limits, repr(amount).encode()])
        if asked is None:
            return succeed(self._whileAway())
        return asked.addCallbacks(self._answered, self._unanswered)

    def _possible(self, amount: Any) -> bool:
        number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        return number and 0.0 < amount <= self.burst

    def _answered(self, microseconds: int) -> float:
        return microseconds / 1e6

    def _unanswered(self, failure: Failure) -> float:
        if failure.check(CancelledError):
            failure.raiseException()
        return self._whileAway()

    def _whileAway(self) -> float:
        return 0.0 if self.away == "open" else self.link.untilNext()
