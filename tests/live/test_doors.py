"""
Each door: a request that was under way is answered, new connections are refused, and
the process is gone right after.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from tests.live.clients import HOST, Address, Peer
from tests.live.processes import (
    SLACK,
    TWISTD,
    LiveTestCase,
    Server,
    eventually,
    freePort,
    heard,
)

ROOT = ("--class", "tests.live.resources.Root")
OPTIONS = "grace=5:idleGrace=0.3"

#: Runs a command with the first inherited descriptor where systemd would put it.
SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.argv[2], sys.argv[2:])
"""


class DoorTestCase(LiveTestCase):
    """
    What all doors have in common.
    """

    def assertEndsPolitely(
        self, server: Server, address: Address, seconds: float = 0.5, peer: Peer | None = None
    ) -> None:
        """
        A request that takes a while outlives the signal.
        """
        peer = peer or address.connect()
        peer.ask(f"/later?stopped={seconds}")
        server.awaitLog("asked for")
        server.terminate()
        server.awaitPortsClosed()
        self.assertTrue(address.refuses(), server.log())
        answer = peer.answer()
        self.assertEqual((answer.body, answer.closing), (b"later\n", True))
        self.assertEqual(peer.rest(), b"")
        peer.close()
        self.assertLess(server.gone(), seconds + 0.5 + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())


class PrefixTests(DoorTestCase):
    """
    C{terminable:} before an endpoint description of C{twistd web}.
    """

    def prefixed(self, inner: str, **options: object) -> Server:
        """
        Serve, with our prefix before the endpoint.
        """
        return self.start("web", *ROOT, "--listen", f"terminable:{inner}:{OPTIONS}", **options)

    def test_tcp(self) -> None:
        """
        Before C{tcp:}; our options may stand anywhere among those of the endpoint.
        """
        address = Address(port=freePort())
        listen = f"terminable:tcp:{address.port}:grace=5:interface={HOST}:idleGrace=0.3:linger=1"
        server = self.start("web", *ROOT, "--listen", listen)
        self.assertEndsPolitely(server, address, 1.0)

    def test_ssl(self) -> None:
        """
        Before C{ssl:}, where HTTP/2 can still be agreed upon, or not.
        """
        pem, address = self.certificate(), Address(port=freePort(), tls=True)
        server = self.prefixed(f"{address.description}:certKey={pem}:privateKey={pem}")
        for protocol in ("http/1.1", "h2"):
            peer = address.reach().secure(protocol)
            self.assertEqual(peer.sock.selected_alpn_protocol(), protocol)
            peer.close()
        self.assertEndsPolitely(server, address)

    def test_tls(self) -> None:
        """
        Before C{tls:}.
        """
        directory, address = self.certificate().parent, Address(port=freePort(), tls=True)
        server = self.prefixed(f"tls:{directory}:port={address.port}:interface=\\:\\:ffff\\:{HOST}")
        self.assertEndsPolitely(server, address)

    def test_unix(self) -> None:
        """
        Before C{unix:}; the socket is not left behind.
        """
        address = Address(path=str(self.directory() / "web"))
        self.assertEndsPolitely(self.prefixed(address.description), address)
        self.assertFalse(os.path.lexists(address.path))

    def test_haproxy(self) -> None:
        """
        Before C{haproxy:}; the client's own address is named.
        """
        address = Address(port=freePort())
        server = self.prefixed(f"haproxy:{address.description}")
        peer, stuck = address.connect(), address.connect()
        for each, port in ((peer, 4242), (stuck, 4343)):
            each.send(b"PROXY TCP4 203.0.113.7 127.0.0.1 %d 80\r\n" % port)
        stuck.ask("/later?seconds=60")
        server.awaitLog("seconds=60")
        peer.ask("/later?stopped=0.5")
        server.awaitLog("stopped=0.5")
        server.terminate()
        self.assertEqual(peer.answer().body, b"later\n")
        server.send()
        server.gone()
        self.assertIn("GET /later?seconds=60 from 203.0.113.7:4343", server.report())

    def test_systemd(self) -> None:
        """
        Before C{systemd:}. The socket is not ours: who connects while it is without a
        server waits for the next one.
        """
        listening = socket.create_server((HOST, 0))
        self.addCleanup(listening.close)
        address = Address(port=listening.getsockname()[1])
        inherited = listening.fileno()
        server = self.prefixed(
            "systemd:domain=INET:index=0",
            program=self.systemd(inherited),
            pass_fds=[inherited],
        )
        peer = address.connect()
        peer.ask("/later?stopped=0.5")
        server.awaitLog("asked for")
        server.terminate()
        self.assertEqual(peer.answer().body, b"later\n")
        peer.close()
        self.assertLess(server.gone(), 0.5 + 0.5 + SLACK, server.log())
        waiting = address.connect()
        waiting.ask("/sync")
        self.prefixed(
            "systemd:domain=INET:name=web",
            program=self.systemd(inherited),
            pass_fds=[inherited],
        )
        self.assertEqual(waiting.answer().body, b"sync\n")

    def systemd(self, inherited: int) -> list[str]:
        """
        C{twistd}, started as systemd would.
        """
        return [sys.executable, "-c", SYSTEMD, str(inherited), *TWISTD]


