"""
Three servers behind HAProxy, as C{docs/deploy/fleet} has them, on ports of their own.

Only the standard library is needed, so that tests may import this as well.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
FLEET = ROOT / "docs" / "deploy" / "fleet"
NAMES = ("1", "2", "3")

#: Where HAProxy, PORTS and AGENTS are on our ports, of the file that is deployed.
PUBLIC, PORTS, AGENTS = 8000, 8080, 9080

#: Lines of it that need rights, or a place, that nobody has here.
_PRIVILEGED = ("log ", "option httplog", "user ", "group ")

#: Seconds for what takes a moment; only what fails takes so long.
PATIENCE = 20.0

#: What is served, whoever serves it.
SERVED = ("--class", "benchmarks.resources.Root")


def program(name: str) -> str:
    """
    The path of a program; Debian keeps some out of a user's way.

    @raise FileNotFoundError: it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def freePorts(count: int) -> int:
    """
    The first of so many ports on which nobody listens, one after the other, out of a range from
    which the kernel gives none to clients.
    """
    while True:
        first = random.randrange(15000, 32000 - count)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind((HOST, port))
            except OSError:
                continue
            return first


def configuration(directory: Path, base: int, agents: bool, interval: str = "500ms") -> str:
    """
    The configuration that is deployed, for our ports.

    @param base: our port for number 0 of the servers; agents and public port come after it.
    @param agents: whether the servers have agent checks.
    @param interval: how often these are asked.
    """
    kept = []
    for line in (FLEET / "haproxy.cfg").read_text().splitlines():
        if not line.strip().startswith(_PRIVILEGED):
            kept.append(line)
    text = "\n".join([*kept, ""])
    replaced = {
        "/run/haproxy/admin.sock": str(directory / "haproxy.sock"),
        "bind :8000": f"bind {HOST}:{base + 20}",
        "agent-inter 500ms": f"agent-inter {interval}",
    }
    for name in NAMES:
        number = int(name)
        replaced[f"{HOST}:{PORTS + number}"] = f"{HOST}:{base + number}"
        replaced[f"agent-port {AGENTS + number}"] = f"agent-port {base + 10 + number}"
    for before, after in replaced.items():
        assert before in text, before
        text = text.replace(before, after)
    if not agents:
        text = text.replace(f"agent-check agent-inter {interval} ", "")
        for number in map(int, NAMES):
            text = text.replace(f" agent-port {base + 10 + number}", "")
    return text


