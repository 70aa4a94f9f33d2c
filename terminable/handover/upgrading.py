"""
An upgrade: this process starts its successor, gives it the listening sockets, and leaves
when the other one serves.

Until then nothing has happened: whatever goes wrong, the successor is ended, the reason is
logged, and this process goes on.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import HandoverFailed, NotServing, UpgradeRefused
from terminable.handover import command, logfile, pidfile
from terminable.handover.environment import PIDFILE
from terminable.handover.following import takeoverOf
from terminable.listener import Listener
from terminable.notifier import environmentOfSuccessor
from terminable.policy.phases import Phase
from terminable.ports import Ports

if TYPE_CHECKING:
    from terminable.handover.successor import Successor

_log = Logger()

#: How many processes may be draining at once, this one included, if nobody says so.
PROCESSES = 4

#: For how many seconds connections are moved where an upgrade is to be invisible.
INVISIBLE = 10.0

#: Seconds that a successor has to be ready, if nobody says so.
READY = 60.0


class UpgradeObserver(Protocol):
    """
    Who wants to know of upgrades: whoever speaks to a supervisor.
    """

    def beginReload(self) -> object:
        """
        One begins.
        """

    def endReload(self) -> object:
        """
        It has failed; this process goes on.
        """

    def mainPid(self, pid: int) -> Deferred[None]:
        """
        The process C{pid} serves from now on.

        @return: fires when whoever supervises has been told.
        """


class Upgrade:
    """
    How this process is followed by another one.

    @ivar command: the program to start, and its arguments; by default, the command line of
        this process.
    @ivar timeout: how long the successor may take until it is ready, in seconds.
    @ivar processes: how many processes may be draining at once, this one included; the
        oldest is told to end when there is one more.
    @ivar invisible: for how many seconds connections are moved to the successor, alive, each
        as soon as nothing is in flight; after that, and for those that cannot move, this
        process drains.  0 moves none.
    @ivar leave: called to have this process end; by default, the reactor is stopped.
    @ivar successor: the one that serves instead of us, or is about to.
    @ivar observers: who is told.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._terminators: WeakSet[Any] = WeakSet()
        self._under = False
        self._given: list[Listener] = []
        self._started: list[Successor] = []
        self.command: Sequence[str] | None = None
        self.timeout = READY
        self.processes = PROCESSES
        self.invisible = 0.0
        self.leave: Callable[[], object] = reactor.stop
        self.successor: Successor | None = None
        self.observers: list[UpgradeObserver] = []
        reactor.addSystemEventTrigger("before", "shutdown", self._stopping)

    def add(self, terminator: Any) -> None:
        """
        This one is among those whose ports are handed over.

        @param terminator: a L{terminable.Terminator}, or what has C{phase} and C{ports} like one.
        """
        self._terminators.add(terminator)

    def upgrade(self, command: Sequence[str] | None = None) -> Deferred[int]:
        """
        Start a successor, and leave when it serves.

        @param command: the program and its arguments, if others than C{self.command}.
        @return: fires with the process number of the successor when it serves and this
            process is about to leave.  Fails with L{UpgradeRefused} while another upgrade is
            under way or over, with L{NotServing} when one of the terminators is stopping or
            suspended, with L{InvalidOption} if there is no such program, and with
            L{HandoverFailed} if the successor does not come to serve; then this process goes
            on as before.
        """
        return Deferred.fromCoroutine(self._upgrade(command))

    async def _upgrade(self, words: Sequence[str] | None) -> int:
        if self._under:
            raise UpgradeRefused("an upgrade is under way already")
        if takeoverOf(self._reactor).waiting:
            raise UpgradeRefused("this process does not serve yet")
        self._mustServe()
        # Loaded when it is needed: it brings much of Twisted with it.
        from terminable.handover.successor import check

        wanted = command.own()
        words = check(words or self.command or wanted.words)
        ports = [terminator.ports for terminator in self._terminators]
        self._under = True
        self._tell("beginReload")
        try:
            await self._bound()
            self._mustServe()
            self.successor = successor = self._successor(words, wanted, ports)
            self._started.append(successor)
            successor.gone.addCallback(lambda _: self._started.remove(successor))
            await successor.start()
            self._stillServes(successor)
            await self._handOver(successor)
        except BaseException:
            self._under = False
            self.successor = None
            self._tell("endReload")
            raise
        return await self._go(successor)

    def _tell(self, what: str, *details: object) -> list[Any]:
        """
        Tell the observers.

        @return: what they have answered.
        """
        answers = []
        for observer in list(self.observers):
            try:
                answers.append(getattr(observer, what)(*details))
            except BaseException:
                _log.failure("{observer} failed", observer=observer)
        return answers

    def _mustServe(self) -> None:
        for terminator in self._terminators:
            if terminator.phase is not Phase.SERVING:
                raise NotServing(f"cannot upgrade while {terminator.phase.value}")

    def _stillServes(self, successor: Successor) -> None:
        """
        There may be nothing to hand over any more.
        """
        try:
            self._mustServe()
        except NotServing:
            successor.end()
            raise

    async def _bound(self) -> None:
        most, takeover = self.processes, takeoverOf(self._reactor)
        if await takeover.older() + 1 > most:
            text = "{most} processes are draining; the oldest is ended"
            _log.warn(text, event=events.UPGRADE_CROWDED, most=most)
            takeover.endOldest()

    def _successor(
        self, words: list[str], wanted: command.Command, ports: list[Ports]
    ) -> Successor:
        from terminable.handover.answers import Answers
        from terminable.handover.successor import Successor

        environ = environmentOfSuccessor(os.environ)
        # What we follow ourselves was not on our command line.
        path = takeoverOf(self._reactor).pidfile or wanted.pidfile
        if path:
            environ[PIDFILE] = path
        logfile.share(wanted.logfile)
        return Successor(
            self._reactor,
            words,
            self._sockets(ports),
            environ=environ,
            path=wanted.directory,
            timeout=self.timeout,
            locators=[Answers(self._reactor, self._terminators, self._hasFollowed)],
        )

    def _sockets(self, ports: list[Ports]) -> list[tuple[str, socket.socket]]:
        """
        What we listen on; what we were given ourselves comes first, in the same order.
        """
        listeners = [listener for each in ports for listener in each.listeners]
        listeners.sort(key=lambda listener: listener.place)
        self._given = listeners
        return [(listener.name, listener.port.socket) for listener in listeners]

    def _hasFollowed(self) -> bool:
        """
        Whether the successor serves: before that, it has nobody to end.
        """
        return self.successor is not None and self.successor.serving

    async def _handOver(self, successor: Successor) -> None:
        # A restart of a service has had others since we began.
        ports = [terminator.ports for terminator in self._terminators]
        listeners = [listener for each in ports for listener in each.listeners]
        if set(listeners) != set(self._given):
            successor.end()
            raise HandoverFailed("a port was opened or closed meanwhile")
        for listener in listeners:
            listener.pause()
        try:
            await successor.serve()
        except BaseException:
            for listener in listeners:
                listener.unpause()
            raise
        for terminator in self._terminators:
            terminator.ports.handOver()

    async def _go(self, successor: Successor) -> int:
        pid = successor.pid or 0
        takeover = takeoverOf(self._reactor)
        takeover.serves(pid)
        path = command.own().pidfile
        if path:
            pidfile.leave(path, self._reactor, lambda: takeover.serving)
        _log.info("upgrade: {pid} serves now", event=events.UPGRADE_SERVING, pid=pid)
        await self._introduce(successor, pid)
        if self.invisible:
            await self._move(successor)
        self._reactor.callLater(0, self._leave)
        return pid

    async def _introduce(self, successor: Successor, pid: int) -> None:
        """
        Have whoever supervises us told of the successor, and then the successor of that.
        """
        from terminable.handover import channel

        for told in self._tell("mainPid", pid):
            try:
                await told
            except Exception:
                _log.failure("nobody was told of {pid}", pid=pid)
        successor.channel.callRemote(channel.Main).addErrback(lambda reason: None)

    async def _move(self, successor: Successor) -> None:
        from terminable.handover.moving import moveAll
        from terminable.handover.passing import Sender

        connections = [each for one in self._terminators for each in one.connections()]
        try:
            sender = Sender(self._reactor, successor.channel)
            moved = await moveAll(self._reactor, connections, sender, self.invisible)
            pid, text = successor.pid, str(moved)
            _log.info("to {pid}: {moved}", event=events.UPGRADE_MOVED, pid=pid, moved=text)
        except Exception:
            _log.failure("cannot move connections")

    def _leave(self) -> None:
        try:
            self.leave()
        except ReactorNotRunning:
            # Somebody else has stopped the reactor in the meantime.
            return
        except BaseException:
            _log.failure("cannot leave")

    def _stopping(self) -> None:
        """
        This process is to end, and not by an upgrade: nobody is to follow it.
        """
        for successor in self._started:
            if not successor.serving:
                successor.signal("KILL")

    # -- by a signal

    def onSignal(self, number: int = signal.SIGUSR2) -> None:
        """
        Upgrade at this signal, from when the reactor runs; why one fails is logged.
        """
        self._reactor.callWhenRunning(self._install, number)

    def _install(self, number: int) -> None:
        try:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._received)
        except ValueError:
            # Not the main thread: the signals are somebody else's.
            return

    def _received(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self.ask)

    def ask(self) -> None:
        """
        Upgrade, for somebody who only looks into the log.
        """

        def failed(failure: Failure) -> None:
            why = failure.getErrorMessage()
            _log.error(
                "upgrade failed, going on: {reason}", event=events.UPGRADE_FAILED, reason=why
            )

        self.upgrade().addErrback(failed)


