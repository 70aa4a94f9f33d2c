"""
What is handed over, and what is wrong with what a process was started with.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import sys
from pathlib import Path

from tests.live.clients import HOST, Address
from tests.live.processes import TWISTD, Server, eventually, freePort
from tests.live.upgrading import CONTENT, Family, UpgradeTestCase

#: Starts a program with descriptors from 3 on, as systemd does.
LAUNCHER = (
    sys.executable,
    "-S",
    "-c",
    "import os, sys\n"
    "for number, given in enumerate(filter(None, sys.argv[1].split(',')), start=3):\n"
    "    given == '-1' or os.dup2(int(given), number)\n"
    "os.environ.setdefault('LISTEN_PID', str(os.getpid()))\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n",
)

#: A descriptor that is not given.
NONE = -1

#: Descriptors from here on are in the way of nothing.
HIGH = 100


def locked(lock: Path) -> int:
    """
    The number of the process that has a lock; 0 if there is none.
    """
    return int(os.readlink(lock)) if os.path.islink(lock) else 0


class DoorsTests(UpgradeTestCase):
    """
    Two upgrades of one server that listens everywhere.
    """

    def test_doors(self) -> None:
        """
        A port with TLS, a UNIX socket and a port of the kernel's choice are still the same, the
        UNIX socket's lock is renewed, and its path goes with the last.
        """
        path = self.directory() / "door"
        plain, secure = self.tcp(), Address(port=freePort(), tls=True)
        pem = self.certificate()
        doors = [
            plain.description,
            f"{secure.description}:privateKey={pem}:certKey={pem}",
            f"unix:{path}:lockfile=1",
            f"tcp:0:interface={HOST}",
        ]
        words = [word for door in doors for word in ("--port", door)]
        server = self.begin("terminable", *words, *CONTENT)
        family = self.follow(server)
        places = [plain, secure, Address(path=str(path)), self.chosen(server)]
        first = server.process.pid
        self.assertServes(places, first)
        second = self.upgrade(family, server)
        server.gone()
        self.assertServes(places, second)
        third = self.upgrade(family, server, second, 2)
        family.awaitEnd(second)
        self.assertServes(places, third)
        lock = Path(f"{path}.lock")
        self.assertTrue(eventually(lambda: locked(lock) == third))
        self.ends(family, third)
        self.assertFalse(path.exists())
        self.assertFalse(os.path.islink(lock))

    def chosen(self, server: Server) -> Address:
        """
        The port that was chosen.
        """
        # Those of the kernel's choice are beyond those that are asked for.
        return Address(port=max(map(int, re.findall(r"starting on (\d+)", server.log()))))

    def assertServes(self, places: list[Address], pid: int) -> None:
        """
        This process answers everywhere.
        """
        for place in places:
            self.assertEqual(self.who(place), pid, place)

    def test_many(self) -> None:
        """
        There may be more of them than a shell has digits.
        """
        places = [self.tcp() for _ in range(12)]
        server = self.tac(*[place.description for place in places])
        family = self.follow(server)
        successor = self.upgrade(family, server)
        self.assertServes(places, successor)
        server.gone()
        self.ends(family, successor)


class ActivatedTestCase(UpgradeTestCase):
    """
    Starts processes with sockets that somebody else has opened.
    """

    def listener(self) -> tuple[Address, int]:
        """
        A socket that listens, and a descriptor of it.
        """
        sock = socket.create_server((HOST, 0))
        self.addCleanup(sock.close)
        return Address(port=sock.getsockname()[1]), self.high(sock.fileno())

    def high(self, descriptor: int) -> int:
        """
        Another descriptor of the same thing.
        """
        found = fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH)
        self.addCleanup(os.close, found)
        return found

    def activated(self, given: list[int], *words: str, **env: str) -> Server:
        """
        Start a program with descriptors.
        """
        program = (*LAUNCHER, ",".join(map(str, given)), *TWISTD)
        passed = [descriptor for descriptor in given if descriptor != NONE]
        return self.launch(
            *words, program=program, env=env, pass_fds=passed, start_new_session=True
        )


class SystemdTests(ActivatedTestCase):
    """
    Sockets that somebody else has opened.
    """

    def test_twice(self) -> None:
        """
        They are handed on as they came, by their numbers and by their names.
        """
        (first, one), (second, two) = self.listener(), self.listener()
        own = self.tcp()
        doors = ["systemd:domain=INET:index=0", own.description, "systemd:domain=INET:name=web"]
        words = [word for door in doors for word in ("--port", door)]
        names = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "api:web"}
        server = self.activated([one, two], "terminable", *words, *CONTENT, **names).awaitReady()
        family = self.follow(server)
        pid = server.process.pid
        for count in (1, 2):
            following = self.upgrade(family, server, pid, count)
            family.awaitEnd(pid)
            pid = following
            for place in (first, second, own):
                self.assertEqual(self.who(place), pid)
        self.ends(family, pid)
        # Whoever has opened them has them still.
        self.assertFalse(first.refuses())

    def test_prefix(self) -> None:
        """
        So they are by an endpoint description of somebody else's server.
        """
        place, one = self.listener()
        door = "terminable:systemd:domain=INET:index=0"
        words = ("web", "--listen", door, *CONTENT)
        server = self.activated([one], *words, LISTEN_FDS="1", LISTEN_FDNAMES="web").awaitReady()
        family = self.follow(server)
        successor = self.upgrade(family, server)
        server.gone()
        self.assertEqual(self.who(place), successor)
        self.ends(family, successor)


class WrongTests(ActivatedTestCase):
    """
    A process that is started with nonsense.
    """

    def test_wrong(self) -> None:
        """
        It ends badly, with one line that says what is wrong.
        """
        _, listening = self.listener()
        ours, theirs = socket.socketpair()
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf = socket.socket()
        file = (self.directory() / "file").open("w")
        for each in (ours, theirs, datagram, deaf, file):
            self.addCleanup(each.close)
        channel = self.high(theirs.fileno())
        wrong = {
            "LISTEN_PID: 1 given, expected ": ([listening, channel], {"LISTEN_PID": "1"}),
            "LISTEN_PID: 'me' given": ([listening, channel], {"LISTEN_PID": "me"}),
            "LISTEN_FDS: 'x' given": ([listening, channel], {"LISTEN_FDS": "x"}),
            "LISTEN_FDS: '2000' given": ([listening, channel], {"LISTEN_FDS": "2000"}),
            "LISTEN_FDS: '9999": ([listening, channel], {"LISTEN_FDS": "9" * 5000}),
            "LISTEN_FDS: '3 (no stream)' given": ([self.high(datagram.fileno()), channel], {}),
            "LISTEN_FDS: '3 (no socket)' given": ([self.high(file.fileno()), channel], {}),
            "(a stream that does not listen)": ([self.high(deaf.fileno()), channel], {}),
            "LISTEN_FDS: '4 (": (
                [listening, NONE, channel],
                {"LISTEN_FDS": "2", "TERMINABLE_HANDOVER": "5"},
            ),
            "LISTEN_FDNAMES: 'a:b'": ([listening, channel], {"LISTEN_FDNAMES": "a:b"}),
            "TERMINABLE_HANDOVER: '77 (Bad": ([listening], {"TERMINABLE_HANDOVER": "77"}),
            "TERMINABLE_HANDOVER: 3 given": ([listening], {"TERMINABLE_HANDOVER": "3"}),
            "TERMINABLE_HANDOVER: 'x' given": ([listening], {"TERMINABLE_HANDOVER": "x"}),
        }
        usual = {"LISTEN_FDS": "1", "TERMINABLE_HANDOVER": "4"}
        place = self.tcp()
        words = ("terminable", "--port", place.description)
        begun = [
            (why, self.activated(given, *words, **{**usual, **env}))
            for why, (given, env) in wrong.items()
        ]
        for why, server in begun:
            with self.subTest(why):
                server.gone()
                self.assertEqual(server.status, 1)
                self.assertEqual(server.log().count("\n"), 1, server.log())
                self.assertIn(why, server.log())
                self.assertTrue(server.log().startswith("terminable: "), server.log())

    def test_others(self) -> None:
        """
        Sockets for another process, without anybody who hands over, are not ours.
        """
        one = self.listener()[1]
        own = self.tcp()
        words = ("terminable", "--port", own.description, *CONTENT)
        server = self.activated([one], *words, LISTEN_FDS="1", LISTEN_PID="1").awaitReady()
        family: Family = self.follow(server)
        self.assertEqual(self.who(own), server.process.pid)
        family.send(server.process.pid, signal.SIGTERM)
        server.gone()
