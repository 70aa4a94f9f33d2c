"""
What the benchmarks share: servers of ours, and what else they need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.machine import (
    HERE,
    HOST,
    ROOT,
    Listen,
    Workspace,
    acceptQueueLength,
    freePort,
    raiseDescriptorLimit,
)
from benchmarks.started import Started, Stop

__all__ = [
    "HERE",
    "HOST",
    "KINDS",
    "ROOT",
    "Listen",
    "Server",
    "Stop",
    "Workspace",
    "acceptQueueLength",
    "freePort",
    "ours",
    "raiseDescriptorLimit",
]

KINDS = ("terminable", "prefix", "plain")
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def ours() -> dict[str, str]:
    """
    The environment in which Twisted finds this package, and what it serves.
    """
    path = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


@dataclass
class Server(Started):
    """
    A server of ours, or of Twisted; see L{Started}.

    @ivar kind: C{"terminable"} is C{twistd terminable}; C{"prefix"} is C{twistd
        web} with C{terminable:} before the endpoint; C{"plain"} is C{twistd
        web}.
    @ivar resource: what C{--class} gets.  With C{None}, a factory is served
        instead of a web site.
    @ivar factory: that factory; unless told otherwise, of a raw protocol that ignores us.
    """

    kind: str
    workspace: Workspace
    listens: Sequence[Listen]
    resource: str | None = "resources.Root"
    grace: float = 10.0
    idleGrace: float | None = None
    extra: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    factory: str = "resources.stubborn"

    def surroundings(self) -> dict[str, str]:
        """
        See L{Started.surroundings}.
        """
        served = {"BENCH_ENDPOINT": self._door(self.listens[0]), "BENCH_FACTORY": self.factory}
        return {**ours(), **served, **self.environment}

    def command(self) -> list[str]:
        """
        The command line that starts it.
        """
        common = [*TWISTD, "-n", "--pidfile="]
        doors = [self._door(listen) for listen in self.listens]
        if self.kind != "terminable":
            if self.resource is None:
                return [*common, "-y", str(HERE / "raw.tac")]
            arguments = [word for door in doors for word in ("--listen", door)]
            return [*common, "web", *arguments, "--class", self.resource]
        arguments = [word for door in doors for word in ("--port", door)]
        arguments += ["--grace", f"{self.grace:g}"]
        if self.idleGrace is not None:
            arguments += ["--idle-grace", f"{self.idleGrace:g}"]
        what = ["--factory", self.factory] if self.resource is None else ["--class", self.resource]
        return [*common, "terminable", *arguments, *what, *self.extra]

    def _door(self, listen: Listen) -> str:
        description = listen.description(self.workspace)
        if self.kind != "prefix":
            return description
        options = f":grace={self.grace:g}"
        if self.idleGrace is not None:
            options += f":idleGrace={self.idleGrace:g}"
        return f"terminable:{description}{options}"
