"""
Who asks whom for what under load, and what became of it.

Only the standard library is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Settings:
    """
    Who asks whom for what.

    @ivar path: the UNIX socket, if it is one; else C{host} and C{port} say where the server is.
    @ivar targets: what is asked for, one after the other.
    @ivar headers: lines to send, without their ends.
    @ivar body: what is sent with each request, as Latin-1.
    @ivar status: what each answer must have; C{None}: anything but 5xx.
    @ivar expect: the body of each answer, as Latin-1; C{None}: any.
    @ivar keepAlive: how many clients use a connection for as long as they may, without pause.
    @ivar pausing: how many do so with a pause after each answer.
    @ivar fresh: how many use a new connection for each request, and say so.
    @ivar pause: that pause, in seconds.
    @ivar timeout: seconds without a byte after which a request is lost.
    """

    host: str = "127.0.0.1"
    port: int = 0
    path: str = ""
    tls: bool = False
    hostname: str = "localhost"
    method: str = "GET"
    targets: tuple[str, ...] = ("/",)
    headers: tuple[str, ...] = ()
    body: str = ""
    status: int | None = None
    expect: str | None = None
    keepAlive: int = 4
    pausing: int = 4
    fresh: int = 4
    pause: float = 0.02
    timeout: float = 10.0


@dataclass(frozen=True)
class Lost:
    """
    A request without a complete answer, or a connection that did not come about.

    @ivar at: when that was known, in monotonic seconds; in a L{Dropped
        <terminable.testing.dropped.Dropped>}, in seconds since the action began; by hand, in
        seconds since the load did.
    @ivar kind: C{keep-alive}, C{pausing} or C{fresh}.
    @ivar how: C{reset after 0 bytes}, C{closed without an answer}, C{cut after 17 bytes},
        C{timeout after 0 bytes}, C{wrong: } and why, C{refused}, or C{broken: } and why.
    @ivar said: the beginning of what the server has said.
    @ivar client: the client's end of the connection.
    @ivar nth: which request on this connection it was, from 1.
    """

    at: float
    kind: str
    method: str
    target: str
    how: str
    said: str = ""
    client: str = ""
    nth: int = 1

    def __str__(self) -> str:
        whose = f", request {self.nth} of {self.client}" if self.client else ""
        said = f", after {self.said!r}" if self.said else ""
        return f"{self.at:.3f} s: {self.kind}: {self.method} {self.target}: {self.how}{whose}{said}"


def since(began: float, lost: Iterable[Lost]) -> tuple[Lost, ...]:
    """
    @param began: in monotonic seconds.
    @return: the same, but that C{at} counts from then.
    """
    return tuple(replace(each, at=each.at - began) for each in lost)


@dataclass
class Tally:
    """
    What became of the requests.

    @ivar answered: how many were answered in full, by the kind of client.
    @ivar lost: those which were lost; the first of them.
    @ivar lostCount: how many were.
    @ivar refused: connections that did not come about, be it that they were refused or that
        they were broken before the first request was written; the first of them.
    @ivar refusedCount: how many did not.
    @ivar ended: connections that the server has ended between two requests without a word.
    @ivar told: answers that said that they are the last on a connection kept alive.
    @ivar connections: how many were established.
    @ivar slowest: the longest time from a request to its complete answer, in seconds.
    """

    answered: dict[str, int] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    lostCount: int = 0
    refused: list[Lost] = field(default_factory=list)
    refusedCount: int = 0
    ended: int = 0
    told: int = 0
    connections: int = 0
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """
        How many requests were answered.
        """
        return sum(self.answered.values())

    def __str__(self) -> str:
        return f"{self.total} answered, {self.lostCount} lost, {self.refusedCount} refused"
