"""
The canary for C{twisted.web.websocket}: the private names that we touch still exist, and
mean what we take them to mean.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from twisted.web.websocket import WebSocketResource
from wsproto import Connection
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from terminable.tracking import internals
from tests.answers import Served, request
from tests.test_http11_applications import UPGRADE, at
from tests.wspeers import TEXT, TwistedApplication, frame


class WebSocketTests(SynchronousTestCase):
    """
    A WebSocket that was an HTTP channel.
    """

    def setUp(self) -> None:
        self.application = TwistedApplication()
        factory: Any = type("Factory", (), {"buildProtocol": lambda _, it: self.application})()
        self.served = Served(at(b"socket", WebSocketResource(factory)))
        self.channel = self.served.channel
        self.before = internals.httpUpgraded(self.channel)
        self.served.send(request("/socket", "GET", b"", *UPGRADE))
        self.served.transport.clear()
        self.socket = internals.httpUpgraded(self.channel)

    def test_upgraded(self) -> None:
        """
        The channel's C{dataReceived} is its own before the upgrade, and that of the protocol
        that speaks on it afterwards, which was given the channel's transport.
        """
        self.assertIs(self.before, self.channel)
        self.assertIsNot(self.socket, self.channel)
        self.assertIs(self.socket, self.application.transport)
        self.assertIs(self.socket.transport, self.channel.transport)

    def test_upgradedToAFunction(self) -> None:
        """
        What an upgrade puts there need not be a method.
        """
        self.channel.dataReceived = lambda data: None
        self.assertIsNone(internals.httpUpgraded(self.channel))

    def test_isWebSocket(self) -> None:
        """
        C{_wsconn} and C{_wsp} tell it from everything else.
        """
        self.assertTrue(internals.isWebSocket(self.socket))
        for other in (self.channel, HTTPChannel(), Protocol(), WebSocketServerProtocol(), None):
            self.assertFalse(internals.isWebSocket(other))

    def test_state(self) -> None:
        """
        C{_wsconn} is the state of the connection, which writes and reads frames; C{_wsp} is
        what the application's factory has built.
        """
        connection, application = internals.webSocketState(self.socket)
        self.assertIs(connection, self.socket._wsconn)
        self.assertIs(application, self.socket._wsp)
        self.assertIs(application, self.application)
        self.assertIsInstance(connection, Connection)
        self.assertIs(connection.state, ConnectionState.OPEN)
        self.assertEqual(connection.send(CloseConnection(1001, "")), b"\x88\x02\x03\xe9")
        self.assertIs(connection.state, ConnectionState.LOCAL_CLOSING)
        connection.receive_data(frame(TEXT, b"hello"))
        self.assertEqual([event.data for event in connection.events()], ["hello"])

    def test_deliver(self) -> None:
        """
        C{_handleEvent} gives the application its messages, put together from their parts,
        text apart from bytes.
        """
        for event in (
            TextMessage("one ", message_finished=False),
            TextMessage("text"),
            BytesMessage(b"some ", message_finished=False),
            BytesMessage(b"bytes"),
        ):
            internals.deliver(self.socket, event)
        self.assertEqual(self.application.heard, ["one text", b"some bytes"])
        self.assertEqual(self.served.transport.value(), b"")

    def test_deliverTheRest(self) -> None:
        """
        The first part may have come in Twisted's own way.
        """
        self.served.send(frame(TEXT, b"one ", final=False))
        self.assertEqual(self.application.heard, [])
        internals.deliver(self.socket, TextMessage("text"))
        self.assertEqual(self.application.heard, ["one text"])
