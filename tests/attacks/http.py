"""
Random conversations by HTTP/1.1, with a stop at a random moment.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections import Counter
from collections.abc import Callable, Container
from typing import Any

from hypothesis import strategies as some
from twisted.internet import tcp, unix
from twisted.python.failure import Failure

from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.policy.schedule import GIVE_UP, LAST_WORD
from terminable.terminator import Terminator
from terminable.tracking.layers import addressText
from tests.attacks.clients import Client
from tests.attacks.faulty import Injected, isTwisted
from tests.attacks.guests import counting
from tests.attacks.reading import Asked, Broken, Reader, frames
from tests.attacks.site import Answering, siteOf
from tests.attacks.stage import LogWatch, StageReactor
from tests.attacks.talks import STEPS, TIMES, Request, talks
from tests.attacks.watching import faultsOf
from tests.doubles import Boom

#: What has happened in all runs of this process.
SEEN: Counter[str] = Counter()

_numbers = itertools.count()


class Conversation:
    """
    A site, its clients, and a stop.

    @cvar client: makes a client.
    """

    client: Callable[..., Client] = Client

    def __init__(
        self,
        way: str,
        family: str,
        settings: dict[str, Any],
        made: Callable[[Any], Any] = lambda base: base,
        reactor: StageReactor | None = None,
    ) -> None:
        """
        @param way: C{"own"} has the port's transports record themselves, C{"wrapped"} the
            factory; then connections that end before the stop do not linger.
        @param made: makes another one of a port's class.
        """
        self.reactor = StageReactor() if reactor is None else reactor
        self.watch = LogWatch(isTwisted)
        self.terminator = Terminator(self.reactor, **settings)
        self._lingers = way == "own"
        self.answering = Answering(self.hinting, self.stop)
        self.result: Any = None
        self.reports: list[Report] = []
        site: Any = self._site()
        serves = site if way == "own" else self.terminator.wrap(site)
        if family == "tcp":
            kind = made(tcp.Port)
            self.port: Any = kind(0, serves, interface="127.0.0.1", reactor=self.reactor)
        else:
            path: Any = f"\0http-{os.getpid()}-{next(_numbers)}"
            self.port = made(unix.Port)(path, serves, reactor=self.reactor)
        self.port.transport = counting(self.port.transport, SEEN, self._accepted)
        self.port.startListening()
        if way == "own":
            self.terminator.attach(self.port)
        self.address = self.port.socket.getsockname()
        self.clients: list[Client] = []

    def _site(self) -> Any:
        return siteOf(self.answering, self.reactor)

    def connect(self, talk: Any) -> None:
        """
        One more client.
        """
        sock = socket.socket(self.port.addressFamily)
        if sock.family == socket.AF_UNIX:
            sock.bind(f"\0client-{os.getpid()}-{next(_numbers)}")
        else:
            # What was sent has arrived.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self.address)
        sock.setblocking(False)
        name: Any = sock.getsockname()
        name = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix:" + name.decode("ascii")
        self.clients.append(self.client(talk, sock, name))

    def stop(self) -> None:
        """
        End it.
        """
        if self.result is None:
            SEEN["stops"] += 1
            for client in self.clients:
                client.before = client.transport is not None and not client.transport.connected
            self.result = self.terminator.terminate()
            self.result.addCallback(self.reports.append)

    def hinting(self) -> bool:
        """
        Whether answers that begin now are to say that they are the last; at the deadline it is
        too late for that.
        """
        return self.terminator.phase in (Phase.QUIESCING, Phase.DRAINING)

    def do(self, what: str, who: int, size: int) -> None:
        """
        One step.
        """
        client = self.clients[who % len(self.clients)]
        SEEN[what] += 1
        if what == "send":
            client.send(size)
        elif what == "read":
            client.read(size * 100)
        elif what in ("halfEnd", "leave"):
            client.leave(what == "halfEnd")
        elif what == "turn":
            self.reactor.turn()
        elif what == "pass":
            self.reactor.go(size / 1000, 0.02)
        elif what == "goOn":
            self.goOn()
        else:
            self.stop()
        self.look()

    def goOn(self) -> None:
        """
        The application goes on with what has waited longest.
        """
        with contextlib.suppress(Injected):
            self.answering.goOn()

    def _accepted(self, transport: Any) -> None:
        name = addressText(transport.getPeer())
        for client in self.clients:
            if client.name == name:
                client.transport = transport

    def look(self) -> None:
        """
        Who was told to go?
        """
        for client in self.clients:
            client.look()

    def end(self) -> None:
        """
        Everybody says the rest, is answered, and reads, until the end.
        """
        for _ in range(400):
            if self.terminator.phase is Phase.TERMINATED and self.result is not None:
                break
            self.goOn()
            self.look()
            for client in self.clients:
                client.proceed()
                client.send(70)
                client.read(30_000)
            self.reactor.turn(0.02)
            self.look()
            gone = any(client.over or client.left or client.half for client in self.clients)
            if gone or all(client.said for client in self.clients):
                self.stop()
        # One that was aborted in the moment in which it ended is told of it once more.
        self.reactor.turn()
        for client in self.clients:
            client.read(2**24)

    def finish(self) -> None:
        """
        Leave nothing.
        """
        self.watch.stop()
        for client in self.clients:
            client.socket.close()
        for descriptor in {*self.reactor.readers, *self.reactor.writers}:
            descriptor.connectionLost(Failure(Boom()))

    # -- what has to be true

    def check(self, victims: Container[int] = ()) -> None:
        """
        @param victims: the numbers of the clients whose sockets fail: they may lose answers.
        @raise AssertionError: a guarantee is broken.
        """
        assert self.terminator.phase is Phase.TERMINATED, self.terminator
        assert not self.watch.findings, "\n".join(self.watch.findings)
        [report] = self.reports
        assert not faultsOf(report), faultsOf(report)
        limit = (self.terminator.schedule.gracePeriod or 0) + LAST_WORD + GIVE_UP + 0.1
        assert report.seconds <= limit, report
        assert not self.reactor.getDelayedCalls(), self.reactor.getDelayedCalls()
        assert not self.reactor.readers and not self.reactor.writers
        named = {entry.peer for entry in report.entries}
        for number, client in enumerate(self.clients):
            try:
                self._checkOne(client, number in victims or client.name in named)
            except (AssertionError, Broken) as error:
                raise AssertionError(f"{error}: {self._tell(client, report)}") from error

    def _tell(self, client: Client, report: Report) -> str:
        return (
            f"{client.talk} received {client.received[-300:]!r}, over {client.over!r}, sent "
            f"{client.sent} of {len(client.data)}, arrived {client.arrived}; {report}"
        )

    def _checkOne(self, client: Client, isNamed: bool) -> None:
        talk = self._counted(client)
        reader = Reader(client.received, [Asked(it.method, it.expects) for it in talk])
        replies = reader.replies
        complete = self._complete(client, talk)
        SEEN["answers"] += len(replies)
        SEEN["answered" if not isNamed else "named"] += 1
        if client.left or client.transport is None:
            # It went by itself, or was never accepted.
            assert client.left or not client.received, "answered, but unknown"
            return
        for number, reply in enumerate(replies):
            if number < len(talk) and talk[number].isAnswer(reply):
                continue
            instead = isNamed or client.half
            words = (503, 408) if isNamed else (400,)
            last = number == len(replies) - 1
            assert last and ((instead and reply.status in words) or reply.untilEnd), (
                f"answer {number} is {reply.status} {reply.body[:100]!r}"
            )
        if isNamed or (client.before and not self._lingers):
            return
        if not client.half:
            # Twisted's HTTP takes that for the end.
            assert not reader.partial, "an answer is cut off"
            assert len(replies) >= complete, f"{len(replies)} answers to {complete} requests"
        self._checkLast(client, talk, reader)

    def _counted(self, client: Client) -> list[Request]:
        for number, request in enumerate(client.talk):
            if request.last:
                return client.talk[: number + 1]
        return client.talk

    def _complete(self, client: Client, talk: list[Request]) -> int:
        arrived = client.sent if client.arrived is None else client.arrived
        complete = length = 0
        for request in talk:
            length += len(request.data)
            complete += length <= arrived and request.how != "invalid"
        return complete

    def _checkLast(self, client: Client, talk: list[Request], reader: Reader) -> None:
        replies = reader.replies
        ends = [reply.ends for reply in replies]
        assert not any(ends[:-1]), f"not the last, but it says so: {ends}"
        if reader.upgraded is not None:
            found, partial = frames(reader.upgraded)
            assert not partial, "a frame is cut off"
            codes = [code for code, _ in found]
            SEEN["WebSockets ended"] += codes[-1:] == [8]
            assert 8 not in codes[:-1], "something after the close frame"
            return
        if not replies or ends[-1] or client.half or len(replies) > len(talk):
            return
        request = talk[len(replies) - 1]
        behind = client.sent > sum(len(it.data) for it in talk[: len(replies)])
        early = request.path in self.answering.early
        assert early or behind or request.last, f"{request} was the last, and is not told so"
        SEEN["last without a word"] += 1


#: What a conversation is made of.
PLAN: dict[str, Any] = {
    "way": some.sampled_from(["own", "wrapped"]),
    "family": some.sampled_from(["unix", "unix", "tcp"]),
    "settings": TIMES,
    "talk": some.lists(talks(), min_size=1, max_size=2),
    "steps": STEPS,
}


def conversation(
    way: str,
    family: str,
    settings: dict[str, float],
    talk: list[list[Request]],
    steps: list[tuple[str, int, int]],
) -> None:
    """
    One conversation, and whether all guarantees held in it.
    """
    converse(Conversation, way, family, settings, talk, steps)


def converse(
    kind: Callable[..., Conversation],
    way: str,
    family: str,
    settings: dict[str, float],
    talk: list[Any],
    steps: list[tuple[str, int, int]],
) -> None:
    """
    One of some kind.
    """
    SEEN["examples"] += 1
    SEEN[f"{way} {family}"] += 1
    if settings["quiesce"] + settings["idleGrace"] > settings["gracePeriod"]:
        settings = {**settings, "quiesce": 0.0, "idleGrace": 0.0}
    on = kind(way, family, settings)
    try:
        for one in talk:
            on.connect(one)
        for step in steps:
            on.do(*step)
        on.end()
        on.check()
    finally:
        on.finish()
