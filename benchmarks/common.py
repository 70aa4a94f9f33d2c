"""
What the benchmarks share: servers in processes of their own, free ports, a
certificate.

Nothing in here imports Twisted: the clients must not share a fault, or a
reactor, with what they measure.
"""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
KINDS = ("terminable", "prefix", "plain")


# -- this machine -----------------------------------------------------------


def raiseDescriptorLimit() -> int:
    """
    Allow this process and its children as many descriptors as may be, and
    return that number.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def freePort() -> int:
    """
    A port on which nobody listens, from below the range out of which the
    kernel gives ports to clients: no client can sit on it by accident.
    """
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


@dataclass
class Workspace:
    """
    A temporary directory for logs and the self-signed certificate.
    """

    _directory: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="bench-")
    )
    _certificate: Path | None = None

    @property
    def path(self) -> Path:
        return Path(self._directory.name)

    def certificate(self) -> Path:
        """
        A file that holds a key and a certificate for 127.0.0.1.
        """
        if self._certificate is None:
            self._certificate = self.path / "server.pem"
            self._certificate.write_bytes(_selfSigned())
        return self._certificate

    def tlsContext(self) -> ssl.SSLContext:
        """
        What a client needs in order to trust our certificate.
        """
        return ssl.create_default_context(cafile=str(self.certificate()))


def _selfSigned() -> bytes:
    from datetime import datetime, timedelta, timezone
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


# -- servers ----------------------------------------------------------------

PROBE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


@dataclass
class Listen:
    """
    One port to listen on, plain or with TLS.
    """

    tls: bool = False
    backlog: int = 50
    port: int = field(default_factory=freePort)

    def description(self, workspace: Workspace) -> str:
        rest = f"{self.port}:interface={HOST}:backlog={self.backlog}"
        if not self.tls:
            return f"tcp:{rest}"
        pem = workspace.certificate()
        return f"ssl:{rest}:privateKey={pem}:certKey={pem}"


@dataclass
class Stop:
    """
    How a server ended: when the signal went out, when the process was gone
    (both in monotonic seconds), and with which status.
    """

    began: float
    gone: float
    status: int

    @property
    def seconds(self) -> float:
        return self.gone - self.began


@dataclass
class Server:
    """
    A server in a process of its own, used as a context that waits until it
    answers and leaves nothing behind.

    @ivar kind: C{"terminable"} is C{twistd terminable}; C{"prefix"} is C{twistd
        web} with C{terminable:} before the endpoint; C{"plain"} is C{twistd
        web}.
    @ivar resource: what C{--class} gets.  With C{None}, a raw protocol that
        ignores us is served instead of a web site.
    """

    kind: str
    workspace: Workspace
    listens: Sequence[Listen]
    resource: str | None = "resources.Root"
    grace: float = 10.0
    idleGrace: float | None = None
    extra: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)

    began = 0.0

    def __enter__(self) -> Server:
        self.logPath = self.workspace.path / f"{random.getrandbits(48):x}.log"
        path = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
        with open(self.logPath, "wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.workspace.path,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, path)),
                    "BENCH_ENDPOINT": self._door(self.listens[0]),
                    **self.environment,
                },
            )
        self._exit = os.pidfd_open(self._process.pid)
        try:
            self._waitUntilServing()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._exit)

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
        what = (
            ["--factory", "resources.stubborn"]
            if self.resource is None
            else ["--class", self.resource]
        )
        return [*common, "terminable", *arguments, *what, *self.extra]

    def _door(self, listen: Listen) -> str:
        description = listen.description(self.workspace)
        if self.kind != "prefix":
            return description
        options = f":grace={self.grace:g}"
        if self.idleGrace is not None:
            options += f":idleGrace={self.idleGrace:g}"
        return f"terminable:{description}{options}"

    def _waitUntilServing(self, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        for listen in self.listens:
            while not self._serves(listen):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.log()}")
                time.sleep(0.02)

    def _serves(self, listen: Listen) -> bool:
        """
        Whether the server answers.  That it accepts is not enough: it may only be
        trying whether it could listen.
        """
        try:
            with socket.create_connection((HOST, listen.port), 5.0) as plain:
                if not listen.tls:
                    plain.sendall(PROBE)
                    return bool(plain.recv(1))
                context = self.workspace.tlsContext()
                with context.wrap_socket(plain, server_hostname=HOST) as secured:
                    secured.sendall(PROBE)
                    return bool(secured.recv(1))
        except OSError:
            return False

    def log(self) -> str:
        """
        What the server has logged until now.
        """
        return self.logPath.read_text(errors="replace")

    def waitForLog(self, text: str, seconds: float = 5.0) -> None:
        """
        Return when the text stands in the log.
        """
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{text!r} never came:\n{self.log()}")
            time.sleep(0.005)

    def terminate(self) -> float:
        """
        Send SIGTERM; return the moment.
        """
        self.began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self.began

    def wait(self, seconds: float = 30.0) -> Stop:
        """
        Wait until the process is gone.
        """
        poll = select.poll()
        poll.register(self._exit, select.POLLIN)
        if not poll.poll(seconds * 1000):
            raise RuntimeError(f"still there after {seconds} s:\n{self.log()[-4000:]}")
        gone = time.monotonic()
        return Stop(self.began, gone, self._process.wait())


def acceptQueueLength(port: int) -> int | None:
    """
    How many connections wait to be accepted on a port, if Linux tells.
    """
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        _, local, _, state, queues, *_ = line.split()
        if state == "0A" and int(local.split(":")[1], 16) == port:
            return int(queues.split(":")[1], 16)
    return None
