"""
Upgrades that come to nothing: nobody notices, and the next one works.
"""

from __future__ import annotations

import signal
import sys
import time

from benchmarks.restartclients import Load
from tests.live.clients import Address
from tests.live.processes import PATIENCE, ROOT, TWISTD, Server, eventually, freePort
from tests.live.upgradable import STEPS
from tests.live.upgrading import UpgradeTestCase

#: A fast start: the standard library alone is needed.
FAKE = (sys.executable, "-S", "-I", str(ROOT / "tests" / "live" / "fakesuccessor.py"))

#: Faults, how many seconds they have, and what is said about them.
FAULTS = (
    ("die", 20, "it ended badly (A process has ended with a probable error condition: process"),
    ("garbage", 20, "it closed the channel, or said nonsense on it"),
    ("noise", 0.5, "it was not ready within 0.5 s"),
    ("hang", 0.5, "it was not ready within 0.5 s"),
    ("version", 20, "it speaks version 77 of the handover, not 1"),
    ("deaf", 20, "it listens on none of the sockets it was given"),
    ("hangup", 20, "it closed the channel, or said nonsense on it"),
    ("dieReady", 20, "it ended badly"),
    ("dieAsked", 20, "it ended badly"),
    ("twice", 20, "it ended badly"),
    ("refuse", 20, "it closed the channel, or said nonsense on it"),
    ("fork", 20, "it ended with 0"),
)


class FailingTests(UpgradeTestCase):
    """
    Successors that are none.
    """

    def test_faults(self) -> None:
        """
        Whatever a successor does, requests are answered by the old process, which says why it
        goes on; and a good successor follows.
        """
        address = self.tcp()
        server = self.tac(address.description)
        family = self.follow(server)
        loads = [Load(address.port, 3, keepAlive) for keepAlive in (True, False)]
        for load in loads:
            load.start()
            self.addCleanup(load.stop)
        for name, timeout, why in FAULTS:
            with self.subTest(name):
                said = self.ask(address, command=[*FAKE, name], timeout=timeout).body.decode()
                self.assertIn(f"HandoverFailed: {why}", said)
                self.assertEqual(self.who(address), server.process.pid)
        said = self.ask(address, command=["/bin/false"]).body.decode()
        self.assertIn("HandoverFailed: it ended badly", said)
        said = self.ask(address, command=["/no/such/program"]).body.decode()
        self.assertIn("InvalidOption: command: '/no/such/program' given", said)
        self.assertTrue(eventually(lambda: family.living() == [server.process.pid]))
        self.ask(address, command=None, timeout=PATIENCE)
        successor = self.took(server)
        server.gone()
        for load in loads:
            load.stop()
            self.assertEqual(load.failures(), {})
            self.assertGreater(len(load.samples), 50)
        self.assertEqual(self.who(address), successor)
        self.ends(family, successor)

    def test_signalled(self) -> None:
        """
        Why an upgrade by a signal fails stands in the log; a UNIX socket stays where it is.
        """
        directory = self.directory()
        address = Address(path=str(directory / "door"))
        server = self.tac(address.description, "tcp:0:interface=127.0.0.1")
        family = self.follow(server)
        self.ask(address, command=["/bin/false"])
        family.send(server.process.pid, signal.SIGUSR2)
        server.awaitLog("upgrade failed, going on: it ended badly")
        self.assertEqual(self.who(address), server.process.pid)
        family.send(server.process.pid, signal.SIGTERM)
        server.gone()


class EndedTests(UpgradeTestCase):
    """
    The old process is ended by force, at any step.
    """

    def test_steps(self) -> None:
        """
        Its successor serves, if there was one; nobody is left to wait for ever.
        """
        begun = []
        for step in STEPS:
            address = Address(port=freePort())
            server = self.tac(address.description, UPGRADABLE_STEP=step)
            family = self.follow(server)
            family.send(server.process.pid, signal.SIGUSR2)
            begun.append((step, address, server, family))
        for step, address, server, family in begun:
            with self.subTest(step):
                server.gone()
                self.assertEqual(server.status, -signal.SIGKILL, server.log())
                self.assertServed(step, address, server)
                self.assertEqual(len(family.living()), step != "before", server.log())

    def assertServed(self, step: str, address: Address, server: Server) -> None:
        """
        There is an answer, or nobody listens.
        """
        if step == "before":
            self.assertTrue(address.refuses())
            return
        peer = address.connect()
        self.addCleanup(peer.close)
        peer.sock.settimeout(PATIENCE)
        try:
            self.assertNotEqual(int(peer.get("/who").body), server.process.pid)
        except (TimeoutError, OSError) as problem:
            raise AssertionError(f"{problem!r}\n{server.log()}") from None


class LeavingSuccessorTests(UpgradeTestCase):
    """
    Successors that end, or seem to, before they serve.
    """

    def test_waiting(self) -> None:
        """
        A successor that waits and is told to stop takes nothing along: neither the path of a
        UNIX socket nor those who have just connected.
        """
        directory = self.directory()
        inner, outer = Address(path=str(directory / "door")), self.tcp()
        server = self.tac(inner.description, outer.description)
        family = self.follow(server)
        path = directory / "held.tac"
        path.write_text("from tests.live.upgradable import held\napplication = held()\n")
        load = Load(outer.port, 3, keepAlive=False)
        load.start()
        self.addCleanup(load.stop)
        command = [*TWISTD, "--python", str(path)]
        said = self.ask(inner, command=command, timeout=2.5).body.decode()
        self.assertIn("it was not ready within 2.5 s", said)
        self.assertTrue(eventually(lambda: len(family.living()) == 1))
        time.sleep(0.3)
        load.stop()
        self.assertEqual(load.failures(), {})
        self.assertEqual(self.who(inner), server.process.pid)
        self.assertEqual(self.who(outer), server.process.pid)
        family.send(server.process.pid, signal.SIGTERM)
        server.gone()
