"""
What cannot be meant is refused in one line, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.live.clients import HOST, Address
from tests.live.processes import TWISTD, LiveTestCase, environment, freePort

#: Runs C{twistd} with each of many command lines, in a process of its own that has
#: its modules already: to import them anew takes most of the time of such a command.
EACH = """
import json, os, signal, sys, tempfile
import terminable.tap
from twisted.scripts.twistd import run
assert "twisted.internet.reactor" not in sys.modules
results = []
for arguments in json.load(sys.stdin):
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if not child:
            signal.alarm(30)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            sys.argv[1:] = arguments
            run()
            sys.exit()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        results.append((status, output.read()))
json.dump(results, sys.stdout)
"""

#: Gives up the right to bind low ports, as every user but root has none
#: (capabilities(7): CAP_NET_BIND_SERVICE is number 10), and becomes C{twistd}.
WITHOUT_RIGHTS = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
head = struct.pack("=Ii", 0x20080522, 0)
data = ctypes.create_string_buffer(24)
if libc.capget(head, data):
    sys.exit("capget: %d" % ctypes.get_errno())
words = [word & ~(1 << 10) if n < 2 else word for n, word in enumerate(struct.unpack("=6I", data))]
if libc.capset(head, struct.pack("=6I", *words)):
    sys.exit("capset: %d" % ctypes.get_errno())
from twisted.scripts.twistd import run
run()
"""

TIME = "expected a number of seconds, 0 or more"
DESCRIPTION = "expected a port number or an endpoint description"
LISTENED = "expected a port that can be listened on"


