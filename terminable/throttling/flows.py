"""
Bytes in one direction on one connection, held to their rates.

Who may have no bytes now waits for a portion of those to come, in line with all others who
wait for the same rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from terminable.policy.limits import Action, Limit
from terminable.throttling.claims import Claim, Source
from terminable.tracking import internals, lingering, pausing

#: Whose pause it is that a connection has, which may not read now.
RECEIVING = "received bytes"

#: What fills one packet on most networks, in bytes: to wait for less is not worth it.
_PACKET = 1460


class Owner(Protocol):
    """
    Whose connection it is.
    """

    def held(self) -> None:
        """
        It has to wait.
        """

    def resumed(self) -> None:
        """
        It reads on.
        """

    def cut(self, limit: Limit) -> None:
        """
        It is to go because of a limit.
        """


class Flow(Claim):
    """
    One direction.
    """

    __slots__ = ("_limits", "_owner", "_portion", "_reactor", "_transport")

    def __init__(
        self,
        reactor: Any,
        transport: Any,
        charged: Sequence[tuple[Limit, Source]],
        owner: Owner,
    ) -> None:
        """
        @param charged: what it is charged to.
        """
        super().__init__([source for _, source in charged])
        self._reactor = reactor
        self._transport = transport
        self._limits = [limit for limit, _ in charged]
        self._portion = min(limit.portion for limit, _ in charged)
        self._owner = owner

    def allowance(self, size: int) -> int:
        """
        @param size: how many bytes are wanted.
        @return: how many may be moved now; L{used} is to be told how many were.
        """
        if self.amount:
            return min(size, int(self.amount)) if self.isGranted else self._tooEarly(size)
        now = self._reactor.seconds()
        allowed = size
        for source in self.sources:
            passed = now - source.at
            if passed > 0.0 and source.since is None and not source.line:
                # As by C{fill}, without the call: this is for each read and write.
                source.at = now
                level, most = source.level + passed * source.rate, source.burst - source.held
                source.level = level = level if level < most else most
            else:
                level = 0.0 if source.line else source.fill(now)
            if level < allowed:
                # Not in crumbs.
                if level < min(size, self._portion):
                    return self._tooMuch(size, now)
                allowed = int(level)
        return allowed

    def used(self, size: int) -> None:
        """
        So many were moved.
        """
        if self.amount:
            self.use(size)
        else:
            for source in self.sources:
                # As by C{spend}, without the call.
                source.level -= size

    def _tooEarly(self, size: int) -> int:
        """
        Somebody tries although it waits: to write what was just added, say.
        """
        self._halt()
        return 0

    def _tooMuch(self, size: int, now: float) -> int:
        amount = min(size, self._share())
        lacking = [
            (limit, source)
            for limit, source in zip(self._limits, self.sources, strict=True)
            if source.line or source.fill(now) < amount
        ]
        for _, source in lacking:
            source.over(now)
        self.ask(amount)
        self._halt()
        self._owner.held()
        for limit, source in lacking:
            if limit.action(source.overFor(now)) is Action.DISCONNECT:
                self._owner.cut(limit)
                break
        return 0

    def _share(self) -> int:
        """
        How much to wait for.  The more there are who wait, the less it is, so that it is soon
        everybody's turn.
        """
        waiting = max(len(source.line or ()) for source in self.sources)
        return min(self._portion, max(_PACKET, self._portion // (1 + waiting)))

    def _halt(self) -> None:
        raise NotImplementedError  # pragma: no cover

    def stop(self) -> None:
        """
        Move on as much as is wanted: the connection is over.
        """
        self.withdraw()
        self.sources = ()


class Receiving(Flow):
    """
    What the peer sends: while it waits, its data stay in the kernel, which makes TCP slow
    the peer down.
    """

    __slots__ = ()

    def _tooEarly(self, size: int) -> int:
        return size if self._isFree() else super()._tooEarly(size)

    def _tooMuch(self, size: int, now: float) -> int:
        return size if self._isFree() else super()._tooMuch(size, now)

    def _isFree(self) -> bool:
        """
        What comes when the connection was lost is thrown away, and has to be, so that our last
        words arrive: nobody waits for that, and not for long.
        """
        if not lingering.lingers(self._transport):
            return False
        self.stop()
        pausing.resume(self._transport, RECEIVING)
        return True

    def _halt(self) -> None:
        pausing.pause(self._transport, RECEIVING)

    def granted(self) -> None:
        """
        Read on.
        """
        pausing.resume(self._transport, RECEIVING)
        if not internals.isReading(self._transport):
            # It cannot use it now, and others can.
            self.use(0.0)
        self._owner.resumed()


class Sending(Flow):
    """
    What the peer is sent: while it waits, it stays in the transport's buffer, which makes
    producers pause.
    """

    __slots__ = ()

    def _halt(self) -> None:
        self._transport.stopWriting()

    def granted(self) -> None:
        """
        Write on.
        """
        self._transport.startWriting()
