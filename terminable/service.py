"""
The application author's door: a service that ends before what it depends on.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.generation import UNSET, Generation
from terminable.handover.following import takeoverOf
from terminable.handover.offered import Offered, OfferedSocket, offeredTo
from terminable.terminator import Terminator

_log = Logger()


class TerminableService(MultiService):
    """
    Serves through a L{Terminator}, after its child services have started, and until
    before they are stopped.

    Started, it starts its children in order, and accepts connections last.  Stopped,
    it drains first; then it stops its children one after the other, the last added
    first, each when the one before has stopped, so that a database outlives the
    requests that use it.  A child that fails to stop is logged, and the next one is
    stopped.  It may be started again.
    """

    def __init__(self, terminator: Terminator) -> None:
        """
        @param terminator: may also have ports of its own; they end with the service.
        """
        MultiService.__init__(self)
        self.terminator = terminator
        self._wanted: list[tuple[IStreamServerEndpoint, IProtocolFactory]] = []
        self._bound: list[Any] = []
        self._binding = False
        self._inodes: dict[AdoptedStreamServerEndpoint, int] = {}

    def listenOn(self, endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> None:
        """
        Serve C{factory} on C{endpoint} while this service runs; at once if it runs.
        """
        self._wanted.append((endpoint, factory))
        if self.running:
            self._listen(endpoint, factory).addErrback(self._cannotListen, endpoint)

    def privilegedStartService(self) -> None:
        """
        Bind the ports, for which rights may be needed that are given up next; those
        who connect from now on wait in the kernel until L{startService}.

        @raise Exception: whatever an endpoint fails with at once; no port is left
            listening then.
        """
        MultiService.privilegedStartService(self)
        self._bind()
        for port in self._bound:
            port.stopReading()

    def startService(self) -> None:
        """
        Start the children, then accept connections.

        @raise Exception: as in L{privilegedStartService}.
        """
        MultiService.startService(self)
        if not self._binding:
            self._bind()
        takeover = takeoverOf(self.terminator.reactor)
        for port in self._bound:
            if not takeover.holds(port):
                port.startReading()

    def _bind(self) -> None:
        self._binding = True
        for endpoint, factory in self._wanted:
            failures: list[Failure] = []
            listening = self._listen(endpoint, factory)
            if not listening.called:
                listening.addErrback(self._cannotListen, endpoint)
                continue
            listening.addErrback(failures.append)
            if failures:
                self._unbind()
                failures[0].raiseException()

    def _listen(self, endpoint: Any, factory: Any) -> Deferred[Any]:
        def bound(port: Any) -> None:
            if hasattr(port, "stopReading"):
                self._bound.append(port)
            if isinstance(endpoint, AdoptedStreamServerEndpoint):
                self._inodes[endpoint] = os.fstat(port.fileno()).st_ino

        return self.terminator.listen(endpoint, factory).addCallback(bound)

    def _cannotListen(self, failure: Failure, endpoint: object) -> None:
        _log.failure(
            "cannot listen on {endpoint}", failure, event=events.PORTS_FAILED, endpoint=endpoint
        )

    def _unbind(self) -> None:
        self._binding = False
        self._bound.clear()
        self.terminator.abort()

    def restart(self, gracePeriod: float | None = UNSET) -> Deferred[Generation]:
        """
        Listen anew on every port, while the connections that there are drain as a generation
        of their own.  The sockets stay open: nobody who connects meanwhile is refused, and
        who waits in a queue is served by the new generation.

        @param gracePeriod: seconds until stragglers of the old generation are aborted; by
            default the terminator's own.
        @return: fires with the old generation when all ports are open again; what failed is
            logged, as at L{startService}.
        @raise terminable.NotServing: a stop is under way or over, or nothing is listened on.
        """
        released = self.terminator.release(gracePeriod, keep=True)
        self._bound.clear()
        return Deferred.fromCoroutine(self._restart(released))

    async def _restart(self, released: Deferred[Generation]) -> Generation:
        old = await released
        for endpoint, factory in self._wanted:
            try:
                await self._listenAgain(endpoint, factory, old.kept)
            except Exception:
                _log.failure(
                    "cannot listen on {endpoint}", event=events.PORTS_FAILED, endpoint=endpoint
                )
        self._offered.closeRest(old.kept)
        return old

    def _listenAgain(self, endpoint: Any, factory: Any, kept: list[OfferedSocket]) -> Deferred[Any]:
        if not isinstance(endpoint, AdoptedStreamServerEndpoint):
            return self._listen(endpoint, factory)
        # What it was made for has been used up: the descriptor had another number.
        inode = self._inodes[endpoint]
        offer = next(each for each in kept if each.inode == inode)
        port = self._offered.listen(offer, factory)
        self.terminator.attach(port)
        self._bound.append(port)
        return succeed(port)

    @property
    def _offered(self) -> Offered:
        return offeredTo(self.terminator.reactor)

    def stopService(self) -> Deferred[None]:
        """
        Drain, then stop the children.

        @return: fires when the last child has stopped.
        """
        Service.stopService(self)
        self._binding = False
        self._bound.clear()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.terminator.terminate()
        for child in reversed(list(self)):
            try:
                await maybeDeferred(child.stopService)
            except Exception:
                _log.failure("{child} failed to stop", event=events.SERVICE_FAILED, child=child)

    def removeService(self, service: IService) -> Deferred[Any]:
        """
        Let a child go; it is stopped if this service runs.
        """
        return succeed(None) if (d := MultiService.removeService(self, service)) is None else d
