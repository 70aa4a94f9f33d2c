"""
The admin door of a real server: what is seen and done there, and who is kept out.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import ssl
import stat
import time
from collections import Counter
from pathlib import Path

from tests.live.admindoors import DoorTestCase, Watcher, ask, status
from tests.live.certificates import pair, selfSigned
from tests.live.clients import HOST, Address
from tests.live.processes import PATIENCE, SLACK, eventually, freePort
from tests.live.upgrading import UpgradeTestCase

TOKEN = "0123456789abcdef"

#: How many watch at once, or try to.
CROWD = 1000


class OperatorTests(DoorTestCase):
    """
    What an operator sees and does.
    """

    def test_stop(self) -> None:
        """
        A stop by the door: it is seen from its first moment to its report, busy connections are
        named, the door is there to the end, and does not delay it.
        """
        door = self.door()
        server, site = self.served(door, "--grace", "10")
        self.assertEqual(stat.S_IMODE(os.stat(door.path).st_mode), 0o600)
        self.assertEqual(ask(door, "/ready").status, 200)
        self.assertEqual(ask(door, "/startup").status, 200)
        busy = site.reach()
        self.addCleanup(busy.close)
        busy.ask("/upload", "POST", "Content-Length: 1\r\n")
        self.assertTrue(eventually(lambda: status(door)["busy"] == 1))
        [told] = json.loads(ask(door, "/connections?state=busy").body)["connections"]
        self.assertEqual((told["doing"], told["peer"]), ("POST /upload", busy.name))
        self.assertGreater(told["received"], 30)
        watcher = Watcher(door)
        answer = ask(door, "/terminate", "POST", {"gracePeriod": 9})
        self.assertEqual(answer.status, 202)
        server.send(0)
        told = json.loads(answer.body)
        self.assertIn(told["phase"], ("quiescing", "draining"))
        self.assertLess(6.0, told["left"])
        ready = ask(door, "/ready")
        self.assertEqual((ready.status, json.loads(ready.body)["status"]), (503, "draining"))
        self.assertEqual(ask(door, "/live").status, 200)
        busy.send(b"x")
        told = time.monotonic()
        self.assertEqual(busy.answer().status, 200)
        server.gone()
        self.assertLess(time.monotonic() - told, 1.0 + SLACK)
        events = watcher.join()
        names = [name for name, _ in events]
        self.assertEqual((names[0], names[-1], names.count("end")), ("status", "end", 1))
        phases = [values["phase"] for name, values in events if name == "status"]
        order = list(dict.fromkeys(phases))
        self.assertEqual(order, ["serving", "draining", "terminated"])
        self.assertEqual(events[-2][1]["report"]["finished"], 1)
        self.assertFalse(os.path.exists(door.path))

    def test_abort(self) -> None:
        """
        At once is at once.
        """
        door = self.door()
        server, site = self.served(door)
        self.get(site, "/later?seconds=60")
        self.assertTrue(eventually(lambda: status(door)["busy"] == 1))
        self.assertEqual(ask(door, "/abort", "POST").status, 202)
        server.send(0)
        self.assertLess(server.gone(), 1.0 + SLACK)
        self.assertIn("1 aborted", server.report())

    def test_signal(self) -> None:
        """
        A stop by a signal is seen there as well, to its end.
        """
        door = self.door()
        server, site = self.served(door)
        self.get(site, "/later?seconds=1")
        watcher = Watcher(door)
        server.terminate()
        server.gone()
        self.assertEqual(watcher.join()[-1][0], "end")

    def test_some(self) -> None:
        """
        Some may be drained, and ports may go and come back.
        """
        door = self.door()
        _, site = self.served(door)
        idle, other = site.reach(), site.reach()
        for peer in (idle, other):
            self.addCleanup(peer.close)
            self.assertEqual(peer.get("/sync").status, 200)
        rows = json.loads(ask(door, "/connections?state=idle").body)["connections"]
        wanted = [row["id"] for row in rows if row["peer"] == idle.name]
        self.assertEqual(ask(door, "/drain", "POST", {"ids": wanted}).status, 202)
        self.assertEqual(idle.rest(), b"")
        self.assertEqual(other.get("/sync").status, 200)
        self.assertEqual(ask(door, "/suspend", "POST").status, 200)
        self.assertEqual(status(door)["phase"], "suspended")
        self.assertRaises(ConnectionRefusedError, site.reach)
        self.assertEqual(ask(door, "/resume", "POST").status, 200)
        self.assertEqual(site.reach().get("/sync").status, 200)
        self.assertEqual(ask(door, "/resume", "POST").status, 409)

    def test_plugin(self) -> None:
        """
        Another plugin's server has a door too, and its ports do not become the server's.
        """
        door, site = self.door(), Address(port=freePort())
        plugin = ("--", "web", "--listen", site.description, "--path", ".")
        server = self.start("terminable", "--admin", door.description, *plugin)
        self.assertTrue(eventually(lambda: status(door)["phase"] == "serving"))
        self.assertEqual(status(door)["ports"], [f"tcp {HOST}:{site.port}"])
        self.assertEqual(ask(door, "/terminate", "POST").status, 202)
        server.send(0)
        self.assertLess(server.gone(), 1.0 + SLACK)


class UpgradeTests(UpgradeTestCase):
    """
    A successor has the door.
    """

    def test_upgrade(self) -> None:
        """
        An upgrade at the door: the same socket, in the same mode, is the successor's, and the one
        before is watched to its end.
        """
        door = Address(path=str(self.directory() / "admin.sock"))
        server, site = self.found(None, "--admin", door.description)
        family = self.follow(server)
        first = server.process.pid
        watcher = Watcher(door)
        self.assertEqual(ask(door, "/upgrade", "POST").status, 202)
        self.assertTrue(eventually(lambda: status(door)["pid"] != first))
        told = status(door)
        self.assertEqual(told["phase"], "serving")
        self.assertEqual(stat.S_IMODE(os.stat(door.path).st_mode), 0o600)
        server.gone()
        events = watcher.join()
        self.assertEqual(events[-1][0], "end")
        self.assertEqual({values["pid"] for _, values in events if values}, {first})
        self.assertEqual(events[-2][1]["upgrade"], "done")
        self.assertEqual(ask(door, "/ready").status, 200)
        self.assertEqual(self.who(site), told["pid"])
        self.ends(family, told["pid"])
        self.assertFalse(os.path.exists(door.path))


class SecurityTests(DoorTestCase):
    """
    Who is kept out.
    """

    def refused(self, *arguments: str) -> str:
        """
        @return: what a server says that does not start.
        """
        server = self.launch(
            "terminable", "--port", f"tcp:{freePort()}:interface={HOST}", *arguments
        )
        server.gone()
        self.assertNotIn("starting on", server.log())
        return server.log()

    def test_notStarted(self) -> None:
        """
        A door that everybody could reach, without credentials, is no door: nothing listens.
        """
        for place in ("tcp:0", "tcp:0:interface=0.0.0.0"):
            self.assertIn(f"terminable: --admin: '{place}' given", self.refused("--admin", place))
        path = self.directory() / "token"
        path.write_text(TOKEN)
        path.chmod(0o640)
        line = self.refused("--admin", "tcp:0", "--admin-token-file", str(path))
        self.assertIn("chmod 600", line)

    def test_token(self) -> None:
        """
        On all addresses, with a token: who has it not, or a wrong one, sees that the server is
        there and whether it is ready.
        """
        path = self.directory() / "token"
        path.touch(mode=0o600)
        path.write_text(TOKEN)
        door = Address(port=freePort())
        self.serve("--admin", f"tcp:{door.port}", "--admin-token-file", str(path))
        for given in ({}, {"Authorization": "Bearer fedcba9876543210"}):
            self.assertEqual(ask(door, "/status", **given).status, 401)
            self.assertEqual(ask(door, "/abort", "POST", **given).status, 401)
            self.assertEqual(ask(door, "/ready", **given).status, 200)
        right = {"Authorization": f"Bearer {TOKEN}"}
        self.assertEqual(ask(door, "/status", **right).status, 200)

    def test_certificate(self) -> None:
        """
        On all addresses, with certificates of its visitors.
        """
        folder = self.directory()
        files: dict[str, Path] = {}
        certificate, key = pair("operator")
        contents = {"site": selfSigned(), "ca": certificate, "operator": certificate + key}
        contents["stranger"] = selfSigned("operator")
        for name, content in contents.items():
            files[name] = folder / f"{name}.pem"
            files[name].write_bytes(content)
        port = freePort()
        site = files["site"]
        place = f"ssl:{port}:privateKey={site}:certKey={site}:clientCA={files['ca']}"
        self.serve("--admin", place)
        self.assertEqual(self.certified(port, files["operator"]), b"HTTP/1.1 200")
        self.assertEqual(self.certified(port, files["stranger"]), b"")
        self.assertEqual(self.certified(port, None), b"")

    def certified(self, port: int, path: Path | None) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if path is not None:
            context.load_cert_chain(path)
        try:
            with (
                socket.create_connection((HOST, port), timeout=PATIENCE) as plain,
                context.wrap_socket(plain) as secure,
            ):
                secure.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
                return secure.recv(12)
        except (ssl.SSLError, ConnectionError):
            return b""

    def test_strangers(self) -> None:
        """
        At a loopback port: pages of others, names of others, odd paths, bodies that are too long
        or too slow; each is refused, and the server serves.
        """
        door = Address(port=freePort())
        server, site = self.served(door)
        began = time.monotonic()
        slow = door.reach()
        self.addCleanup(slow.close)
        slow.send(
            b"POST /abort HTTP/1.1\r\nHost: localhost\r\nX-Terminable: 1\r\n"
            b"Content-Length: 9\r\n\r\n{"
        )
        self.assertEqual(ask(door, "/abort", "POST").status, 403)
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            self.assertEqual(ask(door, "/abort", "POST", X_Terminable="1", **headers).status, 403)
            self.assertEqual(ask(door, "/events", **headers).status, 403)
        rebound = door.reach()
        rebound.send(b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        self.assertEqual(rebound.answer().status, 421)
        rebound.close()
        for path in ("/../status", "//status", "/%2e%2e/etc/passwd", "/page/../../watched.py"):
            self.assertEqual(ask(door, path).status, 404)
        long = door.reach()
        self.addCleanup(long.close)
        long.send(b"POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
        long.send(b"a" * 200_000)
        self.assertEqual(long.answer().status, 413)
        self.assertEqual(site.reach().get("/sync").status, 200)
        # The slow one has had its time.
        slow.sock.settimeout(PATIENCE)
        self.assertEqual(slow.answer().status, 408)
        self.assertBetween(9.0, time.monotonic() - began, 11.0)
        self.assertEqual(status(door)["phase"], "serving")
        self.assertNotIn("Traceback", server.log())

    def test_crowd(self) -> None:
        """
        Of a thousand who want to watch, as many do as may; probes are answered all the while, and
        the server serves, and stops.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(hard, 4 * CROWD)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        door = Address(port=freePort())
        server, site = self.served(door)
        crowd = [self.watcher(door) for _ in range(CROWD)]
        longest, began = 0.0, time.monotonic()
        least, most = began + 2.0, began + PATIENCE
        answers: dict[socket.socket, bytes] = {}
        codes: Counter[bytes] = Counter()
        while (now := time.monotonic()) < least or (codes[b"503"] <= 20 and now < most):
            self.look(crowd, answers)
            codes = Counter(answer[9:12] for answer in answers.values())
            began = time.monotonic()
            peer = site.reach()
            self.assertEqual(peer.get("/sync").status, 200)
            peer.close()
            longest = max(longest, time.monotonic() - began)
        self.assertLess(longest, 0.5 + SLACK)
        self.assertEqual(codes[b"200"], 100)
        self.assertGreater(codes[b"503"], 20)
        server.send()
        self.assertLess(server.gone(), 1.0 + SLACK)
        self.assertNotIn("Traceback", server.log())

    def watcher(self, door: Address) -> socket.socket:
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setblocking(False)
        sock.connect_ex((door.host, door.port))
        return sock

    def look(self, crowd: list[socket.socket], answers: dict[socket.socket, bytes]) -> None:
        """
        Have those ask who have come in, and read what they are told.
        """
        for sock in crowd:
            with contextlib.suppress(OSError):
                if sock not in answers:
                    sock.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    answers[sock] = b""
                answers[sock] = answers[sock] or sock.recv(4096)
