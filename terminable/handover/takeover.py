"""
The process that takes over: it listens on the sockets it was given, says so, and accepts
when it is told to; or when whoever was to tell it is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable import events
from terminable.handover import channel, command, environment, logfile, pidfile
from terminable.handover.following import Alone
from terminable.handover.offered import Offered, lock
from terminable.handover.taking import Taking
from terminable.policy import summary
from terminable.policy.ledger import Report
from terminable.tracking import internals

_log = Logger()

#: Seconds that the process before this one has to say how many are draining.
ANSWER = 2.0


class Takeover(Alone, amp.CommandLocator):
    """
    How this process takes over.
    """

    def __init__(self, reactor: Any, offered: Offered, pidfile: str = "") -> None:
        amp.CommandLocator.__init__(self)
        Alone.__init__(self, reactor, offered, pidfile)
        self._ports: list[Any] = []
        self._taken: list[Any] = []
        self._starting = 0
        self._running = False
        self._said = False
        self._stopping = False
        self._leaving = False
        self._sharing: logfile.Sharing
        self._main = False

    def begin(self, sock: socket.socket) -> None:
        """
        There is somebody to take over from.
        """
        self.waiting = True
        self._sharing = logfile.Sharing(command.own().logfile)
        self._offered.early = True
        self._offered.taken = self.pause
        taking = Taking(self._reactor, self.portFor)
        self.channel = channel.Channel(self._lost, [self, taking])
        with sock:
            sock.setblocking(False)
            factory = channel.Once(self.channel)
            self._reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, factory)
        taking.serve(self.channel)
        self._reactor.callWhenRunning(self._isRunning)
        self._reactor.addSystemEventTrigger("before", "shutdown", self._ends)

    def _ends(self) -> None:
        """
        This process is told to end: if it has not begun to serve, it will not.
        """
        self._leaving = self._leaving or self.waiting

    # -- starting

    def pause(self, port: Any) -> None:
        """
        Those who connect to this port wait until we are told to serve.
        """
        self._ports.append(port)
        self._taken.append(port)
        if self.worker:
            # To shut the socket would be felt by all workers.
            internals.share(port)
        if self.waiting:
            port.stopReading()

    def neverAccept(self, port: Any) -> None:
        """
        This port is only kept for others: it does not accept when we are told to serve.
        """
        port.stopReading()
        self._ports = [known for known in self._ports if known is not port]

    def portFor(self, host: Any) -> Any:
        """
        The port by which a connection with this address at our end would have come;
        C{None} if there is none.
        """
        for port in self._taken:
            if port.connected and _serves(port.getHost(), host):
                return port
        return None

    def holds(self, port: Any) -> bool:
        """
        Whether a port must not accept yet.
        """
        return self.waiting and any(known is port for known in self._ports)

    def awaits(self, starting: Deferred[Any]) -> Deferred[Any]:
        """
        This process is not ready before C{starting} has fired.

        @return: the same Deferred.
        """
        self._starting += 1

        def started(result: Any) -> Any:
            self._starting -= 1
            self._look()
            return result

        return starting.addBoth(started)

    def _isRunning(self) -> None:
        # In the next turn: others have been waiting for the reactor too.
        self._reactor.callLater(0, self._runs)

    def _runs(self) -> None:
        self._running = True
        self._sharing.stop()
        self._look()

    def _look(self) -> None:
        if not self._running or self._starting or self._said:
            return
        self._said = True
        listening = self._offered.claimed
        self._offered.closeRest()
        environment.forget(os.environ)
        if self.channel is None:
            if not self._leaving:
                self.serve()
            return
        said = self.channel.callRemote(
            channel.Ready, version=channel.VERSION, pid=os.getpid(), listening=listening
        )
        said.addErrback(lambda reason: None)

    # -- serving

    @channel.Serve.responder
    def serve(self) -> dict[str, object]:
        """
        Accept from now on.
        """
        if self.waiting:
            self.waiting = False
            _log.info("taking over as process {pid}", event=events.UPGRADE_TAKING, pid=os.getpid())
            # When the answer is on its way: until then, the other one serves.
            self._reactor.callLater(0, self._accept)
        return {}

    def _accept(self) -> None:
        self._offered.early = False
        ports, self._ports = self._ports, []
        for port in ports:
            if port.connected:
                port.startReading()
        if self.pidfile:
            pidfile.follow(self.pidfile, self._reactor)
        for observer in list(self.observers):
            observer()

    def _lost(self, reason: Failure) -> None:
        """
        The other one is gone.
        """
        self.channel = None
        if not self.worker and not self._leaving:
            self.beMain()
        if self.worker:
            if self._go():
                _log.warn("the process above this worker is gone", event=events.WORKER_ALONE)
            return
        if self.waiting and self._said and not self._leaving:
            _log.warn(
                "the process before this one has ended, before it said anything",
                event=events.UPGRADE_ALONE,
            )
            self.serve()
        if self.pidfile and not self.waiting:
            # It took the file away with it.
            pidfile.write(self.pidfile, self.serving)
        for port in self._taken:
            lock(port)

    @channel.Main.responder
    def beMain(self) -> dict[str, object]:
        """
        From now on, whoever supervises listens to this process, not to the one before it.
        """
        if not self._main:
            self._main = True
            for call in self.whenMain:
                call()
        return {}

    def serves(self, pid: int) -> None:
        """
        See L{Alone.serves}.  Those before this one are told: whoever of them ends last, takes
        the pidfile away.
        """
        super().serves(pid)
        if self.channel is not None:
            self.channel.callRemote(channel.Serves, pid=pid).addErrback(lambda reason: None)

    # -- as one of several workers

    def beWorker(self) -> None:
        """
        Serve beside others, for as long as the process above lives.
        """
        self.worker = True
        self._offered.lent = True
        # ^C in a terminal is for the process above, which tells us.
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        # Whoever signals by name has the process above in mind: it has the same one.
        for name in ("SIGHUP", "SIGUSR2", "SIGTTIN", "SIGTTOU"):
            self._reactor.callWhenRunning(_spare, getattr(signal, name))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stops)

    def _stops(self) -> None:
        self._stopping = True

    @channel.Leave.responder
    def leaveNow(self, gracePeriod: float | None = None) -> dict[str, object]:
        """
        Drain, and go; within so many seconds, if that is said.
        """
        if gracePeriod is not None:
            for call in self.hurried:
                self._reactor.callLater(0, call, gracePeriod)
        # The end of the channel is no reason to serve any more.
        self._leaving = True
        self._reactor.callLater(0, self._go)
        return {}

    def _go(self) -> bool:
        """
        @return: C{False} if this process ends already.
        """
        try:
            self.leave()
        except ReactorNotRunning:
            return False
        return True

    def report(self, report: Report) -> bool:
        """
        Tell the process above what came of our connections.

        @return: whether there is one that wants to know.
        """
        ending = self._stopping or self._leaving
        if self.channel is None or not (self.worker and ending):
            return False
        told = self.channel.callRemote(channel.Report, report=summary.toText(report))
        told.addErrback(lambda reason: None)
        # At once: this process is about to end.
        transport: Any = self.channel.transport
        transport.doWrite()
        return True

    # -- when there are more than two

    def older(self) -> Deferred[int]:
        """
        How many processes are draining that were there before this one.
        """
        return Deferred.fromCoroutine(self._older())

    async def _older(self) -> int:
        if self.channel is None:
            return 0
        asked = self.channel.callRemote(channel.Older).addTimeout(ANSWER, self._reactor)
        try:
            answer = await asked
        except TimeoutError:
            # It is there, but stuck; those before it cannot be counted.
            return 1
        except Exception:
            # It ends just now.
            return 0
        return int(answer["count"])

    def endOldest(self) -> None:
        """
        The oldest of them is to end now.
        """
        if self.channel is not None:
            self.channel.callRemote(channel.EndOldest).addErrback(lambda reason: None)


def _serves(listening: Any, host: Any) -> bool:
    if isinstance(host, UNIXAddress) or isinstance(listening, UNIXAddress):
        return bool(listening == host)
    anywhere = listening.host in ("0.0.0.0", "::")
    return bool(listening.port == host.port and (anywhere or listening.host == host.host))


def _spare(number: int) -> None:
    """
    Have a signal that nobody handles not end, or halt, this process.  Its children are not to
    ignore it.
    """
    with contextlib.suppress(ValueError):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda number, frame: None)
