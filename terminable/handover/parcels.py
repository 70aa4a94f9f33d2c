"""
What is passed together with a descriptor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from terminable.handover.movable import LARGEST, CannotMove, IMovable, NotNow
from terminable.tracking import internals, pausing

_log = Logger()


@dataclass(frozen=True)
class Parcel:
    """
    What goes with a descriptor.

    @ivar kind: how the receiver goes on: C{"fresh"} (as if it had accepted the connection),
        C{"http"}, C{"raw"}, C{"websocket"} or C{"autobahn"}.
    @ivar state: what L{IMovable.save} has returned.
    @ivar request: the opening handshake of a WebSocket, as it was or would have been received.
    @ivar subprotocol: what was chosen in it; an empty string for none.
    """

    kind: str
    state: bytes = b""
    request: bytes = b""
    subprotocol: str = ""

    def __post_init__(self) -> None:
        for what, value in (("state", self.state), ("opening handshake", self.request)):
            if len(value) > LARGEST:
                raise CannotMove(f"its {what} is {len(value)} bytes, and {LARGEST} can be passed")


class Mover(Protocol):
    """
    Packs one connection.
    """

    def check(self) -> None:
        """
        @raise NotNow: something is in flight.
        """

    def pack(self) -> Parcel:
        """
        @raise CannotMove: the application does not agree.
        """

    def moved(self) -> None:
        """
        The other process has it; the protocol here is about to be told that it is lost.
        """


class Fresh:
    """
    A connection of which nothing was read and to which nothing was said.
    """

    def check(self) -> None:
        """
        See L{Mover.check}.
        """

    def pack(self) -> Parcel:
        """
        See L{Mover.pack}.
        """
        return Parcel("fresh")

    def moved(self) -> None:
        """
        See L{Mover.moved}.
        """


class Raw:
    """
    A protocol that provides L{IMovable}.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    def check(self) -> None:
        """
        See L{Mover.check}: only the protocol knows.
        """

    def pack(self) -> Parcel:
        """
        See L{Mover.pack}.
        """
        return Parcel("raw", saved(self._application))

    def moved(self) -> None:
        """
        See L{Mover.moved}.
        """


def saved(application: Any) -> bytes:
    """
    The state of an application.

    @raise NotNow: it says so.
    @raise CannotMove: it has failed, or has returned something else.
    """
    try:
        state = IMovable(application).save()
    except Exception as error:
        _log.failure("{application} cannot save its state", application=application)
        raise CannotMove(f"save() has failed: {error!r}") from error
    if state is None:
        raise NotNow("its application says so")
    if not isinstance(state, bytes):
        raise CannotMove(f"save() has returned {type(state).__name__}, and not bytes")
    return state


def isMovable(application: Any) -> bool:
    """
    Whether an application provides L{IMovable}, by itself or by an adapter.
    """
    return IMovable(application, None) is not None


def needMovable(application: Any) -> Any:
    """
    The same application.

    @raise CannotMove: it does not provide L{IMovable}.
    """
    if not isMovable(application):
        raise CannotMove(f"{type(application).__name__} does not provide IMovable")
    return application


def checkAlive(transport: Any) -> None:
    """
    @raise CannotMove: the connection is ending.
    @raise NotNow: somebody is producing output, or what the peer has sent is held back.
    """
    if not transport.connected or transport.disconnecting:
        raise CannotMove("it is being lost")
    if internals.halfEnded(transport):
        raise CannotMove("one half of it has ended")
    if transport.producer is not None and not internals.isHTTPProducer(transport):
        raise NotNow("somebody is producing output")
    if pausing.pausedBy(transport) - {pausing.APPLICATION}:
        raise NotNow("what its peer has sent is held back")


def checkQuiet(transport: Any) -> None:
    """
    @raise CannotMove: the connection is ending.
    @raise NotNow: somebody is producing output, or some has not left this process.
    """
    checkAlive(transport)
    if internals.unsentBytes(transport):
        raise NotNow("its output has not left this process")
