"""
The control command, before a real server.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.live.clients import Address, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server, environment, eventually, freePort
from tests.live.upgrading import UpgradeTestCase

ROOT = Path(__file__).parents[2]

#: The command, as people type it.
CTL = (sys.executable, "-m", "terminable", "ctl")


class CtlTestCase(LiveTestCase):
    """
    Starts servers with an admin door, and asks them.

    @ivar socket: where that door is, if nobody says so.
    """

    socket = ""

    def served(self, *arguments: str) -> tuple[Server, Address]:
        """
        Start C{twistd terminable} with a door.
        """
        self.socket = str(self.directory() / "admin.sock")
        return self.serve("--admin", f"unix:{self.socket}", *arguments)

    def launchCtl(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """
        Begin a command at the door.
        """
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen(
            [*CTL, self.socket, *words], env=environment(), stdin=subprocess.DEVNULL, **settings
        )
        self.addCleanup(self.cleanUpCtl, process)
        return process

    def cleanUpCtl(self, process: subprocess.Popen[str]) -> None:
        """
        Leave nothing behind.
        """
        if process.poll() is None:
            process.kill()
        process.communicate()

    def ctl(self, *words: str, status: int = 0) -> str:
        """
        What a command prints, or what it complains about.
        """
        return self.said(self.launchCtl(*words), status)

    def said(self, process: subprocess.Popen[str], status: int = 0) -> str:
        """
        The same of a command that has begun, when it has ended.
        """
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, out + err)
        self.assertEqual((out if status in (1, 2, 3) else err), "")
        return err if status in (1, 2, 3) else out

    def value(self, *words: str) -> Any:
        """
        What it prints for programs.
        """
        return json.loads(self.ctl(*words, "--json"))

    def hold(self, server: Server, address: Address) -> Peer:
        """
        A client that is busy until it sends one more byte.
        """
        peer = address.connect()
        self.addCleanup(peer.close)
        peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        self.assertTrue(eventually(lambda: self.value("status")["busy"] == 1))
        return peer

    def awaitBusy(self, address: Address, *seconds: float) -> list[Any]:
        """
        Clients who have asked for something that takes so long.
        """
        peers = []
        for each in seconds:
            peer = address.connect()
            self.addCleanup(peer.close)
            peer.ask(f"/later?seconds={each}")
            peers.append(peer)
        return peers


class CommandTests(CtlTestCase):
    """
    Questions and orders.
    """

    def test_serving(self) -> None:
        """
        A server tells how it stands and who is connected; its ports go away and come back; some
        connections are drained; and what it refuses is said with status 1.
        """
        server, address = self.served()
        [busy] = self.awaitBusy(address, 60)
        server.awaitLog("asked for /later")
        told = self.value("status")
        self.assertEqual((told["pid"], told["phase"]), (server.process.pid, "serving"))
        text = self.ctl("connections", "--state", "busy")
        self.assertRegex(text, rf"{busy.name} +busy .* GET /later\?seconds=60\n1 of 1 shown")
        self.assertRegex(self.ctl("suspend"), "^suspended: 1 busy, 0 idle: GET /later")
        self.assertTrue(address.refuses())
        self.assertRegex(self.ctl("resume"), "^serving: ")
        [one] = self.value("connections")["connections"]
        self.ctl("drain", "--id", one["id"], "--grace", "0")
        self.assertTrue(eventually(lambda: self.value("status")["busy"] == 0))
        self.assertIn("(409)", self.ctl("resume", status=1))

    def test_statuses(self) -> None:
        """
        A command line that cannot be meant ends with 2; where nobody is, with 3.
        """
        self.socket = str(self.directory() / "none.sock")
        line = self.ctl("status", status=3)
        self.assertEqual(
            line, f"python -m terminable ctl: {self.socket}: No such file or directory\n"
        )
        self.assertIn("expected one of status, ", self.ctl("stop", status=2))

    def test_terminate(self) -> None:
        """
        C{terminate --wait} comes back when everybody has been answered.
        """
        server, address = self.served()
        busy = self.hold(server, address)
        process = self.launchCtl("terminate", "--wait")
        server.awaitLog(" Closed)")
        self.assertIsNone(process.poll())
        busy.send(b"x")
        self.assertTrue(busy.answer().closing)
        self.assertIn("1 finished, 0 left, 0 aborted", self.said(process))
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_stragglers(self) -> None:
        """
        If somebody was aborted it ends with 4, and names him.
        """
        server, address = self.served()
        [busy] = self.awaitBusy(address, 60)
        server.awaitLog("asked for /later")
        text = self.ctl("terminate", "--wait", "--grace", "0.3", status=4)
        self.assertIn("1 aborted", text)
        self.assertIn(f"aborted: GET /later?seconds=60 from {busy.name}", text)
        server.gone()

    def test_abort(self) -> None:
        """
        C{abort} ends it at once.
        """
        server, address = self.served()
        self.awaitBusy(address, 60)
        server.awaitLog("asked for /later")
        self.assertRegex(self.ctl("abort"), "^aborting|^terminated")
        server.gone()


class WatchTests(CtlTestCase):
    """
    C{watch}, where nobody looks.
    """

    def test_file(self) -> None:
        """
        A file gets plain lines, to the report.
        """
        server, address = self.served()
        busy = self.hold(server, address)
        process = self.launchCtl("watch")
        assert process.stdout is not None
        line = process.stdout.readline()
        self.assertRegex(line, r"^\d\d:\d\d:\d\d serving: \d busy, \d idle")
        server.send()
        seen = ""
        while " left: POST /upload" not in line:
            seen += (line := process.stdout.readline())
            self.assertTrue(line, seen)
        busy.send(b"x")
        out = seen + self.said(process)
        self.assertIn(" draining: 1 busy, 0 idle, 2", out)
        self.assertRegex(out, r"\d terminated: 0 idle, 1 finished, 0 left, 0 aborted after \d")
        self.assertNotIn("\x1b", out)

    def test_interrupted(self) -> None:
        """
        ^C ends it without a word; the server goes on.
        """
        self.served()
        process = self.launchCtl("watch")
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (130, ""))
        self.assertEqual(self.value("status")["phase"], "serving")

    def test_unread(self) -> None:
        """
        If nobody reads any more, it ends as others do.
        """
        server, _ = self.served()
        process = self.launchCtl("watch")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        server.send()
        self.assertEqual(process.wait(PATIENCE), 141)
        self.assertEqual(process.stderr.read(), "")
        process.stdout = None


class SecrecyTests(CtlTestCase):
    """
    A door with a lock.
    """

    def lock(self, *arguments: str) -> Path:
        """
        Start a server whose door wants to know a token.

        @return: the file with it.
        """
        token = self.directory() / "token"
        token.touch(0o600)
        token.write_text("correct-horse-battery-staple\n")
        self.serve("--admin-token-file", str(token), *arguments)
        return token

    def test_token(self) -> None:
        """
        The token is needed, and enough.
        """
        port = freePort()
        token = self.lock("--admin", f"tcp:{port}:interface=127.0.0.1")
        self.socket = f"http://127.0.0.1:{port}"
        self.assertIn("(401)", self.ctl("status", status=1))
        told = self.value("suspend", "--token-file", str(token))
        self.assertEqual(told["phase"], "suspended")

    def test_certificate(self) -> None:
        """
        A server whose certificate we do not believe is told nothing.
        """
        port, pem = freePort(), str(self.certificate())
        door = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        token = str(self.lock("--admin", door))
        self.socket = f"https://localhost:{port}"
        line = self.ctl("status", "--token-file", token, status=3)
        self.assertIn("TLS: certificate verify failed", line)
        told = self.value("status", "--token-file", token, "--ca-file", pem)
        self.assertEqual(told["phase"], "serving")


class ScriptTests(CtlTestCase):
    """
    The script in C{docs/howto/ctl.rst}.
    """

    def run_(self) -> str:
        """
        What it says.
        """
        text = (ROOT / "docs" / "howto" / "ctl.rst").read_text()
        found = re.search(r"::\n\n((?:    .*\$socket.*\n)(?:    .*\n)+)", text)
        assert found is not None
        script = f'socket={self.socket}\npython() {{ {sys.executable} "$@"; }}\n'
        done = subprocess.run(
            ["sh", "-c", script + textwrap.dedent(found[1])],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=True,
        )
        return done.stdout.splitlines()[-1]

    def test_script(self) -> None:
        """
        It tells a server that was cut off from one that was not running.
        """
        server, address = self.served()
        self.awaitBusy(address, 60)
        server.awaitLog("asked for /later")
        self.assertEqual(self.run_(), "somebody was cut off")
        server.gone()
        self.assertEqual(self.run_(), "it was not running")


class UpgradeTests(CtlTestCase, UpgradeTestCase):
    """
    A successor.
    """

    def test_upgrade(self) -> None:
        """
        C{upgrade --wait} comes back when another process serves; whoever watches sees the report
        of the old one, and goes on with the new one to its end.
        """
        self.socket = str(self.directory() / "admin.sock")
        server, address = self.found(None, "--admin", f"unix:{self.socket}")
        self.follow(server)
        process = self.launchCtl("watch")
        assert process.stdout is not None
        process.stdout.readline()
        before = self.value("status")["pid"]
        self.assertRegex(self.ctl("upgrade", "--wait"), rf"^process \d+ serves instead of {before}")
        after = self.value("status")
        self.assertNotEqual(after["pid"], before)
        server.gone()
        line = f"process {after['pid']} has taken over"
        seen = ""
        while line not in seen:
            seen += (more := process.stdout.readline())
            self.assertTrue(more, seen)
        self.assertRegex(seen, r"terminated: \d idle")
        self.ctl("terminate", "--wait")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertRegex(out, r"terminated: \d idle")
        self.assertFalse(os.path.exists(self.socket))
        self.assertTrue(address.refuses())
