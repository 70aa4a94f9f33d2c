"""
The canary for moving connections: the private names that we touch still exist, and mean what
we take them to mean.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import asyncioreactor, epollreactor, pollreactor, selectreactor, tcp
from twisted.internet.protocol import Protocol
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from wsproto import Connection, ConnectionType
from wsproto.events import TextMessage
from wsproto.extensions import PerMessageDeflate

from terminable.tracking import internals
from tests.doubles import HandReactor
from tests.wspeers import TEXT, frame


class TransportTests(SynchronousTestCase):
    """
    Transports.
    """

    def transport(self, reactor: Any) -> tuple[Any, socket.socket]:
        """
        A connection.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        return tcp.Connection(one, Protocol(), reactor), other

    def test_isReading(self) -> None:
        """
        C{_reads}, or C{_readers}, knows for whom a reactor reads; any other reactor is asked.
        """
        kinds: list[Any] = [
            epollreactor.EPollReactor,
            pollreactor.PollReactor,
            selectreactor.SelectReactor,
            asyncioreactor.AsyncioSelectorReactor,
            HandReactor,
        ]
        for kind in kinds:
            reactor = kind()
            transport, _ = self.transport(reactor)
            self.assertFalse(internals.isReading(transport))
            transport.startReading()
            self.assertTrue(internals.isReading(transport), kind)
            transport.stopReading()
            self.assertFalse(internals.isReading(transport))
            for waker in reactor.removeAll():
                if hasattr(waker, "connectionLost"):
                    waker.connectionLost(None)

    def test_shared(self) -> None:
        """
        Without C{_shouldShutdown}, another copy of the descriptor goes on.
        """
        for keep, expected in ((True, b"more"), (False, b"")):
            transport, other = self.transport(HandReactor())
            copy = socket.socket(fileno=os.dup(transport.fileno()))
            self.addCleanup(copy.close)
            self.assertTrue(transport._shouldShutdown)
            if keep:
                internals.share(transport)
            transport._closeSocket(True)
            try:
                copy.send(b"more")
            except BrokenPipeError:
                self.assertFalse(keep)
            self.assertEqual(other.recv(9), expected)

    def test_halfEnded(self) -> None:
        """
        C{_writeDisconnecting} is set when the end of writing was asked for, and
        C{_writeDisconnected} when it has come.
        """
        transport, _ = self.transport(HandReactor())
        transport.connected = 1
        self.assertFalse(internals.halfEnded(transport))
        transport.loseWriteConnection()
        self.assertTrue(transport._writeDisconnecting and internals.halfEnded(transport))
        transport.doWrite()
        self.assertTrue(transport._writeDisconnected)


class AMPTests(SynchronousTestCase):
    """
    AMP.
    """

    def test_claiming(self) -> None:
        """
        An argument asks the locator for its descriptor, by C{_getDescriptor}.
        """
        heard = []

        class Command(amp.Command):
            arguments = [(b"one", amp.Descriptor())]  # noqa: RUF012

        class Locator(internals.Claiming, amp.CommandLocator):
            def claim(self, number: int) -> int:
                return number + 100

            @Command.responder
            def respond(self, one: int) -> dict[str, Any]:
                heard.append(one)
                return {}

        responder = Locator().locateResponder(b"Command")
        self.successResultOf(responder(amp.AmpBox(one=b"7")))
        self.assertEqual(heard, [107])

    def test_unclaimed(self) -> None:
        """
        C{_descriptors} holds those that came, by their numbers, until they are claimed.
        """
        channel = amp.AMP()
        channel.fileDescriptorReceived(40)
        channel.fileDescriptorReceived(41)
        self.assertEqual(internals.unclaimed(channel), {0: 40, 1: 41})
        self.assertEqual(channel._getDescriptor(0), 40)
        self.assertEqual(internals.unclaimed(channel), {1: 41})


class HTTPTests(SynchronousTestCase):
    """
    C{twisted.web}.
    """

    def test_isHTTP2(self) -> None:
        """
        Connections of HTTP/2 are told by their module.
        """
        from twisted.web._http2 import H2Connection

        self.assertTrue(internals.isHTTP2(H2Connection()))
        self.assertFalse(internals.isHTTP2(HTTPChannel()))


class WebSocketTests(SynchronousTestCase):
    """
    C{wsproto}.
    """

    def test_midMessage(self) -> None:
        """
        It has a part of a frame or message, from the first byte to the last; or it has sent a
        part of one.
        """
        connection = Connection(ConnectionType.SERVER)
        whole = frame(TEXT, b"hello", final=False) + frame(0, b"!")
        for place in range(len(whole)):
            self.assertEqual(internals.midMessage(connection), place > 0)
            connection.receive_data(whole[place : place + 1])
            list(connection.events())
        self.assertFalse(internals.midMessage(connection))
        connection.send(TextMessage("a", message_finished=False))
        self.assertTrue(internals.midMessage(connection))
        connection.send(TextMessage("b"))
        self.assertFalse(internals.midMessage(connection))

    def test_hasExtensions(self) -> None:
        """
        C{_proto} has the extensions that are in use.
        """
        self.assertFalse(internals.hasExtensions(Connection(ConnectionType.SERVER)))
        extension = PerMessageDeflate()
        extension._enabled = True
        self.assertTrue(
            internals.hasExtensions(Connection(ConnectionType.SERVER, extensions=[extension]))
        )
