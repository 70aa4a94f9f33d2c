"""
The drainer for SSH in each state of a connection, and what it says of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import MSG_CHANNEL_OPEN
from twisted.conch.ssh.filetransfer import FileTransferServer
from twisted.conch.ssh.forwarding import SSHConnectForwardingChannel
from twisted.conch.ssh.session import SSHSession, SSHSessionProcessProtocol, wrapProtocol
from twisted.internet.testing import StringTransport

from terminable.tracking import internals
from tests.secureshell import GOODBYE, LinkTestCase, Talk


class KeyExchangeTests(LinkTestCase):
    """
    Connections that are in the middle of a key exchange, or are being opened.
    """

    def until(self, what: Callable[[], object]) -> None:
        """
        Let the two talk until something is so.
        """
        while not what():
            self.link.toClient()
            self.link.toServer()

    def test_beforeTheClientHasSpoken(self) -> None:
        """
        Whoever has just connected is idle, and is told.
        """
        self.assertFalse(self.drainer.isBusy())
        self.hint()
        self.drainer.drain()
        self.link.toClient()
        self.assertEqual(self.link.client.told, [GOODBYE])

    def test_whileItAuthenticates(self) -> None:
        """
        A client that is not authenticated yet is idle, whatever waits for it.
        """
        self.until(lambda: self.link.server.sessionID)
        self.assertTrue(internals.sshHeldBack(self.link.server))
        self.assertFalse(self.drainer.isBusy())
        self.until(lambda: self.link.server.service)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_authenticatedAfterTheHint(self) -> None:
        """
        A client that was being authenticated when the drain began may go on, and open one
        channel, whose end is noticed.
        """
        self.hint()
        self.link.pump()
        first, second = self.link.open(), self.link.open()
        self.assertEqual((first.isOpen, second.isOpen), (True, False))
        self.link.close(first)
        self.assertEqual(self.idled, 1)

    def test_channelsBeforeAuthentication(self) -> None:
        """
        Who is not authenticated is not even refused a channel.
        """
        self.hint()
        self.until(lambda: self.link.server.service)
        self.link.server.dispatchMessage(MSG_CHANNEL_OPEN, NS(b"talk") + bytes(12))
        self.assertFalse(self.drainer.answered)
        self.assertEqual(self.goodbyes, [])
        self.assertTrue(self.link.open().isOpen)

    def test_afterOurNewKeys(self) -> None:
        """
        Once we have announced new keys, the client understands nothing but these.
        """
        self.until(lambda: self.link.server.sessionID)
        self.assertFalse(self.link.server.isEncrypted())
        self.drainer.drain()
        self.link.toClient()
        self.assertEqual(self.link.client.told, [GOODBYE])

    def rekey(self, closed: bool = False) -> None:
        """
        The client begins another key exchange, in which the server holds back what it
        writes.

        @param closed: whether it has closed its channel before.
        """
        self.link.pump()
        self.channel = self.link.open()
        self.hint()
        if closed:
            self.link.connection.sendClose(self.channel)
        self.link.client.sendKexInit()
        self.link.toServer()

    def test_whatIsHeldBackIsWaitedFor(self) -> None:
        """
        What was written during a key exchange is sent after it, and the goodbye behind it.
        """
        self.rekey(closed=True)
        [served] = self.link.server.service.channels.values()
        served.write(b"the end")
        served.loseConnection()
        self.assertEqual(self.link.server.service.channels, {})
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual((self.goodbyes, self.idled), ([], 1))
        self.assertEqual(self.channel.received, b"the end")
        self.drainer.drain()
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_refusedDuringAKeyExchange(self) -> None:
        """
        A refusal is held back too, and is not overtaken by the goodbye.
        """
        self.rekey()
        payload = NS(b"talk") + (7).to_bytes(4, "big") + bytes(8)
        self.link.server.dispatchMessage(MSG_CHANNEL_OPEN, payload)
        self.assertTrue(self.drainer.isBusy())
        failed = []
        self.link.connection.ssh_CHANNEL_OPEN_FAILURE = failed.append
        self.link.pump()
        [packet] = failed
        self.assertEqual(packet[:8], bytes((0, 0, 0, 7, 0, 0, 0, 4)))

    def test_lastWordDuringAKeyExchange(self) -> None:
        """
        At the deadline the goodbye waits for nothing.
        """
        self.rekey()
        self.assertEqual(self.drainer.lastWord(5), "disconnect")
        self.link.toClient()
        self.assertEqual(self.link.client.told, [GOODBYE])


class DescribeTests(LinkTestCase):
    """
    What a report says of an SSH connection.
    """

    def setUp(self) -> None:
        super().setUp()
        self.link.pump()

    def described(self, *channels: Any) -> str:
        """
        The description of a connection with these channels.
        """
        self.link.server.service.channels = dict(enumerate(channels))
        text = self.drainer.describe()
        self.link.server.service.channels = {}
        return text

    def session(self, transport: Any) -> SSHSession:
        """
        A session that something serves.
        """
        session = SSHSession()
        session.client = SSHSessionProcessProtocol(session)
        session.client.transport = transport
        return session

    def test_nothing(self) -> None:
        """
        Nothing is told of nothing.
        """
        self.assertEqual(self.described(), "")

    def test_aSessionWithoutACommand(self) -> None:
        """
        A session is named, and so is the user.
        """
        self.assertEqual(self.described(SSHSession()), "session by alice")

    def test_theUserIsNotKnown(self) -> None:
        """
        Not every avatar tells its name.
        """
        del self.link.user.username
        self.assertEqual(self.described(SSHSession()), "session")
        del self.link.server.avatar
        self.assertEqual(self.described(SSHSession()), "session")

    def test_aProcess(self) -> None:
        """
        A command or a shell in a process is named by its number, as long as it has one.
        """
        process = type("Process", (), {"pid": 4242})()
        self.assertEqual(self.described(self.session(process)), "session: process 4242 by alice")
        process.pid = None
        self.assertEqual(self.described(self.session(process)), "session by alice")

    def test_aProtocol(self) -> None:
        """
        What serves a session in our own process is named by its class.
        """
        files: Any = FileTransferServer.__new__(FileTransferServer)
        files.transport = StringTransport()
        session = self.session(wrapProtocol(files))
        self.assertEqual(self.described(session), "session: FileTransferServer by alice")

    def test_somethingElse(self) -> None:
        """
        Of what serves a session otherwise nothing is known.
        """
        self.assertEqual(self.described(self.session(object())), "session by alice")

    def test_aForwardedPort(self) -> None:
        """
        It is told where a forwarded connection leads to, in one line.
        """
        channel = SSHConnectForwardingChannel(("evil\nhost", 25))
        self.assertEqual(self.described(channel), "forwarding to evil?host:25 by alice")

    def test_withoutAName(self) -> None:
        """
        A channel without a name is called what its class is called.
        """
        self.assertEqual(self.described(SSHChannel()), "SSHChannel by alice")

    def test_many(self) -> None:
        """
        Three channels are named, the others are counted.
        """
        channels = [SSHSession(), Talk(), Talk()]
        self.assertEqual(self.described(*channels), "session, talk, talk by alice")
        channels += [Talk(), Talk()]
        self.assertEqual(self.described(*channels), "session, talk, talk, 2 more channels by alice")

    def test_long(self) -> None:
        """
        A name has its limits.
        """
        channel = Talk()
        channel.name = b"x" * 1000 + b"\xff"
        self.assertEqual(self.described(channel), "x" * 200 + " by alice")