_upgrades: WeakKeyDictionary[Any, Upgrade] = WeakKeyDictionary()


def upgradeOf(reactor: Any) -> Upgrade:
    """
    How this process is followed by another one; there is one of them for each reactor.
    """
    if reactor not in _upgrades:
        _upgrades[reactor] = Upgrade(reactor)
    return _upgrades[reactor]


def upgradable(reactor: Any, terminator: Any) -> None:
    """
    Have the ports of a terminator handed over at SIGUSR2.

    @param reactor: nothing happens if it has no run that could be stopped.
    """
    if not IReactorCore.providedBy(reactor):
        return
    upgrade = upgradeOf(reactor)
    upgrade.add(terminator)
    upgrade.onSignal()


def upgrade(reactor: Any, command: Sequence[str] | None = None) -> Deferred[int]:
    """
    Start a successor of this process, and leave when it serves; see L{Upgrade.upgrade}.

    @param command: the program and its arguments; by default, the command line of this
        process.
    @return: fires with the process number of the successor when it serves, or fails.
    """
    return upgradeOf(reactor).upgrade(command)


def readyAfter(reactor: Any, starting: Deferred[Any]) -> None:
    """
    This process, if it is somebody's successor, is not ready to take over before C{starting}
    has fired.  If that fails, the failure is logged, and this process ends: the one before it
    serves on.  A process that follows nobody goes on.

    @param starting: what is waited for; its result goes to whoever adds callbacks next.
    """
    takeover = takeoverOf(reactor)
    ready: Deferred[None] = Deferred()
    takeover.awaits(ready)

    def failed(reason: Failure) -> Failure:
        if takeover.waiting:
            _log.failure("cannot take over", reason, event=events.UPGRADE_CANNOT_TAKE)
            takeover.leave()
        else:
            ready.callback(None)
        return reason

    def started(result: Any) -> Any:
        ready.callback(None)
        return result

    starting.addCallbacks(started, failed)
