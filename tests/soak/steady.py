"""
A server that is never restarted, but releases its ports, suspends, drains, and passes its
connections to another one that can do the same:
C{python -m tests.soak.steady DOOR TAKES LINES [PLAIN SECURE PEM]}.

It takes connections by the UNIX socket C{TAKES}; those of the port C{LINES} speak lines, the
others HTTP.  Without the other ports it listens on none.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.python import log

from terminable import Terminator
from terminable.handover.doorway import connectTo, listenForConnections
from terminable.handover.moving import moveAll
from terminable.handover.taking import silentPort
from tests.soak.door import openDoor
from tests.soak.journal import GRACE, IDLE_GRACE
from tests.soak.serving import lines, web

reactor: Any = _reactor


class Steady:
    """
    The server, and what its door orders.
    """

    def __init__(self, line: int, ports: list[str]) -> None:
        """
        @param line: the number of the port at which there are lines.
        @param ports: the numbers of the others, plain and with TLS, and the certificate.
        """
        self.terminator = Terminator(reactor, gracePeriod=GRACE, idleGrace=IDLE_GRACE)
        self.endpoints: list[Any] = []
        self._line = line
        self._senders: dict[str, Any] = {}
        self._web, self._lines = web(), lines()
        if ports:
            plain, secure, pem = ports
            where = "interface=127.0.0.1:backlog=512"
            for text, factory in (
                (f"tcp:{plain}:{where}", self._web),
                (f"ssl:{secure}:{where}:privateKey={pem}:certKey={pem}", self._web),
                (f"tcp:{line}:{where}", self._lines),
            ):
                self.endpoints.append((serverFromString(reactor, text), factory))
        wrap = self.terminator.wrap
        self._silentWeb = silentPort(reactor, wrap(self._web))
        self._silentLines = silentPort(reactor, wrap(self._lines))

    async def listen(self) -> None:
        """
        Open the ports.
        """
        for endpoint, factory in self.endpoints:
            await self.terminator.listen(endpoint, factory)

    def portFor(self, host: Any) -> Any:
        """
        Who takes a connection that came in there.
        """
        return self._silentLines if host.port == self._line else self._silentWeb

    def release(self, keep: bool) -> Deferred[Any]:
        """
        Release the ports, and listen again; answers when the old generation is gone.
        """
        return ensureDeferred(self._release(keep))

    async def _release(self, keep: bool) -> dict[str, Any]:
        old = await self.terminator.release(keep=keep)
        await self.listen()
        listening = time.monotonic()
        return {**_told(await old.terminate()), "listening": listening}

    def suspend(self, seconds: float) -> Deferred[Any]:
        """
        Suspend for so long.
        """
        return ensureDeferred(self._suspend(seconds))

    async def _suspend(self, seconds: float) -> dict[str, Any]:
        await self.terminator.suspend()
        await deferLater(reactor, seconds)
        self.terminator.resume()
        return {"listening": time.monotonic()}

    def drain(self, **choice: Any) -> Deferred[Any]:
        """
        Drain some.
        """
        return self.terminator.drain(**choice).addCallback(_told)

    def give(self, path: str, until: float) -> Deferred[Any]:
        """
        Pass connections to another process.
        """
        return ensureDeferred(self._give(path, until))

    async def _give(self, path: str, until: float) -> dict[str, Any]:
        sender = self._senders.get(path)
        if sender is None or sender.lost:
            sender = self._senders[path] = await connectTo(reactor, path)
        moved = await moveAll(reactor, self.terminator.connections(), sender, until)
        return {"moved": moved.moved, "ended": moved.ended, "left": dict(moved.left)}

    def stop(self) -> dict[str, Any]:
        """
        End politely, and then the process.
        """
        # Not before this has been answered.
        ending: Deferred[Any] = deferLater(reactor, 0.1, self.terminator.terminate)
        ending.addErrback(lambda reason: log.err(reason))
        ending.addBoth(lambda _: reactor.stop())
        return {}

    def status(self) -> dict[str, Any]:
        """
        How many connections there are.
        """
        return {"connections": len(self.terminator.connections())}


def _told(report: Any) -> dict[str, Any]:
    names = ("opened", "before", "idle", "finished", "left", "aborted", "seconds")
    told: dict[str, Any] = {name: getattr(report, name) for name in names}
    told["entries"] = [
        {"peer": entry.peer, "outcome": entry.outcome.value} for entry in report.entries
    ]
    return told


def main(door: str, takes: str, line: str, *ports: str) -> None:
    """
    Serve.
    """
    log.startLogging(sys.stdout)
    steady = Steady(int(line), list(ports))
    orders = ("release", "suspend", "drain", "give", "stop", "status")
    listening = ensureDeferred(steady.listen())
    listening.addErrback(lambda reason: log.err(reason))
    listenForConnections(reactor, takes, steady.portFor)
    listening.addCallback(
        lambda _: openDoor(reactor, door, {name: getattr(steady, name) for name in orders})
    )
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
