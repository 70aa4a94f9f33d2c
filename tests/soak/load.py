"""
The load of a soak: clients that never retry, in a thread of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.soak.journal import Findings, Loss
from tests.soak.wire import Wire, trusting

#: Seconds that a client waits after it was refused.
AFTER_FAILURE = 0.2


@dataclass
class Target:
    """
    A server.

    @ivar name: what it is called in the soak.
    @ivar plain: its port for the web.
    @ivar secure: its port for the web with TLS.
    @ivar lines: its port for lines; each of the three is 0 if there is none.
    @ivar resting: whether it is to be left alone.
    @ivar connected: how many clients are connected.
    """

    name: str
    plain: int = 0
    secure: int = 0
    lines: int = 0
    resting: threading.Event = field(default_factory=threading.Event)
    connected: int = 0


class Client:
    """
    One client, which has one connection after the other.

    @cvar kind: what it is called.
    @cvar window: a size for its receive buffer, in bytes.
    """

    kind = ""
    window: int | None = None

    def __init__(self, load: Load, target: Target, secure: bool, seed: str) -> None:
        """
        @param secure: whether to speak TLS.
        @param seed: what its choices come from.
        """
        self.load, self.target, self.secure = load, target, secure
        self.random = random.Random(seed)
        self.name = f"{self.kind}{', TLS' if secure else ''}"
        self.port = target.secure if secure else target.plain
        self._until = 0.0

    @property
    def stopping(self) -> bool:
        """
        Whether to come to an end.
        """
        return self.load.stopping or self.target.resting.is_set()

    @property
    def leaving(self) -> bool:
        """
        Whether it is time for another connection.
        """
        return self.stopping or time.monotonic() > self._until

    async def run(self) -> None:
        """
        Go on until the load stops.
        """
        while not self.load.stopping:
            if self.target.resting.is_set():
                await asyncio.sleep(0.1)
                continue
            wire = await self._connect()
            if wire is None:
                await asyncio.sleep(AFTER_FAILURE)
                continue
            self._until = time.monotonic() + self.random.uniform(1.0, 8.0)
            self.target.connected += 1
            try:
                await self.talk(wire)
            finally:
                self.target.connected -= 1
                wire.close()

    async def _connect(self) -> Wire | None:
        began = time.monotonic()
        try:
            context = self.load.context if self.secure else None
            wire = await Wire.open(self.port, context, self.window)
        except OSError as problem:
            self.lose("refused", repr(problem), began=began)
            return None
        self.count("connections")
        try:
            await wire.shake()
        except OSError as problem:
            self.lose("lost", f"no handshake: {problem!r}", wire, began=wire.opened)
            wire.close()
            return None
        return wire

    async def talk(self, wire: Wire) -> None:
        """
        Use a connection, to its end.
        """
        raise NotImplementedError

    async def pause(self, seconds: float) -> None:
        """
        Say nothing for so long, or until the end.
        """
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.2))

    def count(self, what: str, by: int = 1) -> None:
        """
        Something has happened.
        """
        self.load.counts[self.name, what] += by

    def lose(
        self,
        what: str,
        why: str,
        wire: Wire | None = None,
        *,
        began: float,
        spoke: float = 0.0,
        number: int = 0,
    ) -> None:
        """
        Something is missing; see L{Loss}.
        """
        self.count(what)
        details = {} if wire is None else {"peer": wire.name, "opened": wire.opened}
        self.load.findings.lose(
            Loss(
                self.target.name,
                self.name,
                what,
                why,
                number=number,
                spoke=spoke,
                began=began,
                when=time.monotonic(),
                pid=wire.pid if wire else 0,
                **details,  # type: ignore[arg-type]
            )
        )


class Load(threading.Thread):
    """
    All of them.

    @ivar counts: how often what has happened, by kind of client.
    @ivar numbers: one for each request.
    @ivar unheard: requests that were not answered, on connections that were told to go before:
        no server may have begun with them.
    @ivar stopping: whether to come to an end.
    @ivar problem: what has ended it otherwise.
    """

    def __init__(self, findings: Findings, seed: str) -> None:
        super().__init__(daemon=True, name="load")
        self.findings = findings
        self.counts: Counter[tuple[str, str]] = Counter()
        self.numbers = itertools.count(1)
        self.unheard: set[int] = set()
        self.context = trusting()
        self.stopping = False
        self.problem: BaseException | None = None
        self._seed = seed
        self._clients: list[Client] = []
        self._ready: list[Client] = []

    def add(self, target: Target, kinds: Iterable[tuple[Callable[..., Client], bool]]) -> None:
        """
        Have clients for a server, which serves; may be called while others run.

        @param kinds: classes, and whether each speaks TLS.
        """
        for number, (kind, secure) in enumerate(kinds):
            seed = f"{self._seed} {target.name} {number}"
            self._ready.append(kind(self, target, secure, seed))

    def run(self) -> None:
        """
        Go on until L{stop}.
        """
        try:
            asyncio.run(self._run())
        except BaseException as problem:
            self.problem = problem

    async def _run(self) -> None:
        tasks: set[asyncio.Task[Any]] = set()
        while not self.stopping:
            while self._ready:
                tasks.add(asyncio.create_task(self._ready.pop(0).run()))
            await asyncio.sleep(0.1)
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                # A client of ours has failed: that is no loss, but a fault of the soak.
                task.result()
        await asyncio.gather(*tasks)

    def total(self, what: str) -> int:
        """
        How often something has happened, in all.
        """
        return sum(count for (_, name), count in list(self.counts.items()) if name == what)

    def stop(self, patience: float = 90.0) -> None:
        """
        Begin nothing more, and return when everything is over.

        @raise RuntimeError: it does not come to an end, or has failed.
        """
        self.stopping = True
        self.join(patience)
        if self.is_alive() or self.problem is not None:
            raise RuntimeError(f"the load has failed: {self.problem!r}") from self.problem
