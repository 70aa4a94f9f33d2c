"""
The other ends of a server's connections, as far as they are in the same reactor.

A client of the same process has a transport in the reactor, and perhaps timers.  Only those
are looked at that lead to given addresses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from twisted.internet.interfaces import (
    IConnector,
    IListeningPort,
    IProtocol,
    IReactorFDSet,
    IReactorTime,
    ITransport,
)
from twisted.internet.task import deferLater

from terminable.tracking.layers import applicationOf, bottomOf

#: Seconds between two looks.
INTERVAL = 0.005

#: Where a port listens that takes connections to every address of the machine.
WILDCARDS = ("0.0.0.0", "::")


def placeOf(address: Any) -> tuple[Any, ...]:
    """
    What two addresses of the same port have in common.

    @param address: an C{IAddress} of Twisted.
    @return: host and port, or the path of a UNIX socket; nothing if it has none of these.
    """
    if hasattr(address, "port"):
        return (address.host, address.port)
    return (address.name,) if getattr(address, "name", None) else ()


class Halves:
    """
    The clients' ends of connections.
    """

    def __init__(self, reactor: Any, addresses: Iterable[Any]) -> None:
        """
        @param addresses: where the server listens, or did: each an C{IAddress} of Twisted.
        """
        self._reactor = reactor
        self._places = {placeOf(address) for address in addresses} - {()}
        self._everywhere = {place[1] for place in self._places if place[0] in WILDCARDS}

    def _isPlace(self, address: Any) -> bool:
        place = placeOf(address)
        return place in self._places or (len(place) == 2 and place[1] in self._everywhere)

    def leadsHere(self, thing: Any) -> bool:
        """
        Whether a transport, a protocol or a connector is a client's, of one of the addresses;
        also if it was, and is over.
        """
        if IProtocol.providedBy(thing) and not ITransport.providedBy(thing):
            thing = getattr(thing, "transport", None)
        for provided, name in ((ITransport, "getPeer"), (IConnector, "getDestination")):
            if not provided.providedBy(thing):
                continue
            try:
                if self._isPlace(getattr(thing, name)()):
                    return True
            except Exception:
                # It has no peer: it is not connected yet, or was never to be.
                continue
        connector = getattr(thing, "connector", None)
        return connector is not None and self.leadsHere(connector)

    def transports(self) -> list[Any]:
        """
        What is in the reactor.
        """
        if not IReactorFDSet.providedBy(self._reactor):
            return []
        there = {id(it): it for it in [*self._reactor.getReaders(), *self._reactor.getWriters()]}
        return [
            it for it in there.values() if not IListeningPort.providedBy(it) and self.leadsHere(it)
        ]

    def calls(self) -> list[Any]:
        """
        The timers of clients: calls of, with, or within a function that knows, a client's
        protocol, transport or connector.
        """
        if not IReactorTime.providedBy(self._reactor):
            return []
        return [
            call
            for call in self._reactor.getDelayedCalls()
            if call.active() and any(map(self.leadsHere, concerned(call)))
        ]

    def hurry(self) -> None:
        """
        Have pools of persistent connections forget those which are over now, and not when
        they would have timed out.  What they have of other servers is not touched.
        """
        client = sys.modules.get("twisted.web.client")
        if client is None:
            return
        for call in self.calls():
            owner = getattr(call.func, "__self__", None)
            if isinstance(owner, client.HTTPConnectionPool) and not self._isOpen(call):
                call.reset(0)

    def _isOpen(self, call: Any) -> bool:
        there = self.transports()
        return any(bottomOf(thing) in there for thing in concerned(call))

    async def gone(self, patience: float) -> list[str]:
        """
        Wait until nothing of this is in the reactor any more.

        @param patience: for how many seconds at most.
        @return: what is still there then, in words; its connections have been aborted.
        """
        deadline = self._reactor.seconds() + patience
        while True:
            self.hurry()
            transports, calls = self.transports(), self.calls()
            if not transports and not calls:
                return []
            if self._reactor.seconds() >= deadline:
                break
            await deferLater(self._reactor, INTERVAL)
        for transport in transports:
            getattr(transport, "abortConnection", transport.loseConnection)()
        # Their protocols are told in one of the next turns.
        await deferLater(self._reactor, INTERVAL)
        return [*map(_describe, transports), *map(str, calls)]


def _describe(transport: Any) -> str:
    return f"{type(applicationOf(transport)).__name__} on {transport!r}"


def concerned(call: Any) -> Iterator[Any]:
    """
    Whom a delayed call is about: whose method it calls, what that is given, and what a function
    within another function has of that one.
    """
    yield from _within(call.func)
    for thing in [*call.args, *call.kw.values()]:
        yield thing
        if callable(thing):
            yield from _within(thing)


def _within(function: Callable[..., Any]) -> Iterator[Any]:
    if isinstance(function, partial):
        yield from function.args
        function = function.func
    yield getattr(function, "__self__", None)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            thing = cell.cell_contents
        except ValueError:
            # It has not been given its value yet.
            continue
        yield thing
        yield getattr(thing, "__self__", None)
