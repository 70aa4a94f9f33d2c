"""
Whom this process follows: nobody, in most cases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from twisted.internet.defer import Deferred, succeed

from terminable.handover import environment
from terminable.handover.offered import Offered, offeredTo
from terminable.policy.ledger import Report


class Alone:
    """
    A process that follows nobody.

    @ivar waiting: whether it must not accept yet.
    @ivar worker: whether it serves beside others, below a process that only supervises: it
        ends when that one does.
    @ivar channel: to the process before this one; C{None} if there is none, or if it is
        gone.
    @ivar serving: the number of the process that serves: this one, or one that follows it.
    @ivar pidfile: the file in which the number of the process that serves is expected, or
        an empty string.
    @ivar observers: called when it accepts.
    @ivar whenMain: called when it is the main process for whoever supervises.
    @ivar leave: called when this process is told to leave.
    @ivar hurried: each is called, before that, with the seconds that there are for it if that
        is said; perhaps again, with less.
    """

    def __init__(self, reactor: Any, offered: Offered, pidfile: str = "") -> None:
        # It is found by the reactor, and lives no longer than that.
        self._found = ref(reactor)
        self._offered = offered
        self.waiting = False
        self.worker = False
        self.channel: Any = None
        self.serving = os.getpid()
        self.pidfile = pidfile
        self.observers: list[Callable[[], object]] = []
        self.whenMain: list[Callable[[], object]] = []
        self.hurried: list[Callable[[float], object]] = []
        self.leave: Callable[[], object] = self._stop

    @property
    def _reactor(self) -> Any:
        return self._found()

    def _stop(self) -> None:
        self._reactor.stop()

    def neverAccept(self, port: Any) -> None:
        """
        This port is only kept for others.
        """
        port.stopReading()

    def portFor(self, host: Any) -> Any:
        """
        The port by which a connection with this address at our end would have come;
        C{None} if there is none.
        """
        return None

    def holds(self, port: Any) -> bool:
        """
        Whether a port must not accept yet.
        """
        return False

    def awaits(self, starting: Deferred[Any]) -> Deferred[Any]:
        """
        This process is not ready before C{starting} has fired.

        @return: the same Deferred.
        """
        return starting

    def serves(self, pid: int) -> None:
        """
        The process C{pid} serves instead of this one.
        """
        self.serving = pid

    def report(self, report: Report) -> bool:
        """
        Tell the process above what came of our connections.

        @return: whether there is one that wants to know.
        """
        return False

    def older(self) -> Deferred[int]:
        """
        How many processes are draining that were there before this one.
        """
        return succeed(0)

    def endOldest(self) -> None:
        """
        The oldest of them is to end now.
        """


_known: WeakKeyDictionary[Any, Alone] = WeakKeyDictionary()


def takeoverOf(reactor: Any) -> Alone:
    """
    How this process takes over; there may be nothing to take.

    @raise InvalidOption: what the environment says of sockets is not so.
    """
    if reactor in _known:
        return _known[reactor]
    started, offered = environment.STARTED, offeredTo(reactor)
    takeover = Alone(reactor, offered, started.get(environment.PIDFILE, ""))
    if environment.isFor(started, os.getpid()):
        for inode, name in environment.names(started).items():
            offered.remember(inode, name)
        sock = environment.channel(started)
        if sock is not None:
            if "LISTEN_FDS" in started:
                offered.add(environment.listening(started))
            # Whoever follows nobody need not know how.
            from terminable.handover.takeover import Takeover

            takeover = following = Takeover(reactor, offered, takeover.pidfile)
            following.begin(sock)
            if started.get(environment.WORKER):
                following.beWorker()
    # Once: descriptors have new owners now.
    started.clear()
    _known[reactor] = takeover
    return takeover
