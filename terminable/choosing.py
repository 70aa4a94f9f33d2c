"""
Which connections a drain by choice is about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from terminable.errors import InvalidOption
from terminable.policy.schedule import seconds
from terminable.tracking.connection import Connection

#: How much of an IPv6 address says that the rest is an IPv4 address (RFC 4291, section
#: 2.5.5.2).
_MAPPED = 96


@dataclass(frozen=True)
class Choice:
    """
    Every condition that is not C{None} has to be met; a percentage is taken of those who
    meet the others, evenly by age.

    @ivar select: called with each L{Connection}, tells whether to choose it.
    @ivar percent: how many, from 0 to 100; rounded up.
    @ivar olderThan: for at least how many seconds they have been connected.
    @ivar peer: the IP address or network (C{"10.1.0.0/16"}) that they come from.
    @ivar port: the number of the TCP port, or the path of the UNIX socket, that they
        came in by; a text that spells a number is one.
    """

    select: Callable[[Connection], object] | None = None
    percent: float | None = None
    olderThan: float | None = None
    peer: str | None = None
    port: int | str | None = None

    def __post_init__(self) -> None:
        """
        @raise InvalidOption: a condition that cannot be meant.
        """
        if self.percent is not None and not 0 <= self._number(self.percent) <= 100:
            raise InvalidOption("percent", self.percent, "a number from 0 to 100")
        if self.olderThan is not None:
            object.__setattr__(self, "olderThan", seconds("olderThan", self.olderThan))
        if self.peer is not None:
            self._network()
        if self.port is not None:
            object.__setattr__(self, "port", self._place(self.port))
        if self.select is not None and not callable(self.select):
            raise InvalidOption("select", self.select, "something to call with a connection")

    def _number(self, value: object) -> float:
        return -1.0 if isinstance(value, bool) or not isinstance(value, (int, float)) else value

    def _place(self, port: Any) -> int | str:
        if isinstance(port, str) and not port.isdecimal():
            return port
        # More digits than a port has are not even read.
        number = int(port) if isinstance(port, str) and len(port.lstrip("0")) <= 5 else port
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**16:
            raise InvalidOption("port", port, "a port number, or the path of a UNIX socket")
        return number

    def _network(self) -> Any:
        try:
            network = ip_network(str(self.peer), strict=False)
        except ValueError:
            expected = "an IP address, or a network such as 10.1.0.0/16"
            raise InvalidOption("peer", self.peer, expected) from None
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped is None or network.prefixlen < _MAPPED:
            return network
        return ip_network((mapped, network.prefixlen - _MAPPED))

    def of(self, connections: Sequence[Connection], now: float) -> list[Connection]:
        """
        @param connections: those there are, oldest first.
        @param now: what time it is, on the reactor's clock.
        @return: the chosen ones.
        """
        chosen = [connection for connection in connections if self._meets(connection, now)]
        if self.percent is None:
            return chosen
        count = -int(-len(chosen) * self.percent // 100)
        return [chosen[index * len(chosen) // count] for index in range(count)]

    def _meets(self, connection: Connection, now: float) -> bool:
        if self.olderThan is not None and now - connection.openedAt < self.olderThan:
            return False
        if self.peer is not None and not self._isFrom(connection):
            return False
        if self.port is not None and not self._cameBy(connection):
            return False
        return self.select is None or bool(self.select(connection))

    def _isFrom(self, connection: Connection) -> bool:
        try:
            address = ip_address(connection.peerAddress.host)
        except (AttributeError, ValueError):
            return False
        # A socket that takes both kinds of address has an IPv4 client as ::ffff:10.1.2.3.
        address = getattr(address, "ipv4_mapped", None) or address
        return bool(address in self._network())

    def _cameBy(self, connection: Connection) -> bool:
        address = connection.hostAddress
        name = getattr(address, "name", None)
        if isinstance(name, bytes):
            return name.decode("utf-8", "surrogateescape") == self.port
        return getattr(address, "port", None) == self.port
