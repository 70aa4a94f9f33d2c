"""
Sixteen kinds of servers, each with what must not change about it.

Every scenario is run for both ways of recording: on a port of ours, and with a factory
that somebody else listens with.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint, wrapServerTLS
from twisted.internet.threads import deferToThread

from terminable.terminator import Terminator
from terminable.testing.peers import trusting
from tests.wire import PATIENCE, certificate

reactor: Any = installed


class Client:
    """
    A client that blocks, for a thread of its own.

    @ivar socket: its socket, with TLS if that was asked for.
    """

    def __init__(self, address: Any, family: int = socket.AF_INET) -> None:
        self.socket: Any = socket.socket(family)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)

    def startTLS(self, protocols: list[str] | None = None) -> str | None:
        """
        Speak TLS from now on.

        @return: the protocol that ALPN has chosen.
        """
        self.socket = trusting(*(protocols or ())).wrap_socket(self.socket)
        chosen: str | None = self.socket.selected_alpn_protocol()
        return chosen

    def send(self, data: bytes) -> None:
        """
        Send it.
        """
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """
        Read until that comes.
        """
        data = b""
        while end not in data:
            more = self.socket.recv(65536)
            assert more, f"over after {data!r}"
            data += more
        return data

    def close(self) -> None:
        """
        Go.
        """
        self.socket.close()


class RecordingWays:
    """
    Both ways of recording; a subclass chooses one.
    """

    own = True

    def setUp(self) -> None:
        self.terminator = Terminator(reactor, gracePeriod=20.0)
        self.port: Any = None
        self.clients: list[Client] = []

    @inlineCallbacks
    def tearDown(self) -> Any:
        for client in self.clients:
            client.close()
        if self.port is not None and self.port.connected:
            yield self.port.stopListening()
        yield self.terminator.abort()

    @inlineCallbacks
    def listen(self, factory: Any, tls: bool = False) -> Any:
        """
        Serve C{factory} on 127.0.0.1, in the way of this class.
        """
        if self.own:
            endpoint: Any = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
            if tls:
                endpoint = wrapServerTLS(certificate().options(), endpoint)
            self.port = yield self.terminator.listen(endpoint, factory)
        else:
            wrapped = self.terminator.wrap(factory)
            if tls:
                options = certificate().options()
                self.port = reactor.listenSSL(0, wrapped, options, interface="127.0.0.1")
            else:
                self.port = reactor.listenTCP(0, wrapped, interface="127.0.0.1")

    def talk(self, speak: Callable[[Client], Any]) -> Deferred[Any]:
        """
        Connect, and speak in a thread.
        """

        def work() -> Any:
            host = self.port.getHost()
            client = Client(("127.0.0.1", host.port))
            self.clients.append(client)
            return speak(client)

        return deferToThread(work)

    def theOne(self: Any) -> Any:
        """
        The one connection that there is, which must be recorded exactly once.
        """
        connections = self.terminator.connections()
        self.assertEqual(len(connections), 1, connections)
        self.assertTrue(connections[0].transport.connected)
        return connections[0]

    @inlineCallbacks
    def gone(self: Any, client: Client | None = None) -> Any:
        """
        The client goes; after that nobody is recorded.
        """
        (client or self.clients[-1]).close()
        yield self.until(lambda: not self.terminator.connections())

    @inlineCallbacks
    def until(self, what: Callable[[], object]) -> Any:
        """
        Let the reactor turn until C{what} is true.
        """
        turns = 0
        while not what():
            turns += 1
            assert turns < PATIENCE * 200, "it did not become true"
            turned: Deferred[None] = Deferred()
            reactor.callLater(0.005, turned.callback, None)
            yield turned