class BadInputTestCase(LiveTestCase):
    """
    Runs commands that have to fail.
    """

    def each(self, commands: Iterable[Sequence[str]]) -> list[tuple[int, str]]:
        """
        Run C{twistd} with each of these command lines.

        @return: the exit status and the output of each.
        """
        lines = [["--nodaemon", "--pidfile=", *command] for command in commands]
        done = subprocess.run(
            [sys.executable, "-c", EACH],
            input=json.dumps(lines),
            cwd=self.directory(),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return [(status, output) for status, output in json.loads(done.stdout)]

    def failing(self, *arguments: str, **options: object) -> tuple[int, str]:
        """
        The same with one that is started from the very beginning.
        """
        server = self.launch(*arguments, **options)
        server.gone()
        return server.status, server.log()

    def assertRefused(self, result: tuple[int, str], *words: str) -> None:
        """
        It has ended with 1 or 2, after one line with all these words.
        """
        status, output = result
        self.assertIn(status, (1, 2), output)
        self.assertNotIn("Traceback", output)
        lines = [line for line in output.splitlines() if line.strip()]
        self.assertEqual(len(lines), 1, output)
        for word in words:
            self.assertIn(word, lines[0])

    def assertAllRefused(self, cases: dict[tuple[str, ...], tuple[str, ...]]) -> None:
        """
        The same of many command lines of C{twistd terminable}.
        """
        results = self.each(("terminable", *arguments) for arguments in cases)
        for result, words in zip(results, cases.values(), strict=True):
            self.assertRefused(result, *words)


class OptionTests(BadInputTestCase):
    """
    The options of C{twistd terminable}.
    """

    def test_times(self) -> None:
        """
        Times that are no times, or contradict each other.
        """
        self.assertAllRefused(
            {
                ("--grace", "-1"): ("--grace", "'-1'", TIME),
                ("--grace", "soon"): ("--grace", "'soon'", TIME),
                ("--grace", "nan"): ("--grace", "'nan'", TIME),
                ("--idle-grace", "1s"): ("--idle-grace", "'1s'", TIME),
                ("--quiesce", ""): ("--quiesce", "''", TIME),
                ("--linger", "-0.5"): ("--linger", "'-0.5'", TIME),
                ("--grace", "2", "--idle-grace", "3"): (
                    "--idle-grace",
                    "3",
                    "no more than the grace period of 2 seconds",
                ),
                ("--grace", "2", "--quiesce", "2.5"): (
                    "--quiesce",
                    "2.5",
                    "no more than the grace period of 2 seconds",
                ),
            }
        )

    def test_options(self) -> None:
        """
        Options that do not exist, lack their value, or exclude each other.
        """
        self.assertAllRefused(
            {
                ("--gracious", "1"): ("--gracious",),
                ("--grace",): ("--grace",),
                ("--path", ".", "--class", "os.path"): ("--path", "--class"),
                ("--port", "8080", "--", "web"): ("--port", "plugin"),
                ("--", "nosuch"): ("nosuch", "expected the name of a twistd plugin"),
                ("--", "terminable"): ("terminable", "expected another plugin"),
                ("--", "web", "--bogus"): ("--bogus",),
            }
        )

    def test_content(self) -> None:
        """
        Content that is not there, or is something else.
        """
        resource = "expected the dotted name of a resource class"
        self.assertAllRefused(
            {
                ("--class", "nosuch.Thing"): ("--class", "'nosuch.Thing'", resource),
                ("--class", "Thing"): ("--class", "'Thing'", resource),
                ("--class", "tests.live.resources.Nothing"): ("--class", "Nothing", resource),
                ("--class", "tests.live.resources"): ("--class", "resources", resource),
                ("--class", "tests.live.resources.Echo"): ("--class", "Echo", resource),
                ("--class", "twisted.web.static.File"): ("--class", "File", resource),
                ("--wsgi", "nosuch.app"): ("--wsgi", "'nosuch.app'", "a WSGI application"),
                ("--wsgi", "tests.live.clients.HOST"): ("--wsgi", "HOST", "a WSGI application"),
                ("--factory", "tests.live.resources.Root"): (
                    "--factory",
                    "resources.Root",
                    "a protocol factory",
                ),
                ("--path", "/nonexistent"): ("--path", "'/nonexistent'", "a directory"),
            }
        )


class PortTests(BadInputTestCase):
    """
    Where nobody can listen.
    """

    def test_descriptions(self) -> None:
        """
        Endpoints that do not exist, have no such option, or would end twice.
        """
        ports = {
            "nosuch:80": DESCRIPTION,
            "http": DESCRIPTION,
            "-5": DESCRIPTION,
            "tcp:http": DESCRIPTION,
            "tcp:8080:colour=red": "expected options of that endpoint",
            "terminable:tcp:8080": "expected an endpoint without terminable:",
            "70000": LISTENED,
            "unix:/nonexistent/socket": LISTENED,
        }
        self.assertAllRefused(
            {("--port", port): ("--port", repr(port), text) for port, text in ports.items()}
        )

    def test_certificates(self) -> None:
        """
        Certificates that are not there, or are something else.
        """
        directory = self.directory()
        Path(directory, "bad.pem").write_text("not a certificate\n")
        cases = {}
        for name in ("missing.pem", "bad.pem"):
            pem = directory / name
            port = f"ssl:{freePort()}:interface={HOST}:certKey={pem}:privateKey={pem}"
            cases["--port", port] = ("--port", name, "expected a certificate and a key")
        cases["--port", "ssl:8443"] = ("--port", "'ssl:8443'", "server.pem")
        self.assertAllRefused(cases)

    def test_inUse(self) -> None:
        """
        A port on which somebody listens; those named before it are not kept, nor is
        the path of a UNIX socket.
        """
        with socket.create_server((HOST, 0)) as taken:
            number = taken.getsockname()[1]
            port = f"tcp:{number}:interface={HOST}"
            path = str(self.directory() / "web")
            before = ("--port", f"unix:{path}", "--port", f"tcp:{freePort()}:interface={HOST}")
            self.assertAllRefused(
                {
                    ("--port", port): ("--port", repr(port), LISTENED, "in use"),
                    (*before, "--port", port): ("--port", repr(port), LISTENED),
                }
            )
        self.assertFalse(os.path.lexists(path))

    def test_withoutRights(self) -> None:
        """
        A port that only root may have.
        """
        first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if not first.exists() or int(first.read_text()) <= 7:
            self.skipTest("everybody may listen on low ports here")
        result = self.failing(
            *("--nodaemon", "--pidfile=", "terminable", "--port", f"tcp:7:interface={HOST}"),
            program=(sys.executable, "-c", WITHOUT_RIGHTS),
        )
        self.assertRefused(result, "--port", "tcp:7", LISTENED, "Permission denied")


class GuestTests(BadInputTestCase):
    """
    Another plugin's command line, behind C{--}.
    """

    def test_badEndpoint(self) -> None:
        """
        What the other plugin refuses is one line, too.
        """
        self.assertRefused(
            self.failing("terminable", "--", "web", "--listen", "nosuch:80"), "web", "nosuch"
        )

    def test_portInUse(self) -> None:
        """
        So is what it finds out only when it is started: the process ends.
        """
        with socket.create_server((HOST, 0)) as taken:
            listen = f"tcp:{taken.getsockname()[1]}:interface={HOST}"
            status, output = self.failing("terminable", "--", "web", "--listen", listen)
        self.assertEqual(status, 1, output)
        self.assertIn("terminable: -- web: CannotListenError: ", output)
        self.assertIn("Address already in use", output)
        self.assertNotIn("Traceback", output)


class PrefixTests(BadInputTestCase):
    """
    The prefix in the command line of C{twistd web}. That one is Twisted's, and so is
    the form of its complaint; ours is its last line.
    """

    def test_refused(self) -> None:
        """
        The process ends, and says which option was meant, and what was expected.
        """
        address = Address(port=freePort())
        cases = {
            f"terminable:{address.description}:grace=-1": ("grace: '-1' given", TIME),
            f"terminable:{address.description}:linger=x": ("linger: 'x' given", TIME),
            f"terminable:{address.description}:grace=1:idleGrace=2": ("idleGrace: 2.0", "no more"),
            "terminable:nosuch:8080": ("Unknown endpoint type: 'nosuch'",),
            "terminable:terminable:tcp:8080": ("terminable:", "an endpoint description"),
            "terminable:tcp:8080:colour=red": ("colour",),
        }
        results = self.each(("web", "--listen", listen) for listen in cases)
        for (status, output), words in zip(results, cases.values(), strict=True):
            self.assertEqual(status, 1, output)
            last = output.strip().splitlines()[-1]
            for word in words:
                self.assertIn(word, last)
        self.assertTrue(address.refuses())


class SpellingTests(BadInputTestCase):
    """
    The other ways to start it.
    """

    def test_otherPrograms(self) -> None:
        """
        C{python -m terminable} and C{twist terminable} refuse in the same way.
        """
        for module in (("terminable",), ("twisted", "terminable")):
            result = self.failing("--grace", "-1", program=(sys.executable, "-m", *module))
            self.assertRefused(result, "--grace", "'-1'", TIME)

    def test_help(self) -> None:
        """
        C{--help} names every option, and succeeds.
        """
        done = subprocess.run(
            [*TWISTD, "terminable", "--help"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        for option in ("port", "path", "class", "wsgi", "factory", "grace", "idle-grace"):
            self.assertIn(f"--{option}", done.stdout)
        for option in ("quiesce", "linger", "fail-on-straggler"):
            self.assertIn(f"--{option}", done.stdout)