class CommandTests(DoorTestCase):
    """
    C{twistd terminable}, and its other spellings.
    """

    def test_guest(self) -> None:
        """
        Another plugin, started as it is.
        """
        address = Address(port=freePort())
        web = ("web", *ROOT, "--listen", address.description)
        server = self.start("terminable", "--grace", "5", "--idle-grace", "0.3", "--", *web)
        self.assertEndsPolitely(server, address, 1.0)

    def test_guestWithSeveralPorts(self) -> None:
        """
        All the ports of another plugin end politely.
        """
        addresses = [Address(port=freePort()), Address(path=str(self.directory() / "web"))]
        listen = [word for a in addresses for word in ("--listen", a.description)]
        server = self.start("terminable", "--idle-grace", "0.3", "--", "web", *ROOT, *listen)
        peers = [address.connect() for address in addresses]
        for peer in peers:
            peer.ask("/later?stopped=0.4")
        self.assertTrue(eventually(lambda: server.log().count("asked for") == 2))
        server.terminate()
        self.assertEqual([peer.answer().closing for peer in peers], [True, True])
        for peer in peers:
            peer.close()
        server.gone()
        self.assertIn("2 finished, 0 aborted", server.report())

    def test_severalPorts(self) -> None:
        """
        C{--port} may be repeated, and take a number or a description.
        """
        number, path, pem = freePort(), str(self.directory() / "web"), self.certificate()
        secure = Address(port=freePort(), tls=True)
        listen = f"{secure.description}:certKey={pem}:privateKey={pem}"
        ports = [str(number), f"unix:{path}", listen]
        words = [word for port in ports for word in ("--port", port)]
        server = self.start("terminable", *words, *ROOT, "--idle-grace", "0.2")
        for address in (Address(port=number), Address(path=path), secure):
            peer = address.connect()
            self.assertEqual(peer.get("/sync").body, b"sync\n")
            peer.close()
        self.assertEndsPolitely(server, secure)

    def test_wsgi(self) -> None:
        """
        A WSGI application, at work in a thread when the stop begins.
        """
        address = Address(port=freePort())
        application = ("--wsgi", "tests.live.resources.application")
        server = self.start("terminable", *application, "--port", address.description)
        peer = address.connect()
        peer.ask("/")
        self.assertTrue(heard(address.port))
        server.terminate()
        answer = peer.answer()
        self.assertEqual((answer.body, answer.closing), (b"wsgi\n", True))
        peer.close()
        self.assertLess(server.gone(), 1.0 + SLACK)

    def test_demonstration(self) -> None:
        """
        With nothing else said, a site that explains itself.
        """
        address = Address(port=freePort())
        server = self.start("terminable", "--port", address.description)
        peer = address.connect()
        self.assertIn(b"/slow?seconds=5", peer.get("/").body)
        peer.ask("/stream?seconds=0.5&chunks=5")
        peer.until(b"\r\n\r\n")
        server.terminate()
        self.assertIn(b"5 of 5", peer.rest())
        peer.close()
        server.gone()

    def spelled(self, *program: str) -> None:
        """
        Start it otherwise, and see it end.
        """
        address = Address(port=freePort())
        options = ("--port", address.description, *ROOT, "--idle-grace", "0.2")
        server = self.start(*options, program=[sys.executable, *program])
        peer = address.connect()
        peer.ask("/later?stopped=0.5")
        server.awaitLog("asked for")
        server.send(signal.SIGTERM)
        self.assertTrue(peer.answer().closing)
        peer.close()
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())

    def test_module(self) -> None:
        """
        C{python -m terminable}.
        """
        self.spelled("-m", "terminable")

    def test_twist(self) -> None:
        """
        C{twist terminable}, which is also C{python -m twisted terminable}.
        """
        self.spelled("-m", "twisted", "--log-format=text", "terminable")

    def test_daemon(self) -> None:
        """
        Also in the background, as C{twistd} does by default.
        """
        address, directory = Address(port=freePort()), self.directory()
        pid, log = directory / "pid", directory / "log"
        command = [*TWISTD[:3], f"--pidfile={pid}", f"--logfile={log}", f"--rundir={directory}"]
        starting = self.launch("terminable", "--port", address.description, *ROOT, program=command)
        starting.gone()
        self.assertEqual(starting.status, 0, starting.log())
        self.assertTrue(eventually(lambda: pid.exists() and pid.read_text()))
        number = int(pid.read_text())
        self.addCleanup(self.endDaemon, number, pid)
        peer = address.connect()
        peer.ask("/later?stopped=0.5")
        self.assertTrue(eventually(lambda: "asked for" in log.read_text()))
        os.kill(number, signal.SIGTERM)
        self.assertTrue(peer.answer().closing)
        peer.close()
        self.assertTrue(eventually(lambda: "Server Shut Down" in log.read_text()))
        self.assertIn("1 finished, 0 aborted", log.read_text())

    def endDaemon(self, number: int, pid: Path) -> None:
        """
        End the daemon if it has not removed its own pid file.
        """
        if not eventually(lambda: not pid.exists(), 10.0) and pid.read_text() == str(number):
            os.kill(number, signal.SIGKILL)
