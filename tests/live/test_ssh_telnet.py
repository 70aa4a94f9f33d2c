"""
SSH and Telnet servers that are told to stop, with OpenSSH's client (Debian: the package
openssh-client) and a Telnet client that negotiates.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from twisted.conch.telnet import DO, DONT, ECHO, IAC, NAWS, WILL, WONT
from twisted.trial.unittest import SkipTest

from tests.live.clients import Address, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort

IDLE = 0.3
GRACE = 1.5
GOODBYE = "The server is going down."

#: What an OpenSSH client says of our disconnect message; its reason is 11.
DISCONNECTED = rf"Received disconnect from 127\.0\.0\.1 port \d+:11: {GOODBYE}"


class ServingTestCase(LiveTestCase):
    """
    Serves a factory.
    """

    def serving(self, name: str, grace: float = 10.0, idle: float = IDLE) -> None:
        """
        Start the server.
        """
        self.address = Address(port=freePort())
        options = ("--grace", str(grace), "--idle-grace", str(idle))
        factory = ("--factory", f"tests.live.sshservers.{name}")
        listen = ("--port", self.address.description)
        self.server: Server = self.start("terminable", *factory, *options, *listen)


class Gate:
    """
    A file for which a command waits.

    @ivar waiting: the words of a shell that do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.waiting = f"while [ ! -e {path} ]; do sleep 0.1; done"

    def open(self) -> None:
        """
        Let it go on.
        """
        self._path.touch()


