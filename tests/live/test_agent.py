"""
The agent check of real servers, and what HAProxy makes of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from typing import Any

from tests.live.clients import HOST, Address
from tests.live.processes import ROOT, SLACK, LiveTestCase, Server, eventually, freePort
from tests.live.programs import program

EXAMPLE = ROOT / "docs" / "examples" / "balanced.tac"

#: Seconds; in half of them, and in what an answer takes longer, somebody here has to ask.
QUIESCE = 1.5

#: The answer that is under way takes so long from the stop on, in seconds.
LONG = 2.4


class AgentTestCase(LiveTestCase):
    """
    Starts servers with an agent check, at C{self.agent}.
    """

    def checked(self, *options: str, **settings: Any) -> tuple[Server, Address]:
        """
        C{twistd terminable}, with an agent check.
        """
        self.agent = Address(port=freePort())
        quiesce = ("--quiesce", str(QUIESCE), "--idle-grace", "0.2")
        return self.serve(*quiesce, "--agent-check", self.agent.description, *options, **settings)

    def says(self) -> str:
        """
        What the agent check answers; an empty text if nobody is there.
        """
        try:
            peer = self.agent.connect()
        except OSError:
            return ""
        with contextlib.closing(peer):
            try:
                return peer.rest().decode("ascii")
            except ConnectionError:
                # It was about to go when it had us in its queue.
                return self.says()

    def saysUntil(self, condition: Any) -> list[str]:
        """
        All different answers, in order, until C{condition} is true.
        """
        said: list[str] = []

        def ask() -> bool:
            if (answer := self.says()) not in said[-1:]:
                said.append(answer)
            return bool(condition())

        self.assertTrue(eventually(ask), said)
        return said

    def assertLeaves(self, server: Server) -> None:
        """
        It has been told to stop, and says so until it is gone.
        """
        said = self.saysUntil(lambda: server.status is not None)
        # The signal may not have arrived yet when we ask for the first time.
        self.assertEqual([line for line in said if "ready" not in line], ["drain\n", "maint\n", ""])
        self.assertEqual(said[-1], "")


class AgentTests(AgentTestCase):
    """
    The check, asked by us.
    """

    def test_life(self) -> None:
        """
        It is ready while the server serves, drains, is in maintenance until the last request is
        answered, and is gone with the process, which it does not hold up.
        """
        server, address = self.checked()
        self.assertEqual(self.says(), "up ready\n")
        peer = address.connect()
        peer.ask(f"/later?stopped={LONG}")
        server.awaitLog("asked for")
        server.send()
        self.assertLeaves(server)
        self.assertEqual(peer.answer().body, b"later\n")
        self.assertBetween(LONG, server.gone(), LONG + 0.2, server.log())
        self.assertIn("0 idle, 1 finished, 0 aborted", server.report())

    def test_delaysNothing(self) -> None:
        """
        Those who have asked, and do not go, hold up no stop, and are not in the report.
        """
        server, _ = self.checked()
        for _ in range(3):
            stays = self.agent.connect()
            self.addCleanup(stays.close)
            stays.send(b"hello\n")
        server.send()
        self.assertLess(server.gone(), QUIESCE + 0.2 + 0.25 + SLACK, server.log())
        self.assertIn("0 idle, 0 finished, 0 aborted", server.report())

    def test_chatty(self) -> None:
        """
        What was said before the answer does not cost it.
        """
        self.checked()
        for _ in range(20):
            peer = self.agent.connect()
            peer.send(b"x" * 10000)
            self.assertEqual(peer.rest(), b"up ready\n")
            peer.close()

    def test_capacity(self) -> None:
        """
        A capacity that is taken in part is a weight.
        """
        _, address = self.checked("--capacity", "4")
        peers = [address.connect() for _ in range(3)]
        for peer in peers:
            self.addCleanup(peer.close)
        self.assertTrue(eventually(lambda: self.says() == "up ready 25%\n"), self.says())

    def test_path(self) -> None:
        """
        It may be at a UNIX socket, which is gone with the server, and open to others as such
        sockets of Twisted are.
        """
        path = str(self.directory() / "agent")
        self.agent = Address(path=path)
        server, _ = self.serve("--agent-check", self.agent.description)
        self.assertEqual(self.says(), "up ready\n")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        server.send()
        server.gone()
        self.assertFalse(os.path.lexists(path))

    def test_upgrade(self) -> None:
        """
        A successor has it: there is always somebody who is ready.
        """
        server, _ = self.checked()
        server.send(signal.SIGUSR2)
        said = self.saysUntil(lambda: "serves now" in server.log() and server.status is not None)
        self.assertEqual(said, ["up ready\n"])
        self.assertEqual(self.says(), "up ready\n")
        found = re.search(r"upgrade: (\d+) serves now", server.log())
        assert found is not None
        os.kill(int(found[1]), signal.SIGTERM)
        self.saysUntil(lambda: self.says() == "")

    def test_workers(self) -> None:
        """
        With several workers it is the process above that answers, until the last has gone.
        """
        server, address = self.checked("--workers", "2")
        self.saysUntil(lambda: self.says() == "up ready\n")
        peer = address.connect()
        peer.ask(f"/later?stopped={LONG}")
        server.awaitLog("asked for")
        server.send()
        self.assertLeaves(server)
        self.assertEqual(peer.answer().body, b"later\n")
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_otherPlugin(self) -> None:
        """
        Beside another plugin, whose ports it does not belong to.
        """
        self.agent, address = Address(port=freePort()), Address(port=freePort())
        options = ("--quiesce", str(QUIESCE), "--agent-check", self.agent.description)
        plugin = ("web", "--listen", address.description, "--class", "tests.live.resources.Root")
        server = self.start("terminable", *options, "--", *plugin)
        self.assertEqual(self.says(), "up ready\n")
        server.send()
        self.assertLeaves(server)

    def test_example(self) -> None:
        """
        The example says how much its machine has left.
        """
        self.agent, address = Address(port=freePort()), Address(port=freePort())
        env = {
            "BALANCED_LISTEN": f"haproxy:{address.description}",
            "BALANCED_AGENT": self.agent.description,
        }
        server = self.start("--python", str(EXAMPLE), env=env)
        self.assertRegex(self.says(), r"\Aup ready (100|[1-9]\d?)%\n\Z")
        server.terminate()
        self.assertEqual(self.says(), "drain\n")

    def test_taken(self) -> None:
        """
        A port that is taken, or none at all, is refused in one line, before anybody listens.
        """
        with socket.create_server((HOST, 0)) as taken:
            port = f"tcp:{taken.getsockname()[1]}:interface={HOST}"
            for wrong in (port, "nonsense"):
                address = Address(port=freePort())
                options = ("--port", address.description, "--agent-check", wrong)
                server = self.launch("terminable", *options)
                server.gone()
                self.assertIn(f"terminable: --agent-check: {wrong!r}", server.log())
                self.assertNotIn("Traceback", server.log())
                self.assertNotIn("starting on", server.log())


CONFIGURATION = """
global
    stats socket {path} mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option redispatch 1
