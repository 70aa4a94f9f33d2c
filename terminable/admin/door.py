"""
The admin door: a port of its own, at which an operator sees and ends a server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorCore, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.admin.api import Api
from terminable.admin.beside import Beside, BesideService
from terminable.admin.guard import Guard
from terminable.admin.places import checked, endpointFor, mustBeSafe, placeOfPort
from terminable.admin.secrets import tokenOf
from terminable.admin.site import AdminSite
from terminable.admin.watched import watchedOf
from terminable.errors import InvalidOption
from terminable.handover.following import takeoverOf
from terminable.handover.upgrading import upgradeOf

_log = Logger()

#: How long whoever is told of the end may take for that, in seconds.
PATIENCE = 0.25


class _Door(Beside):
    """
    The port, and those who come by it.
    """

    def __init__(self, reactor: Any, endpoint: IStreamServerEndpoint, site: AdminSite) -> None:
        super().__init__(reactor, endpoint, site)
        self._site = site
        self._resting: Any = None

    def came(self, transport: Any) -> None:
        """
        One more.
        """
        self._site.visitors.come(transport)
        if self._site.arrivals.wait() and self._resting is None:
            # The others wait in the kernel's queue.
            self.ports.crowd(True)
            self._rest()

    def _rest(self) -> None:
        # Many may have come in the turn in which it was one too many.
        debt = self._site.arrivals.debt()
        if debt:
            self._resting = self._reactor.callLater(debt, self._rest)
        else:
            self._resting = None
            # No more than that at once, the next time that it looks.
            self.port.numberAccepts = 1
            self.ports.crowd(False)

    def went(self, transport: Any) -> None:
        """
        One less.
        """
        self._site.visitors.gone(transport)

    def stop(self, patience: float) -> Deferred[None]:
        """
        See L{Beside.stop}.
        """
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        return super().stop(patience)


class AdminDoor(BesideService):
    """
    Serves the admin API of one server, for as long as this service runs; and when it is told to
    stop while the server stops, until that is over.

    It is no part of what it watches: a stop neither closes it nor waits for it.

    @cvar makeApi: makes what answers there.
    @ivar watched: the server.
    """

    makeApi = Api

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamServerEndpoint | str,
        watched: Any,
        token: str | bytes | None = None,
    ) -> None:
        """
        @param endpoint: where to listen, or the description of that.
        @param watched: a L{terminable.admin.Watched}, or a L{terminable.Terminator}.
        @param token: what whoever comes must know, 16 visible ASCII characters or more.
        @raise terminable.InvalidOption: the token cannot be meant, there is no such endpoint, or
            everybody could reach it: a TCP port that others than this machine can reach needs
            a token, or TLS with client certificates.
        """
        self._reactor = reactor
        self._token = tokenOf(token)
        self._wanted = endpoint
        place = checked(reactor, "endpoint", endpoint, self._token)
        self._endpoint = endpointFor(reactor, "endpoint", endpoint)
        self._certified = place is not None and place.certified
        self._door: _Door | None = None
        self._api: Api | None = None
        self._site: Any = None
        self.watched = watchedOf(reactor, watched)

    # -- as a service

    def startService(self) -> None:
        """
        Listen.

        @raise Exception: whatever the endpoint fails with at once, or
            L{terminable.InvalidOption}: everybody could reach the port that it gave.
        """
        super().startService()
        # Who may come is known for certain when there is a port.
        self._api = self.makeApi(self.watched, Guard(self._token, local=True))
        self._site = AdminSite(self._reactor, self._api.serve)
        self._door = _Door(self._reactor, self._endpoint, self._site)
        if IReactorCore.providedBy(self._reactor):
            upgradeOf(self._reactor).observers.append(self)
            self._reactor.callWhenRunning(self._look)
        listening = self._door.listen().addCallback(self._listens)
        if not listening.called:
            listening.addErrback(self._cannotListen)
            return
        failures: list[Failure] = []
        listening.addErrback(failures.append)
        if failures:
            self._forget()
            failures[0].raiseException()

    def _listens(self, _: object) -> Any:
        door, api = self._door, self._api
        assert door is not None and api is not None
        place = placeOfPort(door.port)._replace(certified=self._certified)
        try:
            mustBeSafe("endpoint", self._wanted, place, self._token)
        except InvalidOption:
            door.ports.closeNow()
            raise
        known = self._token is not None or place.certified
        api.guard = Guard(self._token, local=place.local and not known)

    def _look(self) -> None:
        """
        Serving begins now in most cases, or when the process before this one lets go.
        """
        takeover = takeoverOf(self._reactor)
        if takeover.waiting:
            takeover.observers.append(self.watched.tell)
        self.watched.tell()

    def _cannotListen(self, failure: Failure) -> None:
        _log.failure("the admin door cannot be opened", failure, event=events.ADMIN_FAILED)

    def stopService(self) -> Deferred[None]:
        """
        When the server has come to its end, if it is stopping, tell those who watch, and
        close the door.

        @return: fires when everybody has gone, at most a quarter of a second later.
        """
        super().stopService()
        if self._door is None:
            return succeed(None)
        return Deferred.fromCoroutine(self._stop(self._door))

    async def _stop(self, door: _Door) -> None:
        # Our neighbours are told in the same turn.
        await deferLater(self._reactor, 0)
        if self.watched.stopping:
            # This is the same stop, and changes nothing.
            await self.watched.terminator.terminate()
        assert self._api is not None
        self._site.leaving = True
        self._api.stream.end()
        await door.stop(PATIENCE)
        self._forget()

    def _forget(self) -> None:
        self._door = self._api = None
        if IReactorCore.providedBy(self._reactor):
            upgradeOf(self._reactor).observers.remove(self)

    # -- as somebody who wants to know of upgrades

    def beginReload(self) -> None:
        """
        An upgrade begins.
        """
        self.watched.upgraded("under way")

    def endReload(self) -> None:
        """
        It has failed.
        """
        self.watched.upgraded("failed")

    def mainPid(self, pid: int) -> Deferred[None]:
        """
        A successor serves, and has a door of its own: who has been answered here is to go
        there.

        @return: fires at once.
        """
        self._site.leaving = True
        self.watched.upgraded("done")
        return succeed(None)