class Fleet:
    """
    All of them, used as a context that waits until HAProxy has all servers up, and leaves
    nothing behind.

    @ivar port: where clients connect.
    """

    #: Whether the servers speak for themselves.
    agents = True

    def __init__(self, directory: Path, quiesce: float = 2.0, interval: str = "500ms") -> None:
        """
        @param directory: where everything that is written goes.
        @param quiesce: how long a server goes on accepting, in seconds.
        @param interval: how often HAProxy asks a server how it stands.
        """
        self.directory = directory
        self._base = freePorts(21)
        self.port = self._base + 20
        self._interval = interval
        self._haproxy: subprocess.Popen[bytes] | None = None
        self._pids: set[int] = set()
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "TWISTD": str(Path(sys.executable).with_name("twistd")),
            "SERVE": " ".join(SERVED),
            "RUN": str(directory),
            "PORTS": str(self._base),
            "AGENTS": str(self._base + 10),
            "QUIESCE": f"{quiesce:g}",
        }

    def __enter__(self) -> Fleet:
        try:
            for name in NAMES:
                self.start(name)
            self._startHaproxy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _startHaproxy(self) -> None:
        path = self.directory / "haproxy.cfg"
        path.write_text(configuration(self.directory, self._base, self.agents, self._interval))
        with open(self.directory / "haproxy.log", "wb") as log:
            self._haproxy = subprocess.Popen(
                [program("haproxy"), "-db", "-f", str(path)], stdout=log, stderr=log
            )
        for name in NAMES:
            self.awaitUp(name)

    def __exit__(self, *exception: object) -> None:
        if self._haproxy is not None:
            self._haproxy.kill()
            self._haproxy.wait()
        for name in NAMES:
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.pid(name), signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        """
        Servers are nobody's children, or those of whoever adopts orphans.
        """
        for pid in self._pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._pids.clear()

    def pid(self, name: str) -> int:
        """
        The number of a server's process.
        """
        pid = int(self.pidfile(name).read_text())
        self._pids.add(pid)
        return pid

    def pidfile(self, name: str) -> Path:
        """
        Where the number of a server's process stands.
        """
        return self.directory / f"site-{name}.pid"

    def logs(self) -> str:
        """
        What they all have logged lately, but for who was served.
        """
        paths = sorted(self.directory.glob("*.log"))
        lines = [line for path in paths for line in path.read_text(errors="replace").splitlines()]
        return "\n".join([line for line in lines if '"GET /' not in line][-60:])

    def sees(self, name: str) -> str:
        """
        How HAProxy sees a server; an empty text if it does not answer yet.
        """
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(5.0)
                sock.connect(str(self.directory / "haproxy.sock"))
                sock.sendall(b"show stat\n")
                text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        except OSError:
            return ""
        rows: Iterator[dict[str, Any]] = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        found = (row["status"] for row in rows if (row["pxname"], row["svname"]) == ("site", name))
        return next(found, "")

    def awaitUp(self, name: str) -> None:
        """
        Return when HAProxy gives a server its part of the load.

        @raise RuntimeError: it does not.
        """
        deadline = time.monotonic() + PATIENCE
        while self.sees(name) != "UP":
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is {self.sees(name)!r}:\n{self.logs()}")
            time.sleep(0.05)

    # -- what is deployed

    def start(self, name: str) -> None:
        """
        Start a server, and return when it is there.
        """
        self._script("start", name)

    def _script(self, *words: str) -> None:
        done = subprocess.run(
            [str(FLEET / "server.sh"), *words], env=self.environment, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise RuntimeError(f"{words}: {done.returncode}\n{self.logs()}")

    def deploy(self, names: Sequence[str] = NAMES) -> None:
        """
        Restart them one after the other.

        @raise RuntimeError: that has failed.
        """
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.pid(name)
        agents = [f"{name}={HOST}:{self._base + 10 + int(name)}" for name in names]
        command = [
            *(sys.executable, str(FLEET / "deploy.py")),
            *("--restart", f"{FLEET / 'server.sh'} restart {{name}}"),
            *("--haproxy", str(self.directory / "haproxy.sock")),
        ]
        with open(self.directory / "deploy.log", "ab") as log:
            done = subprocess.run(
                [*command, *agents], env=self.environment, stdout=log, stderr=log, check=False
            )
        if done.returncode:
            said = (self.directory / "deploy.log").read_text()
            raise RuntimeError(f"the deploy has failed:\n{said}{self.logs()}")


class PlainFleet(Fleet):
    """
    The same of C{twistd web}, which ends as Twisted ends: HAProxy finds out by itself.
    """

    agents = False

    def start(self, name: str) -> None:
        """
        Start a server, and return when it is there.
        """
        port = f"haproxy:tcp:{self._base + int(name)}:interface={HOST}"
        files = (f"--pidfile={self.pidfile(name)}", f"--logfile={self.directory}/site-{name}.log")
        command = [self.environment["TWISTD"], *files, "web", "--listen", port, *SERVED]
        subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, check=True)

    def deploy(self, names: Sequence[str] = NAMES) -> None:
        """
        Restart them: the next one when HAProxy has the one before it back.
        """
        for name in names:
            os.kill(self.pid(name), signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while self.pidfile(name).exists():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not end:\n{self.logs()}")
                time.sleep(0.02)
            self.start(name)
            # By then it has noticed that the old one has gone.
            time.sleep(2.0)
            self.awaitUp(name)
