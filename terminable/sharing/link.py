"""
Being connected to Redis, as far as it is there.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import InvalidOption
from terminable.policy.backoff import Backoff
from terminable.sharing.bucket import SCRIPT
from terminable.sharing.place import placeOf

#: How long Redis may take for one answer, in seconds, if nobody says so.
TIMEOUT = 0.25

#: How long it may take to connect, to be let in, and to have the script run once, in seconds.
CONNECTING = 5.0

#: How many questions may be unanswered at a time.
UNANSWERED = 10_000

_log = Logger()


class RedisLink:
    """
    One connection to a Redis server, made again whenever it is lost: after 0.1 s, and after
    twice as long each time, up to 10 s.

    It may serve several quotas: who starts it first connects, and it is lost when the last
    has stopped it.  What is asked in one turn of the reactor is sent together.

    @ivar text: where the server is, without a password.
    @ivar timeout: how long it may take for an answer, in seconds.
    """

    def __init__(self, reactor: Any, where: Any, timeout: float = TIMEOUT) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorTime}, and whatever is
            needed to connect.
        @param where: as L{terminable.sharing.place.placeOf} understands it: C{redis://host/0},
            C{rediss://...}, C{unix:///path}, an endpoint, or its description.
        @param timeout: how long Redis may take for one answer, in seconds.
        @raise InvalidOption: a setting that cannot be meant, or C{txredisapi} is not installed.
        """
        number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
        if not number or not 0.0 < timeout <= sys.float_info.max:
            raise InvalidOption("timeout", timeout, "a number of seconds, more than 0")
        self._reactor = reactor
        self._place = placeOf(reactor, where)
        self.text = self._place.text
        self.timeout = float(timeout)
        try:
            redis: Any = import_module("terminable.sharing.redis")
        except ImportError:
            expected = "the library txredisapi: pip install 'txterminable[redis]'"
            raise InvalidOption("redis", self.text, expected) from None
        self._redis = redis
        self._users = 0
        # One of its own for each time from start to stop.
        self._life: object = None
        self._living: Deferred[None] = Deferred()
        self._tried: list[Deferred[str]] = []
        # Why Redis is away; empty if it is there, C{None} if that is not known yet.
        self._reason: str | None = None
        self._protocol: Any = None
        self._trial: tuple[bytes, list[bytes]] = (b"", [])
        self._unanswered = 0
        self._again = 0.0

    @property
    def connected(self) -> bool:
        """
        Whether Redis can be asked now.
        """
        return self._protocol is not None

    def untilNext(self) -> float:
        """
        @return: the seconds until it is known next whether Redis is there: until it is tried
            to connect, or the time for an answer if that is longer.
        """
        wait: float = self._again - self._reactor.seconds()
        return max(self.timeout, wait)

    def start(self, key: bytes, arguments: list[bytes]) -> Deferred[str]:
        """
        Connect, and stay connected.

        @param key: what each new connection is tried with, by a question like all others that
            takes nothing: of the first who starts it.
        @param arguments: the others of that question.
        @return: fires when the first attempt is over: with why it failed, or with nothing.
        """
        self._users += 1
        if self._life is None:
            self._life = object()
            self._trial = key, arguments
            self._living = Deferred.fromCoroutine(self._live(self._life))
            self._living.addErrback(lambda failure: failure.trap(CancelledError))
        if self._reason is not None:
            return succeed(self._reason)
        self._tried.append(Deferred())
        return self._tried[-1]

    def stop(self) -> None:
        """
        No longer needed by one of those who have started it.
        """
        self._users = max(0, self._users - 1)
        if self._users or self._life is None:
            return
        self._life = None
        protocol, self._protocol = self._protocol, None
        self._reason = None
        self._living.cancel()
        if protocol is not None:
            self._redis.leave(protocol)
        self._tell("stopped")

    def ask(self, key: bytes, arguments: list[bytes]) -> Deferred[int] | None:
        """
        Run the script.

        @return: fires with its answer, or fails; C{None} if nobody can be asked now.
        """
        if self._protocol is None or self._unanswered >= UNANSWERED:
            return None
        self._unanswered += 1
        return self._run(self._protocol, key, arguments).addBoth(self._answered)

    def _answered(self, outcome: Any) -> Any:
        self._unanswered -= 1
        return outcome

    def _run(self, protocol: Any, key: bytes, arguments: list[bytes]) -> Deferred[Any]:
        answer: Deferred[Any] = self._redis.run(protocol, SCRIPT, key, arguments)
        answer.addCallback(self._check).addErrback(self._failed, protocol)
        return answer

    def _check(self, answer: Any) -> Any:
        if not isinstance(answer, int):
            raise self._redis.RedisFailed(f"a number was expected, not {answer!r:.80}")
        return answer

    def _failed(self, failure: Failure, protocol: Any) -> Failure:
        """
        Whoever cannot answer one question is not asked another one for a while.
        """
        if not failure.check(CancelledError):
            protocol.problem = protocol.problem or failure.getErrorMessage()
            if self._protocol is protocol:
                self._protocol = None
            self._redis.leave(protocol)
        return failure

    async def _live(self, life: object) -> None:
        backoff = Backoff()
        # Whoever is told how it is may stop it there and then.
        while self._life is life:
            lived = 0.0
            try:
                protocol = await self._connect()
            except CancelledError:
                raise
            except Exception as problem:
                reason = str(problem) or type(problem).__name__
            else:
                begun = self._reactor.seconds()
                await self._serve(protocol)
                lived = self._reactor.seconds() - begun
                reason = protocol.problem
            wait = backoff.after(lived)
            if self._life is life:
                self._again = self._reactor.seconds() + wait
                self._away(reason)
            if self._life is life:
                await deferLater(self._reactor, wait)

    async def _connect(self) -> Any:
        """
        @return: a connection on which the script has run.
        """
        connecting = self._redis.connect(self._reactor, self._place, self.timeout)
        attempt = Deferred.fromCoroutine(connecting).addTimeout(CONNECTING, self._reactor)
        protocol = await attempt
        try:
            await self._run(protocol, *self._trial)
        except BaseException:
            self._redis.leave(protocol)
            raise
        return protocol

    async def _serve(self, protocol: Any) -> None:
        """
        Return when the connection is over.
        """
        over = self._redis.lost(protocol)
        self._back(protocol)
        await over

    def _back(self, protocol: Any) -> None:
        if self._reason:
            _log.info("Redis at {where} is back", event=events.REDIS_BACK, where=self.text)
        self._protocol = protocol
        self._reason = ""
        self._tell("")

    def _away(self, reason: str) -> None:
        self._protocol = None
        if not self._reason:
            _log.warn(
                "Redis at {where} is away: {reason}",
                event=events.REDIS_AWAY,
                where=self.text,
                reason=reason,
            )
        self._reason = reason
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        """
        Whoever waits for the first attempt is told how it went.
        """
        tried, self._tried = self._tried, []
        for waiting in tried:
            waiting.callback(reason)