frontend public
    bind 127.0.0.1:{port}
    default_backend site
backend site
    cookie SERVER insert indirect nocache
    default-server check inter 300ms fall 2 rise 2 agent-check agent-inter 100ms
    server one 127.0.0.1:{one} agent-port {agent} cookie one
    server two 127.0.0.1:{two} cookie two no-agent-check
"""


class HAProxyTests(AgentTestCase):
    """
    The check, asked by HAProxy.
    """

    def proxied(self, one: Address, two: Address) -> Address:
        """
        HAProxy in front of two servers, the first of which has an agent check.
        """
        haproxy = program("haproxy", "haproxy")
        directory = self.directory()
        self.socket, front = str(directory / "stats"), Address(port=freePort())
        ports = {"port": front.port, "one": one.port, "two": two.port, "agent": self.agent.port}
        path = directory / "haproxy.cfg"
        path.write_text(CONFIGURATION.format(path=self.socket, **ports))
        log = open(directory / "log", "wb")  # noqa: SIM115 - the process has it
        self.addCleanup(log.close)
        process = subprocess.Popen([haproxy, "-db", "-f", str(path)], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(eventually(lambda: self.sees("one").startswith("UP")))
        return front

    def sees(self, name: str) -> str:
        """
        The status that HAProxy shows for a server.
        """
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self.socket)
            except OSError:
                return ""
            sock.sendall(b"show stat\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        heading, *rows = [line.split(",") for line in text.splitlines() if line]
        status = heading.index("status")
        return next(row[status] for row in rows if row[:2] == ["site", name])

    def seesUntil(self, status: str) -> list[str]:
        """
        All different states of the first server, in order, until it has one.
        """
        seen: list[str] = []

        def look() -> bool:
            if (now := self.sees("one")) not in seen[-1:]:
                seen.append(now)
            return now == status

        self.assertTrue(eventually(look), seen)
        return seen

    def test_roundTrip(self) -> None:
        """
        HAProxy drains a server that stops, then has it in maintenance, never down; it finishes the
        request that is in flight; and gives the next process its part at once.
        """
        _, two = self.serve()
        server, one = self.checked()
        front = self.proxied(one, two)
        peer = front.connect()
        peer.ask(f"/later?stopped={LONG}", headers="Cookie: SERVER=one\r\n")
        server.awaitLog("asked for /later")
        server.send()
        self.assertEqual(self.seesUntil("MAINT"), ["UP", "DRAIN (agent)", "MAINT"])
        self.assertEqual(peer.answer().body, b"later\n")
        server.gone()
        time.sleep(0.3)
        self.assertEqual(self.sees("one"), "MAINT")
        content = ("--class", "tests.live.resources.Root", "--port", one.description)
        self.start("terminable", *content, "--agent-check", self.agent.description)
        self.seesUntil("UP")

    def test_bound(self) -> None:
        """
        A client that is bound to the server by a cookie is never refused, and never waits for it.
        """
        # A machine that is busy may be slow once, and again.
        self.assertTrue(any(self.bound() < 0.6 for _ in range(3)))

    def bound(self) -> float:
        """
        Ask all the time while the server ends.

        @return: the longest time that an answer took, in seconds.
        """
        _, two = self.serve()
        server, one = self.checked()
        front = self.proxied(one, two)
        peer = front.connect()
        answers, longest = [], 0.0
        server.send()
        while server.status is None:
            began = time.monotonic()
            peer.ask("/sync", headers="Cookie: SERVER=one\r\n")
            answers.append(peer.answer())
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.01)
        self.assertEqual({answer.status for answer in answers}, {200})
        moved = ["set-cookie" in answer.headers for answer in answers]
        self.assertEqual(moved, sorted(moved))
        self.assertEqual((moved[0], moved[-1]), (False, True))
        peer.close()
        return longest
