"""
Live connections by the thousand go on in other processes while their clients go on sending.
"""

from __future__ import annotations

import os
import pwd
import resource
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.live.clients import Peer
from tests.live.passingclients import Client, Crowd, HTTPClient, WebSocketClient
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort

PROGRAM = (sys.executable, "-m", "tests.live.passingservers")


class PassingTestCase(LiveTestCase):
    """
    One that gives, and some that take.
    """

    def setUp(self) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        self.folder = self.directory()
        self.ports = [freePort() for _ in range(3)]
        self.takers: list[Server] = []

    def begin(self, takers: int, **env: str) -> Server:
        """
        Start all of them.
        """
        ports = ",".join(map(str, self.ports))
        paths = [str(self.folder / f"{number}") for number in range(takers)]
        for path in paths:
            taker = self.launch("take", path, ports, program=PROGRAM, env=env)
            self.takers.append(taker)
        for taker in self.takers:
            taker.awaitReady()
        self.giver = giver = self.start("give", ports, *paths, program=PROGRAM)
        self.assertTrue(eventually(lambda: all(Path(path).exists() for path in paths)))
        return giver

    def crowd(self, http: int, twisted: int, autobahn: int, pause: float = 0.0) -> Crowd:
        """
        So many clients.
        """
        clients: list[Client] = [HTTPClient(self.ports[0]) for _ in range(http)]
        clients += [WebSocketClient(self.ports[1]) for _ in range(twisted)]
        clients += [WebSocketClient(self.ports[2]) for _ in range(autobahn)]
        crowd = Crowd(clients, pause)
        self.addCleanup(crowd.close)
        return crowd

    def line(self, giver: Server) -> str:
        """
        What came of it.
        """
        log = giver.awaitLog("passed ")
        return next(line for line in log.splitlines() if "passed " in line)


class LoadTests(PassingTestCase):
    """
    Under load.
    """

    def test_twoThousand(self) -> None:
        """
        A thousand connections of HTTP and a thousand WebSockets go to two processes while
        they are in use: no answer is lost, none comes twice or out of order, and the state
        of each WebSocket goes with it.
        """
        giver = self.begin(2)
        crowd = self.crowd(1000, 500, 500, pause=3.0)
        began = time.monotonic()
        crowd.run(lambda: time.monotonic() > began + 3)
        before = crowd.summary()["answered"]
        giver.send(signal.SIGUSR1)
        crowd.run(lambda: "passed " in giver.log())
        crowd.eachOnce()
        line = self.line(giver)
        print(line)
        self.assertIn("passed 2000 of 2000", line)
        summary = crowd.summary()
        self.assertGreaterEqual(summary["answered"], before + 2000)
        wanted = {"answered": summary["answered"], "wrong": 0, "over": 0, "unanswered": 0}
        self.assertEqual(summary, wanted)
        pids = {b"%d" % taker.process.pid: 1000 for taker in self.takers}
        self.assertEqual(dict(crowd.by()), pids)

    def test_receiverDies(self) -> None:
        """
        One that takes is ended by SIGKILL while it takes two hundred: each connection that it
        had not confirmed works on where it was, and those that it had are gone with it.
        """
        giver = self.begin(1, DIES="100")
        crowd = self.crowd(100, 50, 50)
        crowd.eachOnce()
        giver.send(signal.SIGUSR1)
        line = self.line(giver)
        print(line)
        moved = int(line.partition("passed ")[2].split()[0])
        self.assertLess(moved, 100)
        self.assertEqual(self.takers[0].gone() and self.takers[0].status, -signal.SIGKILL)
        crowd.eachOnce()
        summary = crowd.summary()
        self.assertEqual((summary["wrong"], summary["over"]), (0, moved))
        alive = [each for each in crowd.clients if not each.over]
        self.assertEqual({each.by[-1] for each in alive}, {b"%d" % giver.process.pid})
        self.assertEqual({each.number - each.answered for each in alive}, {0})


class SpreadTests(PassingTestCase):
    """
    A pool of workers.
    """

    def test_tls(self) -> None:
        """
        Connections are spread before anything is read, so workers shake hands; the process
        that accepts has no certificate.
        """
        self.begin(2, CERTIFICATE=str(self.certificate()))
        paths = [str(self.folder / number) for number in "01"]
        number = self.ports[0]
        self.giver.send(signal.SIGTERM)
        self.giver.gone()
        self.start("spread", str(number), *paths, program=PROGRAM).awaitLog("starting on")
        seen = Counter()
        for _ in range(6):
            with Peer(socket.create_connection(("127.0.0.1", number), PATIENCE)).sock as sock:
                peer = Peer(sock).secure()
                peer.sock.sendall(b"GET /tls HTTP/1.1\r\nHost: here\r\n\r\n")
                answer = peer.answer()
                self.assertEqual(answer.body, b"/tls")
                seen[int(answer.headers["x-by"])] += 1
        self.assertEqual(seen, {taker.process.pid: 3 for taker in self.takers})


class UserTests(PassingTestCase):
    """
    Other users.
    """

    def test_anotherUser(self) -> None:
        """
        A process of another user is refused, even if it can reach the socket.
        """
        if os.geteuid():
            raise SkipTest("only root can be somebody else")
        self.begin(1)
        path = self.folder / "0"
        self.folder.chmod(0o711)
        path.chmod(0o666)
        self.assertEqual(self.asUser(path, os.geteuid(), 1.0), b"silence")
        self.assertEqual(self.asUser(path, pwd.getpwnam("nobody").pw_uid, PATIENCE), b"FIN")
        self.takers[0].awaitLog("is refused")

    def asUser(self, path: Path, user: int, seconds: float) -> bytes:
        """
        What a user is told who connects, says nothing, and waits so long.
        """
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            said: Any = b"failed"
            try:
                os.setuid(user)
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(seconds)
                    client.connect(str(path))
                    said = b"more" if client.recv(1) else b"FIN"
            except TimeoutError:
                said = b"silence"
            except ConnectionError:
                said = b"FIN"
            finally:
                os.write(writing, said)
                os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read()
