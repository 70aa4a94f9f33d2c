"""
One connection that is held to limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from terminable import events
from terminable.handover.holding import isHeld
from terminable.policy.limits import Limit, Of, Per
from terminable.throttling.charges import Charges, Found, Refusal
from terminable.throttling.claims import Source
from terminable.throttling.flows import Receiving, Sending
from terminable.throttling.meter import Meter
from terminable.throttling.metered import metered
from terminable.throttling.meters.library import meterOf
from terminable.tracking import pausing
from terminable.tracking.connection import Connection
from terminable.tracking.layers import applicationOf, socketOf, topOf

if TYPE_CHECKING:
    from terminable.throttling.throttle import Throttle

#: How long a connection that was told to go may take to do so, in seconds, before it is
#: aborted.
LEAVING = 2.0

#: How many have the same rate.
_BY_NUMBER = (Per.CONNECTION, Per.PEER, Per.ALL)

_log = Logger()


class Throttled:
    """
    One connection that is held to limits.
    """

    def __init__(
        self,
        throttle: Throttle,
        transport: Any,
        idle: Callable[[Any], object],
        abort: Callable[[Any], object],
    ) -> None:
        self._throttle = throttle
        self._transport = transport
        self._idle = idle
        self._abort = abort
        self._met: list[tuple[Any, Meter]] = []
        self._flows: list[Receiving | Sending] = []
        self._leaving: list[Callable[[], object]] = []
        self._calls: list[Any] = []
        self._gone = False
        limits = throttle.limits
        self._counts = [each for each in limits if each.of is Of.MESSAGES]
        self._charges = Charges(throttle.reactor, self._find)
        received = [each for each in limits if each.of is Of.RECEIVED]
        sent = [each for each in limits if each.of is Of.SENT]
        if (received or sent) and socketOf(transport) is not None:
            self._measure(received, sent)
        self.meet()

    def _measure(self, received: list[Limit], sent: list[Limit]) -> None:
        own = metered(self._transport)
        for limits, name, kind in ((received, "reads", Receiving), (sent, "writes", Sending)):
            if limits:
                charged = self._charged(limits, self._transport.getPeer())
                flow = kind(self._throttle.reactor, self._transport, charged, self)
                self._flows.append(flow)
                setattr(own, name, flow)

    def _charged(self, limits: Sequence[Limit], address: Any) -> list[tuple[Limit, Source]]:
        """
        What it is charged to, first what it shares with fewest.
        """
        host = getattr(address, "host", None)
        found = []
        for each in sorted(limits, key=lambda limit: _BY_NUMBER.index(limit.per)):
            source, leave = self._throttle.sourceOf(each, each.peer(host))
            self._leaving.append(leave)
            found.append((each, source))
        return found

    def _find(self) -> Found | None:
        """
        Who is charged for messages.  Not before the first: behind a proxy that tells, only
        then it is known who the peer is.  Nobody is for what was said in another process, and
        is repeated here.
        """
        if socketOf(self._transport) is not None and isHeld(self._transport):
            return None
        address = Connection(self._transport, 0.0).peerAddress
        host = getattr(address, "host", None)
        own = [each for each in self._counts if each.shared is None]
        shared = [each for each in self._counts if each.shared is not None]
        keyed = [
            (each, source, each.peer(host) if each.per is Per.PEER else "")
            for each, source in self._charged(shared, address)
        ]
        return self._charged(own, address), keyed

    def meet(self) -> bool:
        """
        Count the messages of the protocol that there is now.

        @return: whether it is another one than before.
        """
        if not self._counts or self._gone:
            return False
        application = applicationOf(self._transport)
        try:
            return application is not None and self._watch(meterOf(application))
        except Exception:
            _log.failure("messages of {protocol} cannot be counted", protocol=application)
            return False

    def _watch(self, meter: Meter | None) -> bool:
        if meter is None or any(known is meter.protocol for known, _ in self._met):
            return False
        self._met.append((meter.protocol, meter))
        meter.watch(self._throttle.reactor, self._transport, self._charges, self)
        return True

    def held(self) -> None:
        """
        It has to wait.
        """
        self._throttle.counts.held += 1

    def resumed(self) -> None:
        """
        It has not any more.
        """
        self._idle(self._transport)

    def refused(self, refusal: Refusal) -> None:
        """
        A message was one too many.
        """
        self._throttle.counts.refused += 1
        if refusal.last and not self._gone:
            self._part(refusal.limit)

    def cut(self, limit: Limit) -> None:
        """
        Too many bytes.
        """
        if self._gone:
            return
        self._part(limit)
        if self._met:
            self._met[-1][1].part(Refusal(limit, limit.burst / limit.rate, last=True))
        else:
            self._later(limit.warning, lambda: topOf(self._transport).loseConnection())

    def _part(self, limit: Limit) -> None:
        """
        It is told to go, which it does soon, whatever its peer does.
        """
        self._gone = True
        self._throttle.counts.disconnected += 1
        peer = Connection(self._transport, 0.0).peer
        _log.info(
            "{peer} is disconnected: more than {limit}",
            event=events.DISCONNECTED,
            peer=peer,
            limit=limit,
        )
        self._later(limit.warning + LEAVING, partial(self._abort, self._transport))

    def _later(self, seconds: float, work: Callable[[], object]) -> None:
        self._calls.append(self._throttle.reactor.callLater(seconds, work))

    def end(self) -> None:
        """
        The connection is over.
        """
        self._gone = True
        for _, meter in self._met:
            meter.end()
        for claim in (*self._flows, self._charges):
            claim.stop()
        for call in self._calls:
            if call.active():
                call.cancel()
        # Nothing is left in circles.
        self._met.clear()
        self._flows.clear()
        self._calls.clear()
        for leave in self._leaving:
            leave()
        pausing.forget(self._transport)
