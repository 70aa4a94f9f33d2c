"""
C{twistd terminable --workers}: several processes, one server.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

from benchmarks.restartprocesses import Family, Tail
from tests.live.clients import Address
from tests.live.processes import PATIENCE, LiveTestCase, eventually, freePort, heard
from tests.live.working import WorkersTestCase


class ServingTests(WorkersTestCase):
    """
    While they serve.
    """

    def test_crash(self) -> None:
        """
        Four workers answer; one that is ended by force is replaced, and nobody is refused.
        """
        server, family, address = self.work(4)
        workers = self.workers(server, family)
        self.assertEqual(len(workers), 4)
        self.awaitAnswers(address, workers)
        victim = min(workers)
        family.send(victim, signal.SIGKILL)
        family.awaitEnd(victim, PATIENCE)
        asking = self.ask(address)
        self.awaitServing(server, 5)
        self.settle(asking)
        now = self.workers(server, family)
        self.assertEqual((len(now), len(now & workers)), (4, 3))
        self.awaitAnswers(address, now)

    def test_rollingRestart(self) -> None:
        """
        SIGHUP replaces all workers, and no request fails, be it by TCP or by a UNIX socket
        whose path stays.
        """
        path = Address(path=str(self.directory() / "socket"))
        server, family, address = self.work(2, "--port", f"unix:{path.path}:lockfile=1")
        former = self.workers(server, family)
        asking = self.ask(address, path)
        family.send(server.process.pid, signal.SIGHUP)
        server.awaitLog("rolling restart: done")
        eventually(lambda: not self.workers(server, family) & former)
        self.settle(asking)
        now = self.workers(server, family)
        self.assertEqual((len(now), now & former), (2, set()), server.log())
        self.awaitAnswers(path, now)
        server.terminate()
        self.assertAllGone(server, family, address)
        self.assertEqual(os.listdir(os.path.dirname(path.path)), [])
        # Whose line it is stands in it.
        taken = re.findall(r"\[(\d+) terminable\S+#info\] taking over as \w+ (\d+)", server.log())
        self.assertEqual({(int(a), int(b)) for a, b in taken}, {(n, n) for n in former | now})

    def test_resize(self) -> None:
        """
        SIGTTIN is one worker more, SIGTTOU one less, and one stays.
        """
        server, family, address = self.work(1)
        first = self.workers(server, family)
        family.send(server.process.pid, signal.SIGTTIN)
        self.awaitServing(server, 2)
        both = self.workers(server, family)
        self.assertEqual((len(both), both & first), (2, first))
        for _ in range(2):
            family.send(server.process.pid, signal.SIGTTOU)
        eventually(lambda: self.workers(server, family) == first)
        self.assertEqual(self.workers(server, family), first)
        self.awaitAnswers(address, first)

    def test_upgrade(self) -> None:
        """
        SIGUSR2 replaces all of it, also the process above: no request fails.
        """
        server, family, address = self.work(2)
        tail = Tail(Path(f"/proc/{server.process.pid}/fd/1").readlink(), family)
        asking = self.ask(address)
        family.send(server.process.pid, signal.SIGUSR2)
        successor = int(tail.awaitLine(r"upgrade: (\d+) serves now", PATIENCE)[1])
        server.gone()
        self.assertEqual(server.status, 0, server.log())
        self.settle(asking)
        eventually(lambda: len(family.living()) == 3)
        now = set(family.living())
        self.assertEqual(len(now), 3, server.log())
        self.awaitAnswers(address, now - {successor})
        family.send(successor, signal.SIGTERM)
        self.assertAllGone(server, family, address)


class EndTests(WorkersTestCase):
    """
    How they end.
    """

    def test_report(self) -> None:
        """
        One report has the totals of all workers; nobody is left.
        """
        server, family, address = self.work(3)
        peers = [address.connect() for _ in range(8)]
        for peer in peers:
            peer.get("/pid")
        for peer in peers[:3]:
            peer.ask("/later?stopped=0.7")
        eventually(lambda: server.log().count("asked for") == 3)
        server.terminate()
        for peer in peers[:3]:
            self.assertTrue(peer.answer().closing)
            peer.close()
        for peer in peers[3:]:
            self.assertEqual(peer.rest(), b"")
            peer.close()
        server.gone()
        self.assertRegex(server.report(), r"^5 idle, 3 finished, 0 aborted after \d+\.\d s$")
        self.assertAllGone(server, family, address)

    def test_again(self) -> None:
        """
        A second signal aborts in all workers.
        """
        server, family, address = self.work(2, "--fail-on-straggler")
        peers = [address.connect() for _ in range(2)]
        for peer in peers:
            peer.ask("/later?seconds=60")
        eventually(lambda: server.log().count("asked for") == 2)
        server.terminate()
        time.sleep(0.3)
        server.send()
        self.assertBetween(0.0, server.gone(), 1.5, server.log())
        self.assertRegex(server.report(), "^0 idle, 0 finished, 2 aborted after")
        self.assertEqual(server.status, 1)
        self.assertAllGone(server, family, address)

    def test_orphans(self) -> None:
        """
        When the process above is ended by force, the workers finish what they are at, and go.
        """
        server, family, address = self.work(2)
        peer = address.connect()
        peer.ask("/later?stopped=0.5")
        server.awaitLog("asked for")
        server.send(signal.SIGKILL)
        self.assertEqual(peer.answer().status, 200)
        began = time.monotonic()
        self.assertAllGone(server, family, address)
        self.assertBetween(0.0, time.monotonic() - began, 3.0)

    def test_deadWorker(self) -> None:
        """
        A worker that ends without a report is named.
        """
        server, family, address = self.work(2)
        peer = address.connect()
        peer.ask("/later?seconds=60")
        server.awaitLog("asked for")
        victim = max(self.workers(server, family))
        # As long as it stands still it cannot even hear that all end.
        family.send(victim, signal.SIGSTOP)
        server.terminate()
        time.sleep(0.5)
        family.send(victim, signal.SIGKILL)
        server.send()
        server.gone()
        self.assertIn(f"worker {victim} ended without a report", server.report())
        self.assertAllGone(server, family, address)


class StartTests(LiveTestCase):
    """
    What keeps them from starting.
    """

    def test_count(self) -> None:
        """
        A number that is none is said in one line.
        """
        servers = {text: self.launch("terminable", "--workers", text) for text in ("0", "-1", "x")}
        for text, server in servers.items():
            server.gone()
            value = text if text == "x" or text == "-1" else int(text)
            expected = f"terminable: --workers: {value!r} given, expected a whole number "
            self.assertEqual(server.log().splitlines(), [f"{expected}from 1 to 1024"])
            self.assertEqual(server.status, 1)

    def test_broken(self) -> None:
        """
        If the first worker does not become ready, nothing is served: status 1.
        """
        words = ("--port", "tcp:0:interface=127.0.0.1", "--class", "nothing.There")
        server = self.launch("terminable", "--workers", "3", *words)
        server.gone()
        log = server.log()
        self.assertEqual(server.status, 1, log)
        self.assertEqual(log.count("terminable: --class: 'nothing.There' given"), 1)
        self.assertIn("workers cannot start: it ended badly", log)


class ExampleTests(WorkersTestCase):
    """
    What the prose shows.
    """

    def test_workers(self) -> None:
        """
        Two processes of another example serve, and end together.
        """
        address = Address(port=freePort())
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        env = {"HELLO_LISTEN": address.description, "PATH": path}
        example = Path(__file__).parents[2] / "docs" / "examples" / "workers.tac"
        server = self.launch("--python", str(example), env=env)
        family = Family(server.process.pid)
        self.addCleanup(family.end)
        self.awaitServing(server, 2)
        self.assertEqual(len(self.workers(server, family)), 2)
        peer = address.connect()
        peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        self.assertTrue(heard(address.port))
        server.terminate()
        peer.send(b"\r\n")
        self.assertEqual(peer.answer().body, b"Hello.\n")
        peer.close()
        server.gone()
        self.assertRegex(server.report(), "^0 idle, 1 finished, 0 aborted after")
        self.assertAllGone(server, family, address)