class Secure:
    """
    A running C{ssh}.
    """

    def __init__(self, program: str, port: int, *arguments: str) -> None:
        options = [
            *("-F", os.devnull, "-p", str(port), "-l", "alice", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={os.devnull}"),
            *("-o", "IdentityFile=none", "-o", "IdentityAgent=none"),
        ]
        host, command = "127.0.0.1", [argument for argument in arguments if " " in argument]
        flags = [argument for argument in arguments if " " not in argument]
        self.process = subprocess.Popen(
            [program, *options, *flags, host, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def end(self) -> tuple[int, bytes, str]:
        """
        Wait for it.

        @return: its exit status, what it has written, and what it has complained about.
        """
        out, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, errors.decode(errors="replace")

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class SSHTests(ServingTestCase):
    """
    An SSH server that runs commands.
    """

    def setUp(self) -> None:
        """
        Find the client.
        """
        program = shutil.which("ssh")
        if program is None:
            missing = "this needs OpenSSH's ssh (Debian: apt-get install openssh-client)"
            if os.environ.get("CI"):
                self.fail(missing)
            raise SkipTest(missing)
        self.program = program

    def ssh(self, *arguments: str) -> Secure:
        """
        Run C{ssh}.

        @param arguments: flags, and the command, which has a space in it.
        """
        secure = Secure(self.program, self.address.port, *arguments)
        self.addCleanup(secure.cleanUp)
        return secure

    def gate(self) -> Gate:
        """
        What a command waits for.
        """
        return Gate(self.directory() / "gate")

    def run_(self, command: str, *flags: str) -> Secure:
        """
        Run a command on the server, and return when it runs.
        """
        secure = self.ssh(*flags, command)
        self.server.awaitLog(f"running {command}")
        return secure

    def master(self, *flags: str) -> tuple[Secure, str]:
        """
        A connection on which others may open sessions, and has none yet.

        @return: it, and the flag for the others.
        """
        control = str(self.directory() / "control")
        secure = self.ssh("-N", "-M", "-S", control, *flags)
        self.assertTrue(eventually(Path(control).exists))
        return secure, f"-oControlPath={control}"

    def assertEnded(self, secure: Secure, status: int, out: bytes, errors: str = "") -> None:
        """
        A client has ended like this.

        @param errors: a pattern; without one, nothing is said of the end of the server.
        """
        found = secure.end()
        self.assertEqual(found[:2], (status, out), found)
        if errors:
            self.assertRegex(found[2], errors)
        else:
            self.assertNotIn("disconnect", found[2])

    def test_aCommandCompletes(self) -> None:
        """
        A command that runs when the server is told to stop completes: its client gets all
        of the output, and the exit status, and nothing else; then the server leaves.
        """
        self.serving("makeSSH")
        gate = self.gate()
        secure = self.run_(f"echo begun; {gate.waiting}; echo done; exit 3")
        self.server.terminate()
        self.server.awaitPortsClosed()
        self.assertTrue(self.address.refuses())
        gate.open()
        self.assertEnded(secure, 3, b"begun\ndone\n")
        self.server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", self.server.report())
        self.assertNotIn("Traceback", self.server.log())

    def test_muchOutput(self) -> None:
        """
        The same if there is much output, during which keys are exchanged again.
        """
        self.serving("makeSSH")
        # Less than the window of ssh: behind a full one, Twisted says "end of file" too early.
        count = 1_500_000
        gate = self.gate()
        command = f"{gate.waiting}; head -c {count} /dev/zero; exit 5"
        secure = self.run_(command, "-oRekeyLimit=100K")
        self.server.terminate()
        gate.open()
        status, out, errors = secure.end()
        self.assertEqual((status, len(out)), (5, count), errors)
        self.server.gone()
        # Another exchange may be going on when ssh leaves, which then closes nothing.
        self.assertRegex(self.server.report(), r"0 idle, (1|0) finished, (1 left, )?0 aborted")
        self.assertGreater(self.server.log().count("NEW KEYS"), 1)
        self.assertNotIn("Traceback", self.server.log())

    def test_noSecondSession(self) -> None:
        """
        On a connection with a session, no other session is opened; the first completes.
        """
        self.serving("makeSSH")
        control, gate = self.directory() / "control", self.gate()
        command = f"echo begun; {gate.waiting}; echo done; exit 4"
        first = self.run_(command, "-M", "-S", str(control))
        self.assertTrue(eventually(control.exists))
        self.server.terminate()
        self.server.awaitPortsClosed()
        second = self.ssh("-S", str(control), "echo second")
        # It tries a connection of its own then, and somebody else would be there.
        self.assertEnded(second, 255, b"", "(?s)refused by peer.*Connection refused")
        gate.open()
        self.assertEnded(first, 4, b"begun\ndone\n", f"open failed: resource shortage: {GOODBYE}")
        self.server.gone()
        self.assertIn("1 finished, 0 aborted", self.server.report())
        self.assertNotIn("running echo second", self.server.log())
        self.assertNotIn("Traceback", self.server.log())

    def test_idleIsDisconnected(self) -> None:
        """
        A connection without a session gets the disconnect message at the end of its idle
        grace; so does somebody who has only just connected.
        """
        self.serving("makeSSH")
        idle, _ = self.master()
        fresh = self.address.connect()
        self.assertTrue(fresh.until(b"\r\n").startswith(b"SSH-2.0-"))
        self.server.terminate()
        self.assertEnded(idle, 255, b"", DISCONNECTED)
        self.assertIn(GOODBYE.encode(), fresh.rest())
        self.assertBetween(IDLE, self.server.gone(), IDLE + 0.5, self.server.log())
        self.assertIn("2 idle, 0 finished, 0 aborted", self.server.report())

    def test_oneLastSession(self) -> None:
        """
        A connection that had no session may open one during its idle grace, which
        completes; then it is told.
        """
        self.serving("makeSSH", grace=60.0, idle=15.0)
        (idle, control), gate = self.master(), self.gate()
        self.server.terminate()
        last = self.run_(f"{gate.waiting}; echo last", control)
        self.assertEnded(self.ssh(control, "echo more"), 255, b"", "refused by peer")
        gate.open()
        self.assertEnded(last, 0, b"last\n")
        self.assertEnded(idle, 255, b"", DISCONNECTED)
        self.server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", self.server.report())

    def test_straggler(self) -> None:
        """
        A command that does not end is cut at the deadline, its client is told, and the
        report names the process, the user, and where he came from.
        """
        self.serving("makeSSH", grace=GRACE)
        secure = self.run_("echo begun; exec sleep 60")
        self.server.terminate()
        self.assertBetween(GRACE, self.server.gone(), GRACE + 0.3, self.server.log())
        self.assertEnded(secure, 255, b"begun\n", DISCONNECTED)
        report = self.server.report()
        self.assertIn("0 idle, 0 finished, 1 aborted", report)
        name = r"session: process \d+ by alice from 127\.0\.0\.1:\d+, \d\.\d s, told disconnect"
        self.assertRegex(report, name)
        self.assertNotIn("Traceback", self.server.log())


class TelnetTests(ServingTestCase):
    """
    Telnet servers.
    """

    def reached(self, greeting: bytes) -> Peer:
        """
        A client that has been greeted, and has negotiated: the server shall echo, and the
        client would tell the size of its window; the server wants neither.
        """
        peer = self.address.connect()
        self.assertEqual(peer.until(b"\r\n"), greeting)
        peer.send(IAC + DO + ECHO + IAC + WILL + NAWS)
        self.assertEqual(peer.exactly(6), IAC + WONT + ECHO + IAC + DONT + NAWS)
        return peer

    def test_goodbye(self) -> None:
        """
        An application that knows nothing of the end goes on during its idle grace, and
        then the client gets a line of text, and an orderly end.
        """
        self.serving("makeShout", idle=1.5)
        peer, silent = self.reached(b"Say something."), self.reached(b"Say something.")
        self.server.terminate()
        peer.send(b"hello\r\n")
        self.assertEqual(peer.until(b"\r\n"), b"HELLO")
        for one in (peer, silent):
            self.assertEqual(one.rest().decode(), f"\r\n{GOODBYE}\r\n")
            one.close()
        self.assertBetween(1.5, self.server.gone(), 2.0, self.server.log())
        self.assertIn("0 aborted", self.server.report())
        self.assertNotIn("Traceback", self.server.log())

    def test_theApplicationDecides(self) -> None:
        """
        An application that knows when it is busy finishes its business, and says goodbye in
        its own words; whoever is idle hears these at the end of the idle grace.
        """
        self.serving("makeBank")
        busy, idle = self.reached(b"How many seconds?"), self.reached(b"How many seconds?")
        busy.send(b"1\r\n")
        self.server.awaitLog("a transfer of 1 s")
        self.server.terminate()
        self.assertEqual(idle.rest(), b"The bank is closed.\r\n")
        idle.close()
        self.assertEqual(busy.rest(), b"done\r\nThe bank is closed.\r\n")
        busy.close()
        self.assertBetween(1.0, self.server.gone(), 1.5, self.server.log())
        self.assertIn("1 idle, 1 finished, 0 aborted", self.server.report())

    def test_straggler(self) -> None:
        """
        Business that does not end is cut at the deadline, with a line of text, and named.
        """
        self.serving("makeBank", grace=GRACE)
        peer = self.reached(b"How many seconds?")
        peer.send(b"60\r\n")
        self.server.awaitLog("a transfer of 60 s")
        self.server.terminate()
        self.assertEqual(peer.rest().decode(), f"\r\n{GOODBYE}\r\n")
        self.assertBetween(GRACE, self.server.gone(), GRACE + 0.3, self.server.log())
        report = self.server.report()
        self.assertIn("0 idle, 0 finished, 1 aborted", report)
        self.assertRegex(report, rf"Bank from {peer.name}, \d\.\d s, told goodbye")
