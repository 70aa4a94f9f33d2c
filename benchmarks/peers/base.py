"""
What a peer is, and how one is started: all of them in the same way.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import HOST, Listen, Workspace
from benchmarks.started import Started

PEERS = Path(__file__).resolve().parent
APPS = PEERS / "apps"

#: What L{benchmarks.peers.install} has fetched and built.
FETCHED = PEERS / "fetched"

#: As long as idle connections are kept by those who would else end them in the middle of a run,
#: in seconds.
KEPT = 120


@dataclass(frozen=True)
class Order:
    """
    What a server is to do.

    @ivar directory: where it may put files.
    @ivar port: where to listen, on 127.0.0.1.
    @ivar certificate: a file with a key and a certificate, if it is to speak TLS.
    @ivar grace: seconds until it ends in any case, as far as it has such a setting.
    @ivar idleGrace: seconds that idle connections are kept, C{None} for the default; ours only.
    """

    directory: Path
    port: int
    certificate: Path | None = None
    grace: float = 10.0
    idleGrace: float | None = None

    @property
    def seconds(self) -> str:
        """
        The grace in whole seconds.
        """
        return str(round(self.grace))

    @property
    def address(self) -> str:
        """
        Where to listen.
        """
        return f"{HOST}:{self.port}"


@dataclass(frozen=True)
class Peer:
    """
    Somebody who is measured.

    @ivar name: as it stands in tables.
    @ivar version: tells the version that is installed; C{""} if none is.
    @ivar command: the command line that starts it.
    @ivar stopSignal: its own way to stop politely.
    @ivar speaksHTTP2: whether it does so over TLS.
    @ivar restartSignal: its own way to be replaced without an end, 0 if it has none.
    @ivar restartCommand: the command line for that, if it differs.
    @ivar environment: what it needs there.
    @ivar hasReactor: whether its turns can be measured from inside.
    """

    name: str
    version: Callable[[], str]
    command: Callable[[Order], list[str]]
    stopSignal: int = signal.SIGTERM
    speaksHTTP2: bool = False
    restartSignal: int = 0
    restartCommand: Callable[[Order], list[str]] | None = None
    environment: Callable[[], dict[str, str]] = field(default=dict)
    hasReactor: bool = False

    @property
    def isOurs(self) -> bool:
        """
        Whether goals are set for it.
        """
        return self.name.startswith("terminable")


class Running(Started):
    """
    A peer that serves.
    """

    def __init__(
        self,
        peer: Peer,
        workspace: Workspace,
        listen: Listen,
        grace: float = 10.0,
        idleGrace: float | None = None,
        environment: dict[str, str] | None = None,
        forRestarts: bool = False,
    ) -> None:
        self.peer, self.workspace, self.listens = peer, workspace, [listen]
        certificate = workspace.certificate() if listen.tls else None
        self.order = Order(workspace.path, listen.port, certificate, grace, idleGrace)
        self.environment = {**peer.environment(), **(environment or {})}
        self.stopSignal = peer.stopSignal
        self._forRestarts = forRestarts

    def command(self) -> list[str]:
        """
        See L{Started.command}.
        """
        if self._forRestarts and self.peer.restartCommand is not None:
            return self.peer.restartCommand(self.order)
        return self.peer.command(self.order)


# -- what is installed ----------------------------------------------------------


def fetchedScript(name: str) -> str:
    """
    The path of a program out of the environment of the peers.
    """
    return str(FETCHED / "venv" / "bin" / name)


def pythonVersion(distribution: str) -> Callable[[], str]:
    """
    @return: what tells the version of a distribution in the environment of the peers.
    """

    def version() -> str:
        folders = map(str, (FETCHED / "venv" / "lib").glob("python*/site-packages"))
        found = importlib.metadata.distributions(name=distribution, path=list(folders))
        return next((each.version for each in found), "")

    return version


def ourVersion(distribution: str) -> Callable[[], str]:
    """
    @return: what tells the version of a distribution in our own environment.
    """
    return lambda: importlib.metadata.version(distribution)


def nodeVersion(package: str) -> Callable[[], str]:
    """
    @return: what tells the version of a package for Node, if there is Node.
    """

    def version() -> str:
        described = FETCHED / "node_modules" / package / "package.json"
        if not described.exists() or not shutil.which("node"):
            return ""
        node = said(["node", "--version"], r"v([\d.]+)")
        return f"{json.loads(described.read_text())['version']} (Node {node})"

    return version


def program(name: str) -> str | None:
    """
    The path of a program; Debian keeps some out of a user's way.
    """
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def said(command: Sequence[str], pattern: str) -> str:
    """
    What a program says of itself; C{""} if it says something else, or nothing.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else ""
