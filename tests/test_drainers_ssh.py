"""
The drainer for SSH, on connections whose clients are authenticated.
"""

from __future__ import annotations

from typing import Any

from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import MSG_CHANNEL_OPEN, MSG_GLOBAL_REQUEST, SSHConnection
from twisted.conch.ssh.transport import MSG_SERVICE_REQUEST, SSHServerTransport
from twisted.internet.protocol import Protocol
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.ssh import SSHDrainer
from terminable.interfaces import IDrainer, ILastingDrainer
from tests.secureshell import GOODBYE, LinkTestCase, Talk


class ConnectedTests(LinkTestCase):
    """
    L{SSHDrainer} on a connection whose client is authenticated.
    """

    def setUp(self) -> None:
        super().setUp()
        self.link.pump()
        self.assertIsInstance(self.link.server.service, SSHConnection)

    def request(self, name: bytes, data: bytes = b"", wantReply: int = 1) -> Any:
        """
        A global request of the client's.
        """
        answer = self.link.connection.sendGlobalRequest(name, data, wantReply)
        self.link.pump()
        return answer

    def test_theInterface(self) -> None:
        """
        Its connections live long, and have something to say even when they are idle.
        """
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertEqual((self.drainer.silent, self.drainer.lasting), (False, True))
        self.assertFalse(self.drainer.prompt)

    def test_isRegistered(self) -> None:
        """
        Every SSH server's connections have this drainer.
        """

        class Own(SSHServerTransport):
            pass

        library.load()
        self.assertIsInstance(IDrainer(Own()), SSHDrainer)
        self.assertNotIsInstance(IDrainer(Protocol()), SSHDrainer)

    def test_makingOneDoesNothing(self) -> None:
        """
        The connection is as it was until the drain begins.
        """
        self.assertNotIn("dispatchMessage", vars(self.link.server))
        self.assertNotIn("channelClosed", vars(self.link.server.service))

    def test_busyWithAChannel(self) -> None:
        """
        It is busy while a channel is open: until both sides have closed it.
        """
        self.assertFalse(self.drainer.isBusy())
        channel = self.link.open()
        self.assertTrue(self.drainer.isBusy())
        self.link.connection.sendClose(channel)
        self.link.pump()
        self.assertTrue(self.drainer.isBusy())
        self.link.close(channel)
        self.assertFalse(self.drainer.isBusy())

    def test_busyWithARequestOfOurs(self) -> None:
        """
        It is busy while a global request of ours is not answered, and tells when it is.
        """
        answer = self.link.server.service.sendGlobalRequest(b"are-you-there", b"", 1)
        self.hint()
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual(self.idled, 0)
        self.link.pump()
        self.failureResultOf(answer)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.idled, 1)

    def test_drainWhenIdle(self) -> None:
        """
        An idle connection gets the disconnect message, once.
        """
        sent: list[int] = []
        disconnect = self.link.server.sendDisconnect

        def sendDisconnect(reason: int, text: bytes) -> None:
            sent.append(reason)
            disconnect(reason, text)

        self.link.server.sendDisconnect = sendDisconnect
        self.hint()
        self.assertEqual(self.goodbyes, [])
        self.drainer.drain()
        self.drainer.drain()
        self.assertEqual((self.goodbyes, sent), ([GOODBYE], [11]))
        self.assertEqual(self.idled, 0)

    def test_aGoodbyeOfOnesOwn(self) -> None:
        """
        Its text can be exchanged.
        """

        class Own(SSHDrainer):
            goodbye = b"So long."

        Own(self.link.server).drain()
        self.assertEqual(self.goodbyes, [(11, b"So long.")])

    def test_openChannelsGoOn(self) -> None:
        """
        A channel that is open when the drain begins goes on after it; the connection ends
        when it is closed, and not before.
        """
        channel = self.link.open()
        self.hint()
        self.drainer.drain()
        [served] = self.link.server.service.channels.values()
        channel.write(b"question")
        self.link.pump()
        served.write(b"answer")
        self.link.pump()
        self.assertEqual((served.received, channel.received), (b"question", b"answer"))
        self.assertEqual((self.goodbyes, self.idled), ([], 0))
        self.link.close(channel)
        self.assertTrue(channel.isClosed and served.isClosed)
        self.assertEqual((self.goodbyes, self.idled), ([], 1))
        self.drainer.drain()
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_theClientClosesLast(self) -> None:
        """
        The same if it is the client who closes last.
        """
        self.link.open()
        self.hint()
        [served] = self.link.server.service.channels.values()
        served.loseConnection()
        self.link.pump()
        self.assertEqual(self.idled, 0)
        [channel] = self.link.connection.channels.values()
        self.link.connection.sendClose(channel)
        self.link.pump()
        self.assertGreater(self.idled, 0)
        self.drainer.drain()
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_closedByUsAlone(self) -> None:
        """
        The same if the client had closed before, and says nothing more.
        """
        self.link.connection.sendClose(self.link.open())
        self.link.pump()
        self.hint()
        [served] = self.link.server.service.channels.values()
        served.loseConnection()
        self.assertEqual(self.idled, 1)

    def test_oneOfTwoIsClosed(self) -> None:
        """
        It is not idle while another channel is open.
        """
        channel, _ = self.link.open(), self.link.open()
        self.hint()
        self.link.close(channel)
        self.assertEqual(self.idled, 0)
        self.assertTrue(self.drainer.isBusy())

    def test_noMoreChannels(self) -> None:
        """
        While a channel is open, another one is refused, with a reason, and without the
        application.
        """
        first = self.link.open()
        self.hint()
        second = self.link.open()
        self.assertFalse(second.isOpen)
        reason, code = second.failure.value, second.failure.data
        self.assertEqual((reason, code), (b"The server is going down.", 4))
        self.assertEqual(len(self.link.server.service.channels), 1)
        self.assertEqual(self.goodbyes, [])
        first.write(b"still there")
        self.link.pump()
        [served] = self.link.server.service.channels.values()
        self.assertEqual(served.received, b"still there")
        self.assertFalse(self.drainer.answered)

    def test_refusedByItsNumber(self) -> None:
        """
        Each channel that is refused is named by the number that the client gave it.
        """
        self.link.open()
        self.hint()
        refused = [Talk(), Talk()]
        for channel in refused:
            self.link.connection.openChannel(channel)
        self.link.pump()
        self.assertTrue(all(channel.failure is not None for channel in refused))

    def test_oneLastChannel(self) -> None:
        """
        A connection that was idle when the drain began may open one channel until it is
        drained: its client cannot have known.
        """
        self.hint()
        self.assertFalse(self.drainer.answered)
        first, second = self.link.open(), self.link.open()
        self.assertTrue(first.isOpen)
        self.assertFalse(second.isOpen)
        self.assertTrue(self.drainer.answered)
        self.drainer.drain()
        self.link.close(first)
        self.assertEqual((self.idled, self.goodbyes), (1, []))

    def test_noneAfterTheLast(self) -> None:
        """
        When the last channel was closed, whoever wants another one is refused, and the
        connection ends.
        """
        self.hint()
        self.link.close(self.link.open())
        channel = self.link.open()
        self.assertEqual(channel.failure.data, 4)
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_noneAfterTheIdleGrace(self) -> None:
        """
        There is no last channel any more for a connection that has been drained, even if it
        could not be lost.
        """
        self.hint()
        self.link.server.service.sendGlobalRequest(b"are-you-there", b"", 1)
        self.drainer.drain()
        self.link.connection.openChannel(Talk())
        self.link.toServer()
        self.assertEqual(self.link.server.service.channels, {})

    def test_noneAfterTheDrain(self) -> None:
        """
        What comes behind the goodbye is not looked at.
        """
        self.hint()
        self.drainer.drain()
        channel = Talk()
        self.link.connection.openChannel(channel)
        self.link.toServer()
        self.assertEqual(self.link.server.service.channels, {})
        self.assertEqual(self.goodbyes, [GOODBYE])
        self.assertIsNone(channel.failure)

    def test_noMorePortsAreForwarded(self) -> None:
        """
        No port is listened on for the client any more; whether it wants to know or not.
        """
        self.hint()
        self.failureResultOf(self.request(b"tcpip-forward", b"x"))
        self.request(b"streamlocal-forward@openssh.com", b"x", 0)
        self.assertEqual(self.link.user.asked, [])
        self.assertEqual(self.goodbyes, [])

    def test_otherRequestsGoOn(self) -> None:
        """
        All other global requests are the application's, and so are those before the drain.
        """
        self.request(b"tcpip-forward", b"a")
        self.hint()
        self.assertEqual(self.successResultOf(self.request(b"keepalive@openssh.com")), b"")
        self.request(b"cancel-tcpip-forward", b"b", 0)
        names = [name for name, _ in self.link.user.asked]
        self.assertEqual(
            names, [b"tcpip-forward", b"keepalive@openssh.com", b"cancel-tcpip-forward"]
        )

    def test_malformed(self) -> None:
        """
        Malformed requests are refused like others.
        """
        self.link.open()
        self.hint()
        for payload in (b"", b"\0", b"\xff\xff\xff\xffx", NS(b"talk") + b"\0\0"):
            self.link.client.sendPacket(MSG_CHANNEL_OPEN, payload)
        self.link.client.sendPacket(MSG_GLOBAL_REQUEST, NS(b"tcpip-forward"))
        failed: list[bytes] = []
        self.link.connection.ssh_CHANNEL_OPEN_FAILURE = failed.append
        self.link.connection.ssh_REQUEST_FAILURE = failed.append
        self.link.pump()
        self.assertEqual(
            [packet[:8] for packet in failed], [bytes((0, 0, 0, 0, 0, 0, 0, 4))] * 4 + [b""]
        )
        self.assertEqual(len(self.link.server.service.channels), 1)
        self.assertFalse(self.link.here.disconnecting)

    def test_anotherService(self) -> None:
        """
        A client may ask for the connection service again, and what it opens then is watched
        like before.
        """
        self.hint()
        former = self.link.server.service
        self.link.client.connection = SSHConnection()
        self.link.client.requestService(self.link.connection)
        self.link.pump()
        self.assertIsNot(self.link.server.service, former)
        channel = self.link.open()
        self.assertTrue(channel.isOpen)
        self.link.close(channel)
        self.assertEqual((self.idled, self.goodbyes), (1, []))

    def test_theServiceIsLeft(self) -> None:
        """
        A client that asks for authentication again has no channels any more.
        """
        self.link.open()
        self.hint()
        self.link.client.sendPacket(MSG_SERVICE_REQUEST, NS(b"ssh-userauth"))
        self.link.pump()
        self.assertFalse(self.drainer.isBusy())
        self.assertGreater(self.idled, 0)

    def test_lastWord(self) -> None:
        """
        The deadline: the client is told, and nothing is written behind that.
        """
        channel = self.link.open()
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "disconnect")
        [served] = self.link.server.service.channels.values()
        served.write(b"late")
        channel.write(b"later")
        self.assertEqual(self.goodbyes, [GOODBYE])
        self.assertEqual((channel.received, served.received), (b"", b""))
        self.assertEqual(self.drainer.lastWord(5), "")
        self.link.server.connectionLost(None)
        self.assertEqual((self.goodbyes, self.idled), ([GOODBYE], 0))

    def test_lastWordWithoutAHint(self) -> None:
        """
        The same if there was no time for a drain.
        """
        self.link.open()
        self.assertEqual(self.drainer.lastWord(5), "disconnect")
        self.assertEqual(self.goodbyes, [GOODBYE])

    def test_theConnectionIsLost(self) -> None:
        """
        The end of the connection itself closes the channels, and does no harm.
        """
        self.link.open()
        self.hint()
        self.link.server.connectionLost(None)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "talk by alice")

    def test_theLastChannelIsRemembered(self) -> None:
        """
        It is known afterwards which channel was the last.
        """
        channel = self.link.open()
        self.assertEqual(self.drainer.describe(), "talk by alice")
        self.hint()
        self.link.close(channel)
        self.assertEqual(self.drainer.describe(), "talk by alice")
