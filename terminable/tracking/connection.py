"""
One live connection, looked at when somebody asks.

Nothing here is kept up to date while a server runs: a server that is not stopping
pays nothing.  The layers between the socket and the application are found anew at
each look, because protocols are exchanged under way (C{startTLS}, ALPN, upgrades).
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol

from terminable.drainers import library
from terminable.drainers.plain import fullDrainer
from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.policy.ledger import Entry, Outcome, State
from terminable.tracking import internals, pausing, sockets
from terminable.tracking.layers import (
    addressText,
    applicationOf,
    isEmpty,
    layers,
    socketOf,
    topOf,
    unsent,
)

_log = Logger()


def isOpening(layer: Any) -> bool:
    """
    Whether this is a TLS layer whose handshake is not over.
    """
    return isinstance(layer, TLSMemoryBIOProtocol) and not internals.handshakeDone(layer)


def isLeaving(layer: Any) -> bool:
    """
    Whether this layer was told to lose the connection.
    """
    return bool(getattr(layer, "disconnecting", False))


class Connection:
    """
    A live connection.

    @ivar transport: the transport that holds the socket; not what the application
        writes to if there is TLS between them.
    @ivar openedAt: when it was recorded, on the reactor's clock.
    @ivar told: whether it was told to go.
    @ivar notBefore: until when it may stay idle.
    @ivar unconfirmed: how much its peer had not confirmed when we last looked.
    @ivar tls: the TLS layer that there was when L{state} was asked for.
    @ivar unfinished: whether something was in flight when it was over.
    @ivar answered: whether something was answered since its drain began.
    @ivar watched: the drainer that has begun.
    @ivar waits: whether its goodbye has a time of its own.
    @ivar spoke: whether its goodbye was said, or need not wait for its turn.
    """

    __slots__ = (
        "_drainer",
        "_drains",
        "answered",
        "notBefore",
        "openedAt",
        "spoke",
        "tls",
        "told",
        "transport",
        "unconfirmed",
        "unfinished",
        "waits",
        "watched",
    )

    def __init__(self, transport: Any, openedAt: float) -> None:
        self.transport = transport
        self.openedAt = openedAt
        self.told = False
        self.notBefore = 0.0
        self.unconfirmed: int | None = None
        self.unfinished = False
        self.tls: Any = None
        self.answered = False
        self.watched: Any = None
        self.waits = False
        self.spoke = False
        self._drainer: IHintingDrainer | None = None
        self._drains: Any = None

    @property
    def protocol(self) -> Any:
        """
        The application's protocol, or C{None} when the connection is over.
        """
        return applicationOf(self.transport)

    @property
    def peerAddress(self) -> Any:
        """
        Who is at the other end, as the outermost layer has it: behind the PROXY
        protocol that is the real client.  C{None} if nobody knows.
        """
        found = layers(self.transport)
        for layer in (*reversed(found[1:-1]), found[0]):
            try:
                return layer.getPeer()
            except Exception:
                continue
        return None

    @property
    def hostAddress(self) -> Any:
        """
        Where it came in: the address of our end.  C{None} if nobody knows.
        """
        try:
            return self.transport.getHost()
        except Exception:
            return None

    @property
    def peer(self) -> str:
        """
        The other end, for people.
        """
        address = self.peerAddress
        try:
            return "somebody" if address is None else addressText(address)
        except Exception:
            _log.failure("the address of {kind} cannot be told", kind=type(self.transport))
            return "somebody"

    @property
    def protocolName(self) -> str:
        """
        The name of the class of the application's protocol.
        """
        protocol = self.protocol
        if protocol is None:
            protocol = self._drains
        if protocol is None:
            return "connection"
        return type(internals.httpChannel(protocol)).__name__

    def keep(self) -> None:
        """
        Find out what will no longer be known when the connection is over.
        """
        self.unfinished = self.isUnfinished()
        try:
            self.answered = bool(getattr(self._drainer, "answered", False))
        except BaseException:
            _log.failure("{drainer}.answered failed", drainer=self._drainer)

    @property
    def silent(self) -> bool:
        """
        Whether it may be lost without a word, by what L{state} has just seen; also if it
        cannot say so.
        """
        return self._drainer is not None and self._is("silent", True)

    @property
    def lasting(self) -> bool:
        """
        Whether its goodbye is to be spread over time.
        """
        self._drainerOf(self.protocol)
        return self._is("lasting", False)

    @property
    def prompt(self) -> bool:
        """
        Whether its goodbye need not wait for the end of the idle grace.
        """
        self._drainerOf(self.protocol)
        return self._is("prompt", False)

    def _is(self, name: str, otherwise: bool) -> bool:
        try:
            return bool(getattr(self._drainer, name, False))
        except BaseException:
            _log.failure("{drainer} cannot tell", drainer=self._drainer)
            return otherwise

    @property
    def drainer(self) -> IHintingDrainer:
        """
        How this connection says goodbye.
        """
        return self._drainerOf(self.protocol)

    def _drainerOf(self, protocol: Any) -> IHintingDrainer:
        if self._drainer is not None and protocol is None:
            return self._drainer
        if self._drainer is None or self._drains is not protocol:
            library.load()
            # A full drainer wins, which may ask a protocol that says for itself when it is
            # busy.  Whoever does not even claim to be a protocol is ended all the same.
            drainer = IHintingDrainer(protocol, None)
            if drainer is None:
                # Not "or": a protocol may be a collection, and empty.
                drainer = IDrainer(protocol, None)
            if drainer is None:
                drainer = RawDrainer(protocol)
            if isinstance(drainer, RawDrainer):
                drainer.transport = topOf(self.transport)
            self._drainer = fullDrainer(drainer)
            self._drains = protocol
        return self._drainer

    def isBusy(self) -> bool:
        """
        Whether something is in flight, or was and is not known to have arrived; a
        drainer that cannot say so is taken for busy.
        """
        return self.isLeaving() or self.isUnfinished()

    def isLeaving(self) -> bool:
        """
        Whether the connection has been told to go and is still writing, or waiting
        for its peer.
        """
        return any(isLeaving(layer) for layer in layers(self.transport)[:-1])

    def isHeld(self) -> bool:
        """
        Whether somebody but the application has it wait: what it has sent is to be handled
        later.
        """
        return bool(pausing.pausedBy(self.transport) - {pausing.APPLICATION})

    def isUnfinished(self) -> bool:
        """
        Whether the protocol has something in flight.
        """
        return self._isUnfinished(self.protocol)

    def _isUnfinished(self, protocol: Any) -> bool:
        if self.isHeld():
            return True
        try:
            return bool(self._drainerOf(protocol).isBusy())
        except BaseException:
            _log.failure("{drainer}.isBusy failed", drainer=self._drainer)
            return True

    def isOpening(self) -> bool:
        """
        Whether a TLS handshake has begun, or should have, and is not over.
        """
        return any(isOpening(layer) for layer in layers(self.transport)[:-1])

    def roundTrip(self) -> float:
        """
        How many seconds the peer is away; 0 if that is not known.
        """
        sock = socketOf(self.transport)
        return 0.0 if sock is None else sockets.roundTrip(sock)

    def state(self) -> State:
        """
        What the connection is doing now.
        """
        found = layers(self.transport)
        self.tls = None
        if isEmpty(found):
            return State.BUSY
        leaving = False
        for layer in found[:-1]:
            leaving = leaving or isLeaving(layer)
            if self.tls is None and isinstance(layer, TLSMemoryBIOProtocol):
                self.tls = layer
                if isOpening(layer):
                    return State.OPENING
        if leaving or self._isUnfinished(found[-1]):
            return State.BUSY
        if self._is("upgraded", False):
            return State.UPGRADED
        sock = socketOf(self.transport)
        if sock is not None and not sockets.hasSpoken(sock):
            return State.NEW
        return State.IDLE

    def describe(self) -> str:
        """
        What is in flight, for people; an empty string if that cannot be told.
        """
        try:
            return str(self.drainer.describe())
        except BaseException:
            _log.failure("{drainer}.describe failed", drainer=self._drainer)
            return ""

    def entry(self, now: float, state: State, outcome: Outcome, told: str = "") -> Entry:
        """
        This connection as it appears in the report.
        """
        return Entry(
            peer=self.peer,
            protocol=self.protocolName,
            doing=self.describe(),
            state=state,
            age=max(0.0, now - self.openedAt),
            unsent=unsent(self.transport),
            outcome=outcome,
            told=told,
        )

    def __repr__(self) -> str:
        return f"<Connection {self.protocolName} from {self.peer}>"
