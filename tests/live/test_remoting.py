"""
Remote calls (AMP, Perspective Broker) and chats (IRC) in servers that are stopped, with
real clients.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import threading
import time
from itertools import count

from tests.live.clients import Address, Peer
from tests.live.processes import (
    ROOT,
    SLACK,
    LiveTestCase,
    Server,
    environment,
    eventually,
    freePort,
)

#: The idle grace of all these servers; longer than it takes to be served once, even if the
#: machine is busy.
IDLE = 1.0

#: A call that outlasts the idle grace.
LONG = 2.2


class Client:
    """
    A client in a process of its own.
    """

    def __init__(self, kind: str, security: str, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.live.remotingclients", kind, security, str(port)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line.strip())

    def order(self, line: str) -> None:
        """
        Have it do something.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def awaitLine(self, start: str) -> str:
        """
        The first line that begins so, as soon as it was told.
        """
        found = eventually(lambda: [line for line in list(self.told) if line.startswith(start)])
        if not found:
            raise AssertionError(f"{start!r} is not among {self.told}")
        return str(found[0])

    def close(self) -> None:
        """
        Leave nothing behind.
        """
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


class ServedTestCase(LiveTestCase):
    """
    One server and its clients.
    """

    kind = ""
    make = ""
    security = "tcp"

    def serving(self, grace: float = 10.0, idle: float = IDLE) -> tuple[Server, Address]:
        """
        A server that serves.
        """
        address = Address(port=freePort())
        options = ("--grace", str(grace), "--idle-grace", str(min(idle, grace)))
        factory = ("--factory", f"tests.live.remotingservers.{self.make}")
        listen = self.description(address)
        return self.start("terminable", *options, *factory, "--port", listen), address

    def description(self, address: Address) -> str:
        """
        The endpoint.
        """
        return address.description

    def client(self, address: Address) -> Client:
        """
        A client that is connected.
        """
        client = Client(self.kind, self.security, address.port)
        self.addCleanup(client.close)
        client.awaitLine("ready")
        return client

    def stopInCall(
        self, seconds: float, grace: float = 10.0, idle: float = IDLE
    ) -> tuple[Server, Client]:
        """
        A server that was asked to stop while it is working on a call.
        """
        server, address = self.serving(grace, idle)
        client = self.client(address)
        client.order(f"first wait {seconds}")
        server.awaitLog(f"asked to wait for {seconds}")
        server.terminate()
        return server, client


class CompletingMixin:
    """
    What holds for protocols with calls.
    """

    #: What the report calls a call that hangs, and one that the client is asked to answer.
    stuck = ""
    asking = ""

    def test_callsComplete(self) -> None:
        """
        A call in flight is answered; so is one that is made in the idle grace.  One that
        is made after that is refused.  The connection ends with the answer.
        """
        server, client = self.stopInCall(60.0)
        told = time.monotonic()
        client.order("second twice 21")
        self.assertEqual(client.awaitLine("second"), "second answered 42.0")
        refused = "failed the server is going down; this call was not begun"
        calls = (f"call{number}" for number in count())
        self.assertTrue(eventually(lambda: self.call(client, next(calls)) == refused), client.told)
        self.assertGreater(time.monotonic() - told, IDLE / 2)
        self.assertNotIn("lost", client.told)
        server.send(signal.SIGUSR1)
        self.assertEqual(client.awaitLine("first"), "first answered 60.0")
        client.awaitLine("lost")
        self.assertLess(client.told.index("first answered 60.0"), client.told.index("lost"))
        self.assertBetween(0.0, server.gone(), 0.5, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())

    def call(self, client: Client, name: str) -> str:
        """
        What comes of a call.
        """
        client.order(f"{name} twice 1")
        return client.awaitLine(f"{name} ").partition(" ")[2]

    def test_stragglersAreNamed(self) -> None:
        """
        A call that is not done by the deadline is answered with an error, and named.
        """
        server, client = self.stopInCall(60, grace=0.8, idle=0.2)
        self.assertEqual(
            client.awaitLine("first"),
            "first failed the server is going down; this call was begun, but not done in time",
        )
        client.awaitLine("lost")
        self.assertBetween(0.8, server.gone(), 1.0, server.log())
        report = server.report()
        self.assertIn("1 aborted", report)
        self.assertIn(self.stuck, report)
        self.assertNotIn("Traceback", server.log())


