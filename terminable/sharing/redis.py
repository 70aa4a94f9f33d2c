"""
One connection to Redis, by C{txredisapi}.

That library speaks the protocol: commands, answers, passwords, scripts.  What to do when
there is no connection is decided in L{terminable.sharing.link}: the library's own pools keep
questions for as long as Redis is away, and a limit must answer at once.
"""

from __future__ import annotations

from typing import Any

import txredisapi  # type: ignore[import-untyped]
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from terminable.sharing.place import Place

#: Redis does not answer, or not as it should.
RedisFailed = txredisapi.RedisError


class _Protocol(txredisapi.RedisProtocol):  # type: ignore[misc]
    """
    @ivar problem: why the connection is over.
    """

    problem = ""

    def __init__(self, reactor: Any, place: Place, timeout: float) -> None:
        super().__init__(
            charset=None,
            replyTimeout=timeout,
            username=place.username,
            password=place.password,
            dbid=place.db,
        )
        # The library counts time by the reactor that is installed.
        self.callLater = reactor.callLater

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """
        Whoever is at the other end may be no Redis at all.
        """
        try:
            super().dataReceived(data, unpause)
        except Exception as problem:
            self.problem = f"it does not speak as Redis does: {problem}"
            leave(self)

    def connectionLost(self, why: Failure) -> None:
        """
        The end of it, whoever wanted that.
        """
        self.problem = self.problem or why.getErrorMessage()
        super().connectionLost(why)


class _OneConnection(ClientFactory):
    """
    What the library's protocol expects of its factory.
    """

    isLazy = False
    noisy = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.factory = self

    def buildProtocol(self, addr: Any) -> Any:
        return self._protocol

    def stopTrying(self) -> None:
        """
        The password or the database was refused.  Somebody may mend that.
        """

    def connectionError(self, why: str) -> None:
        """
        That is why.
        """
        self._protocol.problem = why


async def connect(reactor: Any, place: Place, timeout: float) -> Any:
    """
    Connect, and be let in.

    @param timeout: how long Redis may take for an answer, in seconds.  When it has taken
        longer once, all questions on the connection fail, and it is aborted.
    @return: a C{txredisapi} protocol.
    @raise RedisFailed: Redis has refused the password or the database, or has gone.
    """
    protocol = _Protocol(reactor, place, timeout)
    let: Deferred[Any] = Deferred()
    protocol.whenConnected().addCallback(let.callback)

    def lost(_: Any) -> None:
        if not let.called:
            let.errback(Failure(RedisFailed(protocol.problem)))

    protocol.whenDisconnected().addCallback(lost)
    await place.endpoint.connect(_OneConnection(protocol))
    try:
        return await let
    except BaseException:
        leave(protocol)
        raise


def leave(protocol: Any) -> None:
    """
    Lose a connection; questions that are not answered fail.
    """
    if protocol.connected:
        protocol.transport.abortConnection()


def lost(protocol: Any) -> Deferred[Any]:
    """
    @return: fires when the connection is over.
    """
    return protocol.whenDisconnected()  # type: ignore[no-any-return]


def run(protocol: Any, script: bytes, key: bytes, arguments: list[bytes]) -> Deferred[Any]:
    """
    Have Redis run a script: by its digest, if the connection has seen it, and in full if Redis
    has not.

    @return: fires with the answer, or fails with C{RedisFailed}.
    """
    return protocol.eval(script, [key], arguments)  # type: ignore[no-any-return]
