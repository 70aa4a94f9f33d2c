"""
WebSockets in unit tests: applications, what serves them, and a client whose every byte is
chosen by the test.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource
from wsproto import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from zope.interface import implementer

from terminable.interfaces import IDrainer
from terminable.policy.ledger import Report
from terminable.terminator import Terminator
from tests.answers import request
from tests.test_http11_applications import UPGRADE
from tests.wire import TLSPeer, Turning, Wire

TEXT, BYTES, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", masked: bool = True, final: bool = True) -> bytes:
    """
    A frame, as a client writes it, or as none should.
    """
    flag = 0x80 if masked else 0
    head = bytes([opcode | (0x80 if final else 0)])
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + mask + covered


def closing(code: int, reason: bytes = b"") -> bytes:
    """
    A close frame.
    """
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Application:
    """
    What one WebSocket is to its application, whoever serves it.

    @ivar heard: the messages it was sent.
    @ivar lost: how often it was told that it is over.
    @ivar onDrain: called when it is told to drain, if it provides L{IDrainer}.
    """

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.lost = 0
        self.busy = False
        self.drained = 0
        self.onDrain: Any = lambda: None
        self.onHeard: Any = lambda message: None

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        return self.busy

    def drain(self) -> None:
        """
        See L{IDrainer.drain}.
        """
        self.drained += 1
        self.onDrain()

    def hear(self, message: str | bytes) -> None:
        """
        A message has come.
        """
        self.heard.append(message)
        self.onHeard(message)


class TwistedApplication(Application):
    """
    One of C{twisted.web.websocket}.
    """

    transport: Any = None

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.hear(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.hear(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Any) -> None:
        self.lost += 1

    def say(self, message: str) -> None:
        """
        Send a message.
        """
        self.transport.sendTextMessage(message)

    def close(self) -> None:
        """
        Close it.
        """
        self.transport.loseConnection(1000)


class AutobahnApplication(Application, WebSocketServerProtocol):  # type: ignore[misc]
    """
    One of Autobahn.
    """

    def __init__(self) -> None:
        Application.__init__(self)
        WebSocketServerProtocol.__init__(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.hear(payload if isBinary else payload.decode("utf-8"))

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        self.lost += 1

    def say(self, message: str) -> None:
        """
        Send a message.
        """
        self.sendMessage(message.encode("utf-8"))

    def close(self) -> None:
        """
        Close it.
        """
        self.sendClose(1000)


@implementer(IDrainer)
class PoliteTwistedApplication(TwistedApplication):
    """
    One that says when it is busy.
    """


@implementer(IDrainer)
class PoliteAutobahnApplication(AutobahnApplication):
    """
    One that says when it is busy.
    """


class Server:
    """
    Who serves WebSockets: the factory, and the applications that were made.
    """

    path = "/socket"
    plain: Any = None
    polite: Any = None

    def __init__(self, clock: Any, polite: bool) -> None:
        self.clock = clock
        self.kind = self.polite if polite else self.plain
        self.applications: list[Any] = []

    def application(self, _: Any = None) -> Any:
        """
        One more.
        """
        made = self.kind()
        self.applications.append(made)
        return made

    def site(self, resource: Any) -> Site:
        """
        A site with one resource.
        """
        root = Resource()
        root.putChild(b"socket", resource)
        return Site(root, reactor=self.clock)

    def factory(self) -> Any:
        """
        What a port listens with.
        """
        raise NotImplementedError


class TwistedServer(Server):
    """
    C{twisted.web.websocket}.
    """

    plain = TwistedApplication
    polite = PoliteTwistedApplication

    def factory(self) -> Any:
        factory: Any = type("Factory", (), {"buildProtocol": lambda _, it: self.application()})()
        return self.site(WebSocketResource(factory))


class AutobahnServer(Server):
    """
    Autobahn on its own.
    """

    path = "/"
    plain = AutobahnApplication
    polite = PoliteAutobahnApplication

    def factory(self) -> Any:
        factory = WebSocketServerFactory(reactor=self.clock)
        factory.protocol = self.application
        # Its timers are not on our clock.
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        return factory


class AutobahnResourceServer(AutobahnServer):
    """
    Autobahn behind C{twisted.web}.
    """

    path = "/socket"

    def factory(self) -> Any:
        return self.site(AutobahnResource(super().factory()))


class Call:
    """
    One client that talks to a server with a terminator.

    @ivar pongs: how many there were among what L{listen} has returned.
    @ivar reports: of the stop, when it is over.
    """

    def __init__(
        self,
        kind: type[Server],
        tls: bool,
        polite: bool = False,
        opened: bool = True,
        beside: Call | None = None,
        **times: Any,
    ) -> None:
        """
        @param beside: another one, of the same server.
        """
        if beside is None:
            self.clock = Turning()
            self.terminator = Terminator(self.clock, **times)
            self.server = kind(self.clock, polite)
            self.wrapped = self.terminator.wrap(self.server.factory())
        else:
            vars(self).update(vars(beside))
        self.wire = Wire(self.wrapped, tls=tls, reactor=self.clock)
        self.peer = self.wire.peer
        for sock in (self.wire.transport.socket, self.peer.socket):
            # What is written leaves at once, and not when the kernel thinks fit.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reports: list[Report] = []
        self.pongs = 0
        self._parser: Any = None
        self._seen = 0
        if opened:
            self.open()

    @property
    def application(self) -> Any:
        """
        The one application.
        """
        [application] = self.server.applications
        return application

    def open(self, already: int = 0) -> None:
        """
        Shake hands.

        @param already: how many bytes of what is to be said were said before.
        """
        self.send(request(self.server.path, "GET", b"", *UPGRADE)[already:])
        self.accepted()

    def accepted(self) -> None:
        """
        The server shakes hands.
        """
        self.wire.pumpUntil(lambda: b"\r\n\r\n" in self.peer.received)
        head = self.peer.received.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.1 101"), head
        self._seen = len(head) + 4
        self._parser = Connection(ConnectionType.CLIENT)

    def send(self, data: bytes) -> None:
        """
        The client sends something.
        """
        try:
            self.peer.send(data)
        except ConnectionError:
            self.peer.over = self.peer.over or "RST"
        else:
            self.pump()

    def pump(self) -> None:
        """
        Let happen what happens without time passing.
        """
        self.wire.pump()

    def go(self, seconds: float, step: float = 0.01) -> None:
        """
        Let time go by in small steps.
        """
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.pump()

    def stop(self) -> None:
        """
        The stop begins, and whatever it does at once is done.
        """
        self.terminator.terminate().addCallback(self.reports.append)
        self.go(0.01)

    @property
    def report(self) -> Report:
        """
        The report of the stop, which is over.
        """
        [report] = self.reports
        return report

    def listen(self) -> list[Any]:
        """
        What the server has said since the last time: messages, and C{(code, reason)} for a
        close frame.
        """
        said: list[Any] = []
        self.pump()
        data, self._seen = self.peer.received[self._seen :], len(self.peer.received)
        self._parser.receive_data(data)
        for event in self._parser.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                said.append(event.data)
            elif isinstance(event, CloseConnection):
                said.append((int(event.code), event.reason or ""))
            elif isinstance(event, (Ping, Pong)):
                self.pongs += isinstance(event, Pong)
        return said

    def ending(self) -> bool:
        """
        Whether the server has ended the connection, in an orderly way.
        """
        self.pump()
        assert self.peer.over != "RST", "reset"
        return self.peer.over is not None or getattr(self.peer, "notified", False)

    def leave(self) -> None:
        """
        The server ends the connection, and the client follows.
        """
        self.wire.pumpUntil(self.ending)
        if isinstance(self.peer, TLSPeer):
            self.peer.sayGoodbye()
        self.peer.socket.close()
        self.peer.over = "FIN"
        self.wire.pumpUntil(lambda: not self.wire.transport.connected)
