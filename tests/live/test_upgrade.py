"""
A process that is followed by another one, however it was started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from benchmarks.restartclients import Load
from tests.live.clients import Address
from tests.live.processes import PATIENCE, TWISTD, environment, eventually
from tests.live.upgrading import CONTENT, UpgradeTestCase

#: The same without what the daemon decides.
DAEMON = TWISTD[:3]

#: C{twist}, as C{twistd} is started.
TWIST = (sys.executable, "-m", "twisted", "--log-format=text")


class ForegroundTests(UpgradeTestCase):
    """
    In the foreground.
    """

    def test_connections(self) -> None:
        """
        A connection that is kept alive is told to go; a request that takes its time is
        answered by the old process after the successor has served others.
        """
        server, address = self.found()
        family = self.follow(server)
        idle, slow = address.connect(), address.connect()
        self.assertEqual(int(idle.get("/who").body), server.process.pid)
        slow.ask("/echo?n=7&stopped=1.8")
        idle.ask("/echo?n=8&stopped=0.8")
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        answer = idle.answer()
        self.assertEqual((answer.body, answer.closing), (b"8\n", True))
        self.assertEqual(self.who(address), successor)
        answer = slow.answer()
        self.assertEqual((answer.body, answer.closing), (b"7\n", True))
        server.gone()
        self.assertEqual(server.status, 0)
        self.assertIn("terminated: ", server.log())
        self.ends(family, successor)

    def test_again(self) -> None:
        """
        A second signal while an upgrade is under way is refused, and so is one to a process
        that leaves; the upgrade is none the worse.
        """
        server, address = self.found()
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=1.5")
        family.send(server.process.pid, signal.SIGUSR2)
        eventually(lambda: len(family.living()) > 1)
        family.send(server.process.pid, signal.SIGUSR2)
        successor = self.took(server)
        server.awaitLog("upgrade failed, going on: an upgrade is under way already")
        family.send(server.process.pid, signal.SIGUSR2)
        self.assertEqual(slow.answer().body, b"7\n")
        server.gone()
        self.assertEqual(server.log().count("upgrade failed, going on"), 2)
        self.assertEqual(family.living(), [successor])
        self.ends(family, successor)

    def test_stopped(self) -> None:
        """
        A process that is told to stop while it upgrades stops, and has no successor.
        """
        server, address = self.found()
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=0.5")
        family.send(server.process.pid, signal.SIGUSR2)
        eventually(lambda: len(family.living()) > 1)
        family.send(server.process.pid, signal.SIGTERM)
        self.assertEqual(slow.answer().body, b"7\n")
        server.gone()
        self.assertEqual(server.status, -signal.SIGTERM)
        self.assertEqual(family.living(), [])
        self.assertTrue(address.refuses())

    def test_pidfile(self) -> None:
        """
        The pidfile of C{twistd} is that of the process that serves.
        """
        path = self.directory() / "here.pid"
        address = self.tcp()
        words = ("--port", address.description, *CONTENT)
        server = self.begin(f"--pidfile={path}", "terminable", *words)
        family = self.follow(server)
        successor = self.upgrade(family, server)
        server.gone()
        self.assertTrue(eventually(lambda: path.exists() and int(path.read_text()) == successor))
        self.ends(family, successor)
        self.assertFalse(path.exists())

    def test_pidfileGone(self) -> None:
        """
        A successor that ends first takes it away; the process before it does not miss it.
        """
        path = self.directory() / "here.pid"
        address = self.tcp()
        words = ("--port", address.description, *CONTENT)
        server = self.begin(f"--pidfile={path}", "terminable", *words)
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=3")
        successor = self.upgrade(family, server)
        self.assertTrue(eventually(lambda: int(path.read_text()) == successor))
        family.send(successor, signal.SIGTERM)
        family.awaitEnd(successor)
        self.assertEqual(slow.answer().body, b"7\n")
        server.gone()
        self.assertFalse(path.exists())
        self.assertNotIn("Failed to unlink", server.log())

    def test_twist(self) -> None:
        """
        C{twist} is followed as well.
        """
        address = self.tcp()
        words = ("terminable", "--port", address.description, *CONTENT)
        server = self.begin(*words, program=TWIST)
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        server.gone()
        self.ends(family, successor)

    def test_module(self) -> None:
        """
        So is C{python -m terminable}.
        """
        address = self.tcp()
        words = ("--port", address.description, *CONTENT)
        server = self.begin(*words, program=(sys.executable, "-m", "terminable"))
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        server.gone()
        self.ends(family, successor)

    def test_tac(self) -> None:
        """
        So is a server of one's own.
        """
        address = self.tcp()
        server = self.tac(address.description)
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        server.gone()
        self.ends(family, successor)

    def test_prefix(self) -> None:
        """
        So is somebody else's server whose endpoint description begins with ours.
        """
        address = self.tcp()
        door = f"terminable:{address.description}"
        server = self.begin("web", "--listen", door, *CONTENT)
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        server.gone()
        self.assertEqual(server.status, 0)
        self.ends(family, successor)

    def test_guest(self) -> None:
        """
        So is another plugin that runs as our guest.
        """
        address = self.tcp()
        words = ("--", "web", "--listen", address.description, *CONTENT)
        server = self.begin("terminable", *words)
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertEqual(self.who(address), successor)
        server.gone()
        self.ends(family, successor)

    def test_inheritance(self) -> None:
        """
        A child of the successor has neither the listening socket nor the channel.
        """
        server, address = self.found()
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=1.5")
        successor = self.upgrade(family, server)
        peer = address.connect()
        self.assertNotIn(b"socket:", peer.get("/child").body)
        self.assertEqual(slow.answer().body, b"7\n")
        peer.close()
        server.gone()
        self.ends(family, successor)


class GenerationsTests(UpgradeTestCase):
    """
    More than two processes.
    """

    def test_several(self) -> None:
        """
        An older process may drain while the next upgrade is under way.
        """
        server, address = self.found()
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=3")
        second = self.upgrade(family, server)
        third = self.upgrade(family, server, second, 2)
        self.assertIn(family.awaitEnd(second), (0, None))
        self.assertEqual(self.who(address), third)
        self.assertEqual(slow.answer().body, b"7\n")
        server.gone()
        self.assertEqual(server.status, 0)
        self.ends(family, third)

    def test_bounded(self) -> None:
        """
        When too many would drain, the oldest is ended.
        """
        address = self.tcp()
        server = self.tac(address.description)
        family = self.follow(server)
        slow, slower = address.connect(), address.connect()
        slow.ask("/echo?n=7&seconds=60")
        slower.get("/who")
        second = int(self.ask(address, processes=1).body)
        self.took(server)
        slower = address.connect()
        slower.ask("/echo?n=8&stopped=1")
        answer = self.ask(address, processes=1)
        third = int(answer.body)
        self.assertEqual(self.who(address), third)
        server.gone()
        self.assertEqual(slower.answer().body, b"8\n")
        self.assertIn(family.awaitEnd(second), (0, None))
        self.assertIn("the oldest is ended", server.log())
        self.ends(family, third)

    def test_stuck(self) -> None:
        """
        An older process that no longer does anything is in nobody's way.
        """
        server, address = self.found()
        family = self.follow(server)
        slow = address.connect()
        slow.ask("/echo?n=7&seconds=60")
        second = self.upgrade(family, server)
        family.send(server.process.pid, signal.SIGSTOP)
        third = self.upgrade(family, server, second, 2)
        self.assertEqual(self.who(address), third)
        self.assertIn(family.awaitEnd(second), (0, None))
        family.send(server.process.pid, signal.SIGKILL)
        server.gone()
        self.ends(family, third)


class _Daemon:
    """
    What is known of one.
    """

    def __init__(self, pid: int) -> None:
        self.process = self
        self.pid = pid


class DaemonTests(UpgradeTestCase):
    """
    In the background.
    """

    def test_daemon(self) -> None:
        """
        The pidfile of a daemon follows those who serve, even if the first of them drains longer
        than the second serves, and goes with the last; the log has what all of them said.
        """
        directory, address = self.directory(), self.tcp()
        pidfile, log = directory / "twistd.pid", directory / "twistd.log"
        words = ("terminable", "--port", address.description, *CONTENT)
        # What leaves the terminal starts the daemon, which is ours then.
        subprocess.run(
            [*DAEMON, *words], cwd=directory, env=environment(), check=True, timeout=PATIENCE
        )
        first = int(pidfile.read_text())
        family = self.follow(_Daemon(first))
        eventually(lambda: "starting on" in log.read_text())
        slow = address.connect()
        slow.ask("/echo?n=7&stopped=3")
        load = Load(address.port, 4, think=0.004)
        load.start()
        self.addCleanup(load.stop)
        asked = [self.line(address)]
        second = self.upgrade(family, log, first)
        self.assertTrue(eventually(lambda: int(pidfile.read_text()) == second))
        asked.append(self.line(address))
        slower = address.connect()
        slower.ask("/echo?n=8&stopped=3")
        third = self.upgrade(family, log, second, 2)
        self.assertTrue(eventually(lambda: int(pidfile.read_text()) == third))
        self.assertEqual(slow.answer().body, b"7\n")
        family.awaitEnd(first)
        self.assertTrue(eventually(lambda: pidfile.exists()))
        self.assertEqual(int(pidfile.read_text()), third)
        self.assertEqual(slower.answer().body, b"8\n")
        family.awaitEnd(second)
        asked.append(self.line(address))
        self.assertTrue(eventually(lambda: int(pidfile.read_text()) == third))
        load.stop()
        self.assertEqual(load.failures(), {})
        self.ends(family, third)
        self.assertFalse(pidfile.exists())
        text = log.read_text()
        for line in asked:
            self.assertIn(line, text)
        count = range(1, len(load.samples) + 1)
        lost = [number for number in count if f"GET /echo?n={number} " not in text]
        self.assertEqual(lost, [])
        self.assertEqual(text.count("Server Shut Down"), 3)
        self.assertEqual(text.count("starting up"), 3)

    def line(self, address: Address) -> str:
        """
        Ask for something that stands in the log then.
        """
        number = os.urandom(4).hex()
        peer = address.connect()
        self.assertEqual(peer.get(f"/echo?n={number}").status, 200)
        peer.close()
        return f"GET /echo?n={number} "
