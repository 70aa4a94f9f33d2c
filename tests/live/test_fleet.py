"""
HAProxy in front of three servers: a deploy that no client notices.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.fleetservers import FLEET, NAMES, Fleet, PlainFleet, configuration
from benchmarks.restartclients import Load
from benchmarks.restartprocesses import adoptingOrphans
from terminable.tap import Options
from tests.live.clients import HOST, Peer
from tests.live.processes import PATIENCE, LiveTestCase, eventually
from tests.live.programs import program

#: Seconds of load before a deploy.
BEFORE = 0.3

#: Clients of each of both kinds, and how long they pause, in seconds.
CLIENTS, THINK = 25, 0.01


class FleetTestCase(LiveTestCase):
    """
    Starts fleets.
    """

    def setUp(self) -> None:
        self.haproxy = program("haproxy", "haproxy")
        stack = contextlib.ExitStack()
        stack.enter_context(adoptingOrphans())
        self.addCleanup(stack.close)

    def fleet(self, kind: type[Fleet] = Fleet) -> Fleet:
        """
        A fleet whose HAProxy has all servers up, and which is in a hurry.
        """
        fleet = kind(self.directory(), quiesce=1.4, interval="200ms")
        fleet.environment["SERVE"] += " --idle-grace 0.3"
        fleet.__enter__()
        self.addCleanup(fleet.__exit__)
        return fleet

    def load(self, fleet: Fleet) -> list[Load]:
        """
        Clients that keep their connections, and clients that do not.
        """
        loads = [Load(fleet.port, CLIENTS, keepAlive, think=THINK) for keepAlive in (True, False)]
        for load in loads:
            load.start()
            self.addCleanup(load.stop)
        self.assertTrue(eventually(lambda: all(load.samples for load in loads)))
        time.sleep(BEFORE)
        return loads


class DeployTests(FleetTestCase):
    """
    A rolling deploy.
    """

    def test_nobodyNotices(self) -> None:
        """
        All three are new, one after the other, and every request is answered.
        """
        fleet = self.fleet()
        before = {fleet.pid(name) for name in NAMES}
        loads = self.load(fleet)
        fleet.deploy()
        for load in loads:
            load.stop()
            self.assertEqual(load.failures(), {}, fleet.logs())
            self.assertGreater(len(load.samples), 200)
        self.assertFalse(before & {fleet.pid(name) for name in NAMES})
        said = (fleet.directory / "deploy.log").read_text()
        noticed = (fleet.directory / "haproxy.log").read_text()
        for name in NAMES:
            self.assertRegex(said, rf"{name}: ready after \d+\.\d s")
            self.assertIn(f"Server site/{name} enters drain state", noticed)
            self.assertIn(f"Server site/{name} is going DOWN for maintenance", noticed)
        self.assertNotIn(" is DOWN", noticed)

    def test_realPeers(self) -> None:
        """
        The servers know their clients, and not only HAProxy.
        """
        fleet = self.fleet()
        sock = socket.create_connection((HOST, fleet.port), PATIENCE, ("127.0.0.2", 0))
        client = Peer(sock)
        self.addCleanup(client.close)
        self.assertEqual(client.get("/echo?n=77").body, b"77\n")
        logs = [fleet.directory / f"site-{name}.log" for name in NAMES]

        def names(peer: str) -> bool:
            return any(f'"{peer}" - - ' in log.read_text() for log in logs)

        self.assertTrue(eventually(lambda: names("127.0.0.2")), fleet.logs())
        # The health checks.
        self.assertTrue(eventually(lambda: names("127.0.0.1")), fleet.logs())

    def test_brokenRelease(self) -> None:
        """
        A release that does not start stops the deploy: two servers serve on.
        """
        fleet = self.fleet()
        fleet.environment["SERVE"] = "--class no.such.thing"
        loads = self.load(fleet)
        problem = self.assertRaises(RuntimeError, fleet.deploy)
        self.assertIn("the deploy has stopped: 1: ", str(problem))
        for load in loads:
            load.stop()
            self.assertEqual(load.failures(), {}, fleet.logs())
        self.assertEqual([fleet.sees(name) for name in NAMES[1:]], ["UP", "UP"])
        again = self.assertRaises(RuntimeError, fleet.deploy)
        self.assertIn("the deploy has stopped: 1 is not ready: (", str(again))

    def test_plainServers(self) -> None:
        """
        With servers that end as Twisted ends, the same clients do notice.
        """
        fleet = self.fleet(PlainFleet)
        loads = self.load(fleet)
        fleet.deploy(NAMES[:2])
        for load in loads:
            load.stop()
        self.assertGreater(sum(sum(load.failures().values()) for load in loads), 0)


class CommandTests(LiveTestCase):
    """
    The deploy as a command.
    """

    def deploys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run it.
        """
        command = [sys.executable, str(FLEET / "deploy.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def answering(self, line: bytes) -> str:
        """
        The address of an agent check that says this, once or more often.
        """
        listening = socket.create_server((HOST, 0))
        self.addCleanup(listening.close)

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    asked, _ = listening.accept()
                    with asked:
                        asked.sendall(line)

        threading.Thread(target=answer, daemon=True).start()
        self.addCleanup(listening.shutdown, socket.SHUT_RDWR)
        return f"{HOST}:{listening.getsockname()[1]}"

    def test_usage(self) -> None:
        """
        What is no server is refused, with the status 2.
        """
        for wrong in ("1", "1=", "1=host", "=host:1", "1=host:x"):
            self.assertEqual(self.deploys("--restart", "true", wrong).returncode, 2, wrong)

    def test_notReady(self) -> None:
        """
        Nothing is touched when one of them is not ready.
        """
        ready, drains = self.answering(b"up ready 50%\n"), self.answering(b"drain\n")
        done = self.deploys("--restart", "false", f"a={ready}", f"b={drains}")
        said = "the deploy has stopped: b is not ready: drain\n"
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", said))

    def test_commandFails(self) -> None:
        """
        A command that fails, or is not there, is named with its server.
        """
        server = f"a={self.answering(b'ready')}"
        done = self.deploys("--restart", "sh -c 'exit 3' {name}", server)
        said = "the deploy has stopped: a: sh -c 'exit 3' a has failed with status 3\n"
        self.assertEqual((done.returncode, done.stderr), (1, said))
        done = self.deploys("--restart", "/no/such/program", server)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the deploy has stopped: a: [Errno 2] ", done.stderr)

    def test_withoutHAProxy(self) -> None:
        """
        If HAProxy cannot be asked, it pauses; one that does not answer is named.
        """
        server = f"a={self.answering(b'ready')}"
        done = self.deploys("--restart", "true", "--pause", "0.1", server)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\Aa: restarting\na: ready after \d\.\d s\n\Z")
        done = self.deploys("--restart", "true", "--haproxy", "/no/such/socket", server)
        self.assertEqual(done.returncode, 1)
        self.assertIn("HAProxy does not answer at /no/such/socket: ", done.stderr)


class FileTests(FleetTestCase):
    """
    The files, as they are deployed.
    """

    def valid(self, path: Path) -> None:
        """
        HAProxy accepts a configuration, without a warning.
        """
        done = subprocess.run(
            [self.haproxy, "-c", "-f", str(path)], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("WARNING", done.stdout + done.stderr)

    def test_configuration(self) -> None:
        """
        The configuration is valid as it is, and as these tests change it.
        """
        self.valid(FLEET / "haproxy.cfg")
        directory = self.directory()
        for agents in (True, False):
            (directory / "haproxy.cfg").write_text(configuration(directory, 20000, agents))
            self.valid(directory / "haproxy.cfg")

    def test_unit(self) -> None:
        """
        The unit is valid once the program is there, its command line is understood, and it is given
        longer than its grace period.
        """
        analyze = program("systemd-analyze", "systemd")
        directory = self.directory()
        twistd = directory / "twistd"
        shutil.copy("/bin/true", twistd)
        unit = (FLEET / "site@.service").read_text()
        path = directory / "site@1.service"
        path.write_text(unit.replace("/opt/site/venv/bin/twistd", str(twistd)))
        done = subprocess.run(
            [analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        options = self.options(unit, "1")
        limit = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
        assert limit is not None and options.schedule.gracePeriod is not None
        self.assertGreater(float(limit[1]), options.schedule.gracePeriod + 2)

    def options(self, unit: str, name: str) -> Options:
        """
        What a unit starts.
        """
        found = re.search(r"^ExecStart=\S+ -n --pidfile= terminable (.*)$", unit, re.MULTILINE)
        assert found is not None
        options = Options()
        options.parseOptions(shlex.split(found[1].replace("%i", name)))
        return options

    def test_agree(self) -> None:
        """
        The unit, the script and HAProxy mean the same ports; and HAProxy asks four times, or
        more, in a quiesce time.
        """
        unit = (FLEET / "site@.service").read_text()
        script = (FLEET / "server.sh").read_text()
        proxy = (FLEET / "haproxy.cfg").read_text()
        defaults = dict(re.findall(r"\$\{(\w+):=([^}]*)\}", script))
        servers = re.findall(r"^    server (\d) \S+:(\d+) agent-port (\d+)$", proxy, re.MULTILINE)
        self.assertEqual([name for name, _, _ in servers], list(NAMES))
        for name, port, agent in servers:
            options = self.options(unit, name)
            self.assertEqual(options["ports"], [f"haproxy:tcp:{port}:interface={HOST}"])
            self.assertEqual(options["agent-check"], f"tcp:{agent}:interface={HOST}")
            self.assertEqual(int(defaults["PORTS"]) + int(name), int(port))
            self.assertEqual(int(defaults["AGENTS"]) + int(name), int(agent))
            self.assertEqual(float(defaults["QUIESCE"]), options.schedule.quiesce)
        interval = re.search(r"agent-inter (\d+)ms", proxy)
        assert interval is not None
        self.assertGreaterEqual(float(defaults["QUIESCE"]), 4 * int(interval[1]) / 1000)
