"""
An SSH server that lets everybody in, and an SSH connection without sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.avatar import ConchUser
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient, SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.drainers.ssh import SSHDrainer

#: What a client is told.
GOODBYE = (11, b"The server is going down.")


@cache
def hostKey() -> Any:
    """
    A key, made once.
    """
    return Key(Ed25519PrivateKey.generate())


@implementer(ICredentialsChecker)
class Anybody:
    """
    Believes everybody.
    """

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        return credentials.username


@implementer(IRealm)
class Realm:
    """
    @ivar users: those who came.
    """

    def __init__(self, user: Callable[[str], Any]) -> None:
        self.user = user
        self.users: list[Any] = []

    def requestAvatar(self, name: bytes, mind: object, *interfaces: object) -> Any:
        self.users.append(self.user(name.decode()))
        return IConchUser, self.users[-1], lambda: None


class Unasked(SSHUserAuthServer):
    """
    Asks for nothing but a name.
    """

    def serviceStarted(self) -> None:
        super().serviceStarted()
        self.supportedAuthentications.append(b"none")

    def auth_none(self, packet: bytes) -> Any:
        return self.portal.login(UsernamePassword(self.user, b""), None, IConchUser)


class OpenFactory(SSHFactory):
    """
    A server for everybody.
    """

    noisy = False
    primes = None
    services = {b"ssh-userauth": Unasked, b"ssh-connection": SSHConnection}  # noqa: RUF012

    def __init__(self, user: Callable[[str], Any]) -> None:
        self.realm = Realm(user)
        self.portal = Portal(self.realm, [Anybody()])
        key = hostKey()
        self.publicKeys = {key.sshType(): key.public()}
        self.privateKeys = {key.sshType(): key}


class Talk(SSHChannel):
    """
    A channel that remembers what came over it.
    """

    name = b"talk"

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.received = b""
        self.failure: Any = None
        self.isOpen = self.isClosed = False

    def channelOpen(self, specificData: bytes) -> None:
        self.isOpen = True

    def openFailed(self, reason: Any) -> None:
        self.failure = reason

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def closeReceived(self) -> None:
        """
        Do not close in return.
        """

    def closed(self) -> None:
        self.isClosed = True


class User(ConchUser):
    """
    Somebody who may talk.

    @ivar asked: the global requests that came.
    """

    def __init__(self, username: str) -> None:
        super().__init__()
        self.username = username
        self.channelLookup[b"talk"] = Talk
        self.asked: list[tuple[bytes, bytes]] = []

    def gotGlobalRequest(self, name: bytes, data: bytes) -> int:
        self.asked.append((name, data))
        return 1


class Client(SSHClientTransport):
    """
    A client that authenticates as alice as soon as it can.

    @ivar told: reason and text of each disconnect message.
    @ivar connection: its side of the connection service.
    """

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []
        self.connection = SSHConnection()

    def verifyHostKey(self, key: bytes, fingerprint: bytes) -> Deferred[int]:
        return succeed(1)

    def connectionSecure(self) -> None:
        self.requestService(SSHUserAuthClient(b"alice", self.connection))

    def receiveError(self, reason: int, text: bytes) -> None:
        self.told.append((reason, text))


class Link:
    """
    A client and a server, and the bytes between them.

    @ivar toServer: what the client has sent, and the server has not been given.
    @ivar toClient: the same in the other direction.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.factory = OpenFactory(User)
        self.factory.services = {
            b"ssh-userauth": type("Timed", (Unasked,), {"clock": self.clock}),
            b"ssh-connection": SSHConnection,
        }
        self.server: Any = self.factory.buildProtocol(None)
        self.client = Client()
        self.here, self.there = StringTransport(), StringTransport()
        self.server.makeConnection(self.here)
        self.client.makeConnection(self.there)

    @property
    def user(self) -> User:
        """
        Who is connected.
        """
        return self.server.avatar

    @property
    def connection(self) -> Any:
        """
        The client's side of the connection service.
        """
        return self.client.connection

    def toServer(self) -> bool:
        """
        Give the server what the client has sent.

        @return: whether that was anything.
        """
        return _pass(self.there, self.server)

    def toClient(self) -> bool:
        """
        The same in the other direction.
        """
        return _pass(self.here, self.client)

    def pump(self) -> None:
        """
        Pass everything on until nothing more is sent.
        """
        while self.toServer() | self.toClient():
            pass

    def open(self) -> Talk:
        """
        Open a channel.

        @return: the client's side.
        """
        channel = Talk()
        self.connection.openChannel(channel)
        self.pump()
        return channel

    def close(self, channel: Talk) -> None:
        """
        Close a channel from both sides.
        """
        self.connection.sendClose(channel)
        self.pump()
        for other in list(self.server.service.channels.values()):
            if other.remoteClosed:
                other.loseConnection()
        self.pump()


def _pass(source: StringTransport, target: Any) -> bool:
    data = source.value()
    source.clear()
    if data:
        target.dataReceived(data)
    return bool(data)


class LinkTestCase(SynchronousTestCase):
    """
    A client, a server, and its drainer.
    """

    def setUp(self) -> None:
        self.link = Link()
        self.drainer = SSHDrainer(self.link.server)
        self.idled = 0

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self._idle)

    def _idle(self) -> None:
        self.idled += 1

    @property
    def goodbyes(self) -> list[tuple[int, bytes]]:
        """
        What the client was told at its end.
        """
        self.link.pump()
        self.assertEqual(bool(self.link.client.told), self.link.here.disconnecting)
        return self.link.client.told