class CallsMixin(CompletingMixin):
    """
    What holds beside that, and need not be shown for each kind of transport.
    """

    def test_idleEnds(self) -> None:
        """
        A connection without a call ends by the idle grace, without a word.
        """
        server, address = self.serving()
        client = self.client(address)
        client.order("first twice 1")
        client.awaitLine("first answered")
        server.terminate()
        client.awaitLine("lost")
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        self.assertIn("1 idle, 0 finished, 0 aborted", server.report())

    def test_ownCallsComplete(self) -> None:
        """
        The server's own call to its client is waited for, and the client's call that
        depends on it.
        """
        server, address = self.serving()
        client = self.client(address)
        client.order(f"first consult {LONG}")
        server.awaitLog("asked to consult")
        server.terminate()
        self.assertEqual(client.awaitLine("first"), f"first answered {LONG}")
        client.awaitLine("lost")
        self.assertBetween(IDLE, server.gone(), LONG + 0.5, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_clientsThatHangAreNamed(self) -> None:
        """
        So is a client that does not answer us.
        """
        server, address = self.serving(0.8, 0.2)
        client = self.client(address)
        client.order("first consult 60")
        server.awaitLog("asked to consult")
        server.terminate()
        client.awaitLine("lost")
        self.assertBetween(0.8, server.gone(), 1.0, server.log())
        self.assertIn(self.asking, server.report())

    def test_chatterHoldsNobody(self) -> None:
        """
        Somebody who calls and calls does not hold the server; what is not taken is
        refused, and no call is lost but perhaps the one that met the end on its way.
        """
        server, address = self.serving()
        client = self.client(address)
        client.order(f"first wait {LONG}")
        client.order("chatter")
        server.awaitLog(f"asked to wait for {LONG}")
        server.terminate()
        self.assertEqual(client.awaitLine("first"), f"first answered {LONG}")
        self.assertBetween(IDLE, server.gone(), LONG + 0.5, server.log())
        outcomes = ast.literal_eval(client.awaitLine("chatted").partition(" ")[2])
        self.assertGreater(outcomes["answered"], 10)
        self.assertGreater(outcomes["refused"], 10)
        self.assertLessEqual(outcomes.get("lost", 0), 1)
        self.assertIn("0 aborted", server.report())

    def test_whoCallsWithoutAPauseGoesToo(self) -> None:
        """
        The same with nobody else's call to wait for: the end of the idle grace is the end.
        """
        server, address = self.serving()
        client = self.client(address)
        client.order("chatter")
        client.awaitLine("chatting")
        server.terminate()
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        outcomes = ast.literal_eval(client.awaitLine("chatted").partition(" ")[2])
        self.assertLessEqual(outcomes.get("lost", 0), 1)
        self.assertIn("1 finished, 0 aborted", server.report())


class AMPTests(CallsMixin, ServedTestCase):
    """
    AMP.
    """

    kind = "amp"
    make = "makeAMP"
    stuck = "call Wait"
    asking = "call Consult, waiting for 1 answer"


class AMPOverTLSTests(CompletingMixin, ServedTestCase):
    """
    AMP over TLS.
    """

    kind = "amp"
    make = "makeAMP"
    stuck = "call Wait"
    security = "tls"

    def description(self, address: Address) -> str:
        pem = self.certificate()
        listen = f"ssl:{address.port}:interface={address.host}"
        return f"{listen}:certKey={pem}:privateKey={pem}"


class PBTests(CallsMixin, ServedTestCase):
    """
    Perspective Broker.
    """

    kind = "pb"
    make = "makePB"
    stuck = "call wait"
    asking = "call consult, waiting for 1 answer"


class IRCTests(ServedTestCase):
    """
    IRC.
    """

    kind = "irc"
    make = "makeIRC"
    goodbye = "ERROR :Closing Link: 127.0.0.1 (Server is going down)"

    def join(self, address: Address, name: str) -> Peer:
        """
        Somebody in the room.
        """
        peer = address.connect()
        self.addCleanup(peer.close)
        self.say(peer, "PASS secret", f"NICK {name}", f"USER {name} 0 * :{name}", "JOIN #room")
        peer.until(b":End of /NAMES list\r\n")
        return peer

    def say(self, peer: Peer, *lines: str) -> None:
        """
        Send some lines.
        """
        peer.send("".join(f"{line}\r\n" for line in lines).encode())

    def test_theChatGoesOnUntilTheGoodbye(self) -> None:
        """
        In the idle grace people talk; then they are told that it is over, and why, and
        that is the last that they are told.
        """
        server, address = self.serving()
        alice, bob = self.join(address, "alice"), self.join(address, "bob")
        registering = address.connect()
        self.addCleanup(registering.close)
        self.say(registering, "NICK carol")
        registering.until(b"Password?\r\n")
        server.terminate()
        self.say(alice, "PRIVMSG #room :still here", "PING x")
        bob.until(b":alice!alice@chat.example PRIVMSG #room :still here\r\n")
        alice.until(b":chat.example PONG alice chat.example\r\n")
        for peer in (alice, bob, registering):
            lines = peer.rest().decode().split("\r\n")
            self.assertEqual(lines[-2:], [self.goodbye, ""])
            peer.close()
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        self.assertIn("3 idle, 0 finished, 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())

    def test_twistedsClient(self) -> None:
        """
        A client made with Twisted is told too.
        """
        server, address = self.serving()
        client, alice = self.client(address), self.join(address, "alice")
        server.terminate()
        self.say(alice, "PRIVMSG #room :hello")
        client.awaitLine("hello")
        client.awaitLine(self.goodbye.replace(":", "", 1))
        client.awaitLine("lost")
        self.assertIn(self.goodbye, alice.rest().decode())
        alice.close()
        self.assertLess(server.gone(), IDLE + SLACK)

    def test_quit(self) -> None:
        """
        Who quits in the idle grace goes without a goodbye.
        """
        server, address = self.serving()
        alice = self.join(address, "alice")
        server.terminate()
        self.say(alice, "QUIT :bye")
        self.assertEqual(alice.rest(), b"")
        alice.close()
        self.assertLess(server.gone(), IDLE + SLACK)
