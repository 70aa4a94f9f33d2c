"""
What a server tells systemd, and what systemd thinks of the unit files.
"""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest
from pathlib import Path

from tests.live.clients import HOST, Address
from tests.live.processes import ROOT, LiveTestCase, Server, eventually, freePort, heard
from tests.live.programs import program

EXAMPLE = ROOT / "docs" / "examples" / "notify.tac"
DEPLOY = ROOT / "docs" / "deploy"

#: Seconds within which the watchdog wants to hear something.
WATCHDOG = 0.4

_CREDENTIALS = struct.Struct("3i")


class Systemd:
    """
    What listens as systemd does: it knows which process has sent a message.

    @ivar heard: the number of the process and the message, one after the other.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.heard: list[tuple[int, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(place.replace("@", "\0"))
        self._socket.settimeout(0.1)
        self._over = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over:
            try:
                data, more, _, _ = self._socket.recvmsg(65536, 1024)
            except TimeoutError:
                continue
            number = _CREDENTIALS.unpack(more[0][2][: _CREDENTIALS.size])[0]
            self.heard.append((number, data.decode()))

    def messages(self) -> list[str]:
        """
        What was said, whoever said it.
        """
        return [message for _, message in self.heard]

    def hears(self, start: str) -> bool:
        """
        Wait for a message that begins like this.
        """
        return bool(
            eventually(lambda: any(message.startswith(start) for message in self.messages()))
        )

    def stop(self) -> None:
        """
        Listen no more.
        """
        self._over = True
        self._thread.join()
        self._socket.close()


@unittest.skipUnless(sys.platform.startswith("linux"), "needs the credentials of messages")
class NotifyTests(LiveTestCase):
    """
    A server whose C{NOTIFY_SOCKET} is ours.
    """

    def systemd(self, abstract: bool = False) -> Systemd:
        """
        Somebody who listens.
        """
        found = Systemd(f"{'@' if abstract else ''}{self.directory()}/notify")
        self.addCleanup(found.stop)
        return found

    def example(self, place: str, **env: str) -> tuple[Server, Address]:
        """
        Start the example.
        """
        address = Address(port=freePort())
        server = self.launch(
            "--python",
            str(EXAMPLE),
            env={
                "NOTIFY_SOCKET": place,
                "NOTIFY_LISTEN": f"tcp:{address.port}:interface={HOST}",
                **env,
            },
        )
        return server, address

    def test_life(self) -> None:
        """
        When systemd hears that a server is ready, it answers; while it lives the watchdog is
        fed; its stop is announced, shown, and given the time that it needs; all this by
        the process itself.
        """
        systemd = self.systemd()
        watchdog = {"WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}
        server, address = self.example(systemd.place, **watchdog)
        self.assertTrue(systemd.hears("READY=1"), server.log())
        self.assertEqual(systemd.messages()[0], "READY=1\nSTATUS=serving")
        peer = address.connect()
        self.assertEqual(peer.get("/").status, 200)
        self.assertTrue(eventually(lambda: systemd.messages().count("WATCHDOG=1") >= 2))
        self.assertNotIn("STOPPING=1", systemd.messages())
        peer.ask("/slow?seconds=3.5")
        self.assertTrue(heard(address.port))
        server.send(signal.SIGTERM)
        self.assertTrue(systemd.hears("STOPPING=1"), server.log())
        before = len(systemd.heard)
        self.assertIn(b"done after", peer.answer().body)
        server.gone()
        self.assertTrue(systemd.hears("STATUS=terminated: "), server.log())
        self.assertStopped(systemd.messages(), before)
        self.assertEqual({number for number, _ in systemd.heard}, {server.process.pid})

    def assertStopped(self, messages: list[str], before: int) -> None:
        """
        The messages of a stop that had to wait for a slow answer are as they should be.
        """
        shown = [message for message in messages if message.startswith("STATUS=draining: 1 busy")]
        self.assertGreaterEqual(len(shown), 2, messages)
        self.assertIn("GET /slow?seconds=3.5 from 127.0.0.1", shown[-1])
        asked = [message for message in messages if message.startswith("EXTEND_TIMEOUT_USEC=")]
        self.assertEqual(len(asked), 1, messages)
        self.assertTrue(29e6 < int(asked[0].partition("=")[2]) <= 30e6, asked)
        self.assertEqual(messages.count("STOPPING=1"), 1)
        self.assertGreaterEqual(messages[before:].count("WATCHDOG=1"), 3, messages)
        self.assertIn("1 finished, 0 aborted", messages[-1])

    def test_abstract(self) -> None:
        """
        Without a watchdog, and by a name that is no file, no more than needed is said.
        """
        systemd = self.systemd(abstract=True)
        server, _ = self.example(systemd.place)
        self.assertTrue(systemd.hears("READY=1"), server.log())
        server.terminate()
        server.gone()
        self.assertTrue(systemd.hears("STATUS=terminated: "), server.log())
        self.assertEqual(systemd.messages().count("STOPPING=1"), 1)
        self.assertNotIn("WATCHDOG=1", systemd.messages())

    def test_nobodyThere(self) -> None:
        """
        A server that cannot tell anybody serves, says so once, and stops.
        """
        server, address = self.example(f"{self.directory()}/nobody")
        server.awaitLog("systemd cannot be told")
        self.assertEqual(address.connect().get("/").status, 200)
        server.terminate()
        server.gone()
        self.assertEqual(server.log().count("systemd cannot be told"), 1)
        self.assertNotIn("Traceback", server.log())

    def test_portInUse(self) -> None:
        """
        A server that cannot listen says that it stops, and never that it is ready.
        """
        systemd = self.systemd()
        with socket.create_server((HOST, 0)) as taken:
            description = f"tcp:{taken.getsockname()[1]}:interface={HOST}"
            server, _ = self.example(systemd.place, NOTIFY_LISTEN=description)
            server.gone()
        self.assertIn("CannotListenError", server.log())
        self.assertTrue(systemd.hears("STOPPING=1"))
        self.assertFalse([said for said in systemd.messages() if "READY" in said])


class UnitTests(LiveTestCase):
    """
    The unit files.
    """

    def test_verify(self) -> None:
        """
        systemd has nothing to say about any of them, once the programs are there.
        """
        analyze = program("systemd-analyze", "systemd")
        directory = self.directory()
        twistd = directory / "twistd"
        shutil.copy("/bin/true", twistd)
        names = sorted(path.name for path in DEPLOY.iterdir() if path.is_file())
        self.assertGreaterEqual(len(names), 5)
        for name in names:
            text = (DEPLOY / name).read_text().replace("/opt/site/venv/bin/twistd", str(twistd))
            (directory / name).write_text(text)
        self.assertVerified(analyze, directory, names)

    def assertVerified(self, analyze: str, directory: Path, names: list[str]) -> None:
        """
        Each is accepted, and nothing is said.
        """
        for name in names:
            done = subprocess.run(
                [analyze, "verify", "--man=no", str(directory / name)],
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), name)
