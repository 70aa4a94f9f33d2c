"""
Each command, carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from terminable.ctl import orders as given
from terminable.ctl.client import Door
from terminable.ctl.columns import Paper
from terminable.ctl.outcomes import DONE, STRAGGLERS, Refused
from terminable.ctl.views import showConnections, showStatus
from terminable.ctl.watch import Lines, Screen, View, Watch
from terminable.ctl.words import Told, oneLine, plain, reportLines
from terminable.errors import Unreachable

#: Seconds between two questions whether a successor serves.
PAUSE = 0.5

#: What is said about a restart where there is nothing that could be replaced.
NO_WORKERS = "this server has no workers (--workers); to replace it, use upgrade"


class Session:
    """
    One command line at work.

    @ivar reactor: its reactor.
    @ivar door: whom to ask.
    @ivar paper: where to print.
    @ivar fresh: called to have the next question go out by a new connection.
    """

    def __init__(
        self, reactor: Any, door: Door, paper: Paper, fresh: Callable[[], object] = lambda: None
    ) -> None:
        self.reactor = reactor
        self.door = door
        self.paper = paper
        self.fresh = fresh

    async def run(self, command: Any) -> int:
        """
        @param command: one of L{given.COMMANDS}.
        @return: the exit status.
        @raise Refused: the server will not.
        @raise Unreachable: it cannot be reached.
        """
        do = next((do for kind, do in _DEEDS if isinstance(command, kind)), Session._tell)
        try:
            return await do(self, command)
        except Refused as problem:
            if problem.status != HTTPStatus.BAD_REQUEST:
                raise
            # What cannot be meant was typed here.
            raise Refused(given.asTyped(problem.reason), problem.status) from None

    async def _tell(self, command: given.Command) -> int:
        """
        Tell the server what to do, and print how it stands.
        """
        answer = await self.door.post(str(command.path), command.body())
        self._show(answer)
        return DONE

    def _show(self, status: Told) -> None:
        if self.paper.json:
            self.paper.value(status)
        else:
            self.paper.line(oneLine(status))

    async def _status(self, command: given.Status) -> int:
        status = await self.door.get("/status")
        if self.paper.json:
            self.paper.value(status)
        else:
            showStatus(self.paper, status)
        return DONE

    async def _connections(self, command: given.Connections) -> int:
        answer = await self.door.get("/connections", command.parameters())
        if self.paper.json:
            self.paper.value(answer)
        else:
            showConnections(self.paper, answer)
        return DONE

    async def _watch(self, command: given.Watch) -> int:
        view: View
        if self.paper.console is None:
            view = Lines(self.paper, self.reactor.seconds)
        else:
            view = Screen(self.paper, self.reactor)
        return await Watch(self.reactor, self.door, view, self.fresh).run()

    async def _end(self, command: given.Abort) -> int:
        """
        C{abort} or C{terminate}.
        """
        if not command["wait"]:
            return await self._tell(command)
        status = await End(self.door).after(lambda seen: self._ask(command, seen))
        report = status["report"]
        if self.paper.json:
            self.paper.value(status)
        else:
            for line in reportLines(report):
                self.paper.line(line)
        return STRAGGLERS if report.get("aborted") else DONE

    async def _ask(self, command: given.Deed, seen: Told) -> Told:
        """
        @param seen: how the server stood. If another process answers by now, it is left alone.
        """
        whom = {} if seen.get("pid") is None else {"pid": seen["pid"]}
        return await self.door.post(str(command.path), {**whom, **command.body()})

    async def _upgrade(self, command: given.Upgrade) -> int:
        if not command["wait"]:
            return await self._tell(command)
        before = await self.door.get("/status")
        await self._ask(command, before)
        status = await self._successor(before.get("pid"), command["within"])
        if self.paper.json:
            self.paper.value(status)
        else:
            pids = plain(status.get("pid")), plain(before.get("pid"))
            self.paper.line("process {} serves instead of {}".format(*pids))
        return DONE

    async def _restart(self, command: given.Restart) -> int:
        try:
            return await self._replaceAll(command)
        except Refused as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
        # This is refused as well if it is no server of ours.
        await self.door.get("/status")
        raise Refused(NO_WORKERS)

    async def _replaceAll(self, command: given.Restart) -> int:
        if not command["wait"]:
            return await self._tell(command)
        status = await self._ask(command, await self.door.get("/status"))
        until = self.reactor.seconds() + command["within"]
        while status.get("restart") == "under way":
            if self.reactor.seconds() >= until:
                raise Refused(f"not all are replaced after {command['within']:g} s")
            await deferLater(self.reactor, PAUSE)
            status = await self.door.get("/status")
        if status.get("restart") != "done":
            raise Refused(f"restart {plain(status.get('restart'))}")
        if self.paper.json:
            self.paper.value(status)
        else:
            self.paper.line("all workers are replaced")
        return DONE

    async def _successor(self, pid: object, within: float) -> Told:
        """
        @return: how the successor of a process stands when it serves.
        @raise Refused: there is none in time, or there will be none.
        """
        until = self.reactor.seconds() + within
        while self.reactor.seconds() < until:
            await deferLater(self.reactor, PAUSE)
            try:
                status = await self.door.get("/status")
            except Unreachable:
                # Between the two, perhaps.
                continue
            if status.get("pid") != pid:
                if status.get("phase") == "serving":
                    return status
            elif str(status.get("upgrade")).startswith("failed"):
                raise Refused(f"upgrade {status['upgrade']}; process {pid} goes on")
        raise Refused(f"no successor serves after {within:g} s")


class End:
    """
    The end of a server, waited for.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._status: Told | None = None
        self._heard: Deferred[None] = Deferred()

    async def after(self, ask: Callable[[Told], Awaitable[object]]) -> Told:
        """
        Ask for it when whatever comes of it can no longer be missed.

        @param ask: asks for it; called with how the server stands.
        @return: how the server stands in the end, with its report.
        @raise Unreachable: it was lost before its report.
        """
        listening = Deferred.fromCoroutine(self._listen())
        try:
            await self._heard
            await self._asked(ask)
            await listening
        finally:
            listening.addErrback(lambda _: None).cancel()
        if self._status is None or not self._status.get("report"):
            raise Unreachable("the server was lost before its report")
        return self._status

    async def _asked(self, ask: Callable[[Told], Awaitable[object]]) -> None:
        try:
            await ask(self._status or {})
        except Unreachable:
            # It may have ended over it.
            if self._status is None or not self._status.get("report"):
                raise

    async def _listen(self) -> None:
        try:
            await self._door.events(self._received)
        except BaseException as problem:
            if self._heard.called:
                raise
            self._heard.errback(problem)
        else:
            if not self._heard.called:
                self._heard.callback(None)

    def _received(self, name: str, told: Told) -> None:
        if name == "status":
            self._status = told
            if not self._heard.called:
                self._heard.callback(None)


_DEEDS: tuple[tuple[type[given.Command], Callable[[Session, Any], Awaitable[int]]], ...] = (
    (given.Status, Session._status),
    (given.Connections, Session._connections),
    (given.Watch, Session._watch),
    (given.Abort, Session._end),
    (given.Restart, Session._restart),
    (given.Upgrade, Session._upgrade),
)
