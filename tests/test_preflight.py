"""
Finding out whether an endpoint could be listened on.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import preflight
from terminable.preflight import Trial, TriedPort, cannotListen

#: No process has this number (proc(5), pid_max).
DEAD = 2**22 + 1


class CannotListenTests(SynchronousTestCase):
    """
    Nothing ever listens here, except for those in the way.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def why(self, description: str) -> str | None:
        failure = cannotListen(self.reactor, description)
        self.assertEqual(self.reactor.tcpServers + self.reactor.unixServers, [])
        return None if failure is None else failure.getErrorMessage()

    def taken(self) -> int:
        """
        A port on which somebody listens.
        """
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        port: int = server.getsockname()[1]
        return port

    def path(self) -> str:
        path = os.path.relpath(self.mktemp())
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return path

    def test_free(self) -> None:
        """
        A free port is fine, also for IPv6, and is free afterwards.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for _ in range(2):
            self.assertIsNone(self.why(f"tcp:{port}:interface=127.0.0.1"))
        self.assertIsNone(self.why(r"tcp6:0:interface=\:\:1"))
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port))

    def test_descriptor(self) -> None:
        """
        A descriptor that an endpoint would listen on, and close, is there for it afterwards.
        """
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        endpoint = AdoptedStreamServerEndpoint(self.reactor, server.fileno(), socket.AF_INET)
        self.patch(preflight, "serverFromString", lambda reactor, description: endpoint)
        self.assertIsNone(self.why("systemd:domain=INET:index=0"))
        with socket.create_connection(server.getsockname()):
            pass
        endpoint.fileno = 999
        self.assertIn("Bad file descriptor", str(self.why("systemd:domain=INET:index=0")))

    def test_taken(self) -> None:
        """
        Where somebody listens already, that is said.
        """
        port = self.taken()
        self.assertIn("in use", str(self.why(f"tcp:{port}:interface=127.0.0.1")))

    def test_noSuchPort(self) -> None:
        """
        A number that is no port is refused.
        """
        self.assertIn("0-65535", str(self.why("tcp:70000:interface=127.0.0.1")))

    def test_noSuchAddress(self) -> None:
        """
        So is an address that is not ours.
        """
        self.assertIsNotNone(self.why("tcp:0:interface=192.0.2.1"))

    def test_ssl(self) -> None:
        """
        A port for TLS is tried like any other.
        """
        port = self.taken()
        trial = Trial(self.reactor)
        self.assertIsInstance(trial.listenSSL(0, None, None, 50, "127.0.0.1"), TriedPort)
        self.assertRaises(CannotListenError, trial.listenSSL, port, None, None, 50, "127.0.0.1")

    def test_unix(self) -> None:
        """
        A path that is free is fine, and is free afterwards.
        """
        path = self.path()
        self.assertIsNone(self.why(f"unix:{path}:lockfile=0"))
        self.assertIsNone(self.why(f"unix:{path}"))
        self.assertFalse(os.path.exists(path))

    def test_unixTaken(self) -> None:
        """
        One on which somebody listens is not.
        """
        path = self.path()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            for description in (f"unix:{path}", f"unix:{path}:lockfile=0"):
                self.assertIn("in use", str(self.why(description)))

    def test_unixLeftOver(self) -> None:
        """
        One that is left over from a process that has gone is fine if it may be removed,
        which only the lock file tells.
        """
        path = self.path()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
        self.assertIn("in use", str(self.why(f"unix:{path}")))
        self.hold(path, DEAD)
        self.assertIsNone(self.why(f"unix:{path}"))
        self.assertIn("in use", str(self.why(f"unix:{path}:lockfile=0")))
        self.assertTrue(os.path.exists(path))

    def hold(self, path: str, holder: object) -> None:
        """
        Leave a lock as Twisted makes it.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.lock")
        os.symlink(str(holder), f"{path}.lock")

    def test_unixLocked(self) -> None:
        """
        A lock of a process that is there is in the way, and named; one that names nobody is not.
        """
        path = self.path()
        for holder in (os.getpid(), 1):
            self.hold(path, holder)
            expected = f"{path}.lock says that process {holder} uses the path"
            self.assertIn(expected, str(self.why(f"unix:{path}")))
        self.hold(path, "nobody")
        self.assertIsNone(self.why(f"unix:{path}"))

    def test_unixOther(self) -> None:
        """
        What is no socket is not removed, whatever the lock says, nor is a link to nowhere; a
        path may be too long.
        """
        path = self.path()
        self.hold(path, DEAD)
        with open(path, "w"):
            self.assertIn("in use", str(self.why(f"unix:{path}")))
        os.unlink(path)
        os.symlink("nowhere", path)
        self.assertIn("in use", str(self.why(f"unix:{path}")))
        self.assertIn("too long", str(self.why(f"unix:{'l' * 120}")))

    def test_unixNowhere(self) -> None:
        """
        A folder that is not there is said to be missing.
        """
        path = os.path.join(self.path(), "socket")
        self.assertIn("no writable directory", str(self.why(f"unix:{path}")))

    def test_inherited(self) -> None:
        """
        A socket that was handed to us has to listen, and stays open.
        """
        trial = Trial(self.reactor)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            adopt: Any = (sock.fileno(), socket.AF_INET, None)
            self.assertRaises(OSError, trial.adoptStreamPort, *adopt)
            sock.listen()
            self.assertIsInstance(trial.adoptStreamPort(*adopt), TriedPort)
            socket.create_connection(sock.getsockname()).close()

    def test_whatIsNoSocket(self) -> None:
        """
        A descriptor that is nothing of the kind is refused.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        trial = Trial(self.reactor)
        self.assertRaises(OSError, trial.adoptStreamPort, reading, socket.AF_INET, None)

    def test_triedPort(self) -> None:
        """
        What is tried looks like a port, and is none.
        """
        port = TriedPort()
        verifyObject(IListeningPort, port)
        port.startListening()
        self.assertIsNone(self.successResultOf(port.stopListening()))
        self.assertRaises(NotImplementedError, port.getHost)

    def test_allElse(self) -> None:
        """
        In all else a trial is the reactor.
        """
        trial = Trial(self.reactor)
        self.reactor.advance(5)
        self.assertEqual(trial.seconds(), 5)
