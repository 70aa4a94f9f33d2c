"""
C{watch}: how a server ends, as it happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from terminable.ctl.client import Door
from terminable.ctl.columns import Paper
from terminable.ctl.outcomes import DONE, Refused
from terminable.ctl.screen import STRAGGLERS, Picture
from terminable.ctl.words import Told, oneLine, plain, reportLines
from terminable.errors import Unreachable

#: For how many seconds a server that was lost is looked for, and how often.
PATIENCE = 10.0
PAUSE = 0.5

#: Seconds between two pictures.
INTERVAL = 1.0


class View(Protocol):
    """
    What shows how a server stands.

    @ivar wantsStragglers: whether it is to be told who they are.
    """

    wantsStragglers: bool

    def status(self, status: Told) -> object:
        """
        The server has told how it stands.
        """

    def stragglers(self, connections: list[Told]) -> object:
        """
        These are its oldest busy connections.
        """

    def note(self, text: str) -> object:
        """
        Something to know about what is seen; an empty text takes the last one back.
        """

    def report(self, report: Told) -> object:
        """
        What the stop of a server came to.
        """

    def leave(self) -> object:
        """
        There will be no more.
        """


class Lines:
    """
    A line at a time, for files, and for programs.
    """

    wantsStragglers = False

    def __init__(self, paper: Paper, now: Callable[[], float]) -> None:
        """
        @param now: tells what time it is, in seconds since 1970.
        """
        self._paper = paper
        self._now = now
        self._last = ""

    def status(self, status: Told) -> None:
        """
        See L{View.status}.
        """
        if self._paper.json:
            self._paper.value(status)
        elif not status.get("report"):
            self._line(oneLine(status))

    def stragglers(self, connections: list[Told]) -> None:
        """
        See L{View.stragglers}; the oldest stands in the line for the status.
        """

    def note(self, text: str) -> None:
        """
        See L{View.note}.
        """
        if text and not self._paper.json:
            self._line(text)

    def report(self, report: Told) -> None:
        """
        See L{View.report}; for programs it is in the status.
        """
        if not self._paper.json:
            for line in reportLines(report):
                self._line(line)

    def leave(self) -> None:
        """
        See L{View.leave}.
        """

    def _line(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S', time.localtime(self._now()))} {text}"
        if line != self._last:
            # What happens in one moment is often told several times.
            self._last = line
            self._paper.line(line)


class Screen:
    """
    A live picture on a terminal.
    """

    wantsStragglers = True

    def __init__(self, paper: Paper, reactor: Any) -> None:
        """
        @param paper: a terminal that has C{rich}.
        """
        from rich.live import Live

        self._paper = paper
        self._console: Any = paper.console
        self._reactor = reactor
        self._picture = Picture()
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._last = ""
        self._reports: list[str] = []
        self._live.start()
        self._loop = LoopingCall(self._draw)
        self._loop.clock = reactor
        # If it fails, so will the picture after the next word of the server.
        self._loop.start(INTERVAL).addErrback(lambda _: None)

    def _draw(self) -> None:
        size = self._console.size
        drawn = self._picture.drawn(self._reactor.seconds(), size.width, size.height)
        self._live.update(drawn, refresh=True)

    def status(self, status: Told) -> None:
        """
        See L{View.status}.
        """
        self._last = oneLine(status)
        self._picture.see(status, self._reactor.seconds())
        self._draw()

    def stragglers(self, connections: list[Told]) -> None:
        """
        See L{View.stragglers}.
        """
        self._picture.tell(connections, self._reactor.seconds())
        self._draw()

    def note(self, text: str) -> None:
        """
        See L{View.note}.
        """
        self._picture.note = text
        self._draw()

    def report(self, report: Told) -> None:
        """
        See L{View.report}; it is printed when the picture has gone, and its sums before that.
        """
        self._reports += reportLines(report)
        self.note(reportLines(report)[0])

    def leave(self) -> None:
        """
        See L{View.leave}.
        """
        if self._loop.running:
            self._loop.stop()
        self._live.stop()
        for line in self._reports or [self._last]:
            if line:
                self._paper.line(line)


class Watch:
    """
    Follows a server to its end, and whoever takes over from it.
    """

    def __init__(self, reactor: Any, door: Door, view: View, fresh: Callable[[], object]) -> None:
        """
        @param fresh: called to have the next question go out by a new connection, to whoever
            serves then.
        """
        self._reactor = reactor
        self._door = door
        self._view = view
        self._fresh = fresh
        self._status: Told | None = None
        self._over = False
        self._asking: Deferred[None] | None = None

    async def run(self) -> int:
        """
        @return: the exit status.
        @raise Unreachable: there is no server, or it was lost and has not come back.
        @raise Refused: it does not want to be watched.
        """
        try:
            await self._follow()
        finally:
            if self._asking is not None:
                self._asking.cancel()
            self._view.leave()
        return DONE

    async def _follow(self) -> None:
        lostAt: float | None = None
        while True:
            heard = self._status
            problem: Exception = Unreachable("the server was lost before its report")
            try:
                await self._door.events(self._received)
            except (Unreachable, Refused) as found:
                problem = found
            if self._status is None:
                raise problem
            if self._over:
                if not await self._isFollowed():
                    return
                self._over = False
                continue
            now = self._reactor.seconds()
            if lostAt is None or self._status is not heard:
                lostAt = now
            if now - lostAt >= PATIENCE:
                raise problem
            self._view.note(f"lost, looking for it: {problem}")
            await deferLater(self._reactor, PAUSE)

    async def _isFollowed(self) -> bool:
        """
        Whether another process serves instead of the one that has ended.
        """
        assert self._status is not None
        known, until = self._status, self._reactor.seconds() + PATIENCE
        while self._reactor.seconds() < until:
            self._fresh()
            try:
                status = await self._door.get("/status")
            except (Unreachable, Refused):
                return False
            if status.get("pid") != known.get("pid"):
                return True
            if status.get("upgrade") != "done":
                return False
            # It still answers, but its successor is there.
            await deferLater(self._reactor, PAUSE)
        return False

    def _received(self, name: str, told: Told) -> None:
        if name == "end":
            self._over = True
        if name == "status":
            self._seen(told)

    def _seen(self, status: Told) -> None:
        before, self._status = self._status, status
        if before is not None and before.get("pid") != status.get("pid"):
            self._over = False
            self._view.note(f"process {plain(status.get('pid'))} has taken over")
        elif before is not None:
            self._view.note("")
        self._view.status(status)
        if status.get("report") and not self._over:
            self._over = True
            self._view.report(status["report"])
        if self._view.wantsStragglers and status.get("busy") and self._asking is None:
            # Known before it is over, which it may be at once.
            self._asking = asking = Deferred.fromCoroutine(self._ask())
            asking.addBoth(self._asked)

    async def _ask(self) -> None:
        parameters = {"state": "busy", "sort": "age", "limit": str(STRAGGLERS)}
        answer = await self._door.get("/connections", parameters)
        pid = answer.get("pid")
        if pid is None:
            # By the same connection, or by one that reaches the same process.
            pid = (await self._door.get("/status")).get("pid")
        status = self._status or {}
        if pid == status.get("pid"):
            self._view.stragglers(answer.get("connections") or [])
        else:
            # A successor has answered; of those who stay behind, one is known.
            self._view.stragglers([status["oldest"]] if status.get("oldest") else [])

    def _asked(self, result: object) -> None:
        # Without an answer the last one stays; what is wrong with the server is noticed by
        # the stream.
        self._asking = None
