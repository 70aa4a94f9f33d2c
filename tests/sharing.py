"""
A Redis server in memory, as far as a quota speaks with one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.sharing import SharedQuota, link
from terminable.sharing.place import Place


class Wire:
    """
    A client's transport, and what the server makes of it.  Everything takes until the
    clock is advanced.
    """

    disconnecting = False
    over = False

    def __init__(self, redis: FakeRedis, protocol: Any) -> None:
        self.redis = redis
        self.protocol = protocol
        self.received = b""
        self.let = redis.password is None

    def write(self, data: bytes) -> None:
        self.received += data
        self.redis.clock.callLater(0, self._read)

    def _read(self) -> None:
        replies = b""
        while not self.over and (words := self._command()):
            self.redis.commands.append(words)
            if not self.redis.silent:
                replies += self.redis.answer(self, words)
        if replies and not self.over:
            self.protocol.dataReceived(replies)

    def _command(self) -> list[bytes]:
        """
        An array of bulk strings.
        """
        if not self.received:
            return []
        head, _, rest = self.received.partition(b"\r\n")
        words = []
        for _ in range(int(head[1:])):
            length, _, rest = rest.partition(b"\r\n")
            size = int(length[1:])
            words.append(rest[:size])
            rest = rest[size + 2 :]
        self.received = rest
        return words

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.redis.clock.callLater(0, self.end, connectionDone)

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.redis.clock.callLater(0, self.end, Failure(ConnectionLost()))

    def end(self, reason: Failure = connectionDone) -> None:
        """
        The connection is over.
        """
        if not self.over:
            self.over = True
            self.redis.wires.remove(self)
            self.protocol.connectionLost(reason)


@implementer(IStreamClientEndpoint)
class FakeRedis:
    """
    @ivar refusing: whether nobody listens.
    @ivar hanging: whether connecting takes for ever.
    @ivar silent: whether questions are not answered.
    @ivar reply: what the script answers, or what is called to know.
    @ivar password: what is asked for.
    @ivar commands: all that was received.
    @ivar attempts: when somebody has tried to connect, in seconds.
    """

    refusing = hanging = silent = False
    reply: bytes | Callable[[list[bytes]], bytes] = b":0\r\n"
    password: bytes | None = None

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.wires: list[Wire] = []
        self.commands: list[list[bytes]] = []
        self.scripts: set[bytes] = set()
        self.attempts: list[float] = []

    def __repr__(self) -> str:
        return "<memory>"

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts.append(self.clock.seconds())
        if self.refusing:
            return fail(ConnectionRefusedError())
        if self.hanging:
            return Deferred()
        protocol = factory.buildProtocol(None)
        self.wires.append(Wire(self, protocol))
        protocol.makeConnection(self.wires[-1])
        return succeed(protocol)

    def answer(self, wire: Wire, words: list[bytes]) -> bytes:
        """
        Carry out a command.
        """
        if words[0] == b"AUTH":
            wire.let = words[-1] == self.password
            return b"+OK\r\n" if wire.let else b"-WRONGPASS no\r\n"
        if not wire.let:
            return b"-NOAUTH Authentication required.\r\n"
        if words[0] == b"SELECT":
            return b"+OK\r\n" if int(words[1]) < 16 else b"-ERR DB index is out of range\r\n"
        if words[0] == b"EVALSHA" and words[1] not in self.scripts:
            return b"-NOSCRIPT No matching script. Please use EVAL.\r\n"
        if words[0] == b"EVAL":
            self.scripts.add(hashlib.sha1(words[1]).hexdigest().encode())
        if callable(self.reply):
            return self.reply(words)
        # The first question of a connection takes nothing, and is answered.
        return self.reply if words[-1] != b"0" else b":0\r\n"

    def stop(self) -> None:
        """
        The server goes.
        """
        self.refusing = True
        for wire in list(self.wires):
            wire.end()


class SharingTestCase(SynchronousTestCase):
    """
    A server, a clock, and what is logged.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.log: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_namespace", "").startswith("terminable.sharing"):
                self.log.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def quota(self, where: Any = None, **settings: Any) -> SharedQuota:
        """
        One that was not started.
        """
        settings = {"rate": 10, "burst": 5, **settings}
        return SharedQuota(self.clock, where or self.redis, **settings)

    def started(self, **settings: Any) -> SharedQuota:
        """
        One that has been connected, if it can be.
        """
        quota = self.quota(**settings)
        quota.start()
        self.turn()
        return quota

    def place(self, **settings: Any) -> None:
        """
        Have all places mean our server, with whatever is needed to be let in.
        """
        place = Place(self.redis, "there", **settings)
        self.patch(link, "placeOf", lambda reactor, where: place)

    def turn(self, seconds: float = 0.0) -> None:
        """
        Let time go by, and everything that is due happen.
        """
        self.clock.advance(seconds)
        for _ in range(8):
            self.clock.advance(0)

    def take(self, quota: SharedQuota, key: str = "a", amount: float = 1) -> float:
        """
        What is answered.
        """
        answer = quota.take(key, amount)
        self.turn()
        return self.successResultOf(answer)
